"""How a gate judges: one check for each metric and for each other rule, with the figures in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prefect_experiments.analysis.comparison.corpus import corpus_value
from prefect_experiments.analysis.directions import agreed, unclear
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.gate.metric_checks import (
    ERROR_RATE,
    Evidence,
    metric_check,
    minimum,
    no_scores,
    p_text,
    worst,
)
from prefect_experiments.analysis.verdicts import Comparison, MetricCheck, Side, Status, Verdict
from prefect_experiments.errors import InvalidSetting

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.analysis.results import ResultTable

DEFAULT_MIN_COVERAGE = 0.9
DEFAULT_MAX_ERROR_RATE = 0.5

_NO_BASELINE = (
    "there was no baseline to compare with: only minimum, error rate, coverage, latency and cost were checked"
)


def judge(gate: Gate, comparison: Comparison) -> Verdict:
    """See `Gate.judge`."""
    _check_fit(gate, comparison)
    rules = _settled(gate, comparison) or _shared(comparison)
    checks = []
    if not comparison.n_pairs:
        checks.append(_failed("examples", _no_shared_example(comparison)))
    if not rules:
        checks.append(_failed("metrics", _no_shared_metric(comparison)))
    evidence = Evidence.of(gate, comparison, rules)
    checks += [metric_check(name, rule, comparison, evidence) for name, rule in rules.items()]
    checks.append(_error_check(gate, comparison.candidate, comparison.baseline, evidence))
    found = {
        name: (metric.n_pairs, metric.n_baseline_scored)
        for name in rules
        if (metric := comparison.metrics.get(name)) is not None
    }
    coverage = _coverage_check(gate, comparison.candidate, found, "examples that the baseline scored")
    checks.append(_baseline_check(gate, comparison.baseline) or coverage)
    checks += _operation_checks(gate, comparison.candidate)
    return _verdict(gate, [*checks, *([] if gate.rules else _unchecked(comparison, rules))])


def judge_alone(
    gate: Gate, candidate: ResultTable, experiment_evaluators: Mapping[str, Callable[[pd.DataFrame], float]]
) -> Verdict:
    """See `Gate.judge_alone`."""
    side = candidate.side()
    means = {name: metric.mean for name, metric in side.metrics.items()}
    for name, function in experiment_evaluators.items():
        means[name] = corpus_value(name, function, candidate.frame)
    rules = gate.rules or {name: Metric() for name in means}
    said = candidate.directions
    checks = [] if rules else [_failed("metrics", f"{side.label} has no metric, so there is nothing to judge by")]
    for name, rule in rules.items():
        mean = means.get(name)
        if mean is None:
            checks.append(_failed(name, no_scores(name, [side], list(means))))
            continue
        if rule.direction is None and rule.min is not None and unclear(said.get(name, ())):
            ways = f"{'both ' if len(said[name]) > 1 else ''}{' and '.join(said[name])}"
            checks.append(_failed(name, f"{name}: its evaluations say {ways}; say which in the gate's direction"))
            continue
        status, clause = minimum(rule.settled(agreed(said).get(name)), mean)
        reason = f"{name}: {clause or f'the mean is {mean:.4g}, and no minimum is set'}"
        checks.append(MetricCheck(name=name, status=status, reason=reason))
    found = {name: (side.metrics[name].n_examples, side.n_examples) for name in rules if name in side.metrics}
    checks.append(_error_check(gate, side))
    checks.append(_coverage_check(gate, side, found, "examples"))
    checks += _operation_checks(gate, side)
    verdict = _verdict(gate, checks)
    note = MetricCheck(name="baseline", status="passed", reason=_NO_BASELINE)
    return Verdict(
        status=verdict.status,
        reasons=(*verdict.reasons, _NO_BASELINE),
        checks=(*verdict.checks, note),
        exit_code=verdict.exit_code,
    )


def _verdict(gate: Gate, checks: Sequence[MetricCheck]) -> Verdict:
    status = worst([check.status for check in checks])
    reasons = tuple(check.reason for check in checks if status == "passed" or check.status != "passed")
    lets_through = status == "passed" or (status == "inconclusive" and gate.on_inconclusive == "pass")
    return Verdict(status=status, reasons=reasons, checks=tuple(checks), exit_code=0 if lets_through else 1)


def _failed(name: str, reason: str) -> MetricCheck:
    return MetricCheck(name=name, status="failed", reason=reason)


def _check_fit(gate: Gate, comparison: Comparison) -> None:
    if comparison.confidence != gate.confidence:
        raise InvalidSetting(
            f"the comparison was made with confidence {comparison.confidence:g}, and the gate has "
            f"{gate.confidence:g}; give the gate to the comparison, or both the same confidence"
        )
    for name, rule in gate.rules.items():
        metric = comparison.metrics.get(name)
        if metric is not None and rule.direction and metric.direction != rule.direction:
            raise InvalidSetting(
                f"the comparison was made with {name!r} as something to {metric.direction}, and the gate says "
                f"{rule.direction}; give the gate to the comparison, or the same to directions="
            )


def _settled(gate: Gate, comparison: Comparison) -> dict[str, Metric]:
    """The gate's rules, with the directions that the comparison was made with."""
    metrics = comparison.metrics
    return {
        name: rule.settled(metrics[name].direction if name in metrics else None) for name, rule in gate.rules.items()
    }


