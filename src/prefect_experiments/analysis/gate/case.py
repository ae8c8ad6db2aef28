"""What a gate judges: a candidate beside its baseline or alone, metric by metric, with the tests over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from prefect_experiments.analysis.comparison.corpus import corpus_value
from prefect_experiments.analysis.comparison.correction import filled_with
from prefect_experiments.analysis.comparison.label_shift import pairs_to_shift
from prefect_experiments.analysis.comparison.said import said_of_evaluator
from prefect_experiments.analysis.corrected import Corrected
from prefect_experiments.analysis.directions import agreed, unclear
from prefect_experiments.analysis.gate.family import Family, Test
from prefect_experiments.analysis.gate.pending import pending_of
from prefect_experiments.analysis.label_texts import NO_LABEL
from prefect_experiments.analysis.verdicts import (
    Comparison,
    Direction,
    LabelComparison,
    MetricComparison,
    Side,
    Unscored,
    WorstCase,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from prefect_experiments.analysis.results import ResultTable

    Floats = npt.NDArray[np.float64]

Better = Literal["maximize", "minimize"]
Bounds = Literal["interval", "point"]
# A mean of 0.8 that floats make 0.7999999999999999 of reaches a minimum of 0.8.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCase:
    """One metric of what is judged; without a baseline, from `metric` on there is nothing.

    Attributes:
        direction: which scores are better.
        unclear: what its evaluations say, where that leaves the direction open and the gate says none.
        mean: the candidate's, over all its examples; ``None`` where there is nothing to judge by.
        values: what that mean is of, one an example; ``None`` of an experiment evaluator.
        coverage: examples with a score, and those that should have one; ``None`` where nobody knows.
        confidence, bounds: the gate's.
        family: all the gate's tests.
        metric: the candidate beside its baseline, on the pairs with both scores.
        operation: the name, where it is latency, tokens or cost, which have units of their own.
        difference: on these pairs, with worse below 0.
        filled: the same with missing scores counted as the worst; ``None`` where the candidate lacks none.
        incomparable: why it cannot be compared with the baseline: its evaluator is not the same.
        labels: those that its evaluator gave on either side.
        corrected_by: what people's scores are called, where they correct it.
        pending: how many of its evaluations are pending, and how to fill them in; empty where none is.
    """

    name: str
    direction: Better
    unclear: tuple[str, ...] = ()
    mean: float | None = None
    values: Floats | None = field(default=None, repr=False)
    coverage: tuple[int, int] | None = None
    confidence: float = 0.95
    bounds: Bounds = "interval"
    family: Family = field(default_factory=Family)
    metric: MetricComparison | None = None
    operation: str = ""
    difference: float = 0.0
    filled: WorstCase | None = None
    incomparable: str = ""
    labels: tuple[str, ...] = ()
    corrected_by: str = ""
    pending: str = ""

    @property
    def corrected(self) -> Corrected | None:
        """The difference corrected by people's scores, where the gate asks for that."""
        return None if self.metric is None else self.metric.corrected

    @property
    def baseline_mean(self) -> float | None:
        """What a share of the baseline's mean is of: people's, where they correct the judge."""
        if self.corrected is not None:
            return self.corrected.baseline_mean
        return None if self.metric is None else self.metric.baseline_mean

    def oriented(self, difference: float) -> float:
        """The difference with worse below 0."""
        return difference if self.direction == "maximize" else -difference

    def worse(self, key: str) -> Test | None:
        """The one-sided test that the candidate is worse on the pairs with both scores, corrected where asked for."""
        found: MetricComparison | Corrected | None = self.corrected or self.metric
        if found is None or found.p_value is None:
            return None
        p_value = found.p_lower if self.direction == "maximize" else found.p_higher
        least = found.smallest_p if isinstance(found, MetricComparison) else 0.0
        return Test((self.name, key), p_value, least, is_main=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCase:
    """An evaluator that gives labels and no scores.

    Attributes:
        counts: the candidate's labels, the commonest first.
        labels: beside the baseline's; ``None`` without a baseline.
        family: all the gate's tests.
        pending: as in `MetricCase`.
    """

    name: str
    counts: Mapping[str, int]
    labels: LabelComparison | None = None
    family: Family = field(default_factory=Family)
    pending: str = ""

    @property
    def commonest(self) -> str:
        """A label, for an example of what to write."""
        baseline = {} if self.labels is None else self.labels.baseline
        return next(iter({**baseline, **self.counts}), "good")

    @property
    def shift(self) -> Test | None:
        """The test that they have shifted; ``None`` where there is nothing to compare."""
        found = self.labels
        if found is None or found.p_value is None or found.evaluator_change is not None:
            return None
        return Test(("labels", self.name), found.p_value, found.smallest_p, is_main=True)

    @property
    def coverage(self) -> tuple[int, int] | None:
        """Runs with a label, and those that the baseline has one of; without a baseline nobody knows."""
        if self.labels is None:
            return None
        given = [sum(side.values()) - side.get(NO_LABEL, 0) for side in (self.labels.candidate, self.labels.baseline)]
        return min(given), given[1]

    @property
    def enough(self) -> int:
        """The fewest pairs that could show a shift among all the gate's tests."""
        return pairs_to_shift(self.family.alpha / max(1, self.family.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A candidate beside its baseline, or alone.

    Attributes:
        comparison: with the baseline; ``None`` where there is none.
        metrics: those that are judged.
        labels: likewise, what gives labels only.
        known: the names of all metrics that there are.
        n_lost: examples whose task failed on the candidate only, or that only it has no run of.
        n_gained: examples whose task failed on the baseline only.
        missing_count: whether each missing score counts as the worst one, or only what an error has cost.
        confidence, bounds: the gate's.
        family: all the gate's tests.
    """

    candidate: Side
    comparison: Comparison | None = None
    metrics: Mapping[str, MetricCase]
    labels: Mapping[str, LabelCase] = field(default_factory=dict)
    known: tuple[str, ...]
    n_lost: int = 0
    n_gained: int = 0
    missing_count: bool = True
    confidence: float = 0.95
    bounds: Bounds = "interval"
    family: Family = field(default_factory=Family)

    @property
    def baseline(self) -> Side | None:
        """What the candidate is compared with."""
        return None if self.comparison is None else self.comparison.baseline

    @property
    def n_ran(self) -> int:
        """Examples of which the candidate has a run, as far as that is known."""
        side = self.candidate
        return max(1, min(side.n_runs, side.n_examples))

    @property
    def coverages(self) -> dict[str, tuple[int, int]]:
        """Of each metric, and of labels without scores, how much of what there should be is there, where known."""
        every: dict[str, MetricCase | LabelCase] = {**self.metrics, **self.labels}
        return {name: one.coverage for name, one in every.items() if one.coverage is not None}

    def unscored(self, name: str) -> Unscored:
        """On how many examples scores of a metric are missing."""
        metric = self.metrics[name].metric
        return Unscored() if metric is None else metric.unscored

    def with_family(self, family: Family) -> Case:
        """The same with all of the gate's tests."""
        metrics = {name: replace(metric, family=family) for name, metric in self.metrics.items()}
        labels = {name: replace(labels, family=family) for name, labels in self.labels.items()}
        return replace(self, family=family, metrics=metrics, labels=labels)

    @classmethod
    def beside(
        cls,
        comparison: Comparison,
        asked: Mapping[str, Better | None],
        *,
        confidence: float,
        bounds: Bounds,
        missing_count: bool,
    ) -> Case:
        """A candidate beside its baseline.

        Args:
            comparison: of the two.
            asked: the metrics to judge, with the gate's directions; empty, all that both sides have.
            confidence: the gate's.
            bounds: likewise.
            missing_count: whether each missing score counts as the worst one, or only what an error has cost.
        """
        labels = {
            name: LabelCase(
                name=name,
                counts=comparison.candidate.labels.get(name, {}),
                labels=one,
                pending=pending_of(name, comparison.candidate, comparison.baseline),
            )
            for name, one in comparison.labels.items()
            if not one.has_scores and name in (asked or [name])
        }
        failures = comparison.failures
        metrics = {}
        for name, direction in (asked or dict.fromkeys(_shared(comparison))).items():
            if name in labels:
                continue
            metric = _beside(name, direction, comparison, missing_count=missing_count)
            pending = pending_of(name, comparison.candidate, comparison.baseline)
            metrics[name] = replace(metric, confidence=confidence, bounds=bounds, pending=pending)
        return cls(
            candidate=comparison.candidate,
            comparison=comparison,
            metrics=metrics,
            labels=labels,
            known=tuple(comparison.metrics),
            n_lost=failures.candidate_only + (failures.candidate_absent if missing_count else 0),
            n_gained=failures.baseline_only,
            missing_count=missing_count,
            confidence=confidence,
            bounds=bounds,
        )

    @classmethod
    def alone(
        cls,
        table: ResultTable,
        asked: Mapping[str, Better | None],
        experiment_evaluators: Mapping[str, Callable[[pd.DataFrame], float]],
        *,
        confidence: float,
        bounds: Bounds,
    ) -> Case:
        """A candidate without a baseline; where nothing is asked, with all of its metrics."""
        side = table.side()
        means = {name: metric.mean for name, metric in side.metrics.items()}
        for name, function in experiment_evaluators.items():
            means[name] = corpus_value(name, function, table.frame)
        directions = agreed(table.directions)
        metrics = {}
        for name, direction in (asked or dict.fromkeys(name for name in means if _is_asked(name, side))).items():
            said, metric = table.directions.get(name, ()), side.metrics.get(name)
            metrics[name] = MetricCase(
                name=name,
                direction=direction or _better(directions.get(name)),
                unclear=said if direction is None and unclear(said) else (),
                mean=means.get(name),
                values=side.measured.get(name),
                coverage=None if metric is None else (metric.n_examples, metric.n_asked),
                labels=tuple(side.labels.get(name, ())),
                pending=pending_of(name, side),
                confidence=confidence,
                bounds=bounds,
            )
        labels = {
            name: LabelCase(name=name, counts=side.labels[name], pending=pending_of(name, side))
            for name in side.labels_only
            if name in (asked or side.labels_only)
        }
        return cls(
            candidate=side,
            metrics={name: metric for name, metric in metrics.items() if name not in labels},
            labels=labels,
            known=tuple(means),
            confidence=confidence,
            bounds=bounds,
        )


def operation_case(name: str, case: Case) -> MetricCase | None:
    """Latency, tokens or cost of the runs beside the baseline's, as a metric; ``None`` where nobody knows them."""
    metric = None if case.comparison is None else case.comparison.operations.get(name)
    if metric is None or metric.difference is None:
        return None
    return MetricCase(
        name=name,
        direction="minimize",
        mean=metric.candidate_mean,
        confidence=case.confidence,
        bounds=case.bounds,
        family=case.family,
        metric=metric,
        operation=name,
        difference=-metric.difference,
    )


def _beside(name: str, direction: Better | None, comparison: Comparison, *, missing_count: bool) -> MetricCase:
    """One metric of a candidate beside its baseline."""
    metric, alone = comparison.metrics.get(name), comparison.candidate.metrics.get(name)
    if metric is None:
        return MetricCase(name=name, direction=direction or "maximize")
    coverage = (metric.n_pairs, metric.n_baseline_scored)
    given = [label for side in (comparison.baseline, comparison.candidate) for label in side.labels.get(name, ())]
    case = MetricCase(
        name=name,
        direction=direction or _better(metric.direction),
        coverage=coverage,
        labels=tuple(dict.fromkeys(given)),
    )
    if alone is not None and metric.evaluator_change is not None and metric.n_pairs:
        why = said_of_evaluator(metric.evaluator_change, comparison)
        return replace(case, mean=alone.mean, values=comparison.candidate.measured.get(name), incomparable=why)
    if metric.difference is None:
        return case
    filled = metric.missing_as_worst if missing_count else metric.errors_as_worst
    if filled is not None and metric.corrected is not None and metric.corrected.difference is not None:
        filled = filled_with(filled, metric, comparison.confidence)
    return replace(
        case,
        mean=metric.candidate_mean if alone is None else alone.mean,
        values=comparison.candidate.measured.get(name),
        metric=metric,
        difference=case.oriented(metric.difference),
        filled=filled if filled is not None and filled.n_candidate else None,
    )


def _is_asked(name: str, side: Side) -> bool:
    """Whether there is an example that should have a score of a metric, or one that is pending."""
    return name not in side.metrics or side.metrics[name].n_asked > 0 or name in side.pending


def _better(said: Direction | None) -> Better:
    """What counts where the gate says nothing: what the evaluations say, else that more is better."""
    return "minimize" if said == "minimize" else "maximize"


def _shared(comparison: Comparison) -> list[str]:
    """All metrics that the baseline has scores of and that the candidate knows, and that have a better side."""
    found = []
    for name, metric in comparison.metrics.items():
        before = comparison.baseline.metrics.get(name)
        known = name in comparison.candidate.metrics or name in comparison.candidate.labels_only
        pending = name in comparison.baseline.pending or name in comparison.candidate.pending
        is_shared = metric.n_pairs or (before is not None and known and (before.n_scores or pending))
        if is_shared and metric.direction != "neutral":
            found.append(name)
    return found
