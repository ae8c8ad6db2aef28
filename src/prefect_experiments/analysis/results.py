"""One side of a comparison: the results of an experiment, from wherever they come, checked."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments import money
from prefect_experiments.analysis.directions import Said, said_directions
from prefect_experiments.analysis.intervals import mean_and_sd, unit_for
from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.analysis.verdicts import COSTS, LATENCIES, OPERATIONS, Side, SideMetric
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example
from prefect_experiments.results import DIRECTION, ResultRun, Results, read_results, refuse_doubles, result_frame

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class ResultTable:
    """The runs of one experiment as columns; every array has one item a run, in the table's order.

    Made by `result_table`.

    Attributes:
        label: how people call this side.
        results: the runs as they were read.
        frame: the runs as a table: what is known of the schema as it is understood here, in our own
            shape; what does not count left empty; the rest as it was given.
        example_ids: each example that has a run once, in order of appearance.
        places: for each run, which of `example_ids` it is of.
        failed: whether the task failed.
        scores: by metric; NaN where there is no score, as on every failed run.
        errors: by metric; whether the score is missing because the task or the evaluator failed.
        operations: ``latency_ms``, ``token_count`` and ``total_cost``; NaN where unknown.
        labels_only: evaluators that gave labels and never a score; they are no metrics.
        labels: by evaluator that gave labels, the label of each run; ``None`` where there is none.
        directions: by metric, what its evaluations say of which scores are better.
        pending: by evaluator that has any, whether a person, or an agent, is still to judge the run.
        expected_ids: the examples that there should be runs of; ``None`` where nobody knows.
        examples: these, by id and in the dataset's order; none where nobody knows.
        n_expected: runs that there should be.
    """

    label: str
    results: Results
    example_ids: tuple[str, ...]
    places: Places
    failed: Flags
    scores: Mapping[str, Floats]
    errors: Mapping[str, Flags]
    operations: Mapping[str, Floats]
    labels_only: tuple[str, ...]
    labels: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    directions: Said = field(default_factory=dict)
    pending: Mapping[str, Flags] = field(default_factory=dict)
    expected_ids: frozenset[str] | None = None
    examples: Mapping[str, Example] = field(default_factory=dict, repr=False)
    n_expected: int = 0
    experiment_id: str = ""
    dataset_id: str = ""
    dataset_version_id: str = ""
    dataset_name: str = ""
    url: str | None = None
    flow_run_url: str | None = None

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """See above."""
        return result_frame(self.results, counted=True)

    def means(self, values: Floats) -> Floats:
        """Values of runs averaged within each example, one an item of `example_ids`; NaN where none is known.

        The order of an example's runs has no influence, not even on the last digit.
        """
        import numpy as np

        known = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]  # NaN comes last
        n, unit = len(self.example_ids), unit_for(float(np.abs(values[known]).max(initial=0.0)))
        counts = np.bincount(self.places[known], minlength=n)
        sums = np.bincount(self.places[known], weights=values[known] / unit, minlength=n)
        with np.errstate(invalid="ignore"):
            return np.where(counts > 0, sums / counts * unit, np.nan)

    def sums(self, values: Floats) -> Floats:
        """Values of runs added up within each example that has a known one."""
        import numpy as np

        known = ~np.isnan(values)
        n = len(self.example_ids)
        counts = np.bincount(self.places[known], minlength=n)
        sums: Floats = np.bincount(self.places[known], weights=values[known], minlength=n).astype(np.float64)
        return sums[counts > 0]

    def meant(self, name: str, example_ids: Iterable[str]) -> Flags:
        """Whether each example should be judged by an evaluator; those are all, where nobody knows better."""
        import numpy as np

        chosen, ids = self.results.meant_for.get(name), tuple(example_ids)
        return np.array([chosen is None or example_id in chosen for example_id in ids], dtype=np.bool_)

    def asked(self, name: str) -> Flags:
        """Whether each run should have a score of a metric by now: it is one of those judged, and is not pending."""
        found = self.meant(name, self.example_ids)[self.places]
        return found & ~self.pending[name] if name in self.pending else found

    def side(self) -> Side:
        """What a comparison and a gate say of this side alone."""
        import numpy as np

        ok = ~self.failed
        nothing = np.full(len(self.failed), np.nan)
        latencies = self.operations.get("latency_ms", nothing)[ok]
        latencies = latencies[~np.isnan(latencies)]
        costs = self.operations.get("total_cost", nothing)
        known_costs = costs[~np.isnan(costs)]
        every = {name: self.means(values) for name, values in self.scores.items()}
        measured = {name: means[~np.isnan(means)] for name, means in every.items()}
        return Side(
            label=self.label,
            experiment_id=self.experiment_id,
            dataset_id=self.dataset_id,
            dataset_version_id=self.dataset_version_id,
            url=self.url,
            flow_run_url=self.flow_run_url,
            n_examples=len(self.example_ids if self.expected_ids is None else self.expected_ids),
            n_expected=self.n_expected,
            n_runs=len(self.failed),
            n_errors=int(self.failed.sum()),
            metrics={name: self._metric(name, means) for name, means in measured.items()},
            labels_only=self.labels_only,
            labels={name: label_counts(labels) for name, labels in self.labels.items()},
            pending={name: int(waiting.sum()) for name, waiting in self.pending.items()},
            latency_p95_ms=float(np.percentile(latencies, 95)) if len(latencies) else None,
            n_latencies=len(latencies),
            total_cost=money.total(known_costs) if len(known_costs) else None,
            n_costs=int((~np.isnan(costs[ok])).sum()),
            measured={**measured, LATENCIES: np.sort(latencies), COSTS: self.sums(costs)},
        )

    def with_positive(self, positive: Mapping[str, Collection[str]]) -> ResultTable:
        """The same with labels as scores: 1 for a label that is named here, and 0 for any other.

        Args:
            positive: by evaluator, the labels that are good. One that gave no labels stays as it is.
        """
        import numpy as np

        scores, errors = dict(self.scores), dict(self.errors)
        for name, good in positive.items():
            if (labels := self.labels.get(name)) is not None:
                scores[name] = np.array([math.nan if label is None else float(label in good) for label in labels])
                broken = [(one := run.counted.get(name)) is not None and one.error is not None for run in self.runs]
                errors[name] = self.asked(name) & (self.failed | np.array(broken))
        labels_only = tuple(name for name in self.labels_only if name not in scores)
        return replace(self, scores=scores, errors=errors, labels_only=labels_only)

    @property
    def repetitions(self) -> int:
        """How often each example should have been run, as far as that is known."""
        return max(1, self.n_expected // len(self.expected_ids)) if self.expected_ids else 1

    @property
    def runs(self) -> tuple[ResultRun, ...]:
        """The runs as they were read."""
        return self.results.runs

    def _metric(self, name: str, means: Floats) -> SideMetric:
        """A metric, of which these are the examples' scores."""
        import numpy as np

        scored, pending = ~np.isnan(self.scores[name]), self.pending.get(name)
        ids = self.example_ids if self.expected_ids is None else self.expected_ids
        waiting = {*self.places[pending].tolist()} - {*self.places[scored].tolist()} if pending is not None else ()
        return SideMetric(
            n_examples=len(means),
            n_scores=int(scored.sum()),
            n_errors=int(self.errors[name].sum()),
            mean=mean_and_sd(means)[0] if len(means) else None,
            n_asked=int(self.meant(name, ids).sum()) - len(waiting),
            n_asked_runs=int(self.asked(name).sum()),
        )


