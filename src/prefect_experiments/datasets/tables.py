"""The one way from whatever holds rows to columns, for datasets and for results alike."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect_experiments.datasets.arrow import arrow_raw, speaks_arrow
from prefect_experiments.datasets.cell_types import check_types, typed
from prefect_experiments.datasets.files import read_file
from prefect_experiments.datasets.frames import frame_raw
from prefect_experiments.datasets.raw import Raw, first_few, header, one_name_each, raw_of_mappings, unknown_column
from prefect_experiments.datasets.scalars import is_blank, python_scalar
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example

_UNNAMED = re.compile(r"|Unnamed: \d+(\.\d+)?")  # the latter is what pandas calls it
_WHOLE = re.compile(r"\d+(\.0)?")

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


def read_table(source: Any, *, types: Mapping[str, str] | None = None, name: str = "rows") -> Table:
    """The table that rows are given as.

    Headers are stripped of white space; rows with nothing in them, and a first column without a name
    that only counts the rows, are left out and said in one line of the log.

    Args:
        source: a DataFrame; anything with Arrow's PyCapsule interface (polars, pyarrow, Hugging Face's
            datasets); a list of mappings of column to value; the path of a file (see `read_file`); or
            what has a ``to_dataframe()`` or ``to_df()``, as ``run_experiment()`` and ``list_runs()`` give.
        types: by column, what its cells are: ``text``, ``number``, ``bool`` or ``json``; see `typed`.
        name: what the rows are called where they come as a list.

    Raises:
        InvalidDataset: it is none of these, cannot be read, or has no rows.
        InvalidSetting: types that there are not.
    """
    wanted = check_types(types)
    return table_of(_raw_of(source, name), wanted)


def numbered_table(
    rows: Sequence[tuple[int, Any]], *, types: Mapping[str, str] | None = None, name: str = "rows"
) -> Table:
    """The table of those rows of a list, with their numbers in it, that are mappings of column to value."""
    return table_of(_raw_of_rows(rows, name), check_types(types))


def table_of(raw: Raw, types: Mapping[str, str]) -> Table:
    """The table, once what it does not need is left out, and what the caller says of its columns is done.

    Raises:
        InvalidDataset: columns without a name or of one name, no rows, or a cell that is not of its type.
    """
    if not raw.names and raw.numbers:
        raise InvalidDataset(f"{raw.origin}: no rows; every row is empty")
    raw.names = [header(name) for name in raw.names]
    said = list(raw.notes)
    blank = _blank_rows(raw)
    if count := len(blank) + raw.blank_lines:
        said.insert(0, f"{count:,} {'row' if count == 1 else 'rows'} with nothing in {'it' if count == 1 else 'them'}")
    _leave_out_rows(raw, blank)
    if not raw.numbers:
        raise InvalidDataset(f"{raw.origin}: no rows{'; every row is empty' if said else ''}")
    said += _leave_out_unnamed(raw)
    one_name_each(raw.names, raw.origin)
    if said:
        logger.warning("%s: left out %s.", raw.origin, " and ".join(said))
    table = Table(
        dict(zip(raw.names, raw.columns, strict=True)),
        len(raw.numbers),
        raw.origin,
        raw.numbers,
        raw.is_text,
        raw.absent,
    )
    for column, kind in types.items():
        place = table.require(column, "types")
        cells = typed(table.columns[place], kind, table.where(place), table.numbers)
        table.columns[place][:] = cells
    return table


def _raw_of(source: Any, name: str) -> Raw:
    """The columns of whatever holds rows."""
    if isinstance(source, str | Path):
        return read_file(source)
    if _is_frame(source):
        return frame_raw(source)
    if speaks_arrow(source):
        return arrow_raw(source)
    if _is_hugging_face(source):
        # Hugging Face's: rows one by one are slow, and a selection is not in the table behind it.
        return arrow_raw(source.with_format("arrow")[:])
    for method in ("to_dataframe", "to_df"):
        if hasattr(source, method):
            frame = getattr(source, method)()
            if _is_frame(frame):
                return frame_raw(frame)
    if isinstance(source, Mapping | Example | bytes) or not isinstance(source, Iterable):
        raise InvalidDataset(
            f"{name}: give a DataFrame, an Arrow table, a list of mappings of column to value, or the path of a file; "
            f"got a value of type {type(source).__qualname__}{_instead_of(source)}"
        )
    return _raw_of_rows(list(enumerate(source, 1)), name)


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


def _raw_of_rows(rows: Sequence[tuple[int, Any]], name: str) -> Raw:
    """Numbered mappings of column to value as columns."""
    for number, row in rows:
        if not isinstance(row, Mapping):
            raise InvalidDataset(
                f"{name}: row {number} must be a mapping of column to value, got a value of type "
                f"{type(row).__qualname__}"
            )
    return raw_of_mappings([row for _, row in rows], name, [number for number, _ in rows])


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


def _blank_rows(raw: Raw) -> list[int]:
    """The places of the rows with nothing in them; what only counts the rows is nothing."""
    places: Iterable[int] = range(len(raw.numbers))
    first = 0
    while first < len(raw.names) and _UNNAMED.fullmatch(raw.names[first]) and first < len(raw.names) - 1:
        first += 1
    for column in raw.columns[first:]:
        places = [place for place in places if is_blank(column[place])]
        if not places:
            return []
    return list(places)


def _leave_out_rows(raw: Raw, places: Sequence[int]) -> None:
    if not places:
        return
    gone = set(places)
    kept = [place for place in range(len(raw.numbers)) if place not in gone]
    raw.columns = [[column[place] for place in kept] for column in raw.columns]
    raw.numbers = [raw.numbers[place] for place in kept]
    new_places = {place: new for new, place in enumerate(kept)}
    raw.absent = {
        name: frozenset(new_places[place] for place in absent if place in new_places)
        for name, absent in raw.absent.items()
    }


def _leave_out_unnamed(raw: Raw) -> list[str]:
    """Leave out unnamed columns that say nothing; what was left out, in words.

    Raises:
        InvalidDataset: one says something.
    """
    left_out = 0
    while len(raw.names) > 1 and _UNNAMED.fullmatch(raw.names[0]) and _counts(raw.columns[0]):
        left_out += 1
        del raw.names[0], raw.columns[0]
    places = [place for place, name in enumerate(raw.names) if _UNNAMED.fullmatch(name)]
    empty = [place for place in places if all(map(is_blank, raw.columns[place]))]
    unnamed = [str(place + 1 + left_out) for place in places if place not in empty]
    if unnamed:
        # Above the header of sheets, and of what was one, people write what the table is.
        is_title = len(raw.names) > 2 and len(raw.names) - len(places) == 1
        advice = (
            "If it is a title and the header stands further down, delete what is above that"
            if is_title
            else "Name it there, or drop it; pandas writes its index so, unless to_csv(index=False)"
        )
        listed = ", ".join(first_few(unnamed))
        raise InvalidDataset(f"{raw.origin}: the header has no name for column {listed}. {advice}")
    for place in reversed(empty):
        del raw.names[place], raw.columns[place]
    said = ["the first column, which has no name and only counts the rows (name it to keep it)"] if left_out else []
    if empty:
        said.append(f"{len(empty)} {'column' if len(empty) == 1 else 'columns'} without a name and content")
    return said


def _counts(column: Sequence[Any]) -> bool:
    """Whether a column only numbers the rows: whole numbers, each once.

    They need not be in order: a DataFrame keeps its numbers when it is filtered, sorted or sampled.
    """
    texts = {str(python_scalar(cell)).strip() for cell in column}
    return len(texts) == len(column) and all(map(_WHOLE.fullmatch, texts))
