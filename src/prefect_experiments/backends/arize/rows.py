"""AX's examples on one side, ours on the other.

An example in AX is a flat row of whatever columns. Where its columns alone do not say what of them is the input, the
expected output or the metadata, or where an example has an id of its own (AX gives ids itself), a row that we write
says so in one further column, `MARK`. Rows without it are read by their columns' names.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from prefect_experiments.keys import canonical_json
from prefect_experiments.models import Example
from prefect_experiments.origin import MARK

_SYSTEM = ("id", "created_at", "updated_at", "annotations")  # what AX itself keeps of an example
_PARTS = ("input", "output", "metadata")
_OUTPUTS = ("output", "expected", "reference", "expected_output")  # as files may call it, too
_TRACED = "attributes.output.value"  # as AX calls it in what was made from spans
_MADE_ID = re.compile(r"ex-[0-9a-f]{12}(-\d+)?")

Row = dict[str, Any]
T = TypeVar("T")


def is_id(text: str) -> bool:
    """Whether a text is one of AX's ids: base64 of such as ``Dataset:1:x4Fq``. Anything else is a name."""
    try:
        return ":" in base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return False


# Examples


def to_row(example: Example, own_id: str | None) -> Row:
    """The row of an example, with the id that it is to keep although AX gives it another."""
    row, places = _flat(example)
    mark: Row = {}
    if own_id:
        mark["id"] = own_id
    if example.splits:
        mark["splits"] = list(example.splits)
    if mark or not row or _parts(row) != (example.input, example.output, dict(example.metadata)):
        mark.update(places)
        row[MARK] = orjson.dumps(mark).decode()
    return row


def given_id(example: Example) -> str | None:
    """The id that somebody gave an example; one that was made of its content need not be kept."""
    return None if _MADE_ID.fullmatch(example.id) else example.id or None


def _flat(example: Example) -> tuple[Row, Row]:
    """Every field under its own name where that is free, and where each part went: key to column, or one column."""
    parts = {name: getattr(example, name) for name in _PARTS}
    names = Counter(key for part in parts.values() if isinstance(part, Mapping) for key in part)
    names.update(name for name, part in parts.items() if part is not None and not isinstance(part, Mapping))
    taken = {*_SYSTEM, MARK, *(name for name, count in names.items() if count > 1)}
    row: Row = {}
    places: Row = {}
    for name, part in parts.items():
        if isinstance(part, Mapping):
            places[name] = {}
            for key, value in part.items():
                column = key if key not in taken else _free(f"{name}.{key}", row, names)
                row[column], places[name][key] = value, column
        elif part is not None:
            column = name if name not in taken else _free(f"{name}.value", row, names)
            row[column], places[name] = part, column
    return row, places


def _free(column: str, row: Row, names: Counter[str]) -> str:
    while column in row or column in names:
        column += "_"
    return column


def to_example(row: Mapping[str, Any]) -> Example:
    """The example of a row, under the id that it had before it came to AX, else AX's."""
    fields = {name: value for name, value in row.items() if name not in _SYSTEM and name != MARK}
    mark = mark_of(row)
    if "metadata" in mark:
        value, output, metadata = (_gathered(mark.get(name), fields) for name in _PARTS)
    else:
        value, output, metadata = _parts(fields)
    return Example(
        id=mark.get("id") or str(row["id"]),
        input=value,
        output=output,
        metadata=metadata if isinstance(metadata, Mapping) else {},
        splits=tuple(mark.get("splits") or ()),
    )


def mark_of(row: Mapping[str, Any]) -> Row:
    """What our column `MARK` of a row of AX's says; nothing where there is none."""
    try:
        found = orjson.loads(row.get(MARK) or "{}")
    except orjson.JSONDecodeError:  # somebody else's column of that name
        return {}
    return found if isinstance(found, dict) else {}


def _gathered(places: Any, fields: Mapping[str, Any]) -> Any:
    """A part of an example, from the columns that its fields went to."""
    if isinstance(places, Mapping):
        return {key: fields.get(column) for key, column in places.items()}
    return None if places is None else fields.get(places)


def _parts(fields: Mapping[str, Any]) -> tuple[Any, Any, Row]:
    """Input, expected output and metadata of a row, by the names of its columns.

    With a column ``input``, they are what a file with such columns would make. Without one, all columns are the
    input, so that ``dataset_row`` is the row as it is; but what a span gave as its output is no input.
    """
    if "input" not in fields:
        output = {_TRACED: fields[_TRACED]} if _TRACED in fields else None
        return {name: value for name, value in fields.items() if name != _TRACED}, output, {}
    column = next((name for name in _OUTPUTS if name in fields), None)
    metadata = fields.get("metadata")
    rest = {name: value for name, value in fields.items() if name not in ("input", "metadata", column)}
    if isinstance(metadata, Mapping) and not metadata.keys() & rest.keys():
        rest = {**metadata, **rest}
    elif metadata is not None:
        rest["metadata"] = metadata
    return fields["input"], None if column is None else fields[column], rest


def content(row: Mapping[str, Any]) -> bytes:
    """What a row holds, the same for equal content: without what AX adds, without nulls, 1.0 as 1."""
    fields = {name: _settled(value) for name, value in row.items() if name not in _SYSTEM}
    return canonical_json({name: value for name, value in fields.items() if value is not None})


def _settled(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _settled(item) for name, item in value.items()}
    return [_settled(item) for item in value] if isinstance(value, list) else value


# What both need


def to_time(value: Any) -> datetime | None:
    """A time from AX: text, or milliseconds since the epoch."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, UTC)
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def chunks(
    items: Sequence[T], most: int, largest: int, row_of: Callable[[T], Any] = lambda row: row
) -> Iterator[list[T]]:
    """Items, rows by themselves, in pieces of at most that many and of about that many bytes of JSON."""
    piece: list[T] = []
    size = 0
    for item in items:
        length = len(orjson.dumps(row_of(item))) + 2
        if piece and (len(piece) >= most or size + length > largest):
            yield piece
            piece, size = [], 0
        piece.append(item)
        size += length
    if piece:
        yield piece
