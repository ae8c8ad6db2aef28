"""Values to JSON text and back: strict for what comes in, forgiving for what a task has made.

A dataset's values are refused when they are not JSON, because nothing has been spent yet. A task's output
has been paid for: what has no JSON form (`json_forms`) is kept as its ``repr``, that part and no more.
"""

from __future__ import annotations

import datetime
import math
import re
import uuid
from collections.abc import Iterable
from typing import Any, Literal

import orjson

from prefect_experiments.json_forms import NoForm, form, has_form, is_array, is_dataclass, kind_of
from prefect_experiments.texts import shortened
from prefect_experiments.unread import Unread, why_unread

# In step with orjson, which writes values nested 254 deep and no deeper.
_DEEPEST = 254
_LONGEST_KEY = 60
_LONGEST_PLACE = 80
# orjson leaves out a dataclass's fields that begin with an underscore.
_FAST = orjson.OPT_PASSTHROUGH_DATACLASS
_TOO_DEEP = f"is nested more than {_DEEPEST} deep, or holds itself"
_AS_REPR, _AS_ATTRIBUTES, _LAST = "kept as its repr", "kept as its attributes", "the last is kept"
_WRITTEN = (datetime.datetime, datetime.date, datetime.time, uuid.UUID)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+(?=>)")


class NotJson(ValueError):
    """A value that JSON cannot hold; the text says where in it, and what was seen."""


def loads(text: str | None) -> Any:
    """The value of a JSON text; ``None`` for no text."""
    return None if text is None else orjson.loads(text)


def dumps_strict(value: Any) -> str:
    """JSON text of a value that has a JSON form.

    Raises:
        NotJson: NaN or Infinity, a lone surrogate, an integer beyond 64 bits, two keys that are
            one in JSON (``1`` and ``"1"``), or a type that JSON has not.
    """
    return _dumps(value, "strict")[0]


def dumps_lenient(value: Any) -> tuple[str, str | None]:
    """JSON text of anything, and a warning where a part had to be kept as its ``repr``. Never raises."""
    return _dumps(value, "lenient")


def dumps_output(value: Any) -> tuple[str, str | None]:
    """JSON text of a task's output, and a warning where a part had to be kept as its ``repr``.

    Raises:
        NotJson: it is nested too deep for JSON, or a part is no data yet (a coroutine, a generator, an
            open file, a lock, ...), whose ``repr`` would say nothing of what it would give.
    """
    return _dumps(value, "output")


Mode = Literal["strict", "lenient", "output"]


def _dumps(value: Any, mode: Mode) -> tuple[str, str | None]:
    text: bytes | None = None
    try:
        text = orjson.dumps(value, default=_understood, option=_FAST)
        if b"null" not in text or _reads_back(text, value):  # orjson writes NaN and Infinity as null
            return text.decode(), None
    except (orjson.JSONEncodeError, RecursionError):
        pass
    plain, warning = _Plain(mode).of(value)
    if text is None or warning is not None:
        text = orjson.dumps(plain)
    return text.decode(), warning


