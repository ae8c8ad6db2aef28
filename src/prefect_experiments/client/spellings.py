"""The calls of Arize AX's own client, in its spelling: thin, and all of them here.

A ``space`` is accepted wherever AX's client takes one: its name or its id. Without it, the space is the one
that the `Client` was made with; on other backends there are none, and it means nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from prefect_experiments.client import datasets, experiments
from prefect_experiments.client.ax_rows import ax_examples
from prefect_experiments.client.ax_run import AxRunArguments, check_space
from prefect_experiments.models import (
    AnnotateRecordInput,
    Dataset,
    EvaluationResultFieldNames,
    Example,
    Experiment,
    ExperimentTaskFieldNames,
)
from prefect_experiments.pages import DatasetList, ExampleList, ExperimentList, ExperimentRunList
from prefect_experiments.signatures import method_takes

if TYPE_CHECKING:
    import pandas as pd

Rows = Sequence[Mapping[str, Any] | Example]
F = TypeVar("F", bound=Callable[..., Any])


def _in_space(method: F) -> F:
    """With ``space=``, a call is made by the client in that space. Phoenix's words for ids are understood as well."""

    @functools.wraps(method)
    def call(self: Datasets | Experiments, *, space: str | None = None, **arguments: Any) -> Any:
        check_space(space)
        for thing in ("dataset", "experiment"):
            if f"{thing}_id" in arguments:
                arguments.setdefault(thing, arguments.pop(f"{thing}_id"))
        there = self._client.in_space(space)
        if there is not self._client:
            self = there.datasets if isinstance(self, Datasets) else there.experiments
        return method(self, **arguments)

    return cast("F", call)


