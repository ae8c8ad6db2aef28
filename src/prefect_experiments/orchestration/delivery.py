"""What Prefect delivers beside the work: events and log lines, which wait in this process until its server has them.

Prefect waits for them when the interpreter ends, for as long as its client has patience with each: minutes, where the
server is away.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
import weakref
from typing import Any

from prefect.events.worker import EventsWorker

from prefect_experiments.settings import Settings

_LOOK_EVERY_S = 0.02
_CANCEL_EVERY_S = 0.1  # closing a connection to a server that hangs is cancelled in its turn
_CANCELLED_WITHIN_S = 5.0

logger = logging.getLogger("prefect_experiments")

_bounded: weakref.WeakSet[Any] = weakref.WeakSet()


def _services() -> list[Any]:
    """What delivers to Prefect's server, of all sorts. Prefect has no public name for it."""
    return list(EventsWorker._instances.values())  # type: ignore[misc]


def bound_exit() -> None:
    """Have the interpreter wait for deliveries no longer than for anything else of Prefect's."""
    if new := [service for service in _services() if service not in _bounded]:
        _bounded.update(new)
        # What is registered last is called first, and so before Prefect waits.
        threading._register_atexit(deliver)  # type: ignore[attr-defined]


def deliver(patience: float | None = None) -> None:
    """Wait until everything is delivered, and forget what is not by then.

    Args:
        patience: seconds; ``None`` for what the settings say.
    """
    under_way = [(service._loop, service._task) for service in _services() if service._task is not None]
    EventsWorker.drain_all(timeout=0)  # of all sorts, too: asks them to end, and waits for nothing
    until = time.monotonic() + (Settings().prefect_patience if patience is None else patience)
    while any(not task.done() for _, task in under_way) and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)
    if patience is None and any(not task.done() for _, task in under_way):
        logger.warning("Prefect's server did not take the last events and log lines in time; they are missing there.")
    cancelled = [asyncio.run_coroutine_threadsafe(_cancel(task), loop) for loop, task in under_way if not task.done()]
    concurrent.futures.wait(cancelled, timeout=_CANCELLED_WITHIN_S)


async def _cancel(task: asyncio.Task[None]) -> None:
    while not task.done():
        task.cancel()
        await asyncio.sleep(_CANCEL_EVERY_S)
