"""What a backend offers: the seam between the rest of the package and wherever experiments are kept.

`Datasets` and `Experiments` are the management calls, synchronous because people call them.
`Remote` adds what an experiment that is kept elsewhere needs: a counterpart there, and a `Pusher`
that takes results. What one backend can and another cannot is in its `Capabilities`. A new backend is a folder that
has these and a `Backend` that describes it, and an entry point that names that (`registry`); the engine, the flows and
the client stay as they are, and `prefect_experiments.testing` says whether all is as it should be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BeforeValidator

from prefect_experiments.models import (
    AnnotateRecordInput,
    Dataset,
    DatasetInfo,
    DatasetVersion,
    Example,
    Experiment,
)
from prefect_experiments.options import Options, described
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

    def holding(self, name: str, content: Sequence[Example]) -> Dataset | None:
        """The newest version of the dataset of a name, if it has just this content; ``None`` where it has another.

        Raises:
            NotFound: no such dataset.
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
    """Experiments, by id, name, ``tag:NAME``, ``latest`` or ``latest:NAME``; see `store.named`."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do and another cannot.

    Shared code and `prefect_experiments.testing` ask for these, never for a backend's name.
    """

    versions_stay: bool = True
    """What was read of a dataset version once is true for ever; else it is read anew each time."""
    empty_experiments: bool = True
    """`Remote.begin` makes the experiment; else the `Pusher` makes it with its first results."""
    late_evaluations: bool = True
    """An evaluation is taken after its run; else only together with it."""
    experiments_without_dataset: bool = False
    """There are experiments that are on no dataset."""
    names_unique: bool = False
    """A dataset has one experiment of a name at most."""
    example_counts: bool = True
    """It says how many examples a dataset has."""
    examples_in_order: bool = True
    """The examples of a dataset come back in the order that they were given in."""
    dataset_descriptions: bool = True
    """A dataset can have a description."""
    spaces: bool = False
    """It is divided into spaces: it has `HasSpaces.in_space`."""
    spans: bool = False
    """It keeps traces: it has `HasSpans.spans`."""
    metadata_changes: bool = False
    """What is known of an experiment can be added to later: it has `HasMetadata.add_metadata`."""


@runtime_checkable
class Remote(Protocol):
    """A backend outside this machine's store.

    Attributes:
        name: such as ``phoenix``: that of its `Backend`.
        target: the name, one space, and where it is, without secrets; what the store knows it by.
        capabilities: what it can do.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def target(self) -> str:
        """See above."""

    @property
    def capabilities(self) -> Capabilities:
        """See above."""

    @property
    def datasets(self) -> Datasets:
        """Its datasets."""

    @property
    def experiments(self) -> Experiments:
        """Its experiments."""

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

        A backend without `Capabilities.empty_experiments` sees that it can be made, and gives `Draft.experiment_id`
        as its id; its `Pusher` makes it, and has `store.links.begun` remember the id that it gets.

        Raises:
            AlreadyExists: names are unique there, and this one is in use.
        """

    def pull(self, experiment: Experiment) -> PulledResults:
        """Everything that is there of an experiment."""

    def pusher(self, store: Store, link: Link) -> AbstractAsyncContextManager[Pusher]:
        """What takes an experiment's results, in the running loop."""

    def page_url(self, experiment: Experiment) -> str | None:
        """The experiment's page for people, where it is known."""

    def trace_export(self) -> Any:
        """Where the spans of an experiment go (a `TraceExport`); ``None`` for nowhere."""


class HasMetadata(Protocol):
    """What a `Remote` with `Capabilities.metadata_changes` has besides."""

    def add_metadata(self, experiment_id: str, metadata: Mapping[str, Any]) -> None:
        """Add to an experiment's metadata, in the place of keys that are there already."""


class HasSpaces(Protocol):
    """What a `Remote` with `Capabilities.spaces` has besides."""

    def in_space(self, space: str) -> Remote:
        """The same backend in another space, by id or name."""


class HasSpans(Protocol):
    """What a `Remote` with `Capabilities.spans` has besides."""

    @property
    def spans(self) -> Spans:
        """The traces that it keeps."""


class Env:
    """Marks a field of settings with the environment variables that it is read from where it is not given.

    The first that is set counts.
    """

    def __init__(self, *names: str) -> None:
        self.names = names


AsText = BeforeValidator(lambda value: None if value is None else str(value))
"""Marks a text that may be given as something that says it, such as a URL of some library."""


class BackendSettings(Options):
    """Base of what a backend has to be told: a field for each option, with a docstring under it.

    The fields are the keywords of ``Client(backend=, ...)``; what holds a secret has ``Field(repr=False)``.
    """

    @classmethod
    def variables(cls, name: str) -> tuple[str, ...]:
        """The environment variables that an option is read from."""
        return next((found.names for found in cls.model_fields[name].metadata if isinstance(found, Env)), ())

    @classmethod
    def from_environment(cls, name: str) -> str:
        """What the environment says of an option, the empty text for nothing."""
        return next(filter(None, (os.environ.get(variable) for variable in cls.variables(name))), "")

    @classmethod
    def explained(cls) -> dict[str, str]:
        """What each option is, and the environment variables that it is read from, in a sentence."""
        words = {name: text.rstrip(".") for name, text in described(cls).items()}
        read = {name: " or ".join(cls.variables(name)) for name in words}
        return {name: f"{text}; else {read[name]}" if read[name] else text for name, text in words.items()}


S = TypeVar("S", bound=BackendSettings)


@dataclass(frozen=True, slots=True)
class Backend(Generic[S]):
    """A backend as it is found by its entry point.

    Attributes:
        name: the entry point's.
        settings: what it has to be told.
        open: makes a `Remote`; contacts nothing.
        address: the option that says where it is.
    """

    name: str
    settings: type[S]
    open: Callable[[S], Remote]
    address: str = "base_url"