def _shared(comparison: Comparison) -> dict[str, Metric]:
    """All metrics that the baseline has scores of and that the candidate knows, and that have a better side."""
    found = {}
    for name, metric in comparison.metrics.items():
        if metric.direction == "neutral":
            continue
        before = comparison.baseline.metrics.get(name)
        known = name in comparison.candidate.metrics or name in comparison.candidate.labels_only
        if metric.n_pairs or (before is not None and before.n_scores and known):
            found[name] = Metric(direction=metric.direction)
    return found


def _unchecked(comparison: Comparison, rules: Mapping[str, Metric]) -> Iterator[MetricCheck]:
    """What is to be said of the metrics that a gate without rules does not check."""
    neutral = [name for name, metric in comparison.metrics.items() if metric.direction == "neutral"]
    lacking = [name for name in comparison.baseline.metrics if name not in (*rules, *neutral)]
    for names, why in ((lacking, "the candidate does not have it"), (neutral, "neither more nor less of it is better")):
        if names:
            reason = f"not checked, because {why}: {', '.join(names)}"
            yield MetricCheck(name="metrics", status="passed", reason=reason)


def _no_shared_example(comparison: Comparison) -> str:
    before, after = comparison.only_in_baseline[:3], comparison.only_in_candidate[:3]
    why = f". {comparison.why_unpaired}" if comparison.why_unpaired else ""
    return (
        f"{comparison.baseline.label} and {comparison.candidate.label} share no example; their example ids are such as "
        f"{', '.join(map(repr, before))} and {', '.join(map(repr, after))}{why}"
    )


def _no_shared_metric(comparison: Comparison) -> str:
    parts = []
    for side in (comparison.baseline, comparison.candidate):
        names = ", ".join(side.metrics) or "no metric"
        labels = f" (and labels without scores of {', '.join(side.labels_only)})" if side.labels_only else ""
        parts.append(f"{side.label} has {names}{labels}")
    return f"there is no metric that both sides have scores of: {', '.join(parts)}"


