"""Adaptive rate limits: one for each provider, shared by everything in the process that calls it.

A limit does nothing until a provider complains. Then it

* cuts the rate of call starts to half of what was just seen (once for all the calls that were
  already under way), and waits as long as ``Retry-After`` asks;
* grows it again by 5 % a second while calls succeed; a server error only stops the growth.

Additive-increase/multiplicative-decrease in spirit (Chiu and Jain, 1989), with a
multiplicative increase because good rates differ by orders of magnitude between providers.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

CUT = 0.5
GROWTH_PER_SECOND = 0.05
GROWTH_PAUSE_S = 5.0
SLOWEST = 0.1  # call starts a second
STARVED_AFTER_S = 600.0  # no success for this long: the limit is a wall, not a rate
LONGEST_RETRY_AFTER_S = 600.0
_OBSERVED_S = 5.0


class RateLimit:
    """The rate at which calls to one provider may start. Safe to share between threads and loops.

    Attributes:
        name: the provider, for messages.
        rate: call starts a second; infinite until the first cut.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.rate = math.inf
        self._clock = clock
        self._lock = threading.Lock()
        self._next_start = 0.0
        self._paused_until = 0.0
        self._cut_at = -math.inf
        self._grown_at = 0.0
        self._cuts = 0
        self._last_success = -math.inf

    async def acquire(self) -> None:
        """Wait until a call may start."""
        while True:
            wait, cuts = self._reserve()
            if wait <= 0:
                return
            await asyncio.sleep(wait)
            with self._lock:
                # A cut or a pause while we slept makes the reservation worthless.
                if cuts == self._cuts and self._clock() >= self._paused_until:
                    return

    def _reserve(self) -> tuple[float, int]:
        """The seconds to wait for the next free start, and the cuts known so far."""
        with self._lock:
            now = self._clock()
            self._grow(now)
            start = max(now, self._paused_until)
            if self.rate != math.inf:
                start = max(start, self._next_start)
                self._next_start = start + 1 / self.rate
            return start - now, self._cuts

    def succeeded(self) -> None:
        """A call came back well."""
        self._last_success = self._clock()

    def server_failed(self) -> None:
        """The provider had an error of its own: do not grow for a while."""
        with self._lock:
            now = self._clock()
            self._grow(now)
            self._grown_at = max(self._grown_at, now + GROWTH_PAUSE_S)

    def exceeded(self, started: float, retry_after: float | None, observed: float) -> None:
        """The provider said that calls come too fast.

        Args:
            started: when the refused call began (`clock` time); calls that began before the last
                cut say nothing new.
            retry_after: seconds to wait, where the provider said so.
            observed: the rate at which calls were really starting, a second.
        """
        with self._lock:
            now = self._clock()
            if retry_after:
                self._paused_until = max(self._paused_until, now + min(retry_after, LONGEST_RETRY_AFTER_S))
            if started >= self._cut_at:
                self.rate = max(SLOWEST, CUT * min(self.rate, observed))
                self._cut_at = now
                self._cuts += 1
                if self._last_success == -math.inf:
                    self._last_success = now
            self._grown_at = now
            self._next_start = max(now, self._paused_until) + 1 / self.rate

    def is_starved(self) -> bool:
        """Whether nothing has come through for so long that waiting on is pointless."""
        return self._clock() - self._last_success > STARVED_AFTER_S + max(0.0, self._paused_until - self._clock())

    def _grow(self, now: float) -> None:
        if self.rate != math.inf and now > self._grown_at:
            self.rate *= 1 + GROWTH_PER_SECOND * (now - self._grown_at)
            self._grown_at = now


class ActiveLimits:
    """The limits that one experiment has met so far, and the rate at which its calls start."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.met: list[RateLimit] = []
        self._clock = clock
        self._starts: deque[float] = deque(maxlen=1000)

    def note_start(self) -> None:
        """A call starts."""
        self._starts.append(self._clock())

    def exceeded(self, error: BaseException, started: float) -> RateLimit:
        """An error said "too fast": cut the rate of the provider that raised it."""
        limit = shared_limit(provider_of(error))
        if limit not in self.met:
            self.met.append(limit)
        limit.exceeded(started, retry_after_of(error), self._observed())
        return limit

    def _observed(self) -> float:
        now = self._clock()
        recent = [start for start in list(self._starts) if start > now - _OBSERVED_S]
        return len(recent) / max(now - recent[0], 0.1) if recent else SLOWEST


_shared: dict[str, RateLimit] = {}
_shared_lock = threading.Lock()


def shared_limit(name: str) -> RateLimit:
    """The limit of that provider, one for the whole process."""
    with _shared_lock:
        return _shared.setdefault(name, RateLimit(name))


def provider_of(error: BaseException) -> str:
    """Whose limit an error speaks of: the host it came from, else the library that raised it."""
    host = getattr(getattr(getattr(error, "request", None), "url", None), "host", None)
    if host:
        return str(host)
    kind = type(error)
    root = kind.__module__.partition(".")[0]
    return f"{kind.__module__}.{kind.__qualname__}" if root in {"builtins", "__main__"} else root


def status_of(error: BaseException) -> int | None:
    """The HTTP status an error carries, in any of the usual places."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and 100 <= value < 600:
                return int(value)
    return None


def retry_after_of(error: BaseException) -> float | None:
    """The seconds a provider asked to wait: ``Retry-After`` as seconds or as an HTTP date."""
    value: Any = getattr(error, "retry_after", None)
    if value is None:
        headers = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None)
        if headers is None or not hasattr(headers, "get"):
            return None
        value = headers.get("retry-after") or headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        try:
            seconds = parsedate_to_datetime(str(value)).timestamp() - time.time()
        except ValueError:
            return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
