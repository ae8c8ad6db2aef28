"""Examples as the store's table holds them: JSON as text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from prefect_experiments.errors import InvalidDataset
from prefect_experiments.jsonable import dumps_strict
from prefect_experiments.models import Example
from prefect_experiments.store.sanitize import plain_text


class ExampleRow(NamedTuple):
    """An example as the table holds it."""

    example_id: str
    input: str
    output: str | None
    metadata: str
    splits: str
    span_id: str | None = None


def to_rows(content: Sequence[Example]) -> list[ExampleRow]:
    """The rows of examples.

    Raises:
        InvalidDataset: an example without an id, or two of the same id.
    """
    rows = [_to_row(example) for example in content]
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        example_id = row.example_id
        if not example_id or plain_text(example_id) != example_id:
            raise InvalidDataset(f"example {number} has no id that can be kept: {example_id!r:.60}")
        if example_id in seen:
            raise InvalidDataset(f"example {number} has an id that another one has, too: {example_id!r:.60}")
        seen.add(example_id)
    return rows


def _to_row(example: Example) -> ExampleRow:
    return ExampleRow(
        example.id,
        dumps_strict(example.input),
        None if example.output is None else dumps_strict(example.output),
        dumps_strict(dict(example.metadata)) if example.metadata else "{}",
        dumps_strict(list(example.splits)) if example.splits else "[]",
        example.span_id,
    )


def to_example(row: ExampleRow) -> Example:
    """An example from its row."""
    return Example(
        id=row.example_id,
        input=orjson.loads(row.input),
        output=None if row.output is None else orjson.loads(row.output),
        metadata=orjson.loads(row.metadata),
        splits=to_splits(row.splits),
        span_id=row.span_id,
    )


def to_splits(text: str) -> tuple[str, ...]:
    """The splits from their JSON text; most examples have none."""
    return () if text == "[]" else tuple(orjson.loads(text))


def fingerprint(rows: Iterable[ExampleRow]) -> str:
    """What tells one content of a dataset from another."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update("\x00".join((row.example_id, row.input, row.output or "", row.metadata, row.splits)).encode())
        if row.span_id:
            digest.update(f"\x00{row.span_id}".encode())
        digest.update(b"\x01")
    return digest.hexdigest()