def _error_check(
    gate: Gate, candidate: Side, baseline: Side | None = None, evidence: Evidence | None = None
) -> MetricCheck:
    """The share of failed runs by itself, and beside the baseline's."""
    status: Status = "passed"
    rate = candidate.n_errors / candidate.n_runs
    reason = f"{candidate.n_errors:,} of {candidate.n_runs:,} runs failed"
    if baseline is not None:
        reason += f", {baseline.n_errors:,} of {baseline.n_runs:,} in the baseline"
    if gate.max_error_rate is not None and rate > gate.max_error_rate:
        status, reason = "failed", f"{reason}: more than the allowed {_percent(gate.max_error_rate)}"
    elif gate.max_error_rate is None and rate > DEFAULT_MAX_ERROR_RATE:
        status, reason = "failed", f"{reason}: more than {_percent(DEFAULT_MAX_ERROR_RATE)} of the candidate's"
    if evidence is not None and evidence.is_worse_hidden(ERROR_RATE):
        status = "failed"
        reason += (
            f"; {evidence.n_lost:,} examples failed or are missing in the candidate only, {evidence.n_gained:,} in the "
            f"baseline only: significantly more ({p_text(evidence.hidden[ERROR_RATE])})"
        )
    return MetricCheck(name=ERROR_RATE, status=status, reason=reason)


def _baseline_check(gate: Gate, baseline: Side) -> MetricCheck | None:
    """A failed check where the baseline itself made too few of its runs to be one; else ``None``."""
    least = DEFAULT_MIN_COVERAGE if gate.min_coverage is None else gate.min_coverage
    if baseline.n_runs >= least * baseline.n_expected:
        return None
    made = f"{baseline.n_runs:,} of {baseline.n_expected:,} runs were made"
    return _failed("coverage", f"the baseline is not complete ({made}); finish it with resume, or name another")


def _coverage_check(gate: Gate, side: Side, found: Mapping[str, tuple[int, int]], of_what: str) -> MetricCheck:
    """Whether there are enough runs and enough scores.

    Args:
        gate: has `min_coverage`.
        side: the candidate.
        found: by metric, examples with a score and examples that should have one.
        of_what: what the latter are called.
    """
    least = DEFAULT_MIN_COVERAGE if gate.min_coverage is None else gate.min_coverage
    low = []
    if side.n_runs < least * side.n_expected:
        low.append(f"{side.n_runs:,} of {side.n_expected:,} runs were made")
    for name, (n, expected) in found.items():
        metric = side.metrics.get(name)
        if n < least * expected:
            low.append(f"{name} has a score on {n:,} of {expected:,} {of_what}")
        elif metric is not None and 2 * metric.n_errors > side.n_runs:
            low.append(f"{name} has no score on {metric.n_errors:,} of {side.n_runs:,} runs because of errors")
    if low:
        return _failed("coverage", f"too little to judge by: {'; '.join(low)}; at least {_percent(least)} is needed")
    scores = ", ".join(f"{name} {n:,} of {expected:,}" for name, (n, expected) in found.items())
    return MetricCheck(name="coverage", status="passed", reason=f"scores on {of_what}: {scores or 'none asked for'}")


def _operation_checks(gate: Gate, side: Side) -> list[MetricCheck]:
    """Latency and cost; unknown ones fail where there is a bound."""
    checks = []
    n_ok = side.n_runs - side.n_errors
    if (bound := gate.max_p95_latency) is not None:
        text = "" if side.latency_p95_ms is None else f"the p95 latency is {side.latency_p95_ms:,.0f} ms"
        checks.append(
            _bounded("p95 latency", side.latency_p95_ms, bound, f"{bound:,g} ms", text, side.n_latencies, n_ok)
        )
    if (bound := gate.max_cost) is not None:
        text = "" if side.total_cost is None else f"the cost is ${side.total_cost:,.4g}"
        checks.append(_bounded("cost", side.total_cost, bound, f"${bound:,g}", text, side.n_costs, n_ok))
    return checks


def _bounded(name: str, value: float | None, bound: float, allowed: str, text: str, n: int, n_ok: int) -> MetricCheck:
    if value is None:
        return _failed(name, f"the {name} is not known, and at most {allowed} is allowed")
    if value > bound:
        return _failed(name, f"{text}, more than the allowed {allowed}")
    if n < DEFAULT_MIN_COVERAGE * n_ok:
        return _failed(name, f"{text} over the {n:,} of {n_ok:,} ok runs of which it is known, too few for a bound")
    return MetricCheck(name=name, status="passed", reason=f"{text}, within the allowed {allowed}")


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
