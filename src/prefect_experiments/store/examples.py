"""Examples as the store's table holds them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from prefect_experiments.datasets.kept_rows import ExampleRow, LongList, rows_of, to_example, to_splits
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example
from prefect_experiments.texts import plain_text

__all__ = ["ExampleRow", "Fingerprint", "fingerprint", "to_example", "to_rows", "to_splits"]


def to_rows(content: Sequence[Example]) -> Iterator[ExampleRow]:
    """The rows of examples, one by one.

    Raises:
        InvalidDataset: an example without an id, or two of the same id.
    """
    if isinstance(content, LongList):  # their ids are in order: they were looked at when it was made
        yield from content.rows()
        return
    seen: set[str] = set()
    for number, row in enumerate(rows_of(content), start=1):
        example_id = row.example_id
        if not example_id or plain_text(example_id) != example_id:
            raise InvalidDataset(f"example {number} has no id that can be kept: {example_id!r:.60}")
        if example_id in seen:
            raise InvalidDataset(f"example {number} has an id that another one has, too: {example_id!r:.60}")
        seen.add(example_id)
        yield row


class Fingerprint:
    """What tells one content of a dataset from another; made row by row."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.count = 0

    def add(self, row: ExampleRow) -> None:
        """The next row."""
        text = "\x00".join((row.example_id, row.input, row.output or "", row.metadata, row.splits))
        self._digest.update(f"{text}\x00{row.span_id}\x01".encode() if row.span_id else f"{text}\x01".encode())
        self.count += 1

    def over(self, rows: Iterable[ExampleRow]) -> Iterator[ExampleRow]:
        """The rows, which are taken in as they pass."""
        for row in rows:
            self.add(row)
            yield row

    def text(self) -> str:
        """Of the rows so far."""
        return self._digest.hexdigest()


def fingerprint(rows: Iterable[ExampleRow]) -> str:
    """The fingerprint of all of these rows."""
    made = Fingerprint()
    for row in rows:
        made.add(row)
    return made.text()
