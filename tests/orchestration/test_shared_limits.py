"""Prefect's global concurrency limits, shared by experiments: they hold, cost few requests, and are given back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.asyncio import concurrency
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.events.schemas.events import ResourceSpecification

from prefect_experiments import Client, create_evaluator, run_experiment
from prefect_experiments.errors import ExperimentStopped, InvalidSetting, TransientError
from support.patience import PATIENCE_S, wait_for

quiet: dict[str, Any] = {"print_summary": False}


def made(limit: int, decay: float = 0.0, *, active: bool = True) -> str:
    """The name of a limit of the test's own."""
    name = f"limit-{uuid.uuid4().hex[:8]}"

    async def make() -> None:
        async with get_client() as api:
            await api.create_global_concurrency_limit(
                GlobalConcurrencyLimitCreate(name=name, limit=limit, slot_decay_per_second=decay, active=active)
            )

    asyncio.run(make())
    return name


def taken(name: str) -> int:
    async def read() -> int:
        async with get_client() as api:
            return (await api.read_global_concurrency_limit_by_name(name)).active_slots

    return asyncio.run(read())


class Calls:
    """A task that knows how many of its calls are in flight, in all experiments together.

    Args:
        meeting: no call returns before so many were in flight at once.
    """

    def __init__(self, meeting: int = 1) -> None:
        self.most = 0
        self.starts: list[float] = []
        self._meeting = meeting
        self._in_flight = 0
        self._lock = threading.Lock()

    async def __call__(self, input: int) -> int:
        with self._lock:
            self.starts.append(time.monotonic())
            self._in_flight += 1
            self.most = max(self.most, self._in_flight)
        try:
            await asyncio.sleep(0.02)
            waited_until = time.monotonic() + PATIENCE_S
            while self.most < self._meeting:
                assert time.monotonic() < waited_until, f"no more than {self.most} calls were in flight at once"
                await asyncio.sleep(0.01)
            return input
        finally:
            with self._lock:
                self._in_flight -= 1


def rows(count: int) -> list[dict[str, int]]:
    return [{"input": n} for n in range(count)]


def at_once(count: int, tmp_path: Path, call: Callable[[Client], Any]) -> list[Any]:
    """The same at the same moment, each with a store of its own, as flows on several machines."""
    clients = [Client(store_url=f"sqlite:///{tmp_path / f'{n}.db'}") for n in range(count)]
    with ThreadPoolExecutor(count) as pool:
        # Prefect's settings are a context's, which a thread does not have by itself.
        return list(pool.map(lambda one: one[0].run(call, one[1]), [(copy_context(), client) for client in clients]))


@pytest.mark.slow
def test_experiments_share_a_limit(tmp_path: Path) -> None:
    """Of three that want two of five slots each, two go at a time, however long it takes until they do."""
    name, calls, began = made(5), Calls(meeting=4), datetime.now(UTC)

    def run(client: Client) -> Any:
        return run_experiment(
            dataset=rows(30), task=calls, concurrency=2, timeout=None, concurrency_limit=name, client=client, **quiet
        )

    ran = at_once(3, tmp_path, run)
    assert [one.summary.n_errors for one in ran] == [0, 0, 0]
    assert len(calls.starts) == 90
    assert calls.most == 4, "two of three have slots at a time"
    assert taken(name) == 0
    # Taken and given back once an experiment, not once a call.
    assert len(events_about(name, "prefect.concurrency-limit.acquired", began)) == 3


def events_about(name: str, event: str, since: Any) -> list[Any]:
    """All events about a limit that this process has emitted by now.

    They reach the server a little later, in order: when it has one that is emitted after them, it has them all.
    """
    last = f"tests.{uuid.uuid4().hex}"
    emit_event(event=last, resource={"prefect.resource.id": last, "prefect.resource.name": last})

    async def read(wanted: str, resource: str) -> list[Any]:
        of_it = EventResourceFilter(labels=ResourceSpecification({"prefect.resource.name": resource}))
        when = EventOccurredFilter(since=since)
        async with get_client() as api:
            named = EventFilter(event=EventNameFilter(name=[wanted]), occurred=when, resource=of_it)
            return list((await api.read_events(named, limit=50)).events)

    wait_for(lambda: asyncio.run(read(last, last)), "the last event", every=0.2)
    return asyncio.run(read(event, name))


def test_no_more_than_there_are(client: Client) -> None:
    name, calls = made(3), Calls(meeting=3)
    ran = run_experiment(dataset=rows(20), task=calls, concurrency=50, concurrency_limit=name, client=client, **quiet)
    assert ran.summary.n_errors == 0
    assert calls.most == 3
    assert taken(name) == 0


def test_limits_that_are_switched_off_limit_nothing(client: Client) -> None:
    calls = Calls(meeting=5)
    off: dict[str, Any] = {
        "concurrency_limit": made(1, active=False),
        "rate_limit": made(1, decay=0.1, active=False),
    }
    ran = run_experiment(dataset=rows(20), task=calls, concurrency=5, client=client, **off, **quiet)
    assert ran.summary.n_errors == 0
    assert calls.most == 5


def test_a_limit_that_is_not_there_is_refused_before_anything(client: Client) -> None:
    rate = made(3)
    there_are = r"'nowhere'; `prefect gcl create nowhere --limit 20` makes one\. There are: (?!none$)\S+(, \S+)*$"
    for given, said in (
        ({"concurrency_limit": "nowhere"}, r"prefect gcl create nowhere --limit 20"),
        ({"rate_limit": "nowhere"}, f"there is no global concurrency limit {there_are}"),
        ({"rate_limit": rate}, "is no rate"),
        ({"concurrency_limit": made(0)}, "lets nothing through"),
    ):
        calls = Calls()
        with pytest.raises(InvalidSetting, match=said):
            run_experiment(dataset=rows(3), task=calls, client=client, **given, **quiet)
        assert not calls.starts
    assert not len(client.experiments.list())


