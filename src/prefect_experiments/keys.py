"""Every key and fingerprint, made in this one place.

A key says *which* thing something is and is the same on every machine; a fingerprint says
whether it has *changed*. Both are sha256 over canonical JSON (sorted keys, no white space,
UTF-8), shortened where people read them.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import uuid
from collections.abc import Callable
from typing import Any

import orjson

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def canonical_json(value: Any) -> bytes:
    """Canonical JSON of a value that is JSON already; anything else by its ``repr``."""
    return orjson.dumps(value, default=repr, option=_CANONICAL)


def fingerprint(*parts: Any) -> str:
    """64 hex digits that change when any part changes."""
    return hashlib.sha256(canonical_json(list(parts))).hexdigest()


def new_id(prefix: str) -> str:
    """A new random id such as ``exp-3f9a0c2e71b84d65`` (64 random bits)."""
    return f"{prefix}-{uuid.uuid4().hex[:16]}"


def example_id(input_json: str, output_json: str | None, metadata_json: str) -> str:
    """The id of an example that brings none: made of its content, so it is the same everywhere.

    Doubles of one content are told apart by the caller with ``-2``, ``-3``, ...
    """
    content = "\x00".join((input_json, output_json or "", metadata_json))
    return "ex-" + hashlib.sha256(content.encode()).hexdigest()[:12]


def run_id(experiment_id: str, position: int, repetition_number: int) -> str:
    """The id of an experiment run.

    An example's position is fixed for all versions of its dataset, so (experiment, position,
    repetition) names the same thing as (experiment, example id, repetition).
    """
    return f"{experiment_id}.{position}.{repetition_number}"


def parse_run_id(run_id: str) -> tuple[str, int, int]:
    """The experiment, position and repetition of a run id.

    Raises:
        ValueError: the text is not a run id.
    """
    experiment_id, position, repetition_number = run_id.rsplit(".", 2)
    return experiment_id, int(position), int(repetition_number)


def evaluation_id(experiment_run_id: str, name: str) -> str:
    """The id of an evaluation: one name has one verdict on one experiment run."""
    return f"{experiment_run_id}.{name}"


def callable_fingerprint(obj: Any) -> str:
    """Changes when a callable's own code, bound arguments or attributes change.

    What the callable calls is not followed: give an evaluator a new ``version`` when only a
    helper or a prompt file behind it has changed.
    """
    return fingerprint(_describe(obj))


def _describe(obj: Any) -> list[Any]:
    if isinstance(obj, functools.partial):
        return ["partial", _describe(obj.func), _stable(obj.args), _stable(obj.keywords)]
    if inspect.ismethod(obj):
        return ["method", _describe(obj.__func__), _describe_instance(obj.__self__)]
    if inspect.isfunction(obj) or inspect.isbuiltin(obj):
        return ["function", getattr(obj, "__qualname__", ""), _code(obj), _defaults(obj)]
    if inspect.isclass(obj):
        return ["class", obj.__qualname__, _code(obj)]
    return ["object", *_describe_instance(obj)]


def _describe_instance(obj: Any) -> list[Any]:
    if inspect.isclass(obj) or inspect.ismodule(obj):
        return [obj.__name__]
    return [type(obj).__qualname__, _code(type(obj)), _stable(getattr(obj, "__dict__", {}))]


def _code(obj: Any) -> str:
    """The source text, or where there is none (REPL, exec) the compiled code."""
    try:
        return inspect.getsource(obj)
    except (OSError, TypeError):
        code = getattr(obj, "__code__", None)
        if code is None:
            return str(getattr(obj, "__qualname__", ""))
        constants = repr([c for c in code.co_consts if not inspect.iscode(c)])
        return f"{code.co_code.hex()}{constants}"


def _defaults(obj: Callable[..., Any]) -> list[Any]:
    closure = getattr(obj, "__closure__", None) or ()
    cells = [_cell(cell) for cell in closure]
    return [_stable(getattr(obj, "__defaults__", None)), _stable(getattr(obj, "__kwdefaults__", None)), cells]


def _cell(cell: Any) -> Any:
    try:
        return _stable(cell.cell_contents)
    except ValueError:  # a closure variable that is not assigned yet
        return "<empty>"


def _stable(value: Any, depth: int = 0) -> Any:
    """A value as JSON that is the same in every process: no memory addresses."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if depth > 4:
        return type(value).__qualname__
    if isinstance(value, dict):
        return {str(k): _stable(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_stable(v, depth + 1) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((_stable(v, depth + 1) for v in value), key=repr)
    if callable(value) and hasattr(value, "__qualname__"):
        return [value.__qualname__, _code(value)]
    return type(value).__qualname__
