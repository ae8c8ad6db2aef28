"""CSV text to rows. It has no types: every cell is text."""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TextIO

from prefect_experiments.datasets.raw import SLICE, Raw, Slices
from prefect_experiments.datasets.text_file import TextFile
from prefect_experiments.errors import InvalidDataset

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}

_EXCEL = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n|$)')
_LONGEST_HEADER = 100_000  # characters that are looked at for separators
# The csv module keeps its limit as an int of C, 32 bits wide on some systems.
_LARGEST_FIELD = 2**31 - 1
_limit_lock = threading.Lock()


def csv_slices(file: TextFile, separator: str | None = None) -> Slices:
    """The rows of a CSV text with a header, each cell as its text.

    Args:
        file: the text.
        separator: between the fields. By default what Excel's first line ``sep=;`` says, or else the
            one of comma, semicolon, tab and vertical bar that divides the header, and every row
            into as many fields; the comma where several do.

    Raises:
        InvalidDataset: a row with more or fewer fields than the header, an unterminated quote, a
            NUL character, or no rows.
    """
    if file.nul_line is not None:
        raise InvalidDataset(f"{file.origin}: line {file.nul_line} holds a NUL character; this is not a CSV text")
    with file.open("") as text:
        said = _EXCEL.match(text.readline(_LONGEST_HEADER))
    if said:
        return _Csv(file, said[1], skipped=1).slices()
    return (_told(file) if separator is None else _Csv(file, separator)).slices()


def _told(file: TextFile) -> _Csv:
    """The rows as the separator divides them that goes with the header and with every row."""
    with file.open("") as text:
        header = next(filter(str.strip, iter(lambda: text.readline(_LONGEST_HEADER), "")), "").lstrip()
    candidates = [separator for separator in SEPARATORS if separator in header] or [","]
    if len(candidates) == 1:
        return _Csv(file, candidates[0])
    best, most = None, 0
    for separator in candidates:
        found = _Csv(file, separator)
        try:
            for _ in found.read():
                pass
            width = len(found.names())
        except InvalidDataset:
            continue
        if width > most:
            best, most = found, width
    return best or _Csv(file, max(candidates, key=header.count))


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


class _Csv:
    """A CSV text with a separator; `skipped` lines stand above it."""

    def __init__(self, file: TextFile, separator: str, skipped: int = 0) -> None:
        self._file = file
        self._separator = separator
        self._skipped = skipped

    def slices(self) -> Slices:
        return Slices(self._file.origin, self.names(), self.read)

    def names(self) -> list[str]:
        """The header."""
        for some in self._records(1):
            for _, record in some:
                if any(map(str.strip, record)):
                    return record
        raise InvalidDataset(f"{self._file.origin}: no rows; the file is blank")

    def read(self) -> Iterator[Raw]:
        """The rows below the header."""
        names: list[str] = []
        number = pending = count = header_line = 0
        for some in self._records(SLICE):
            records: list[list[str]] = []
            numbers: list[int] = []
            for line, record in some:
                if not names:
                    names, header_line = record if any(map(str.strip, record)) else [], line
                    continue
                number += 1
                if len(record) == len(names):
                    records.append(record)
                    numbers.append(number)
                    pending = 0
                elif any(map(str.strip, record)):
                    is_first = not (count or records) or len(names) == 1
                    raise self._uneven(line, record, header_line, names, is_first=is_first)
                elif not record:
                    pending += 1  # blank lines at the end are no rows
            count += len(records)
            columns = [list(column) for column in zip(*records, strict=True)] or [[] for _ in names]
            yield Raw(self._file.origin, names, columns, numbers, is_text=True)
        if not count and number == pending:
            raise InvalidDataset(
                f"{self._file.origin}: no rows; there is only a header (is it a row? Then write a header above it)"
            )
        yield Raw(self._file.origin, names, [[] for _ in names], [], is_text=True, blank_lines=number - pending - count)

    def _records(self, size: int) -> Iterator[list[tuple[int, list[str]]]]:
        """The records with the lines on which they begin, so many at once."""
        with self._text() as text:
            reader = csv.reader(text, strict=True, delimiter=self._separator)
            is_over = False
            while not is_over:
                some: list[tuple[int, list[str]]] = []
                with _field_limit(self._file.size + 1):
                    while len(some) < size:
                        begun = reader.line_num  # a quoted field may span lines
                        try:
                            some.append((begun + self._skipped + 1, next(reader)))
                        except StopIteration:
                            is_over = True
                            break
                        except csv.Error as error:
                            raise self._broken(begun, reader.line_num, error) from None
                yield some

    def _text(self) -> TextIO:
        text = self._file.open("")
        for _ in range(self._skipped):
            text.readline()
        return text

    def _broken(self, begun: int, ended: int, error: csv.Error) -> InvalidDataset:
        with self._text() as text:
            has_backslash = any('\\"' in line for line in islice(text, begun, ended))
        return InvalidDataset(
            f"{self._file.origin}: the record that begins on line {begun + self._skipped + 1} is not CSV: {error}. "
            f"{_of_quotes(self._separator, has_backslash=has_backslash)}"
        )

    def _uneven(
        self, line: int, record: list[str], header_line: int, names: list[str], *, is_first: bool
    ) -> InvalidDataset:
        advice = _of_fields(len(record) > len(names), self._separator, is_first=is_first)
        return InvalidDataset(
            f"{self._file.origin}: line {line} has {len(record)} field{'s'[: len(record) != 1]} where the header, line "
            f"{header_line}, has {len(names)} (separated by {_kind(self._separator)}s). {advice}"
        )


def _of_quotes(separator: str, *, has_backslash: bool) -> str:
    """What to do about quotes that are not as CSV has them."""
    if has_backslash:
        return r"""A quote inside a quoted field is written twice (""), not as \""""
    return (
        "Look for a quote that is not closed or, inside a quoted field, not written twice, and for what stands between "
        f"a closing quote and the next {_kind(separator)}, a space say"
    )


def _of_fields(is_longer: bool, separator: str, *, is_first: bool) -> str:
    """What to do about a row that is longer or shorter than the header."""
    kind = _kind(separator)
    if is_longer:
        quote = f"Quote the fields that hold {kind}s"
        if not is_first:
            return quote
        return (  # R's write.table has no name for the names of the rows
            f"{quote}. If every row is so long, give each column a name in the header; if the header stands further "
            "down, delete what is above it"
        )
    advice = f"Write the {kind}s of its empty fields too, and quote fields that hold line ends"
    return f"{advice}. If the header stands further down, delete what is above it" if is_first else advice


def _kind(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))
