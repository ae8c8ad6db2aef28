"""A backend that takes nothing: how long it has been so, when to ask again, when to say so."""

from __future__ import annotations

import math
import random
import time

from prefect_experiments.errors import BackendUnavailable, ExperimentsError

HICCUPS = 4  # failures in a row that are no outage yet
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
LONGEST_ASKED_PAUSE_S = 60.0
WORTH_SAYING_S = 5.0
SAY_AGAIN_AFTER_S = 60.0


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after so many failures: twice as long each time, and a little at random."""
    return min(first * 2.0 ** (min(failures, 20) - 1), longest) * random.uniform(0.75, 1.0)  # noqa: S311 - no secret


class CircuitBreaker:
    """Failures since a backend has last taken something.

    Some in a row make an outage, as does a backend that asks to be left alone (``Retry-After``).

    Attributes:
        again_at: when it is worth asking again, by `time.monotonic`.
        reason: what the last failure was.
    """

    def __init__(self) -> None:
        self.again_at = 0.0
        self.reason = ""
        self._failures = 0
        self._since = math.inf
        self._pauses = 0
        self._paused_at = -math.inf
        self._said_at: float | None = None
        self._said_reason: str | None = None
        self._waited = 0.0

    @property
    def is_outage(self) -> bool:
        """Whether it is more than a hiccup."""
        return self._pauses > 0

    def failed(self, error: ExperimentsError, began: float) -> None:
        """Take note that a request failed, which began at a moment."""
        now = time.monotonic()
        self.reason = str(error)
        self._since = min(self._since, began)
        self._failures += 1
        asked = error.retry_after if isinstance(error, BackendUnavailable) else None
        if asked is not None:
            self.again_at = max(self.again_at, now + min(asked, LONGEST_ASKED_PAUSE_S))
        elif self._failures <= HICCUPS:
            return
        if began >= self._paused_at:  # else it was under way when the pause began, and is no news
            self._pauses += 1
            self._paused_at = now
            if asked is None or self._pauses > 1:  # at first it is believed that what it asks for is enough
                self.again_at = max(self.again_at, now + backoff(self._pauses, FIRST_PAUSE_S, LONGEST_PAUSE_S))

    def passed(self, began: float) -> float | None:
        """Take note that a request succeeded; the seconds of the outage that this ends, if people know of it."""
        if began < self._paused_at:  # it was under way when the trouble began
            return None
        lasted = None if self._said_at is None else time.monotonic() - self._since
        self._waited += lasted or 0.0
        self.again_at, self._failures, self._since = 0.0, 0, math.inf
        self._pauses, self._paused_at, self._said_at = 0, -math.inf, None
        return lasted

    def is_to_be_said(self) -> bool:
        """Whether people should be told now; a hiccup is not worth a line. Told so, it takes it as said."""
        now = time.monotonic()
        worth = self._pauses > 1 or (self.is_outage and self.again_at - now >= WORTH_SAYING_S)
        if not worth or (self._said_at is not None and now - self._said_at < SAY_AGAIN_AFTER_S):
            return False
        self._said_at, self._said_reason = now, self.reason
        return True

    def waited(self) -> tuple[float, str | None]:
        """Seconds of all outages that people were told of, and what the last one was."""
        going_on = 0.0 if self._said_at is None else time.monotonic() - self._since
        return self._waited + going_on, self._said_reason
