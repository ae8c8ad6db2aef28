"""One side of a comparison: the results of an experiment, from wherever they come, checked."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments import money
from prefect_experiments.analysis.columns import MARKS, Given, given_in_memory, given_in_store, numbers, said_in
from prefect_experiments.analysis.directions import Said, said_directions
from prefect_experiments.analysis.intervals import mean_and_sd, unit_for
from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.analysis.sources import InMemory, InStore, Source
from prefect_experiments.analysis.verdicts import COSTS, LATENCIES, OPERATIONS, Side, SideMetric
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example
from prefect_experiments.results import (
    ResultRun,
    Results,
    meant_by_name,
    read_results,
    refuse_doubles,
    result_frame,
)
from prefect_experiments.store.figures import NOTHING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Made:
    """By what the evaluations of one name were made, for each run; ``None`` where the run has none.

    Attributes:
        states: the evaluator's fingerprint.
        models: the judge's models, as far as the evaluation says.
    """

    states: Sequence[str | None]
    models: Sequence[frozenset[str] | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ResultTable:
    """The runs of one experiment as columns; every array has one item a run, in the table's order.

    There are no texts in it: `source` reads those of the few runs of which something is shown. Made by `result_table`.

    Attributes:
        label: how people call this side.
        source: reads the texts.
        frame: the runs as a table: what is known of the schema as it is understood here, in our own
            shape; what does not count left empty; the rest as it was given.
        evaluators: all of which there may be evaluations.
        example_ids: each example that has a run once, in order of appearance.
        places: for each run, which of `example_ids` it is of.
        repetition_numbers: for each run, its number.
        failed: whether the task failed.
        scores: by metric; NaN where there is no score, as on every failed run.
        errors: by metric; whether the score is missing because the task or the evaluator failed.
        broken: by evaluator that has evaluations, whether it failed on the run.
        operations: ``latency_ms``, ``token_count`` and ``total_cost``; NaN where unknown.
        labels_only: evaluators that gave labels and never a score; they are no metrics.
        labels: by evaluator that gave labels, the label of each run; ``None`` where there is none.
        directions: by metric, what its evaluations say of which scores are better.
        pending: by evaluator that has any, whether a person, or an agent, is still to judge the run.
        made: by evaluator that has evaluations which count.
        meant_for: by evaluator, the ids of the examples that it is meant for; without an entry, all are, as far as
            anybody knows.
        expected_ids: the examples that there should be runs of, in the dataset's order; ``None`` where nobody knows.
        n_expected: runs that there should be.
    """

    label: str
    source: Source
    evaluators: tuple[str, ...]
    example_ids: tuple[str, ...]
    places: Places
    repetition_numbers: Places
    failed: Flags
    scores: Mapping[str, Floats]
    errors: Mapping[str, Flags]
    broken: Mapping[str, Flags]
    operations: Mapping[str, Floats]
    labels_only: tuple[str, ...]
    labels: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    directions: Said = field(default_factory=dict)
    pending: Mapping[str, Flags] = field(default_factory=dict)
    made: Mapping[str, Made] = field(default_factory=dict)
    meant_for: Mapping[str, frozenset[str]] = field(default_factory=dict)
    expected_ids: tuple[str, ...] | None = None
    n_expected: int = 0
    experiment_id: str = ""
    dataset_id: str = ""
    dataset_version_id: str = ""
    dataset_name: str = ""
    url: str | None = None
    flow_run_url: str | None = None

    @property
    def results(self) -> Results:
        """The runs with all that there is of them; from the store they are read now."""
        return self.source.results

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

        chosen, ids = self.meant_for.get(name), tuple(example_ids)
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
                errors[name] = self.asked(name) & (self.failed | self.broken[name])
        labels_only = tuple(name for name in self.labels_only if name not in scores)
        return replace(self, scores=scores, errors=errors, labels_only=labels_only)

    @functools.cached_property
    def repetitions(self) -> int:
        """How often each example should have been run; where nobody says, up to the highest number that one has."""
        if self.expected_ids:
            return max(1, self.n_expected // len(self.expected_ids))
        return int(self.repetition_numbers.max())

    def due(self, baseline: ResultTable | None = None) -> tuple[str, ...]:
        """The examples that there should be runs of; where nobody says, what it has and what the baseline has."""
        if self.expected_ids is not None:
            return tuple(dict.fromkeys([*self.expected_ids, *self.example_ids]))
        return tuple(dict.fromkeys([*self.example_ids, *(() if baseline is None else baseline.due())]))

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
    return _of_results(source if isinstance(source, Results) else read_results(source, needs=("example_id",)), label)


def _of_experiment(ran: RanExperiment, label: str | None) -> ResultTable:
    experiment, label = ran.experiment, label or ran.experiment.name
    if ran.store is None:
        table = _of_results(ran.results, label, ran.examples)
    else:
        figures, own = ran.store.figures, ran.record.experiment
        columns = figures.evaluations(own.id, MARKS, said_in)
        runs = figures.runs(own.id)  # after their evaluations: one that is new by then has none
        given = given_in_store(runs, columns, own.evaluators)
        table = _table(given, InStore(ran, ran.store, given), label, origin=f"experiment {own.name!r}")
        chosen = ran.meant_for
        table = _asked(replace(table, meant_for=meant_by_name(chosen, given.by_evaluator() if chosen else ())))
    return replace(
        table,
        expected_ids=ran.example_ids,
        n_expected=experiment.example_count * experiment.repetitions,
        experiment_id=experiment.id,
        dataset_id=experiment.dataset_id,
        dataset_version_id=experiment.dataset_version_id,
        dataset_name=experiment.dataset_name,
        url=ran.url,
        flow_run_url=ran.flow_run_url,
    )


def _of_results(results: Results, label: str, examples: Mapping[str, Example] | None = None) -> ResultTable:
    refuse_doubles(results)
    table = _table(given_in_memory(results), InMemory(results, examples), label, origin=results.origin)
    return _asked(replace(table, meant_for=results.meant_for))


def _asked(table: ResultTable) -> ResultTable:
    """The table with errors only where an evaluator is meant for the run's example."""
    return replace(
        table, errors={name: table.asked(name) & (table.failed | table.broken[name]) for name in table.scores}
    )


