"""The summary of one experiment. Every mean comes with its denominator, and errors stay in sight."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prefect_experiments.analysis.directions import agreed, said_directions
from prefect_experiments.analysis.label_texts import counted, say_more_than_scores
from prefect_experiments.analysis.repetitions import RepetitionSummary, is_two_valued, summarize_repetitions
from prefect_experiments.analysis.verdicts import Direction
from prefect_experiments.models import _Record
from prefect_experiments.results import DIRECTION, given_names
from prefect_experiments.store import ExperimentRecord, Store

PERCENTILES = (50, 95, 99)

_Figures = tuple[int, float | None, str | None, bool]
"""Of one verdict: its example's position, score, label, whether it is an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary(_Record):
    """One evaluator's scores over an experiment.

    Attributes:
        n: runs with a score.
        n_expected: runs that there should be: examples times repetitions.
        n_examples: examples with a score.
        mean: over the `n` scores; ``None`` when there are none.
        stderr: standard error of the mean, clustered by example (runs of one example are not
            independent); ``None`` below two examples. Cameron and Miller 2015, eq. 11 for a mean.
        lowest, highest: the mean if all runs without a score had scored 0, or 1; ``None`` where
            scores leave the range from 0 to 1.
        direction: ``minimize`` where less is better, ``neutral`` where neither is, as its evaluations say;
            ``None`` where they do not say.
        labels: how often each label was given.
        n_task_errors: runs without a score because the task failed.
        n_errors: runs without a score because the evaluator failed.
        n_no_score: runs that the evaluator gave no score, without an error.
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
    labels: Mapping[str, int] = field(default_factory=dict)
    n_task_errors: int = 0
    n_errors: int = 0
    n_no_score: int = 0
    n_missing: int = 0
    direction: Direction | None = None
    repetitions: RepetitionSummary | None = None

    @property
    def ci_low(self) -> float | None:
        """Lower end of the 95 % t-interval of the mean, with (examples - 1) degrees of freedom."""
        return None if self.mean is None or self.stderr is None else self.mean - self._half_width()

    @property
    def ci_high(self) -> float | None:
        """Upper end of that interval."""
        return None if self.mean is None or self.stderr is None else self.mean + self._half_width()

    def _half_width(self) -> float:
        # SciPy takes half a second to import, so it waits until somebody asks for an interval.
        from scipy.special import stdtrit

        assert self.stderr is not None
        return float(stdtrit(self.n_examples - 1, 0.975)) * self.stderr

    def keys(self) -> list[str]:
        """The fields, and the interval."""
        return [*_Record.keys(self), "ci_low", "ci_high"]

    def __str__(self) -> str:
        """Such as ``0.93 over 38 of 40; 1 task error, 1 evaluator error; between 0.88 and 0.93 if ...``."""
        labelled, no_score = counted(self.labels), self.n_no_score
        if self.mean is None and labelled:
            given = sum(self.labels.values())
            text, no_score = f"{labelled} over {given} of {self.n_expected}", max(0, no_score - given)
        elif self.mean is None:
            text = f"no score over {self.n_expected}"
        else:
            less = " (less is better)" if self.direction == "minimize" else ""
            text = f"{self.mean:.2f}{less} over {self.n} of {self.n_expected}"
        reasons = [
            _count(self.n_task_errors, "task error"),
            _count(self.n_errors, "evaluator error"),
            _count(no_score, "without a score", plural="without a score"),
            _count(self.n_missing, "missing", plural="missing"),
        ]
        text += "".join(f"{'; ' if not i else ', '}{reason}" for i, reason in enumerate(filter(None, reasons)))
        only_labels = self.mean is None and labelled
        if self.n < self.n_expected and not only_labels and self.lowest is not None and self.highest is not None:
            text += f"; between {self.lowest:.2f} and {self.highest:.2f} if those had scored 0 or 1"
        more = [str(self.repetitions or "")]
        if self.mean is not None and say_more_than_scores(self.labels):
            more.append(f"labels {labelled}")
        return "; ".join([text, *filter(None, more)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(_Record):
    """What came out of an experiment.

    Attributes:
        n_examples: examples in the experiment.
        n_runs: runs that were made; `n_expected` of them there should be.
        n_errors: runs whose task failed.
        latency_ms: p50, p95 and p99 of the ok runs, in milliseconds.
        token_count, total_cost: summed over the runs that know theirs; ``None`` when none does.
        metrics: by evaluator name.
    """

    n_examples: int
    n_expected: int
    n_runs: int
    n_errors: int
    latency_ms: Mapping[str, float]
    token_count: int | None
    total_cost: float | None
    metrics: Mapping[str, MetricSummary]


def summarize(store: Store, record: ExperimentRecord) -> Summary:
    """The summary of an experiment in the store."""
    experiment = record.experiment
    expected = experiment.example_count * experiment.repetitions
    runs = store.results.run_figures(experiment.id)
    said = store.results.evaluation_figures(experiment.id)
    names = given_names((by, name, score is not None or label is not None) for _, by, name, score, label, _ in said)
    evaluations: dict[str, list[_Figures]] = {e.name: [] for e in record.evaluators if e.name not in names}
    for position, evaluator, name, score, label, has_error in said:
        if name != evaluator or evaluator not in names:
            evaluations.setdefault(name, []).append((position, score, label, has_error))
        elif has_error:
            for given in names[evaluator]:
                evaluations.setdefault(given, []).append((position, None, None, True))
    failed = _failed_positions(store, experiment.id) if runs.failed and experiment.repetitions > 1 else []
    directions = agreed(said_directions(store.results.said_of(experiment.id, DIRECTION)))
    repetitions = {name: _repetitions(rows, failed, experiment.repetitions) for name, rows in evaluations.items()}
    return Summary(
        n_examples=experiment.example_count,
        n_expected=expected,
        n_runs=runs.made,
        n_errors=runs.failed,
        latency_ms=_percentiles(runs.latencies_ms),
        token_count=runs.token_count,
        total_cost=runs.total_cost,
        metrics={
            name: _metric(rows, expected, runs.failed, repetitions[name], directions.get(name))
            for name, rows in evaluations.items()
        },
    )


def _failed_positions(store: Store, experiment_id: str) -> list[int]:
    """The position of each failed run's example."""
    failed = store.results.runs(experiment_id, failed=True)[0]
    return [run.position for run in failed if run.error is not None]


