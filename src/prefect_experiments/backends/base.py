"""What a backend offers: the seam between the rest of the package and Phoenix, AX or the store.

`Datasets` and `Experiments` are the management calls, synchronous because people call them.
`Remote` adds what an experiment that is kept elsewhere needs: a counterpart there, and a `Pusher`
that takes results. A new backend is a folder here that has these; the engine, the flows and the
client stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from prefect_experiments.models import (
    AnnotateRecordInput,
    Dataset,
    DatasetInfo,
    DatasetVersion,
    Example,
    Experiment,
)
from prefect_experiments.pages import Pagination
from prefect_experiments.records import EvaluatedRun
from prefect_experiments.store import Link, Store
from prefect_experiments.store.outbox import Outgoing, OutgoingEvaluation

if TYPE_CHECKING:
    import pandas as pd


class Datasets(Protocol):
    """Datasets, by name or id."""

    def create(
        self,
        name: str,
        content: Sequence[Example],
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """A new dataset.

        Raises:
            AlreadyExists: the name is in use.
        """

    def append(self, dataset: str, content: Sequence[Example]) -> Dataset:
        """A new version with further examples at its end."""

    def update(self, dataset: str, content: Sequence[Example]) -> Dataset:
        """A new version in which these examples, by id, are as given; the others stay as they are."""

    def get(self, dataset: str, *, version: str | None = None, splits: Sequence[str] = ()) -> Dataset:
        """A dataset with its examples."""

    def info(self, dataset: str) -> DatasetInfo:
        """A dataset without its examples."""

    def page(self, *, limit: int, cursor: str | None) -> tuple[list[DatasetInfo], Pagination]:
        """Datasets, newest first."""

    def versions(self, dataset: str) -> Sequence[DatasetVersion]:
        """All versions, newest first."""

    def delete(self, dataset: str) -> None:
        """Delete a dataset with every experiment on it."""


class Experiments(Protocol):
    """Experiments, by id, name, ``tag:NAME`` or ``latest``."""

    def page(self, *, dataset: str | None, limit: int, cursor: str | None) -> tuple[list[Experiment], Pagination]:
        """Experiments, newest first."""

    def find(self, experiment: str, dataset: str | None = None) -> Experiment:
        """One experiment.

        Raises:
            NotFound: there is none.
            AmbiguousName: several; they are listed.
        """

    def delete(self, experiment_id: str) -> None:
        """Delete an experiment with all that belongs to it."""

    def check_name(self, name: str) -> None:
        """Refuse a name that no experiment can have there, by what is known without asking."""

    def tag(self, experiment_id: str, tag: str) -> None:
        """Give a tag; another experiment of the same dataset that has it loses it."""

    def untag(self, experiment_id: str, tag: str) -> None:
        """Take a tag away."""

    def annotate(
        self, annotations: Sequence[AnnotateRecordInput], annotator: str | None, experiment_id: str | None = None
    ) -> int:
        """Write people's annotations, on runs of an experiment where it is known; how many were written."""


class Spans(Protocol):
    """Traces that applications have left."""

    def frame(
        self,
        project: str,
        *,
        start_time: datetime | None,
        end_time: datetime | None,
        limit: int,
        span_kind: str | Sequence[str] | None,
        status_code: str | Sequence[str] | None,
        attributes: Mapping[str, Any] | None,
        root_spans_only: bool,
    ) -> pd.DataFrame:
        """One row a span."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An experiment to be made in a backend.

    Attributes:
        dataset_id, version_id: empty for an experiment without a dataset.
        experiment_id: what the store calls it.
    """

    name: str
    dataset_id: str
    version_id: str
    repetitions: int
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    experiment_id: str = ""


@dataclass(frozen=True, slots=True)
class PulledResults:
    """Everything that a backend has of an experiment.

    Attributes:
        runs: with what was said of them and the backend's ids of the runs. Positions are looked up by whoever pulls;
            an evaluation's `evaluator` and `fingerprint` are known where we have left word of them.
        missing: (example id, repetition) of the runs that the backend lacks or has as failed;
            ``None`` where it cannot say.
        task_fingerprint: of the task, where we have left word of it.
    """

    runs: Sequence[EvaluatedRun]
    missing: Sequence[tuple[str, int]] | None = None
    task_fingerprint: str | None = None


class Pusher(Protocol):
    """Takes the results of one experiment.

    The calls that push raise `BackendUnavailable` for trouble that passes, `BackendRefused`, `NotFound` or
    `InvalidSetting` for what does not; a result that is there already is success.

    Attributes:
        lanes: how many calls to make at once.
    """

    @property
    def lanes(self) -> int:
        """See above."""

    def waiting(self, limit: int, *, running: bool) -> Sequence[Outgoing]:
        """What the backend lacks and can take now, about `limit` of it; while `running`, more may come. Blocking."""

    async def push_run(self, run: Any) -> str:
        """Take a run, as `waiting` gave it; the id that it has there."""

    async def push_evaluation(self, evaluation: OutgoingEvaluation) -> None:
        """Take an evaluation on a run that was taken."""


class Remote(Protocol):
    """A backend outside this machine's store.

    Attributes:
        name: such as ``phoenix``.
        target: the name and where it is, without secrets; what the store knows it by.
        versions_stay: whether what was read of a dataset version once is true for ever.
        takes_alone: whether it has experiments that are on no dataset.
    """

    versions_stay: bool
    takes_alone: bool

    @property
    def name(self) -> str:
        """Such as ``phoenix``."""

    @property
    def target(self) -> str:
        """See above."""

    @property
    def datasets(self) -> Datasets:
        """Its datasets."""

    @property
    def experiments(self) -> Experiments:
        """Its experiments."""

    @property
    def spans(self) -> Spans:
        """The traces that it keeps."""

    def check(self) -> None:
        """Make sure that it is there and lets us in.

        Raises:
            InvalidSetting: a wrong address or key.
            BackendUnavailable: nothing answers.
        """

    def put_version(self, name: str, dataset: Dataset, at: tuple[str, str] | None = None) -> tuple[str, str]:
        """Make sure that a dataset of this name has a version with this content; its ids.

        Args:
            name: the dataset's.
            dataset: the content.
            at: the ids of a version that had it when last seen.
        """

    def newest_version(self, dataset_id: str) -> str:
        """The id of the newest version."""

    def begin(self, draft: Draft) -> Experiment:
        """A new experiment.

        A backend that has no empty ones sees that it can be made, and gives `Draft.experiment_id` as its id; its
        `Pusher` makes it.
        """

    def pull(self, experiment: Experiment) -> PulledResults:
        """Everything that is there of an experiment."""

    def pusher(self, store: Store, link: Link) -> AbstractAsyncContextManager[Pusher]:
        """What takes an experiment's results, in the running loop."""

    def page_url(self, experiment: Experiment) -> str | None:
        """The experiment's page for people, where it is known."""

    def trace_export(self) -> Any:
        """Where the spans of an experiment go (a `TraceExport`); ``None`` for nowhere."""
