"""Values to JSON text and back: strict for what comes in, forgiving for what a task has made.

A dataset's values are refused when they are not JSON, because nothing has been spent yet.
A task's output has been paid for: what JSON cannot say is kept as its ``repr``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

# In step with orjson, which writes values nested 254 deep and no deeper.
_DEEPEST = 254
_DEEPEST_PRINTED = 200
_LONGEST_KEY = 60
_LONGEST_PLACE = 200
_ONE_KEY = "are one and the same in JSON"


class NotJson(ValueError):
    """A value that JSON cannot hold; the text says where in it, and what was seen."""


def loads(text: str | None) -> Any:
    """The value of a JSON text; ``None`` for no text."""
    return None if text is None else orjson.loads(text)


def dumps_strict(value: Any) -> str:
    """JSON text of a value that must be JSON (numpy scalars, dates and UUIDs are understood).

    Raises:
        NotJson: NaN or Infinity, a lone surrogate, an integer beyond 64 bits, two keys that are
            one in JSON (``1`` and ``"1"``), or a type that JSON has not.
    """
    try:
        text, suspicious = _dumps(value)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise NotJson(_fault_in(value) or str(error) or type(error).__qualname__) from None
    if suspicious and (fault := _fault_in(value)):
        raise NotJson(fault)
    return text.decode()


def dumps_lenient(value: Any) -> tuple[str, str | None]:
    """JSON text of anything, and a warning where a part had to be kept as its ``repr``. Never raises."""
    try:
        text, suspicious = _dumps(value)
        if not suspicious or _fault_in(value) is None:
            return text.decode(), None
    except (orjson.JSONEncodeError, RecursionError):
        pass
    fault = _fault_in(value) or f"{type(value).__qualname__} is not JSON"
    try:
        text = orjson.dumps(_printable(value))
    except (orjson.JSONEncodeError, RecursionError):
        text = orjson.dumps(_repr(value))
    kept = "the last is kept" if _ONE_KEY in fault else "kept as its repr"
    return text.decode(), f"{fault}; {kept}"


def _dumps(value: Any) -> tuple[bytes, bool]:
    """JSON text, and whether it is worth looking for what orjson wrote although JSON has it not."""
    try:
        text = orjson.dumps(value, default=_understood)
    except orjson.JSONEncodeError:  # a fault, or keys that are no text: two of those may become one
        return orjson.dumps(value, default=_understood, option=orjson.OPT_NON_STR_KEYS), True
    return text, b"null" in text  # orjson writes NaN and Infinity as null


def _understood(value: Any) -> Any:
    """What orjson has no type for but JSON can say."""
    if hasattr(value, "model_dump"):
        return _dumped(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if type(value).__name__ in {"NAType", "NaTType"}:  # pandas' missing values
        return None
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _array(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, tuple):  # a named one
        return list(value)
    if isinstance(value, float):  # a subclass
        return float(value)
    raise TypeError(f"{type(value).__qualname__} is not JSON")


def _dumped(value: Any) -> Any:
    """The content of a pydantic model, or of a client library's response object."""
    dumped = value.model_dump(mode="json")
    if dumped is None or isinstance(dumped, str | int | float | list | tuple | Mapping):
        return dumped
    raise TypeError(f"{type(value).__qualname__} is not JSON")  # a mock: it has any method