class Datasets(datasets.Datasets):
    """``client.datasets``."""

    @_in_space
    def create(
        self,
        *,
        name: str,
        examples: Rows | pd.DataFrame | str | Path,
        space: str | None = None,
        force_http: bool = False,  # noqa: ARG002 - everything goes by HTTP
    ) -> Dataset:
        """A new dataset from rows with whatever columns, as AX has them; a task finds them in ``dataset_row``.

        Args:
            name: not in use yet.
            examples: mappings, a DataFrame, or the path of a .csv, .json, .jsonl or .parquet file. With a
                column ``input`` as for `create_dataset`. Without one all columns are the input, but
                ``attributes.output.value``, which is the expected output.
            space: the space; see above.
            force_http: accepted, and means nothing here.

        Raises:
            InvalidDataset: content that cannot be used; nothing is written.
            AlreadyExists: the name is in use.
        """
        check_space(space)
        return self.create_dataset(name=name, examples=ax_examples(examples))

    @_in_space
    def append_examples(
        self, *, dataset: str | Dataset, examples: Rows | pd.DataFrame, space: str | None = None
    ) -> Dataset:
        """A new version with further examples at its end; rows as for `create`.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an id that the dataset has already.
        """
        check_space(space)
        return self.add_examples_to_dataset(dataset=dataset, examples=ax_examples(examples))

    @_in_space
    def get(self, *, dataset: str | Dataset, space: str | None = None) -> Dataset:
        """A dataset by name or id, with its examples.

        Raises:
            NotFound: there is none.
        """
        check_space(space)
        return self.get_dataset(dataset=dataset)

    @_in_space
    def list(
        self, *, name: str | None = None, space: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> DatasetList:
        """Datasets, newest first.

        Args:
            name: only those whose name holds this, in upper or lower case; a page may then have fewer
                than `limit`, and none is the last.
            space: the space; see above.
            limit: datasets a page, at most 1,000.
            cursor: where the page begins, from the page before.
        """
        check_space(space)
        page = self.list_datasets(limit=limit, cursor=cursor)
        if name is None:
            return page
        while True:
            found = [dataset for dataset in page.datasets if name.lower() in dataset.name.lower()]
            if found or not page.pagination.has_more:
                return DatasetList(found, page.pagination)
            page = self.list_datasets(limit=limit, cursor=page.pagination.next_cursor)

    @_in_space
    def delete(self, *, dataset: str | Dataset, space: str | None = None) -> None:
        """Delete a dataset with all its versions and all experiments on it."""
        check_space(space)
        self.delete_dataset(dataset=dataset)

    @_in_space
    def list_examples(
        self,
        *,
        dataset: str | Dataset,
        version_id: str | None = None,
        dataset_version_id: str | None = None,
        space: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        all: bool = False,
    ) -> ExampleList:
        """Examples in dataset order.

        Args:
            dataset: name or id.
            version_id: id or number of a version; default, the newest.
            dataset_version_id: the same as `version_id`.
            space: the space; see above.
            limit: examples a page, at most 1,000.
            cursor: where the page begins, from the page before.
            all: every example at once.

        Returns:
            The examples; ``to_df()`` has ``id`` and flat columns.
        """
        check_space(space)
        version = version_id or dataset_version_id or None
        return super().list_examples(dataset=dataset, version_id=version, limit=limit, cursor=cursor, all=all)

    @_in_space
    def update_examples(
        self,
        *,
        dataset: str | Dataset,
        examples: Rows,
        space: str | None = None,
    ) -> Dataset:
        """A new version in which these examples are as given, by their ids; the others stay as they are.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an example without an id.
        """
        check_space(space)
        return super().update_examples(dataset=dataset, examples=examples)


class Experiments(experiments.Experiments):
    """``client.experiments``. An experiment is an id, a name, ``tag:NAME``, ``latest``, or an object with its id."""

    @_in_space
    def create(
        self,
        *,
        name: str,
        experiment_runs: Any,
        dataset: Any = None,
        task_fields: ExperimentTaskFieldNames | None = None,
        evaluator_columns: Mapping[str, EvaluationResultFieldNames] | None = None,
        types: Mapping[str, str] | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        dataset_version: str | None = None,
        splits: str | Iterable[str] | None = None,
        allow: str | Iterable[str] = (),
        space: str | None = None,
        force_http: bool = False,  # noqa: ARG002 - everything goes by HTTP
    ) -> Experiment:
        """Log an experiment that was run elsewhere, without Prefect; see `prefect_experiments.log_experiment`.

        Args:
            name: as there, like all but the last two.
            dataset: what the results are of. Without one, the rows are examples of their own, by their column
                ``example_id`` or ``id``, else by their content: AX has the experiment in the space, on no
                dataset; the store keeps a dataset made from the rows; Phoenix takes none.
            experiment_runs: a DataFrame, a list of mappings, or the path of a file.
            task_fields: the columns of the example's id and of the output.
            evaluator_columns: by evaluator, the columns of its verdicts.
            types: by column of the results, what its cells are: ``text``, ``number``, ``bool`` or ``json``.
            description: a sentence for people.
            metadata: a JSON object.
            dataset_version: id or number of a version; default, the newest.
            splits: the results are of the examples of these splits only.
            allow: what is no error: ``"unknown"``, ``"doubled"``, ``"missing"``.
            space: the space; see above.
            force_http: accepted, and means nothing here.

        Returns:
            The experiment, with the ids of the backend; the one that is there, where these very results
            were logged before. What was left out is said in a warning of the logger ``prefect_experiments``.

        Raises:
            InvalidDataset: results that cannot be used, or do not fit the dataset; nothing is written.
            NotFound: no such dataset or version.
            BackendUnavailable: the backend does not answer.
        """
        from prefect_experiments.orchestration.arguments import LogRequest
        from prefect_experiments.orchestration.logged import log_directly

        check_space(space)
        request = LogRequest(
            name=name,
            dataset=dataset,
            experiment_runs=experiment_runs,
            task_fields=task_fields,
            evaluator_columns=evaluator_columns,
            types=types,
            description=description,
            metadata=metadata,
            dataset_version=dataset_version,
            splits=splits,
            allow=allow,
        )
        return log_directly(self._client, request).experiment

    @method_takes(AxRunArguments)
    def run(self, arguments: AxRunArguments) -> tuple[Experiment | None, pd.DataFrame]:
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
        check_space(arguments.space)
        there = self._client.in_space(arguments.space).experiments
        return arguments.answer(there.run_experiment(**arguments.ours()))

    @_in_space
    def list(
        self,
        *,
        dataset: str | Dataset | None = None,
        space: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        all: bool = False,
    ) -> ExperimentList:
        """Experiments, newest first.

        Args:
            dataset: only those on this dataset.
            space: the space; see above.
            limit: experiments a page, at most 1,000.
            cursor: where the page begins, from the page before.
            all: every experiment at once, from the cursor on.
        """
        check_space(space)
        page = super().list(dataset=dataset, limit=_AT_ONCE if all else limit, cursor=cursor)
        found = page.experiments
        while all and page.pagination.has_more:
            page = super().list(dataset=dataset, limit=_AT_ONCE, cursor=page.pagination.next_cursor)
            found += page.experiments
        return ExperimentList(found, page.pagination)

    @_in_space
    def get(self, *, experiment: Any, dataset: str | None = None, space: str | None = None) -> Experiment:
        """One experiment.

        Raises:
            NotFound: there is none.
            AmbiguousName: several have the name; they are listed.
        """
        check_space(space)
        return super().get(experiment=experiment, dataset=dataset)

    @_in_space
    def delete(self, *, experiment: Any, dataset: str | None = None, space: str | None = None) -> None:
        """Delete an experiment with its runs, evaluations, annotations and tags.

        From a backend's client it is deleted there, and what the store has of it as well.
        """
        check_space(space)
        super().delete(experiment=experiment, dataset=dataset)

    @_in_space
    def list_runs(
        self,
        *,
        experiment: Any,
        dataset: str | None = None,
        space: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        all: bool = False,
        failed: bool = False,
    ) -> ExperimentRunList:
        """Runs in dataset order, then by repetition.

        Args:
            experiment: which one.
            dataset: the dataset a name, a tag or ``latest`` is looked for in.
            space: the space; see above.
            limit: runs a page, at most 1,000.
            cursor: where the page begins, from the page before.
            all: every run at once.
            failed: only the runs whose task failed, or an evaluator of which failed.

        Returns:
            The runs; ``to_df()`` has the columns of `RanExperiment.to_dataframe` and
            ``annotation.NAME.score|label|text``.
        """
        check_space(space)
        return super().list_runs(
            experiment=experiment, dataset=dataset, limit=limit, cursor=cursor, all=all, failed=failed
        )

    @_in_space
    def annotate_runs(
        self,
        *,
        annotations: Sequence[AnnotateRecordInput],
        experiment: Any = None,
        dataset: str | None = None,
        space: str | None = None,
        annotator: str | None = None,
    ) -> int:
        """Write people's verdicts; see `experiments.Experiments.annotate_runs`."""
        check_space(space)
        return super().annotate_runs(
            annotations=annotations, experiment=experiment, dataset=dataset, annotator=annotator
        )


_AT_ONCE = 100  # as many as every backend gives at once
