"""CSV text to rows. It has no types: every cell is text."""

from __future__ import annotations

import csv
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prefect_experiments.datasets.raw import Raw
from prefect_experiments.errors import InvalidDataset

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}

_EXCEL = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n|$)')
_LINE_END = re.compile(r"\r\n|\r|\n")
# The csv module keeps its limit as an int of C, 32 bits wide on some systems.
_LARGEST_FIELD = 2**31 - 1
_limit_lock = threading.Lock()


def parse_csv(text: str, origin: str, separator: str | None = None) -> Raw:
    """The rows of a CSV text with a header, each cell as its text.

    Args:
        text: the whole file.
        origin: the file, for messages.
        separator: between the fields. By default what Excel's first line ``sep=;`` says, or else the
            one of comma, semicolon, tab and vertical bar that divides the header, and every row
            into as many fields; the comma where several do.

    Raises:
        InvalidDataset: a row with more or fewer fields than the header, an unterminated quote, a
            NUL character, or no rows.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InvalidDataset(f"{origin}: line {line} holds a NUL character; this is not a CSV text")
    first_line = 1
    if said := _EXCEL.match(text):
        text, separator, first_line = text[said.end() :], said[1], 2
    with _field_limit(len(text) + 1):
        if separator is not None:
            return _records(text, origin, separator, first_line)
        return _told(text, origin)


def _told(text: str, origin: str) -> Raw:
    """The rows as the separator divides them that goes with the header and with every row."""
    start = len(text) - len(text.lstrip())
    header = _LINE_END.split(text[start : start + 100_000], maxsplit=1)[0]
    candidates = [separator for separator in SEPARATORS if separator in header] or [","]
    if len(candidates) == 1:
        return _records(text, origin, candidates[0])
    best: Raw | None = None
    for separator in candidates:
        try:
            found = _records(text, origin, separator)
        except InvalidDataset:
            continue
        if best is None or len(found.names) > len(best.names):
            best = found
    return best or _records(text, origin, max(candidates, key=header.count))


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


def _records(text: str, origin: str, separator: str, first_line: int = 1) -> Raw:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    names: list[str] = []
    records: list[list[str]] = []
    numbers: list[int] = []
    number = pending = header_line = 0
    while True:
        line = reader.line_num + first_line  # where the record begins: a quoted field may span lines
        try:
            record = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            written = _LINE_END.split(text)[line - first_line : reader.line_num]
            raise InvalidDataset(
                f"{origin}: the record that begins on line {line} is not CSV: {error}. {_of_quotes(written, separator)}"
            ) from None
        if not names:
            names, header_line = record if any(map(str.strip, record)) else [], line
            continue
        number += 1
        if len(record) == len(names):
            records.append(record)
            numbers.append(number)
            pending = 0
        elif any(map(str.strip, record)):
            raise InvalidDataset(
                f"{origin}: line {line} has {len(record)} field{'s'[: len(record) != 1]} where the header, line "
                f"{header_line}, has {len(names)} (separated by {_kind(separator)}s). "
                f"{_of_fields(len(record) > len(names), separator, is_first=not records or len(names) == 1)}"
            )
        elif not record:
            pending += 1  # blank lines at the end are no rows
    if not names:
        raise InvalidDataset(f"{origin}: no rows; the file is blank")
    if not records and number == pending:
        raise InvalidDataset(f"{origin}: no rows; there is only a header (is it a row? Then write a header above it)")
    columns = [list(column) for column in zip(*records, strict=True)] or [[] for _ in names]
    return Raw(origin, names, columns, numbers, is_text=True, blank_lines=number - pending - len(records))


def _of_quotes(lines: list[str], separator: str) -> str:
    """What to do about quotes that are not as CSV has them."""
    if any('\\"' in line for line in lines):
        return r"""A quote inside a quoted field is written twice (""), not as \""""
    return (
        "Look for a quote that is not closed or, inside a quoted field, not written twice, and for what stands between "
        f"a closing quote and the next {_kind(separator)}, a space say"
    )


def _of_fields(is_longer: bool, separator: str, *, is_first: bool) -> str:
    """What to do about a row that is longer or shorter than the header."""
    kind = _kind(separator)
    if is_first and is_longer:  # R's write.table has no name for the names of the rows
        return (
            f"Quote the fields that hold {kind}s. If every row is so long, give each column a name in the header; if "
            "the header stands further down, delete what is above it"
        )
    if is_longer:
        return f"Quote the fields that hold {kind}s"
    advice = f"Write the {kind}s of its empty fields too, and quote fields that hold line ends"
    return f"{advice}. If the header stands further down, delete what is above it" if is_first else advice


def _kind(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))
