"""What a call to `run_experiment` gives back."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, PlainSerializer

from prefect_experiments.analysis.directions import Said, said_directions
from prefect_experiments.analysis.failures import Failures, failures_of
from prefect_experiments.analysis.summary import Summary, chosen_positions, summarize
from prefect_experiments.analysis.verdicts import Comparison, Verdict
from prefect_experiments.display import OnPages, Printed, brief, line
from prefect_experiments.in_json import InJson
from prefect_experiments.models import Annotation, Evaluation, Example, Experiment, ExperimentRun
from prefect_experiments.origin import FLOW_RUN_URL
from prefect_experiments.records import EvaluationRecord, RunIds, RunRecord
from prefect_experiments.results import DIRECTION, Results, result_frame, results_of
from prefect_experiments.results.stored import StoredRuns
from prefect_experiments.store import ExperimentRecord, Link, Store, reopen_store
from prefect_experiments.store.failures import CallCount

if TYPE_CHECKING:
    import pandas as pd

_KEYS = (
    "experiment_id",
    "dataset_id",
    "dataset_version_id",
    "task_runs",
    "evaluation_runs",
    "experiment_metadata",
    "project_name",
    "url",
    "summary",
    "comparison",
    "verdict",
)


def _plain_ids(ids: RunIds) -> list[Any]:
    return [ids.experiment_id, ids.remote_experiment_id, [[*key, name] for key, name in ids.remote.items()]]


def _ids_of(plain: Any) -> RunIds:
    own, remote, names = plain
    return RunIds(own, remote, {(position, repetition): name for position, repetition, name in names})


def _plain_baseline(baseline: Any) -> str | None:
    return baseline.to_json_text() if isinstance(baseline, RanExperiment) else None


def _baseline_of(plain: Any) -> RanExperiment | None:
    return None if plain is None else RanExperiment.from_json_text(plain)


class RanExperiment(OnPages, Printed, InJson, Mapping[str, Any]):
    """A finished experiment: its ids at once, its results read from the store when asked for.

    Reads as an object and as a mapping: ``ran.experiment_id``, ``ran["experiment_id"]``.

    It can be pickled. Ids, counts, the summary, what failed, the comparison and the verdict travel, and what has been
    read of it before; the rest is read from the store, where that is in reach. Of the store only the address travels:
    its password is what the environment says where it arrives. A store in memory is read before. The same is in JSON,
    as Prefect's JSON serializer writes it, but for a baseline that is a table.

    Attributes:
        reused: runs that were in the store already.
        ran: runs that this call made.
        evaluated: evaluator calls that this call made.
        link: its counterpart in a backend; then the ids here are that backend's.
        waiting: results that the backend does not have yet.
        logged: runs that were made elsewhere and came with this call.
        asked: the evaluators that this call was to use; ``None`` where it made no calls.
        baseline: what it was compared with: a `RanExperiment`, or a table of results.
        comparison: with the baseline, where one was given.
        verdict: the gate's, where one was given.
    """

    def __init__(
        self,
        store: Store,
        record: ExperimentRecord,
        *,
        reused: int = 0,
        ran: int = 0,
        evaluated: int = 0,
        link: Link | None = None,
        waiting: int = 0,
    ) -> None:
        self._store = store
        self._store_url = store.portable_url
        self._record = record
        self.reused = reused
        self.ran = ran
        self.evaluated = evaluated
        self.link = link
        self.waiting = waiting
        self.logged = 0
        self.asked: tuple[str, ...] | None = None
        self.baseline: Any = None
        self.comparison: Comparison | None = None
        self.verdict: Verdict | None = None

    @functools.cached_property
    def _store(self) -> Store:
        """The store, of one that was unpickled."""
        return reopen_store(self._store_url)

    in_json: ClassVar[Mapping[str, Any]] = {
        "_store_url": str,
        "_record": ExperimentRecord,
        **dict.fromkeys(("reused", "ran", "evaluated", "waiting", "logged"), int),
        "link": Link | None,
        "asked": tuple[str, ...] | None,
        "baseline": Annotated[Any, PlainSerializer(_plain_baseline), BeforeValidator(_baseline_of)],
        "comparison": Comparison | None,
        "verdict": Verdict | None,
        "summary": Summary,
        "failures": Failures,
        "directions": Said,
        "meant_for": dict[str, tuple[str, ...]],
        "_ids": Annotated[RunIds, PlainSerializer(_plain_ids), BeforeValidator(_ids_of)],
        "_runs": list[RunRecord],
        "_evaluations": list[EvaluationRecord],
        "examples": dict[str, Example],
        "_notes": list[EvaluationRecord],
    }

    def __getstate__(self) -> dict[str, Any]:
        read = [self.summary, self.failures, self.directions, self.meant_for, self._ids]  # and so kept
        state = {**self.__dict__}
        store: Store | None = state.pop("_store", None)
        if store is not None and store.database.in_memory:
            read += [self._runs, self._evaluations, self.examples]
            state = {**self.__dict__, "_notes": self._annotations()}
            del state["_store"]
        return state

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self)] = other = object.__new__(type(self))
        other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return other

    @property
    def store(self) -> Store | None:
        """The store that its results are in; ``None`` where they came along with it."""
        return None if "_notes" in self.__dict__ else self._store

    @property
    def record(self) -> ExperimentRecord:
        """The experiment as the store has it."""
        return self._record

    @property
    def experiment(self) -> Experiment:
        """The experiment itself, with the ids of its backend."""
        kept, link = self._record.experiment, self.link
        if link is None:
            return kept
        return dataclasses.replace(
            kept,
            id=link.remote_id,
            dataset_id=link.remote_dataset_id,
            dataset_version_id=link.remote_version_id,
            project_name=link.project_name,
        )

    @property
    def url(self) -> str | None:
        """Where to look at it, where the backend has a page for it."""
        return None if self.link is None else self.link.url

    @property
    def experiment_id(self) -> str:
        """The experiment's id."""
        return self.experiment.id

    @property
    def dataset_id(self) -> str:
        """The dataset's id."""
        return self.experiment.dataset_id

    @property
    def dataset_version_id(self) -> str:
        """The version it is pinned to."""
        return self.experiment.dataset_version_id

    @property
    def experiment_metadata(self) -> Mapping[str, Any]:
        """What was given as `experiment_metadata`."""
        return dict(self.experiment.metadata)

    @property
    def flow_run_url(self) -> str | None:
        """Prefect's page of the flow run that made it last, where the server is not one that ended with the process."""
        url = self.experiment.origin.get(FLOW_RUN_URL)
        return url if isinstance(url, str) else None

    @property
    def project_name(self) -> str | None:
        """The project its traces go to, where there are traces."""
        return self.experiment.project_name

    @functools.cached_property
    def task_runs(self) -> list[ExperimentRun]:
        """Every run, in dataset order and then by repetition."""
        return [run.view(self._ids) for run in self._runs]

    @property
    def failed(self) -> list[ExperimentRun]:
        """The runs whose task failed; `resume_experiment` makes them again, and none of the others."""
        return [run for run in self.task_runs if run.status == "error"]

    @functools.cached_property
    def examples(self) -> dict[str, Example]:
        """The examples that it is on, by id, in dataset order."""
        every = self._store.results.examples_of(self._record.version)
        if self._record.positions is None:
            return every
        used = set(self._record.positions)
        outline = self._store.datasets.outline(self._record.version)
        return {example_id: every[example_id] for position, example_id, _ in outline if position in used}

    @property
    def example_ids(self) -> tuple[str, ...]:
        """The ids of these, without reading the examples."""
        if "examples" in self.__dict__:
            return tuple(self.examples)
        used = None if self._record.positions is None else set(self._record.positions)
        outline = self._store.datasets.outline(self._record.version)
        return tuple(example_id for position, example_id, _ in outline if used is None or position in used)

    @functools.cached_property
    def meant_for(self) -> dict[str, tuple[str, ...]]:
        """By evaluator, the ids of the examples that it is meant for; of those that are not meant for all."""
        chosen = chosen_positions(self._record)
        if not chosen:
            return {}
        ids = {place: name for place, name, _ in self._store.datasets.outline(self._record.version)}
        return {evaluator: tuple(ids[place] for place in places) for evaluator, places in chosen.items()}

    @property
    def annotations(self) -> list[Annotation]:
        """What people have said of its runs, in dataset order."""
        return [note.annotation(self._ids) for note in self._annotations()]

    def _annotations(self) -> Sequence[EvaluationRecord]:
        """Read anew each time, as people go on; unless they came along."""
        notes: Sequence[EvaluationRecord] | None = self.__dict__.get("_notes")
        return self._store.results.annotations(self._ids.experiment_id) if notes is None else notes

    @functools.cached_property
    def evaluation_runs(self) -> list[Evaluation]:
        """Every evaluation, in dataset order."""
        return [evaluation.view(self._ids) for evaluation in self._evaluations]

    @functools.cached_property
    def _runs(self) -> list[RunRecord]:
        return self._store.results.runs(self._ids.experiment_id)[0]

    @functools.cached_property
    def _evaluations(self) -> list[EvaluationRecord]:
        return self._store.results.evaluations(self._ids.experiment_id)

    @functools.cached_property
    def _ids(self) -> RunIds:
        """What the runs are called."""
        return self._store.links.run_ids(self._record.experiment.id, self.link)

    @functools.cached_property
    def summary(self) -> Summary:
        """Scores with denominators and intervals, errors, latency, tokens, cost."""
        return summarize(self._store, self._record)

    @functools.cached_property
    def failures(self) -> Failures:
        """The errors of the task and of the evaluators: those that say the same together, the commonest first."""
        summary = self.summary
        runs = CallCount(summary.n_runs, summary.n_errors)
        if not runs.failed and not any(metric.n_errors for metric in summary.metrics.values()):
            return Failures(task=runs)
        return failures_of(self._store, self._record, runs=runs)

    @functools.cached_property
    def directions(self) -> Said:
        """By evaluator, what its evaluations say of which scores are better; of those that say it."""
        return said_directions(self._store.results.said_of(self._record.experiment.id, DIRECTION))

    def to_dataframe(self) -> pd.DataFrame:
        """One row a run.

        Columns: ``id, example_id, repetition_number, input, expected, output, status, error, latency_ms,
        token_count, total_cost, trace_id``, for each evaluator ``eval.NAME.score|label|explanation|error``,
        ``eval.NAME.metadata.direction`` where an evaluation says which scores are better, and ``metadata.KEY``
        for what else was logged of runs that were made elsewhere. Evaluations that another client put on a
        failed run are in it; they count nowhere.
        """
        return result_frame(dataclasses.replace(self.results, people=()))

    @property
    def results(self) -> Results:
        """The runs with their evaluations and annotations, as tables of results are read."""
        return results_of(
            f"experiment {self.experiment.name!r}",
            self._ids,
            self._runs,
            self._evaluations,
            self.examples,
            self._annotations(),
            self.experiment.evaluators,
            self.meant_for,
        )

    @property
    def stored(self) -> StoredRuns | None:
        """The runs as the store has them, never all in memory; ``None`` where they came along, of a store in memory."""
        return None if "_notes" in self.__dict__ else StoredRuns(self._store, self._record, self._ids)

    def to_dict(self) -> dict[str, Any]:
        """Ids, counts, errors and the summary as plain values; the runs are left to `to_dataframe`."""
        records = ("summary", "comparison", "verdict")
        plain = {key: getattr(self, key) for key in _KEYS if key not in ("task_runs", "evaluation_runs", *records)}
        judged = {key: None if (value := getattr(self, key)) is None else value.to_dict() for key in records}
        plain["flow_run_url"] = self.flow_run_url
        counts = {"reused": self.reused, "ran": self.ran, "evaluated": self.evaluated}
        failed = {
            "errors": [error.to_dict() for error in self.failures.errors],
            "every_call_failed": self.failures.every_call_of(self.asked),
        }
        return {**plain, "experiment_name": self.experiment.name, **counts, **failed, **judged}

    def __getitem__(self, key: str) -> Any:
        if key not in _KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)

    def __repr__(self) -> str:
        experiment, summary = self.experiment, self.__dict__.get("summary")  # not read from the store for a line
        counts = f"{self.logged:,} logged" if self.logged else f"{self.reused:,} reused, {self.ran:,} ran"
        said = [f"{brief(experiment.name)} on {brief(experiment.dataset_name)}", experiment.id, counts]
        said += [f"{summary.n_errors:,} failed"] if isinstance(summary, Summary) else []
        return line("RanExperiment", [*said, *([self.verdict.status] if self.verdict is not None else [])])
