"""What a gate asks of one metric: each rule a class, and `Metric`, which is made of them."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, cast

from pydantic import WithJsonSchema, field_validator

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.paired import examples_to_exclude
from prefect_experiments.analysis.gate.case import ROUNDING, Better, Bounds, MetricCase
from prefect_experiments.analysis.gate.family import Test
from prefect_experiments.analysis.gate.figures import Interval, p_value_beyond
from prefect_experiments.analysis.gate.rule import Rule, shown
from prefect_experiments.analysis.intervals import mean_interval
from prefect_experiments.analysis.verdicts import MetricCheck, MetricComparison, Status, WorstCase
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.options import AsIs

# What the tests are called.
_WORSE, _HIDDEN = "worse", "hidden"
_PERCENT = re.compile(r"\d+(?:\.\d+)?\s*%")
_MARGIN = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "%$"}, {"type": "null"}]}
_WORST_FIRST: tuple[Status, ...] = ("failed", "inconclusive", "passed")


class Clause(NamedTuple):
    """What one rule says of a metric: a part of the sentence on it."""

    status: Status
    text: str
    examples_needed: int | None = None


class MaxRegression(Rule):
    """Not worse than the baseline, or not by more than is allowed."""

    max_regression: Annotated[float | str | None, AsIs, WithJsonSchema(_MARGIN)] = None
    """How much worse than the baseline the candidate may be, in the metric's own unit, or as a share of the baseline's
    mean (5%). It passes when the whole confidence interval lies within this margin (a non-inferiority test), and fails
    when the candidate is significantly worse and not shown to be within; anything between is inconclusive. Without it,
    only what is significantly worse fails, and too few pairs to show even that are inconclusive."""

    @field_validator("max_regression", mode="plain")
    @classmethod
    def _checked(cls, given: Any) -> float | str | None:
        where = f"{cls.said_before_names}max_regression must be"
        share = _PERCENT.fullmatch(given) if isinstance(given, str) else None
        if given is None or share:
            return cast("str | None", given)
        if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= sys.float_info.max:
            raise InvalidSetting(
                f"{where} a finite number, or a share of the baseline's such as 5%; got {given!r:.100}"
            )
        if given < 0:
            raise InvalidSetting(f"{where} at least 0, got {given!r}")
        return float(given)

    def tests(self, case: MetricCase) -> Iterator[Test]:
        """That the candidate is worse on the pairs with both scores, and with those that it lacks as the worst ones."""
        if (test := case.worse(_WORSE)) is not None:
            yield test
        if case.filled is not None:
            # Two-sided, as all that errors may have made: see `run_rules`.
            is_less = case.oriented(case.filled.difference) < 0
            yield Test((case.name, _HIDDEN), case.filled.p_value if is_less else 1.0)

    def check(self, case: MetricCase) -> Iterator[Clause]:
        """By the pairs with both scores, and with missing scores counted as the worst ones."""
        if case.incomparable:
            yield Clause("inconclusive", case.incomparable)
        if (metric := case.metric) is None:
            return
        worse = f"significantly worse ({p_text(case.family.p_value(case.name, _WORSE))})"
        is_worse = case.family.rejects(case.name, _WORSE)
        if metric.p_value is None:
            yield Clause("inconclusive", "too few pairs to tell whether it is worse", metric.examples_needed)
        elif self.max_regression is None:
            yield from self._not_worse(case, metric, worse, is_worse=is_worse)
        elif self._is_within(case, metric):
            yield Clause("passed", f"within {self._allowed(metric)}")
        elif is_worse:
            yield Clause("failed", f"{worse} and not shown to be within {self._allowed(metric)}")
        else:
            needed = self._examples_needed(case, metric)
            more = "" if needed is None else f"; about {needed:,} pairs are needed to tell"
            yield Clause("inconclusive", f"not shown to be within {self._allowed(metric)}{more}", needed)
        if case.filled is not None:
            yield self._filled(case, metric, case.filled)

    def _not_worse(self, case: MetricCase, metric: MetricComparison, worse: str, *, is_worse: bool) -> Iterator[Clause]:
        enough = case.family.enough(metric.test)
        if is_worse:
            yield Clause("failed", worse)
        elif metric.n_pairs < enough:
            among = f" among {case.family.size} tests" if case.family.size > 1 else ""
            few = f"{numbers.count(metric.n_pairs, 'pair')} cannot show any regression{among}, however large"
            yield Clause("inconclusive", f"{few}: at least {numbers.count(enough, 'pair')} can", enough)
        else:
            yield Clause("passed", f"not {worse}" if case.difference < 0 else "not worse")

    def _filled(self, case: MetricCase, metric: MetricComparison, filled: WorstCase) -> Clause:
        unit = numbers.unit_of(metric.baseline_mean, metric.candidate_mean)
        change = numbers.change(filled.difference, filled.ci_low, filled.ci_high, unit)
        text = f"with missing scores counted as the worst ({filled.n_candidate} of the candidate's) {change}"
        if self._is_within(case, filled, metric):
            return Clause("passed", text)
        if case.family.rejects(case.name, _HIDDEN):
            p_value = p_text(case.family.p_value(case.name, _HIDDEN))
            return Clause("failed", f"{text}, significantly worse ({p_value})")
        if self.max_regression is not None:
            return Clause("inconclusive", f"{text}, not shown to be within {self._allowed(metric)}")
        return Clause("passed", text)

    @property
    def is_wide(self) -> bool:
        """Whether it is more than scores from 0 to 1 can fall, so that nothing might ever fail."""
        if isinstance(self.max_regression, str):
            return _share(self.max_regression) > 1
        return self.max_regression is not None and self.max_regression > 1

    def margin(self, baseline_mean: float | None) -> float | None:
        """What is allowed, in the metric's own unit."""
        if self.max_regression is None or isinstance(self.max_regression, float):
            return self.max_regression
        return None if baseline_mean is None else _share(self.max_regression) * abs(baseline_mean)

    def _allowed(self, metric: MetricComparison) -> str:
        if isinstance(self.max_regression, str):
            return (
                f"the allowed regression of {self.max_regression} ({numbers.plain(self.margin(metric.baseline_mean))})"
            )
        return f"the allowed regression of {numbers.plain(self.max_regression)}"

    def _is_within(
        self, case: MetricCase, found: MetricComparison | WorstCase, metric: MetricComparison | None = None
    ) -> bool:
        """Whether the whole interval lies on the good side of the allowed regression."""
        margin = self.margin((metric or case.metric or found).baseline_mean)  # type: ignore[union-attr]
        if found.ci_low is None or found.ci_high is None or margin is None:
            return False
        return min(case.oriented(found.ci_low), case.oriented(found.ci_high)) > -margin

    def _examples_needed(self, case: MetricCase, metric: MetricComparison) -> int | None:
        """Pairs to show either that the regression is within the allowed one, or that there is one."""
        margin = self.margin(metric.baseline_mean)
        if metric.ci_low is None or metric.ci_high is None or margin is None:
            return None
        to_pass = examples_to_exclude(
            case.difference + margin,
            metric.sd_difference,
            (metric.ci_high - metric.ci_low) / 2,
            metric.n_pairs,
            confidence=case.confidence,
        )
        to_fail = metric.examples_needed if case.difference < 0 else None
        return min((n for n in (to_pass, to_fail) if n is not None), default=None)