def _repetitions(rows: Sequence[_Figures], failed: Sequence[int], repetitions: int) -> RepetitionSummary | None:
    scored = [(position, score) for position, score, _, _ in rows if score is not None]
    if repetitions == 1 or not scored or not is_two_valued(score for _, score in scored):
        return None
    return summarize_repetitions(scored, failed, repetitions)


def _metric(
    rows: Sequence[_Figures],
    expected: int,
    failed: int,
    repetitions: RepetitionSummary | None,
    direction: Direction | None,
) -> MetricSummary:
    labels: dict[str, int] = {}
    for _, _, label, _ in rows:
        if label is not None:
            labels[label] = labels.get(label, 0) + 1
    scored = [(position, score) for position, score, _, _ in rows if score is not None]
    n = len(scored)
    mean = math.fsum(score for _, score in scored) / n if n else None
    stderr, examples = clustered_stderr(scored, mean)
    lowest, highest = _bounds([score for _, score in scored], expected)
    errors = sum(1 for *_, has_error in rows if has_error)
    return MetricSummary(
        n=n,
        n_expected=expected,
        mean=mean,
        stderr=stderr,
        n_examples=examples,
        lowest=lowest,
        highest=highest,
        labels=labels,
        n_task_errors=failed,
        n_errors=errors,
        n_no_score=len(rows) - n - errors,
        n_missing=max(0, expected - failed - len(rows)),
        direction=direction,
        repetitions=repetitions,
    )


def clustered_stderr(scored: Iterable[tuple[Hashable, float]], mean: float | None) -> tuple[float | None, int]:
    """The standard error of a mean of (example, value), and the number of examples behind it.

    Clustered by example (Cameron and Miller 2015, eq. 11 for a mean); with one value an example it
    is the usual standard error. ``None`` below two examples.
    """
    if mean is None:
        return None, 0
    residuals: dict[Hashable, float] = {}
    n = 0
    for position, score in scored:
        n += 1
        residuals[position] = residuals.get(position, 0.0) + (score - mean)
    clusters = len(residuals)
    if clusters < 2:
        return None, clusters
    variance = math.fsum(r * r for r in residuals.values()) * clusters / (clusters - 1) / n**2
    return math.sqrt(variance), clusters


def _bounds(scores: Sequence[float], expected: int) -> tuple[float | None, float | None]:
    if not expected or any(not 0 <= score <= 1 for score in scores):
        return None, None
    total = math.fsum(scores)
    return total / expected, (total + expected - len(scores)) / expected


def _percentiles(ordered: Sequence[float]) -> dict[str, float]:
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
