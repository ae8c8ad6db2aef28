"""What a gate asks of one metric: each rule a class, and `Metric`, which is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.paired import examples_to_exclude
from prefect_experiments.analysis.gate.case import ROUNDING, Better, MetricCase
from prefect_experiments.analysis.gate.rule import Rule, shown
from prefect_experiments.analysis.verdicts import MetricCheck, MetricComparison, Status, WorstCase
from prefect_experiments.errors import InvalidSetting, unknown_value

_WORST_FIRST: tuple[Status, ...] = ("failed", "inconclusive", "passed")


class Clause(NamedTuple):
    """What one rule says of a metric: a part of the sentence on it."""

    status: Status
    text: str
    examples_needed: int | None = None


class MaxRegression(Rule):
    """Not worse than the baseline, or not by more than is allowed."""

    max_regression: Annotated[float | None, Field(ge=0)] = None
    """How much worse than the baseline the candidate may be, in the metric's own unit. It passes when the whole
    confidence interval lies within this margin (a non-inferiority test), and fails when the candidate is significantly
    worse and not shown to be within; anything between is inconclusive. Without it, only what is significantly worse
    fails."""

    def check(self, case: MetricCase) -> Iterator[Clause]:
        """By the pairs with both scores, and with missing scores counted as the worst ones."""
        if case.incomparable:
            yield Clause("inconclusive", case.incomparable)
        if (metric := case.metric) is None:
            return
        worse, is_worse = f"significantly worse ({p_text(case.p_worse)})", case.p_worse <= case.alpha
        allowed = f"within the allowed regression of {numbers.plain(self.max_regression)}"
        if self.max_regression is None and not is_worse:
            text = f"not {worse}" if case.difference < 0 else "not worse"
            if 2 * 0.5**metric.n_pairs > case.alpha:  # the smallest p-value that so many pairs can give
                text += "; too few pairs to show any regression"
            yield Clause("passed", text)
        elif self._is_within(case, metric):
            yield Clause("passed", allowed)
        elif is_worse:
            more = "" if self.max_regression is None else f" and not shown to be {allowed}"
            yield Clause("failed", f"{worse}{more}")
        else:
            needed = self._examples_needed(case, metric)
            more = "" if needed is None else f"; about {needed:,} pairs are needed to tell"
            yield Clause("inconclusive", f"not shown to be {allowed}{more}", needed)
        if case.filled is not None:
            yield self._hidden(case, case.filled, numbers.unit_of(metric.baseline_mean, metric.candidate_mean))

    def _hidden(self, case: MetricCase, filled: WorstCase, unit: numbers.Unit) -> Clause:
        change = numbers.change(filled.difference, filled.ci_low, filled.ci_high, unit)
        text = f"with missing scores counted as the worst ({filled.n_candidate} of the candidate's) {change}"
        if self._is_within(case, filled):
            return Clause("passed", text)
        if case.p_hidden <= case.alpha:
            return Clause("failed", f"{text}, significantly worse ({p_text(case.p_hidden)})")
        if self.max_regression is not None:
            return Clause("inconclusive", f"{text}, not shown to be within the allowed regression")
        return Clause("passed", text)

    def _is_within(self, case: MetricCase, found: MetricComparison | WorstCase) -> bool:
        """Whether the whole interval lies on the good side of the allowed regression."""
        if found.ci_low is None or found.ci_high is None or self.max_regression is None:
            return False
        return min(case.oriented(found.ci_low), case.oriented(found.ci_high)) > -self.max_regression

    def _examples_needed(self, case: MetricCase, metric: MetricComparison) -> int | None:
        """Pairs to show either that the regression is within the allowed one, or that there is one."""
        if metric.ci_low is None or metric.ci_high is None or self.max_regression is None:
            return None
        to_pass = examples_to_exclude(
            case.difference + self.max_regression,
            metric.sd_difference,
            (metric.ci_high - metric.ci_low) / 2,
            metric.n_pairs,
            confidence=case.confidence,
        )
        to_fail = metric.examples_needed if case.difference < 0 else None
        return min((n for n in (to_pass, to_fail) if n is not None), default=None)


class Min(Rule):
    """A bound that the candidate's own mean has to keep; it needs no baseline."""

    called: ClassVar[str] = "minimum"

    min: float | None = None
    """The worst mean that the candidate may have, over all its examples; where less is better, the highest one."""

    def check(self, case: MetricCase) -> Iterator[Clause]:
        """By the mean; without a bound and a baseline, it says so."""
        assert case.mean is not None
        if self.min is None:
            if case.metric is None and not case.incomparable:
                yield Clause("passed", f"the mean is {case.mean:.4g}, and no minimum is set")
        elif case.unclear:
            ways = f"{'both ' if len(case.unclear) > 1 else ''}{' and '.join(case.unclear)}"
            yield Clause("failed", f"its evaluations say {ways}; say which in the gate's direction")
        else:
            is_least = case.direction == "maximize"
            bound = f"the {'minimum' if is_least else 'maximum'} of {numbers.score(self.min)}"
            if case.oriented(case.mean - self.min) >= -ROUNDING * max(1.0, abs(self.min)):
                yield Clause("passed", f"the mean of {numbers.score(case.mean)} keeps {bound}")
            else:
                where = "below" if is_least else "above"
                yield Clause("failed", f"the mean of {numbers.score(case.mean)} is {where} {bound}")


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
        clauses = list(self.checks(case))
        figures = case.name if case.metric is None else figures_of(case.metric)
        return MetricCheck(
            name=case.name,
            status=worst([clause.status for clause in clauses]),
            reason=f"{figures}: {'; '.join(clause.text for clause in clauses)}",
            examples_needed=next((n for clause in clauses if (n := clause.examples_needed) is not None), None),
        )

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
