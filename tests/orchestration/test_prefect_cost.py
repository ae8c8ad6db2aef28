"""What Prefect is asked to keep of a large experiment: batches, and nothing for each example."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.slow
def test_a_large_regression_is_few_task_runs_and_events(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", "set by what is called")  # and undone after the test
    import prefect_overhead as measured  # type: ignore[import-not-found]

    task_runs, events = measured.count_large(prefect_api, 2000)
    assert 4 <= task_runs < measured.MOST_TASK_RUNS
    assert task_runs < events < measured.MOST_EVENTS