def _share(percent: str) -> float:
    return float(percent.rstrip(" %")) / 100


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
                yield Clause("passed", f"the mean is {case.mean:.4g}, and no minimum is set")
            return
        if case.unclear:
            ways = f"{'both ' if len(case.unclear) > 1 else ''}{' and '.join(case.unclear)}"
            yield Clause("failed", f"its evaluations say {ways}; say which in the gate's direction")
            return
        bound = f"the {'maximum' if _is_most(case) else 'minimum'} of {numbers.score(self.min)}"
        yield Clause(
            *beside_bound(
                f"the mean of {numbers.score(case.mean)}",
                case.mean,
                None if case.values is None else _mean(case)(case.confidence),
                (self.min, bound),
                most=_is_most(case),
                bounds=self._bounds(case),
                is_beyond=case.family.rejects(case.name, self.called),
                written=numbers.score,
            )
        )

    def _bounds(self, case: MetricCase) -> Bounds:
        return self.bounds or case.bounds


def _mean(case: MetricCase) -> Callable[[float], Interval]:
    values = case.values
    assert values is not None

    def interval(confidence: float) -> Interval:
        low, high = mean_interval(values, confidence)
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
    if bounds == "point":
        return ("passed", f"{said} keeps {called}") if keeps else ("failed", f"{said} is {where} {called}")
    if interval is None:
        return "inconclusive", f"{said} has no interval to judge {called} by; bounds: point compares it as it is"
    low, high = (written(end) if math.isfinite(end) else "?" for end in interval)
    said = f"{said} [{low}, {high}]"
    worst_end = interval[1] - limit if most else limit - interval[0]
    best_end = interval[0] - limit if most else limit - interval[1]
    if worst_end <= ROUNDING * max(1.0, abs(limit)):
        return "passed", f"{said} keeps {called}"
    if is_beyond and best_end > 0:
        return "failed", f"{said} is {where} {called}"
    return "inconclusive", f"{said} is not shown to keep {called}, nor to be {where} it"


