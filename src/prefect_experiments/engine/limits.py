"""Adaptive rate limits: one for each provider, shared by everything in the process that calls it.

A limit does nothing until a provider complains. Then it

* cuts the rate of call starts to half of what was just seen (once for all the calls that were
  already under way), and waits as long as ``Retry-After`` asks, or for a second;
* grows it again by 5 % a second, except while it waits; a server error only stops the growth.

Additive-increase/multiplicative-decrease in spirit (Chiu and Jain, 1989), with a
multiplicative increase because good rates differ by orders of magnitude between providers.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

CUT = 0.5
GROWTH_PER_SECOND = 0.05
GROWTH_PAUSE_S = 5.0
COOL_DOWN_S = 1.0  # after a cut without Retry-After, or what is tried next is refused for what came before
SLOWEST = 0.1  # call starts a second
STARVED_AFTER_S = 600.0  # no success for this long: the limit is a wall, not a rate
LONGEST_RETRY_AFTER_S = 600.0
OBSERVED_S = 5.0
# Providers count by the second or the minute: a burst that took a moment was a second's worth.
OBSERVED_AT_LEAST_S = 1.0
_CATCH_UP_S = 0.02  # timers are late by so much


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
        self._refused_since: float | None = None
        self._last_refused = -math.inf

    async def acquire(self) -> None:
        """Wait until a call may start."""
        # Nothing is promised to who waits: the rate may be cut, or grow, in the meantime.
        while (wait := self._take_start()) > 0:  # noqa: ASYNC110 - for a time to come, not for an event
            await asyncio.sleep(wait)

    def _take_start(self) -> float:
        """Take the next start if it is free now; the seconds until then if it is not."""
        with self._lock:
            now = self._clock()
            self._grow(now)
            if self.is_starved(now):  # nothing is left to be careful for, and calls had better fail soon
                return max(0.0, self._paused_until - now)
            free = max(self._paused_until, self._next_start)
            if free > now:
                return free - now
            self._next_start = max(self._next_start, now - _CATCH_UP_S) + 1 / self.rate
            return 0.0

    @property
    def wait(self) -> float:
        """The seconds until a call may start."""
        return max(self._paused_until, self._next_start) - self._clock()

    def succeeded(self) -> None:
        """A call came back well."""
        self._refused_since = None

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
            self._note_refusal(now)
            says_something_new = started >= self._cut_at
            if says_something_new:
                # Where there was a pause lately, what was seen is less than what was let through.
                paused_lately = self.rate != math.inf and now - self._paused_until < OBSERVED_S
                self.rate = max(SLOWEST, CUT * (self.rate if paused_lately else min(self.rate, observed)))
                self._cut_at = now
            if retry_after or says_something_new:
                wait = min(retry_after or COOL_DOWN_S, LONGEST_RETRY_AFTER_S)
                self._paused_until = max(self._paused_until, now + wait)
                self._next_start = max(self._next_start, self._paused_until)
            # The rate does not grow while nothing is tried.
            self._grown_at = max(self._grown_at, now, self._paused_until)

    def _note_refusal(self, now: float) -> None:
        # Refusals that lie far apart have nothing to do with each other: an hour's pause between
        # two experiments is no hour without success.
        if self._refused_since is None or now - self._last_refused > 2 * STARVED_AFTER_S:
            self._refused_since = now
        self._last_refused = now

    def is_starved(self, refused_since: float) -> bool:
        """Whether waiting on is pointless: nothing has come through for too long, or not this call.

        Args:
            refused_since: when the call that asks was refused for the first time (`clock` time).
                One that is always refused while others pass must not be tried for ever.
        """
        now = self._clock()
        paused = max(0.0, self._paused_until - now)
        every = self._refused_since
        since = refused_since if every is None else min(refused_since, every)
        return now - since > STARVED_AFTER_S + paused

    def _grow(self, now: float) -> None:
        if self.rate != math.inf and now > self._grown_at:
            self.rate *= 1 + GROWTH_PER_SECOND * (now - self._grown_at)
            self._grown_at = now


class Pace(Protocol):
    """What says when a call may start, for reasons that no provider has given."""

    async def acquire(self) -> None:
        """Wait until a call may start."""


class ActiveLimits:
    """The limits that one experiment has met so far, and the rate at which its calls start.

    Attributes:
        met: providers' limits.
        pace: what else calls have to wait for.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, pace: Pace | None = None) -> None:
        self.met: list[RateLimit] = []
        self.pace = pace
        self._clock = clock
        self._starts: deque[float] = deque(maxlen=1000)

    def note_start(self) -> None:
        """A call starts."""
        self._starts.append(self._clock())

    def note_starts(self, began: Iterable[float]) -> None:
        """Calls have started at these times (`clock` time)."""
        self._starts.extend(began)

    def exceeded(self, error: BaseException, started: float) -> RateLimit:
        """An error said "too fast": cut the rate of the provider that raised it."""
        limit = shared_limit(provider_of(error))
        if limit not in self.met:
            self.met.append(limit)
        limit.exceeded(started, retry_after_of(error), self._observed(started))
        return limit

    def _observed(self, started: float) -> float:
        """Call starts a second, lately: for slow calls since the refused one began."""
        now = self._clock()
        since = min(now - OBSERVED_S, started)
        recent = [start for start in list(self._starts) if start >= since]
        return max(len(recent), 1) / max(now - min(recent, default=started), OBSERVED_AT_LEAST_S)