def _table(given: Given, source: Source, label: str, *, origin: str) -> ResultTable:
    import numpy as np

    runs, columns = given.runs, given.columns
    if not len(runs.place):
        raise InvalidDataset(f"{origin}: no rows; there is nothing to compare. Has the experiment run?")
    failed = numbers(runs.failed) != 0
    counted = {name: np.where(failed, NOTHING, given.of(name)) for name in given.evaluators}
    known = {name: slots for name, slots in counted.items() if (slots != NOTHING).any()}
    labels = _labels(known, given)
    scores, broken = {}, {}
    for name, slots in counted.items():
        found = _scores(slots, given)
        broken[name] = _taken(numbers(columns.failed), slots, 0) != 0
        is_metric = name not in given.unscored or broken[name].any()
        if not (np.isnan(found).all() and name in labels) and is_metric:
            scores[name] = found
    said = {name: _taken(numbers(columns.said), slots, NOTHING) for name, slots in known.items()}
    directions = sorted(_first(given, known, said, scores))
    waiting = {name: _pending(slots, said[name], given) for name, slots in known.items()}
    pending = sorted((given.place(name, int(flags.argmax())), name) for name, flags in waiting.items() if flags.any())
    return ResultTable(
        label=label,
        source=source,
        evaluators=given.evaluators,
        example_ids=tuple(runs.example_ids.values),
        places=numbers(runs.place),
        repetition_numbers=numbers(runs.repetition_number),
        failed=failed,
        scores=scores,
        errors={},
        broken=broken,
        operations={name: numbers(getattr(runs, name)) for name in OPERATIONS},
        labels_only=tuple(name for name in counted if name in labels and name not in scores),
        labels=labels,
        directions=said_directions((name, direction) for _, name, direction in directions),
        pending={name: waiting[name] for _, name in pending},
        made=_made(known, said, given),
        n_expected=len(runs.place),
    )


def _scores(slots: Places, given: Given) -> Floats:
    """Each run's score of a name; NaN where there is none."""
    found: Floats = _taken(numbers(given.columns.score), slots, math.nan)
    return found


def _taken(column: Any, slots: Places, nothing: float) -> Any:
    """What a column of evaluations has for each run."""
    import numpy as np

    if not len(column):
        return np.full(len(slots), nothing)
    return np.where(slots == NOTHING, nothing, column[slots])


def _labels(known: Mapping[str, Places], given: Given) -> dict[str, tuple[str | None, ...]]:
    """The labels of each evaluator that gave any."""
    texts: list[str | None] = [*given.columns.labels.values, None]  # `NOTHING` is the last one
    found = {}
    for name, slots in known.items():
        codes = _taken(numbers(given.columns.label), slots, NOTHING)
        if (codes != NOTHING).any():
            found[name] = tuple(texts[code] for code in codes.tolist())
    return found


def _first(
    given: Given, known: Mapping[str, Places], said: Mapping[str, Places], scored: Collection[str]
) -> Iterable[tuple[int, str, str]]:
    """What the evaluations of metrics say of which scores are better, each with where it is said first."""
    import numpy as np

    directions = [one.direction for one in given.columns.sayings.values]
    for name in scored:
        if name in known:
            codes, first = np.unique(said[name], return_index=True)
            for code, row in zip(codes.tolist(), first.tolist(), strict=True):
                if code != NOTHING and (direction := directions[code]) is not None:
                    yield given.place(name, row), name, direction


def _pending(slots: Places, said: Places, given: Given) -> Flags:
    """Which runs are still to be judged."""
    import numpy as np

    waits = np.array([*(one.criteria is not None for one in given.columns.sayings.values), False])
    columns = given.columns
    has_label = _taken(numbers(columns.label), slots, NOTHING) != NOTHING
    has_error = _taken(numbers(columns.failed), slots, 0) != 0
    found: Flags = waits[said] & np.isnan(_scores(slots, given)) & ~has_label & ~has_error
    return found


def _made(known: Mapping[str, Places], said: Mapping[str, Places], given: Given) -> dict[str, Made]:
    """By what evaluations were made, in the order in which the names appear."""
    states: list[str | None] = [*given.columns.fingerprints.values, None]
    sayings = [one.models for one in given.columns.sayings.values]
    nothing: frozenset[str] = frozenset()
    models: list[frozenset[str]] = [*sayings, nothing]
    found = {}
    for name in sorted(known, key=lambda name: given.place(name, int((known[name] != NOTHING).argmax()))):
        codes = _taken(numbers(given.columns.fingerprint), known[name], NOTHING)
        found[name] = Made(
            tuple(states[code] for code in codes.tolist()), tuple(models[code] for code in said[name].tolist())
        )
    return found


def label_counts(labels: Iterable[str | None]) -> dict[str, int]:
    """How often each label was given, the commonest first."""
    return dict(Counter(label for label in labels if label is not None).most_common())
