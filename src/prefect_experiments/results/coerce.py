"""What a cell of a results table says, by itself: no other cell changes its meaning.

Each function takes one cell that is not missing and gives the value, or raises `Unfit`. Its text is
what follows the column and the row in a message.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import orjson

from prefect_experiments.datasets.ids import identifier
from prefect_experiments.datasets.scalars import is_blank, is_missing, python_scalar
from prefect_experiments.errors import InvalidDataset, describe, unknown_value
from prefect_experiments.jsonable import NotJson, dumps_lenient, dumps_strict
from prefect_experiments.texts import plain_text, shortened

NO_REASON = "failed; the results give no reason"
MOST_REPETITIONS = 1000
_MOST = 2**31 - 1  # what a database keeps as a whole number
_LONGEST_MS = 10**12  # 31 years
_LATEST_S = 2**37  # in the year 6325
_SHOWN = 40
_RENAME = "If it means something else, rename the column, and it is kept as metadata"
_LEAVE_EMPTY = "Leave empty what is missing"

# How people and libraries write a missing value into text.
_NOTHING = frozenset({"", "-", "–", "—", "nan", "none", "null", "na", "n/a", "<na>", "nat"})  # noqa: RUF001 - dashes
_TRUTH = {"true": True, "false": False}
_YES_OR_NO = _TRUTH | {"yes": True, "no": False, "y": True, "n": False, "t": True, "f": False}
_STATUSES = {
    **dict.fromkeys(("ok", "success", "succeeded", "completed", "unset"), False),
    **dict.fromkeys(("error", "failed", "failure"), True),
}
_HEX = frozenset("0123456789abcdef")


class Unfit(ValueError):
    """A cell that cannot be what its column says."""


def plain(cell: Any) -> Any:
    """A cell without its library's wrapping: numpy's scalars and the members of an enum are what they stand for."""
    value = python_scalar(cell)
    return value.value if isinstance(value, Enum) else value


def says_nothing(value: Any) -> bool:
    """Whether a cell where a text has no place says nothing: missing, blank, or a word for that."""
    return value.strip().lower() in _NOTHING if isinstance(value, str) else is_missing(value)


def example_id(value: Any) -> str:
    """The id of an example, made text as a dataset's ids are."""
    try:
        return identifier(value) or ""
    except InvalidDataset as problem:
        raise Unfit(f": {problem}") from None


def status(value: Any) -> bool:
    """Whether the run has failed."""
    word = "ok" if says_nothing(value) else str(value).strip().lower()
    if word not in _STATUSES:
        raise Unfit(f": {unknown_value('status', shortened(str(value), _SHOWN), list(_STATUSES))}. {_RENAME}")
    return _STATUSES[word]


def error(value: Any) -> str | None:
    """Why a run, or an evaluation, has failed; ``None`` where it has not.

    A truth value says whether, and so do yes and no, 0 and 1. Another number is no reason: a column of such means
    something else.
    """
    if says_nothing(value) or (isinstance(value, Mapping | list | tuple) and not value):
        return None
    flag = _flag(value)
    if flag is not None:
        return NO_REASON if flag else None
    if _as_number(value) is not None:
        raise Unfit(f": {_shown(value)} is a number; an error is a text, blank where there is none. {_RENAME}")
    return text(describe(value) if isinstance(value, BaseException) else value, objects=True)


def _flag(value: Any) -> bool | None:
    """The truth value that a cell is, also as text or as 0 and 1."""
    if isinstance(value, str) and (found := _YES_OR_NO.get(value.strip().lower())) is not None:
        return found
    number = _as_number(value)
    return bool(number) if number in (0, 1) else None


def score(value: Any) -> float | None:
    """A number; truth values, also as text, are 1 and 0."""
    if isinstance(value, str) and (found := _TRUTH.get(value.strip().lower())) is not None:
        return float(found)
    return _number(value)


def _number(value: Any) -> float | None:
    if type(value) is float and math.isfinite(value):
        return value
    if says_nothing(value):
        return None
    number = _as_number(value)
    if number is None:
        raise Unfit(f": {_shown(value)} is not a number. {_LEAVE_EMPTY}")
    if math.isinf(number):
        raise Unfit(f": {_shown(value)} is infinite; a number must be finite. {_LEAVE_EMPTY}")
    return None if math.isnan(number) else number


def _as_number(value: Any) -> float | None:
    """The number that a cell is, also as text; ``None`` for anything else."""
    # A text with an underscore is a number to Python, and to nobody else. A Decimal is no numbers.Real.
    if isinstance(value, str):
        if "_" in value:
            return None
    elif not isinstance(value, int | float | numbers.Real) and type(value).__name__ != "Decimal":
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _measure(value: Any) -> float | None:
    """A number that is no truth value."""
    if value is True or value is False:
        raise Unfit(f": {value} is a truth value, not a number. {_LEAVE_EMPTY}")
    return _number(value)


