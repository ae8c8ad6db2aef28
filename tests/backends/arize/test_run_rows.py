"""Which of the rows that AX has of a run counts, and the times of its evaluations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_experiments.backends.arize.run_rows import Origin, latest_rows, run_row, to_run
from prefect_experiments.models import Experiment
from prefect_experiments.records import EvaluatedRun, EvaluationRecord, RunRecord


def row(row_id: str, moment: int, **values: Any) -> dict[str, Any]:
    return {"id": row_id, "example_id": "ax-1", "repetition_number": 1, "result.trace.timestamp": moment, **values}


OK: dict[str, Any] = {"output": "fine", "execution_status": "COMPLETED"}
FAILED: dict[str, Any] = {"output": "", "error": "ValueError: boom", "execution_status": "FAILED"}


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [(OK, FAILED, "first"), (FAILED, OK, "second"), (OK, OK, "second"), (FAILED, FAILED, "second")],
    ids=["ok then failed", "failed then ok", "twice ok", "twice failed"],
)
@pytest.mark.parametrize("listed", ["as they came", "the other way round"])
def test_no_failure_hides_an_ok_row_of_the_same_run(
    first: dict[str, Any], second: dict[str, Any], counts: str, listed: str
) -> None:
    rows = [row("first", 1_000, **first), row("second", 2_000, **second)]
    if listed != "as they came":
        rows.reverse()
    [(example_id, number, found)] = latest_rows(rows, {"ax-1": "mine"})
    assert (example_id, number, found["id"]) == ("mine", 1, counts)


@pytest.mark.parametrize("made", [None, datetime(2026, 1, 2, tzinfo=UTC)])
def test_a_row_without_a_time_has_its_experiments_or_none_at_all(made: datetime | None) -> None:
    experiment = Experiment(id="e", name="e", dataset_id="d", dataset_version_id="v", created_at=made)
    run = to_run({"id": "first", "example_id": "ax-1", **OK}, "mine", 1, experiment).run
    assert run.start_time == run.end_time == (0.0 if made is None else made.timestamp())


def test_times_are_milliseconds_at_ax_and_come_back_as_they_were() -> None:
    run = RunRecord(0, 1, "mine", '"fine"', None, 1_800_000_000.25, 1_800_000_001.5)
    judged = EvaluationRecord(0, 1, "right", "right", "CODE", score=1.0, start_time=1_800_000_002.125)
    there = run_row(EvaluatedRun(run, (judged,)), "ax-1", Origin())
    assert there["result.trace.timestamp"] == 1_800_000_000_250
    assert there["eval.right.trace.timestamp"] == 1_800_000_002_125
    experiment = Experiment(id="e", name="e", dataset_id="d", dataset_version_id="v")
    back = to_run({**there, "id": "first"}, "mine", 1, experiment)
    assert back.run.start_time == run.start_time
    assert [one.start_time for one in back.evaluations] == [judged.start_time]
    del there["eval.right.trace.timestamp"]
    back = to_run({**there, "id": "first"}, "mine", 1, experiment)
    assert [one.start_time for one in back.evaluations] == [run.start_time], "where AX has none, its run's"


@pytest.mark.parametrize(("updated_at", "when"), [("2026-01-02T00:00:00Z", 1_767_312_000.0), (None, 1_800_000_000.0)])
def test_an_annotation_was_written_when_ax_says_else_when_the_run_was_made(updated_at: str | None, when: float) -> None:
    note = {"name": "people", "score": 1, "updated_at": updated_at}
    experiment = Experiment(id="e", name="e", dataset_id="d", dataset_version_id="v")
    back = to_run({**row("first", 1_800_000_000_000, **OK), "annotations": [note]}, "mine", 1, experiment)
    assert [(one.name, one.score, one.end_time) for one in back.evaluations] == [("people", 1.0, when)]
