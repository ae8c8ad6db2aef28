"""What a gate judges: a candidate beside its baseline or alone, metric by metric, with the tests over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from prefect_experiments.analysis.comparison.corpus import corpus_value
from prefect_experiments.analysis.comparison.label_shift import pairs_to_shift
from prefect_experiments.analysis.comparison.paired import holm, mcnemar_p_value
from prefect_experiments.analysis.comparison.said import said_of_evaluator
from prefect_experiments.analysis.directions import agreed, unclear
from prefect_experiments.analysis.verdicts import (
    Comparison,
    Direction,
    LabelComparison,
    MetricComparison,
    Side,
    WorstCase,
)

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.analysis.results import ResultTable

_Key = TypeVar("_Key")
Better = Literal["maximize", "minimize"]
# A mean of 0.8 that floats make 0.7999999999999999 of reaches a minimum of 0.8.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCase:
    """One metric of what is judged; without a baseline, from `metric` on there is nothing.

    Attributes:
        direction: which scores are better.
        unclear: what its evaluations say, where that leaves the direction open and the gate says none.
        mean: the candidate's, over all its examples; ``None`` where there is nothing to judge by.
        coverage: examples with a score, and those that should have one; ``None`` where nobody knows.
        metric: the candidate beside its baseline, on the pairs with both scores.
        difference: on these pairs, with worse below 0.
        filled: the same with missing scores counted as the worst; ``None`` where the candidate lacks none.
        p_worse, p_hidden: that the candidate is worse on the pairs, or so filled in; see `Case.beside`.
        alpha: the largest p-value that says worse.
        incomparable: why it cannot be compared with the baseline: its evaluator is not the same.
        labels: those that its evaluator gave on either side.
    """

    name: str
    direction: Better
    unclear: tuple[str, ...] = ()
    mean: float | None = None
    coverage: tuple[int, int] | None = None
    metric: MetricComparison | None = None
    difference: float = 0.0
    filled: WorstCase | None = None
    p_worse: float = 1.0
    p_hidden: float = 1.0
    confidence: float = 0.0
    alpha: float = 0.0
    incomparable: str = ""
    labels: tuple[str, ...] = ()

    def oriented(self, difference: float) -> float:
        """The difference with worse below 0."""
        return difference if self.direction == "maximize" else -difference


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCase:
    """An evaluator that gives labels and no scores.

    Attributes:
        counts: the candidate's labels, the commonest first.
        labels: beside the baseline's; ``None`` without a baseline.
        p_value: that they have shifted, adjusted over the gate's tests.
        least: the smallest p-value that so many pairs can give, likewise adjusted; `needed` pairs would do.
        alpha: the largest p-value that says so.
    """

    name: str
    counts: Mapping[str, int]
    labels: LabelComparison | None = None
    p_value: float = 1.0
    least: float = 1.0
    needed: int = 0
    alpha: float = 0.0

    @property
    def commonest(self) -> str:
        """A label, for an example of what to write."""
        baseline = {} if self.labels is None else self.labels.baseline
        return next(iter({**baseline, **self.counts}), "good")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A candidate beside its baseline, or alone.

    Attributes:
        comparison: with the baseline; ``None`` where there is none.
        metrics: those that are judged.
        labels: likewise, what gives labels only.
        known: the names of all metrics that there are.
        n_lost, n_gained: examples whose task failed on the candidate only, and on the baseline only.
        p_lost: that these are significantly more; ``None`` where they are not.
    """

    candidate: Side
    comparison: Comparison | None = None
    metrics: Mapping[str, MetricCase]
    labels: Mapping[str, LabelCase] = field(default_factory=dict)
    known: tuple[str, ...]
    n_lost: int = 0
    n_gained: int = 0
    p_lost: float | None = None

    @property
    def baseline(self) -> Side | None:
        """What the candidate is compared with."""
        return None if self.comparison is None else self.comparison.baseline

    @classmethod
    def beside(
        cls, comparison: Comparison, asked: Mapping[str, Better | None], *, confidence: float, missing_count: bool
    ) -> Case:
        """A candidate beside its baseline, with two families of tests, each adjusted by Holm's method.

        Worse: the metrics on the pairs with both scores. Only "worse" counts against a candidate, so these are
        one-sided, and an equal one fails by them in at most ``1 - confidence`` of all cases; but none is below the
        metric's own two-sided p-value, so that the metric's interval agrees. Hidden: what these pairs do not show,
        task errors and missing scores. These are two-sided, of which one side counts: they add little to that.

        Args:
            comparison: of the two.
            asked: the metrics to judge, with the gate's directions; empty, all that both sides have.
            confidence: the gate's.
            missing_count: whether each missing score counts as the worst one, or only what an error has cost.
        """
        alpha = 1 - confidence + ROUNDING
        metrics = {
            name: _beside(name, direction, comparison, missing_count=missing_count)
            for name, direction in (asked or dict.fromkeys(_shared(comparison))).items()
        }
        labels = {
            name: one for name, one in comparison.labels.items() if not one.has_scores and name in (asked or [name])
        }
        metrics = {name: case for name, case in metrics.items() if name not in labels}
        scores = {name: case.p_worse for name, case in metrics.items() if case.metric is not None}
        shifts = {
            ("labels", name): one.p_value
            for name, one in labels.items()
            if one.p_value is not None and one.evaluator_change is None
        }
        worse = _adjusted({**scores, **shifts})
        failures = comparison.failures
        n_lost = failures.candidate_only + (failures.candidate_absent if missing_count else 0)
        n_gained = failures.baseline_only
        p_lost = mcnemar_p_value(n_lost, n_gained) if n_lost > n_gained else 1.0
        filled = {name: case.p_hidden for name, case in metrics.items() if case.filled is not None}
        hidden = _adjusted({**filled, None: p_lost})
        for name, case in metrics.items():
            if case.metric is not None:
                p_worse, p_hidden = max(worse[name], case.metric.p_value or 0.0), hidden.get(name, 1.0)
                metrics[name] = replace(case, p_worse=p_worse, p_hidden=p_hidden, alpha=alpha, confidence=confidence)
        return cls(
            candidate=comparison.candidate,
            comparison=comparison,
            metrics=metrics,
            labels={
                name: _shifted(one, comparison, worse.get(("labels", name), 1.0), len(worse), alpha)
                for name, one in labels.items()
            },
            known=tuple(comparison.metrics),
            n_lost=n_lost,
            n_gained=n_gained,
            p_lost=hidden[None] if hidden[None] <= alpha else None,
        )

    @classmethod
    def alone(
        cls,
        table: ResultTable,
        asked: Mapping[str, Better | None],
        experiment_evaluators: Mapping[str, Callable[[pd.DataFrame], float]],
    ) -> Case:
        """A candidate without a baseline; where nothing is asked, with all of its metrics."""
        side = table.side()
        means = {name: metric.mean for name, metric in side.metrics.items()}
        for name, function in experiment_evaluators.items():
            means[name] = corpus_value(name, function, table.frame)
        directions = agreed(table.directions)
        metrics = {}
        for name, direction in (asked or dict.fromkeys(means)).items():
            said, metric = table.directions.get(name, ()), side.metrics.get(name)
            metrics[name] = MetricCase(
                name=name,
                direction=direction or _better(directions.get(name)),
                unclear=said if direction is None and unclear(said) else (),
                mean=means.get(name),
                coverage=None if metric is None else (metric.n_examples, side.n_examples),
                labels=tuple(side.labels.get(name, ())),
            )
        labels = {
            name: LabelCase(name=name, counts=side.labels[name])
            for name in side.labels_only
            if name in (asked or side.labels_only)
        }
        metrics = {name: case for name, case in metrics.items() if name not in labels}
        return cls(candidate=side, metrics=metrics, labels=labels, known=tuple(means))