_shared: dict[str, RateLimit] = {}
_shared_lock = threading.Lock()


def shared_limit(name: str) -> RateLimit:
    """The limit of that provider, one for the whole process."""
    with _shared_lock:
        return _shared.setdefault(name, RateLimit(name))


def provider_of(error: BaseException) -> str:
    """Whose limit an error speaks of: the host it came from, else the library that raised it."""
    host = _get(_get(_get(error, "request"), "url"), "host")
    if host:
        return str(host)
    kind = type(error)
    root = kind.__module__.partition(".")[0]
    return f"{kind.__module__}.{kind.__qualname__}" if root in {"builtins", "__main__"} else root


def status_of(error: BaseException) -> int | None:
    """The HTTP status an error carries, in any of the usual places."""
    response = _get(error, "response")
    values = [_get(holder, name) for holder in (error, response) for name in ("status_code", "status", "code")]
    if isinstance(response, Mapping):  # botocore
        values.append(_item(response, "ResponseMetadata", "HTTPStatusCode"))
    return next((int(value) for value in values if isinstance(value, int) and 100 <= value < 600), None)


def retry_after_of(error: BaseException) -> float | None:
    """The seconds a provider asked to wait: ``Retry-After`` as seconds or as an HTTP date."""
    response = _get(error, "response")
    values = [_get(error, "retry_after")]
    for headers in (
        _get(response, "headers"),
        _get(error, "headers"),
        _item(response, "ResponseMetadata", "HTTPHeaders"),
    ):
        values += [_item(headers, name) for name in ("retry-after", "Retry-After")]
    return next((seconds for value in values if (seconds := _seconds(value)) is not None), None)


def _seconds(value: Any) -> float | None:
    """The seconds from now that a ``Retry-After`` means; ``None`` where it means nothing, or no wait."""
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError, OverflowError):
        try:
            date = parsedate_to_datetime(str(value))
            # The oldest of the three forms of HTTP dates names no zone: all of them are in GMT.
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError, IndexError):
            return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _get(holder: Any, name: str) -> Any:
    """An attribute, ``None`` where reading it fails: httpx raises when an error has no request."""
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - a property of someone else's class
        return None


def _item(holder: Any, *names: str) -> Any:
    """What a mapping holds under these names, one below the other; ``None`` where there is nothing."""
    for name in names:
        get = _get(holder, "get")
        try:
            holder = get(name) if callable(get) else None
        except Exception:  # noqa: BLE001 - as in `_get`
            return None
    return holder
