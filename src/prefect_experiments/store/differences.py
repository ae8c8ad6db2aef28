"""In what the content that a dataset is to have differs from what it has, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prefect_experiments.datasets.kept_rows import ExampleRow, sliced
from prefect_experiments.datasets.spool import Scratch

_SOME = 500

_TABLES = """
CREATE TABLE given (
    place INTEGER PRIMARY KEY, example_id TEXT, digest BLOB, position INTEGER, is_there INTEGER DEFAULT 0,
    former INTEGER
);
CREATE TABLE gone (position INTEGER PRIMARY KEY);
"""


class Found(NamedTuple):
    """What is given in the place of a row that is there: its place among the given, and whether it is the same."""

    place: int
    is_same: bool


class GivenPlace(NamedTuple):
    """Where a given row belongs: its position if it ever had one, whether it is there as it is, or not there at all."""

    position: int | None
    is_there: bool
    is_new: bool


class Difference:
    """The given rows, less those that are there already.

    Args:
        rows: what is given, each with an id of its own.
    """

    def __init__(self, rows: Iterable[ExampleRow]) -> None:
        self._scratch = Scratch(_TABLES)
        self.given = 0
        self.same = 0
        for some in sliced(rows):
            values = [(self.given + place, row.example_id, _digest(row)) for place, row in enumerate(some)]
            self._scratch.write("INSERT INTO given (place, example_id, digest) VALUES (?,?,?)", values)
            self.given += len(some)
        self._scratch.write("CREATE UNIQUE INDEX given_by_id ON given (example_id)")

    def compare(self, there: Sequence[tuple[int, ExampleRow]], *, whole: bool) -> Mapping[str, Found]:
        """Look some of the rows that are there up among the given.

        Args:
            there: with their positions.
            whole: whether a row that is not given is gone; else it stays.

        Returns:
            What is given in their place, by id.
        """
        found: dict[str, Found] = {}
        gone: list[tuple[int]] = []
        known: list[tuple[int, bool, int]] = []
        for some in sliced(there, _SOME):
            given = self._look_up([row.example_id for _, row in some])
            for position, row in some:
                place, digest = given.get(row.example_id, (None, None))
                if place is None:
                    if whole:
                        gone.append((position,))
                    continue
                is_same = digest == _digest(row)
                found[row.example_id] = Found(place, is_same)
                known.append((position, is_same, place))
                self.same += is_same
                if not is_same:
                    gone.append((position,))
        self._scratch.write("UPDATE given SET position = ?, is_there = ? WHERE place = ?", known)
        self._scratch.write("INSERT INTO gone VALUES (?)", gone)
        return found

    def remember(self, former: Iterable[tuple[str, int]]) -> None:
        """The ids and positions of all versions, in their order: a given row goes where it last was."""
        for some in sliced(former):
            places = [(position, example_id) for example_id, position in some]
            self._scratch.write("UPDATE given SET former = ? WHERE example_id = ?", places)

    @property
    def has_new(self) -> bool:
        """Whether a given row has no position yet."""
        return bool(self._scratch.read("SELECT 1 FROM given WHERE position IS NULL LIMIT 1"))

    def gone(self) -> Iterator[list[int]]:
        """The positions of rows that are there no longer, or not as they were, some at once."""
        return ([position for (position,) in some] for some in sliced(self._scratch.each("SELECT * FROM gone"), _SOME))

    def given_places(self) -> Iterator[GivenPlace]:
        """Where each given row belongs, in order."""
        query = "SELECT coalesce(position, former), is_there, position IS NULL FROM given ORDER BY place"
        return map(GivenPlace._make, self._scratch.each(query))

    def doubles(self) -> tuple[int, list[str]]:
        """How many of the given are there, and the first few of their ids."""
        (count,) = self._scratch.read("SELECT count(*) FROM given WHERE position IS NOT NULL")[0]
        query = "SELECT example_id FROM given WHERE position IS NOT NULL ORDER BY example_id LIMIT 5"
        return count, [example_id for (example_id,) in self._scratch.read(query)]

    def _look_up(self, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        marks = ",".join("?" * len(ids))
        query = f"SELECT example_id, place, digest FROM given WHERE example_id IN ({marks})"  # noqa: S608
        return {example_id: (place, digest) for example_id, place, digest in self._scratch.read(query, ids)}


def _digest(row: ExampleRow) -> bytes:
    """What tells a row from others of its id."""
    text = "\x00".join("" if value is None else f"={value}" for value in row[1:])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
