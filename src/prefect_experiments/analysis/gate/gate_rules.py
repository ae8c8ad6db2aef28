"""The rules of a gate: each a class with its field, its check and its sentences; and `Gate`, which is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, field_validator

from prefect_experiments.analysis.comparison.said import said_of_evaluator
from prefect_experiments.analysis.gate.case import Better, Case, LabelCase
from prefect_experiments.analysis.gate.likeness import all_left_out, label_check, likeness_checks, unasked_checks
from prefect_experiments.analysis.gate.metric_rules import Metric, p_text, worst
from prefect_experiments.analysis.gate.rule import Rule, shown, written_rules
from prefect_experiments.analysis.verdicts import Comparison, MetricCheck, Side, Verdict
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.options import AsIs

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.analysis.results import ResultTable

OnInconclusive = Literal["fail", "pass"]

# What is enough where the gate does not say so.
_COVERAGE = 0.9
_ERROR_RATE = 0.5


def _check(name: str, reason: str, *, failed: bool = False) -> MetricCheck:
    return MetricCheck(name=name, status="failed" if failed else "passed", reason=reason)


class Metrics(Rule):
    """What is asked of each metric; what cannot be judged fails."""

    metrics: Annotated[Mapping[str, Metric | Mapping[str, Any] | None], AsIs] = {}
    """What is asked of which metric, by its name. Without any, every metric that both sides have must not be worse,
    except those of which neither more nor less is better."""

    @field_validator("metrics", mode="plain")
    @classmethod
    def _parsed(cls, given: Any) -> dict[str, Metric]:
        metrics = {} if given is None else given
        if not isinstance(metrics, Mapping):
            raise InvalidSetting(f"Gate.metrics must be a mapping of name to Metric, got {shown(metrics)}")
        for name in metrics:
            if not isinstance(name, str) or not name:
                raise InvalidSetting(f"Gate.metrics: a metric's name must be a text, got {name!r}")
        return {name: Metric.parse(rule, name) for name, rule in metrics.items()}

    @property
    def rules(self) -> dict[str, Metric]:
        """`metrics`, each of them a `Metric`."""
        return cast("dict[str, Metric]", self.metrics)

    @property
    def positive(self) -> dict[str, tuple[str, ...]]:
        """The metrics whose labels are scored, with the good ones."""
        return {name: rule.good for name, rule in self.rules.items() if rule.good}

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """That there is something to judge by, and each metric."""
        nothing_left = all_left_out(case.comparison)
        if case.comparison is not None and not case.comparison.n_pairs and not nothing_left:
            yield _check("examples", _no_shared_example(case.comparison), failed=True)
        if not case.metrics and not case.labels and not nothing_left:
            yield _check("metrics", _no_metric(case), failed=True)
        for name, metric in case.metrics.items():
            if nothing_left:
                reason = f"{name} cannot be compared: every example that both sides ran has changed"
                yield MetricCheck(name=name, status="inconclusive", reason=reason)
            elif metric.mean is None:
                yield _check(name, _no_scores(name, case), failed=True)
            else:
                yield self.rules.get(name, Metric()).judge(metric)
        for name, labels in case.labels.items():
            yield label_check(labels, self.rules.get(name, Metric()), _why_not(labels, case.comparison))


class MaxErrorRate(Rule):
    """The task must not fail too often, nor on significantly more examples than the baseline's."""

    called: ClassVar[str] = "error rate"

    max_error_rate: Annotated[float | None, Field(ge=0, le=1)] = None
    """The largest share of runs whose task may fail. Without it, half of them; the comparison with the baseline's
    failures is made either way."""

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """The share of failed runs by itself, and beside the baseline's."""
        if self.max_error_rate is None:
            most, bound = _ERROR_RATE, f"{_percent(_ERROR_RATE)} of the candidate's"
        else:
            most, bound = self.max_error_rate, f"the allowed {_percent(self.max_error_rate)}"
        side = case.candidate
        reason = f"{side.n_errors:,} of {side.n_runs:,} runs failed"
        if case.baseline is not None:
            reason += f", {case.baseline.n_errors:,} of {case.baseline.n_runs:,} in the baseline"
        if is_more := side.n_errors / side.n_runs > most:
            reason += f": more than {bound}"
        if case.p_lost is not None:
            reason += (
                f"; {case.n_lost:,} examples failed or are missing in the candidate only, {case.n_gained:,} in the "
                f"baseline only: significantly more ({p_text(case.p_lost)})"
            )
        yield _check(self.called, reason, failed=is_more or case.p_lost is not None)


