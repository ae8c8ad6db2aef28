"""What makes other libraries' evaluators give the scores they give, the same in every process."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

from prefect_experiments import keys

_DEEPEST = 8
# phoenix-evals' LLM, prompts, regular expressions, pydantic-ai's models.
_TELLING = (("provider", "model"), ("template",), ("_template",), ("pattern", "flags"), ("model_name",))
_NOT_OF_THE_USER = ("builtins", "abc", "typing")


def identity_of(obj: Any, state: Any, *, library: str) -> str:
    """The fingerprint of another library's evaluator.

    The library's own classes count by name only: that it was upgraded is no reason to pay a judge
    again. Of classes that are derived from them the code counts.

    Args:
        obj: the evaluator.
        state: what it was made with.
        library: the package that its base class is of.
    """
    classes = [cls for cls in type(obj).__mro__ if cls.__module__ not in _NOT_OF_THE_USER]
    code = [
        cls.__name__ if cls.__module__.partition(".")[0] == library else keys.callable_fingerprint(cls)
        for cls in classes
    ]
    return keys.fingerprint(code, stable(state))


def stable(value: Any, depth: int = 0) -> Any:
    """A part of an evaluator as JSON that is the same in every process."""
    if value is None or isinstance(value, str | int | float):
        return value
    if depth > _DEEPEST:
        return type(value).__qualname__
    if isinstance(value, Mapping):
        return {str(key): stable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [stable(item, depth + 1) for item in value]
    if isinstance(value, type):
        schema = getattr(value, "model_json_schema", None)  # a pydantic class: what it takes is what counts
        return stable(_ordered(schema()), depth + 1) if schema else value.__qualname__
    if callable(value) and hasattr(value, "__qualname__"):
        return keys.callable_fingerprint(value)
    for names in _TELLING:
        if all(hasattr(value, name) for name in names):
            return [type(value).__qualname__, *(stable(getattr(value, name), depth + 1) for name in names)]
    return _stable_object(value, depth)


def _ordered(schema: Any) -> Any:
    """A JSON schema with what is required in order: phoenix-evals makes it of a set, so each process has another."""
    if isinstance(schema, list):
        return [_ordered(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    ordered = {name: _ordered(part) for name, part in schema.items()}
    if isinstance(required := schema.get("required"), list):
        ordered["required"] = sorted(required)
    return ordered


def _stable_object(value: Any, depth: int) -> Any:
    kind = type(value).__qualname__
    if isinstance(value, Enum):
        return [kind, value.name]
    if isinstance(value, set | frozenset):
        return sorted((stable(item, depth + 1) for item in value), key=repr)
    if dataclasses.is_dataclass(value):
        held = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        return [kind, stable(held, depth + 1)]
    return [kind, str(value)] if isinstance(value, date | timedelta | Decimal | PurePath | bytes) else kind
