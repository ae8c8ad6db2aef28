"""CSV text to rows. A column changes its type only where every cell can be written back as it was."""

from __future__ import annotations

import csv
import io
import math
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect_experiments.errors import InvalidDataset

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_BOOLS = {"True": True, "False": False}
# The csv module keeps its limit as an int of C, 32 bits wide on some systems.
_LARGEST_FIELD = 2**31 - 1
_limit_lock = threading.Lock()


def parse_csv(text: str, origin: str) -> list[dict[str, Any]]:
    """The rows of a CSV text with a header; wholly blank lines are skipped.

    A column becomes whole numbers, numbers or bools only when each of its non-empty cells is
    exactly what Python writes for the value (so ``007``, ``1e5``, ``NA`` and ``nan`` stay text);
    its empty cells are then ``None``. In a text column they are ``""``.

    Args:
        text: the whole file.
        origin: the file, for messages.

    Raises:
        InvalidDataset: a header with empty or double names, a row with more or fewer fields than
            it, an unterminated quote, a NUL character, or no rows.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InvalidDataset(f"{origin}: line {line} holds a NUL character; this is not a CSV text")
    with _field_limit(len(text) + 1):
        records = list(_records(text, origin))
    if not records:
        raise InvalidDataset(f"{origin}: no rows; the file is blank")
    header = records[0]
    _check_header(header, origin)
    if len(records) == 1:
        raise InvalidDataset(f"{origin}: no rows; there is only a header")
    columns = [_convert(column) for column in zip(*records[1:], strict=True)]
    return [dict(zip(header, cells, strict=True)) for cells in zip(*columns, strict=True)]


@contextmanager
def _field_limit(size: int) -> Iterator[None]:
    """Let fields be long. The limit belongs to the whole process, so it is put back, under a lock."""
    with _limit_lock:
        before = csv.field_size_limit()
        csv.field_size_limit(min(max(size, before), _LARGEST_FIELD))
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _records(text: str, origin: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    expected = None
    while True:
        line = reader.line_num + 1  # where the record begins: a quoted field may span lines
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidDataset(
                f"{origin}: the record that begins on line {line} is not CSV: {error}. Look for an unclosed quote"
            ) from None
        if not record:
            continue
        expected = expected or len(record)
        if len(record) != expected:
            raise InvalidDataset(
                f"{origin}: line {line} has {len(record)} fields where the header has {expected}. "
                "Quote the fields that hold commas"
            )
        yield record


def _check_header(header: Sequence[str], origin: str) -> None:
    unnamed = [str(place) for place, name in enumerate(header, 1) if not name.strip()]
    if unnamed:
        raise InvalidDataset(
            f"{origin}: the header has no name for column {', '.join(unnamed)}. "
            "Name it; pandas writes its index so, unless to_csv(index=False)"
        )
    doubles = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if doubles:
        raise InvalidDataset(f"{origin}: the header names {', '.join(map(repr, doubles))} more than once")


def _convert(column: Sequence[str]) -> Sequence[Any]:
    for read in (_bool, _number):
        values = _all_read(column, read)
        if values is not None:
            return values
    return column


def _all_read(column: Sequence[str], read: Callable[[str], Any]) -> list[Any] | None:
    """The column's values, ``None`` when a cell cannot be read or none has anything in it."""
    values = []
    for cell in column:
        value = read(cell) if cell else None
        if value is None and cell:
            return None
        values.append(value)
    return values if any(column) else None


def _bool(cell: str) -> bool | None:
    return _BOOLS.get(cell)


def _number(cell: str) -> int | float | None:
    """The number a cell is the exact text of. Whole numbers stay whole among others, so none loses digits."""
    if _INTEGER.fullmatch(cell):
        whole = int(cell)
        return whole if -(2**63) <= whole < 2**63 else None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and repr(value) == cell else None
