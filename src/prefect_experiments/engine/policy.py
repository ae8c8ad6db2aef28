"""How calls are made: their timeout, their retries, and what counts as a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect_experiments.engine.limits import status_of
from prefect_experiments.errors import InvalidSetting

# phoenix-evals' own error has no status, and gRPC's status is not HTTP's.
RATE_LIMIT_NAMES = frozenset({"RateLimitError", "TooManyRequests", "ResourceExhausted"})


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How calls are made; the same for tasks and evaluators.

    Attributes:
        timeout: seconds for one attempt, ``None`` for no limit. Async work is cancelled; a thread
            cannot be stopped, so it is no longer waited for. Waiting for a rate limit does not count.
        retries: further attempts after one that raised.
        rate_limit_errors: errors that say "too fast": they lower the rate and use up no retry.
            ``None``: any error that carries HTTP status 429 or is of a class, or derived from one,
            called ``RateLimitError``, ``TooManyRequests`` or ``ResourceExhausted``.

    Raises:
        InvalidSetting: a value out of its range, or no exception classes.
    """

    timeout: float | None = 60.0
    retries: int = 3
    rate_limit_errors: tuple[type[BaseException], ...] | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and not (_is_number(self.timeout) and self.timeout > 0):
            raise InvalidSetting(f"timeout must be above 0 seconds (or None for no limit), got {self.timeout!r}")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise InvalidSetting(f"retries must be a whole number of at least 0, got {self.retries!r}")
        if self.rate_limit_errors is not None:
            object.__setattr__(self, "rate_limit_errors", _error_classes(self.rate_limit_errors))

    def is_rate_limit(self, error: BaseException) -> bool:
        """Whether an error says that calls come too fast."""
        if self.rate_limit_errors is None:
            return status_of(error) == 429 or any(c.__name__ in RATE_LIMIT_NAMES for c in type(error).__mro__)
        return isinstance(error, self.rate_limit_errors)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _error_classes(errors: Any) -> tuple[type[BaseException], ...]:
    every = tuple(errors) if isinstance(errors, list | tuple | set | frozenset) else (errors,)
    for error in every:
        if not (isinstance(error, type) and issubclass(error, BaseException)):
            raise InvalidSetting(f"rate_limit_errors takes exception classes, got {error!r:.100}")
    return every