class MinCoverage(Rule):
    """There must be enough runs and enough scores to judge by, on both sides."""

    called: ClassVar[str] = "coverage"

    min_coverage: Annotated[float | None, Field(ge=0, le=1)] = None
    """The smallest share of the examples that must have a score: of those that the baseline scored and the candidate
    should have run, without a baseline of all; also of the runs that must have been made. Without it 0.9, and every
    missing score counts as the worst one; with it, only those do that are missing because of an error."""

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """The baseline's runs, else the candidate's runs and its scores of each metric."""
        least = _COVERAGE if self.min_coverage is None else self.min_coverage
        side, before = case.candidate, case.baseline
        if before is not None and before.n_runs < least * before.n_expected:
            why = f"the baseline is not complete ({_made(before)}); finish it with resume, or name another"
            yield _check(self.called, why, failed=True)
            return
        of_what = "examples" if before is None else "examples that the baseline scored"
        counts = {name: metric.coverage for name, metric in case.metrics.items() if metric.coverage is not None}
        low = [_made(side)] if side.n_runs < least * side.n_expected else []
        for name, (n, expected) in counts.items():
            n_errors = side.metrics[name].n_errors if name in side.metrics else 0
            if n < least * expected:
                low.append(f"{name} has a score on {n:,} of {expected:,} {of_what}")
            elif 2 * n_errors > side.n_runs:
                low.append(f"{name} has no score on {n_errors:,} of {side.n_runs:,} runs because of errors")
        scores = ", ".join(f"{name} {n:,} of {expected:,}" for name, (n, expected) in counts.items())
        reason = f"scores on {of_what}: {scores or 'none asked for'}"
        if low:
            reason = f"too little to judge by: {'; '.join(low)}; at least {_percent(least)} is needed"
        yield _check(self.called, reason, failed=bool(low))


class MaxP95Latency(Rule):
    """The slowest runs must not be too slow."""

    called: ClassVar[str] = "p95 latency"

    max_p95_latency: Annotated[float | None, Field(ge=0)] = None
    """The largest 95th percentile of the ok runs' latency, in milliseconds. An unknown one fails, too."""

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """Beside the bound, where there is one."""
        if self.max_p95_latency is not None:
            found, bound = case.candidate.latency_p95_ms, self.max_p95_latency
            said, allowed = "the p95 latency is {:,.0f} ms", "{:,g} ms"
            yield _at_most(self.called, found, said, bound, allowed, case.candidate.n_latencies, case.candidate)


class MaxCost(Rule):
    """The experiment must not cost too much."""

    called: ClassVar[str] = "cost"

    max_cost: Annotated[float | None, Field(ge=0)] = None
    """What the whole experiment may cost, failed runs included, in US dollars. An unknown cost fails, too."""

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """Beside the bound, where there is one."""
        if self.max_cost is not None:
            found, bound = case.candidate.total_cost, self.max_cost
            said, allowed = "the cost is ${:,.4g}", "${:,g}"
            yield _at_most(self.called, found, said, bound, allowed, case.candidate.n_costs, case.candidate)


def _at_most(
    called: str, value: float | None, said: str, bound: float, allowed: str, n_known: int, side: Side
) -> MetricCheck:
    """The check of a figure that has a bound: it has to be known, and of enough of the ok runs."""
    most, n_ok = allowed.format(bound), side.n_runs - side.n_errors
    if value is None:
        return _check(called, f"the {called} is not known, and at most {most} is allowed", failed=True)
    text = said.format(value)
    if value > bound:
        return _check(called, f"{text}, more than the allowed {most}", failed=True)
    if n_known < _COVERAGE * n_ok:
        why = f"{text} over the {n_known:,} of {n_ok:,} ok runs of which it is known, too few for a bound"
        return _check(called, why, failed=True)
    return _check(called, f"{text}, within the allowed {most}")


