"""Results that were made elsewhere as columns, from wherever they come."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import orjson

from prefect_experiments.datasets.files import read_rows
from prefect_experiments.datasets.frames import frame_columns
from prefect_experiments.errors import InvalidDataset, unknown_value

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as columns.

    Attributes:
        columns: by name, in their order; each has one cell a row, ``None`` where a row has none.
        rows: how many.
        origin: what the rows are, for messages: a path, say.
        is_csv: whether an empty cell may be a missing one.
        is_flat: whether objects and lists can only stand in it as their JSON text.
        index: names of what is no column but the index of a DataFrame.
    """

    columns: Mapping[str, list[Any]]
    rows: int
    origin: str
    is_csv: bool = False
    is_flat: bool = False
    index: tuple[str, ...] = ()

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
        if column in self.index:
            advice = f"{column!r} is the DataFrame's index: df.reset_index() makes a column of it"
        near = get_close_matches(str(column), self.columns, n=3)
        problem = unknown_value("column", column, list(dict.fromkeys([*near, *self.columns]))[:_SHOWN])
        raise InvalidDataset(f"{self.origin}: {named_by}: {problem}{f'. {advice}' if advice else ''}")

    def unfolded(self, column: str) -> list[Any]:
        """A column's cells, with objects and lists read from their JSON text where that is all the table can hold.

        That is where each cell but the empty ones is exactly the text that we write for an object or
        a list (no white space between, as in ``{"a":1}``): any other column stays as it is.
        """
        cells = self.columns[column]
        if not self.is_flat:
            return cells
        values = []
        for cell in cells:
            value = None if cell in (None, "") else _object_or_list(cell)
            if value is None and cell not in (None, ""):
                return cells
            values.append(value)
        return values if any(value is not None for value in values) else cells


def _object_or_list(cell: Any) -> Any:
    """What a cell is the exact JSON text of; ``None`` where it is of neither."""
    if not isinstance(cell, str) or cell[:1] not in ("{", "["):
        return None
    try:
        value = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return None
    return value if orjson.dumps(value) == cell.encode() else None


def read_table(source: Any) -> Table:
    """The table that results are given as.

    Args:
        source: a DataFrame; a list of mappings of column to value; the path of a .csv, .json, .jsonl or
            .parquet file; or what ``list_runs()`` or ``run_experiment()`` gave.

    Raises:
        InvalidDataset: it is none of these, cannot be read, or has no rows.
    """
    if isinstance(source, str | Path):
        suffix = Path(source).suffix.lower()
        is_csv = suffix == ".csv"
        return _of_rows(read_rows(source), str(source), is_csv=is_csv, is_flat=is_csv or suffix == ".parquet")
    for method in ("to_dataframe", "to_df"):
        if hasattr(source, method):
            source = getattr(source, method)()
    # Who has a DataFrame has imported pandas; nobody else should wait a second for it.
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(source, pandas.DataFrame):
        index = tuple(str(name) for name in source.index.names if name is not None)
        if not len(source):
            raise InvalidDataset("DataFrame: no rows; there is nothing to log")
        return Table(frame_columns(source), len(source), "DataFrame", index=index)
    if isinstance(source, Mapping | bytes) or not isinstance(source, Iterable):
        raise InvalidDataset(
            "experiment_runs is a DataFrame, a list of mappings of column to value, or the path of a file; "
            f"got a value of type {type(source).__qualname__}"
        )
    return _of_rows(source, "experiment_runs")


def _of_rows(rows: Iterable[Any], origin: str, *, is_csv: bool = False, is_flat: bool = False) -> Table:
    found = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise InvalidDataset(
                f"{origin}: row {number} must be a mapping of column to value, got one of type {type(row).__qualname__}"
            )
        columns = {str(name): value for name, value in row.items()}
        if len(columns) != len(row):
            raise InvalidDataset(
                f"{origin}: row {number}: two columns have the same name once their names are text. Rename one of them"
            )
        found.append(columns)
    if not found:
        raise InvalidDataset(f"{origin}: no rows; there is nothing to log")
    names = dict.fromkeys(name for row in found for name in row)
    columns = {name: [row.get(name) for row in found] for name in names}
    return Table(columns, len(found), origin, is_csv=is_csv, is_flat=is_flat)
