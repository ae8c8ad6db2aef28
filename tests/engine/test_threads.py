"""Threads for sync code: started when needed, used again, given back when idle; and where there are none."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from prefect_experiments.engine import threads
from prefect_experiments.engine.threads import NoThread, Threads
from support.patience import PATIENCE_S, wait_for

from .harness import in_virtual_time


def named(name: str) -> list[str]:
    return sorted(each.name for each in threading.enumerate() if each.name.startswith(f"{name}-"))


def run_in(pool: Threads) -> str:
    """The name of the thread that ran it."""

    async def main():
        return await (await pool.submit(lambda: threading.current_thread().name))

    return asyncio.run(main())


def test_an_idle_thread_is_used_again_and_ends_after_two_seconds(monkeypatch):
    assert threads.IDLE_S == 2.0
    monkeypatch.setattr(threads, "IDLE_S", 0.2)
    pool = Threads("own")
    assert run_in(pool) == "own-1"
    wait_for(lambda: not named("own"), "the idle thread ends")
    assert run_in(pool) == "own-2"
    wait_for(lambda: not named("own"), "and the next one")
    assert pool._idle == 0


def test_as_many_threads_as_calls_at_once():
    pool, together = Threads("crowd"), threading.Barrier(4)

    async def main():
        futures = [await pool.submit(together.wait) for _ in range(4)]  # none goes on before all four have begun
        await asyncio.gather(*futures)
        return len(named("crowd"))

    assert asyncio.run(main()) == 4


@pytest.mark.parametrize(
    ("raised", "given"),
    [
        (ValueError("no"), ValueError("no")),
        (StopIteration("no"), RuntimeError("StopIteration: no")),
        (SystemExit("no"), RuntimeError("SystemExit: no")),
        (KeyboardInterrupt(), RuntimeError("KeyboardInterrupt")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_function_raises_reaches_who_waits_and_its_thread_goes_on(raised, given):
    pool = Threads("raising")

    def fails():
        raise raised

    async def main():
        with pytest.raises(type(given), match=f"^{given}$"):
            await asyncio.wait_for(await pool.submit(fails), PATIENCE_S)
        return await (await pool.submit(lambda: threading.current_thread().name))

    assert asyncio.run(main()) == "raising-1"


@pytest.fixture
def refusing(monkeypatch):
    """No thread can be started before that second of virtual time; and the function to be called."""

    def until(second, clock):
        start = threading.Thread.start

        def start_some(thread):
            if clock() < second:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threads, "time", SimpleNamespace(monotonic=clock))
        monkeypatch.setattr(threading.Thread, "start", start_some)

    return until


@pytest.mark.parametrize("free_after", [0.0, 0.01, 5.0, 9.99])
def test_a_thread_is_waited_for(refusing, free_after):
    async def main(clock):
        refusing(free_after, clock)
        assert await (await Threads().submit(lambda: "called")) == "called"
        return clock()

    assert free_after <= in_virtual_time(main) <= free_after + threads.TRY_AGAIN_S + 1e-9


def test_after_ten_seconds_without_a_thread_nothing_is_called(refusing):
    called = []

    async def main(clock):
        refusing(3600.0, clock)
        with pytest.raises(NoThread, match=r"^can.t start new thread: the system has no thread for this call; lower"):
            await Threads().submit(lambda: called.append(1))
        return clock()

    assert 10 <= in_virtual_time(main) <= 10 + threads.TRY_AGAIN_S + 1e-9
    assert called == []
