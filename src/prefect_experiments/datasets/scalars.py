"""What the libraries people keep tables in call a missing value or a number."""

from __future__ import annotations

from typing import Any

_PANDAS_MISSING = frozenset({"NAType", "NaTType"})


def is_missing(value: Any) -> bool:
    """Whether it is ``None``, NaN, or ``NA`` or ``NaT`` of pandas (told without importing it)."""
    if isinstance(value, float):
        return value != value  # NaN is the one number that is not itself
    return value is None or type(value).__name__ in _PANDAS_MISSING


def is_blank(value: Any) -> bool:
    """Whether a cell says nothing: missing, or text without a visible character."""
    return not value.strip() if isinstance(value, str) else is_missing(value)


def python_scalar(value: Any) -> Any:
    """A numpy scalar as Python's own; anything else as it is."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value