def result_table(source: Any, label: str | None = None) -> ResultTable:
    """One side of a comparison.

    Args:
        source: a `RanExperiment`; or a table shaped like ``RanExperiment.to_dataframe()``: a DataFrame
            or anything with Arrow's PyCapsule interface; what ``list_runs()`` gave; a mapping of column
            to values; a list of rows; or the path of a file. Columns are understood as
            `prefect_experiments.log_experiment` understands them; ``example_id`` alone must be there.
            A run whose ``status`` or ``error`` says so has failed, and what stands in its scores does
            not count; nor does the score of an evaluation with an error. ``eval.NAME.metadata.direction``
            says which scores are better.
        label: how to call this side; by default the experiment's name, the file's, or ``results``.

    Raises:
        InvalidDataset: the source cannot be read, no ``example_id`` column, no rows, an example's
            repetition twice, or a cell that cannot be what its column says; with column, row and value.
    """
    if isinstance(source, ResultTable):
        return source if label is None else replace(source, label=label)
    if isinstance(source, RanExperiment):
        return _of_experiment(source, label)
    if label is None:
        label = Path(source).stem if isinstance(source, str | Path) else "results"
    return _table(read_results(source, needs=("example_id",)), label)


def _of_experiment(ran: RanExperiment, label: str | None) -> ResultTable:
    experiment = ran.experiment
    table = _table(ran.results, label or experiment.name)
    return replace(
        table,
        expected_ids=frozenset(ran.examples),
        examples=ran.examples,
        n_expected=experiment.example_count * experiment.repetitions,
        experiment_id=experiment.id,
        dataset_id=experiment.dataset_id,
        dataset_version_id=experiment.dataset_version_id,
        dataset_name=experiment.dataset_name,
        url=ran.url,
        flow_run_url=ran.flow_run_url,
    )


