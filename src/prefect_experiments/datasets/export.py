"""Rows and examples to files: ``.csv``, ``.json``, ``.jsonl`` (``.ndjson``) and ``.parquet``."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import orjson

from prefect_experiments.datasets.columns import has_a_role
from prefect_experiments.datasets.raw import header
from prefect_experiments.datasets.scalars import is_missing, python_scalar
from prefect_experiments.errors import InvalidDataset, InvalidSetting, needs_extra, unknown_value
from prefect_experiments.files import is_stream, write_file
from prefect_experiments.flat_rows import flat_row
from prefect_experiments.jsonable import dumps_lenient
from prefect_experiments.models import Example

SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
_FLAT_SUFFIXES = (".csv", ".parquet")
_WHOLE_COLUMNS = ("id", "input", "output", "metadata", "splits")
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
        rows: one mapping a row. With `columns` they are gone through once and never held, however many there are.
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
    if columns is None:
        rows = rows if isinstance(rows, Sequence) else list(rows)
        names = list(dict.fromkeys(name for row in rows for name in row))
    else:
        names = list(columns)
        rows = ({name: row.get(name) for name in names} for row in rows)
    write_file(path, functools.partial(write, rows, names))


def write_examples(examples: Iterable[Example], path: str | Path, *, for_spreadsheets: bool = False) -> None:
    """Write examples to a file: as `example_rows` has them, flat for ``.csv`` and ``.parquet``.

    Args:
        examples: in the order wanted. What can be gone through again and again is, and is never held.
        path: the file.
        for_spreadsheets: as for `write_rows`.

    Raises:
        InvalidSetting: as for `write_rows`.
        InvalidDataset: as for `example_rows`.
    """
    if isinstance(examples, Iterator):
        examples = list(examples)
    if Path(path).suffix.lower() in _FLAT_SUFFIXES:
        shape = _flat_shape(examples)
        write_rows(shape.rows(examples), path, shape.columns, for_spreadsheets=for_spreadsheets)
    else:
        write_rows(map(_whole_row, examples), path, _WHOLE_COLUMNS, for_spreadsheets=for_spreadsheets)


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
    return list(_flat_shape(examples).rows(examples) if flat else map(_whole_row, examples))


def _whole_row(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "input": example.input,
        "output": example.output,
        "metadata": dict(example.metadata),
        "splits": list(example.splits),
    }


@dataclass(frozen=True, slots=True)
class _FlatShape:
    """What flat rows of examples have in common."""

    columns: Sequence[str]
    has_splits: bool

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        for example in examples:
            yield dict(flat_row(example)) | ({"splits": list(example.splits) or None} if self.has_splits else {})


def _flat_shape(examples: Iterable[Example]) -> _FlatShape:
    """The columns of examples.

    Raises:
        InvalidDataset: they would be read as something else: with the example and the field.
    """
    columns: dict[str, None] = {}
    kinds: dict[str, set[bool]] = {"input": set(), "output": set()}
    has_splits = False
    for example in examples:
        _check_metadata(example)
        for part, found in kinds.items():
            if (value := getattr(example, part)) is not None:
                found.add(isinstance(value, Mapping))
        columns.update(dict.fromkeys(flat_row(example)))
        has_splits = has_splits or bool(example.splits)
    for part, found in kinds.items():
        if len(found) > 1:
            raise InvalidDataset(
                f"some {part}s are objects and others are not, which columns cannot tell apart. Write .json or .jsonl"
            )
    if has_splits and "splits" in columns:  # of an input or an output
        raise InvalidDataset(
            "the examples have splits and a field called 'splits', which cannot share a column. Write .json or .jsonl"
        )
    return _FlatShape([*columns, *(["splits"] if has_splits else [])], has_splits)


def _check_metadata(example: Example) -> None:
    for name in example.metadata:
        if name != "id" and (has_a_role(name) or header(name) != name or not name):
            raise InvalidDataset(
                f"the metadata of example {example.id!r:.80} has a field called {name!r}, which would be read as "
                "something else from a column of that name. Write .json or .jsonl"
            )


def _writer(path: Path) -> Callable[[Iterable[Row], list[str], BinaryIO], None]:
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


def _write_csv(rows: Iterable[Row], names: list[str], file: BinaryIO) -> None:
    _write_table(file, itertools.chain([names], ([_cell(row.get(name)) for name in names] for row in rows)))


def _write_csv_of_texts(rows: Iterable[Row], names: list[str], file: BinaryIO) -> None:
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


def _write_json(rows: Iterable[Row], _names: list[str], file: BinaryIO) -> None:
    before = "[\n"
    for row in rows:
        file.write(f"{before}{_json(row)}".encode())
        before = ",\n"
    file.write(b"[]\n" if before == "[\n" else b"\n]\n")


def _write_jsonl(rows: Iterable[Row], _names: list[str], file: BinaryIO) -> None:
    file.writelines(f"{_json(row)}\n".encode() for row in rows)


def _write_parquet(rows: Iterable[Row], names: list[str], file: BinaryIO) -> None:
    with needs_extra("parquet", "writing .parquet", instead="write .csv or .jsonl"):
        import pyarrow  # noqa: F401 - said here that it is missing, also once the next line has been run

        from prefect_experiments.datasets.parquet import write_parquet

    write_parquet(rows, names, file)


def _json(row: Row) -> str:
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
