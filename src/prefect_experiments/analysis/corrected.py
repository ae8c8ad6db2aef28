"""A difference by a judge, corrected for the judge's errors with what people say of some of the examples.

Prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023, Science 382:669): the judge's mean
over all examples, less lambda, plus what people and lambda times the judge differ by on the labelled ones. Lambda is
the one with the least variance (Angelopoulos, Duchi and Zrnic 2023, arXiv:2311.01453, "power tuning"), from 0, which
leaves the judge out, to 1, which takes it whole. Whatever the judge's errors are, on either side, the estimate is of
what people would have said of all examples, as long as **which examples they have judged was left to chance**; nothing
can make up for labels of chosen ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis.intervals import difference_range, times, unit_for
from prefect_experiments.models import _Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FEWEST_LABELS = 10
"""So many examples on either side have to be labelled: of fewer, nothing holds what it promises."""
PAIRED, TWO_MEANS, TOO_FEW = "paired", "two means", "too few labels"
NOT_BY_PEOPLE, UNKNOWN_LABELS = "not by people", "unknown labels"
CHOSEN = 0.01
"""From this p-value down, the labelled examples are said not to look drawn by chance."""
SURELY_CHOSEN = 0.001
"""From this one down, nothing passes by them."""
# Residuals of one range up and down that count as seen in each mean of labels; see `analysis.intervals`.
_ADDED = 1.5
_STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected(_Record):
    """The difference between two sides by people's judgement: candidate minus baseline, in people's unit.

    It holds where the labelled examples are a random draw of those compared.

    Attributes:
        human: what people's scores are called.
        n: examples with a score of the judge on both sides.
        n_baseline, n_candidate: of these, the ones with a human score on that side; `n_both` on both.
        n_unread: human labels without a score, of which nobody has said what is good; `unread` has each of them once.
        kinds: what has given the scores, such as ``LLM``, where that is known and is not people.
        others: what people's annotations are called, where there is none of the name `human`.
        method: ``paired`` where the same examples are labelled on both sides; ``two means`` where each side has labels
            of its own. Where nothing is estimated, and the rest is ``None``, it says why: ``too few labels``, ``not by
            people``, or ``unknown labels``, of which `positive` names none.
        by_judge: the difference by the judge alone, over the `n` examples.
        baseline_mean, candidate_mean: of the sides, corrected.
        difference: corrected.
        stderr: its standard error, with what labels so few may not have shown.
        ci_low, ci_high: by Student's t with `df` degrees of freedom (the labelled examples of the side with fewer, less
            2), within the range of the scores. With 30 labels or more that is nearly the normal interval.
        p_value: two-sided; `p_higher` and `p_lower` are one-sided, as in `MetricComparison`. They go with the interval.
        widest: how far two scores can lie apart.
        weights: how much of the judge is taken (lambda) for the baseline and for the candidate.
        labels_to_halve: human scores needed besides, shared among the sides as they are now until one has them of all
            examples, to halve the interval; ``None`` where labels alone cannot, as there are too few examples.
        labels_to_halve_by_side: these on the baseline and on the candidate.
        p_chosen: the chance of labelled examples that differ so much from the others by the judge's scores, were they
            drawn at random; ``None`` where all are labelled, or none. A gate passes nothing where it is 0.001 or less.
    """

    human: str
    n: int
    n_baseline: int
    n_candidate: int
    n_both: int
    n_unread: int = 0
    unread: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    method: str
    by_judge: float
    baseline_mean: float | None = None
    candidate_mean: float | None = None
    difference: float | None = None
    stderr: float | None = None
    df: int | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    p_higher: float = 1.0
    p_lower: float = 1.0
    widest: float = 1.0
    weights: tuple[float, float] | None = None
    labels_to_halve: int | None = None
    labels_to_halve_by_side: tuple[int, int] | None = None
    p_chosen: float | None = None


def corrected_difference(
    judge: tuple[Floats, Floats], people: tuple[Floats, Floats], *, human: str = "human", confidence: float = 0.95
) -> Corrected:
    """What people would say of the difference between two sides, from a judge's scores and people's of some examples.

    Where exactly the same examples are labelled on both sides, the differences of each example are what is corrected
    (``paired``); else each side's mean is (``two means``), with what the two have in common through the examples.
    Labels on one side alone correct nothing: the judge may err otherwise on the other.

    The standard error is that of the estimate's influence on each example, with n/(n - 2) for the mean and lambda,
    which are from the labels as well. One and a half residuals as large as scores can differ count as seen besides, up
    and down, as in `analysis.intervals`: ten labels on which the judge is right do not show that it never errs.

    Args:
        judge: by side, baseline first, one score an example; examples without a score on both sides (NaN) are left out.
        people: likewise, NaN where nobody has judged.
        human: what people's scores are called.
        confidence: of the interval.

    Raises:
        ValueError: no example has a score of the judge on both sides.
    """
    import numpy as np

    known = ~np.isnan(judge[0]) & ~np.isnan(judge[1])
    if not known.any():
        raise ValueError("no example has a score of the judge on both sides")
    unit = unit_for(float(np.nanmax(np.abs([one[known] for one in (*judge, *people)]))))
    scores, labels = ([side[known] / unit for side in sides] for sides in (judge, people))
    labelled = [~np.isnan(side) for side in labels]
    counts = [int(side.sum()) for side in labelled]
    n_both = int((labelled[0] & labelled[1]).sum())
    nothing = Corrected(
        human=human,
        n=len(scores[0]),
        n_baseline=counts[0],
        n_candidate=counts[1],
        n_both=n_both,
        method=TOO_FEW,
        by_judge=float((scores[1] - scores[0]).mean()),
        p_chosen=_p_chosen(scores, labelled),
    )
    if min(counts) < FEWEST_LABELS:
        return _in_units(nothing, unit)
    is_paired = counts[0] == counts[1] == n_both
    before, after = _sides(scores, labels, is_paired=is_paired)
    return _in_units(_estimate(nothing, before, after, confidence, is_paired=is_paired), unit)


def _in_units(found: Corrected, unit: float) -> Corrected:
    """The same where scores were divided by a unit, as very large ones are."""
    if unit == 1:
        return found
    figures = ("by_judge", "baseline_mean", "candidate_mean", "difference", "stderr", "ci_low", "ci_high", "widest")
    known = {name: value for name in figures if (value := getattr(found, name)) is not None}
    scaled: dict[str, Any] = {name: times(value, unit) for name, value in known.items()}
    return replace(found, **scaled)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side: the judge's scores of all examples, and people's of those that `has` marks, NaN elsewhere.

    Attributes:
        weights: lambda for each labelled example, made without its own label: so the estimate is unbiased however few
            labels there are (cross-fitting; Zrnic and Candes 2024, PNAS 121:e2322083121).
    """

    judge: Floats
    people: Floats
    has: npt.NDArray[np.bool_]
    weights: Floats

    @property
    def weight(self) -> float:
        """Lambda, on average."""
        return float(self.weights.mean())

    @property
    def mean(self) -> float:
        """Corrected."""
        one, other = self.judge[self.has], self.judge[~self.has]
        by_people = float(self.people[self.has].mean())
        if not len(other):
            return by_people
        return by_people - float((self.weights * (one - other.mean())).mean()) * len(other) / len(self.judge)

    @property
    def influences(self) -> tuple[Floats, Floats]:
        """What each example adds to the mean: through its label, and through the judge's score of it."""
        import numpy as np

        by_label, n = np.zeros(len(self.judge)), len(self.weights)
        residuals = self.people[self.has] - self.weight * self.judge[self.has]
        by_label[self.has] = (residuals - residuals.mean()) / n * math.sqrt(n / (n - 2))
        return by_label, self.weight * (self.judge - self.judge.mean()) / len(self.judge)


