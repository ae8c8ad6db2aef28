"""What Prefect delivers beside the work: events and log lines, which wait in this process until its server has them.

Prefect waits for them when the interpreter ends, for as long as its client has patience with each: minutes, where the
server is away.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

from prefect_experiments.orchestration.patience import Line, is_away, open_lines
from prefect_experiments.settings import Settings

_LOST = "events and log lines"

_LOOK_EVERY_S = 0.02
_CANCEL_EVERY_S = 0.1  # closing a connection to a server that hangs is cancelled in its turn
_CANCELLED_WITHIN_S = 5.0

logger = logging.getLogger("prefect_experiments")

_bounded: weakref.WeakSet[Any] = weakref.WeakSet()
_at_exit = threading.Event()


class _Afterwards:
    """What is said where no experiment is under way any more: a line, behind each experiment at most one.

    The last log lines go when an experiment has returned already. Of Prefect's own words on them the last is without an
    end of line, and so is in front of what anybody else writes.
    """

    is_said = False


def _is_said_by_a_line(error: BaseException | None) -> bool:
    """Whether a line of ours says, now or at its end, what could not be delivered to a server that is away."""
    if error is None or not (is_away(error) or isinstance(error, asyncio.CancelledError)):
        return False
    lines = open_lines()
    for line in lines:
        line.lacks(_LOST, error)
    if lines or _at_exit.is_set():
        return True
    if isinstance(error, asyncio.CancelledError):
        return False
    if not _Afterwards.is_said:
        _Afterwards.is_said = True
        Line().lacks(_LOST, error)
    return True


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log line of Prefect's deliveries is not about what a line of ours says."""
    about = str(record.msg).startswith(("Service %r failed", "Unable to connect to"))
    return not (about and _is_said_by_a_line(sys.exc_info()[1]))  # logged where it is handled


for _name in ("prefect._internal.concurrency", "prefect.events.clients"):
    logging.getLogger(_name).addFilter(_is_news)


class _Quiet:
    """A client of Prefect's for log lines: what it says itself of a server that is away goes to stderr, at length."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def request(self, *arguments: Any, **options: Any) -> Any:
        """`PrefectClient.request`."""
        try:
            return await self._client.request(*arguments, **options)
        except Exception as error:
            if not _is_said_by_a_line(error):
                raise


_lifespan = APILogWorker._lifespan


@contextlib.asynccontextmanager
async def _quiet_lifespan(worker: Any) -> AsyncIterator[None]:
    async with _lifespan(worker):
        worker._client = _Quiet(worker._client)
        yield


APILogWorker._lifespan = _quiet_lifespan  # type: ignore[method-assign, assignment]


def _services() -> list[Any]:
    """What delivers to Prefect's server, of all sorts. Prefect has no public name for it."""
    return list(EventsWorker._instances.values())  # type: ignore[misc]


def bound_exit() -> None:
    """Have the interpreter wait for deliveries no longer than for anything else of Prefect's."""
    _Afterwards.is_said = False
    if new := [service for service in _services() if service not in _bounded]:
        _bounded.update(new)
        # What is registered last is called first, and so before Prefect waits.
        threading._register_atexit(deliver)  # type: ignore[attr-defined]


def deliver(patience: float | None = None) -> None:
    """Wait until everything is delivered, and forget what is not by then.

    Args:
        patience: seconds; ``None`` for what the settings say.
    """
    if patience is None:
        _at_exit.set()
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
