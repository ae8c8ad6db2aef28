"""The rules of a gate: each a class with its field, its check and its sentences; and `Gate`, which is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import Field, field_validator

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison.said import said_of_evaluator
from prefect_experiments.analysis.gate.alarm_rule import Alarms
from prefect_experiments.analysis.gate.case import ROUNDING, Better, Bounds, Case, LabelCase
from prefect_experiments.analysis.gate.clause import worst
from prefect_experiments.analysis.gate.family import Family, Test
from prefect_experiments.analysis.gate.floor import floor_checks
from prefect_experiments.analysis.gate.likeness import (
    all_left_out,
    label_check,
    likeness_checks,
    nothing_left,
    shifted_labels,
    unasked_checks,
)
from prefect_experiments.analysis.gate.metric_rules import Metric, is_beyond, plain_check
from prefect_experiments.analysis.gate.operation_rules import MaxCost, MaxP95Latency, Operations
from prefect_experiments.analysis.gate.pass_rule import PassThreshold
from prefect_experiments.analysis.gate.pending import said_once
from prefect_experiments.analysis.gate.required_rule import RequiredExamples
from prefect_experiments.analysis.gate.rule import Rule, as_mapping, written_rules
from prefect_experiments.analysis.gate.run_rules import MaxErrorRate, MinCoverage
from prefect_experiments.analysis.gate.slice_rule import SliceRule, slices_to_come, unjudged_slices
from prefect_experiments.analysis.passing import passing_of
from prefect_experiments.analysis.required import required_of
from prefect_experiments.analysis.verdicts import NO_BASELINE, Comparison, MetricCheck, Side, Verdict
from prefect_experiments.display import some
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.options import AsIs

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.analysis.results import ResultTable

OnInconclusive = Literal["fail", "pass"]


class Metrics(Rule):
    """What is asked of each metric; what cannot be judged fails."""

    metrics: Annotated[Mapping[str, Metric | Mapping[str, Any] | None], AsIs] = {}
    """What is asked of which metric, by its name. Without any, every metric that both sides have must not be worse,
    except those of which neither more nor less is better."""

    @field_validator("metrics", mode="plain")
    @classmethod
    def _parsed(cls, given: Any) -> dict[str, Metric]:
        metrics = as_mapping(given, "Gate.metrics must be a mapping of name to Metric")
        for name in metrics:
            if not isinstance(name, str) or not name:
                raise InvalidSetting(f"Gate.metrics: a metric's name must be a text, got {name!r}")
        found = {name: Metric.parse(rule, name) for name, rule in metrics.items()}
        for name, rule in found.items():
            if rule.corrected_by == name:
                raise InvalidSetting(
                    f"metric {name!r} of the gate: corrected_by={name!r} is the metric itself; name people's scores, "
                    "such as an annotation's"
                )
        return found

    @property
    def rules(self) -> dict[str, Metric]:
        """`metrics`, each of them a `Metric`."""
        return cast("dict[str, Metric]", self.metrics)

    @property
    def positive(self) -> dict[str, tuple[str, ...]]:
        """The metrics whose labels are scored, with the good ones."""
        return {name: rule.good for name, rule in self.rules.items() if rule.good}

    @property
    def corrected_by(self) -> dict[str, str]:
        """The metrics whose judge's errors are corrected, with the name of people's scores."""
        return {name: rule.corrected_by for name, rule in self.rules.items() if rule.corrected_by}

    def tests(self, case: Case) -> Iterator[Test]:
        """What each metric's rules ask, and whether labels have shifted."""
        for name, metric in case.metrics.items():
            if metric.mean is not None:
                yield from self.rules.get(name, Metric()).asked(metric)
        for labels in case.labels.values():
            if (test := labels.shift) is not None:
                yield test

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """That there is something to judge by, and each metric."""
        all_changed = all_left_out(case.comparison)
        if case.comparison is not None and not case.comparison.n_pairs and not all_changed:
            yield plain_check("examples", _no_shared_example(case.comparison), failed=True)
        if not case.metrics and not case.labels and not all_changed:
            yield plain_check("metrics", _no_metric(case), failed=True)
        for name, metric in case.metrics.items():
            if all_changed:
                yield MetricCheck(name=name, status="inconclusive", reason=nothing_left(name))
            elif metric.mean is None and metric.pending:
                reason = f"{name} cannot be judged yet: {metric.pending}"
                yield MetricCheck(name=name, status="inconclusive", reason=reason)
            elif metric.mean is None:
                yield plain_check(name, _no_scores(name, case), failed=True)
            else:
                yield self.rules.get(name, Metric()).judge(metric)
        for name, labels in case.labels.items():
            yield label_check(labels, self.rules.get(name, Metric()), _why_not(labels, case.comparison))


