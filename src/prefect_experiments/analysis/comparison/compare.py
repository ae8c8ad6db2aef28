"""A candidate beside a baseline: every metric on the examples that both sides ran."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, get_args, overload

from prefect_experiments.analysis.comparison.changes import changed_examples
from prefect_experiments.analysis.comparison.corpus import compare_corpus_metric
from prefect_experiments.analysis.comparison.correction import correction, refuse_correcting
from prefect_experiments.analysis.comparison.earlier import NONE, EarlierRuns
from prefect_experiments.analysis.comparison.label_counts import compare_labels
from prefect_experiments.analysis.comparison.paired import PairedResult, examples_to_detect, holm, paired_test
from prefect_experiments.analysis.comparison.pairing import (
    Pairs,
    failures,
    known_scores,
    unscored,
    worst_case,
    worst_of,
)
from prefect_experiments.analysis.comparison.sameness import differences
from prefect_experiments.analysis.comparison.slices import compare_slices
from prefect_experiments.analysis.directions import agreed, unclear
from prefect_experiments.analysis.intervals import falls, mean_and_sd
from prefect_experiments.analysis.passing import passing_of
from prefect_experiments.analysis.required import Must, required_of
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import (
    OPERATIONS,
    Comparison,
    Direction,
    LabelComparison,
    MetricComparison,
    MetricVerdict,
)
from prefect_experiments.errors import InvalidSetting, unknown_value

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.analysis.gate import Gate

DEFAULT_CONFIDENCE = 0.95
ExperimentEvaluators = Mapping[str, "Callable[[pd.DataFrame], float]"]


@overload
def compare_results(
    baseline: ResultTable,
    candidate: ResultTable,
    *,
    confidence: float | None = None,
    directions: Mapping[str, Direction] | None = None,
    experiment_evaluators: ExperimentEvaluators | None = None,
    gate: Gate | None = None,
    earlier: EarlierRuns = NONE,
) -> Comparison: ...


@overload
def compare_results(
    baseline: ResultTable,
    candidate: Sequence[ResultTable],
    *,
    confidence: float | None = None,
    directions: Mapping[str, Direction] | None = None,
    experiment_evaluators: ExperimentEvaluators | None = None,
    gate: Gate | None = None,
    earlier: EarlierRuns = NONE,
) -> tuple[Comparison, ...]: ...


def compare_results(
    baseline: ResultTable,
    candidate: ResultTable | Sequence[ResultTable],
    *,
    confidence: float | None = None,
    directions: Mapping[str, Direction] | None = None,
    experiment_evaluators: ExperimentEvaluators | None = None,
    gate: Gate | None = None,
    earlier: EarlierRuns = NONE,
) -> Comparison | tuple[Comparison, ...]:
    """Compare one candidate, or several, with a baseline, example by example.

    Repetitions are averaged within an example first; the examples are what is counted. P-values
    are adjusted by Holm's method over all metrics of all candidates; latency, tokens and cost
    stay outside of that and have no adjusted p-value.

    Only what both sides were asked alike is compared: examples whose input or expected output is not the same are left
    out, and a metric whose evaluator is not the same is ``not comparable``; `Comparison.differences` has both.

    Args:
        baseline: from `result_table`.
        candidate: one, or several.
        confidence: of the intervals, above 0.5 and below 1; by default the gate's, else 0.95. A metric has
            improved or regressed where its adjusted p-value is at most 1 - confidence.
        directions: ``"minimize"`` for metrics of which less is better, ``"neutral"`` for those of which
            neither is. What the gate says of a metric need not be said again here; without either, what
            its evaluations say counts (phoenix-evals' do), else it is maximized.
        experiment_evaluators: by name, functions over the table of runs of one side (restricted to
            the examples that both sides ran, failed runs included) that return a finite number;
            see `compare_corpus_metric`.
        gate: gives each comparison its verdict.
        earlier: the runs between the baseline's and the candidate's, which the baseline may be pooled of.

    Returns:
        A `Comparison`; a tuple of them, in order, for several candidates.

    Raises:
        InvalidSetting: a confidence out of its range, directions of unknown metrics, something said
            twice in different ways, or evaluations that do not agree on which scores are better.
        InvalidEvaluator: an experiment evaluator raised, or returned something else than a number.
    """
    candidates = [candidate] if isinstance(candidate, ResultTable) else list(candidate)
    if not candidates:
        raise InvalidSetting("there is no candidate to compare; give at least one results table")
    for table in (baseline, *candidates):
        if not isinstance(table, ResultTable):
            raise InvalidSetting(f"compare what result_table() makes, not a value of type {type(table).__qualname__}")
    if gate is not None:
        baseline = baseline.with_positive(gate.positive)
        candidates = [table.with_positive(gate.positive) for table in candidates]
        earlier = earlier.with_positive(gate.positive)
    experiment_evaluators = experiment_evaluators or {}
    if gate is not None:
        refuse_correcting(gate.corrected_by, experiment_evaluators)
    plan = _Plan(
        confidence=_confidence(confidence, gate),
        directions=_directions([baseline, *candidates], directions or {}, experiment_evaluators, gate),
        experiment_evaluators=experiment_evaluators,
        pass_threshold=None if gate is None else gate.threshold,
        slices=() if gate is None else gate.fields,
        must=None if gate is None else gate.must,
        corrected_by={} if gate is None else gate.corrected_by,
        positive={} if gate is None else gate.positive,
    )
    comparisons = _adjust([_compare(baseline, table, plan, earlier.beside(table, baseline)) for table in candidates])
    if gate is not None:
        comparisons = [replace(comparison, verdict=gate.judge(comparison)) for comparison in comparisons]
    return comparisons[0] if isinstance(candidate, ResultTable) else tuple(comparisons)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    confidence: float
    directions: Mapping[str, Direction]
    experiment_evaluators: ExperimentEvaluators
    pass_threshold: float | None = None
    slices: tuple[str, ...] = ()
    must: Must | None = None
    corrected_by: Mapping[str, str] = field(default_factory=dict)
    positive: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def direction(self, name: str) -> Direction:
        return self.directions.get(name, "maximize")


def _confidence(confidence: float | None, gate: Gate | None) -> float:
    if confidence is None:
        return gate.confidence if gate is not None else DEFAULT_CONFIDENCE
    if not 0.5 < confidence < 1:
        raise InvalidSetting(f"confidence must be above 0.5 and below 1, such as 0.95; got {confidence!r}")
    if gate is not None and gate.confidence != confidence:
        raise InvalidSetting(
            f"confidence={confidence!r} does not go with the gate's confidence of {gate.confidence!r}; give one of them"
        )
    return confidence


def _directions(
    tables: Sequence[ResultTable],
    directions: Mapping[str, Direction],
    experiment_evaluators: ExperimentEvaluators,
    gate: Gate | None,
) -> Mapping[str, Direction]:
    scored = dict.fromkeys(name for table in tables for name in (*table.scores, *table.labels_only))
    for name in experiment_evaluators:
        if name in scored:
            raise InvalidSetting(f"{name!r} is an evaluator and an experiment evaluator; give one of them another name")
    known = [*scored, *experiment_evaluators]
    rules = gate.rules if gate else {}
    found: dict[str, Direction] = {
        name: rule.direction or "maximize"
        for name, rule in rules.items()
        if rule.direction or not any(name in table.directions for table in tables)
    }
    for name, direction in directions.items():
        if name not in known:
            raise InvalidSetting(f"directions: {unknown_value('metric', name, known)}")
        if direction not in get_args(Direction):
            problem = unknown_value("direction", direction, list(get_args(Direction)))
            raise InvalidSetting(f"directions: metric {name!r}: {problem}")
        if found.setdefault(name, direction) != direction:
            raise InvalidSetting(f"directions say {direction!r} of metric {name!r}, and the gate says {found[name]!r}")
        if direction == "neutral" and name in rules:
            raise InvalidSetting(f"directions say 'neutral' of metric {name!r}, and the gate has a rule for it")
    said = _said(tables, found)
    # Who judges a metric, and does not say how, means that more is better.
    judged: dict[str, Direction] = {name: "maximize" for name in rules if said.get(name) == "neutral"}
    return {**said, **judged, **found}


def _said(tables: Sequence[ResultTable], found: Mapping[str, Direction]) -> dict[str, Direction]:
    """What the evaluations say of metrics of which nobody else says anything.

    Raises:
        InvalidSetting: they do not agree, or what they say is no direction.
    """
    said: dict[str, Direction] = {}
    for name in dict.fromkeys(name for table in tables for name in table.directions if name not in found):
        by_table = [(table.label, table.directions[name]) for table in tables if name in table.directions]
        every = tuple(dict.fromkeys(direction for _, directions in by_table for direction in directions))
        if unclear(every):
            texts = ", ".join(f"{label}: {' and '.join(directions)}" for label, directions in by_table)
            do_not = "do not agree on" if len(every) > 1 else "do not say in a known way"
            raise InvalidSetting(
                f"the evaluations of {name!r} {do_not} which scores are better ({texts}); say it in the gate or "
                f"with directions={{{name!r}: ...}}: {', '.join(get_args(Direction))}"
            )
        said.update(agreed({name: every}))
    return said


def _compare(baseline: ResultTable, candidate: ResultTable, plan: _Plan, earlier: EarlierRuns) -> Comparison:
    alike = differences(baseline, candidate)
    pairs = Pairs.of(baseline, candidate, without=(*alike.inputs, *alike.expected))
    ids = [baseline.example_ids[place] for place in pairs.in_baseline.tolist()]
    both = {*baseline.example_ids} & {*candidate.example_ids}
    names = dict.fromkeys((*baseline.scores, *candidate.scores))
    metrics = {name: _metric(name, pairs, plan, earlier, ids) for name in names}
    for name in alike.evaluators.keys() & metrics.keys():
        metrics[name] = replace(metrics[name], evaluator_change=alike.evaluators[name])
    for name, function in plan.experiment_evaluators.items():
        metrics[name] = _corpus_metric(name, function, pairs, ids, plan)
    shared = [name for name in baseline.scores if name in candidate.scores and name not in alike.evaluators]
    ways = {name: plan.direction(name) for name in names if name in shared}
    means = {
        name: pairs.means(baseline.scores[name], candidate.scores[name])
        for name, direction in ways.items()
        if direction != "neutral"
    }
    regressed, improved = changed_examples(baseline, candidate, ids, means, ways)
    threshold = plan.pass_threshold
    passing = None if threshold is None else passing_of(candidate, threshold, plan.directions, baseline=baseline)
    required = None if plan.must is None else required_of(candidate, plan.must, plan.directions, baseline)
    return Comparison(
        baseline=baseline.side(),
        candidate=replace(candidate.side(), passing=passing, required=required),
        n_pairs=len(ids),
        only_in_baseline=tuple(name for name in baseline.example_ids if name not in both),
        only_in_candidate=tuple(name for name in candidate.example_ids if name not in both),
        metrics=metrics,
        labels=compare_labels(pairs, alike.evaluators),
        differences=alike,
        operations=_operations(pairs, plan.confidence),
        regressed=regressed,
        improved=improved,
        failures=failures(pairs),
        slices=compare_slices(pairs, ways, plan.confidence, plan.slices),
        confidence=plan.confidence,
        pooled=earlier.said(baseline.label),
    )


def _metric(name: str, pairs: Pairs, plan: _Plan, earlier: EarlierRuns, ids: Sequence[str]) -> MetricComparison:
    import numpy as np

    direction = plan.direction(name)
    baseline, candidate = pairs.baseline, pairs.candidate
    nothing = MetricComparison(name=name, direction=direction, n_pairs=0)
    if name not in baseline.scores:
        return nothing
    of_baseline = baseline.means(baseline.scores[name])
    asked = np.concatenate(pairs.asked(name))
    n_scored = int((asked & ~np.isnan(of_baseline[np.concatenate([pairs.in_baseline, pairs.absent])])).sum())
    if name not in candidate.scores:
        return replace(nothing, n_baseline_scored=n_scored)
    of_candidate = candidate.means(candidate.scores[name])
    left, right = of_baseline[pairs.in_baseline], of_candidate[pairs.in_candidate]
    both = ~np.isnan(left) & ~np.isnan(right)
    if not both.any():
        return replace(nothing, n_baseline_scored=n_scored)
    scored = [ids[place] for place in both.nonzero()[0].tolist()] if earlier.runs else []
    result = earlier.test(name, scored, left[both], right[both], plan.confidence)
    filled_in = replace(
        _filled_in(name, direction, result), n_baseline_scored=n_scored, baseline_sd=mean_and_sd(left[both])[1]
    )
    if human := plan.corrected_by.get(name):
        found = correction(name, human, pairs, plan.positive.get(name, ()), plan.confidence)
        filled_in = replace(filled_in, corrected=found)
    if direction == "neutral":  # there is no worst score
        return filled_in
    return replace(
        filled_in,
        worst_score=_worst_score(name, pairs, filled_in),
        nights=earlier.nights(name, scored, left[both], right[both], direction) if earlier.runs else (),
        unscored=unscored(name, pairs),
        errors_as_worst=worst_case(name, direction, pairs, plan.confidence, errors_only=True),
        missing_as_worst=worst_case(name, direction, pairs, plan.confidence, errors_only=False),
    )


def _worst_score(name: str, pairs: Pairs, metric: MetricComparison) -> float | None:
    """What an example that gets worse falls to, where a drop is made of such; see `analysis.power`."""
    known = known_scores(name, pairs)
    if falls(known, metric.ties / metric.n_pairs):
        return worst_of(known, metric.direction)
    return None


def _corpus_metric(
    name: str, function: Callable[[pd.DataFrame], float], pairs: Pairs, ids: Sequence[str], plan: _Plan
) -> MetricComparison:
    direction = plan.direction(name)
    n_expected = len(ids) + len(pairs.absent)
    if not ids:
        return MetricComparison(name=name, direction=direction, n_pairs=0, n_baseline_scored=n_expected)
    frames = (pairs.baseline.frame, pairs.candidate.frame)
    result = compare_corpus_metric(name, function, *frames, ids, confidence=plan.confidence)
    return replace(_filled_in(name, direction, result), n_baseline_scored=n_expected)


def _operations(pairs: Pairs, confidence: float) -> dict[str, MetricComparison]:
    """Latency, tokens and cost, on the runs that are ok on their side."""
    import numpy as np

    found = {}
    for name in OPERATIONS:
        if name not in pairs.baseline.operations or name not in pairs.candidate.operations:
            continue
        left, right = pairs.means(
            np.where(pairs.baseline.failed, np.nan, pairs.baseline.operations[name]),
            np.where(pairs.candidate.failed, np.nan, pairs.candidate.operations[name]),
        )
        both = ~np.isnan(left) & ~np.isnan(right)
        if both.any():
            result = paired_test(left[both], right[both], confidence=confidence, are_scores=False)
            metric = _filled_in(name, "minimize", result)
            found[name] = _with_verdict(metric, result.p_value, confidence)
    return found


def _filled_in(name: str, direction: Direction, result: PairedResult) -> MetricComparison:
    better, worse = result.better_and_worse(direction)
    return MetricComparison(
        name=name,
        direction=direction,
        n_pairs=result.n_pairs,
        baseline_mean=result.baseline_mean,
        candidate_mean=result.candidate_mean,
        difference=result.difference,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        p_value=result.p_value,
        p_higher=result.p_higher,
        p_lower=result.p_lower,
        smallest_p=result.smallest_p,
        wins=better,
        losses=worse,
        ties=result.ties,
        effect_size=result.effect_size,
        test=result.test,
        sd_difference=result.sd_difference,
    )


def _adjust(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Adjust the p-values over all metrics and labels of all candidates, and say what has improved or regressed.

    Where the evaluator has changed there is nothing to test.
    """
    tested: dict[tuple[int, str, str], float] = {}
    # Labels beside scores are only looked at: a family of their own, so that the scores' tests lose nothing by them.
    beside: dict[tuple[int, str, str], float] = {}
    for number, comparison in enumerate(comparisons):
        for what, compared in (("metric", comparison.metrics), ("labels", comparison.labels)):
            for one in compared.values():
                if one.p_value is not None and one.evaluator_change is None:
                    family = beside if isinstance(one, LabelComparison) and one.has_scores else tested
                    family[number, what, one.name] = one.p_value
    adjusted = {
        key: p for family in (tested, beside) for key, p in zip(family, holm(list(family.values())), strict=True)
    }
    found = []
    for number, comparison in enumerate(comparisons):
        metrics, labels = dict(comparison.metrics), dict(comparison.labels)
        for name, metric in metrics.items():
            if (p := adjusted.get((number, "metric", name))) is not None:
                metric = replace(metric, p_value_adjusted=p)
                metrics[name] = _with_verdict(metric, p, comparison.confidence, tests=len(tested))
            elif metric.evaluator_change is not None:
                metrics[name] = replace(metric, verdict="not comparable", examples_needed=None)
        for name, one in labels.items():
            if (p := adjusted.get((number, "labels", name))) is not None:
                is_shift = p <= 1 - comparison.confidence
                labels[name] = replace(one, p_value_adjusted=p, verdict="changed" if is_shift else "unchanged")
        found.append(replace(comparison, metrics=metrics, labels=labels))
    return found


def _with_verdict(metric: MetricComparison, p_value: float, confidence: float, *, tests: int = 1) -> MetricComparison:
    verdict: MetricVerdict = "unchanged"
    if p_value <= 1 - confidence and metric.difference and metric.direction == "neutral":
        verdict = "changed"
    elif p_value <= 1 - confidence and metric.difference:
        verdict = "improved" if (metric.difference > 0) == (metric.direction == "maximize") else "regressed"
    needed = examples_to_detect(metric, confidence=confidence, tests=tests) if verdict == "unchanged" else None
    return replace(metric, verdict=verdict, examples_needed=needed)