def _array(value: Any) -> Any:
    """A numpy array or scalar, or a pandas Series."""
    if getattr(value.dtype, "kind", "") == "M":  # orjson takes NaT for a date
        if getattr(value, "shape", ()) != ():
            return list(value)
        if value != value:  # NaT is not equal to itself, as NaN is not
            return None
    try:
        return orjson.Fragment(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
    except orjson.JSONEncodeError:  # a Series, or an array of a sort that orjson does not take
        return float(value) if _is_numpy_float(value) else value.tolist()


def _fault_in(value: Any) -> str | None:
    try:
        return _first_fault(value)
    except Exception as error:  # noqa: BLE001 - the user's own __iter__, __getattr__, ... may raise anything
        return f"{type(value).__qualname__} is not JSON ({type(error).__qualname__} when it was read)"


def _first_fault(value: Any, where: str = "", depth: int = 0) -> str | None:
    """Where a value stops being JSON, or ``None``. Content is named by its place, not shown."""
    at = f" at {_cut(where, _LONGEST_PLACE)}" if where else ""
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**64 else f"an integer{at} is beyond the 64-bit range"
    if isinstance(value, str):
        return None if _is_unicode(value) else f"text{at} holds a lone surrogate, which is not Unicode"
    if value is None:
        return None
    if isinstance(value, float) or _is_numpy_float(value):
        return None if math.isfinite(value) else f"{float(value)!r}{at} is not JSON"
    if depth >= _DEEPEST:
        return f"the value{at} is nested more than {_DEEPEST} deep, or holds itself"
    if isinstance(value, Mapping) and (fault := _key_fault(value, at)):
        return fault
    children = _children(value)
    if children is not None:
        for key, child in children:
            if fault := _first_fault(child, f"{where}{key}", depth + 1):
                return fault
        return None
    try:
        _dumps(value)
    except (orjson.JSONEncodeError, RecursionError):
        return f"{type(value).__qualname__}{at} is not JSON"
    return None


def _children(value: Any) -> list[tuple[str, Any]] | None:
    if isinstance(value, Mapping):
        return [(f"[{_shown(key)}]", child) for key, child in value.items()]
    if isinstance(value, list | tuple):
        return [(f"[{index}]", child) for index, child in enumerate(value)]
    if isinstance(value, set | frozenset):
        return [(" (in a set)", child) for child in value]
    if isinstance(value, type):
        return None
    if hasattr(value, "__dataclass_fields__"):
        return [(f".{name}", getattr(value, name)) for name in value.__dataclass_fields__ if hasattr(value, name)]
    if hasattr(value, "model_dump"):
        return [("", _dumped(value))]
    if hasattr(value, "tolist") and hasattr(value, "dtype") and getattr(value.dtype, "kind", "") != "M":
        return [("", value.tolist())]
    return None


def _key_fault(value: Mapping[Any, Any], at: str) -> str | None:
    """What is wrong with the keys: JSON's are text, and orjson makes text of some others."""
    seen: dict[str, Any] = {}
    for key in value:
        text = _key_text(key)
        if text is None:
            return f"the key {_shown(key)}{at} is not JSON"
        if text in seen:
            return f"the keys {_shown(seen[text])} and {_shown(key)}{at} {_ONE_KEY}"
        seen[text] = key
    return None


def _key_text(key: Any) -> str | None:
    """What JSON calls a key, ``None`` where it cannot."""
    if isinstance(key, str):
        return str.__str__(key) if _is_unicode(key) else None
    if isinstance(key, float) and not math.isfinite(key):
        return None
    try:
        return str(next(iter(orjson.loads(orjson.dumps({key: 0}, option=orjson.OPT_NON_STR_KEYS)))))
    except (orjson.JSONEncodeError, RecursionError):
        return None


def _printable(value: Any, above: tuple[int, ...] = ()) -> Any:
    """The value with every part that is not JSON as its ``repr``."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else _repr(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _repr(float(value))
    if isinstance(value, str):
        return _as_unicode(value)
    if id(value) in above:  # it holds itself
        return "..."
    if len(above) >= _DEEPEST_PRINTED:
        return _repr(value)
    try:
        return _printable_parts(value, (*above, id(value)))
    except Exception:  # noqa: BLE001 - the user's own __iter__, __getattr__, ... may raise anything
        return _repr(value)


def _printable_parts(value: Any, above: tuple[int, ...]) -> Any:
    if isinstance(value, Mapping):
        return {_printable_key(key): _printable(child, above) for key, child in value.items()}
    if isinstance(value, set | frozenset):
        return [_printable(child, above) for child in sorted(value, key=_repr)]
    if isinstance(value, list | tuple):
        return [_printable(child, above) for child in value]
    children = _children(value)
    if children is None:
        return orjson.loads(_dumps(value)[0])
    if hasattr(value, "__dataclass_fields__"):
        return {key[1:]: _printable(child, above) for key, child in children}
    return _printable(children[0][1], above)  # what a model or an array holds


def _printable_key(key: Any) -> str:
    if hasattr(key, "dtype") and hasattr(key, "item"):  # a number of numpy's
        key = key.item()
    text = _key_text(key)
    return (_as_unicode(key) if isinstance(key, str) else _repr(key)) if text is None else text


def _repr(value: Any) -> str:
    try:
        return _as_unicode(repr(value))
    except Exception:  # noqa: BLE001 - a __repr__ may raise anything; that of a very long integer does
        return hex(value) if isinstance(value, int) else f"<{type(value).__qualname__}>"


def _shown(key: Any) -> str:
    return _cut(_repr(key), _LONGEST_KEY)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def _is_numpy_float(value: Any) -> bool:
    # Told by its looks, so that numpy is not imported.
    return getattr(getattr(value, "dtype", None), "kind", "") == "f" and getattr(value, "shape", None) == ()


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _as_unicode(text: str) -> str:
    return str.__str__(text) if _is_unicode(text) else text.encode("utf-8", "replace").decode()
