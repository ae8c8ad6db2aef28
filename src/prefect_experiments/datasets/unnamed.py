"""Columns without a name: those that say nothing are left out, the others are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from prefect_experiments.datasets.raw import Raw, first_few
from prefect_experiments.datasets.scalars import is_blank, python_scalar
from prefect_experiments.errors import InvalidDataset

_UNNAMED = re.compile(r"|Unnamed: \d+(\.\d+)?")  # the latter is what pandas calls it
_WHOLE = re.compile(r"\d+(\.0)?")


class LeftOut(NamedTuple):
    """The places of the columns that are left out, and what they are, in words."""

    places: frozenset[int] = frozenset()
    said: tuple[str, ...] = ()


def leading_unnamed(names: Sequence[str]) -> int:
    """How many columns without a name stand before the first that has one, or the last."""
    return next(
        (place for place, name in enumerate(names[:-1]) if not _UNNAMED.fullmatch(name)), max(0, len(names) - 1)
    )


def left_out_columns(names: Sequence[str], read: Callable[[], Iterable[Raw]], origin: str) -> LeftOut:
    """The unnamed columns that say nothing.

    Args:
        names: of all columns.
        read: gives the rows, once for each time that they have to be looked through.
        origin: what they are, for messages.

    Raises:
        InvalidDataset: one says something.
    """
    places = [place for place, name in enumerate(names) if _UNNAMED.fullmatch(name)]
    if not places:
        return LeftOut()
    counting = 0
    while counting < leading_unnamed(names) and _counts(read, counting):
        counting += 1
    places = [place for place in places if place >= counting]
    empty = set(places)
    for raw in read():
        empty = {place for place in empty if all(map(is_blank, raw.columns[place]))}
    unnamed = [str(place + 1) for place in places if place not in empty]
    if unnamed:
        # Above the header of sheets, and of what was one, people write what the table is.
        left = len(names) - counting
        is_title = left > 2 and left - len(places) == 1
        advice = (
            "If it is a title and the header stands further down, delete what is above that"
            if is_title
            else "Name it there, or drop it; pandas writes its index so, unless to_csv(index=False)"
        )
        listed = ", ".join(first_few(unnamed))
        raise InvalidDataset(f"{origin}: the header has no name for column {listed}. {advice}")
    said = ["the first column, which has no name and only counts the rows (name it to keep it)"] if counting else []
    if empty:
        said.append(f"{len(empty)} {'column' if len(empty) == 1 else 'columns'} without a name and content")
    return LeftOut(frozenset({*range(counting), *empty}), tuple(said))


def _counts(read: Callable[[], Iterable[Raw]], place: int) -> bool:
    """Whether a column only numbers the rows: whole numbers, each once.

    They need not be in order: a DataFrame keeps its numbers when it is filtered, sorted or sampled. Where they are not,
    all of them are held in memory.
    """
    texts = (_text(cell) for raw in read() for cell in raw.columns[place])
    if not all(map(_WHOLE.fullmatch, texts)):
        return False
    numbers = (float(_text(cell)) for raw in read() for cell in raw.columns[place])
    if all(one < next_one for one, next_one in pairwise(numbers)):
        return True
    every = [_text(cell) for raw in read() for cell in raw.columns[place]]
    return len(set(every)) == len(every)


def _text(cell: Any) -> str:
    return str(python_scalar(cell)).strip()
