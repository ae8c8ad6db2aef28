"""The slots of a limit that flows share: who waits for them, and what is said where a server cannot give them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.orchestration import delivery, patience, shared_limits
from prefect_experiments.orchestration.delivery import deliver
from prefect_experiments.orchestration.patience import Line, new_line
from prefect_experiments.orchestration.shared_limits import slots_of
from support.flow_logs import in_a_flow, said_in_flows
from support.patience import FOREVER_S
from support.prefect_gate import Gate

from .test_shared_limits import made

__all__ = ["said_in_flows"]


def nothing() -> None:
    """Is done while the slots are held."""


async def held(name: str, do: Callable[[], None] = nothing) -> None:
    options = SimpleNamespace(concurrency_limit=name, concurrency=3)
    session: Any = SimpleNamespace(
        spec=SimpleNamespace(options=options, experiment_id="exp-1"), has_calls_to_make=lambda: True
    )
    async with slots_of(session):
        do()


def test_who_waits_for_slots_says_so(said_in_flows: list[str]) -> None:
    name = made(3)
    in_a_flow(held(name))
    assert said_in_flows == [f"Waiting for 3 slots of the limit {name!r}.", f"Holding 3 slots of the limit {name!r}."]


def test_a_limit_that_is_gone_meanwhile() -> None:
    with pytest.raises(InvalidSetting, match=r"^no slots of the limit 'gone-meanwhile' can be had: "):
        in_a_flow(held("gone-meanwhile"))


@pytest.fixture
def gate(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    monkeypatch.setattr(patience, "KNOWN_TO_BE_AWAY_S", 0.3)
    monkeypatch.setattr(shared_limits, "LOOK_EVERY_S", 0.1)
    with Gate(prefect_api) as gate, temporary_settings({PREFECT_API_URL: gate.api}):
        yield gate


@pytest.fixture
def line(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", "5")
    with new_line() as line:
        yield line


def test_slots_that_nobody_can_be_told_are_free(gate: Gate, line: Line) -> None:
    name = made(3)
    line._left = 0.0  # it has waited for all the time that it had
    in_a_flow(held(name, lambda: gate.set("hang")))
    assert line.missing == [f"that the slots of {name!r} are free, as they are in a minute"]


def test_slots_that_nobody_can_be_asked_for(gate: Gate, line: Line) -> None:
    name = made(3)
    gate.set("refuse")
    line._left = 0.0
    in_a_flow(held(name))
    assert line.missing == ["an answer", f"the slots of {name!r}, which this experiment goes without"]


def test_what_is_not_delivered_when_the_interpreter_ends_is_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.sleep(FOREVER_S))

    task = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    hangs = {1: SimpleNamespace(_loop=loop, _task=task)}
    monkeypatch.setattr(delivery, "EventsWorker", SimpleNamespace(_instances=hangs, drain_all=lambda timeout: None))
    monkeypatch.setattr(delivery, "_at_exit", threading.Event())
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", "0.05")
    deliver()
    assert task.cancelled()
    said = "Prefect's server did not take the last events and log lines in time; they are missing there."
    assert caplog.messages == [said]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
