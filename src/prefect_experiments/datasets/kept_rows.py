"""Examples as they are kept, JSON as text, and long lists of them that are read only as they are looked at."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar, overload

import orjson

from prefect_experiments.jsonable import dumps_strict
from prefect_experiments.models import Example

HELD = 10_000  # examples: so many are read into memory; of more, those that are looked at
AT_ONCE = 1000

T = TypeVar("T")


class ExampleRow(NamedTuple):
    """An example as a table holds it."""

    example_id: str
    input: str
    output: str | None
    metadata: str
    splits: str
    span_id: str | None = None


def to_row(example: Example) -> ExampleRow:
    """The row of an example."""
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


class LongList(Sequence[Example]):
    """More examples than are held in memory: to be read as a tuple of them, each time from where they are kept."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def rows(self) -> Iterator[ExampleRow]:
        """All of them, in order."""

    @abstractmethod
    def rows_at(self, places: Sequence[int]) -> Iterator[ExampleRow]:
        """Those at some places, which ascend."""

    def __iter__(self) -> Iterator[Example]:
        return map(to_example, self.rows())

    @overload
    def __getitem__(self, place: int) -> Example: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Example]: ...

    def __getitem__(self, place: int | slice) -> Example | Sequence[Example]:
        if isinstance(place, int):
            return to_example(next(self.rows_at((range(len(self))[place],))))
        places = range(len(self))[place]
        if places.step < 0:
            # From its end it is held: rows are read in ascending order only.
            return tuple(self[places[-1] : places[0] + 1 : -places.step])[::-1] if places else ()
        return chosen(self, places)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LongList | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(Example.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self):,} examples>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Elsewhere there is nothing that it could be read from."""
        return tuple, (tuple(self),)

    def __copy__(self) -> LongList:
        return self

    def __deepcopy__(self, memo: Any) -> LongList:
        return self


class _Part(LongList):
    """Some of the examples of a long list: those at some places, which ascend."""

    def __init__(self, of: LongList, places: Sequence[int]) -> None:
        self._of = of
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def rows(self) -> Iterator[ExampleRow]:
        """See `LongList`."""
        return self._of.rows_at(self._places)

    def rows_at(self, places: Sequence[int]) -> Iterator[ExampleRow]:
        """See `LongList`."""
        return self._of.rows_at(array("q", (self._places[place] for place in places)))


def chosen(examples: Sequence[Example], places: Sequence[int]) -> Sequence[Example]:
    """Those of the examples that stand at some places, which ascend."""
    if not isinstance(examples, LongList):
        return [examples[place] for place in places]
    if len(places) > HELD:
        return _Part(examples, places)
    return tuple(map(to_example, examples.rows_at(places)))


def rows_of(examples: Iterable[Example]) -> Iterator[ExampleRow]:
    """The rows of examples, wherever they are."""
    return examples.rows() if isinstance(examples, LongList) else map(to_row, examples)


def splits_of(examples: Iterable[Example]) -> Iterator[tuple[str, ...]]:
    """The splits of each of the examples."""
    if isinstance(examples, LongList):
        return (to_splits(row.splits) for row in examples.rows())
    return (example.splits for example in examples)


def sliced(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """The items in lists of so many."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