class Positive(Rule):
    """Labels that count as a score of 1, so that there is something to be better or worse."""

    positive: str | list[str] | None = None
    """The label that is good, or a list of them: each run scores 1 with such a label and 0 with any other, whatever
    scores the evaluator gives beside. Without it, labels that shift make the verdict inconclusive."""

    @property
    def good(self) -> tuple[str, ...]:
        """The good labels; none where nobody has said."""
        return (self.positive,) if isinstance(self.positive, str) else tuple(self.positive or ())

    def check(self, case: MetricCase) -> Iterator[Clause]:
        """That there are such labels."""
        unknown = [label for label in self.good if label not in case.labels]
        if unknown and not case.labels:
            yield Clause("failed", f"positive names the label {unknown[0]!r}, and its evaluator gives no labels")
        elif unknown and len(unknown) == len(self.good):
            yield Clause("failed", f"positive: {unknown_value('label', unknown[0], list(case.labels))}")
        elif self.good:
            yield Clause(
                "passed", f"{' and '.join(map(repr, self.good))} {'counts' if len(self.good) == 1 else 'count'} as 1"
            )


class Metric(Positive, Min, MaxRegression):
    """What a gate asks of one metric.

    Raises:
        InvalidSetting: a value that cannot be used.
    """

    direction: Better | None = None
    """minimize where less is better, maximize where more is. Without it, what the metric's evaluations say, as those of
    phoenix-evals do, else more."""

    def judge(self, case: MetricCase) -> MetricCheck:
        """The worst that its rules say, and all of it in one sentence with the figures."""
        return judged(case, list(self.checks(case)))

    @classmethod
    def parse(cls, value: Any, name: str = "") -> Metric:
        """A `Metric` from a mapping of its attributes, or nothing.

        Args:
            value: a `Metric`, a mapping, or ``None`` for one without bounds.
            name: the metric's, for messages.

        Raises:
            InvalidSetting: an unknown key, or a value that cannot be used.
        """
        if isinstance(value, Metric):
            return value
        if value is None:
            return cls()
        where = f"metric {name!r} of the gate" if name else "a metric of the gate"
        if not isinstance(value, Mapping):
            raise InvalidSetting(f"{where} must be a mapping such as {{min: 0.8}}, got {shown(value)}")
        return cls.from_mapping(value, where)


def plain_check(name: str, reason: str, *, failed: bool = False) -> MetricCheck:
    """A check without figures to weigh."""
    return MetricCheck(name=name, status="failed" if failed else "passed", reason=reason)


def judged(case: MetricCase, clauses: list[Clause]) -> MetricCheck:
    """The worst of the clauses, and all of them in one sentence with the figures."""
    figures = case.name if case.metric is None else figures_of(case.metric)
    return MetricCheck(
        name=case.name,
        status=worst([clause.status for clause in clauses]),
        reason=f"{figures}: {'; '.join(clause.text for clause in clauses)}",
        examples_needed=next((n for clause in clauses if (n := clause.examples_needed) is not None), None),
    )


def figures_of(metric: MetricComparison) -> str:
    """Such as ``correctness 0.84, -3 points [-6, -1] against 0.87 on 400 pairs; 8 improved, 21 regressed``."""
    unit = numbers.unit_of(metric.baseline_mean, metric.candidate_mean)
    note = " (less is better)" if metric.direction == "minimize" else ""
    text = (
        f"{metric.name}{note} {numbers.value(metric.candidate_mean, unit)}, "
        f"{numbers.change(metric.difference, metric.ci_low, metric.ci_high, unit)} "
        f"against {numbers.value(metric.baseline_mean, unit)} on {numbers.count(metric.n_pairs, 'pair')}"
    )
    if metric.wins or metric.losses or metric.ties:
        text += f"; {metric.wins:,} improved, {metric.losses:,} regressed"
    return text


def worst(statuses: list[Status]) -> Status:
    """The worst of the statuses; passed of none."""
    return next((status for status in _WORST_FIRST if status in statuses), "passed")


def p_text(p_value: float) -> str:
    """Such as ``adjusted p = 0.02``."""
    if p_value < 0.001:
        return "adjusted p < 0.001"
    # Rounded, 0.0501 would seem to be what it just is not.
    return f"adjusted p = {p_value:.2f}" if p_value >= 0.06 else f"adjusted p = {p_value:.2g}"
