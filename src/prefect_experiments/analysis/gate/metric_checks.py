"""How a gate judges one metric, and says so in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.paired import examples_to_exclude, holm, mcnemar_p_value
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.verdicts import Comparison, MetricCheck, MetricComparison, Side, Status, WorstCase
from prefect_experiments.errors import unknown_value

ERROR_RATE = "error rate"

_WORST_FIRST: tuple[Status, ...] = ("failed", "inconclusive", "passed")
# A mean of 0.8 that floats make 0.7999999999999999 of reaches a minimum of 0.8.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The tests that a gate fails a candidate by, adjusted; at most `alpha` says worse.

    Two families, each adjusted by Holm's method. `worse`: the gate's metrics on the pairs with
    both scores. `hidden`: what these pairs do not show, task errors and missing scores. Only
    "worse" counts against a candidate, so an equal one fails by the first in at most `alpha` of
    all cases. The second is two-sided, of which one side counts: it adds little to that.

    Attributes:
        worse: one-sided p-values by metric, adjusted; never below the metric's own two-sided one,
            so that the metric's interval agrees.
        hidden: two-sided p-values, adjusted, 1 where the candidate is not worse; by metric, for
            those with missing scores, and ``error rate``.
        filled: by metric, the comparison with missing scores counted as the worst.
        units: by metric, what its differences are written in.
        n_lost, n_gained: examples whose task failed on the candidate only, and on the baseline only.
    """

    alpha: float
    confidence: float
    worse: Mapping[str, float]
    hidden: Mapping[str, float]
    filled: Mapping[str, WorstCase]
    units: Mapping[str, numbers.Unit]
    n_lost: int
    n_gained: int

    @classmethod
    def of(cls, gate: Gate, comparison: Comparison, rules: Mapping[str, Metric]) -> Evidence:
        """The evidence that a comparison has on these metrics."""
        worse, hidden, filled, plain, units = {}, {}, {}, {}, {}
        for name, rule in rules.items():
            metric = comparison.metrics.get(name)
            if metric is None or metric.p_value is None or metric.difference is None:
                continue
            plain[name] = metric.p_value
            units[name] = unit_of(metric)
            is_lower = oriented(metric.difference, rule) < 0
            worse[name] = metric.p_value / 2 if is_lower else 1 - metric.p_value / 2
            case = metric.missing_as_worst if gate.min_coverage is None else metric.errors_as_worst
            if case is not None and case.n_candidate:
                filled[name] = case
                hidden[name] = case.p_value if oriented(case.difference, rule) < 0 else 1.0
        failures = comparison.failures
        n_lost = failures.candidate_only + (failures.candidate_absent if gate.min_coverage is None else 0)
        n_gained = failures.baseline_only
        hidden[ERROR_RATE] = mcnemar_p_value(n_lost, n_gained) if n_lost > n_gained else 1.0
        return cls(
            alpha=1 - gate.confidence + _ROUNDING,
            confidence=gate.confidence,
            worse={name: max(p, plain[name]) for name, p in _adjusted(worse).items()},
            hidden=_adjusted(hidden),
            filled=filled,
            units=units,
            n_lost=n_lost,
            n_gained=n_gained,
        )

    def is_worse(self, name: str) -> bool:
        """Whether the candidate is significantly worse on the pairs with both scores."""
        return self.worse[name] <= self.alpha

    def is_worse_hidden(self, name: str) -> bool:
        """Whether it is with errors or missing scores counted."""
        return self.hidden.get(name, 1.0) <= self.alpha


def metric_check(name: str, rule: Metric, comparison: Comparison, evidence: Evidence) -> MetricCheck:
    """What the gate says of one metric."""
    metric = comparison.metrics.get(name)
    if metric is None or metric.difference is None:
        sides = [comparison.baseline, comparison.candidate]
        return MetricCheck(name=name, status="failed", reason=no_scores(name, sides, list(comparison.metrics)))
    needed = None
    if rule.max_regression is None:
        status, clause = _superiority(name, rule, metric, evidence)
    else:
        status, clause = _non_inferiority(name, rule, metric, evidence)
        if status == "inconclusive" and (needed := _examples_needed(rule, metric, evidence)) is not None:
            clause += f"; about {needed:,} pairs are needed to tell"
    hidden_status, hidden_clause = _hidden(name, rule, evidence)
    alone = comparison.candidate.metrics.get(name)
    mean = metric.candidate_mean if alone is None else alone.mean
    min_status, min_clause = minimum(rule, mean)
    return MetricCheck(
        name=name,
        status=worst([status, hidden_status, min_status]),
        reason=f"{figures(name, metric)}: {'; '.join(filter(None, (clause, hidden_clause, min_clause)))}",
        examples_needed=needed,
    )


def _superiority(name: str, rule: Metric, metric: MetricComparison, evidence: Evidence) -> tuple[Status, str]:
    assert metric.difference is not None
    if evidence.is_worse(name):
        return "failed", f"significantly worse ({p_text(evidence.worse[name])})"
    clause = "not worse"
    if oriented(metric.difference, rule) < 0:
        clause = f"not significantly worse ({p_text(evidence.worse[name])})"
    if 2 * 0.5**metric.n_pairs > evidence.alpha:  # the smallest p-value that so many pairs can give
        clause += "; too few pairs to show any regression"
    return "passed", clause


