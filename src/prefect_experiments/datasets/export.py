"""Rows and examples to files: ``.csv``, ``.json``, ``.jsonl`` (``.ndjson``) and ``.parquet``."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import orjson

from prefect_experiments.datasets.arrow import JSON_MARK
from prefect_experiments.datasets.columns import has_a_role
from prefect_experiments.datasets.raw import header
from prefect_experiments.datasets.scalars import is_missing, python_scalar
from prefect_experiments.errors import InvalidDataset, InvalidSetting, needs_extra, unknown_value
from prefect_experiments.files import is_stream, write_file
from prefect_experiments.flat_rows import flat_row
from prefect_experiments.jsonable import dumps_lenient
from prefect_experiments.models import Example

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
_FLAT_SUFFIXES = (".csv", ".parquet")
_PLAIN = {str, bool, int, float}
# What a spreadsheet takes for a formula, as OWASP lists it ("CSV Injection"); but a number is none.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

Row = Mapping[str, Any]


def write_rows(
    rows: Iterable[Row], path: str | Path, columns: Sequence[str] | None = None, *, for_spreadsheets: bool = False
) -> None:
    """Write rows to a file, in the format of its suffix: the whole file or, on an error, none.

    CSV holds objects and lists as JSON text, and ``None`` or NaN as an empty cell; so does Parquet,
    where a column of anything but one plain type is JSON text and marked as such, so that `read_table`
    gives the same values again. ``.json`` is a list, one row a line. A value that JSON has not is
    written as its ``repr``.

    Args:
        rows: one mapping a row.
        path: the file; one that exists is replaced. A pipe or a device (``/dev/stdout``) gets JSON lines, where it has
            no suffix.
        columns: which columns, in which order; a row without one has ``None`` there. By default
            every column of any row, in the order they first appear.
        for_spreadsheets: of a ``.csv`` file, a text that a spreadsheet would take for a formula gets an apostrophe
            before it. Such a file is not read back as it was.

    Raises:
        InvalidSetting: an unknown suffix, a folder that is not there, a path that cannot be written,
            ``.parquet`` without pyarrow, or another suffix than ``.csv`` for spreadsheets.
    """
    path = Path(path)
    write = _writer(path)
    if for_spreadsheets:
        if path.suffix.lower() != ".csv":
            raise InvalidSetting(f"{path}: for_spreadsheets is about .csv files; others hold no formulas")
        write = _write_csv_of_texts
    kept = [dict(row) if columns is None else {name: row.get(name) for name in columns} for row in rows]
    names = list(columns) if columns is not None else list(dict.fromkeys(name for row in kept for name in row))
    write_file(path, functools.partial(write, kept, names))


def write_examples(examples: Iterable[Example], path: str | Path, *, for_spreadsheets: bool = False) -> None:
    """Write examples to a file: as `example_rows` has them, flat for ``.csv`` and ``.parquet``.

    Args:
        examples: in the order wanted.
        path: the file.
        for_spreadsheets: as for `write_rows`.

    Raises:
        InvalidSetting: as for `write_rows`.
        InvalidDataset: as for `example_rows`.
    """
    flat = Path(path).suffix.lower() in _FLAT_SUFFIXES
    write_rows(example_rows(examples, flat=flat), path, for_spreadsheets=for_spreadsheets)


def example_rows(examples: Iterable[Example], *, flat: bool = False) -> list[dict[str, Any]]:
    """The rows to write examples as.

    Args:
        examples: in the order wanted.
        flat: False: ``id, input, output, metadata, splits``, which `to_examples` turns into the
            same examples again. True: ``id`` and every field under its own name, as `flat_row`
            has it, and ``splits`` (a list) if any example has some.

    Raises:
        InvalidDataset: flat rows that would be read as something else: metadata with a name that means a
            role (``split``, ``expected``), or inputs of which some are objects and others are not.
    """
    examples = list(examples)
    if not flat:
        return [
            {"id": e.id, "input": e.input, "output": e.output, "metadata": dict(e.metadata), "splits": list(e.splits)}
            for e in examples
        ]
    _check_flat(examples)
    rows = [dict(flat_row(example)) for example in examples]
    if any(example.splits for example in examples):
        if any("splits" in row for row in rows):  # of an input or an output
            raise InvalidDataset(
                "the examples have splits and a field called 'splits', which cannot share a column. "
                "Write .json or .jsonl"
            )
        for row, example in zip(rows, examples, strict=True):
            row["splits"] = list(example.splits) or None
    return rows


def _check_flat(examples: Sequence[Example]) -> None:
    """Refuse examples of which flat columns would be read as something else.

    Raises:
        InvalidDataset: with the example and the field.
    """
    for example in examples:
        for name in example.metadata:
            if name != "id" and (has_a_role(name) or header(name) != name or not name):
                raise InvalidDataset(
                    f"the metadata of example {example.id!r:.80} has a field called {name!r}, which would be read as "
                    "something else from a column of that name. Write .json or .jsonl"
                )
    for part in ("input", "output"):
        values = [value for example in examples if (value := getattr(example, part)) is not None]
        if len({isinstance(value, Mapping) for value in values}) > 1:
            raise InvalidDataset(
                f"some {part}s are objects and others are not, which columns cannot tell apart. Write .json or .jsonl"
            )


def _writer(path: Path) -> Callable[[list[dict[str, Any]], list[str], BinaryIO], None]:
    """What writes this kind of file, once it is clear that the path can be one."""
    writers = {
        ".csv": _write_csv,
        ".json": _write_json,
        ".jsonl": _write_jsonl,
        ".ndjson": _write_jsonl,
        ".parquet": _write_parquet,
    }
    suffix = path.suffix.lower()
    if not suffix and is_stream(path):
        return _write_jsonl
    if suffix not in writers:
        raise InvalidSetting(f"{path}: {unknown_value('file suffix', path.suffix, list(SUFFIXES))}")
    if not path.parent.is_dir():
        raise InvalidSetting(f"{path}: there is no folder {path.parent.absolute()}; make it first")
    return writers[suffix]


class _Lines:
    """Ends lines with a newline alone."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n") + "\n")


