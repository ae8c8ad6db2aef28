"""Which examples pair up, and what the scores that are missing could hide."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from prefect_experiments.analysis.comparison.paired import paired_test
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import Direction, Failures, Unscored, WorstCase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """The examples that both sides have runs of, without those that are left out.

    Attributes:
        baseline, candidate: the sides.
        in_baseline, in_candidate: the examples' places in either table's `example_ids`.
        absent: places in the baseline's of what the candidate should have run and has no run of;
            where nobody knows what it should have run, that is all that the baseline has.
    """

    baseline: ResultTable
    candidate: ResultTable
    in_baseline: Places
    in_candidate: Places
    absent: Places

    @classmethod
    def of(cls, baseline: ResultTable, candidate: ResultTable, without: Collection[str] = ()) -> Pairs:
        """Match the examples by id, in the baseline's order, but for some."""
        import numpy as np

        place = {example_id: i for i, example_id in enumerate(candidate.example_ids)}
        left_out = set(without)
        shared = (
            (i, place[name]) for i, name in enumerate(baseline.example_ids) if name in place and name not in left_out
        )
        expected = candidate.expected_ids
        absent = [
            i
            for i, name in enumerate(baseline.example_ids)
            if name not in place and name not in left_out and (expected is None or name in expected)
        ]
        both = np.fromiter(chain.from_iterable(shared), dtype=np.intp).reshape(-1, 2)
        return cls(
            baseline=baseline,
            candidate=candidate,
            in_baseline=both[:, 0],
            in_candidate=both[:, 1],
            absent=np.array(absent, dtype=np.intp),
        )

    def asked(self, name: str) -> tuple[Flags, Flags]:
        """Which of these examples, and of the absent ones, both sides should have scores of a metric of by now."""
        import numpy as np

        before, after = self.baseline, self.candidate
        left, right = (
            np.bincount(table.places, weights=~table.asked(name), minlength=len(table.example_ids)) == 0
            for table in (before, after)
        )
        absent = after.meant(name, [before.example_ids[place] for place in self.absent.tolist()])
        return left[self.in_baseline] & right[self.in_candidate], left[self.absent] & absent

    def means(self, of_baseline: Floats, of_candidate: Floats) -> tuple[Floats, Floats]:
        """Values of runs as one value for each of these examples, on either side."""
        return (
            self.baseline.means(of_baseline)[self.in_baseline],
            self.candidate.means(of_candidate)[self.in_candidate],
        )


def worst_case(
    name: str, direction: Direction, pairs: Pairs, confidence: float, *, errors_only: bool
) -> WorstCase | None:
    """The metric again with missing scores counted as the worst; ``None`` where there are none.

    Args:
        name: of a metric that both sides have.
        direction: which says what is worst.
        pairs: the examples.
        confidence: of the interval.
        errors_only: count so only the runs whose task or evaluator failed, repetition by
            repetition. Else also examples that only one side has a score on, for whatever reason,
            and those that the candidate should have run and did not.
    """
    import numpy as np

    baseline, candidate = pairs.baseline, pairs.candidate
    worst = worst_of(known_scores(name, pairs), direction)
    filled = [np.where(table.errors[name], worst, table.scores[name]) for table in (baseline, candidate)]
    asked, absent_asked = pairs.asked(name)
    left, right = (np.where(asked, side, np.nan) for side in pairs.means(*filled))
    changed = [
        np.bincount(table.places, weights=table.errors[name], minlength=len(table.example_ids))[places] > 0
        for table, places in ((baseline, pairs.in_baseline), (candidate, pairs.in_candidate))
    ]
    if not errors_only:
        absent = baseline.means(filled[0])[pairs.absent[absent_asked]]
        absent = absent[~np.isnan(absent)]
        left = np.concatenate([left, absent])
        right = np.concatenate([right, np.full(len(absent), np.nan)])
        changed = [np.concatenate([side, np.zeros(len(absent), dtype=bool)]) for side in changed]
        # No score on either side says that the metric does not apply to the example.
        only_left, only_right = ~np.isnan(left) & np.isnan(right), np.isnan(left) & ~np.isnan(right)
        left, right = np.where(only_right, worst, left), np.where(only_left, worst, right)
        changed = [changed[0] | only_right, changed[1] | only_left]
    both = ~np.isnan(left) & ~np.isnan(right)
    n_baseline, n_candidate = (int((side & both).sum()) for side in changed)
    if not n_baseline and not n_candidate:
        return None
    result = paired_test(left[both], right[both], confidence=confidence)
    return WorstCase(
        n_pairs=result.n_pairs,
        n_baseline=n_baseline,
        n_candidate=n_candidate,
        difference=result.difference,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        p_value=result.p_value,
        p_higher=result.p_higher,
        p_lower=result.p_lower,
        smallest_p=result.smallest_p,
    )


def unscored(name: str, pairs: Pairs) -> Unscored:
    """On how many examples one side's task gave an output and no score of the metric, more often than the other's."""
    import numpy as np

    asked, counts = pairs.asked(name)[0], []
    for errors_only in (False, True):
        shares = [
            np.where(table.failed, 0.0, table.errors[name] if errors_only else np.isnan(table.scores[name]))
            for table in (pairs.baseline, pairs.candidate)
        ]
        left, right = pairs.means(*shares)
        counts += [int((asked & (right > left)).sum()), int((asked & (right < left)).sum())]
    return Unscored(
        candidate_only=counts[0], baseline_only=counts[1], candidate_errors=counts[2], baseline_errors=counts[3]
    )


def known_scores(name: str, pairs: Pairs) -> Floats:
    """All scores of a metric that either side has, of every run."""
    import numpy as np

    known: Floats = np.concatenate([pairs.baseline.scores[name], pairs.candidate.scores[name]])
    return known[~np.isnan(known)]


def worst_of(scores: Floats, direction: Direction) -> float:
    """The worst score there is: 0 for scores from 0 to 1 (1 where less is better); else the worst of those.

    Where all scores are the same, that one would be no worse, and the score lies one further.
    """
    low, high = float(scores.min()), float(scores.max())
    if low >= 0 and high <= 1:
        return 0.0 if direction == "maximize" else 1.0
    step = 0.0 if low < high else 1.0
    return low - step if direction == "maximize" else high + step


def failures(pairs: Pairs) -> Failures:
    """How many examples' task failed on one side only."""
    baseline, candidate = pairs.baseline, pairs.candidate
    left, right = pairs.means(baseline.failed.astype(float), candidate.failed.astype(float))
    absent = baseline.means(baseline.failed.astype(float))[pairs.absent]
    return Failures(
        candidate_only=int((right > left).sum()),
        baseline_only=int((right < left).sum()),
        candidate_absent=int((absent == 0).sum()),
    )