def _non_inferiority(name: str, rule: Metric, metric: MetricComparison, evidence: Evidence) -> tuple[Status, str]:
    allowed = f"the allowed regression of {numbers.plain(rule.max_regression)}"
    if _within(rule, metric.ci_low, metric.ci_high):
        return "passed", f"within {allowed}"
    if evidence.is_worse(name):
        return "failed", f"significantly worse ({p_text(evidence.worse[name])}) and not shown to be within {allowed}"
    return "inconclusive", f"not shown to be within {allowed}"


def _hidden(name: str, rule: Metric, evidence: Evidence) -> tuple[Status, str]:
    case = evidence.filled.get(name)
    if case is None:
        return "passed", ""
    change = numbers.change(case.difference, case.ci_low, case.ci_high, evidence.units[name])
    clause = f"with missing scores counted as the worst ({case.n_candidate} of the candidate's) {change}"
    if rule.max_regression is not None and _within(rule, case.ci_low, case.ci_high):
        return "passed", clause
    if evidence.is_worse_hidden(name):
        return "failed", f"{clause}, significantly worse ({p_text(evidence.hidden[name])})"
    if rule.max_regression is not None:
        return "inconclusive", f"{clause}, not shown to be within the allowed regression"
    return "passed", clause


def minimum(rule: Metric, mean: float | None) -> tuple[Status, str]:
    """Whether a mean reaches `Metric.min`, and a clause that says so; none without a minimum."""
    if rule.min is None:
        return "passed", ""
    up = rule.direction == "maximize"
    bound = f"the {'minimum' if up else 'maximum'} of {numbers.score(rule.min)}"
    if mean is not None and (mean - rule.min if up else rule.min - mean) >= -_ROUNDING * max(1.0, abs(rule.min)):
        return "passed", f"the mean of {numbers.score(mean)} keeps {bound}"
    return "failed", f"the mean of {numbers.score(mean)} is {'below' if up else 'above'} {bound}"


def _within(rule: Metric, ci_low: float | None, ci_high: float | None) -> bool:
    """Whether the whole interval lies on the good side of the allowed regression."""
    if ci_low is None or ci_high is None or rule.max_regression is None:
        return False
    return (ci_low if rule.direction == "maximize" else -ci_high) > -rule.max_regression


def _examples_needed(rule: Metric, metric: MetricComparison, evidence: Evidence) -> int | None:
    """Pairs to show either that the regression is within the allowed one, or that there is one."""
    if metric.difference is None or metric.ci_low is None or metric.ci_high is None or rule.max_regression is None:
        return None
    difference = oriented(metric.difference, rule)
    to_pass = examples_to_exclude(
        difference + rule.max_regression,
        metric.sd_difference,
        (metric.ci_high - metric.ci_low) / 2,
        metric.n_pairs,
        confidence=evidence.confidence,
    )
    to_fail = metric.examples_needed if difference < 0 else None
    return min((n for n in (to_pass, to_fail) if n is not None), default=None)


def no_scores(name: str, sides: Sequence[Side], known: Sequence[str]) -> str:
    """Why there is nothing to judge a metric by."""
    if name not in known and not any(name in side.labels_only for side in sides):
        return unknown_value("metric", name, list(known))
    reasons = []
    if not any(name in side.metrics or name in side.labels_only for side in sides):  # an experiment evaluator
        return f"{name} cannot be judged: the sides share no example"
    for side in sides:
        found = side.metrics.get(name)
        if name in side.labels_only:
            reasons.append(f"{side.label} has labels of it and no scores")
        elif found is None:
            reasons.append(f"{side.label} does not have it")
        elif not found.n_scores:
            errors = f" ({found.n_errors} errors)" if found.n_errors else ""
            reasons.append(f"{side.label} has no score of it in {side.n_runs} runs{errors}")
    return f"{name} cannot be judged: {', '.join(reasons) or 'no example has a score of it on both sides'}"


def figures(name: str, metric: MetricComparison) -> str:
    """Such as ``correctness 0.84, -3 points [-6, -1] against 0.87 on 400 pairs; 8 improved, 21 regressed``."""
    unit = unit_of(metric)
    note = " (less is better)" if metric.direction == "minimize" else ""
    text = (
        f"{name}{note} {numbers.value(metric.candidate_mean, unit)}, "
        f"{numbers.change(metric.difference, metric.ci_low, metric.ci_high, unit)} "
        f"against {numbers.value(metric.baseline_mean, unit)} on {numbers.count(metric.n_pairs, 'pair')}"
    )
    if metric.wins or metric.losses or metric.ties:
        text += f"; {metric.wins:,} improved, {metric.losses:,} regressed"
    return text


def unit_of(metric: MetricComparison) -> numbers.Unit:
    """What a metric's differences are written in."""
    return numbers.unit_of(metric.baseline_mean, metric.candidate_mean)


def p_text(p_value: float) -> str:
    """Such as ``adjusted p = 0.02``."""
    if p_value < 0.001:
        return "adjusted p < 0.001"
    # Rounded, 0.0501 would seem to be what it just is not.
    return f"adjusted p = {p_value:.2f}" if p_value >= 0.06 else f"adjusted p = {p_value:.2g}"


def oriented(difference: float, rule: Metric) -> float:
    """The difference with worse below 0."""
    return difference if rule.direction == "maximize" else -difference


def worst(statuses: Sequence[Status]) -> Status:
    """The worst of the statuses; passed of none."""
    return next((status for status in _WORST_FIRST if status in statuses), "passed")


def _adjusted(p_values: Mapping[str, float]) -> dict[str, float]:
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))