def _table(results: Results, label: str) -> ResultTable:
    import numpy as np

    runs = results.runs
    if not runs:
        raise InvalidDataset(f"{results.origin}: no rows; there is nothing to compare. Has the experiment run?")
    refuse_doubles(results)
    failed = np.array([run.error is not None for run in runs])
    scores, broken, labels_only = _metrics(results)
    places = {example_id: place for place, example_id in enumerate(dict.fromkeys(run.example_id for run in runs))}
    table = ResultTable(
        label=label,
        results=results,
        example_ids=tuple(places),
        places=np.fromiter((places[run.example_id] for run in runs), dtype=np.intp, count=len(runs)),
        failed=failed,
        scores=scores,
        errors={},
        operations={name: _numbers(getattr(run.record, name) for run in runs) for name in OPERATIONS},
        labels_only=labels_only,
        labels=_labels(results),
        directions=said_directions(
            (name, one.metadata.get(DIRECTION))
            for run in runs
            for name, one in run.counted.items()
            if one.metadata_json is not None and name in scores
        ),
        pending=_pending(results),
        n_expected=len(runs),
    )
    return replace(table, errors={name: table.asked(name) & (failed | found) for name, found in broken.items()})


def _pending(results: Results) -> dict[str, Flags]:
    """Which runs are still to be judged, by evaluator."""
    import numpy as np

    found: dict[str, Flags] = {}
    for place, run in enumerate(results.runs):
        for name, one in run.counted.items():
            if one.pending is not None:
                found.setdefault(name, np.zeros(len(results.runs), dtype=np.bool_))[place] = True
    return found


def _metrics(results: Results) -> tuple[dict[str, Floats], dict[str, Flags], tuple[str, ...]]:
    """By metric its scores and where its evaluator failed, and the evaluators that gave labels only."""
    import numpy as np

    scores, errors, labels_only = {}, {}, []
    for evaluator in results.evaluators:
        given = [run.counted.get(evaluator.name) for run in results.runs]
        found = _numbers(None if one is None else one.score for one in given)
        broken = np.array([one is not None and one.error is not None for one in given])
        if np.isnan(found).all() and any(one is not None and one.label is not None for one in given):
            labels_only.append(evaluator.name)
        elif "score" in evaluator.parts or broken.any():
            scores[evaluator.name], errors[evaluator.name] = found, broken
    return scores, errors, tuple(labels_only)


def _labels(results: Results) -> dict[str, tuple[str | None, ...]]:
    """The labels of each evaluator that gave any."""
    found = {}
    for evaluator in results.evaluators:
        given = [run.counted.get(evaluator.name) for run in results.runs]
        labels = tuple(None if one is None else one.label for one in given)
        if any(label is not None for label in labels):
            found[evaluator.name] = labels
    return found


def label_counts(labels: Iterable[str | None]) -> dict[str, int]:
    """How often each label was given, the commonest first."""
    return dict(Counter(label for label in labels if label is not None).most_common())


def _numbers(values: Iterable[float | None]) -> Floats:
    """The values, NaN where there is none."""
    import numpy as np

    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
