"""What keeps an experiment's calls from ending, for whoever watches it: attempts that failed and are made again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from prefect_experiments.engine.limits import RateLimit
from prefect_experiments.errors import describe
from prefect_experiments.secret_texts import without_secrets
from prefect_experiments.texts import shortened

_LONGEST_REASON = 100


class Trouble:
    """The attempts that were refused, timed out or failed otherwise, told of while a call is tried again for it.

    Args:
        limits: the providers' limits that have been met, by which a refused call is tried again.
        clock: what tells the time, in seconds.
    """

    def __init__(self, limits: Collection[RateLimit] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._refused = self._timed_out = self._failed = 0
        self._last: BaseException | None = None
        self._again: dict[int, float] = {}
        self._calls = 0

    def begin(self) -> int:
        """A call begins; gives its number."""
        self._calls += 1
        return self._calls

    def note(self, call: int, error: BaseException, *, refused: bool = False, wait: float = 0.0) -> None:
        """An attempt of that call has failed, and the call is tried again.

        Args:
            call: its number.
            error: what it ended with.
            refused: whether the provider said that calls come too fast.
            wait: the seconds until the next attempt, if no limit makes it wait for longer.
        """
        if refused:
            self._refused += 1
        elif any("Timeout" in kind.__name__ for kind in type(error).__mro__):
            self._timed_out += 1
        else:
            self._failed += 1
        self._last = error
        self._again[call] = self._clock() + wait

    def end(self, call: int) -> None:
        """The call has ended, however it did."""
        self._again.pop(call, None)

    def __str__(self) -> str:
        """Such as ``23 attempts refused (RateLimitError: slow down), the next in 4 s``; empty where all is well."""
        if not self._again or self._last is None:
            return ""
        counts = [(self._refused, "refused"), (self._timed_out, "timed out"), (self._failed, "failed")]
        parts = [f"{count:,} {how}" for count, how in counts if count]
        parts[0] = parts[0].replace(" ", " attempt " if parts[0].startswith("1 ") else " attempts ", 1)
        last = "the last: " if len(parts) > 1 else ""
        return f"{', '.join(parts)} ({last}{_reason(self._last)}), {self._next()}"

    def _next(self) -> str:
        now = self._clock()
        wait = min(self._again.values()) - now
        if self._refused:
            wait = max([wait, *(limit.wait for limit in self._limits)])
        return f"the next in {wait:.0f} s" if wait >= 1 else "being tried again"


def _reason(error: BaseException) -> str:
    """What an error says, in one short line without secrets."""
    text = " ".join("".join(c if c.isprintable() else " " for c in without_secrets(describe(error))).split())
    return shortened(text, _LONGEST_REASON)
