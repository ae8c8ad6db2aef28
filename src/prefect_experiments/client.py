"""`Client`: datasets and experiments in the store, and the calls that run them.

Prefect, which takes more than a second to import, is imported by the calls that run something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prefect_experiments import datasets as sources
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.table import example_frame, result_frame, result_rows
from prefect_experiments.errors import InvalidDataset, InvalidInput
from prefect_experiments.models import AnnotateRecordInput, Dataset, DatasetInfo, DatasetVersion, Example, Experiment
from prefect_experiments.orchestration.request import check_backend, find_experiment
from prefect_experiments.pages import DatasetList, ExampleList, ExperimentList, ExperimentRunList, Pagination
from prefect_experiments.store import ExperimentRecord, Store, open_store
from prefect_experiments.store.paging import check_limit, decode_cursor, encode_cursor

if TYPE_CHECKING:
    import pandas as pd

KeyColumns = str | Sequence[str] | None


class Client:
    """Datasets and experiments.

    Args:
        backend: ``"local"``, the embedded store; default from the settings.
        store_url: SQLAlchemy URL of the store; default from the settings
            (``PREFECT_EXPERIMENTS_STORE_URL``), else an SQLite file in Prefect's home.

    Raises:
        InvalidSetting: a backend that there is not, or a URL that cannot be used.
        StoreUnavailable: the store's database does not answer.
    """

    def __init__(self, *, backend: str | None = None, store_url: str | None = None) -> None:
        self.backend = check_backend(backend)
        self.store: Store = open_store(store_url)
        self.datasets = Datasets(self)
        self.experiments = Experiments(self)


class Datasets:
    """``client.datasets``."""

    def __init__(self, client: Client) -> None:
        self._store = client.store

    def create_dataset(
        self,
        *,
        name: str,
        examples: Sequence[Mapping[str, Any] | Example] | None = None,
        dataframe: pd.DataFrame | None = None,
        file: str | Path | None = None,
        input_keys: KeyColumns = None,
        output_keys: KeyColumns = None,
        metadata_keys: KeyColumns = None,
        split_key: str | None = None,
        id_key: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """A new dataset, from exactly one of examples, a DataFrame and a file.

        Args:
            name: not in use yet.
            examples: `Example` objects, or mappings.
            dataframe: one row an example.
            file: path of a .csv, .json, .jsonl or .parquet file.
            input_keys: the columns that make the input. Without any of these keys, columns called
                ``input``, ``output`` and ``metadata`` are taken as they are.
            output_keys: the columns that make the expected output.
            metadata_keys: the columns that make the metadata.
            split_key: the column with the name, or the list of names, of splits.
            id_key: the column with the ids; default, ``id`` where there is one.
            description: a sentence for people.
            metadata: of the dataset as a whole.

        Raises:
            InvalidDataset: content that cannot be used; nothing is written.
            AlreadyExists: the name is in use.
        """
        content = sources.load(
            _only_source(examples, dataframe, file),
            input_keys=input_keys,
            output_keys=output_keys,
            metadata_keys=metadata_keys,
            split_key=split_key,
            id_key=id_key,
        )
        version = self._store.datasets.create(name, content, description=description, metadata=metadata)
        return self._store.datasets.get(version.dataset_id, version=version.id)

    def add_examples_to_dataset(
        self,
        *,
        dataset: str | Dataset,
        examples: Sequence[Mapping[str, Any] | Example] | None = None,
        dataframe: pd.DataFrame | None = None,
        file: str | Path | None = None,
        input_keys: KeyColumns = None,
        output_keys: KeyColumns = None,
        metadata_keys: KeyColumns = None,
        split_key: str | None = None,
        id_key: str | None = None,
    ) -> Dataset:
        """A new version of a dataset with further examples at its end; see `create_dataset`.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an id that the dataset has already.
        """
        key = _key(dataset)
        content = sources.load(
            _only_source(examples, dataframe, file),
            input_keys=input_keys,
            output_keys=output_keys,
            metadata_keys=metadata_keys,
            split_key=split_key,
            id_key=id_key,
            existing_ids=[example.id for example in self._store.datasets.get(key).examples],
        )
        version = self._store.datasets.append(key, content)
        return self._store.datasets.get(version.dataset_id, version=version.id)

    def get_dataset(
        self,
        *,
        dataset: str | Dataset | None = None,
        name: str | None = None,
        version_id: str | None = None,
        splits: str | Sequence[str] | None = None,
    ) -> Dataset:
        """A dataset with its examples.

        Args:
            dataset: name or id, or a `Dataset` to get anew.
            name: the same as `dataset`.
            version_id: id or number of a version; default, the newest.
            splits: only the examples of one of these.

        Raises:
            NotFound: no such dataset or version.
            InvalidDataset: a split that no example belongs to.
        """
        chosen = [splits] if isinstance(splits, str) else splits
        return self._store.datasets.get(
            _key(dataset if dataset is not None else name), version=version_id, splits=chosen
        )

    def get_info(self, *, dataset: str | Dataset) -> DatasetInfo:
        """A dataset without its examples."""
        return self._store.datasets.info(_key(dataset))

    def list_datasets(self, *, limit: int = 50, cursor: str | None = None) -> DatasetList:
        """Datasets, newest first; at most 1,000 a page."""
        return DatasetList(*self._store.datasets.page(limit=limit, cursor=cursor))

    def list_versions(self, *, dataset: str | Dataset) -> list[DatasetVersion]:
        """All versions of a dataset, newest first."""
        return list(self._store.datasets.versions(_key(dataset)))

    def list_examples(
        self,
        *,
        dataset: str | Dataset,
        version_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        all: bool = False,
    ) -> ExampleList:
        """Examples in dataset order.

        Args:
            dataset: name or id.
            version_id: id or number of a version; default, the newest.
            limit: examples a page, at most 1,000.
            cursor: where the page begins, from the page before.
            all: every example at once.

        Returns:
            The examples; ``to_df()`` has ``id`` and flat columns.
        """
        every = self._store.datasets.get(_key(dataset), version=version_id).examples
        start = 0 if cursor is None else int(decode_cursor(cursor, int)[0])
        end = len(every) if all else start + check_limit(limit)
        chosen = every[start:end]
        more = end < len(every)
        pagination = Pagination(has_more=more, next_cursor=encode_cursor([end]) if more else None)
        return ExampleList(chosen, pagination, to_df=partial(example_frame, chosen))

    def delete_dataset(self, *, dataset: str | Dataset) -> None:
        """Delete a dataset with all its versions and all experiments on it."""
        self._store.datasets.delete(_key(dataset))

    def export_dataset(self, *, dataset: str | Dataset, path: str | Path, version_id: str | None = None) -> Path:
        """Write a dataset to a .csv, .json, .jsonl or .parquet file.

        JSON and JSON lines can be read back as they are; CSV and Parquet get flat columns.
        """
        found = self._store.datasets.get(_key(dataset), version=version_id)
        sources.write_examples(found.examples, path)
        return Path(path)


class Experiments:
    """``client.experiments``. An experiment is an id, a name, ``tag:NAME``, ``latest``, or an object with its id."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._store = client.store

    def run_experiment(self, **arguments: Any) -> RanExperiment:
        """`prefect_experiments.run_experiment` on this client's store."""
        from prefect_experiments.orchestration.runs import run_experiment

        return run_experiment(client=self._client, **{"backend": self._client.backend, **arguments})

    def resume_experiment(self, **arguments: Any) -> RanExperiment:
        """`prefect_experiments.resume_experiment` on this client's store."""
        from prefect_experiments.orchestration.runs import resume_experiment

        return resume_experiment(client=self._client, **arguments)

    def evaluate_experiment(self, **arguments: Any) -> RanExperiment:
        """`prefect_experiments.evaluate_experiment` on this client's store."""
        from prefect_experiments.orchestration.runs import evaluate_experiment

        return evaluate_experiment(client=self._client, **arguments)

    def list(
        self, *, dataset: str | Dataset | None = None, limit: int = 50, cursor: str | None = None
    ) -> ExperimentList:
        """Experiments, newest first; at most 1,000 a page."""
        key = None if dataset is None else _key(dataset)
        return ExperimentList(*self._store.experiments.page(dataset=key, limit=limit, cursor=cursor))

    def get(self, *, experiment: Any, dataset: str | None = None) -> Experiment:
        """One experiment.

        Raises:
            NotFound: there is none.
            AmbiguousName: several have the name; they are listed.
        """
        return self._find(experiment, dataset).experiment

    def get_results(self, *, experiment: Any, dataset: str | None = None) -> RanExperiment:
        """One experiment with its runs, evaluations and summary."""
        record = self._find(experiment, dataset)
        return RanExperiment(self._store, record)

    def delete(self, *, experiment: Any, dataset: str | None = None) -> None:
        """Delete an experiment with its runs, evaluations, annotations and tags."""
        self._store.experiments.delete(self._find(experiment, dataset).experiment.id)

    def list_runs(
        self,
        *,
        experiment: Any,
        dataset: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        all: bool = False,
        failed: bool = False,
    ) -> ExperimentRunList:
        """Runs in dataset order, then by repetition.

        Args:
            experiment: which one.
            dataset: the dataset a name, a tag or ``latest`` is looked for in.
            limit: runs a page, at most 1,000.
            cursor: where the page begins, from the page before.
            all: every run at once.
            failed: only the runs whose task failed.

        Returns:
            The runs; ``to_df()`` has the columns of `RanExperiment.to_dataframe` and
            ``annotation.NAME.score|label|text``.
        """
        record = self._find(experiment, dataset)
        runs, pagination = self._store.results.runs(
            record.experiment.id, limit=None if all else limit, cursor=cursor, failed=failed
        )

        def table() -> pd.DataFrame:
            ids = [run.id for run in runs]
            results = self._store.results
            rows = result_rows(
                runs,
                results.evaluations(record.experiment.id, ids),
                results.examples_of(record.version, [run.example_id for run in runs]),
                results.annotations(record.experiment.id, ids),
            )
            return result_frame(rows, record.experiment.evaluators)

        return ExperimentRunList(runs, pagination, to_df=table)

    def annotate_runs(
        self,
        *,
        annotations: Sequence[AnnotateRecordInput],
        experiment: Any = None,
        dataset: str | None = None,
        annotator: str | None = None,
    ) -> int:
        """Write people's verdicts; one of the same name on the same run is replaced.

        Args:
            annotations: for each run its annotations; ``record_id`` is the run's id.
            experiment: where given, every run must belong to it.
            dataset: the dataset a name, a tag or ``latest`` is looked for in.
            annotator: who says so.

        Returns:
            How many annotations were written.

        Raises:
            NotFound: a run that is not there; then nothing is written.
        """
        if experiment is not None:
            wanted = self._find(experiment, dataset).experiment.id
            for record in annotations:
                if not record.record_id.startswith(f"{wanted}."):
                    raise InvalidInput(f"run {record.record_id!r} does not belong to experiment {wanted}")
        return self._store.results.annotate(annotations, annotator)

    def tag(self, *, experiment: Any, tag: str, dataset: str | None = None) -> Experiment:
        """Give an experiment a tag; another one of the same dataset that has it loses it."""
        found = self._find(experiment, dataset).experiment
        self._store.experiments.tag(found.id, tag)
        return self._store.experiments.get(found.id).experiment

    def untag(self, *, experiment: Any, tag: str, dataset: str | None = None) -> Experiment:
        """Take a tag away."""
        found = self._find(experiment, dataset).experiment
        self._store.experiments.untag(found.id, tag)
        return self._store.experiments.get(found.id).experiment

    def export(self, *, experiment: Any, path: str | Path, dataset: str | None = None) -> Path:
        """Write the table of runs to a .csv, .json, .jsonl or .parquet file."""
        frame = self.list_runs(experiment=experiment, dataset=dataset, all=True).to_df()
        rows = cast("list[dict[str, Any]]", frame.to_dict(orient="records"))
        sources.write_rows(rows, path, columns=list(frame.columns))
        return Path(path)

    def _find(self, experiment: Any, dataset: str | None) -> ExperimentRecord:
        return find_experiment(experiment, self._store, dataset)


def _only_source(*given: Any) -> Any:
    sources_given = [source for source in given if source is not None]
    if len(sources_given) != 1:
        raise InvalidDataset(f"give exactly one of examples=, dataframe= and file=; got {len(sources_given)}")
    return sources_given[0]


def _key(dataset: str | Dataset | None) -> str:
    if isinstance(dataset, Dataset):
        return dataset.id or dataset.name
    if not isinstance(dataset, str) or not dataset:
        raise InvalidInput(f"dataset must be a name, an id or a Dataset, got {dataset!r:.80}")
    return dataset