def _sides(scores: list[Floats], labels: list[Floats], *, is_paired: bool) -> tuple[_Side, _Side]:
    import numpy as np

    has = [~np.isnan(side) for side in labels]
    if is_paired:
        weights = [_weights(scores[1] - scores[0], labels[1] - labels[0], has[0])] * 2
    else:
        weights = [_weights(*side) for side in zip(scores, labels, has, strict=True)]
    before, after = (_Side(*side) for side in zip(scores, labels, has, weights, strict=True))
    return before, after


def _weights(judge: Floats, people: Floats, has: npt.NDArray[np.bool_]) -> Floats:
    """Lambda for each labelled example: the other ones' covariance, over the variance of the judge on all."""
    import numpy as np

    variance, n = float(judge.var(ddof=1)), int(has.sum())
    if variance <= 0:
        return np.zeros(n)
    products = (judge[has] - judge[has].mean()) * (people[has] - people[has].mean())
    without: Floats = (products.sum() - products * n / (n - 1)) / (n - 2) / variance
    return without.clip(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Variance:
    """Of the corrected difference, by where it comes from; for so many times as many labels.

    Attributes:
        of_labels: by side, what more labels there make less of; `of_both` what the sides' labels have in common.
        of_examples: what more labels do not make less of.
        widest: how far two scores can lie apart.
        counts: labels by side.
        n: examples, of which each side can have at most so many labels.
        is_paired: whether these are one mean of labels, and not two.
    """

    of_labels: tuple[float, float]
    of_both: float
    of_examples: float
    widest: float
    counts: tuple[int, int]
    n: int
    is_paired: bool

    def more(self, factor: float) -> list[float]:
        """How many times as many labels each side has: at most one of every example."""
        return [min(factor, self.n / count) for count in self.counts]

    def times(self, factor: float) -> float:
        """With `factor` times as many labels, on a side that has so many examples."""
        more = self.more(factor)
        by_label = sum(one / times for one, times in zip(self.of_labels, more, strict=True)) + self.of_both / max(more)
        means = [count * times for count, times in zip(self.counts, more, strict=True)][: 1 if self.is_paired else 2]
        unseen = sum(2 * _ADDED / ((n + 2 * _ADDED - 1) * (n + 2 * _ADDED)) for n in means)
        return float(max(0.0, by_label + self.of_examples) + unseen * self.widest**2)

    def labels_to(self, wanted: float) -> tuple[int, int] | None:
        """How many labels more on either side make it as small as that; ``None`` where one of every example do not."""
        low, high = 1.0, self.n / min(self.counts)
        if self.times(high) > wanted:
            return None
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.times(middle) <= wanted else (middle, high)
        before, after = (
            math.ceil((times - 1) * count - 1e-9) for times, count in zip(self.more(high), self.counts, strict=True)
        )
        return before, after


def _variance(before: _Side, after: _Side, *, is_paired: bool) -> _Variance:
    import numpy as np

    ours, theirs = after.influences, before.influences
    by_label, by_judge = (one - other for one, other in zip(ours, theirs, strict=True))
    people = np.concatenate([side.people[side.has] for side in (before, after)])
    return _Variance(
        of_labels=(float((theirs[0] ** 2).sum()), float((ours[0] ** 2).sum())),
        of_both=float(-2 * (ours[0] * theirs[0]).sum()),
        of_examples=float((by_judge**2).sum() + 2 * (by_label * by_judge).sum()),
        widest=difference_range(people.tolist(), [])[1],
        counts=(len(before.weights), len(after.weights)),
        n=len(before.judge),
        is_paired=is_paired,
    )


def _estimate(nothing: Corrected, before: _Side, after: _Side, confidence: float, *, is_paired: bool) -> Corrected:
    from scipy.special import stdtr, stdtrit

    means, variance = (before.mean, after.mean), _variance(before, after, is_paired=is_paired)
    difference, stderr = means[1] - means[0], math.sqrt(variance.times(1.0))
    df = min(nothing.n_baseline, nothing.n_candidate) - 2
    half = float(stdtrit(df, (1 + confidence) / 2)) * stderr
    p_higher, p_lower = (float(stdtr(df, sign * difference / stderr)) for sign in (-1, 1))
    needed = variance.labels_to(stderr**2 / 4)
    return replace(
        nothing,
        method=PAIRED if is_paired else TWO_MEANS,
        baseline_mean=means[0],
        candidate_mean=means[1],
        difference=difference,
        stderr=stderr,
        df=df,
        ci_low=max(-variance.widest, difference - half),
        ci_high=min(variance.widest, difference + half),
        p_value=min(1.0, 2 * min(p_higher, p_lower)),
        p_higher=p_higher,
        p_lower=p_lower,
        widest=variance.widest,
        weights=(before.weight, after.weight),
        labels_to_halve=None if needed is None else sum(needed),
        labels_to_halve_by_side=needed,
    )


def _p_chosen(scores: list[Floats], labelled: list[npt.NDArray[np.bool_]]) -> float | None:
    """Fisher's exact test of high scores of the judge among labelled examples and the others, Bonferroni's of sides.

    High is what lies above the score that parts all examples the most evenly, whoever is labelled. So whatever the
    scores are, each draw of the labelled ones is as likely, and the test keeps its level with few as with many.
    """
    import numpy as np
    from scipy.stats import fisher_exact

    found = []
    for judge, has in zip(scores, labelled, strict=True):
        if not has.any() or has.all():
            continue
        values, counts = np.unique(judge, return_counts=True)
        split = values[np.abs(2 * counts.cumsum() - len(judge)).argmin()]
        high = judge > split
        table = [[int((high & side).sum()), int((~high & side).sum())] for side in (has, ~has)]
        found.append(float(fisher_exact(table).pvalue))
    return min(1.0, len(found) * min(found)) if found else None