def milliseconds(value: Any) -> float | None:
    """How long something took."""
    number = _measure(value)
    if number is not None and not 0 <= number <= _LONGEST_MS:
        limit = "on" if number < 0 else f"to {_LONGEST_MS:,}"
        raise Unfit(f" must be milliseconds from 0 {limit}, got {number:g}")
    return number


def dollars(value: Any) -> float | None:
    """What something cost."""
    number = _measure(value)
    if number is not None and number < 0:
        raise Unfit(f" must be US dollars from 0 on, got {number:g}")
    return number


def count(value: Any) -> int | None:
    """A whole number from 0 on."""
    return _whole(value, 0, _MOST)


def repetition(value: Any) -> int:
    """A whole number from 1 on, which must be there."""
    number = _whole(value, 1, MOST_REPETITIONS)
    if number is None:
        raise Unfit(" is empty; repetitions count from 1")
    return number


def _whole(value: Any, least: int, most: int) -> int | None:
    if type(value) is int and least <= value <= most:
        return value
    number = _measure(value)
    if number is not None and not (number.is_integer() and least <= number <= most):
        raise Unfit(f" must be a whole number from {least} to {most:,}, got {number:g}")
    return None if number is None else int(number)


def moment(value: Any) -> float | None:
    """Seconds since the epoch: of a datetime, or of a text as ISO 8601 has it. Without a zone, it is UTC."""
    if says_nothing(value):
        return None
    found = value
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError:
            found = value
    if not isinstance(found, datetime):
        raise Unfit(f": {_shown(value)} is no time; write it as 2025-12-31T23:59:59+00:00, or give a datetime")
    return _in_range((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp(), value)


def moment_in_milliseconds(value: Any) -> float | None:
    """Seconds since the epoch, of the milliseconds that AX has."""
    number = _measure(value)
    return None if number is None else _in_range(number / 1000, value)


def _in_range(seconds: float, value: Any) -> float:
    if not 0 <= seconds <= _LATEST_S:
        raise Unfit(f": {_shown(value)} is no time that a run can have been made at")
    return seconds


def trace_id(value: Any) -> str | None:
    """OpenTelemetry's id of a trace, 32 lower-case hex digits; ``None`` for an id of another sort."""
    found = str(value).strip().lower().replace("-", "")
    return found if len(found) == 32 and _HEX.issuperset(found) else None


def other_trace_id(value: Any) -> Any:
    """An id of a trace that is not OpenTelemetry's; ``None`` for one that is."""
    return json_value(value) if trace_id(value) is None else None


def text(value: Any, *, objects: bool = False) -> str:
    """Text as it is; numbers and truth values as Python writes them, whole ones without a fraction.

    Args:
        value: the cell.
        objects: whether other values are taken as well: as the text that JSON makes of them, else as their JSON text.
    """
    if type(value) is str and value.isascii() and "\x00" not in value:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # pandas makes floats of whole numbers where one is missing
    if not isinstance(value, str | int | float) and type(value).__name__ not in ("Decimal", "UUID"):
        if not objects:
            raise Unfit(f" must be text, got a value of type {type(value).__qualname__}. Convert it first")
        value = dumps_lenient(value)[0]
        value = orjson.loads(value) if value.startswith('"') else value
    found = str(value)
    if not found.isascii():
        try:
            found.encode()
        except UnicodeEncodeError:
            raise Unfit(" holds a lone surrogate, which is not Unicode") from None
    return plain_text(found)  # as a store keeps it


def long_text(value: Any) -> str:
    """An explanation: text, and what is no text as JSON has it."""
    return text(value, objects=True)


def json_value(value: Any) -> Any:
    """What JSON makes of a value: what a dataset takes is taken."""
    kind = type(value)
    if kind is bool or (kind is str and value.isascii()) or (kind is float and math.isfinite(value)):
        return value
    try:
        return orjson.loads(dumps_strict(value))
    except NotJson as problem:
        raise Unfit(
            f": {problem}. Convert it to text, a number, a list or an object first; None (null) is for what is missing"
        ) from None


def json_object(value: Any) -> dict[str, Any]:
    """An object, also as its JSON text; an empty one for nothing."""
    if not isinstance(value, Mapping):
        if is_blank(value):
            return {}
        try:
            value = orjson.loads(value) if isinstance(value, str) else None
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise Unfit(" must be an object, or the JSON text of one")
    found: dict[str, Any] = json_value(value)
    return found


def _shown(value: Any) -> str:
    return shortened(repr(value), _SHOWN)
