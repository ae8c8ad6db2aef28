"""``client.datasets``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments import datasets as sources
from prefect_experiments.backends import base as backends
from prefect_experiments.backends.local import LocalDatasets
from prefect_experiments.errors import InvalidDataset, InvalidInput
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Example
from prefect_experiments.orchestration.naming import about_dataset
from prefect_experiments.pages import DatasetList, ExampleList, Pagination
from prefect_experiments.results.frame import example_frame
from prefect_experiments.store.paging import check_limit, decode_cursor, encode_cursor

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.client import Client

KeyColumns = str | Sequence[str] | None
Rows = Sequence[Mapping[str, Any]]


class Datasets:
    """``client.datasets``."""

    def __init__(self, client: Client) -> None:
        self._client = client
        remote = client.remote
        self._kept: backends.Datasets = LocalDatasets(client.store) if remote is None else remote.datasets

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
        span_id_key: str | None = None,
        types: Mapping[str, str] | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | Rows | None = None,
        inputs: Rows | None = None,
        outputs: Rows | None = None,
        csv_file_path: str | Path | None = None,
        example_id_key: str | None = None,
        dataset_description: str | None = None,
    ) -> Dataset:
        """A new dataset, from exactly one of examples, inputs, a DataFrame and a file.

        Args:
            name: not in use yet.
            examples: `Example` objects, or mappings.
            dataframe: one row an example: of pandas, or anything else that speaks Arrow, such as polars.
            file: path of a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file.
            input_keys: the columns that make the input. Without any of these keys, columns called
                ``input``, ``output`` and ``metadata`` are taken as they are.
            output_keys: the columns that make the expected output.
            metadata_keys: the columns that make the metadata.
            split_key: the column with the name, or the list of names, of splits.
            id_key: the column with the ids; default, ``id`` where there is one.
            span_id_key: the column with the ids of the spans that the rows were made from; default,
                ``context.span_id`` where there is one.
            types: by column, what its cells are: ``text``, ``number``, ``bool`` or ``json``. A CSV file has no
                types: where nothing is said, its cells are text.
            description: a sentence for people.
            metadata: of the dataset as a whole; with `inputs`, a list: that of each example.
            inputs: one mapping an example, as Phoenix's client takes them.
            outputs: as many expected outputs.
            csv_file_path: Phoenix's word for `file`.
            example_id_key: Phoenix's word for `id_key`.
            dataset_description: Phoenix's word for `description`.

        Raises:
            InvalidDataset: content that cannot be used; nothing is written.
            AlreadyExists: the name is in use.
        """
        of_examples = None if metadata is None or isinstance(metadata, Mapping) else metadata
        content = sources.load(
            _only_source(examples, dataframe, file, csv_file_path, _in_parts(inputs, outputs, of_examples)),
            input_keys=input_keys,
            output_keys=output_keys,
            metadata_keys=metadata_keys,
            split_key=split_key,
            id_key=id_key or example_id_key,
            span_id_key=span_id_key,
            types=types,
            origin=f"dataset {name!r}",
        )
        whole = metadata if isinstance(metadata, Mapping) else None
        return self._kept.create(name, content, description=description or dataset_description, metadata=whole)

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
        span_id_key: str | None = None,
        types: Mapping[str, str] | None = None,
        inputs: Rows | None = None,
        outputs: Rows | None = None,
        metadata: Rows | None = None,
        csv_file_path: str | Path | None = None,
        example_id_key: str | None = None,
    ) -> Dataset:
        """A new version of a dataset with further examples at its end; see `create_dataset`.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an id that the dataset has already.
        """
        key = dataset_key(dataset)
        with about_dataset(key):
            content = sources.load(
                _only_source(examples, dataframe, file, csv_file_path, _in_parts(inputs, outputs, metadata)),
                input_keys=input_keys,
                output_keys=output_keys,
                metadata_keys=metadata_keys,
                split_key=split_key,
                id_key=id_key or example_id_key,
                span_id_key=span_id_key,
                types=types,
                origin=f"dataset {key!r}",
                existing_ids=[example.id for example in self._kept.get(key).examples],
            )
            return self._kept.append(key, content)

    def update_examples(self, *, dataset: str | Dataset, examples: Sequence[Mapping[str, Any] | Example]) -> Dataset:
        """A new version in which these examples are as given; the others stay as they are.

        Args:
            dataset: name or id.
            examples: `Example` objects or mappings, each with its ``id``; one with an id that is
                new comes at the end.

        Raises:
            NotFound: no such dataset.
            InvalidDataset: content that cannot be used, or an example without an id.
        """
        for number, example in enumerate(examples, start=1):
            if isinstance(example, Mapping | Example) and not (example.get("id") or example.get("example_id")):
                raise InvalidDataset(f"example {number} has no id; update_examples goes by ids")
        key = dataset_key(dataset)
        return self._kept.update(key, sources.load(examples, origin=f"dataset {key!r}"))

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
        chosen = (splits,) if isinstance(splits, str) else tuple(splits or ())
        return self._get(dataset if dataset is not None else name, version_id, chosen)

    def _get(self, dataset: str | Dataset | None, version: str | None, splits: Sequence[str] = ()) -> Dataset:
        key = dataset_key(dataset)
        with about_dataset(key):
            return self._kept.get(key, version=version, splits=splits)

    def get_info(self, *, dataset: str | Dataset) -> DatasetInfo:
        """A dataset without its examples."""
        return self._kept.info(dataset_key(dataset))

    def list_datasets(self, *, limit: int = 50, cursor: str | None = None) -> DatasetList:
        """Datasets, newest first; at most 1,000 a page."""
        return DatasetList(*self._kept.page(limit=check_limit(limit), cursor=cursor))

    def list_versions(self, *, dataset: str | Dataset) -> list[DatasetVersion]:
        """All versions of a dataset, newest first."""
        return list(self._kept.versions(dataset_key(dataset)))

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
        every = self._get(dataset, version_id).examples
        start = 0 if cursor is None else int(decode_cursor(cursor, int)[0])
        end = len(every) if all else start + check_limit(limit)
        chosen = every[start:end]
        more = end < len(every)
        pagination = Pagination(has_more=more, next_cursor=encode_cursor([end]) if more else None)
        return ExampleList(chosen, pagination, to_df=partial(example_frame, chosen))

    def delete_dataset(self, *, dataset: str | Dataset) -> None:
        """Delete a dataset with all its versions and all experiments on it."""
        self._kept.delete(dataset_key(dataset))

    def export_dataset(self, *, dataset: str | Dataset, path: str | Path, version_id: str | None = None) -> Path:
        """Write a dataset to a .csv, .json, .jsonl or .parquet file.

        JSON and JSON lines can be read back as they are; CSV and Parquet get flat columns.
        """
        found = self._get(dataset, version_id)
        sources.write_examples(found.examples, path)
        return Path(path)


def _only_source(*given: Any) -> Any:
    sources_given = [source for source in given if source is not None]
    if len(sources_given) != 1:
        raise InvalidDataset(f"give exactly one of examples=, inputs=, dataframe= and file=; got {len(sources_given)}")
    return sources_given[0]


def _in_parts(inputs: Rows | None, outputs: Rows | None, metadata: Rows | None) -> list[dict[str, Any]] | None:
    """Examples from a list for each part of them."""
    if inputs is None:
        if outputs is not None or metadata is not None:
            raise InvalidDataset("outputs and a list of metadata go with inputs=")
        return None
    parts = {"input": list(inputs)}
    parts |= {name: list(rows) for name, rows in {"output": outputs, "metadata": metadata}.items() if rows is not None}
    counts = {name: len(rows) for name, rows in parts.items()}
    if len(set(counts.values())) > 1:
        raise InvalidDataset(f"inputs, outputs and metadata must be as many as each other, got {counts}")
    return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]


def dataset_key(dataset: str | Dataset | None) -> str:
    """The id or the name in whatever names a dataset."""
    if isinstance(dataset, Dataset):
        return dataset.id or dataset.name
    if not isinstance(dataset, str) or not dataset:
        raise InvalidInput(f"dataset must be a name, an id or a Dataset, got {dataset!r:.80}")
    return dataset
