"""Adaptive rate limits: one for each provider, shared by everything in the process that calls it.

A limit does nothing until a provider complains. Then it

* cuts the rate of call starts to half of what was just seen (once for all the calls that were
  already under way), and waits as long as ``Retry-After`` asks, or for a second;
* grows it again by 5 % a second, except while it waits; a server error only stops the growth.

Additive-increase/multiplicative-decrease in spirit (Chiu and Jain, 1989), with a
multiplicative increase because good rates differ by orders of magnitude between providers.

Where an experiment's calls are made by several processes, they keep to one limit together: each takes its part of the
rate, and what one hears of the provider the others get to know, see `known_limits` and `experiment.limits_in_step`.
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

from prefect_experiments.engine.known_limits import ALONE, GROWTH_PER_SECOND, HEARD_WITHIN_S, Known, Share

CUT = 0.5
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
        rate: call starts a second, of all processes that share it; infinite until the first cut.
        share: this process's part of it.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.rate = math.inf
        self.share = ALONE
        self._clock = clock
        self._lock = threading.Lock()
        self._next_start = 0.0
        self._paused_until = 0.0
        self._cut_at = -math.inf
        self._grown_at = 0.0
        self._refused_since: float | None = None
        self._last_refused = -math.inf
        self._has_succeeded = False  # since that was last told
        self._succeeded_at = -math.inf
        self._has_news = False

    async def acquire(self) -> None:
        """Wait until a call may start."""
        # Nothing is promised to who waits: the rate may be cut, or grow, in the meantime.
        while (wait := self._take_start()) > 0:  # noqa: ASYNC110 - for a time to come, not for an event
            # Where others share it, they may leave, and what waits for long would start sooner.
            await asyncio.sleep(wait if self.share.of == 1 else min(wait, HEARD_WITHIN_S / 2))

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
            self._next_start = max(self._next_start, now - _CATCH_UP_S) + self.share.of / self.rate
            return 0.0

    @property
    def wait(self) -> float:
        """The seconds until a call may start."""
        return max(self._paused_until, self._next_start) - self._clock()

    def succeeded(self) -> None:
        """A call came back well."""
        self._refused_since = None
        self._has_succeeded = True

    def server_failed(self) -> None:
        """The provider had an error of its own: do not grow for a while."""
        with self._lock:
            now = self._clock()
            self._grow(now)
            self._grown_at = max(self._grown_at, now + GROWTH_PAUSE_S)
            self._has_news = True

    def exceeded(self, started: float, retry_after: float | None, observed: float, share: Share | None = None) -> bool:
        """The provider said that calls come too fast; whether that says anything new.

        Args:
            started: when the refused call began (`clock` time); calls that began before the last
                cut say nothing new.
            retry_after: seconds to wait, where the provider said so.
            observed: the rate at which calls were really starting, a second, of this process.
            share: this process's part of the limit, where it shares it.
        """
        with self._lock:
            now = self._clock()
            self._note_refusal(now)
            if share is not None:
                self.share = share
            # Others start calls at the old rate until they have heard of the cut.
            says_something_new = started >= self._cut_at + (0.0 if self.share.of == 1 else HEARD_WITHIN_S)
            if says_something_new:
                # Where there was a pause lately, what was seen is less than what was let through.
                paused_lately = self.rate != math.inf and now - self._paused_until < OBSERVED_S
                seen = self.rate if paused_lately else min(self.rate, self.share.together(observed))
                self.rate = max(SLOWEST, CUT * seen)
                self._cut_at = now
            if retry_after or says_something_new:
                wait = min(retry_after or COOL_DOWN_S, LONGEST_RETRY_AFTER_S)
                self._pause(now + wait)
                self._has_news = True
            # The rate does not grow while nothing is tried.
            self._grown_at = max(self._grown_at, now, self._paused_until)
            return bool(retry_after or says_something_new)

    def _pause(self, until: float) -> None:
        """Start no call before; then those who share the limit do not all start one at the same moment."""
        self._paused_until = max(self._paused_until, until)
        self._next_start = max(self._next_start, self._paused_until + self.share.place / self.rate)

    # What those who share it tell each other

    @property
    def has_news(self) -> bool:
        """Whether others have to know something that was not told before."""
        return self._has_news

    def news(self) -> Known | None:
        """What others have to know that was not told before; ``None`` where there is nothing."""
        with self._lock:
            has_news, self._has_news = self._has_news, False
            return self._known(self._clock()) if has_news else None

    def untold(self) -> None:
        """What `news` gave last has not reached the others."""
        self._has_news = True

    def known(self) -> Known:
        """All that this process knows of it now."""
        with self._lock:
            return self._known(self._clock())

    def _known(self, now: float) -> Known:
        self._grow(now)
        if self._has_succeeded:
            self._has_succeeded, self._succeeded_at = False, now
        since_success = now - self._succeeded_at
        refused_for = 0.0 if self._refused_since is None else now - self._refused_since
        return Known(
            self.rate,
            max(0.0, self._paused_until - now),
            0.0 if self.rate == math.inf else max(0.0, self._grown_at - now),
            now - self._cut_at,
            min(refused_for, since_success),
            since_success,
        )

    def learn(self, heard: Known, share: Share) -> None:
        """Keep to what others know as well.

        Args:
            heard: what they know now.
            share: this process's part of the limit now.
        """
        with self._lock:
            now = self._clock()
            together = self._known(now).merged(heard)
            has_more = share.of < self.share.of
            self.rate, self.share = together.rate, share
            self._cut_at = max(self._cut_at, now - heard.since_cut)
            if heard.pause and now + heard.pause > self._paused_until:
                self._pause(now + heard.pause)
            if has_more:
                self._next_start = min(self._next_start, max(now, self._paused_until) + share.of / self.rate)
            self._grown_at = max(self._grown_at, now + heard.hold)
            self._succeeded_at = max(self._succeeded_at, now - heard.since_success)
            self._refused_since = now - together.refused_for if together.refused_for else None
            if heard.refused_for:
                self._last_refused = now

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
        met_by: those of them that the calls of one target have met, by its name.
        share_of: gives this process's part of a provider's limit, where others share it.
        heard: is called when a provider has said something new.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, pace: Pace | None = None) -> None:
        self.met: list[RateLimit] = []
        self.pace = pace
        self.met_by: dict[str, list[RateLimit]] = {}
        self.share_of: Callable[[str], Share] | None = None
        self.heard: Callable[[], None] = lambda: None
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
        limit = self.meet(provider_of(error))
        share = self.share_of(limit.name) if self.share_of else None
        if limit.exceeded(started, retry_after_of(error), self._observed(started), share):
            self.heard()
        return limit

    def meet(self, provider: str) -> RateLimit:
        """The limit of that provider, to which the experiment's calls keep from now on."""
        limit = shared_limit(provider)
        if limit not in self.met:
            self.met.append(limit)
        return limit

    def of_target(self, name: str) -> list[RateLimit]:
        """The limits that the calls of one target have met; further ones are added to it."""
        return self.met_by.setdefault(name, [])

    def observed(self) -> float | None:
        """Call starts a second, lately; ``None`` where there was never one."""
        return self._observed(self._clock()) if self._starts else None

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
