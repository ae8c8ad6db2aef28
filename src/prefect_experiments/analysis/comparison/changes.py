"""The examples that got worse and those that got better, with what to show of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from prefect_experiments.analysis.example_changes import ExampleChange
from prefect_experiments.analysis.lazy_items import MOST_AT_HAND, LazyItems
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.sources import Shown
from prefect_experiments.analysis.verdicts import Direction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.int64]

TASK_ERROR = "task error"
_ROUNDING = 1e-12
_STANDARD_ERRORS = 2.0


class ChangeOutline(NamedTuple):
    """An `ExampleChange` without its texts."""

    example_id: str
    metric: str
    difference: float
    baseline_score: float | None
    candidate_score: float | None
    baseline_row: int
    candidate_row: int
    is_flaky: bool = False


class Spread(NamedTuple):
    """How far the repetitions of examples lie apart, one item an example.

    Attributes:
        n: how many there are.
        squares: the sum of their squared deviations from the example's mean.
    """

    n: Floats
    squares: Floats


def changed_examples(
    baseline: ResultTable,
    candidate: ResultTable,
    ids: Sequence[str],
    means: Mapping[str, tuple[Floats, Floats]],
    directions: Mapping[str, Direction],
) -> tuple[Sequence[ExampleChange], Sequence[ExampleChange]]:
    """Each example and metric on which the sides differ.

    Args:
        baseline: one side.
        candidate: the other.
        ids: the examples that both ran.
        means: by metric, the score of each of these examples on either side, NaN without one.
        directions: by metric.

    Returns:
        What got worse and what got better, the `flaky` ones last. First the examples on which the task failed on one
        side only (or in more of its repetitions), then by the size of the difference in proportion to
        the metric's range, then in the baseline's order. With repetitions the input, output and
        error shown are of the two runs that differ most. A tuple; of more than `MOST_AT_HAND` a
        sequence that reads the texts of those that are looked at.
    """
    import numpy as np

    sides = (_Rows(baseline, ids), _Rows(candidate, ids))
    failing = tuple(side.means(side.table.failed.astype(float)) for side in sides)
    found = [_of_metric(TASK_ERROR, "minimize", failing, sides)]
    found += [_of_metric(name, directions[name], pair, sides) for name, pair in means.items()]
    of = np.repeat(np.arange(len(found)), [len(one.places) for one in found])
    within = np.concatenate([np.arange(len(one.places)) for one in found])
    difference = np.concatenate([one.differences for one in found])
    flaky_ones = np.concatenate([one.flaky for one in found])
    order = np.lexsort((np.concatenate([one.rank for one in found]), flaky_ones))
    worse, better = (
        Changes(tuple(found), sides, of[some], within[some])
        for some in (order[difference[order] < 0], order[difference[order] > 0])
    )
    return (worse, better) if len(worse) + len(better) > MOST_AT_HAND else (tuple(worse), tuple(better))


def flaky(difference: Floats, before: Spread, after: Spread) -> Flags:
    """Which differences between an example's means are within what its repetitions show by themselves.

    Those of at most two standard errors, by the spread of the repetitions on the same side (pooled, as Student's t has
    it): with five repetitions 5/5 to 4/5 is 1.0 of them, 5/5 to 3/5 is 1.6 and 5/5 to 2/5 is 2.4. Where neither side's
    repetitions differ, as in 5/5 to 0/5 or with one run each, nothing shows that the example is flaky. A task that
    fails more often is never called so: an error has a cause to be read. It is a way to sort a list: tests and verdicts
    count every example.

    Args:
        difference: of the means, one an example.
        before: of the example's repetitions in the baseline.
        after: in the candidate.
    """
    import numpy as np

    n, m = before.n, after.n
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (before.squares + after.squares) / (n + m - 2)
        bound = _STANDARD_ERRORS * np.sqrt(variance * (1 / n + 1 / m))
        found: Flags = (variance > 0) & (np.abs(difference) <= bound * (1 + _ROUNDING))
    return found


def outlines(changes: Sequence[ExampleChange]) -> Sequence[ExampleChange | ChangeOutline]:
    """Changes for somebody who needs none of their texts, which are not read then."""
    return changes.outlines() if isinstance(changes, Changes) else changes


class _Rows:
    """The runs of the compared examples on one side."""

    def __init__(self, table: ResultTable, ids: Sequence[str]) -> None:
        import numpy as np

        self.table = table
        self.ids = ids
        place = {example_id: number for number, example_id in enumerate(table.example_ids)}
        self._places = np.array([place[example_id] for example_id in ids], dtype=np.int64)
        self._sorted = np.argsort(table.places, kind="stable")
        self._starts = np.searchsorted(table.places[self._sorted], np.arange(len(place) + 1))

    def means(self, values: Floats) -> Floats:
        """Values of runs as one value for each of the compared examples."""
        return self.table.means(values)[self._places]

    def spread(self, metric: str, means: Floats, places: Places) -> Spread:
        """How far repetitions lie apart, of some of the compared examples.

        Args:
            metric: which values.
            means: of each compared example.
            places: of those asked for.
        """
        import numpy as np

        table, n = self.table, len(self.table.example_ids)
        values = table.scores[metric]
        of_example = np.full(n, np.nan)
        of_example[self._places] = means
        squares = (values - of_example[table.places]) ** 2
        known = ~np.isnan(squares)
        sums: Floats = np.bincount(table.places[known], weights=squares[known], minlength=n).astype(np.float64)
        counts = np.bincount(table.places[known], minlength=n)
        wanted = self._places[places]
        return Spread(counts[wanted].astype(np.float64), sums[wanted])

    @property
    def repeats(self) -> bool:
        """Whether any example has more than one run."""
        return len(self.table.places) > len(self.table.example_ids)

    def shown(self, metric: str, place: int, sign: float) -> int:
        """The row of the example's run that scored highest (sign 1) or lowest (sign -1)."""
        number = self._places[place]
        rows: list[int] = self._sorted[self._starts[number] : self._starts[number + 1]].tolist()
        if len(rows) == 1:
            return rows[0]
        values = self.table.failed if metric == TASK_ERROR else self.table.scores[metric]
        return max(rows, key=lambda row: -math.inf if math.isnan(values[row]) else sign * values[row])


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The examples on which one metric differs.

    Attributes:
        means: each compared example's on either side.
        places: of those that differ, among the compared ones.
        differences: theirs, turned so that negative is worse.
        rank: what sorts them.
        flaky: see `flaky`.
    """

    metric: str
    sign: float
    means: tuple[Floats, ...]
    places: Places
    differences: Floats
    rank: Floats
    flaky: Flags

    def outline(self, item: int, sides: tuple[_Rows, _Rows]) -> ChangeOutline:
        """One of them."""
        place, difference = int(self.places[item]), float(self.differences[item])
        higher = self.sign * (1 if difference < 0 else -1)
        before, after = (None if self.metric == TASK_ERROR else float(mean[place]) for mean in self.means)
        rows = (sides[0].shown(self.metric, place, higher), sides[1].shown(self.metric, place, -higher))
        is_flaky = bool(self.flaky[item])
        return ChangeOutline(sides[0].ids[place], self.metric, difference, before, after, *rows, is_flaky)


def _of_metric(name: str, direction: Direction, means: tuple[Floats, ...], sides: tuple[_Rows, _Rows]) -> _Found:
    import numpy as np

    left, right = means
    sign = 1.0 if direction == "maximize" else -1.0
    difference = sign * (right - left)
    size = np.maximum(np.abs(left), np.abs(right))
    changed = np.flatnonzero(np.abs(difference) > _ROUNDING * size)  # never where a side has no score
    known = np.concatenate([left, right])
    span = float(np.nanmax(known) - np.nanmin(known)) if len(changed) else 0.0
    rank = (-1e9 if name == TASK_ERROR else 0.0) - np.abs(difference[changed]) / (span or 1.0)
    moved = difference[changed]
    found = np.zeros(len(changed), dtype=np.bool_)
    if len(changed) and name != TASK_ERROR and any(side.repeats for side in sides):
        spreads = [side.spread(name, mean, changed) for side, mean in zip(sides, means, strict=True)]
        found = flaky(moved, *spreads)
    return _Found(name, sign, means, changed, moved, rank, found)


class Changes(LazyItems[ExampleChange]):
    """Changes of which the texts are read when one is looked at."""

    def __init__(self, found: tuple[_Found, ...], sides: tuple[_Rows, _Rows], metric: Places, item: Places) -> None:
        self._found, self._sides, self._metric, self._item = found, sides, metric, item

    def __len__(self) -> int:
        return len(self._metric)

    def outlines(self) -> list[ExampleChange | ChangeOutline]:
        """All of them without their texts."""
        return [self._outline(place) for place in range(len(self))]

    def _outline(self, place: int) -> ChangeOutline:
        return self._found[int(self._metric[place])].outline(int(self._item[place]), self._sides)

    def made(self, places: Sequence[int]) -> Iterator[ExampleChange]:
        """See `LazyItems`."""
        some = [self._outline(place) for place in places]
        before = self._sides[0].table.source.shown({one.baseline_row for one in some})
        after = self._sides[1].table.source.shown({one.candidate_row for one in some})
        return (_change(one, before[one.baseline_row], after[one.candidate_row]) for one in some)


def _change(outline: ChangeOutline, before: Shown, after: Shown) -> ExampleChange:
    return ExampleChange(
        example_id=outline.example_id,
        metric=outline.metric,
        difference=outline.difference,
        baseline_score=outline.baseline_score,
        candidate_score=outline.candidate_score,
        input=after.input if after.input is not None else before.input,
        expected=after.expected if after.expected is not None else before.expected,
        baseline_output=before.output,
        candidate_output=after.output,
        baseline_error=before.error,
        candidate_error=after.error,
        is_flaky=outline.is_flaky,
    )