def _understood(value: Any) -> Any:
    """What orjson has no type for."""
    if is_array(value) and kind_of(value) not in {"M", "m"}:  # it takes NaT for a date
        try:
            return orjson.Fragment(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
        except orjson.JSONEncodeError:  # an array of a sort that it does not take
            pass
    return form(value)


def _reads_back(text: bytes, value: Any) -> bool:
    try:
        return type(value) in (dict, list, type(None)) and bool(orjson.loads(text) == value)
    except Exception:  # noqa: BLE001 - an array in it, say: that has to be looked at in another way
        return False


class _Plain:
    """Makes values plain: dicts, lists, texts and numbers that orjson writes as they are."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._path: list[tuple[str, Any]] = []
        self._above: set[int] = set()
        self._warning: str | None = None

    def of(self, value: Any) -> tuple[Any, str | None]:
        """The value as plain JSON, and the first place where something else had to be put.

        Raises:
            NotJson: by the mode.
        """
        try:
            return self._plain(value), self._warning
        except NotJson:
            raise
        except RecursionError:
            return self._too_deep(value), self._warning
        except Exception as error:  # noqa: BLE001 - another thread may change the value meanwhile
            return self._formless(value, error), self._warning

    def _plain(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if isinstance(value, str):
            return str.__str__(value) if _is_unicode(value) else self._not_unicode(value)
        if isinstance(value, int):
            inside = -(2**63) <= value < 2**64
            return int(value) if inside else self._odd("an integer", "is beyond the 64-bit range", value)
        if isinstance(value, float):
            value = float(value)
            return value if math.isfinite(value) else self._odd(repr(value), "is not JSON", value)
        if id(value) in self._above:
            return self._itself()
        self._above.add(id(value))
        try:
            formed = value if isinstance(value, dict | list | tuple) else self._formed(value)
            if isinstance(formed, dict):
                return self._object(formed, "." if is_dataclass(value) else "[")
            if isinstance(formed, list | tuple):
                return self._list(formed, " (in a set)" if isinstance(value, set | frozenset) else "[")
            return formed if formed is None or isinstance(formed, str) else self._plain(formed)
        finally:
            self._above.discard(id(value))

    def _object(self, value: dict[Any, Any], place: str) -> Any:
        if len(self._path) >= _DEEPEST:
            return self._too_deep(value)
        made: dict[str, Any] = {}
        texts: dict[str, Any] = {}
        for key, child in list(value.items()):
            text = key if type(key) is str and _is_unicode(key) else self._key(key)
            if text in texts:
                both = f"the keys {_shown(texts[text])} and {_shown(key)}"
                self._fault(both, "are one and the same in JSON", _LAST)
            texts[text] = key
            self._path.append((place, key))
            made[text] = self._plain(child)
            self._path.pop()
        return made

    def _list(self, value: list[Any] | tuple[Any, ...], place: str) -> Any:
        if len(self._path) >= _DEEPEST:
            return self._too_deep(value)
        made = []
        for index, child in enumerate(value):
            self._path.append((place, index))
            made.append(self._plain(child))
            self._path.pop()
        return made

    def _formed(self, value: Any) -> Any:
        """One level of it; a text in place of what has no form."""
        try:
            return _written(value) if isinstance(value, _WRITTEN) else form(value)
        except Unread as error:
            return self._unread(value, str(error))
        except Exception as error:  # noqa: BLE001 - the user's own __iter__, __getattr__, ... may raise anything
            return self._formless(value, error)

    def _key(self, key: Any) -> str:
        """What JSON calls a key."""
        text = _key_text(key)
        if text is None:
            self._fault(f"the key {_shown(key)}", "is not JSON")
            return _printable_key(key)
        return text

    def _odd(self, what: str, fault: str, value: Any) -> str:
        self._fault(what, fault)
        return _repr(value)

    def _not_unicode(self, value: str) -> str:
        self._fault("text", "holds a lone surrogate, which is not Unicode")
        return _as_unicode(value)

    def _itself(self) -> str:
        self._fault("the value", _TOO_DEEP)
        return "..."

    def _too_deep(self, value: Any) -> str:
        self._fault("the value", _TOO_DEEP, is_final=self._mode == "output")
        return _repr(value)

    def _unread(self, value: Any, why: str) -> str:
        self._fault(type(value).__qualname__, why, is_final=self._mode == "output")
        return _repr(value)

    def _formless(self, value: Any, error: Exception) -> Any:
        if self._mode == "output" and not has_form(value) and (why := _why_unread(value)) is not None:
            return self._unread(value, why)
        detail = "" if isinstance(error, NoForm) else f" ({type(error).__qualname__} when it was read)"
        attributes = {} if self._mode == "strict" else _public_attributes(value)
        instead = _AS_ATTRIBUTES if attributes else _AS_REPR
        self._fault(type(value).__qualname__, f"is not JSON{detail}", instead)
        return attributes or _repr(value)

    def _fault(self, what: str, fault: str, instead: str = _AS_REPR, *, is_final: bool = False) -> None:
        """Take note of what JSON cannot say. Content is named by its place, not shown."""
        is_final = is_final or self._mode == "strict"
        if is_final or self._warning is None:
            where = _way(self._path)
            at = f"at {where} " if where else ""
            if is_final:
                raise NotJson(f"{what} {at}{fault}")
            self._warning = f"{what} {at}{fault}; {instead}"


def place_of(path: Iterable[str | int]) -> str:
    """Where in a JSON value something is, for a message: ``['key'][0]``."""
    return _way(("[", key) for key in path)


def _way(steps: Iterable[tuple[str, Any]]) -> str:
    return shortened("".join(_place(*step) for step in steps), _LONGEST_PLACE)


def _place(place: str, key: Any) -> str:
    """A step of the way to a value: ``['key']``, ``[0]``, ``.field``, `` (in a set)``."""
    return {"[": f"[{_shown(key)}]", ".": f".{key}"}.get(place, place)


def _written(value: Any) -> Any:
    """The text of what orjson writes by itself, in all but a few cases."""
    try:
        return orjson.loads(orjson.dumps(value))
    except orjson.JSONEncodeError:  # a time with a zone
        return form(value)


def _why_unread(value: Any) -> str | None:
    try:
        return why_unread(value)
    except Exception:  # noqa: BLE001 - the user's own __getattr__ may raise anything
        return None


def _public_attributes(value: Any) -> dict[str, Any]:
    """What an object holds for all to see, where its `repr` tells its address in place of that."""
    try:
        if isinstance(value, type) or hex(id(value)) not in repr(value):
            return {}
        slots = [name for kind in type(value).__mro__ for name in _slot_names(vars(kind).get("__slots__", ()))]
        names = [name for name in [*slots, *getattr(value, "__dict__", {})] if not name.startswith("_")]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    except Exception:  # noqa: BLE001 - as above
        return {}


def _slot_names(slots: str | Iterable[str]) -> Iterable[str]:
    return [slots] if isinstance(slots, str) else slots


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


def _printable_key(key: Any) -> str:
    """A key that JSON has not, by the text or the number that its form is; else its ``repr``."""
    try:
        formed = form(key)
    except Exception:  # noqa: BLE001 - as above
        formed = None
    text = _key_text(formed) if isinstance(formed, str | int | float) else None
    if text is not None:
        return text
    return _as_unicode(key) if isinstance(key, str) else _repr(key)


def _repr(value: Any) -> str:
    """A ``repr`` without addresses in memory, which differ where values do not."""
    try:
        return _as_unicode(_ADDRESS.sub("", repr(value)))
    except Exception:  # noqa: BLE001 - a __repr__ may raise anything; that of a very long integer does
        return hex(value) if isinstance(value, int) else f"<{type(value).__qualname__}>"


def _shown(key: Any) -> str:
    return shortened(_repr(key), _LONGEST_KEY)


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _as_unicode(text: str) -> str:
    return str.__str__(text) if _is_unicode(text) else text.encode("utf-8", "replace").decode()
