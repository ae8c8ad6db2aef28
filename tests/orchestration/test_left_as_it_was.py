"""In the context that has called for an experiment nothing of it stays behind."""

from __future__ import annotations

import asyncio

import pytest

from prefect_experiments import Client, arun_experiment
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


def test_a_server_that_was_away_from_one_experiment_is_asked_by_the_next_call() -> None:
    with new_line() as outer:
        with new_line() as inner:
            assert current_line() is inner
            inner.is_down = True
        assert current_line() is outer
        outer.is_down = True
    assert not current_line().is_down
