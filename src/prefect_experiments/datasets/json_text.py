"""JSON text to values, with nothing lost without a word: no key twice, no digits cut off, no NaN."""

from __future__ import annotations

import json
import json.decoder
import json.scanner
import math
import re
from typing import Any, NamedTuple

from prefect_experiments.jsonable import place_of
from prefect_experiments.texts import shortened

_DEEPER = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
_TOO_DEEP = 254  # what is nested deeper is kept nowhere, see `jsonable`


class BadJson(ValueError):
    """A text that is not JSON as it should be.

    Attributes:
        line: where, from 1; 0 where only `at` is known.
        column: where in the line, from 1; 0 where only the line is known.
        at: where in the value, such as ``[3]['input']``; empty where that is not known.
        is_more: whether the text goes on after a whole value.
    """

    def __init__(self, message: str, line: int = 1, column: int = 0, *, at: str = "", is_more: bool = False) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.at = at
        self.is_more = is_more

    @property
    def place(self) -> str:
        """Where it is, for a message."""
        parts = {"line": self.line, "column": self.column, "at": self.at}
        return ", ".join(f"{name} {value}" for name, value in parts.items() if value)


class Fault(NamedTuple):
    """A part of a JSON text that is not taken as it is.

    Attributes:
        path: the keys and places in lists that lead to it.
        text: what is wrong, and what to do; what the value is, is not shown.
    """

    path: tuple[str | int, ...]
    text: str

    def __str__(self) -> str:
        return f"at {place_of(self.path)}: {self.text}" if self.path else self.text


class _Refused(ValueError):
    """What a hook does not take; `start` is where the object or list that holds it begins."""

    start: int | None = None


def load_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        BadJson: it is not JSON; it has NaN or Infinity, a number that would lose digits, or an
            object with a key that stands twice. The text does not show what the values are.
    """
    try:
        return _decoded(text, _decoder)
    except _Refused as refused:
        faults = load_leniently(text)[1]
        raise BadJson(str(refused), _line_of(text), at=place_of(faults[0].path) if faults else "") from None


def load_leniently(text: str) -> tuple[Any, list[Fault]]:
    """The value of a JSON text, and all in it that `load_json` does not take, in the order of the text.

    The value has ``None`` in the place of such numbers, and the last value of a key that stands twice.

    Raises:
        BadJson: it is not JSON.
    """
    try:
        return _decoded(text, _decoder), []
    except _Refused:
        return _without_faults(_decoded(text, _collector))


def _decoded(text: str, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        is_more = error.msg == "Extra data"
        raise BadJson(f"not JSON: {error.msg}", error.lineno, error.colno, is_more=is_more) from None
    except RecursionError:
        raise BadJson("nested too deep", *_where_too_deep(text)) from None


def _where_too_deep(text: str) -> tuple[int, int]:
    """Line and column of the first bracket within too many."""
    depth = 0
    for found in _DEEPER.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > _TOO_DEEP:
            return text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
    return 1, 0


def first_value(text: str, start: int) -> tuple[Any, int] | None:
    """The value that begins at a place, and where it ends; ``None`` where there is none that is whole."""
    try:
        return _decoder.raw_decode(text, _start(text, start))
    except (ValueError, RecursionError):
        return None


def _start(text: str, place: int) -> int:
    """The first place from there on that is no white space."""
    return len(text) - len(text[place:].lstrip(" \t\r\n"))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise _Refused(f"the key {shortened(double, 60)!r} stands twice in one object. Leave one of them")
    return found


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise _Refused(f"an integer of {len(digits.lstrip('-'))} digits is beyond 64 bits. Write it as text")
    return int(digits)


def _fraction(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused("a number is too large to be one. Write it as text")
    return number


def _constant(literal: str) -> Any:
    raise _Refused(f"{literal} is not JSON. Write null instead")


_HOOKS: dict[str, Any] = {
    "object_pairs_hook": _object,
    "parse_int": _integer,
    "parse_float": _fraction,
    "parse_constant": _constant,
}
_decoder = json.JSONDecoder(**_HOOKS)


class _Faulty(str):
    """Stands for a number that is not taken; says why."""


class _Doubled(dict[str, Any]):
    """An object with a key that stands twice; the last value is kept."""

    fault = ""


def _collecting_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    try:
        return _object(pairs)
    except _Refused as refused:
        doubled = _Doubled(pairs)
        doubled.fault = str(refused)
        return doubled


def _collecting(read: Any) -> Any:
    def read_or_note(digits: str) -> Any:
        try:
            return read(digits)
        except _Refused as refused:
            return _Faulty(refused)

    return read_or_note


_collector = json.JSONDecoder(
    object_pairs_hook=_collecting_object,
    **{name: _collecting(hook) for name, hook in _HOOKS.items() if name != "object_pairs_hook"},
)


def _without_faults(value: Any) -> tuple[Any, list[Fault]]:
    """A value that `_collector` has made, as plain JSON, with what stood for its faults."""
    top, faults = [value], []
    todo: list[tuple[Any, Any, tuple[str | int, ...]]] = [(top, 0, ())]  # no recursion: it may be nested deep
    while todo:
        holder, key, path = todo.pop()
        found = holder[key]
        if isinstance(found, _Faulty):
            faults.append(Fault(path, str(found)))
            holder[key] = None
        elif isinstance(found, _Doubled):
            faults.append(Fault(path, found.fault))
            holder[key] = found = dict(found)
        if isinstance(found, dict | list):
            keys = found if isinstance(found, dict) else range(len(found))
            todo += reversed([(found, key, (*path, key)) for key in keys])
    return top[0], faults


def _line_of(text: str) -> int:
    """The line on which the innermost object or list begins that holds what was refused; 0 where that is too deep."""
    decoder: Any = json.JSONDecoder(**_HOOKS)
    parse_object, parse_array = decoder.parse_object, decoder.parse_array

    def noted(parse: Any) -> Any:
        def parse_noted(s_and_end: tuple[str, int], *rest: Any) -> Any:
            try:
                return parse(s_and_end, *rest)
            except _Refused as refused:
                if refused.start is None:
                    refused.start = s_and_end[1]
                raise

        return parse_noted

    decoder.parse_object, decoder.parse_array = noted(parse_object), noted(parse_array)
    # Python's own scanner, which is slow, takes these; that of C does not.
    decoder.scan_once = json.scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]
    try:
        decoder.decode(text)
    except _Refused as refused:
        return text.count("\n", 0, refused.start or 0) + 1
    except (ValueError, RecursionError):
        pass
    return 0
