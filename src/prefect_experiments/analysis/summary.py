"""The summary of one experiment. Every mean comes with its denominator, and errors stay in sight."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from prefect_experiments import money
from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.directions import agreed, said_directions
from prefect_experiments.analysis.intervals import Interval, Range, example_means, interval_of, mean_and_sd, range_of
from prefect_experiments.analysis.label_texts import counted, say_more_than_scores
from prefect_experiments.analysis.repetitions import RepetitionSummary, is_two_valued, summarize_repetitions
from prefect_experiments.analysis.verdicts import Direction
from prefect_experiments.display import OnPages, Printed, some
from prefect_experiments.models import _Record
from prefect_experiments.results import DIRECTION, given_names, meant_by_name
from prefect_experiments.store import ExperimentRecord, Store
from prefect_experiments.store.evaluation_rows import MetricRows

PERCENTILES = (50, 95, 99)

_Figures = tuple[Hashable, float | None, str | None, bool, bool]
"""Of one evaluation: its example, score, label, whether it is an error, whether it is pending."""


class _Rows(Protocol):
    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[_Figures]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary(_Record):
    """One evaluator's scores over an experiment.

    Attributes:
        n: runs with a score.
        n_expected: runs that should have a score: examples that its evaluator is meant for, times repetitions.
        n_examples: examples with a score.
        mean: over the examples with a score, repetitions averaged within an example first, as everywhere; ``None``
            when there are none.
        stderr: standard error of the mean, from these examples; ``None`` below two.
        score_range: what scores can be: from 0 to 1 where all do, else from the lowest or 0 to the highest or 0.
        lowest, highest: the mean if all runs without a score had scored 0, or 1; ``None`` where
            scores leave the range from 0 to 1.
        direction: ``minimize`` where less is better, ``neutral`` where neither is, as its evaluations say;
            ``None`` where they do not say.
        labels: how often each label was given.
        n_task_errors: runs without a score because the task failed, of the examples that its evaluator is meant for.
        n_errors: runs without a score because the evaluator failed.
        n_no_score: runs that the evaluator gave no score, without an error.
        n_pending: runs that a person, or an agent, is still to judge.
        n_missing: runs that were not made or not evaluated.
        repetitions: pass@k, pass^k and flips; ``None`` without repetitions, and where scores are
            not all 0 or 1 (`repetition_summary` takes a threshold).
    """

    n: int
    n_expected: int
    mean: float | None
    stderr: float | None
    lowest: float | None
    highest: float | None
    n_examples: int
    score_range: Range = (0.0, 1.0)
    labels: Mapping[str, int] = field(default_factory=dict)
    n_task_errors: int = 0
    n_errors: int = 0
    n_no_score: int = 0
    n_pending: int = 0
    n_missing: int = 0
    direction: Direction | None = None
    repetitions: RepetitionSummary | None = None

    @property
    def ci_low(self) -> float | None:
        """Lower end of the 95 % interval of the mean; see `analysis.intervals`."""
        return self._interval()[0]

    @property
    def ci_high(self) -> float | None:
        """Upper end of that interval."""
        return self._interval()[1]

    def _interval(self) -> Interval:
        # What it needs of SciPy takes a moment to import, so it waits until somebody asks for an interval.
        if self.mean is None:
            return None, None
        sd = None if self.stderr is None else self.stderr * math.sqrt(self.n_examples)
        return interval_of(self.n_examples, self.mean, sd, self.score_range)

    def keys(self) -> list[str]:
        """The fields, and the interval."""
        return [*_Record.keys(self), "ci_low", "ci_high"]

    @property
    def n_labels_alone(self) -> int:
        """How many runs were given a label by an evaluator that gives no scores at all."""
        return sum(self.labels.values()) if self.mean is None else 0

    @property
    def n_nothing(self) -> int:
        """How many runs the evaluator gave nothing: of one that gives labels alone, no label."""
        return max(0, self.n_no_score - self.n_labels_alone)

    @property
    def behind(self) -> str:
        """What there is to say besides the mean and of how many it is: errors, what is missing, labels."""
        return str(self) if self.mean is None else str(self).partition("; ")[2]

    def __str__(self) -> str:
        """Such as ``0.93 over 38 of 40; 1 task error, 1 evaluator error; between 0.88 and 0.93 if ...``."""
        labelled = counted(self.labels)
        if self.n_labels_alone:
            text = f"{labelled} over {self.n_labels_alone} of {self.n_expected}"
        elif self.mean is None:
            text = f"no score over {self.n_expected}" if self.n_expected else "meant for none of the examples"
        else:
            less = " (less is better)" if self.direction == "minimize" else ""
            text = f"{numbers.score(self.mean)}{less} over {self.n} of {self.n_expected}"
        reasons = [
            _count(self.n_task_errors, "task error"),
            _count(self.n_errors, "evaluator error"),
            _count(self.n_nothing, "without a score", plural="without a score"),
            _count(self.n_pending, "pending", plural="pending"),
            _count(self.n_missing, "missing", plural="missing"),
        ]
        text += "".join(f"{'; ' if not i else ', '}{reason}" for i, reason in enumerate(filter(None, reasons)))
        if (
            0 < self.n < self.n_expected
            and not self.n_labels_alone
            and self.lowest is not None
            and self.highest is not None
        ):
            ends = f"{numbers.score(self.lowest)} and {numbers.score(self.highest)}"
            text += f"; between {ends} if the others had scored 0 or 1"
        more = [str(self.repetitions or "")]
        if self.mean is not None and say_more_than_scores(self.labels):
            more.append(f"labels {labelled}")
        return "; ".join([text, *filter(None, more)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Used(_Record):
    """Tokens, and US dollars, that calls of models took; ``None`` where not known."""

    token_count: int | None = None
    total_cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(OnPages, Printed, _Record):
    """What came out of an experiment.

    Attributes:
        n_examples: examples in the experiment.
        n_runs: runs that were made; `n_expected` of them there should be.
        n_errors: runs whose task failed.
        latency_ms: p50, p95 and p99 of the ok runs, in milliseconds.
        token_count, total_cost: of the task's calls, summed over the runs that know theirs; ``None`` when none does.
        metrics: by evaluator name.
        judges: by evaluator whose calls of models are known, what they used. Where one gives evaluations of several
            names, it has one entry, under its own.
        replaced_cost: of results that others have taken the place of since, such as a failed run's that was made again;
            ``None`` where there are none of a known cost.
        unpriced: by model, how many calls, of the task and of the evaluators, have no known cost. Where there are any,
            the costs are what is known, and not all that was spent.
    """

    n_examples: int
    n_expected: int
    n_runs: int
    n_errors: int
    latency_ms: Mapping[str, float]
    token_count: int | None
    total_cost: float | None
    metrics: Mapping[str, MetricSummary]
    judges: Mapping[str, Used] = field(default_factory=dict)
    replaced_cost: float | None = None
    unpriced: Mapping[str, int] = field(default_factory=dict)

    @property
    def judge_token_count(self) -> int | None:
        """Of all evaluators, as far as it is known; ``None`` where nothing is."""
        known = [used.token_count for used in self.judges.values() if used.token_count is not None]
        return sum(known) if known else None

    @property
    def judge_cost(self) -> float | None:
        """Of all evaluators, as far as it is known; ``None`` where nothing is."""
        return _sum_of_known(used.total_cost for used in self.judges.values())

    @property
    def overall_cost(self) -> float | None:
        """All that was paid, as far as it is known: for the task, the evaluators, and what was made again since.

        ``None`` where nothing is known.
        """
        return _sum_of_known((self.total_cost, self.judge_cost, self.replaced_cost))

    def keys(self) -> list[str]:
        """The fields, and the sums."""
        return [*_Record.keys(self), "judge_token_count", "judge_cost", "overall_cost"]

    def _said(self) -> Iterable[str]:
        yield f"{self.n_runs:,} of {self.n_expected:,} runs"
        yield f"{self.n_errors:,} failed"
        yield some(f"{name} {numbers.score(metric.mean)}" for name, metric in self.metrics.items()) or "not evaluated"


def summarize(store: Store, record: ExperimentRecord) -> Summary:
    """The summary of an experiment in the store."""
    experiment = record.experiment
    expected = experiment.example_count * experiment.repetitions
    runs = store.results.run_figures(experiment.id)
    said = store.results.evaluation_figures(experiment.id)
    has_others = any(by != name for _, by, name, *_ in said)
    contents = ((by, name, score is not None or label is not None) for _, by, name, score, label, *_ in said)
    names = given_names(contents) if has_others else {}
    evaluations = {e.name: MetricRows(said) for e in record.evaluators if e.name not in names}
    for number, (_, evaluator, name, *_, has_error, _) in enumerate(said):
        if name != evaluator or evaluator not in names:
            evaluations.setdefault(name, MetricRows(said)).append(number)
        elif has_error:
            for given in names[evaluator]:
                evaluations.setdefault(given, MetricRows(said)).append_failed(number)
    used = store.results.spending(experiment.id)
    meant_for = meant_by_name(chosen_positions(record), ((by, name, position) for position, by, name, *_ in said))
    asks_where = runs.failed and (experiment.repetitions > 1 or meant_for)
    failed = _failed_positions(store, experiment.id) if asks_where else []
    directions = agreed(said_directions(store.results.said_of(experiment.id, DIRECTION)))

    def metric(name: str, rows: MetricRows) -> MetricSummary:
        chosen = meant_for.get(name)
        n_expected = expected if chosen is None else len(chosen) * experiment.repetitions
        lost = failed if chosen is None else [position for position in failed if position in chosen]
        n_failed = runs.failed if chosen is None else len(lost)
        repetitions = _repetitions(rows, lost, experiment.repetitions)
        return metric_summary(rows, n_expected, n_failed, repetitions, directions.get(name))

    return Summary(
        n_examples=experiment.example_count,
        n_expected=expected,
        n_runs=runs.made,
        n_errors=runs.failed,
        latency_ms=percentiles(runs.latencies_ms),
        token_count=runs.token_count,
        total_cost=runs.total_cost,
        metrics={name: metric(name, rows) for name, rows in evaluations.items()},
        judges={name: Used(token_count=tokens, total_cost=cost) for name, (tokens, cost) in used.judges.items()},
        replaced_cost=used.replaced_cost,
        unpriced=used.unpriced,
    )


def _sum_of_known(costs: Iterable[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return money.total(known) if known else None


def chosen_positions(record: ExperimentRecord) -> dict[str, tuple[int, ...]]:
    """By evaluator that is not meant for all, the positions of its examples that the experiment uses."""
    used = None if record.positions is None else {*record.positions}
    return {
        one.name: tuple(place for place in one.positions if used is None or place in used)
        for one in record.evaluators
        if one.positions is not None
    }


def _failed_positions(store: Store, experiment_id: str) -> list[int]:
    """The position of each failed run's example."""
    failed = store.results.runs(experiment_id, failed=True)[0]
    return [run.position for run in failed if run.error is not None]