@pytest.mark.thorough
def test_waiting_ends(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    name, calls = made(4), Calls()
    monkeypatch.setenv("PREFECT_EXPERIMENTS_LIMIT_PATIENCE", "1")
    run: dict[str, Any] = {"concurrency": 4, "concurrency_limit": name, "client": client, **quiet}

    async def beside() -> None:
        async with concurrency(name, occupy=1, strict=True):
            await asyncio.to_thread(run_experiment, dataset=rows(5), task=calls, experiment_name="waits", **run)

    with pytest.raises(TransientError, match="waited 1 s for 4 slots of the limit") as caught:
        asyncio.run(beside())
    assert "prefect-experiments resume" in str(caught.value)
    assert not calls.starts
    monkeypatch.setenv("PREFECT_EXPERIMENTS_LIMIT_PATIENCE", str(PATIENCE_S))
    ran = client.experiments.resume_experiment(experiment="waits", task=calls, concurrency_limit=name, **quiet)
    assert [r.output for r in ran.task_runs] == list(range(5))
    # A finished one has no calls to make, and waits for nothing.
    again = partial(client.experiments.resume_experiment, experiment="waits", task=calls, concurrency_limit=name)
    asyncio.run(held_while(name, partial(again, **quiet)))


async def held_while(name: str, call: Callable[[], Any]) -> None:
    async with concurrency(name, occupy=4, strict=True):
        await asyncio.to_thread(call)


def test_slots_are_given_back_when_it_breaks(client: Client) -> None:
    name = made(4)

    def breaks(input: int) -> int:
        raise ValueError("broken")

    with pytest.raises(ExperimentStopped):
        run_experiment(
            dataset=rows(5), task=breaks, retries=0, exit_on_error=True, concurrency=4,
            concurrency_limit=name, client=client, **quiet,
        )  # fmt: skip
    assert taken(name) == 0


class Judge(Calls):
    """An evaluator that calls a provider, beside a task that does: both count."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self.starts = calls.starts

    async def __call__(self, output: int) -> bool:  # type: ignore[override]
        await super().__call__(output)
        return True


@pytest.mark.thorough
def test_a_rate_holds_from_the_first_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a limit holds at once, calls start evenly, of all experiments together."""
    name, calls, asked = made(50, decay=10), Calls(), []
    original = PrefectClient.increment_concurrency_slots

    async def increment(api: PrefectClient, *arguments: Any) -> Any:
        asked.append(time.monotonic())
        return await original(api, *arguments)

    monkeypatch.setattr(PrefectClient, "increment_concurrency_slots", increment)
    began = datetime.now(UTC)
    ran = at_once(2, tmp_path, lambda client: run_experiment(
        dataset=rows(8), task=calls, evaluators=[create_evaluator(name="judge", kind="LLM")(Judge(calls).__call__)],
        concurrency=20, rate_limit=name, client=client, **quiet,
    ))  # fmt: skip
    assert [one.summary.n_errors for one in ran] == [0, 0]
    assert [len(one.evaluation_runs) for one in ran] == [8, 8]
    starts = sorted(calls.starts)
    assert len(starts) == 32
    # Ten a second: none starts before its turn. After it, on a busy machine: then several may start at once.
    assert [k for k, start in enumerate(starts) if start < asked[0] + (k - 3) / 10] == []
    # Asked for many at a time: twice a second at most.
    assert len(events_about(name, "prefect.concurrency-limit.acquired", began)) <= 32


@pytest.mark.thorough
def test_evaluators_that_call_a_provider_are_within_the_limit(client: Client) -> None:
    """The slots are for all calls to providers: of the task and of evaluators together."""
    name, calls = made(4), Calls()

    def blocks(output: int) -> bool:
        return asyncio.run(calls(output)) == output

    async def judge(output: int) -> bool:
        return await calls(output) == output

    ran = run_experiment(
        dataset=rows(40), task=calls, evaluators=[judge, blocks], batch_size=10, concurrency=4,
        concurrency_limit=name, client=client, **quiet,
    )  # fmt: skip
    assert ran.summary.n_errors == 0
    assert len(calls.starts) == 120
    assert calls.most <= 4 + 1, "that a function without a kind calls a provider shows in its first call"


KILLED = """
import sys, time
from prefect_experiments import Client, create_evaluator, run_experiment

def waits(input):
    print("called", flush=True)
    time.sleep(600)

run_experiment(dataset=[{"input": 1}], task=waits, timeout=None, concurrency=4, concurrency_limit=sys.argv[1],
               client=Client(store_url=sys.argv[2]), print_summary=False)
"""


@pytest.mark.slow
def test_slots_of_a_killed_process_become_free(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_LIMIT_PATIENCE", str(PATIENCE_S))
    name, calls = made(4), Calls()
    command = [sys.executable, "-c", KILLED, name, f"sqlite:///{tmp_path / 'killed.db'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, text=True) as process:
        assert process.stdout is not None
        assert "called" in iter(process.stdout.readline, "").__next__()
        process.send_signal(signal.SIGKILL)
    assert taken(name) == 4
    run_experiment(dataset=rows(5), task=calls, concurrency=4, concurrency_limit=name, client=client, **quiet)
    assert len(calls.starts) == 5
    assert taken(name) == 0
