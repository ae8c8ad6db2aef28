"""What the official client says of what we have pushed, value for value."""

from __future__ import annotations

import json
from typing import Any

from prefect_experiments import RanExperiment
from support.arize import Official


def assert_same(official: Official, ran: RanExperiment) -> None:
    """AX has every run and every verdict of an experiment, once, and as it is here.

    The ids of examples must be AX's own, or those that its dataset keeps them under.
    """
    there = official.runs(ran.experiment_id)
    by_id = {run["id"]: run for run in there}
    assert len(by_id) == len(there)
    assert by_id.keys() == {run.id for run in ran.task_runs}
    examples = ax_ids(official, ran.dataset_id)
    for run in ran.task_runs:
        theirs = by_id[run.id]
        assert theirs["example_id"] == examples.get(run.example_id, run.example_id)
        assert (theirs["error"], theirs["output"]) == (run.error, "" if run.error else text_of(run.output))
    verdicts = {
        (run["id"], name): tuple(run.get(f"eval.{name}.{part}") for part in ("score", "label", "explanation"))
        for run in there
        for name in {column.split(".")[1] for column in run if column.startswith("eval.")}
    }
    assert verdicts == {(v.run_id, v.name): (v.score, v.label, v.explanation) for v in ran.evaluation_runs}
    for verdict in ran.evaluation_runs:
        columns = by_id[verdict.run_id]
        prefix = f"eval.{verdict.name}.metadata."
        metadata = {name.removeprefix(prefix): value for name, value in columns.items() if name.startswith(prefix)}
        wanted = {
            name: value if not isinstance(value, dict | list) else json.dumps(value)
            for name, value in verdict.metadata.items()
        }
        assert metadata == {**wanted, **({"error": verdict.error} if verdict.error else {})}


def text_of(output: Any) -> str:
    """As the official client would write it, where it can."""
    if isinstance(output, str):
        return output
    return str(output) if isinstance(output, bool) else json.dumps(output)


def ax_ids(official: Official, dataset_id: str) -> dict[str, str]:
    """AX's ids of the newest version's examples, by the ids that they had before."""
    code = """
result, cursor = [], None
while True:
    page = client.datasets.list_examples(dataset=d, limit=500, cursor=cursor)
    result += page.examples
    cursor = page.pagination.next_cursor
    if not page.pagination.has_more:
        break
"""
    rows = official(code, d=dataset_id)
    return {json.loads(row.get("prefect_experiments") or "{}").get("id", row["id"]): row["id"] for row in rows}