def _repetitions(rows: MetricRows, failed: Sequence[int], repetitions: int) -> RepetitionSummary | None:
    if repetitions == 1:
        return None
    scored = [(position, score) for position, score, *_ in rows if score is not None]
    if not scored or not is_two_valued(score for _, score in scored):
        return None
    return summarize_repetitions(scored, failed, repetitions)


def metric_summary(
    rows: _Rows,
    expected: int,
    failed: int,
    repetitions: RepetitionSummary | None = None,
    direction: Direction | None = None,
) -> MetricSummary:
    """One evaluator's figures from its evaluations, the runs that there should be, and how many failed."""
    labels: dict[str, int] = {}
    for _, _, label, *_ in rows:
        if label is not None:
            labels[label] = labels.get(label, 0) + 1
    scores = array("d", (score for _, score, *_ in rows if score is not None))
    n, means = len(scores), scores
    if not _ascend(example for example, score, *_ in rows if score is not None):  # else each has one score
        means = array("d", example_means((example, score) for example, score, *_ in rows if score is not None))
    mean, sd = mean_and_sd(means) if means else (None, None)
    lowest, highest = _bounds(scores, expected)
    errors = sum(1 for *_, has_error, _ in rows if has_error)
    pending = sum(1 for *_, is_pending in rows if is_pending)
    return MetricSummary(
        n=n,
        n_expected=expected,
        mean=mean,
        stderr=None if sd is None else sd / math.sqrt(len(means)),
        n_examples=len(means),
        score_range=range_of(scores),
        lowest=lowest,
        highest=highest,
        labels=labels,
        n_task_errors=failed,
        n_errors=errors,
        n_no_score=len(rows) - n - errors - pending,
        n_pending=pending,
        n_missing=max(0, expected - failed - len(rows)),
        direction=direction,
        repetitions=repetitions,
    )


def _ascend(examples: Iterable[Hashable]) -> bool:
    """Whether these are positions of which each is above the one before."""
    return all(isinstance(one, int) and isinstance(next_, int) and one < next_ for one, next_ in pairwise(examples))


def _bounds(scores: Sequence[float], expected: int) -> tuple[float | None, float | None]:
    if not expected or any(not 0 <= score <= 1 for score in scores):
        return None, None
    total = math.fsum(scores)
    return total / expected, (total + expected - len(scores)) / expected


def percentiles(ordered: Sequence[float]) -> dict[str, float]:
    """The `PERCENTILES` of numbers that ascend, such as ``p95``; none of no number."""
    return {f"p{p}": _percentile(ordered, p / 100) for p in PERCENTILES} if ordered else {}


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Linear interpolation between order statistics (Hyndman and Fan's type 7, numpy's default)."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _count(n: int, one: str, plural: str | None = None) -> str:
    if not n:
        return ""
    return f"{n} {one if n == 1 else plural or one + 's'}"
