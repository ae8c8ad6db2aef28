"""Values to JSON text and back: strict for what comes in, forgiving for what a task has made.

A dataset's values are refused when they are not JSON, because nothing has been spent yet.
A task's output has been paid for: what JSON cannot say is kept as its ``repr``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


class NotJson(ValueError):
    """A value that JSON cannot hold; the text says where in it, and what was seen."""


def loads(text: str | None) -> Any:
    """The value of a JSON text; ``None`` for no text."""
    return None if text is None else orjson.loads(text)


def dumps_strict(value: Any) -> str:
    """JSON text of a value that must be JSON (numpy scalars, dates and UUIDs are understood).

    Raises:
        NotJson: NaN or Infinity, a lone surrogate, or a type that JSON has not.
    """
    try:
        text = orjson.dumps(value, default=_understood, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise NotJson(_first_fault(value) or _plain(error)) from None
    # orjson writes NaN and Infinity as null: only where a null stands is it worth looking.
    if b"null" in text and (fault := _first_fault(value)):
        raise NotJson(fault)
    return text.decode()


def dumps_lenient(value: Any) -> tuple[str, str | None]:
    """JSON text of anything, and a warning where a part had to be kept as its ``repr``."""
    try:
        text = orjson.dumps(value, default=_understood, option=_OPTIONS)
        if b"null" not in text or _first_fault(value) is None:
            return text.decode(), None
    except (orjson.JSONEncodeError, RecursionError):
        pass
    fault = _first_fault(value) or f"{type(value).__qualname__} is not JSON"
    return orjson.dumps(_printable(value), option=_OPTIONS).decode(), f"{fault}; kept as its repr"


def _understood(value: Any) -> Any:
    """What orjson has no type for but JSON can say."""
    if hasattr(value, "model_dump"):  # a pydantic model, or a client library's response object
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if type(value).__name__ in {"NAType", "NaTType"}:  # pandas' missing values
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):  # numpy arrays orjson does not take, pandas Series
        return value.tolist()
    if isinstance(value, str | int | float | list | tuple | dict):
        raise TypeError  # a subclass orjson refuses for its content
    raise TypeError(f"{type(value).__qualname__} is not JSON")


def _first_fault(value: Any, where: str = "", depth: int = 0) -> str | None:
    """Where a value stops being JSON, or ``None``. Content is named by its place, not shown."""
    at = f" at {where}" if where else ""
    if isinstance(value, float) or type(value).__name__.startswith("float"):
        return None if math.isfinite(value) else f"{float(value)!r}{at} is not JSON"
    if value is None or isinstance(value, bool | int):
        return None
    if isinstance(value, str):
        return None if _is_unicode(value) else f"text{at} holds a lone surrogate, which is not Unicode"
    if depth > 200:
        return f"the value{at} is nested more than 200 deep, or holds itself"
    children = _children(value)
    if children is not None:
        for key, child in children:
            if fault := _first_fault(child, f"{where}{key}", depth + 1):
                return fault
        return None
    try:
        orjson.dumps(value, default=_understood, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError):
        return f"{type(value).__qualname__}{at} is not JSON"
    return None


def _children(value: Any) -> list[tuple[str, Any]] | None:
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", child) for key, child in value.items()]
    if isinstance(value, list | tuple):
        return [(f"[{index}]", child) for index, child in enumerate(value)]
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return [(f".{name}", getattr(value, name)) for name in value.__dataclass_fields__]
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return _children(value.model_dump())
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return [("", value.tolist())]
    return None


def _printable(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else repr(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, str):
        return value if _is_unicode(value) else value.encode("utf-8", "replace").decode()
    if depth > 100:
        return "..."
    if isinstance(value, Mapping):
        return {_printable(str(k)): _printable(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(v, depth + 1) for v in value]
    try:
        plain = orjson.loads(orjson.dumps(value, default=_understood, option=_OPTIONS))
    except (orjson.JSONEncodeError, RecursionError):
        return _printable(repr(value))
    return plain


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plain(error: Exception) -> str:
    return str(error) or type(error).__qualname__
