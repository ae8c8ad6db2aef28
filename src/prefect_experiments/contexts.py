"""The context that each call of a task or an evaluator has to itself.

A call begins in a copy of the caller's context, and what it sets there (a ContextVar, the precision of
`decimal`, OpenTelemetry's baggage) ends with it: no example sees what another has left. What Python does
not keep in contexts, that is globals, the environment and thread-locals, is the calls' own business.
"""

from __future__ import annotations

import contextvars
import decimal
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


def begun(function: Callable[..., T], *args: Any) -> T:
    """Call the function as the first thing in a new copy of the caller's context."""
    _in_call.set(True)
    # A copy of a context shares what the variables hold, and decimal's own context is one that changes.
    if _decimal is not None and (shared := _decimal.get(None)) is not None:
        _decimal.set(shared.copy())
    return function(*args)


def apart(function: Callable[..., T], *args: Any) -> T:
    """Call the function in a copy of the present context."""
    return contextvars.copy_context().run(begun, function, *args)
