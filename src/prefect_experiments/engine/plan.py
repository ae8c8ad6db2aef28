"""What is still to be done, cut into batches."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

MOST_BATCHES = 50


@dataclass(frozen=True, slots=True)
class Batch:
    """The slice of examples that one Prefect task run handles.

    Attributes:
        number: from 1.
        positions: the examples' places in their dataset, ascending.
        missing: the (position, repetition) pairs whose experiment run is still to be made.
    """

    number: int
    positions: tuple[int, ...]
    missing: frozenset[tuple[int, int]]

    @property
    def first(self) -> int:
        """The first position."""
        return self.positions[0]

    @property
    def last(self) -> int:
        """The last position."""
        return self.positions[-1]


def default_batch_size(examples: int, repetitions: int, concurrency: int) -> int:
    """Examples a batch: forty rounds of calls, and never more than 50 batches in an experiment.

    Prefect needs tens of milliseconds of its server for each task run, so a batch should be work
    of at least some hundred milliseconds; a progress bar wants more than one of them.
    """
    rounds = math.ceil(40 * concurrency / repetitions)
    return max(1, rounds, math.ceil(examples / MOST_BATCHES))


def plan(
    positions: Sequence[int],
    repetitions: int,
    done: Collection[tuple[int, int]],
    batch_size: int,
) -> list[Batch]:
    """Cut the examples into batches of `batch_size`, in order, each knowing what it misses.

    Batches whose runs are all done are kept: their evaluations may be missing.
    """
    batches = []
    for number, chunk in enumerate(_chunks(positions, batch_size), start=1):
        missing = frozenset(
            (position, repetition)
            for position in chunk
            for repetition in range(1, repetitions + 1)
            if (position, repetition) not in done
        )
        batches.append(Batch(number, tuple(chunk), missing))
    return batches


def _chunks(positions: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(positions), size):
        yield positions[start : start + size]
