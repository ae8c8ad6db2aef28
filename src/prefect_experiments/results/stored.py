"""The results of an experiment in the store, read again each time they are asked for, a page of runs at a time."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from prefect_experiments.models import DatasetVersion, Example
from prefect_experiments.records import EvaluationRecord, Key, RunIds
from prefect_experiments.results.frame import result_columns, result_rows, results_of
from prefect_experiments.results.names import Names, given_names, renamed
from prefect_experiments.results.table import ResultEvaluator, ResultRun, Results
from prefect_experiments.store import ExperimentRecord, Store
from prefect_experiments.store.examples import to_example
from prefect_experiments.store.run_pages import PAGE_SIZE, RunPage, RunPages

Found = tuple[str, Sequence[ResultRun]]


class Runs(Protocol):
    """Runs that can be gone through as often as needed, and need not all be in memory at once."""

    def light(self) -> Iterator[ResultRun]:
        """Each run with its scores, labels and figures; texts may be missing, and an error may be an empty text."""

    def of(self, example_ids: Sequence[str]) -> Iterator[Found]:
        """Each of these examples with its runs, whole, in the order of the ids."""


class HeldRuns:
    """Runs that are in memory anyway: a table's."""

    def __init__(self, runs: Sequence[ResultRun]) -> None:
        self._runs = runs

    def light(self) -> Iterator[ResultRun]:
        """See `Runs`."""
        return iter(self._runs)

    def of(self, example_ids: Sequence[str]) -> Iterator[Found]:
        """See `Runs`."""
        found: dict[str, list[ResultRun]] = {example_id: [] for example_id in example_ids}
        for run in self._runs:
            if (runs := found.get(run.example_id)) is not None:
                runs.append(run)
        yield from found.items()


class StoredRuns:
    """The runs of an experiment in the store.

    Args:
        store: where it is.
        record: the experiment.
        ids: what its runs are called.
    """

    def __init__(self, store: Store, record: ExperimentRecord, ids: RunIds) -> None:
        self._store = store
        self._record = record
        self._ids = ids

    @property
    def experiment_id(self) -> str:
        """The experiment's id in the store."""
        return self._record.experiment.id

    def __len__(self) -> int:
        return self._pages.count(self.experiment_id)

    def __iter__(self) -> Iterator[ResultRun]:
        for results in self._whole():
            yield from results.runs

    def light(self) -> Iterator[ResultRun]:
        """See `Runs`."""
        row = itertools.count(1)
        for page in self._pages.without_texts(self.experiment_id):
            said: dict[Key, dict[str, EvaluationRecord]] = {run.key: {} for run in page.runs}
            for one in renamed(page.evaluations, self._names):
                if (found := said.get(one.key)) is not None:
                    found[one.name] = one
            for run in page.runs:
                yield ResultRun(next(row), run, evaluations=said[run.key])

    def of(self, example_ids: Sequence[str]) -> Iterator[Found]:
        """See `Runs`."""
        wanted = {*example_ids}
        places = {name: place for name, place in self._pages.positions(self.experiment_id) if name in wanted}
        at_once = max(1, PAGE_SIZE // self._record.experiment.repetitions)
        every = iter(example_ids)
        while some := list(islice(every, at_once)):
            found: dict[str, list[ResultRun]] = {example_id: [] for example_id in some}
            positions = [places[example_id] for example_id in some if example_id in places]
            page = self._pages.at(self.experiment_id, self._record.version, positions)
            for run in self._results(page).runs:
                found[run.example_id].append(run)
            yield from found.items()

    @property
    def columns(self) -> list[str]:
        """The columns of `rows`: of our own shape, then those of the evaluators, of metadata and of annotations."""
        head, metadata = self._head
        return result_columns(head, metadata)

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row a run, as `result_rows` makes them, with these columns, and others where there is more since."""
        head, _ = self._head
        for results in self._whole():
            yield from result_rows(replace(results, evaluators=head.evaluators, people=head.people))

    @functools.cached_property
    def _head(self) -> tuple[Results, Sequence[str]]:
        """All but the runs: who has said anything, in which parts; and the keys of the runs' metadata."""
        nothing = self._results(RunPage([]))
        evaluators = {one.name: one for one in nothing.evaluators}
        people: dict[str, ResultEvaluator] = {}
        metadata: dict[str, None] = {}
        for page in self._pages.without_texts(self.experiment_id):
            results = self._results(page)
            _merge(evaluators, results.evaluators)
            _merge(people, results.people)
            metadata.update(dict.fromkeys(key for run in page.runs for key in run.metadata))
        head = replace(nothing, evaluators=tuple(evaluators.values()), people=tuple(people.values()))
        return head, tuple(metadata)

    def _whole(self) -> Iterator[Results]:
        return map(self._results, self._pages.each(self.experiment_id, self._record.version))

    def _results(self, page: RunPage) -> Results:
        """A page as the results of an experiment."""
        experiment = self._record.experiment
        return results_of(
            f"experiment {experiment.name!r}",
            self._ids,
            page.runs,
            renamed(page.evaluations, self._names),
            page.examples,
            page.annotations,
            [name for name in experiment.evaluators if name not in self._names],
        )

    @property
    def _pages(self) -> RunPages:
        return self._store.run_pages

    @functools.cached_property
    def _names(self) -> Names:
        return given_names(self._pages.names(self.experiment_id))


class StoredExamples:
    """The examples of a dataset version in the store, in order.

    Args:
        store: where they are.
        version: the dataset's.
    """

    def __init__(self, store: Store, version: DatasetVersion) -> None:
        self._store = store
        self._version = version

    def __iter__(self) -> Iterator[Example]:
        return (to_example(row) for _, row in self._store.datasets.each(self._version))


def _merge(known: dict[str, ResultEvaluator], more: Iterable[ResultEvaluator]) -> None:
    """Add evaluators, and parts of them, in the order in which they come."""
    for one in more:
        before = known.get(one.name, one).parts
        known[one.name] = replace(one, parts=tuple(dict.fromkeys((*before, *one.parts))))
