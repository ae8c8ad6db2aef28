"""How calls are made: their timeout, their retries, and what counts as a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

from pydantic import field_validator

from prefect_experiments.engine.limits import status_of
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.options import Attempts, Options
from prefect_experiments.references import load_reference

# phoenix-evals' own error has no status, and gRPC's status is not HTTP's.
RATE_LIMIT_NAMES = frozenset({"RateLimitError", "TooManyRequests", "ResourceExhausted"})


class CallPolicy(Attempts):
    """How calls are made; the same for tasks and evaluators.

    Async work whose time is up is cancelled; a thread cannot be stopped, so it is no longer waited for. Waiting for a
    rate limit does not count.

    Raises:
        InvalidSetting: a value out of its range, or no exception classes.
    """

    @field_validator("rate_limit_errors")
    @classmethod
    def _classes(cls, errors: Any) -> tuple[type[BaseException], ...] | None:
        return None if errors is None else _error_classes(errors)

    @classmethod
    def of(cls, given: Options, **instead: Any) -> Self:
        """The policy that options ask for, with references to exception classes followed."""
        errors = given["rate_limit_errors"]
        if errors is None:
            return super().of(given, **instead)
        every = errors if isinstance(errors, Sequence) and not isinstance(errors, str) else [errors]
        found = tuple(load_reference(error) if isinstance(error, str) else error for error in every)
        return super().of(given, rate_limit_errors=found, **instead)

    def is_rate_limit(self, error: BaseException) -> bool:
        """Whether an error says that calls come too fast."""
        if self.rate_limit_errors is None:
            return status_of(error) == 429 or any(c.__name__ in RATE_LIMIT_NAMES for c in type(error).__mro__)
        return isinstance(error, cast("tuple[type[BaseException], ...]", self.rate_limit_errors))


def _error_classes(errors: Any) -> tuple[type[BaseException], ...]:
    every = tuple(errors) if isinstance(errors, list | tuple | set | frozenset) else (errors,)
    for error in every:
        if not (isinstance(error, type) and issubclass(error, BaseException)):
            raise InvalidSetting(f"rate_limit_errors takes exception classes, got {error!r:.100}")
    return every
