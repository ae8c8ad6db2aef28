"""Arrow's tables, from Parquet files and from whatever speaks Arrow: polars, pyarrow, Hugging Face's datasets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from prefect_experiments.datasets.raw import SLICE, Raw, Slices
from prefect_experiments.errors import InvalidDataset, needs_extra

if TYPE_CHECKING:
    import pyarrow as pa

# A field with this in its metadata holds each cell as its JSON text; we write such fields, see `export`.
JSON_MARK = {b"prefect_experiments.cells": b"json"}

_BUFFER = 1 << 20  # bytes of each column that are read at once
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def parquet_slices(path: Path) -> Slices:
    """The columns of a Parquet file but an index without a name, which pandas may have written.

    Raises:
        InvalidDataset: pyarrow is not installed, or it is not one that can be read.
    """
    instead = "save the table as .csv or .jsonl"
    with needs_extra("parquet", f"{path}: reading .parquet", instead=instead, error=InvalidDataset):
        import pyarrow.parquet as pq

    # Not read_table(), which adds columns when a folder on the way is called "name=value".
    with _readable(path), pq.ParquetFile(path) as file:
        columns = _Columns(str(path), file.schema_arrow, file.metadata.num_rows)

    def read() -> Iterator[Raw]:
        with _readable(path), pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            # Buffers ahead and several threads would have most of the file in memory, for little: most of the work is
            # to make Python's values of it.
            yield from columns.slices(file.iter_batches(batch_size=SLICE, use_threads=False))

    return Slices(str(path), columns.names, read)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InvalidDataset):
            raise
        raise InvalidDataset(f"{path} is not a Parquet file that can be read ({type(error).__name__})") from None


def speaks_arrow(source: Any) -> bool:
    """Whether an object has Arrow's PyCapsule interface."""
    return hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")


def arrow_slices(source: Any) -> Slices:
    """The columns of an object with Arrow's PyCapsule interface.

    Raises:
        InvalidDataset: pyarrow is not installed, it is no table, or holds what Arrow cannot pass on.
    """
    kind = type(source).__qualname__
    instead = "give its rows as a list of mappings (polars: to_dicts())"
    with needs_extra("parquet", f"{kind}: reading what speaks Arrow", instead=instead, error=InvalidDataset):
        import pyarrow as pa

    try:
        table = pa.table(source)
    except Exception as error:  # noqa: BLE001 - each library has errors of its own
        raise InvalidDataset(
            f"{kind}: it cannot be read as an Arrow table ({type(error).__name__}). Give a table with named columns of "
            "text, numbers, truth values, lists or objects"
        ) from None
    columns = _Columns(kind, table.schema, table.num_rows)
    starts = range(0, table.num_rows, SLICE)
    return Slices(kind, columns.names, lambda: columns.slices(table.slice(start, SLICE) for start in starts))


class _Columns:
    """The columns of a table of Arrow's."""

    def __init__(self, origin: str, schema: pa.Schema, count: int) -> None:
        self._origin = origin
        self._fields = [
            (place, field) for place, field in enumerate(schema) if not _PANDAS_INDEX.fullmatch(str(field.name))
        ]
        self._indexes = _counted_index(schema, count)
        self.names = [*(name for name, _ in self._indexes), *(field.name for _, field in self._fields)]

    def slices(self, tables: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[Raw]:
        start = 0
        for table in tables:
            end = start + table.num_rows
            counts = [list(numbers[start:end]) for _, numbers in self._indexes]
            cells = [self._cells(field, table.column(place)) for place, field in self._fields]
            yield Raw(self._origin, self.names, [*counts, *cells], range(start + 1, end + 1))
            start = end

    def _cells(self, field: pa.Field, column: pa.ChunkedArray | pa.Array) -> list[Any]:
        import pyarrow as pa

        try:
            return _cells(field, column)
        except (pa.ArrowException, ValueError, KeyError, TypeError, OverflowError) as error:
            raise InvalidDataset(
                f"{self._origin}: column {field.name!r} of type {field.type} cannot be read ({type(error).__name__}). "
                "Convert it, or leave it out"
            ) from None


def _cells(field: pa.Field, column: pa.ChunkedArray | pa.Array) -> list[Any]:
    import pyarrow as pa

    cells: list[Any] = column.to_pylist()
    if _is_json(field):
        return [None if cell is None else orjson.loads(cell) for cell in cells]
    if pa.types.is_map(field.type):
        return [None if cell is None else dict(cell) for cell in cells]
    return cells


def _is_json(field: pa.Field) -> bool:
    metadata = field.metadata or {}
    if getattr(field.type, "extension_name", "") == "arrow.json":
        return True
    return metadata.get(b"ARROW:extension:name") == b"arrow.json" or metadata.items() >= JSON_MARK.items()


def _counted_index(schema: pa.Schema, count: int) -> list[tuple[str, range]]:
    """An index of pandas' that has a name and only counts: it is in the file as three numbers."""
    try:
        found = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
        taken = (None, *schema.names)
        ranges = [each for each in found if isinstance(each, dict) and each.get("name") not in taken]
        indexes = [(each["name"], range(each["start"], each["stop"], each["step"])) for each in ranges]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return [(name, numbers) for name, numbers in reversed(indexes) if len(numbers) == count]
