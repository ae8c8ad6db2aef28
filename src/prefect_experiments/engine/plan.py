"""The work on an experiment, cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_BATCHES = 50
MOST_EXAMPLES = 2_000
"""In a batch by default: its examples are in memory together."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The slice of examples that one Prefect task run handles.

    Attributes:
        number: from 1.
        positions: the examples' places in their dataset, ascending.
    """

    number: int
    positions: tuple[int, ...]

    @property
    def first(self) -> int:
        """The first position."""
        return self.positions[0]

    @property
    def last(self) -> int:
        """The last position."""
        return self.positions[-1]


def default_batch_size(examples: int, repetitions: int, concurrency: int) -> int:
    """Examples a batch: forty rounds of calls, and more where there would be more than 50 batches.

    Prefect needs tens of milliseconds of its server for each task run, so a batch should be work
    of at least some hundred milliseconds; a progress bar wants more than one of them. Beyond 2,000 examples there are
    more batches, not larger ones, unless that is less than one round.
    """
    one_round, rounds = (math.ceil(n * concurrency / repetitions) for n in (1, 40))
    return max(one_round, min(MOST_EXAMPLES, max(rounds, math.ceil(examples / MOST_BATCHES))))


def in_batches(positions: Sequence[int], size: int) -> Iterator[Batch]:
    """The examples, in order, in batches of a size."""
    for number, start in enumerate(range(0, len(positions), size), start=1):
        yield Batch(number, tuple(positions[start : start + size]))
