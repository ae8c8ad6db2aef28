"""What a gate takes, before anything is run: examples, repetitions, calls and money, from a baseline's own results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.paired import POWER
from prefect_experiments.analysis.comparison.pairing import worst_of
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.gate.case import Better, Case
from prefect_experiments.analysis.gate.metric_rules import is_beyond
from prefect_experiments.analysis.planned_slices import PlannedGroups, unknown_examples
from prefect_experiments.analysis.power import (
    Asked,
    Noise,
    examples_for,
    finds_any,
    power_to_find,
    power_to_pass,
    repetitions_for,
    smallest_drop,
)
from prefect_experiments.analysis.repeat_noise import NoiseSource, RepeatNoise, repeat_noise
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.display import Printed, counted, some
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.models import _Record

_ROUNDING = 1e-9
# A drop and the number of tests that it makes take part depend on each other; that settles at once.
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMetric(_Record):
    """What a gate's test of one metric will be worth; all that is a probability is from 0 to 1.

    Attributes:
        direction: which scores are better.
        baseline_mean: over its examples.
        margin: how much worse the gate allows, in the metric's unit; ``None`` without `max_regression`.
        noise: how it is known how far two runs of the same application lie apart.
        sd_difference: the standard deviation of the differences between them, repetitions averaged.
        unseen: where no two scores differ that could by chance, the share of examples that may differ all the same, by
            the rule of three: the plan goes by that. ``None`` where some differ, and where the agreement was given.
        largest_drop: how much worse it can be at all; ``None`` where nobody knows.
        smallest_drop: the smallest one (rise, where less is better) that fails with a probability of 0.8; ``None``
            where not even the largest does.
        power_to_find: that the drop asked about fails; ``None`` where none was asked, and where the margin allows it.
        power_to_pass: that an unchanged application is shown to be within the margin; ``None`` without one.
        examples_needed: with which `power_to_find` and `power_to_pass` are 0.8, at these repetitions; ``None`` where
            nothing is to be reached, or ten million do not.
        repetitions_needed: likewise, on these examples; ``None`` also where twenty do not.
        enough: whether the examples and repetitions planned are.
        corrected_by: what people's scores are called, where the gate has them correct it. All the figures are then of
            the judge's own test, and say nothing of how many scores of people it takes.
    """

    name: str
    direction: Better
    baseline_mean: float
    margin: float | None
    noise: NoiseSource
    sd_difference: float
    unseen: float | None
    largest_drop: float | None
    smallest_drop: float | None
    power_to_find: float | None
    power_to_pass: float | None
    examples_needed: int | None
    repetitions_needed: int | None
    enough: bool
    corrected_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPlan(Printed, _Record):
    """What a gate takes.

    Attributes:
        baseline: how people call it.
        n_there, repetitions_there: its examples, and how often it ran each.
        n_examples, repetitions: planned, on both sides: with others than the baseline's, it has to be run again.
        drop: that is to be found, in each metric's unit; ``None`` where none was asked about.
        confidence: the gate's.
        n_tests: how many of its tests share the false alarms, those on groups of examples (`slices`) included. Each is
            planned with an equal share, the most severe one that Holm's method can leave it. Of the groups those count
            that are expected to have enough examples that differ, so it is an expected number, rounded up.
        groups: by field of the gate's `slices`, how many of its groups are large enough to be judged.
        unplanned: what the gate asks for and the baseline's table does not tell, such as a field of `slices`, and why.
        metrics: by name.
        calls: of the task, in one run of the experiment.
        cost_per_call: what the baseline's have cost on average, with the judges, in US dollars; ``None`` where nobody
            knows.
        judge_cost_per_call: the judges' part of it, by what is known.
        n_runs, n_costs: the baseline's runs, and those of which the task's cost is known: the others are taken to have
            cost as much.
        cost: of one run.
        examples_needed: for all metrics; ``None`` where nothing is to be reached, or ten million do not.
        calls_needed, cost_needed: of one run over these.
    """

    baseline: str
    n_there: int
    repetitions_there: int
    n_examples: int
    repetitions: int
    drop: float | None
    confidence: float
    n_tests: int
    groups: Mapping[str, int] = field(default_factory=dict)
    unplanned: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, PlannedMetric] = field(default_factory=dict)
    calls: int
    cost_per_call: float | None
    judge_cost_per_call: float | None
    n_runs: int
    n_costs: int
    cost: float | None
    examples_needed: int | None
    calls_needed: int | None
    cost_needed: float | None

    @property
    def enough(self) -> bool:
        """Whether the examples and repetitions planned are, for every metric; never where the gate cannot pass."""
        return (
            all(metric.enough for metric in self.metrics.values()) and not self.unplanned and all(self.groups.values())
        )

    def keys(self) -> list[str]:
        """The fields, and whether they are enough."""
        return [*_Record.keys(self), "enough"]

    @property
    def asks(self) -> bool:
        """Whether anything is to be reached: a margin, or a drop."""
        return any(map(_is_asked, self.metrics.values()))

    def _said(self) -> Iterable[str]:
        yield f"beside {self.baseline}"
        yield counted(self.n_examples, "example")
        short = [name for name, metric in self.metrics.items() if not metric.enough]
        cannot = [*self.unplanned, *(name for name, able in self.groups.items() if not able)]
        if cannot:
            yield f"cannot pass for {some(cannot)}"
        if short or not cannot:
            yield f"too few for {some(short)}" if short else "enough" if self.asks else "nothing asked"


def plan_of(
    baseline: ResultTable,
    gate: Gate,
    *,
    examples: int | None = None,
    repetitions: int | None = None,
    drop: float | None = None,
    beside: ResultTable | None = None,
    agreement: float | None = None,
) -> ExperimentPlan:
    """What a gate's margins, or a drop that is to be found, take; see `plan_experiment`.

    Raises:
        InvalidSetting: a metric that the baseline has no scores of, or no metric at all.
    """
    table = baseline.with_positive(gate.positive)
    case = gate.case(compare_results(table, table, gate=gate))
    _refuse_unknown(case, table)
    if drop is not None:
        _refuse_impossible(case, table, drop)
    unplanned = unknown_examples(gate, case, table)
    n_there = len(table.example_ids if table.expected_ids is None else table.expected_ids)
    n, times = examples or n_there, repetitions or _repetitions(table)
    second = None if beside is None else beside.with_positive(gate.positive)
    noises = {
        name: repeat_noise(table, name, _worst(table, name, one.direction), beside=second, agreement=agreement)
        for name, one in case.metrics.items()
    }
    tests = _Tests(PlannedGroups.of(case, gate, n_there), noises, gate.confidence)
    metrics = {}
    for name, one in case.metrics.items():
        found = noises[name]
        margin = gate.rules.get(name, Metric()).margin(found.mean)
        planning = _Planning(name, one.direction, found, found.n / n_there, margin, drop, tests)
        metrics[name] = replace(planning.at(n, times), corrected_by=gate.corrected_by.get(name))
    needed = [metric.examples_needed for metric in metrics.values() if _is_asked(metric)]
    enough = None if None in needed else max((one for one in needed if one is not None), default=None)
    of_task, of_judges, n_costs = _costs_per_call(table)
    cost = None if of_task is None and of_judges is None else (of_task or 0.0) + (of_judges or 0.0)
    return ExperimentPlan(
        baseline=table.label,
        n_there=n_there,
        repetitions_there=_repetitions(table),
        n_examples=n,
        repetitions=times,
        drop=drop,
        confidence=gate.confidence,
        n_tests=max(tests.sharing(n, times, name, drop or 0.0) for name in metrics),
        groups={name: count for name, count in tests.groups.able(n).items() if name not in unplanned},
        unplanned=unplanned,
        metrics=metrics,
        calls=n * times,
        cost_per_call=cost,
        judge_cost_per_call=of_judges,
        n_runs=len(table.failed),
        n_costs=n_costs,
        cost=None if cost is None else n * times * cost,
        examples_needed=enough,
        calls_needed=None if enough is None else enough * times,
        cost_needed=None if enough is None or cost is None else enough * times * cost,
    )


@dataclass(frozen=True, slots=True)
class _Tests:
    """All the tests of the gate, which share the false alarms."""

    groups: PlannedGroups
    noises: Mapping[str, RepeatNoise]
    confidence: float

    def sharing(self, n: int, repetitions: int, name: str, drop: float) -> int:
        """How many share, where one metric is so much worse and the others are the same."""
        differing = {
            one: found.differing(repetitions, drop if one == name else 0.0) for one, found in self.noises.items()
        }
        return math.ceil(self.groups.sharing(n, differing) - _ROUNDING)

    def alpha(self, n: int, repetitions: int, name: str, drop: float) -> float:
        """The share that each of them has to itself."""
        return self.groups.alpha / self.sharing(n, repetitions, name, drop)


@dataclass(frozen=True, slots=True)
class _Planning:
    """One metric; `share` of the examples have a score of it."""

    name: str
    direction: Better
    found: RepeatNoise
    share: float
    margin: float | None
    drop: float | None
    tests: _Tests

    def at(self, n: int, repetitions: int) -> PlannedMetric:
        noise = self._noise(n, repetitions)
        is_asked = self.margin is not None or self._drop is not None
        sd = math.sqrt(noise.variance)
        return PlannedMetric(
            name=self.name,
            direction=self.direction,
            baseline_mean=self.found.mean,
            margin=self.margin,
            noise=self.found.source,
            sd_difference=sd,
            unseen=self.found.unseen,
            largest_drop=noise.height,
            smallest_drop=self._smallest_drop(n, repetitions),
            power_to_find=None if self._drop is None else self._power_to_find(n, repetitions, self._drop),
            power_to_pass=None if self.margin is None else power_to_pass(noise, self._asked(n, repetitions, 0.0)),
            examples_needed=examples_for(lambda n: self._reaches(n, repetitions)) if is_asked else None,
            repetitions_needed=repetitions_for(lambda times: self._reaches(n, times)) if is_asked else None,
            enough=self._reaches(n, repetitions) or not is_asked,
        )

    @property
    def _drop(self) -> float | None:
        """What is to be found; nothing that the margin allows is."""
        allowed = self.margin or 0.0
        return None if self.drop is None or self.drop <= allowed else self.drop

    def _noise(self, n: int, repetitions: int) -> Noise:
        return self.found.noise(max(1, round(n * self.share)), repetitions, self.tests.confidence)

    def _asked(self, n: int, repetitions: int, drop: float) -> Asked:
        """What the gate asks of it where it is so much worse: a drop makes more of its groups' tests take part."""
        alpha = self.tests.alpha(n, repetitions, self.name, drop)
        return Asked(alpha=alpha, confidence=self.tests.confidence, margin=self.margin)

    def _power_to_find(self, n: int, repetitions: int, drop: float) -> float:
        return power_to_find(self._noise(n, repetitions), drop, self._asked(n, repetitions, drop))

    def _smallest_drop(self, n: int, repetitions: int) -> float | None:
        noise, drop = self._noise(n, repetitions), 0.0
        for _ in range(_ROUNDS):
            found = smallest_drop(noise, self._asked(n, repetitions, drop))
            if found is None:
                return None
            drop = found
        return drop

    def _reaches(self, n: int, repetitions: int) -> bool:
        noise, asked = self._noise(n, repetitions), self._asked(n, repetitions, 0.0)
        if not finds_any(noise, asked):
            return False  # what cannot fail is worth nothing
        if self.margin is not None and power_to_pass(noise, asked) < POWER:
            return False
        return self._drop is None or self._power_to_find(n, repetitions, self._drop) >= POWER


