"""The one way from whatever holds rows to columns, for datasets and for results alike."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect_experiments.datasets.arrow import arrow_slices, speaks_arrow
from prefect_experiments.datasets.cell_types import check_types, typed
from prefect_experiments.datasets.files import slices_of_file
from prefect_experiments.datasets.frames import frame_slices
from prefect_experiments.datasets.kept_rows import sliced
from prefect_experiments.datasets.raw import (
    SLICE,
    Raw,
    Slices,
    header,
    one_name_each,
    slices_of_mappings,
    unknown_column,
)
from prefect_experiments.datasets.scalars import is_blank
from prefect_experiments.datasets.unnamed import leading_unnamed, left_out_columns
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example

logger = logging.getLogger("prefect_experiments")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as columns.

    Attributes:
        columns: by name, in their order; each has one cell a row, ``None`` where a row has none.
        rows: how many.
        origin: what the rows are, for messages: a path, say.
        numbers: of the rows as they stand in the source, from 1, for messages: those left out count.
        is_text: whether the source has no types (CSV): its cells are text, and an empty one may be a missing one.
        absent: for a column, the places of the rows that do not even have an empty cell in it.
    """

    columns: Mapping[str, list[Any]]
    rows: int
    origin: str
    numbers: Sequence[int]
    is_text: bool = False
    absent: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def where(self, column: str) -> str:
        """A column, for messages."""
        return f"{self.origin}: column {column!r}"

    def require(self, column: str, named_by: str, advice: str = "") -> str:
        """The column.

        Args:
            column: its name.
            named_by: what names it, for the message.
            advice: what to do where it is not there.

        Raises:
            InvalidDataset: it is not there; the text names the nearest one that is.
        """
        if column in self.columns:
            return column
        if isinstance(column, str) and header(column) in self.columns:
            return header(column)
        problem = unknown_column(column, self.columns)
        raise InvalidDataset(f"{self.origin}: {named_by}: {problem}{f'. {advice}' if advice else ''}")

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows as mappings of column to cell, without the columns that a row does not have."""
        names = list(self.columns)
        for place, cells in enumerate(zip(*self.columns.values(), strict=True)):
            row = dict(zip(names, cells, strict=True))
            for name, places in self.absent.items():
                if place in places:
                    del row[name]
            yield row


class SlicedTable:
    """A table whose rows come a slice at a time, so that it need not be in memory as a whole.

    What is left out of it is said in one line of the log, once it has been read to its end.

    Args:
        slices: the rows as the source has them.
        types: what the caller says of its columns.

    Raises:
        InvalidDataset: columns without a name or of one name, or types for a column that is not there; and, when it is
            read, no rows, or a cell that is not of its type.
    """

    def __init__(self, slices: Slices, types: Mapping[str, str]) -> None:
        self.origin = slices.origin
        self._slices = slices
        self._names = [header(name) for name in slices.names]
        if not self._names and any(raw.numbers for raw in slices.read()):
            raise InvalidDataset(f"{self.origin}: no rows; every row is empty")
        self._left_out = left_out_columns(self._names, self._without_blank_rows, self.origin)
        self.columns = [name for place, name in enumerate(self._names) if place not in self._left_out.places]
        one_name_each(self.columns, self.origin)
        bare = Table({name: [] for name in self.columns}, 0, self.origin, ())
        self._types = {bare.require(column, "types"): kind for column, kind in types.items()}

    def __iter__(self) -> Iterator[Table]:
        blank = count = 0
        notes: list[str] = []
        for raw in self._slices.read():
            gone = _blank_rows(self._names, raw)
            blank += len(gone) + raw.blank_lines
            notes += raw.notes
            table = self._table(_without_rows(raw, gone))
            count += table.rows
            if table.rows:
                yield table
        if blank:
            said = f"{blank:,} {'row' if blank == 1 else 'rows'} with nothing in {'it' if blank == 1 else 'them'}"
            notes.insert(0, said)
        if not count:
            raise InvalidDataset(f"{self.origin}: no rows{'; every row is empty' if notes else ''}")
        notes += self._left_out.said
        if notes:
            logger.warning("%s: left out %s.", self.origin, " and ".join(notes))

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows with their numbers, as `Table.records` has them."""
        for table in self:
            yield from zip(table.numbers, table.records(), strict=True)

    def whole(self) -> Table:
        """All of it in memory."""
        columns: dict[str, list[Any]] = {name: [] for name in self.columns}
        numbers: list[int] = []
        absent: dict[str, set[int]] = {}
        is_text = False
        for table in self:
            for name, places in table.absent.items():
                absent.setdefault(name, set()).update(len(numbers) + place for place in places)
            for name, cells in table.columns.items():
                columns[name] += cells
            numbers += table.numbers
            is_text = table.is_text
        kept = {name: frozenset(places) for name, places in absent.items()}
        return Table(columns, len(numbers), self.origin, numbers, is_text, kept)

    def _without_blank_rows(self) -> Iterator[Raw]:
        return (_without_rows(raw, _blank_rows(self._names, raw)) for raw in self._slices.read())

    def _table(self, raw: Raw) -> Table:
        kept = [cells for place, cells in enumerate(raw.columns) if place not in self._left_out.places]
        columns = dict(zip(self.columns, kept, strict=True))
        table = Table(columns, len(raw.numbers), self.origin, raw.numbers, raw.is_text, raw.absent)
        for column, kind in self._types.items():
            columns[column] = typed(columns[column], kind, table.where(column), table.numbers)
        return table