def _shifted(one: LabelComparison, comparison: Comparison, p_value: float, size: int, alpha: float) -> LabelCase:
    return LabelCase(
        name=one.name,
        counts=comparison.candidate.labels.get(one.name, {}),
        labels=one,
        p_value=p_value,
        least=one.smallest_p * max(1, size),
        needed=pairs_to_shift(alpha / max(1, size)),
        alpha=alpha,
    )


def _beside(name: str, direction: Better | None, comparison: Comparison, *, missing_count: bool) -> MetricCase:
    """One metric, with p-values that are not adjusted yet."""
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
        return replace(case, mean=alone.mean, incomparable=why)
    if metric.difference is None or metric.p_value is None:
        return case
    filled = metric.missing_as_worst if missing_count else metric.errors_as_worst
    difference = case.oriented(metric.difference)
    return replace(
        case,
        mean=metric.candidate_mean if alone is None else alone.mean,
        metric=metric,
        difference=difference,
        filled=filled if filled is not None and filled.n_candidate else None,
        p_worse=metric.p_value / 2 if difference < 0 else 1 - metric.p_value / 2,
        p_hidden=filled.p_value if filled is not None and case.oriented(filled.difference) < 0 else 1.0,
    )


def _better(said: Direction | None) -> Better:
    """What counts where the gate says nothing: what the evaluations say, else that more is better."""
    return "minimize" if said == "minimize" else "maximize"


def _shared(comparison: Comparison) -> list[str]:
    """All metrics that the baseline has scores of and that the candidate knows, and that have a better side."""
    found = []
    for name, metric in comparison.metrics.items():
        before = comparison.baseline.metrics.get(name)
        known = name in comparison.candidate.metrics or name in comparison.candidate.labels_only
        is_shared = metric.n_pairs or (before is not None and before.n_scores and known)
        if is_shared and metric.direction != "neutral":
            found.append(name)
    return found


def _adjusted(p_values: Mapping[_Key, float]) -> dict[_Key, float]:
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))
