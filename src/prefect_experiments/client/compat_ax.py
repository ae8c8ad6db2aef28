"""The calls of Arize AX's own client, in its spelling: thin, and all of them here.

A ``space`` is accepted wherever AX's client takes one. ``dataset_id`` and ``experiment_id``, as Phoenix's client and
older ones of AX call a dataset and an experiment, are understood as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.client import compat_phoenix as phoenix
from prefect_experiments.client.ax_rows import ax_examples, ax_frame
from prefect_experiments.client.datasets import dataset_key, one_of
from prefect_experiments.errors import InvalidInput
from prefect_experiments.evaluators import ax_evaluators
from prefect_experiments.experiment.arguments import ExperimentKey, LogRequest, NewArguments, Rows, RunArguments
from prefect_experiments.experiment.places import experiment_key
from prefect_experiments.models import AnnotateRecordInput, Dataset, Example, Experiment
from prefect_experiments.options import AsIs, Options, Sample
from prefect_experiments.pages import DatasetList, ExampleList, ExperimentList, ExperimentRunList
from prefect_experiments.signatures import method_takes

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 100  # as many as every backend gives at once

Calls = TypeVar("Calls", bound="Datasets | Experiments")


class InSpace(Options):
    """Where a call is made."""

    space: Annotated[str | None, AsIs] = None
    """name or id of AX's space; by default the client's. On other backends there are none, and it means nothing."""


class Page(Options):
    """Which part of a list."""

    limit: Annotated[int, AsIs] = 50
    """how many a page, at most 1,000."""
    cursor: Annotated[str | None, AsIs] = None
    """where the page begins, from the page before."""


class PageOrAll(Page):
    """A part of a list, or all of it."""

    all: bool = False
    """all at once, from the cursor on."""


class OnDataset(InSpace):
    """A dataset in a space, or none."""

    dataset: Annotated[str | Dataset | None, AsIs] = None
    """name or id of a dataset, or a `Dataset`."""
    dataset_id: str | None = None
    """another word for `dataset`."""

    @property
    def given(self) -> str | Dataset | None:
        """What was given of the two."""
        found: str | Dataset | None = one_of(dataset=self.dataset, dataset_id=self.dataset_id)
        return found

    @property
    def key(self) -> str:
        """The dataset's id or name."""
        return dataset_key(self.given)


class OfExperiment(InSpace):
    """An experiment in a space."""

    experiment: Annotated[ExperimentKey | None, AsIs] = None
    """id, name, ``tag:NAME``, ``latest``, ``latest:NAME``, or an object with its id."""
    experiment_id: str | None = None
    """another word for `experiment`."""
    dataset: str | None = None
    """the dataset that a name, a tag or ``latest`` is looked for in."""
    dataset_id: str | None = None
    """another word for `dataset`."""

    @property
    def words(self) -> dict[str, Any]:
        """The experiment and its dataset, in our words."""
        experiment = one_of(experiment=self.experiment, experiment_id=self.experiment_id)
        dataset = one_of(dataset=self.dataset, dataset_id=self.dataset_id)
        return {"experiment": experiment_key(experiment), "dataset": dataset}


class AxExamples(Options):
    """Rows of AX's."""

    examples: Annotated[Rows | str | Path, AsIs]
    """mappings, a DataFrame, or the path of a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file. With a column
    ``input`` as for `create_dataset`. Without one all columns are the input, but ``attributes.output.value``, which is
    the expected output."""


class CreateDataset(InSpace, AxExamples):
    """What `Datasets.create` takes."""

    name: Annotated[str, AsIs]
    """not in use yet."""
    force_http: bool = False
    """accepted, and means nothing here: everything goes by HTTP."""


class AppendExamples(OnDataset, AxExamples):
    """What `Datasets.append_examples` takes."""


class UpdateExamples(OnDataset):
    """What `Datasets.update_examples` takes."""

    examples: Annotated[Sequence[Mapping[str, Any] | Example], AsIs]
    """each with its ``id``; one with an id that is new comes at the end."""


class ListDatasets(Page, InSpace):
    """What `Datasets.list` takes."""

    name: Annotated[str | None, AsIs] = None
    """only those whose name holds this, in upper or lower case; a page may then have fewer than `limit`, and none is
    the last."""


class ListExamples(PageOrAll, OnDataset):
    """What `Datasets.list_examples` takes."""

    version_id: str | None = None
    """id or number of a version; by default the newest."""
    dataset_version_id: str | None = None
    """another word for `version_id`."""


class ListExperiments(PageOrAll, OnDataset):
    """What `Experiments.list` takes."""


class ListRuns(PageOrAll, OfExperiment):
    """What `Experiments.list_runs` takes."""

    failed: bool = False
    """only the runs whose task failed, or an evaluator of which failed."""


