"""A backend that takes nothing: how long it has been so, when to ask again, when to say so."""

from __future__ import annotations

import math
import time

from prefect_experiments.backends.patience import asked_pause, pause_after
from prefect_experiments.errors import ExperimentsError

HICCUPS = 4  # failures in a row that are no outage yet
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
WORTH_SAYING_S = 5.0
SAY_AGAIN_AFTER_S = 60.0


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
        asked = asked_pause(error)
        if asked is not None:
            self.again_at = max(self.again_at, now + asked)
        elif self._failures <= HICCUPS:
            return
        if began >= self._paused_at:  # else it was under way when the pause began, and is no news
            self._pauses += 1
            self._paused_at = now
            pause = pause_after(self._pauses, asked, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            self.again_at = max(self.again_at, now + pause)

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
