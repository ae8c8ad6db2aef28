"""The rate limiter of phoenix-evals, which yields to the limits of an experiment.

An `LLM` of phoenix-evals starts 5 calls a second at first, whatever its provider takes, and has its calls wait
inside themselves, where an experiment counts the seconds against ``timeout``. Of a provider's refusal it makes
an error without ``Retry-After``. An experiment has limits of its own, which all its calls share: its calls go
straight to the provider, and what that refuses lowers the experiment's rate. Other calls stay as they are.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from prefect_experiments.contexts import in_call

_MODULE = "phoenix.evals.rate_limiters"
_MARK = "_yields_to_experiments"


def yield_to_experiments() -> None:
    """See to it, where phoenix-evals is in use; once for the process."""
    limiter = getattr(sys.modules.get(_MODULE), "RateLimiter", None)
    if limiter is not None and not hasattr(limiter, _MARK):
        setattr(limiter, _MARK, True)
        for name in ("limit", "alimit"):
            setattr(limiter, name, _yielding(getattr(limiter, name)))


def _yielding(limit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(limit)
    def of(limiter: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        limited = limit(limiter, function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return (function if in_call() else limited)(*args, **kwargs)

        return call

    return of
