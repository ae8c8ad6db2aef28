"""Waiting for what opens and closes what calls need: it is said that it lasts, and closing has a limit."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator

from prefect_experiments.errors import traceback_text

SAY_EVERY_S = 60.0

CLOSE_WITHIN_S = 60.0
"""For closing. The results are kept by then, and whoever waits for them does not wait for ever."""

logger = logging.getLogger("prefect_experiments")


class _Wait:
    """What is waited for, and since when; a part of it takes its place while that is waited for."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since = time.monotonic()
        self.part: _Wait | None = None

    def say(self) -> None:
        if (part := self.part) is not None:
            part.say()
        else:
            logger.warning("Waiting for %s since %.0f s.", self._what, time.monotonic() - self._since)

    def keep_saying(self, ended: threading.Event) -> None:
        while not ended.wait(SAY_EVERY_S):
            self.say()


_wait: contextvars.ContextVar[_Wait | None] = contextvars.ContextVar("prefect_experiments_wait", default=None)


@contextlib.contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """While this is entered, the log says every minute what is waited for; within another, in its place.

    A thread says so: what is waited for may well be what holds up the event loop.
    """
    whole, own, ended = _wait.get(), _Wait(what), threading.Event()
    if whole is not None:
        whole.part = own
    else:
        context = contextvars.copy_context()  # Prefect's log belongs to a run, which this knows
        threading.Thread(
            target=context.run, args=[own.keep_saying, ended], name="experiment-waiting", daemon=True
        ).start()
    token = _wait.set(own)
    try:
        yield
    finally:
        _wait.reset(token)
        ended.set()
        if whole is not None:
            whole.part = None


@contextlib.asynccontextmanager
async def closing(what: str) -> AsyncIterator[None]:
    """Around closing something, which is cancelled when it takes longer than `CLOSE_WITHIN_S`.

    The log says so, and what else goes wrong; nothing is raised but a cancellation from outside. What holds up the
    event loop, or goes on though it was cancelled, is waited for all the same.

    Args:
        what: closes it, as a sentence may begin or go on with it.
    """
    sentence = what[:1].upper() + what[1:]
    limit = asyncio.timeout(CLOSE_WITHIN_S)
    try:
        with waiting_for(what):
            async with limit:
                yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of the user's code
        if limit.expired() and isinstance(error, TimeoutError):
            logger.warning(
                "%s took longer than %g s, and was given up. What had finished is kept.", sentence, CLOSE_WITHIN_S
            )
        else:
            # Not with `exc_info`: the user's error may say what is secret.
            logger.error("%s failed. What had finished is kept.\n%s", sentence, traceback_text(error))  # noqa: TRY400
