"""A sequence of many records, of which each is made, and its texts read, when it is looked at."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, overload

from pydantic import WrapSerializer
from pydantic_core import SchemaSerializer, core_schema

MOST_AT_HAND = 1_000
"""Of no more than so many records all are made at once, and kept as a tuple."""
_AT_ONCE = 200

Item = TypeVar("Item")


class LazyItems(Sequence[Item]):
    """Reads as the tuple of all of them, and is equal to it. Pickled, and in JSON, it is all of them.

    The texts are read from the store: where that is not at hand any more, or has other results by then, so are they.
    """

    __pydantic_serializer__ = SchemaSerializer(
        core_schema.any_schema(serialization=core_schema.plain_serializer_function_ser_schema(list))
    )

    _block: tuple[int, tuple[Item, ...]] = (-1, ())

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def made(self, places: Sequence[int]) -> Iterator[Item]:
        """The items at some places, not too many at once."""

    @overload
    def __getitem__(self, place: int) -> Item: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, place: int | slice) -> Item | tuple[Item, ...]:
        if isinstance(place, slice):
            return tuple(self._each(range(len(self))[place]))
        place = range(len(self))[place]
        start, block = place - place % _AT_ONCE, self._block
        if block[0] != start:
            block = self._block = start, tuple(self.made(range(len(self))[start : start + _AT_ONCE]))
        return block[1][place - start]

    def __iter__(self) -> Iterator[Item]:
        return self._each(range(len(self)))

    def _each(self, places: range) -> Iterator[Item]:
        for start in range(0, len(places), _AT_ONCE):
            yield from self.made(places[start : start + _AT_ONCE])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, tuple | LazyItems):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self):,}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)

    def __copy__(self) -> LazyItems[Item]:
        return self

    def __deepcopy__(self, memo: Any) -> LazyItems[Item]:
        return self


if TYPE_CHECKING:
    Items = Sequence[Item]
else:  # what pydantic makes of JSON is a tuple, and a tuple is what it knows how to write
    Items = Annotated[tuple[Item, ...], WrapSerializer(lambda found, write: write(tuple(found)))]
"""The type of a field that is a tuple, or `LazyItems` where there are many."""
