"""The context that each call of a task or an evaluator has to itself.

A call begins in a copy of the caller's context, and what it sets there (a ContextVar, the precision of
`decimal`, OpenTelemetry's baggage) ends with it: no example sees what another has left. What Python does
not keep in contexts, that is globals, the environment and thread-locals, is the calls' own business.
"""

from __future__ import annotations

import contextlib
import contextvars
import decimal
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_UNSET: Any = object()
_set_by_imports: dict[contextvars.ContextVar[Any], Any] = {}

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
    """Say that the calls of an experiment are made from copies of the present context.

    What the modules of tasks and evaluators have set when they were imported is set here too, unless the caller
    has set it: wherever the import took place, the calls see it as after an ``import`` of the caller's own.
    """
    _in_call.set(True)
    for variable, value in list(_set_by_imports.items()):
        if variable.get(_UNSET) is _UNSET:
            variable.set(value)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Take note of what is set in the present context meanwhile, for `make_calls_here`."""
    before = contextvars.copy_context()
    yield
    after = contextvars.copy_context()
    _set_by_imports.update((key, value) for key, value in after.items() if before.get(key, _UNSET) is not value)


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
