"""The text of ids and splits: the same whatever kind of table they come from."""

from __future__ import annotations

import math
import re
import uuid
from decimal import Decimal
from typing import Any

from prefect_experiments.datasets.scalars import is_blank, python_scalar
from prefect_experiments.errors import InvalidDataset

# A whole number that pandas made a float, as it writes it into a file.
_MADE_FLOAT = re.compile(r"(0|-?[1-9][0-9]{0,14})\.0")
_EXACT = 2**53  # above it a float has lost digits
_LONGEST = 2000  # bytes; an index of PostgreSQL's takes a little more
_LONGEST_SPAN = 32


def identifier(value: Any, what: str = "the id", *, exact: bool = False) -> str | None:
    """An id as text, ``None`` where a cell is empty. Texts are taken as they stand, white space included.

    Whole numbers are written without a fraction, also those that pandas made floats (``101.0``), as
    it does with a column in which one is missing, and writes them into files.

    Args:
        value: a cell.
        what: what it is, for messages.
        exact: whether text is an id already, and ``"101.0"`` is not ``"101"``.

    Raises:
        InvalidDataset: it is no id: a truth value, a list, a number that has lost digits; or one that
            no store keeps. The text does not show it.
    """
    if type(value) is not str:
        value = python_scalar(value)
        if isinstance(value, bool):
            raise InvalidDataset(f"{what} must be text or a whole number, got a truth value")
    return _text(value, what, exact)


def split_name(value: Any) -> str | None:
    """A split's name as text, ``None`` where a cell is empty; white space around it does not count.

    Raises:
        InvalidDataset: it is no text and no number, or one that no store keeps.
    """
    value = python_scalar(value)
    text = _text(str(value) if isinstance(value, bool) else value, "a split", exact=False)
    return None if text is None else text.strip()


def span_identifier(value: Any) -> str | None:
    """The id of a span as text, ``None`` where a cell is empty.

    Raises:
        InvalidDataset: it is none.
    """
    text = identifier(value, "the span's id")
    if text is not None and len(text) > _LONGEST_SPAN:
        raise InvalidDataset(
            f"the span's id has {len(text)} characters; OpenTelemetry's have 16. Rename the column, and it is metadata"
        )
    return text


def _text(value: Any, what: str, exact: bool) -> str | None:
    if is_blank(value):
        return None
    if not isinstance(value, str):
        return _number_text(value, what)
    text = str(value)
    if not exact and text.endswith(".0") and _MADE_FLOAT.fullmatch(text):
        return text[:-2]
    if "\x00" in text:
        raise InvalidDataset(f"{what} holds a NUL character, which no store keeps")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise InvalidDataset(f"{what} holds a lone surrogate, which is not Unicode") from None
    if size > _LONGEST:
        raise InvalidDataset(f"{what} is {size:,} bytes long; at most {_LONGEST:,} can be kept")
    return text


def _number_text(value: Any, what: str) -> str:
    if isinstance(value, int | uuid.UUID):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return format(value.to_integral_value() if value == value.to_integral_value() else value, "f")
    if isinstance(value, float | Decimal):
        number = float(value)
        if math.isfinite(number) and abs(number) < _EXACT:
            return str(int(number)) if number.is_integer() else repr(number)
        raise InvalidDataset(f"{what} is a number that is infinite or has lost digits; give it as text")
    raise InvalidDataset(f"{what} must be text or a whole number, got a value of type {type(value).__qualname__}")
