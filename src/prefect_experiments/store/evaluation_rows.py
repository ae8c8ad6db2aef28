"""The figures of many evaluations, held as columns of numbers: as tuples they would take ten times the memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

Row = tuple[int, str, str, float | None, str | None, bool, bool]
"""Position, evaluator, name, score, label, whether it is an error, whether it is pending."""

_ERROR, _PENDING = 1, 2
_NONE = -1


class EvaluationRows:
    """Rows to be gone through, again and again; each is made when it is come to."""

    def __init__(self) -> None:
        self._positions, self._scores = array("q"), array("d")
        self._whose, self._labels, self._flags = array("l"), array("l"), bytearray()
        self._names: dict[tuple[str, str], int] = {}
        self._texts: dict[str, int] = {}

    def append(self, row: Row) -> None:
        """Take one more."""
        position, evaluator, name, score, label, has_error, is_pending = row
        self._positions.append(position)
        self._scores.append(math.nan if score is None else score)  # no score that is kept is NaN
        self._whose.append(self._names.setdefault((evaluator, name), len(self._names)))
        self._labels.append(_NONE if label is None else self._texts.setdefault(label, len(self._texts)))
        self._flags.append(_ERROR * has_error + _PENDING * is_pending)

    def __len__(self) -> int:
        return len(self._flags)

    def __iter__(self) -> Iterator[Row]:
        names, texts = list(self._names), list(self._texts)
        for position, whose, score, label, flags in zip(
            self._positions, self._whose, self._scores, self._labels, self._flags, strict=True
        ):
            yield (
                position,
                *names[whose],
                None if math.isnan(score) else score,
                None if label == _NONE else texts[label],
                bool(flags & _ERROR),
                bool(flags & _PENDING),
            )


class MetricRows:
    """The rows of one metric: position, score, label, whether it is an error, whether it is pending."""

    def __init__(self) -> None:
        self._rows = EvaluationRows()

    def append(self, row: tuple[int, float | None, str | None, bool, bool]) -> None:
        """Take one more."""
        position, *rest = row
        self._rows.append((position, "", "", *rest))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[int, float | None, str | None, bool, bool]]:
        for position, _, _, *rest in self._rows:
            yield (position, *rest)  # type: ignore[misc]