# The last base's field comes first, and so does its check here.
class Gate(MaxCost, MaxP95Latency, MinCoverage, MaxErrorRate, Metrics):
    """The rules that turn a comparison into a verdict; the verdict is the worst of them.

    Each is a class of its own, with its field, its check and its sentences; to add one, write such a class and name it
    among the bases here.

    Of each metric a gate asks only whether it is worse, so the test is one-sided, Holm-corrected over the gate's
    metrics; a single metric has to be worse by the two-sided test as well, so that its interval agrees. An equal
    candidate fails in at most ``1 - confidence`` of all comparisons. (The verdicts in `Comparison.metrics` ask two
    questions, better or worse, of all metrics of all candidates; so they may say ``unchanged`` of what the gate has
    found worse.)

    It fails closed. Failed are: a metric that one side lacks, no scores, no shared metric or example, too few scores,
    most runs or scores lost to errors, and a candidate that is worse when the scores that it lacks, and those that the
    baseline lacks, are counted as the worst score (see `WorstCase`), or whose task fails on significantly more
    examples. These last tests are one-sided at ``(1 - confidence) / 2``, Holm-corrected among themselves.

    Raises:
        InvalidSetting: a value that cannot be used.
    """

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of intervals and tests: with 0.95, an equally good candidate fails in at most 5 of 100 comparisons."""

    on_inconclusive: OnInconclusive = "fail"
    """What becomes of an inconclusive verdict: with pass it lets the candidate through (exit code 0)."""

    @classmethod
    def parse(cls, value: Any) -> Gate:
        """A `Gate` from what a deployment or a command line gives.

        Args:
            value: a `Gate`; a mapping of its attributes; the path of a ``.yaml``, ``.yml`` or
                ``.json`` file of them; or such YAML or JSON as text.

        Raises:
            InvalidSetting: no such file, not YAML or JSON, an unknown key, or a value that cannot be used.
        """
        return value if isinstance(value, Gate) else cls.from_mapping(*written_rules(value))

    def judge(self, comparison: Comparison) -> Verdict:
        """The verdict on a candidate beside its baseline.

        Args:
            comparison: made with this gate's confidence and directions, as `compare_results` does
                when it is given the gate.

        Raises:
            InvalidSetting: the comparison was made with another confidence, or with another
                direction of one of the gate's metrics.
        """
        _refuse_another(self, comparison)
        missing_count = self.min_coverage is None
        case = Case.beside(comparison, self._directions, confidence=self.confidence, missing_count=missing_count)
        least = _COVERAGE if self.min_coverage is None else self.min_coverage
        checks = [*self.checks(case), *([] if self.rules else _unchecked(comparison, case))]
        notes = [*likeness_checks(comparison, least), *unasked_checks(case, self.rules)]
        return self._verdict(checks, *notes)

    def judge_alone(
        self,
        candidate: ResultTable,
        experiment_evaluators: Mapping[str, Callable[[pd.DataFrame], float]] | None = None,
    ) -> Verdict:
        """The verdict on a first run, which has no baseline.

        Checks what needs none; one of the reasons says so, and what that is.

        Args:
            candidate: its results.
            experiment_evaluators: functions over the whole table of runs, by the metric's name.

        Raises:
            InvalidEvaluator: an experiment evaluator raised, or returned something else than a number.
        """
        case = Case.alone(candidate.with_positive(self.positive), self._directions, experiment_evaluators or {})
        names = [rule.called for rule in (*Metric.made_of(), *self.made_of()) if rule.called]
        said = f"there was no baseline to compare with: only {', '.join(names[:-1])} and {names[-1]} were checked"
        return self._verdict([*self.checks(case)], *unasked_checks(case, self.rules), _check("baseline", said))

    @property
    def _directions(self) -> dict[str, Better | None]:
        return {name: rule.direction for name, rule in self.rules.items()}

    def _verdict(self, checks: Sequence[MetricCheck], *notes: MetricCheck) -> Verdict:
        status = worst([check.status for check in (*checks, *notes)])
        said = [check for check in checks if status == "passed" or check.status != "passed"]
        lets_through = status == "passed" or (status == "inconclusive" and self.on_inconclusive == "pass")
        return Verdict(
            status=status,
            reasons=tuple(check.reason for check in (*said, *notes)),
            checks=(*checks, *notes),
            exit_code=0 if lets_through else 1,
        )


def _why_not(labels: LabelCase, comparison: Comparison | None) -> str | None:
    """Why labels cannot be compared: their evaluator is not the same, or nothing is left to compare."""
    found = labels.labels
    if comparison is None or found is None:
        return None
    if found.evaluator_change is not None:
        return f"{found.name} {said_of_evaluator(found.evaluator_change, comparison)}"
    if all_left_out(comparison):
        return f"{found.name} cannot be compared: every example that both sides ran has changed"
    return None


def _refuse_another(gate: Gate, comparison: Comparison) -> None:
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


def _unchecked(comparison: Comparison, case: Case) -> Iterator[MetricCheck]:
    """What is left to say of the metrics that a gate without rules does not check."""
    neutral = [name for name, metric in comparison.metrics.items() if metric.direction == "neutral"]
    lacking = [name for name in comparison.baseline.metrics if name not in (*case.metrics, *neutral)]
    for names, why in ((lacking, "the candidate does not have it"), (neutral, "neither more nor less of it is better")):
        if names:
            yield _check("metrics", f"not checked, because {why}: {', '.join(names)}")


def _no_shared_example(comparison: Comparison) -> str:
    before, after = comparison.only_in_baseline[:3], comparison.only_in_candidate[:3]
    why = f". {comparison.why_unpaired}" if comparison.why_unpaired else ""
    return (
        f"{comparison.baseline.label} and {comparison.candidate.label} share no example; their example ids are such as "
        f"{', '.join(map(repr, before))} and {', '.join(map(repr, after))}{why}"
    )


def _no_metric(case: Case) -> str:
    if case.baseline is None:
        return f"{case.candidate.label} has no metric, so there is nothing to judge by"
    parts = []
    for side in (case.baseline, case.candidate):
        names = ", ".join(side.metrics) or "no metric"
        labels = f" (and labels without scores of {', '.join(side.labels_only)})" if side.labels_only else ""
        parts.append(f"{side.label} has {names}{labels}")
    return f"there is no metric that both sides have scores of: {', '.join(parts)}"


def _no_scores(name: str, case: Case) -> str:
    """Why there is nothing to judge a metric by."""
    sides = [side for side in (case.baseline, case.candidate) if side is not None]
    if not any(name in side.metrics or name in side.labels_only for side in sides):
        if name not in case.known:
            return unknown_value("metric", name, list(case.known))
        return f"{name} cannot be judged: the sides share no example"  # an experiment evaluator
    reasons = []
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


def _made(side: Side) -> str:
    return f"{side.n_runs:,} of {side.n_expected:,} runs were made"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
