"""Which of the rows that AX has of a run counts."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.backends.arize.run_rows import latest_rows


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
