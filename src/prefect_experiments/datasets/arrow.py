"""Arrow's tables, from Parquet files and from whatever speaks Arrow: polars, pyarrow, Hugging Face's datasets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from prefect_experiments.datasets.raw import Raw
from prefect_experiments.errors import InvalidDataset, needs_extra

if TYPE_CHECKING:
    import pyarrow as pa

# A field with this in its metadata holds each cell as its JSON text; we write such fields, see `export`.
JSON_MARK = {b"prefect_experiments.cells": b"json"}

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path) -> Raw:
    """The columns of a Parquet file but an index without a name, which pandas may have written.

    Raises:
        InvalidDataset: pyarrow is not installed, or it is not one that can be read.
    """
    instead = "save the table as .csv or .jsonl"
    with needs_extra("parquet", f"{path}: reading .parquet", instead=instead, error=InvalidDataset):
        import pyarrow as pa
        import pyarrow.parquet as pq

    try:
        # Not read_table(), which adds columns when a folder on the way is called "name=value".
        with pq.ParquetFile(path) as file:
            table = file.read()
        return _raw(table, str(path))
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InvalidDataset):
            raise
        raise InvalidDataset(f"{path} is not a Parquet file that can be read ({type(error).__name__})") from None


def speaks_arrow(source: Any) -> bool:
    """Whether an object has Arrow's PyCapsule interface."""
    return hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")


def arrow_raw(source: Any) -> Raw:
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
    return _raw(table, kind)


def _raw(table: pa.Table, origin: str) -> Raw:
    import pyarrow as pa

    fields = [
        (place, field) for place, field in enumerate(table.schema) if not _PANDAS_INDEX.fullmatch(str(field.name))
    ]
    columns = []
    for place, field in fields:
        try:
            columns.append(_cells(field, table.column(place)))
        except (pa.ArrowException, ValueError, KeyError, TypeError, OverflowError) as error:
            raise InvalidDataset(
                f"{origin}: column {field.name!r} of type {field.type} cannot be read ({type(error).__name__}). "
                "Convert it, or leave it out"
            ) from None
    raw = Raw(origin, [field.name for _, field in fields], columns, range(1, table.num_rows + 1))
    for name, values in _counted_index(table):
        raw.names.insert(0, name)
        raw.columns.insert(0, values)
    return raw


def _cells(field: pa.Field, column: pa.ChunkedArray) -> list[Any]:
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


def _counted_index(table: pa.Table) -> list[tuple[str, list[int]]]:
    """An index of pandas' that has a name and only counts: it is in the file as three numbers."""
    try:
        found = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
        taken = (None, *table.column_names)
        ranges = [each for each in found if isinstance(each, dict) and each.get("name") not in taken]
        indexes = [(each["name"], list(range(each["start"], each["stop"], each["step"]))) for each in ranges]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return [(name, values) for name, values in indexes if len(values) == table.num_rows]
