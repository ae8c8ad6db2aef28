"""A table as its source has it, before its headers, blank rows and types are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from prefect_experiments.datasets.scalars import is_missing
from prefect_experiments.errors import InvalidDataset, unknown_value
from prefect_experiments.texts import ELLIPSIS, shortened

SLICE = 2000  # rows of a source that are looked at together

_LONGEST = 60  # characters of a name


@dataclass(slots=True)
class Raw:
    """Rows as columns.

    Attributes:
        origin: what the rows are, for messages: a path, say.
        names: of the columns, as they stand there.
        columns: one list of cells for each of the names.
        numbers: of the rows, from 1, as they stand there; blank lines between them count.
        is_text: whether the source has no types, so that every cell is text.
        absent: for a column, the places of the rows that do not have it, which is less than an empty cell.
        blank_lines: rows with nothing in them that are left out already.
        notes: what else should be said of what was read.
    """

    origin: str
    names: list[str]
    columns: list[list[Any]]
    numbers: Sequence[int]
    is_text: bool = False
    absent: Mapping[str, frozenset[int]] = field(default_factory=dict)
    blank_lines: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Slices:
    """Rows that come a slice at a time, as often as they are asked for.

    Attributes:
        origin: what the rows are, for messages: a path, say.
        names: of the columns, as they stand there; each slice has them all, in this order.
        read: gives the slices, from the first row on.
    """

    origin: str
    names: list[str]
    read: Callable[[], Iterator[Raw]]


def slices_of(raw: Raw) -> Slices:
    """Rows that are all at hand, and have all columns, a slice at a time."""

    def read() -> Iterator[Raw]:
        for start in range(0, max(1, len(raw.numbers)), SLICE):
            part = slice(start, start + SLICE)
            columns = [column[part] for column in raw.columns]
            notes = [] if start else raw.notes
            yield Raw(raw.origin, raw.names, columns, raw.numbers[part], notes=notes)

    return Slices(raw.origin, raw.names, read)


def header(name: Any) -> str:
    """A column's name as it is known: text, without white space around it; empty where it has none."""
    return "" if is_missing(name) else str(name).strip("\ufeff").strip()


def first_few(names: Iterable[Any], shown: int = 20) -> list[str]:
    """Names as a message has room for them: the first, cut where they are long, and whether there are more."""
    texts = [shortened(str(name), _LONGEST) for name in names]
    return texts if len(texts) <= shown else [*texts[:shown], ELLIPSIS]


def unknown_column(name: Any, columns: Iterable[str]) -> str:
    """The text for a column that is not there, with the nearest of those that are first."""
    columns = list(columns)
    near = get_close_matches(str(name), columns, n=3)
    return unknown_value("column", name, first_few(dict.fromkeys([*near, *columns])))


def slices_of_mappings(
    read: Callable[[], Iterable[Sequence[tuple[int, Mapping[Any, Any]]]]],
    names: Iterable[Any],
    origin: str,
    blank_lines: int = 0,
) -> Slices:
    """Mappings of column to value as columns.

    Args:
        read: gives the mappings with their numbers, a slice at a time.
        names: the columns of all of them, in the order in which they come up.
        origin: what they are, for messages.
        blank_lines: how many blank lines are left out between them.
    """
    known = {name: header(name) for name in names}
    texts = list(dict.fromkeys(known.values()))

    def slices() -> Iterator[Raw]:
        for some in read():
            yield _raw_of_mappings(some, known, texts, origin)
        yield Raw(origin, texts, [[] for _ in texts], [], blank_lines=blank_lines)

    return Slices(origin, texts, slices)


def _raw_of_mappings(
    rows: Sequence[tuple[int, Mapping[Any, Any]]], known: Mapping[Any, str], texts: list[str], origin: str
) -> Raw:
    """Mappings of column to value as columns.

    Raises:
        InvalidDataset: a row has two columns whose names are one once they are text, without white space around.
    """
    found = [row for _, row in rows]
    if len(texts) < len(known):
        found = [_renamed(row, known, origin, number) for number, row in rows]
        known = {name: name for name in texts}
    # A plain lookup also in a defaultdict and its kin, which would make up a missing column.
    columns = [[row.get(name) for row in found] for name in known]
    absent = {}
    if any(len(row) < len(known) for row in found):
        for name, text in known.items():
            if places := frozenset(place for place, row in enumerate(found) if name not in row):
                absent[text] = places
    return Raw(origin, texts, columns, [number for number, _ in rows], absent=absent)


def _renamed(row: Mapping[Any, Any], known: Mapping[Any, str], origin: str, number: int) -> dict[str, Any]:
    renamed = {known[name]: value for name, value in row.items()}
    if len(renamed) < len(row):
        raise InvalidDataset(
            f"{origin}: row {number}, two columns have the same name once their names are text. Rename one of them"
        )
    return renamed


def one_name_each(names: Iterable[str], origin: str) -> None:
    """Refuse columns of one name.

    Raises:
        InvalidDataset: there are some.
    """
    names = list(names)
    if len(set(names)) == len(names):
        return
    doubles = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
    if doubles:
        listed = ", ".join(first_few(map(repr, doubles)))
        raise InvalidDataset(
            f"{origin}: several columns are named {listed} (white space around a name does not count). Rename or drop "
            "all but one"
        )
