"""JSON text to values, with nothing lost without a word: no key twice, no digits cut off, no NaN."""

from __future__ import annotations

import json
import json.decoder
import json.scanner
import math
from typing import Any


class BadJson(ValueError):
    """A text that is not JSON as it should be.

    Attributes:
        line: where, from 1.
        column: where in the line, from 1; 0 where only the line is known.
        is_more: whether the text goes on after a whole value.
    """

    def __init__(self, message: str, line: int = 1, column: int = 0, *, is_more: bool = False) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.is_more = is_more


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
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        is_more = error.msg == "Extra data"
        raise BadJson(f"not JSON: {error.msg}", error.lineno, error.colno, is_more=is_more) from None
    except RecursionError:
        raise BadJson("nested too deep") from None
    except _Refused as refused:
        raise BadJson(str(refused), _line_of(text)) from None


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
        raise _Refused(f"the key {double[:60]!r} stands twice in one object. Leave one of them")
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


def _line_of(text: str) -> int:
    """The line on which the innermost object or list begins that holds what was refused."""
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
    return 1
