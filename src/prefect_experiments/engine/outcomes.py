"""How one call of a task or an evaluator went: its attempts, and what became of it."""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from typing import Any

from prefect_experiments.errors import describe


@dataclass(slots=True)
class Attempt:
    """One try.

    Attributes:
        start: seconds since the epoch.
        began: the same moment on the monotonic clock.
        seconds: how long it took.
        context: what it saw and could change, for what is left to do of it.
        noted: whether the rate was cut for its sake already.
    """

    value: Any
    error: BaseException | None
    start: float
    began: float
    seconds: float
    context: contextvars.Context | None = None
    noted: bool = False


@dataclass(slots=True)
class CallResult:
    """How a call ended, after its last attempt.

    Attributes:
        raised: what the last attempt raised, where it failed.
        context: what it saw and could change, where it succeeded.
    """

    value: Any
    error: str | None
    error_type: str | None
    start: float
    end: float
    attempts: int
    raised: BaseException | None = None
    context: contextvars.Context | None = None


class Withheld(Exception):
    """No further call may begin: this one has not, or is not tried again.

    Attributes:
        failed: how it ended at its last attempt, where there was one.
    """

    def __init__(self, failed: CallResult | None) -> None:
        super().__init__()
        self.failed = failed


def succeeded(attempt: Attempt, attempts: int) -> CallResult:
    """The result of an attempt that raised nothing."""
    end = attempt.start + attempt.seconds
    return CallResult(attempt.value, None, None, attempt.start, end, attempts, context=attempt.context)


def failed(error: BaseException, attempt: Attempt, attempts: int) -> CallResult:
    """The result of a call whose last attempt raised this."""
    end = attempt.start + attempt.seconds
    return CallResult(None, describe(error), type(error).__name__, attempt.start, end, attempts, error)