class AnnotateRuns(OfExperiment):
    """What `Experiments.annotate_runs` takes."""

    annotations: Annotated[Sequence[AnnotateRecordInput], AsIs]
    """for each run its annotations; ``record_id`` is the run's id."""
    annotator: Annotated[str | None, AsIs] = None
    """who says so."""


class CreateInSpace(LogRequest, InSpace):
    """What `Experiments.create` takes."""

    dataset_id: str | None = None
    """another word for `dataset`."""
    force_http: bool = False
    """accepted, and means nothing here: everything goes by HTTP."""


class RunInSpace(NewArguments, InSpace):
    """What `Experiments.run` takes: what AX's client does, and what `run_experiment` takes besides."""

    name: str
    """the experiment's."""
    metadata: Annotated[Mapping[str, Any] | None, AsIs] = None
    """the experiment's, a JSON object."""
    dry_run: bool = False
    """try the first examples; nothing is written."""
    dry_run_count: Annotated[int, Field(ge=1)] = 10
    """how many of them."""
    timeout: Annotated[float | None, Field(gt=0)] = 120
    print_summary: bool = False
    force_http: bool = False
    """accepted, and means nothing here: everything goes by HTTP."""

    def ours(self) -> RunArguments:
        """As `run_experiment` takes them."""
        changed: dict[str, Any] = {"experiment_name": self.name, "experiment_metadata": self.metadata}
        changed["evaluators"] = ax_evaluators(self.evaluators)
        if hasattr(self.dataset, "__iter__") and not isinstance(self.dataset, str | Mapping | Dataset):
            changed["dataset"] = ax_examples(self.dataset)  # rows, maybe with AX's columns
        if self.dry_run:
            changed |= {"dry_run": self.dry_run_count, "sample": Sample(n=self.dry_run_count, method="head")}
        return RunArguments.of(self, **changed)

    def answer(self, ran: RanExperiment) -> tuple[Experiment | None, pd.DataFrame]:
        """What `run_experiment` gave, as `Experiments.run` gives it."""
        return None if self.dry_run else ran.experiment, ax_frame(ran)


class Datasets(phoenix.Datasets):
    """``client.datasets``."""

    @method_takes(CreateDataset)
    def create(self, given: CreateDataset) -> Dataset:
        """A new dataset from rows with whatever columns, as AX has them; a task finds them in ``dataset_row``.

        Raises:
            InvalidDataset: content that cannot be used; nothing is written.
            AlreadyExists: the name is in use.
        """
        return in_space(self, given).create_dataset(name=given.name, examples=ax_examples(given.examples))

    @method_takes(AppendExamples)
    def append_examples(self, given: AppendExamples) -> Dataset:
        """A new version with further examples at its end; rows as for `create`.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an id that the dataset has already.
        """
        return in_space(self, given).add_examples_to_dataset(dataset=given.key, examples=ax_examples(given.examples))

    @method_takes(OnDataset)
    def get(self, given: OnDataset) -> Dataset:
        """A dataset by name or id, with its examples.

        Raises:
            NotFound: there is none.
        """
        return in_space(self, given).get_dataset(dataset=given.key)

    @method_takes(ListDatasets)
    def list(self, given: ListDatasets) -> DatasetList:
        """Datasets, newest first."""
        there, name = in_space(self, given), given.name
        page = there.list_datasets(limit=given.limit, cursor=given.cursor)
        if name is None:
            return page
        while True:
            found = [dataset for dataset in page.datasets if name.lower() in dataset.name.lower()]
            if found or not page.pagination.has_more:
                return DatasetList(found, page.pagination)
            page = there.list_datasets(limit=given.limit, cursor=page.pagination.next_cursor)

    @method_takes(OnDataset)
    def delete(self, given: OnDataset) -> None:
        """Delete a dataset with all its versions and all experiments on it."""
        in_space(self, given).delete_dataset(dataset=given.key)

    @method_takes(ListExamples)
    def list_examples(self, given: ListExamples) -> ExampleList:
        """Examples in dataset order.

        Returns:
            The examples; ``to_df()`` has ``id`` and flat columns.
        """
        version = given.version_id or given.dataset_version_id or None
        return super(Datasets, in_space(self, given)).list_examples(
            dataset=given.key, version_id=version, **Page.of(given), all=given.all
        )

    @method_takes(UpdateExamples)
    def update_examples(self, given: UpdateExamples) -> Dataset:
        """A new version in which these examples are as given, by their ids; the others stay as they are.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an example without an id.
        """
        return super(Datasets, in_space(self, given)).update_examples(dataset=given.key, examples=given.examples)


