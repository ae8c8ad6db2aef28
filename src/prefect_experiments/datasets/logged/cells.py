"""The cells of a column as values. Each function names the row, the column and the value that it cannot use."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from prefect_experiments.datasets.scalars import is_blank, is_missing, python_scalar
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.jsonable import NotJson, dumps_lenient, dumps_strict

_SHOWN = 40
_EXACT = 2**53  # above it a float has lost digits
_MOST = 2**31 - 1  # what a database keeps as a whole number

_HEX = frozenset("0123456789abcdef")


def identifiers(cells: Sequence[Any], where: str) -> list[str]:
    """The cells as ids: text as it is, whole numbers without a fraction, as CSV readers and pandas may have made them.

    Raises:
        InvalidDataset: a cell is empty, no text and no number, or a number that has lost digits.
    """
    return [_identifier(cell, where, row) for row, cell in enumerate(cells, 1)]


def _identifier(cell: Any, where: str, row: int) -> str:
    if type(cell) is str and cell and not cell.isspace():
        return cell
    value = python_scalar(cell)
    if is_blank(value):
        raise InvalidDataset(f"{where}, row {row} is empty; every row needs the id of its example")
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, bool) or not isinstance(value, str | int | uuid.UUID):
        raise InvalidDataset(f"{where}, row {row}: {_shown(value)} is no id; give text or a whole number")
    return str(value)


def numbers(cells: Sequence[Any], where: str) -> list[float | None]:
    """The cells as numbers, ``None`` where they are missing, blank or NaN. Bools are 1 and 0; numbers may be text.

    Raises:
        InvalidDataset: a cell is no number, or an infinite one.
    """
    return [_number(cell, where, row) for row, cell in enumerate(cells, 1)]


def _number(cell: Any, where: str, row: int) -> float | None:
    if is_blank(cell):
        return None
    value = python_scalar(cell)
    try:
        # A text with an underscore is a number to Python, and to nobody else.
        number = float(value) if not isinstance(value, str) or "_" not in value else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None:
        raise InvalidDataset(f"{where}, row {row}: {_shown(value)} is not a number. Leave empty what is missing")
    if math.isinf(number):
        raise InvalidDataset(
            f"{where}, row {row}: {_shown(value)} is infinite; a number must be finite. Leave empty what is missing"
        )
    return None if math.isnan(number) else number


def whole_numbers(cells: Sequence[Any], where: str, *, least: int, most: int = _MOST) -> list[int | None]:
    """The cells as whole numbers, ``None`` where they are missing.

    Raises:
        InvalidDataset: a cell is no whole number, or out of range.
    """
    found: list[int | None] = []
    for row, number in enumerate(numbers(cells, where), 1):
        if number is not None and not (number.is_integer() and least <= number <= most):
            raise InvalidDataset(f"{where}, row {row} must be a whole number from {least} to {most:,}, got {number:g}")
        found.append(None if number is None else int(number))
    return found


def texts(cells: Sequence[Any], where: str, *, blank_is_missing: bool, objects: bool = False) -> list[str | None]:
    """The cells as text, ``None`` where they are missing. Numbers and bools are written as Python writes them.

    Args:
        cells: the column.
        where: for messages.
        blank_is_missing: whether a text without a visible character says nothing, as in a CSV file.
        objects: whether objects and lists are taken as well, as their JSON text.

    Raises:
        InvalidDataset: a cell is neither.
    """
    is_nothing = is_blank if blank_is_missing else is_missing
    return [None if is_nothing(cell) else _text(cell, where, row, objects) for row, cell in enumerate(cells, 1)]


def _text(cell: Any, where: str, row: int, objects: bool) -> str:
    value = python_scalar(cell)
    if not isinstance(value, str | int | float):
        if not objects:
            kind = type(value).__qualname__
            raise InvalidDataset(f"{where}, row {row} must be text, got a value of type {kind}. Convert it first")
        value = dumps_lenient(value)[0]
    text = str(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidDataset(f"{where}, row {row} holds a lone surrogate, which is not Unicode") from None
    return text


def json_texts(cells: Sequence[Any], where: str, *, blank_is_missing: bool = False) -> list[str | None]:
    """The cells as JSON text, ``None`` where they are missing.

    Args:
        cells: the column.
        where: for messages.
        blank_is_missing: whether an empty text says nothing, as in a CSV file.

    Raises:
        InvalidDataset: a cell that JSON cannot hold; the text says where in it.
    """
    found: list[str | None] = []
    for row, cell in enumerate(cells, 1):
        value = python_scalar(cell)
        if is_missing(value):
            found.append(None)
            continue
        try:
            text = dumps_strict(value)
        except NotJson as error:
            raise InvalidDataset(
                f"{where}, row {row}: {error}. Convert it to text, a number, a list or an object first; "
                "None (null) is for what is missing"
            ) from None
        found.append(None if text == "null" or (blank_is_missing and text == '""') else text)
    return found


def moments(cells: Sequence[Any], where: str) -> list[float | None]:
    """The cells as seconds since the epoch: datetimes, or text as ISO 8601 has it. Without a zone, it is UTC.

    Raises:
        InvalidDataset: a cell is neither.
    """
    return [_moment(cell, where, row) for row, cell in enumerate(cells, 1)]


def _moment(cell: Any, where: str, row: int) -> float | None:
    if is_blank(cell):
        return None
    value = python_scalar(cell)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            value = cell
    if not isinstance(value, datetime):
        raise InvalidDataset(
            f"{where}, row {row}: {_shown(value)} is no time; write it as 2025-12-31T23:59:59+00:00, or give a datetime"
        )
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def trace_ids(cells: Sequence[Any]) -> list[str | None] | None:
    """The cells as OpenTelemetry's trace ids, 32 lower-case hex digits; ``None`` where any is of another sort."""
    found: list[str | None] = []
    for cell in cells:
        if is_blank(cell):
            found.append(None)
            continue
        text = str(cell).strip().lower().replace("-", "")
        if len(text) != 32 or not _HEX.issuperset(text):
            return None
        found.append(text)
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
