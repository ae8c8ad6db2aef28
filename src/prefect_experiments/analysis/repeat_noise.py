"""How far two runs of the same application lie apart, from a baseline alone.

An example's score is what the example is worth and what the run adds to it. Two runs of the same application differ by
the second only: with a variance of w within an example and R repetitions on either side, differences of the examples'
means have a variance of 2 w / R. (Searle, Casella and McCulloch 1992, Variance Components, section 3.1, the one-way
classification.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from prefect_experiments.analysis.intervals import difference_range, falls, interval_of
from prefect_experiments.analysis.power import Noise, unseen_in
from prefect_experiments.errors import InvalidSetting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from prefect_experiments.analysis.results import ResultTable

    Floats = npt.NDArray[np.float64]

# Squared: the mean of equal scores may be the next float beyond them.
_LAST_DIGITS = 1e-24

# With what chance none of n examples would have differed if more of them than that did.
_RARE = 0.05

NoiseSource = Literal["repetitions", "a second run", "the agreement given", "assumed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatNoise:
    """One metric of a baseline, and how much of it another run would give again.

    Attributes:
        n: examples with a score, at least 1.
        mean: over them.
        within: the variance of single runs within an example.
        source: from what that is known.
        spread: the variance of the examples' means, and `own`, what single runs have added to it.
        largest: how far apart two scores can be.
        worst: what an example that gets worse falls to; ``None`` where all lose as much (see `analysis.power`).
        two_valued: whether every run scores 0 or 1.
        tied: the share of examples that score the same again.
        unseen: where no two scores that could differ by chance do, the share of examples that may differ all the same:
            it is then planned with these. ``None`` where some do, and where somebody has said the agreement.
    """

    n: int
    mean: float
    within: float
    source: NoiseSource
    spread: float
    own: float
    largest: float
    worst: float | None
    two_valued: bool
    tied: float
    unseen: float | None

    def differing(self, repetitions: int, drop: float) -> float:
        """The share of examples that score differently in two runs, one of which is so much worse."""
        by_chance = min(1.0, 2 * self.within) if self.two_valued and repetitions == 1 else 1 - self.tied
        if not drop:
            return by_chance
        height = None if self.worst is None else abs(self.mean - self.worst)
        fallen = min(1.0, drop / height) if height else 1.0
        return by_chance + (1 - by_chance) * fallen

    def noise(self, n: int, repetitions: int, confidence: float) -> Noise:
        """How two equally good runs over `n` examples differ, each with so many repetitions."""
        variance = 2 * self.within / repetitions
        height = None if self.worst is None else abs(self.mean - self.worst)
        reach = (height or 0.0) ** 2 + max(0.0, self.spread - self.own) + self.within / repetitions
        if self.two_valued and repetitions == 1:
            return Noise(n=n, variance=min(1.0, variance), height=height, reach=height or 0.0, two_valued=True)
        bounds = (-self.largest, self.largest)
        low, high = interval_of(max(2, self.n), 0.0, math.sqrt(variance), bounds, confidence)
        assert low is not None
        assert high is not None
        unseen = unseen_in((high - low) / 2, variance, max(2, self.n), confidence)
        return Noise(n=n, variance=variance, unseen=unseen, height=height, reach=reach)


def repeat_noise(
    table: ResultTable,
    name: str,
    worst: float,
    *,
    beside: ResultTable | None = None,
    agreement: float | None = None,
) -> RepeatNoise:
    """How noisy a metric of a baseline is: as is measured, said or assumed, in this order.

    Measured with a second run, or by the baseline's own repetitions. Said as the share of examples that score the same
    when they are run again; of scores that are not 0 and 1, the others are as far apart as any two examples. Assumed
    is that all are so far apart, and more than that an unchanged application does not differ. Where nothing differs, a
    few examples are taken to differ all the same: see `RepeatNoise.unseen`.

    Args:
        table: the baseline, with at least one score of the metric.
        name: of the metric.
        worst: the worst score there is.
        beside: a second run of the same application.
        agreement: from 0 to 1.

    Raises:
        InvalidSetting: a second run that has no scores of the metric on the same examples.
    """
    import numpy as np

    scores = table.scores[name]
    known = ~np.isnan(scores)
    runs, places = scores[known], table.places[known]
    counts = np.bincount(places, minlength=len(table.example_ids))
    means = table.means(scores)[counts > 0]
    own = float((1 / counts[counts > 0]).mean())
    source: NoiseSource
    two_valued = falls(runs, 0.0)
    largest = difference_range(runs, ())[1]
    unseen: float | None = None
    if beside is None and agreement is not None:
        within = (1 - agreement) / 2 if two_valued else (1 - agreement) * float(runs.var())
        tied, source = agreement, "the agreement given"
    else:
        measured = _within(table, name, runs, places) if beside is None else _beside(table, beside, name)
        within, tied, source = measured.within, measured.tied, measured.source
        # Of what was seen on none of n examples, there may be so much all the same: the rule of three, 3 / n.
        share = -math.expm1(math.log(_RARE) / measured.n)
        if source == "assumed":
            other = min(share, 0.5)
            least = other * (1 - other) * largest * largest
        else:
            least = 0.0 if within else share * largest * largest / 2
        if not within:
            unseen, tied = share, 1 - share
        within = max(within, least)
    return RepeatNoise(
        n=len(means),
        mean=float(means.mean()),
        within=within,
        source=source,
        spread=float(means.var()),
        own=within * own,
        largest=largest,
        worst=worst if falls(runs, tied) else None,
        two_valued=two_valued,
        tied=tied,
        unseen=unseen,
    )


class _Measured(NamedTuple):
    """The variance within examples, the share of them that always score the same, and from how many that is known."""

    within: float
    tied: float
    source: NoiseSource
    n: int


def _within(table: ResultTable, name: str, runs: Floats, places: npt.NDArray[np.intp]) -> _Measured:
    """By the baseline's own repetitions; else what is assumed."""
    import numpy as np

    counts = np.bincount(places, minlength=len(table.example_ids))
    deviations = (runs - table.means(table.scores[name])[places]) ** 2
    squares = np.bincount(places, weights=deviations, minlength=len(counts))
    repeated = counts > 1
    nothing = _LAST_DIGITS * float((runs**2).max())
    if not repeated.any():
        variance = float(runs.var())
        return _Measured(variance if variance > nothing else 0.0, 0.0, "assumed", int((counts > 0).sum()))
    # Each example's own estimate counts alike, however often it was run.
    own = squares[repeated] / (counts[repeated] - 1)
    own[own <= nothing] = 0.0
    return _Measured(float(own.mean()), float((own == 0).mean()), "repetitions", int(repeated.sum()))


