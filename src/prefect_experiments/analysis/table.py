"""The results of an experiment as one table, and the examples as another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis import directions
from prefect_experiments.models import Annotation, Evaluation, Example, ExperimentRun, flat_row
from prefect_experiments.store import Link

if TYPE_CHECKING:
    import pandas as pd

RUN_COLUMNS = [
    "id",
    "example_id",
    "repetition_number",
    "input",
    "expected",
    "output",
    "status",
    "error",
    "latency_ms",
    "token_count",
    "total_cost",
    "trace_id",
]


def with_remote_runs(
    runs: Sequence[ExperimentRun], link: Link | None, run_ids: Mapping[str, str]
) -> list[ExperimentRun]:
    """The runs under the ids that their backend gave them; those that it does not have keep ours."""
    if link is None:
        return list(runs)
    return [dataclasses.replace(run, id=run_ids.get(run.id, run.id), experiment_id=link.remote_id) for run in runs]


def with_remote_evaluations(evaluations: Sequence[Evaluation], run_ids: Mapping[str, str]) -> list[Evaluation]:
    """The evaluations of runs under the ids that their backend gave them."""
    if not run_ids:
        return list(evaluations)
    return [dataclasses.replace(verdict, run_id=run_ids.get(verdict.run_id, verdict.run_id)) for verdict in evaluations]


def result_rows(
    runs: Sequence[ExperimentRun],
    evaluations: Iterable[Evaluation],
    examples: Mapping[str, Example],
    annotations: Iterable[Annotation] = (),
) -> list[dict[str, Any]]:
    """One row an experiment run, with ``metadata.KEY`` and ``eval.NAME.score|label|explanation|error``.

    Where an evaluation says which scores are better, there is ``eval.NAME.metadata.direction`` as well.
    """
    rows: dict[str, dict[str, Any]] = {}
    for run in runs:
        example = examples.get(run.example_id)
        row = {name: getattr(run, name, None) for name in RUN_COLUMNS}
        row["input"] = example.input if example else None
        row["expected"] = example.output if example else None
        row.update({f"metadata.{key}": value for key, value in run.metadata.items()})
        rows[run.id] = row
    for verdict in evaluations:
        if (found := rows.get(verdict.run_id)) is not None:
            for part in ("score", "label", "explanation", "error"):
                found[f"eval.{verdict.name}.{part}"] = getattr(verdict, part)
            if directions.KEY in verdict.metadata:
                found[directions.column_of(verdict.name)] = verdict.metadata[directions.KEY]
    for note in annotations:
        if (found := rows.get(note.run_id)) is not None:
            for part in ("score", "label", "text"):
                found[f"annotation.{note.name}.{part}"] = getattr(note, part)
    return list(rows.values())


def result_frame(rows: Sequence[Mapping[str, Any]], evaluators: Iterable[str] = ()) -> pd.DataFrame:
    """The rows as a table whose columns do not depend on what happened to come out.

    Args:
        rows: from `result_rows`.
        evaluators: names whose columns are there even where no run was scored.
    """
    import pandas as pd

    columns = list(RUN_COLUMNS)
    columns += [f"eval.{name}.{part}" for name in evaluators for part in ("score", "label", "explanation", "error")]
    known = set(columns)
    for row in rows:
        for name in row:
            if name not in known:
                known.add(name)
                columns.append(name)
    # Column by column as objects: pandas would otherwise turn None beside numbers into NaN in
    # text columns, and outputs that are lists into something else.
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns})
    for name in columns:
        if name in ("latency_ms", "token_count", "total_cost") or (
            name.startswith("eval.") and name.endswith(".score")
        ):
            frame[name] = pd.to_numeric(frame[name])
    if len(frame):
        frame["repetition_number"] = frame["repetition_number"].astype(int)
    return frame


def example_frame(examples: Sequence[Example]) -> pd.DataFrame:
    """``id`` and flat columns, in dataset order."""
    import pandas as pd

    rows = [dict(flat_row(example)) for example in examples]
    return pd.DataFrame(rows, columns=list(dict.fromkeys(name for row in rows for name in row)) or ["id"])
