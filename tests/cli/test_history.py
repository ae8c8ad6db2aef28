"""`history`: the experiments of a dataset over time, on the command line."""

from __future__ import annotations

import re
from pathlib import Path

from prefect_experiments.store import EvaluatorRecord, Judgement
from tests.store.samples import new_experiment, record, run_row, verdict

from .harness import Here


def nights(here: Here) -> list[str]:
    """Two experiments of which the second was judged."""
    store, ids = here.client.store, []
    for number in range(2):
        evaluators = [EvaluatorRecord("exact", "CODE", "a" * 64)]
        made = new_experiment(store, name=f"night-{number}", evaluators=evaluators, now=1_790_000_000.0 + number)
        ids.append(made.experiment.id)
        said = [verdict(place, score=float(place > number)) for place in range(3)]
        record(store, ids[-1], [run_row(place) for place in range(3)], said)
    store.experiments.tag(ids[0], "baseline")
    check = {"name": "exact", "status": "failed", "reason": "exact got worse"}
    said_of_it = Judgement(status="failed", exit_code=1, reasons=("exact got worse",), checks=[check])
    store.judgements.keep(ids[1], said_of_it)
    return ids


def test_a_history_is_a_table_a_document_and_a_page(here: Here) -> None:
    ids = nights(here)
    shown = here("history", "dataset", "--html", "pages/history.html")
    assert shown.code == 0, "a verdict of the past is no verdict on this command"
    rows = [line for line in shown.out.splitlines() if re.match(r"\s*2026-09-21", line)]
    assert [row.split()[2] for row in rows] == ["night-0", "night-1"]
    assert "2026-09-21 14:13" in rows[0], "in UTC, whatever the zone is here"
    assert rows[0].rstrip().endswith("★ baseline")
    assert "0.333 [0.008, 0.906] ▼" in rows[1]
    assert rows[1].rstrip().endswith("✗ failed: exact")
    assert "page: pages/history.html" in shown.out
    assert "night-1" in Path("pages/history.html").read_text()
    document = here.json("history", "dataset", "--metric", "exact", "--since", "2026-01-01", "--last", "1")
    [entry] = document["entries"]
    assert (entry["id"], entry["gate"], entry["exit_code"], entry["is_alarm"]) == (ids[1], "failed", 1, True)
    assert entry["created_at"].startswith("2026-09-21T14:13:21")
    assert (document["n_earlier"], document["written"]) == (1, {})
    assert document["promotions"][0]["experiment_id"] == ids[0]
    here.client.experiments.delete(experiment=ids[0])
    assert "night-0" not in here("history", "dataset").out.partition("\n  ")[0]


def test_what_is_asked_for_wrongly_is_refused(here: Here) -> None:
    nights(here)
    for arguments, said in (
        (["datase"], "unknown dataset 'datase'; did you mean 'dataset'?"),
        (["dataset", "--metric", "exat"], "unknown metric 'exat'; did you mean 'exact'?"),
        (["dataset", "--since", "yesterday"], "since must be a date such as 2026-11-01"),
        (["dataset", "--last", "0"], "last must be a number of experiments, at least 1, got 0"),
        (["dataset", "--html", "."], "--html . cannot be written: "),
    ):
        ended = here("history", *arguments)
        assert ended.code == 2, arguments
        assert said in ended.err
        assert not ended.out