def _is_asked(metric: PlannedMetric) -> bool:
    return metric.power_to_find is not None or metric.power_to_pass is not None


def _refuse_unknown(case: Case, table: ResultTable) -> None:
    """Refuse metrics without scores.

    Raises:
        InvalidSetting: there is one, or no metric at all.
    """
    for name, metric in case.metrics.items():
        if metric.mean is None:
            known = [other for other, one in table.side().metrics.items() if one.n_scores]
            raise InvalidSetting(
                f"the gate's metric {name!r} cannot be planned by {table.label}: {unknown_value('metric', name, known)}"
            )
    if not case.metrics:
        raise InvalidSetting(
            f"{table.label} has no scores to plan by; name a baseline with scores, or, where evaluators give labels "
            "only, say in the gate which are good: {metrics: {tone: {positive: polite}}}"
        )


def _refuse_impossible(case: Case, table: ResultTable, drop: float) -> None:
    """Refuse a drop that no candidate can have.

    Raises:
        InvalidSetting: it is larger than a metric's scale.
    """
    side = table.side()
    for name, metric in case.metrics.items():
        scores = side.measured[name]
        if is_beyond(scores, drop, metric.direction):
            raise InvalidSetting(
                f"drop: no candidate can be worse by {numbers.plain(drop)}: the scores of {name!r} lie from 0 to "
                f"{numbers.plain(max(1.0, float(scores.max())))}. Write 5 points as 0.05, or plan that metric apart"
            )


def _worst(table: ResultTable, name: str, direction: Better) -> float:
    import numpy as np

    scores = table.scores[name]
    return worst_of(scores[~np.isnan(scores)], direction)


def _repetitions(table: ResultTable) -> int:
    """How often each example of the baseline was run."""
    import numpy as np

    return max(table.repetitions, int(np.bincount(table.places).max()))


def _costs_per_call(table: ResultTable) -> tuple[float | None, float | None, int]:
    """What a run has cost, task and judges, as far as it is known; and of how many the task's cost is."""
    import numpy as np

    costs = table.operations.get("total_cost", np.zeros(0))
    known = costs[~np.isnan(costs)]
    judges = table.source.judge_cost()
    of_judges = None if judges is None else judges / len(table.failed)
    return float(known.mean()) if len(known) else None, of_judges, len(known)
