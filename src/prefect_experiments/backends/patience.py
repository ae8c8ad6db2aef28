"""How long a backend is left alone after trouble that passes, and how long one request is gone on with."""

from __future__ import annotations

import time

from prefect_experiments.backoff import backoff
from prefect_experiments.errors import BackendUnavailable, ExperimentsError

ATTEMPTS = 3
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 10.0
LONGEST_ASKED_PAUSE_S = 60.0
DISTRUST_S = 1.0  # so long at most it is left alone for longer than it asks to, when that was not enough
ASKED_PATIENCE_S = 120.0


def asked_pause(error: ExperimentsError) -> float | None:
    """Seconds that a backend asked to be left alone (``Retry-After``), as far as that is believed."""
    asked = error.retry_after if isinstance(error, BackendUnavailable) else None
    return None if asked is None else min(asked, LONGEST_ASKED_PAUSE_S)


def asks_too_much(error: ExperimentsError) -> bool:
    """Whether a backend asked to be left alone for longer than one request is gone on with."""
    return isinstance(error, BackendUnavailable) and (error.retry_after or 0.0) > ASKED_PATIENCE_S


def pause_after(failures: int, asked: float | None, first: float, longest: float) -> float:
    """Seconds to leave a backend alone after so many failures.

    What it asks for is enough at first, and nearly so for ever: one that is back soon is found back soon.
    """
    if asked is None:
        return backoff(failures, first, longest)
    return asked if failures == 1 else max(asked, backoff(failures, first, min(longest, DISTRUST_S)))


class Patience:
    """With one request: so many attempts; more, for so long, while the backend says when to come back."""

    def __init__(self, attempts: int = ATTEMPTS, first: float | None = None, longest: float | None = None) -> None:
        self._attempts = attempts
        self._first = FIRST_PAUSE_S if first is None else first
        self._longest = LONGEST_PAUSE_S if longest is None else longest
        self._failures = self._unasked = 0
        self._until = 0.0

    def pause(self, error: ExperimentsError) -> float | None:
        """Seconds to wait before the next attempt; ``None`` where it is the last one that has failed."""
        now = time.monotonic()
        self._until = self._until or now + ASKED_PATIENCE_S
        if asks_too_much(error):
            return None
        asked = asked_pause(error)
        self._failures += 1
        self._unasked += asked is None
        if self._unasked >= self._attempts or now >= self._until:
            return None
        return pause_after(self._failures if asked is not None else self._unasked, asked, self._first, self._longest)