def read_table(source: Any, *, types: Mapping[str, str] | None = None, name: str = "rows") -> Table:
    """The table that rows are given as.

    Headers are stripped of white space; rows with nothing in them, and a first column without a name
    that only counts the rows, are left out and said in one line of the log.

    Args:
        source: a DataFrame; anything with Arrow's PyCapsule interface (polars, pyarrow, Hugging Face's
            datasets); a list of mappings of column to value; the path of a file (see `slices_of_file`); or
            what has a ``to_dataframe()`` or ``to_df()``, as ``run_experiment()`` and ``list_runs()`` give.
        types: by column, what its cells are: ``text``, ``number``, ``bool`` or ``json``; see `typed`.
        name: what the rows are called where they come as a list.

    Raises:
        InvalidDataset: it is none of these, cannot be read, or has no rows.
        InvalidSetting: types that there are not.
    """
    return sliced_table(source, types=types, name=name).whole()


def sliced_table(source: Any, *, types: Mapping[str, str] | None = None, name: str = "rows") -> SlicedTable:
    """The same, a slice at a time; what cannot be read is refused when it is come to."""
    wanted = check_types(types)
    return SlicedTable(_slices_of(source, name), wanted)


def numbered_table(
    rows: Sequence[tuple[int, Any]], *, types: Mapping[str, str] | None = None, name: str = "rows"
) -> SlicedTable:
    """The table of those rows of a list, with their numbers in it, that are mappings of column to value."""
    return SlicedTable(_slices_of_rows(rows, name), check_types(types))


def _slices_of(source: Any, name: str) -> Slices:
    """The columns of whatever holds rows."""
    if isinstance(source, str | Path):
        return slices_of_file(source)
    if _is_frame(source):
        return frame_slices(source)
    if speaks_arrow(source):
        return arrow_slices(source)
    if _is_hugging_face(source):
        # Hugging Face's: rows one by one are slow, and a selection is not in the table behind it.
        return arrow_slices(source.with_format("arrow")[:])
    for method in ("to_dataframe", "to_df"):
        if hasattr(source, method):
            frame = getattr(source, method)()
            if _is_frame(frame):
                return frame_slices(frame)
    if isinstance(source, Mapping | Example | bytes) or not isinstance(source, Iterable):
        raise InvalidDataset(
            f"{name}: give a DataFrame, an Arrow table, a list of mappings of column to value, or the path of a file; "
            f"got a value of type {type(source).__qualname__}{_instead_of(source)}"
        )
    return _slices_of_rows(list(enumerate(source, 1)), name)


def _instead_of(source: Any) -> str:
    """What to do with an object that holds tables, or could be made one."""
    if hasattr(source, "collect"):
        return ". Give what its collect() gives"
    if not isinstance(source, Mapping) or not source:
        return ""
    if all(is_tabular(part) or hasattr(part, "features") for part in source.values()):
        return f", which holds several tables. Give one of them: {', '.join(map(repr, source))}"
    if all(isinstance(part, list | tuple) for part in source.values()):
        return ", which looks like columns. pandas.DataFrame(...) makes a table of it"
    return ". If it is the only row, put it into a list"


def _slices_of_rows(rows: Sequence[tuple[int, Any]], name: str) -> Slices:
    """Numbered mappings of column to value as columns."""
    for number, row in rows:
        if not isinstance(row, Mapping):
            raise InvalidDataset(
                f"{name}: row {number} must be a mapping of column to value, got a value of type "
                f"{type(row).__qualname__}"
            )
    columns = dict.fromkeys(column for _, row in rows for column in row)
    return slices_of_mappings(lambda: sliced(rows, SLICE), columns, name)


def is_tabular(source: Any) -> bool:
    """Whether an object is a table of some library, and not just an iterable of rows."""
    if _is_frame(source) or speaks_arrow(source) or _is_hugging_face(source):
        return True
    return hasattr(source, "to_dataframe") or hasattr(source, "to_df")


def _is_hugging_face(source: Any) -> bool:
    """Whether it is a dataset of Hugging Face's; one that is a stream is read row by row."""
    return hasattr(source, "with_format") and hasattr(source, "__len__") and not isinstance(source, Mapping)


def _is_frame(source: Any) -> bool:
    # Who has a DataFrame has imported pandas; nobody else should wait a second for it.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def _blank_rows(names: Sequence[str], raw: Raw) -> list[int]:
    """The places of the rows with nothing in them; what only counts the rows is nothing."""
    places: Iterable[int] = range(len(raw.numbers))
    for column in raw.columns[leading_unnamed(names) :]:
        places = [place for place in places if is_blank(column[place])]
        if not places:
            return []
    return list(places)


def _without_rows(raw: Raw, places: Sequence[int]) -> Raw:
    if not places:
        return raw
    gone = set(places)
    kept = [place for place in range(len(raw.numbers)) if place not in gone]
    new_places = {place: new for new, place in enumerate(kept)}
    return Raw(
        raw.origin,
        raw.names,
        [[column[place] for place in kept] for column in raw.columns],
        [raw.numbers[place] for place in kept],
        raw.is_text,
        {
            name: frozenset(new_places[place] for place in absent if place in new_places)
            for name, absent in raw.absent.items()
        },
    )
