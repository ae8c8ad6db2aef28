"""The context that each call of a task or an evaluator has to itself.

A call begins in a copy of the caller's context, and what it sets there (a ContextVar, the precision of
`decimal`, OpenTelemetry's baggage) ends with it: no example sees what another has left. What Python does
not keep in contexts, that is globals, the environment and thread-locals, is the calls' own business.
"""

from __future__ import annotations

import contextvars
import decimal
import functools
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_in_call: contextvars.ContextVar[bool] = contextvars.ContextVar("prefect_experiments_in_call", default=False)


def _variable_of_decimal() -> contextvars.ContextVar[decimal.Context] | None:
    context: Any = contextvars.Context()
    context.run(decimal.getcontext)
    return next((variable for variable in context if variable.name == "decimal_context"), None)


_decimal = _variable_of_decimal()


def in_call() -> bool:
    """Whether this code runs in a call of an experiment, whose timeout and rate limits hold for it."""
    return _in_call.get()


def make_calls_here() -> None:
    """Say that the calls of an experiment are made from copies of the present context."""
    _in_call.set(True)


def alone(function: Callable[..., T]) -> Callable[..., T]:
    """The function, to be called first in a new copy of the present context.

    A copy shares what the variables hold, and `decimal`'s own context is an object that changes: where the
    present context has one, the function gets a copy of that too.
    """
    return (
        function if _decimal is None or _decimal.get(None) is None else functools.partial(_with_own_decimal, function)
    )


def _with_own_decimal(function: Callable[..., T], *args: Any) -> T:
    if _decimal is not None and (shared := _decimal.get(None)) is not None:
        _decimal.set(shared.copy())
    return function(*args)
