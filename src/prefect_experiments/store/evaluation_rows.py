"""The figures of many evaluations, held as columns of numbers: as tuples they would take ten times the memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator

from prefect_experiments.store.figures import NOTHING, Codes

Row = tuple[int, str, str, float | None, str | None, bool, bool]
"""Position, evaluator, name, score, label, whether it is an error, whether it is pending."""

MetricRow = tuple[int, float | None, str | None, bool, bool]
"""The same without evaluator and name."""

_ERROR, _PENDING = 1, 2


class EvaluationRows:
    """Rows to be gone through, again and again; each is made when it is come to."""

    def __init__(self) -> None:
        self._positions, self._scores = array("q"), array("d")
        self._given, self._labelled, self._flags = array("i"), array("i"), bytearray()
        self._givers: Codes[tuple[str, str]] = Codes()
        self._labels: Codes[str] = Codes()

    def append(self, row: Row) -> None:
        """Take one more."""
        position, evaluator, name, score, label, has_error, is_pending = row
        self._positions.append(position)
        self._scores.append(math.nan if score is None else score)  # no score that is kept is NaN
        self._given.append(self._givers.of((evaluator, name)))
        self._labelled.append(self._labels.of(label))
        self._flags.append(_ERROR * has_error + _PENDING * is_pending)

    def __len__(self) -> int:
        return len(self._flags)

    def __iter__(self) -> Iterator[Row]:
        givers = self._givers.values
        for given, (position, *rest) in zip(self._given, self.at(range(len(self))), strict=True):
            yield (position, *givers[given], *rest)  # type: ignore[misc]

    def at(self, numbers: Iterable[int]) -> Iterator[MetricRow]:
        """The rows with some numbers, which count from 0."""
        labels = self._labels.values
        for number in numbers:
            score, label, flags = self._scores[number], self._labelled[number], self._flags[number]
            yield (
                self._positions[number],
                None if math.isnan(score) else score,
                None if label == NOTHING else labels[label],
                bool(flags & _ERROR),
                bool(flags & _PENDING),
            )


class MetricRows:
    """The rows of one metric, among all.

    Args:
        every: all.
    """

    def __init__(self, every: EvaluationRows) -> None:
        self._every = every
        self._own, self._failed = array("q"), array("q")

    def append(self, number: int) -> None:
        """Take one more, by its number among all."""
        self._own.append(number)

    def append_failed(self, number: int) -> None:
        """Take one of an evaluator that failed, and would have given this metric."""
        self._failed.append(number)

    def __len__(self) -> int:
        return len(self._own) + len(self._failed)

    def __iter__(self) -> Iterator[MetricRow]:
        yield from self._every.at(self._own)
        for position, *_ in self._every.at(self._failed):
            yield (position, None, None, True, False)
