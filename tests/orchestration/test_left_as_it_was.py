"""In the context that has called for an experiment nothing of it stays behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, PREFECT_RESULTS_PERSIST_BY_DEFAULT, temporary_settings

from prefect_experiments import Client, arun_experiment, log_experiment, run_experiment
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.orchestration.experiment_flow import experiment_flow
from prefect_experiments.orchestration.patience import current_line, new_line


def test_its_flow_cannot_be_started_by_itself_afterwards(client: Client) -> None:
    calls: list[str] = []

    def answer(input: str) -> str:
        calls.append(input)
        return input

    async def main() -> None:
        await arun_experiment(dataset=[{"input": "one"}], task=answer, client=client, print_summary=False)
        with pytest.raises(InvalidSetting, match=r"this flow is started by run_experiment, .* not on its own"):
            await experiment_flow("dataset", "experiment", "answer", [], "local", 1)

    asyncio.run(main())
    assert calls == ["one"]


def test_prefect_keeps_no_results_also_where_it_keeps_all(client: Client, tmp_path: Path) -> None:
    """It would pickle them, and leave a file for each flow run."""
    kept = tmp_path / "kept"
    rows, runs = [{"id": "a", "input": "one"}], [{"example_id": "a", "output": "1"}]
    with temporary_settings({PREFECT_RESULTS_PERSIST_BY_DEFAULT: True, PREFECT_LOCAL_STORAGE_PATH: kept}):
        run_experiment(dataset=rows, task=str.upper, client=client, print_summary=False)
        log_experiment(name="e", dataset=rows, experiment_runs=runs, client=client, print_summary=False)
    assert not list(kept.rglob("*"))


def test_a_server_that_was_away_from_one_experiment_is_asked_by_the_next_call() -> None:
    with new_line() as outer:
        with new_line() as inner:
            assert current_line() is inner
            inner.is_down = True
        assert current_line() is outer
        outer.is_down = True
    assert not current_line().is_down
