"""What the libraries people keep tables in call a missing value or a number."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_MISSING = frozenset({"NAType", "NaTType"})  # of pandas


def is_missing(value: Any) -> bool:
    """Whether it is ``None``, NaN, or ``NA`` or ``NaT`` of pandas or numpy (told without importing them)."""
    if isinstance(value, float):
        return value != value  # NaN is the one number that is not itself
    if value is None or type(value).__name__ in _MISSING:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and bool(value != value)


def is_blank(value: Any) -> bool:
    """Whether a cell says nothing: missing, or text without a visible character."""
    return not value or value.isspace() if isinstance(value, str) else is_missing(value)


def python_scalar(value: Any) -> Any:
    """A numpy scalar as Python's own; anything else as it is."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value
