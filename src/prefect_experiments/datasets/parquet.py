"""Rows to a Parquet file, some thousands at a time.

What type a column has is known only after its last row. So the rows wait in a temporary file, in Arrow's own form, and
go from there to where they belong.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from prefect_experiments.datasets.arrow import JSON_MARK
from prefect_experiments.datasets.scalars import is_missing, python_scalar
from prefect_experiments.jsonable import dumps_lenient

_ROWS = 2_000  # in memory at once, and of each row group
_PLAIN = {str, bool, int, float}


def write_parquet(rows: Iterable[Mapping[str, Any]], names: Sequence[str], file: BinaryIO) -> None:
    """Write rows: a column of one plain type as it is, any other as JSON texts, with a mark that says so.

    Args:
        rows: gone through once.
        names: of the columns, in order.
        file: where to.
    """
    every = iter(rows)
    fields: dict[str, pa.Field] = {name: pa.field(name, pa.null()) for name in names}
    with tempfile.TemporaryFile() as waiting:
        count = 0
        while some := list(islice(every, _ROWS)):
            columns = [_column(name, [row.get(name) for row in some]) for name in names]
            fields = {field.name: _agreed(fields[field.name], field) for field, _ in columns}
            table = pa.table([cells for _, cells in columns], schema=pa.schema([field for field, _ in columns]))
            with pa.ipc.new_stream(waiting, table.schema) as stream:
                stream.write_table(table)
            count += 1
        waiting.seek(0)
        with pq.ParquetWriter(file, schema := pa.schema(list(fields.values()))) as writer:
            for _ in range(count):
                with pa.ipc.open_stream(waiting) as stream:
                    found = stream.read_all()
                cells = [_as(found.column(name), found.field(name), schema.field(name)) for name in names]
                writer.write_table(pa.table(cells, schema=schema))


def _column(name: str, values: list[Any]) -> tuple[pa.Field, pa.Array]:
    """Some cells of a column, as they are where they are of one plain type."""
    cells = [None if is_missing(value) else python_scalar(value) for value in values]
    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) <= 1 and kinds <= _PLAIN:
        try:
            array = pa.array(cells)
            return pa.field(name, array.type), array
        except (pa.ArrowException, ValueError, OverflowError):  # an integer beyond 64 bits, a lone surrogate
            pass
    return _json_field(name), _json(cells)


def _agreed(before: pa.Field, field: pa.Field) -> pa.Field:
    """The one field that two parts of a column fit in."""
    if pa.types.is_null(field.type) or before.equals(field, check_metadata=True):
        return before
    return field if pa.types.is_null(before.type) else _json_field(field.name)


def _as(cells: pa.ChunkedArray, field: pa.Field, wanted: pa.Field) -> pa.ChunkedArray | pa.Array:
    if field.equals(wanted, check_metadata=True):
        return cells
    return cells.cast(wanted.type) if pa.types.is_null(field.type) else _json(cells.to_pylist())


def _json_field(name: str) -> pa.Field:
    return pa.field(name, pa.string(), metadata=JSON_MARK)


def _json(cells: Iterable[Any]) -> pa.Array:
    return pa.array([None if cell is None else dumps_lenient(cell)[0] for cell in cells], pa.string())