# The last base's field comes first, and so does its check here.
class Gate(
    Alarms,
    Operations,
    MaxCost,
    MaxP95Latency,
    RequiredExamples,
    PassThreshold,
    MinCoverage,
    MaxErrorRate,
    SliceRule,
    Metrics,
):
    """The rules that turn a comparison into a verdict; the verdict is the worst of them.

    Each is a class of its own, with its field, its check and its sentences; to add one, write such a class and name it
    among the bases here.

    All that the rules ask of chance is one family of tests (see `Family`): an equal candidate fails in at most
    ``1 - confidence`` of all comparisons, over all metrics and rules together. Of each metric a gate asks only whether
    it is worse, so that test is one-sided. (The verdicts in `Comparison.metrics` ask two questions, better or worse;
    so they may say ``unchanged`` of what the gate has found worse.)

    It fails closed. Failed are: a metric that the gate names and one side lacks, no scores, no shared metric or
    example, most runs or scores lost to errors, an experiment that is not whole, and a candidate whose task fails, or
    whose scores are missing, on significantly more examples than the baseline's. Inconclusive is what the data cannot
    tell, such as pairs too few to show any regression.

    Raises:
        InvalidSetting: a value that cannot be used.
    """

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of intervals and tests: with 0.95, an equally good candidate fails in at most 5 of 100 comparisons."""

    bounds: Bounds = "interval"
    """How min, max_p95_latency and max_cost are judged: by the figure's whole confidence interval, or, with point, by
    the figure alone, whatever chance may have made of it. A metric may have its own, for its min."""

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
        _refuse_uncorrected(self, comparison)
        _refuse_other_threshold(self, comparison.candidate)
        _refuse_other_examples(self, comparison)
        self.refuse_unreachable(comparison.baseline)
        case = self.case(comparison)
        notes = [*likeness_checks(comparison, self._least), *shifted_labels(comparison)]
        return self._verdict(case, *notes, *unjudged_slices(case, self.fields), *unasked_checks(case, self.rules))

    def case(self, comparison: Comparison) -> Case:
        """What this gate judges of a comparison, with all its tests."""
        case = Case.beside(
            comparison,
            self._directions,
            confidence=self.confidence,
            bounds=self.bounds,
            missing_count=self.min_coverage is None,
        )
        return self._asked(case)

    def _asked(self, case: Case) -> Case:
        """The same with whom each metric is corrected by, and with all tests."""
        by = self.corrected_by
        metrics = {name: replace(one, corrected_by=by.get(name, "")) for name, one in case.metrics.items()}
        case = replace(case, metrics=metrics)
        return case.with_family(Family.of(self.asked(case), self.for_tests(self.confidence)))

    def judge_alone(
        self,
        candidate: ResultTable,
        experiment_evaluators: Mapping[str, Callable[[pd.DataFrame], float]] | None = None,
    ) -> Verdict:
        """The verdict on a first run, which has no baseline.

        Checks what needs none; one of the reasons says so, and what that is. A metric that is 0 on every example makes
        it inconclusive: as a baseline, such a run would let everything pass.

        Args:
            candidate: its results.
            experiment_evaluators: functions over the whole table of runs, by the metric's name.

        Raises:
            InvalidEvaluator: an experiment evaluator raised, or returned something else than a number.
        """
        table = candidate.with_positive(self.positive)
        case = Case.alone(
            table,
            self._directions,
            experiment_evaluators or {},
            confidence=self.confidence,
            bounds=self.bounds,
        )
        if self.threshold is not None:
            passing = passing_of(table, self.threshold, self._directions)
            case = replace(case, candidate=replace(case.candidate, passing=passing))
        if self.must is not None:
            required = required_of(table, self.must, self._directions)
            case = replace(case, candidate=replace(case.candidate, required=required))
        case = self._asked(case)
        names = [rule.called for rule in (*Metric.made_of(), *self.made_of()) if rule.called]
        said = f"{NO_BASELINE}: only {', '.join(names[:-1])} and {names[-1]} were checked"
        notes = [*floor_checks(case, table, self.rules), *unasked_checks(case, self.rules)]
        notes += slices_to_come(case, table.source.facts(), self.fields)
        return self._verdict(case, *notes, plain_check("baseline", said))

    def refuse_without(self, baseline: object, *, first_run: bool) -> None:
        """Refuse to judge by a margin where nobody has said what it is to be measured from.

        Raises:
            InvalidSetting: a max_regression is set, no baseline is named, and this is not said to be the first run.
        """
        if baseline is not None or first_run:
            return
        with_margin = [name for name, rule in (*self.rules.items(), *self._rules.items()) if rule.has_margin]
        if with_margin:
            raise InvalidSetting(
                f"the gate's max_regression of {some(with_margin)} is measured from a baseline, and none is named: "
                "give one, such as baseline='tag:baseline' (--baseline tag:baseline); or, where there is none yet, say "
                "first_run=True (--first-run)"
            )

    @property
    def with_wide_margins(self) -> dict[str, Metric]:
        """The metrics whose margin may be one that no candidate can exceed."""
        return {name: rule for name, rule in self.rules.items() if rule.is_wide}

    def refuse_unreachable(self, baseline: Side) -> None:
        """Refuse margins that no candidate could exceed, so that nothing would ever fail.

        Raises:
            InvalidSetting: a metric of which no score is below 0, and a margin above the highest one, or above 100 %;
                where less is better, a margin above 1 of scores from 0 to 1.
        """
        for name, rule in self.with_wide_margins.items():
            scores, metric = baseline.measured.get(name), baseline.metrics.get(name)
            margin = rule.margin(None if metric is None else metric.mean)
            if metric is None or metric.mean is None or margin is None or scores is None or scores.min() < 0:
                continue
            highest = max(1.0, float(scores.max()))
            if isinstance(rule.max_regression, str) and rule.direction != "minimize":
                unreachable = margin > metric.mean + ROUNDING
            else:
                unreachable = is_beyond(scores, margin, rule.direction or "maximize")
            if unreachable:
                raise InvalidSetting(
                    f"metric {name!r} of the gate: no candidate can be worse by more than {rule.max_regression}: its "
                    f"scores lie from 0 to {numbers.plain(highest)} ({numbers.score(metric.mean)} on average in "
                    f"{baseline.label}). Write 5 points as 0.05, or 5% for a share of the baseline's mean"
                )

    @property
    def _directions(self) -> dict[str, Better | None]:
        return {name: rule.direction for name, rule in self.rules.items()}

    def _verdict(self, case: Case, *notes: MetricCheck) -> Verdict:
        checks = list(self.checks(case))
        status = worst([check.status for check in (*checks, *notes)])
        said = [check for check in checks if status == "passed" or check.status != "passed"]
        lets_through = status == "passed" or (status == "inconclusive" and self.on_inconclusive == "pass")
        return Verdict(
            status=status,
            reasons=tuple(said_once(check.reason for check in (*said, *notes))),
            checks=(*checks, *notes),
            exit_code=0 if lets_through else 1,
            passing=case.candidate.passing if case.comparison is None else None,
        )


def _why_not(labels: LabelCase, comparison: Comparison | None) -> str | None:
    """Why labels cannot be compared: their evaluator is not the same, or nothing is left to compare."""
    found = labels.labels
    if comparison is None or found is None:
        return None
    if found.evaluator_change is not None:
        return f"{found.name} {said_of_evaluator(found.evaluator_change, comparison)}"
    if all_left_out(comparison):
        return nothing_left(found.name)
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


def _refuse_uncorrected(gate: Gate, comparison: Comparison) -> None:
    for name, human in gate.corrected_by.items():
        metric = comparison.metrics.get(name)
        if metric is not None and metric.n_pairs and (metric.corrected is None or metric.corrected.human != human):
            raise InvalidSetting(
                f"the comparison was made without correcting {name!r} by {human!r}, as the gate's corrected_by says; "
                "give the gate to the comparison"
            )


def _refuse_other_threshold(gate: Gate, candidate: Side) -> None:
    made = None if candidate.passing is None else candidate.passing.threshold
    if gate.threshold is not None and made != gate.threshold:
        other = "without a pass_threshold" if made is None else f"with a pass_threshold of {made:g}"
        raise InvalidSetting(
            f"the comparison was made {other}, and the gate has {gate.threshold:g}; give the gate to the comparison"
        )


def _refuse_other_examples(gate: Gate, comparison: Comparison) -> None:
    missing = [name for name in gate.fields if name not in comparison.slices.asked]
    if missing or (gate.must is not None and comparison.candidate.required is None):
        what = f"slices of {', '.join(missing)}" if missing else "required examples"
        raise InvalidSetting(f"the comparison was made without the gate's {what}; give the gate to the comparison")


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
        scored = [f"{name}{'' if found.n_scores else ' without a score'}" for name, found in side.metrics.items()]
        names = ", ".join(scored) or "no metric"
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
        elif not found.n_scores and not found.n_asked:
            reasons.append(f"{side.label} has no example that it is meant for")
        elif not found.n_scores:
            errors = f" ({found.n_errors} errors)" if found.n_errors else ""
            reasons.append(f"{side.label} has no score of it in {side.n_runs} runs{errors}")
    return f"{name} cannot be judged: {', '.join(reasons) or 'no example has a score of it on both sides'}"
