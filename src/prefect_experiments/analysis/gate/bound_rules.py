"""The rule on a metric's own mean, and how any figure is judged beside a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import ClassVar

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.paired import examples_to_exclude
from prefect_experiments.analysis.gate.case import ROUNDING, Bounds, MetricCase
from prefect_experiments.analysis.gate.clause import Clause, unsure
from prefect_experiments.analysis.gate.family import Test
from prefect_experiments.analysis.gate.figures import Interval, p_value_beyond
from prefect_experiments.analysis.gate.rule import Rule
from prefect_experiments.analysis.intervals import interval_of, mean_and_sd, range_of
from prefect_experiments.analysis.verdicts import Status


class Min(Rule):
    """A bound that the candidate's own mean has to keep; it needs no baseline."""

    called: ClassVar[str] = "minimum"

    min: float | None = None
    """The worst mean that the candidate may have, over all its examples; where less is better, the highest one. It
    passes when the mean's whole confidence interval keeps it, fails when all of it does not, and is inconclusive where
    the bound lies within."""
    bounds: Bounds | None = None
    """How min is judged: by the mean's whole confidence interval, or, with point, by the mean alone. Without it, as the
    gate's bounds say. An experiment evaluator's value has no interval."""

    def tests(self, case: MetricCase) -> Iterator[Test]:
        """That the mean does not keep the bound."""
        if self.min is not None and case.values is not None and self._bounds(case) == "interval":
            yield Test((case.name, self.called), p_value_beyond(_mean(case), self.min, most=_is_most(case)))

    def check(self, case: MetricCase) -> Iterator[Clause]:
        """By the mean and its interval; without a bound and a baseline, it says so."""
        assert case.mean is not None
        if self.min is None:
            if case.metric is None and not case.incomparable:
                yield Clause("passed", f"the mean is {numbers.score(case.mean)}, and no minimum is set")
            return
        if case.unclear:
            ways = f"{'both ' if len(case.unclear) > 1 else ''}{' and '.join(case.unclear)}"
            yield Clause("failed", f"its evaluations say {ways}; say which in the gate's direction")
            return
        bound = f"the {'maximum' if _is_most(case) else 'minimum'} of {numbers.score(self.min)}"
        interval = None if case.values is None else _mean(case)(case.confidence)
        status, text = beside_bound(
            f"the mean of {numbers.score(case.mean)}",
            case.mean,
            interval,
            (self.min, bound),
            most=_is_most(case),
            bounds=self._bounds(case),
            is_beyond=case.family.rejects(case.name, self.called),
            written=numbers.score,
        )
        if status == "inconclusive":
            needed = self._sized(case, interval)
            if needed is None and interval is not None:  # such as a minimum of 1.0 where every score is 1.0
                more = "a mean at the bound itself never is, however many examples, and bounds: point takes it as it is"
                text = f"{text}; {more}"
            yield unsure(text, needed, "examples")
        else:
            yield Clause(status, text)

    def _sized(self, case: MetricCase, interval: Interval | None) -> int | None:
        """Examples to show on which side of the bound the mean lies, if it stays what it is."""
        if interval is None or case.values is None or case.mean is None or self.min is None:
            return None
        half_width = (interval[1] - interval[0]) / 2
        if not math.isfinite(half_width):
            return None
        sd, n = mean_and_sd(case.values)[1], len(case.values)
        return examples_to_exclude(abs(case.mean - self.min), sd, half_width, n, confidence=case.confidence)

    def _bounds(self, case: MetricCase) -> Bounds:
        return self.bounds or case.bounds


def _mean(case: MetricCase) -> Callable[[float], Interval]:
    values = case.values
    assert values is not None
    # Once, and not for each confidence that a p-value is sought with.
    n, (mean, sd), bounds = len(values), mean_and_sd(values), range_of(values)

    def interval(confidence: float) -> Interval:
        low, high = interval_of(n, mean, sd, bounds, confidence)
        return -math.inf if low is None else low, math.inf if high is None else high

    return interval


def _is_most(case: MetricCase) -> bool:
    return case.direction == "minimize"


def beside_bound(
    said: str,
    value: float,
    interval: Interval | None,
    bound: tuple[float, str],
    *,
    most: bool,
    bounds: Bounds,
    is_beyond: bool,
    written: Callable[[float], str],
) -> tuple[Status, str]:
    """What to say of a figure that has a bound.

    Args:
        said: the figure in words.
        value: the figure.
        interval: its interval; ``None`` where nobody knows one.
        bound: and what to call it.
        most: whether the bound is the largest that it may be, else the smallest.
        bounds: how the gate judges.
        is_beyond: whether the bound is shown to be broken, among all the gate's tests.
        written: how to write the ends.
    """
    limit, called = bound
    off = value - limit if most else limit - value
    keeps = off <= ROUNDING * max(1.0, abs(limit))
    where = "above" if most else "below"
    if not keeps and written(value) == written(limit):
        said = f"{said} ({value:.9g})"  # else 0.948 would be below 0.948
    if bounds == "point":
        return ("passed", f"{said} keeps {called}") if keeps else ("failed", f"{said} is {where} {called}")
    if interval is None:
        return "inconclusive", f"{said} has no interval to judge {called} by; bounds: point compares it as it is"
    low, high = (written(end) if math.isfinite(end) else "?" for end in interval)
    said = said if low == high else f"{said} [{low}, {high}]"  # one figure is no interval
    worst_end = interval[1] - limit if most else limit - interval[0]
    best_end = interval[0] - limit if most else limit - interval[1]
    if worst_end <= ROUNDING * max(1.0, abs(limit)):
        return "passed", f"{said} keeps {called}"
    if is_beyond and best_end > 0:
        return "failed", f"{said} is {where} {called}"
    return "inconclusive", f"{said} is not shown to keep {called}, nor to be {where} it"