def _beside(table: ResultTable, beside: ResultTable, name: str) -> _Measured:
    """By a second run.

    Raises:
        InvalidSetting: the two have no example with a score on both sides.
    """
    import numpy as np

    sides = []
    for one in (table, beside):
        scores = one.scores.get(name, np.full(len(one.places), np.nan))
        counts = np.bincount(one.places[~np.isnan(scores)], minlength=len(one.example_ids))
        found = zip(one.example_ids, one.means(scores).tolist(), counts.tolist(), strict=True)
        sides.append({example_id: (mean, count) for example_id, mean, count in found if count})
    shared = [(sides[0][one], sides[1][one]) for one in sides[0] if one in sides[1]]
    if not shared:
        why = f"it has no scores of {name!r}" if not sides[1] else f"no example has a score of {name!r} in both"
        raise InvalidSetting(
            f"the second run (beside), {beside.label}, does not tell how far runs lie apart: {why}; name a run of the "
            "same application on the same examples, with the same evaluators"
        )
    squares = np.array([(left[0] - right[0]) ** 2 for left, right in shared])
    parts = np.array([1 / left[1] + 1 / right[1] for left, right in shared])
    return _Measured(float(squares.mean() / parts.mean()), float((squares == 0).mean()), "a second run", len(shared))