def _write_csv(rows: list[dict[str, Any]], names: list[str], file: BinaryIO) -> None:
    _write_table(file, itertools.chain([names], ([_cell(row.get(name)) for name in names] for row in rows)))


def _write_csv_of_texts(rows: list[dict[str, Any]], names: list[str], file: BinaryIO) -> None:
    """Without a cell that a spreadsheet would take for a formula, in the head neither."""
    head = [_no_formula(name) for name in names]
    _write_table(file, itertools.chain([head], ([_no_formula(row.get(name)) for name in names] for row in rows)))


def _write_table(file: BinaryIO, table: Iterable[Sequence[Any]]) -> None:
    # A lone surrogate, which a task's output may hold, must not cost the whole file.
    text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
    # Only what the end of a line holds is quoted in a cell, and a bare "\r" has to be: it would end the record.
    csv.writer(_Lines(text), lineterminator="\r\n").writerows(table)
    text.detach()


def _no_formula(value: Any) -> Any:
    cell = _cell(value)
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def _write_json(rows: list[dict[str, Any]], _names: list[str], file: BinaryIO) -> None:
    text = ",\n".join(map(_json, rows))
    file.write((f"[\n{text}\n]\n" if rows else "[]\n").encode())


def _write_jsonl(rows: list[dict[str, Any]], _names: list[str], file: BinaryIO) -> None:
    file.writelines(f"{_json(row)}\n".encode() for row in rows)


def _write_parquet(rows: list[dict[str, Any]], names: list[str], file: BinaryIO) -> None:
    with needs_extra("parquet", "writing .parquet", instead="write .csv or .jsonl"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    columns = [_parquet_column(name, [row.get(name) for row in rows]) for name in names]
    schema = pa.schema([field for field, _ in columns])
    pq.write_table(pa.table([cells for _, cells in columns], schema=schema), file)


def _parquet_column(name: str, values: list[Any]) -> tuple[pa.Field, pa.Array]:
    """Cells of one plain type as they are, any others each as its JSON text, with a mark that says so."""
    import pyarrow as pa

    cells = [None if is_missing(value) else python_scalar(value) for value in values]
    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) <= 1 and kinds <= _PLAIN:
        try:
            array = pa.array(cells)
            return pa.field(name, array.type), array
        except (pa.ArrowException, ValueError, OverflowError):  # an integer beyond 64 bits, a lone surrogate
            pass
    array = pa.array([None if cell is None else dumps_lenient(cell)[0] for cell in cells], pa.string())
    return pa.field(name, pa.string(), metadata=JSON_MARK), array


def _json(row: dict[str, Any]) -> str:
    return dumps_lenient({name: None if is_missing(value) else value for name, value in row.items()})[0]


def _cell(value: Any) -> Any:
    """A value as a table's cell: a scalar as it is, ``None`` for none, anything else as text."""
    value = python_scalar(value)
    if is_missing(value):
        return None
    return value if isinstance(value, str | int | float) else _text(value)


def _text(value: Any) -> str:
    """A value as its JSON text; what JSON has as a text, such as a time, without the quotes."""
    text, _ = dumps_lenient(value)
    return str(orjson.loads(text)) if text.startswith('"') else text