class Experiments(phoenix.Experiments):
    """``client.experiments``. An experiment is an id, a name, ``tag:NAME``, ``latest``, or an object with its id.

    ``latest:NAME`` leads to the newest experiment of a name, or on the dataset of that name.
    """

    @method_takes(CreateInSpace)
    def create(self, arguments: CreateInSpace) -> Experiment:
        """Log an experiment that was run elsewhere, without Prefect; see `prefect_experiments.log_experiment`.

        Returns:
            The experiment, with the ids of the backend; the one that is there, where these very results
            were logged before. What was left out is said in a warning of the logger ``prefect_experiments``.

        Raises:
            InvalidDataset: results that cannot be used, or do not fit the dataset; nothing is written.
            NotFound: no such dataset or version.
            BackendUnavailable: the backend does not answer.
        """
        from prefect_experiments.experiment.log import log_directly

        dataset = one_of(dataset=arguments.dataset, dataset_id=arguments.dataset_id)
        request = LogRequest.of(arguments, dataset=dataset)
        return log_directly(in_space(self, arguments).client, request).experiment

    @method_takes(RunInSpace)
    def run(self, arguments: RunInSpace) -> tuple[Experiment | None, pd.DataFrame]:
        """`prefect_experiments.run_experiment`, in AX's spelling, with all that it takes besides.

        Rows may have AX's columns, as for `datasets.create`. What evaluators return is read as AX's client does:
        ``(score, text)`` and ``[score, text]`` are score and explanation, where `run_experiment` takes a pair for score
        and label.

        Returns:
            The experiment (``None`` for a dry run), and one row a run: the columns of
            ``RanExperiment.to_dataframe()``, and those that AX's client gives: ``result.trace.id``,
            ``result.trace.timestamp`` and ``latency`` (milliseconds), ``execution_status``
            (``COMPLETED`` or ``FAILED``), ``exceptions``, ``eval.NAME.trace.id|trace.timestamp|metadata.KEY``.

        Raises:
            InvalidInput: anything that cannot be used, before anything is run.
            NotFound: no such dataset.
            ExperimentStopped: a task failed and `exit_on_error` was set.
        """
        return arguments.answer(in_space(self, arguments).run_experiment(**arguments.ours()))

    @method_takes(ListExperiments)
    def list(self, given: ListExperiments) -> ExperimentList:
        """Experiments, newest first; with a dataset, only those on it."""
        there, dataset = in_space(self, given), given.given
        some = partial(phoenix.Experiments.list, there, dataset=dataset, limit=_AT_ONCE if given.all else given.limit)
        page = some(cursor=given.cursor)
        found = page.experiments
        while given.all and page.pagination.has_more:
            page = some(cursor=page.pagination.next_cursor)
            found += page.experiments
        return ExperimentList(found, page.pagination)

    @method_takes(OfExperiment)
    def get(self, given: OfExperiment) -> Experiment:
        """One experiment.

        Raises:
            NotFound: there is none.
            AmbiguousName: several have the name; they are listed.
        """
        return super(Experiments, in_space(self, given)).get(**given.words)

    @method_takes(OfExperiment)
    def delete(self, given: OfExperiment) -> None:
        """Delete an experiment with its runs, evaluations, annotations and tags.

        From a backend's client it is deleted there, and what the store has of it as well.
        """
        super(Experiments, in_space(self, given)).delete(**given.words)

    @method_takes(ListRuns)
    def list_runs(self, given: ListRuns) -> ExperimentRunList:
        """Runs in dataset order, then by repetition.

        Returns:
            The runs; ``to_df()`` has the columns of `RanExperiment.to_dataframe` and
            ``annotation.NAME.score|label|text``.
        """
        return super(Experiments, in_space(self, given)).list_runs(
            **given.words, **Page.of(given), all=given.all, failed=given.failed
        )

    @method_takes(AnnotateRuns)
    def annotate_runs(self, given: AnnotateRuns) -> int:
        """Write people's annotations; one of the same name on the same run is replaced.

        Returns:
            How many annotations were written.

        Raises:
            NotFound: a run that is not in the store; then nothing is written.
            InvalidInput: a run of another experiment, where one is given, or, where a backend would take the annotation
                for the evaluator's, the name of an evaluator; then nothing is written.
        """
        words = given.words if given.experiment or given.experiment_id else {}
        return super(Experiments, in_space(self, given)).annotate_runs(
            annotations=given.annotations, annotator=given.annotator, **words
        )


def in_space(calls: Calls, given: InSpace) -> Calls:
    """The same calls in the space that is given.

    Raises:
        InvalidInput: it cannot name a space.
    """
    space: Any = given.space
    if space is not None and not isinstance(space, str):
        raise InvalidInput(f"space must be the name or the id of a space, got a value of type {type(space).__name__}")
    there: Any = calls.client.in_space(space)
    if there is calls.client:
        return calls
    found: Calls = there.datasets if isinstance(calls, Datasets) else there.experiments
    return found
