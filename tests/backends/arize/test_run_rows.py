"""Which of the rows that AX has of a run counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_experiments.backends.arize.run_rows import latest_rows, to_run
from prefect_experiments.models import Experiment


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
