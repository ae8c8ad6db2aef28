"""How long the store's database is waited for, and that whoever watches is told of it.

What may pass is what `Database` calls `StoreUnavailable`, and nothing else: a lock that another process has, a server
that restarts or has ended the connection, a full disk. Transactions are made such that doing one again changes nothing,
so reads and writes alike are tried again, from their beginning, until a minute is over.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.engine import ExceptionContext

from prefect_experiments.backoff import backoff
from prefect_experiments.errors import StoreUnavailable

SAID_AFTER_S = 1.0
GIVE_UP_AFTER_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0

T = TypeVar("T")
C = TypeVar("C", bound=type)

logger = logging.getLogger("prefect_experiments")


class Outage:
    """Whether a database has not answered for a while: said once when it begins, and once when it is over.

    Args:
        shown_url: what the database is called.
    """

    def __init__(self, shown_url: str) -> None:
        self._shown_url = shown_url
        self._lock = threading.Lock()
        self._since: float | None = None
        self._waiting = threading.local()  # whether this thread is at something that is tried again as a whole

    def say(self, since: float, why: str = "") -> None:
        """Say that nothing has come of it since a moment of the monotonic clock, unless that is said already."""
        with self._lock:
            if self._since is not None:
                return
            self._since = since
        logger.warning(
            "The store at %s is busy or away%s: waiting for it, up to %.0f s; no further call begins meanwhile.",
            self._shown_url,
            why and f" ({why})",
            GIVE_UP_AFTER_S,
        )

    def over(self) -> None:
        """It has answered."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            logger.warning("The store answers again after %.0f s.", time.monotonic() - since)

    def patiently(self, function: Callable[[], T], *, unless_busy: float = math.inf) -> T:
        """What a function gives that may be called again and again, once the database answers.

        Within another one it is called once: the whole is tried again.

        Args:
            function: makes one transaction, or some that change nothing when they are made again.
            unless_busy: how many seconds of the minute to go on trying where it is not a lock that is waited for.

        Raises:
            StoreUnavailable: the database did not answer for a minute.
        """
        if getattr(self._waiting, "is_whole", False):
            return function()
        self._waiting.is_whole = True
        began, failures, seconds = time.monotonic(), 0, GIVE_UP_AFTER_S
        try:
            while True:
                try:
                    found = function()
                except StoreUnavailable as error:
                    waited = time.monotonic() - began
                    if waited >= (seconds if error.is_busy else min(seconds, unless_busy)):
                        raise
                    if waited >= SAID_AFTER_S:
                        self.say(began, error.reason)
                    failures += 1
                    time.sleep(backoff(failures, FIRST_PAUSE_S, LONGEST_PAUSE_S))
                else:
                    self.over()
                    return found
        finally:
            self._waiting.is_whole = False


def lost_at_work(context: ExceptionContext) -> None:
    """A connection that was ended within a statement is at it for ever, as psycopg sees it: it is a lost one."""
    if "connection in transaction status ACTIVE" in str(context.original_exception):
        context.is_disconnect = True


def patient(method: Callable[..., T]) -> Callable[..., T]:
    """A method of what has a `Database` as its ``_database``, tried again while that does not answer."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> T:
        outage: Outage = self._database.outage
        return outage.patiently(lambda: method(self, *args, **kwargs))

    return call


def all_patient(store: C) -> C:
    """A class of which every public method is `patient`, but those that give their results one by one."""
    for name, method in list(vars(store).items()):
        if inspect.isfunction(method) and not name.startswith("_") and not inspect.isgeneratorfunction(method):
            setattr(store, name, patient(method))
    return store
