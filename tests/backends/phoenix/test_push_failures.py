"""Single results that Phoenix does not take, experiments that stop or are cancelled: all else is pushed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client, arun_experiment
from prefect_experiments.backends import pusher as pushing
from prefect_experiments.errors import BackendRefused, ExperimentStopped
from support.fault_proxy import Action, Answer, Cut, FaultProxy, Hang, Request
from support.flow_runs import flow_run_of
from support.patience import FOREVER_S

from .pushes import assert_whole, double, is_push, logs_of, options, phoenix, rows
from .referee import counts

NO = Answer(422, b'{"detail": [{"loc": ["body", "output"], "msg": "too odd", "input": "private"}]}')


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_BACKEND_TIMEOUT", "0.6")
    monkeypatch.setattr(pushing, "LONGEST_PAUSE_S", 0.5)


def message_of(name: str) -> str:
    state = flow_run_of(name).state
    assert state is not None
    assert state.is_completed()
    return str(state.message)


def is_third_run(request: Request) -> bool:
    return is_push(request) and request.path.endswith("/runs") and (request.json["output"] or {}).get("n") == 6


def is_some_verdict(request: Request) -> bool:
    return is_push(request) and request.json.get("result", {}).get("score") == 5 / 3


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Answer(500, b"Internal Server Error"), id="500"),
        pytest.param(Cut(), id="cut"),
        pytest.param(Hang(), id="hang", marks=pytest.mark.slow),
    ],
)
def test_what_phoenix_breaks_at_keeps_nothing_back(
    phoenix_url: str,
    store_url: str,
    name: str,
    official: PhoenixClient,
    fault: Action,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does it take all of our patience."""
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PUSH_PATIENCE", str(FOREVER_S))
    with FaultProxy(phoenix_url) as proxy:
        proxy.plan = lambda request: fault if is_third_run(request) or is_some_verdict(request) else None
        client = phoenix(proxy.url, store_url)
        ran = client.experiments.run_experiment(dataset=rows(20), experiment_name=name, **options)
        assert ran.waiting == 1 + 2 + 1, "the run, its verdicts, and the verdict"
        assert counts(phoenix_url, ran.experiment_id) == (18, 1, 1)
        message = message_of(name)
        assert "4 results wait for phoenix (Phoenix at" in message
        assert "times, while it took other results)); push them with" in message
        proxy.plan = lambda _: None
        assert_whole(official, client.experiments.push(experiment=name), 20)


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("which", [is_third_run, is_some_verdict])
def test_what_phoenix_refuses_keeps_nothing_back(
    phoenix_url: str, store_url: str, name: str, official: PhoenixClient, which: Any
) -> None:
    with FaultProxy(phoenix_url) as proxy:
        proxy.plan = lambda request: NO if which(request) else None
        client = phoenix(proxy.url, store_url)
        ran = client.experiments.run_experiment(dataset=rows(12), experiment_name=name, **options)
        assert ran.waiting == (2 if which is is_third_run else 0), "the verdicts on a run that is not there"
        assert proxy.faults["422"] == 1, "it was asked again what had been answered"
        said = "phoenix refused 1 results: Phoenix at"
        assert said in message_of(name)
        assert "HTTP 422): body.output: too odd" in message_of(name)
        assert [line for line in logs_of(flow_run_of(name), said) if said in line]
        with pytest.raises(BackendRefused, match="too odd"):
            client.experiments.push(experiment=name)
        proxy.plan = lambda _: None
        assert_whole(official, client.experiments.push(experiment=name), 12)


@pytest.mark.thorough
def test_a_run_that_failed_is_replaced_when_it_is_made_again(
    phoenix_url: str, store_url: str, name: str, official: PhoenixClient
) -> None:
    client = phoenix(phoenix_url, store_url)
    first = client.experiments.run_experiment(dataset=rows(9), experiment_name=name, **options)
    assert counts(phoenix_url, first.experiment_id) == (8, 1, 0)

    async def without_fault(input: Any) -> Any:
        return {"n": 2 * input["n"]}

    again = client.experiments.resume_experiment(experiment=name, **{**options, "task": without_fault})
    assert again.waiting == 0
    assert counts(phoenix_url, first.experiment_id) == (9, 0, 0)
    told = official.experiments.get_experiment(experiment_id=first.experiment_id)
    assert len(told["task_runs"]) == 9
    assert len(told["evaluation_runs"]) == 2 * 9 - 1


def test_what_was_finished_is_pushed_when_the_experiment_stops(phoenix_url: str, store_url: str, name: str) -> None:
    with FaultProxy(phoenix_url) as proxy:
        client = phoenix(proxy.url, store_url)

        async def stops(input: Any) -> Any:
            if input["n"] == 25:
                raise RuntimeError("stop here")
            return await double({"n": 100 + input["n"]})

        with pytest.raises(ExperimentStopped):
            client.experiments.run_experiment(
                dataset=rows(60), experiment_name=name, exit_on_error=True, **{**options, "task": stops}
            )
        kept = Client(backend="local", store_url=store_url).experiments.list_runs(experiment=name, all=True)
        assert 10 < len(kept) < 60
        failed = sum(run.status == "error" for run in kept)
        there = client.experiments.get(experiment=name)
        assert counts(phoenix_url, there.id) == (len(kept) - failed, failed, 60 - len(kept))


@pytest.mark.thorough
def test_cancelled(phoenix_url: str, store_url: str, name: str, official: PhoenixClient) -> None:
    with FaultProxy(phoenix_url) as proxy:
        client = phoenix(proxy.url, store_url)
        proxy.plan = lambda request: Hang() if is_push(request) else None

        async def cancelled() -> None:
            running = asyncio.create_task(
                arun_experiment(dataset=rows(20), experiment_name=name, client=client, **options)
            )
            while not any(map(is_push, proxy.requests)):
                assert not running.done(), running
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(cancelled())
        proxy.plan = lambda _: None
        ran = client.experiments.resume_experiment(experiment=name, **options)
        assert_whole(official, ran, 20)


@pytest.mark.slow
def test_a_task_that_takes_all_threads_does_not_keep_back_the_push(
    phoenix_url: str, store_url: str, name: str, official: PhoenixClient
) -> None:
    """The threads that a loop has for such calls are few; with all of them in use, results arrive all the same."""
    with FaultProxy(phoenix_url) as proxy:
        client = phoenix(proxy.url, store_url)
        pushed: list[int] = []

        async def takes_a_thread(input: Any) -> Any:
            await asyncio.to_thread(time.sleep, 0.5)
            pushed.append(sum(map(is_push, proxy.passed)))
            return await double(input)

        ran = client.experiments.run_experiment(
            dataset=rows(60), experiment_name=name, concurrency=60, **{**options, "task": takes_a_thread}
        )
        assert pushed[-1] > 10, "nothing was pushed while the calls were made"
        assert_whole(official, ran, 60)
