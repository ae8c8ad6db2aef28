"""Values without parts, as JSON that is the same in every process."""

from __future__ import annotations

import math
import re
from enum import Enum
from typing import Any

_SCALARS = (type(None), bool, int, float, str, bytes, Enum, re.Pattern)


def is_scalar(value: Any) -> bool:
    """Whether a value has no parts that could be changed."""
    return issubclass(type(value), _SCALARS)


def stable_scalar(value: Any) -> Any:
    """Such a value as JSON."""
    if isinstance(value, Enum):
        return [type(value).__qualname__, value.name]
    if isinstance(value, re.Pattern):
        return [value.flags, stable_scalar(value.pattern)]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if -(2**63) <= value < 2**64 else hex(value)
    return value
