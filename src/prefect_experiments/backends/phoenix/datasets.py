"""Datasets in Phoenix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect_experiments.backends.phoenix.api import PhoenixApi, Row, each
from prefect_experiments.backends.phoenix.rows import (
    content_key,
    id_among,
    is_id,
    to_dataset,
    to_example,
    to_info,
    to_version,
    upload_body,
)
from prefect_experiments.errors import AlreadyExists, InvalidDataset, InvalidInput, NotFound, unknown_value
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Example
from prefect_experiments.pages import Pagination
from prefect_experiments.store.paging import check_name
from prefect_experiments.sync import waited


class PhoenixDatasets:
    """``client.datasets`` for Phoenix; see `backends.base.Datasets`."""

    def __init__(self, api: PhoenixApi) -> None:
        self._api = api

    @waited
    async def create(
        self,
        name: str,
        content: Sequence[Example],
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """A new dataset. Phoenix keeps no metadata of a dataset that is uploaded."""
        if metadata:
            raise InvalidInput("Phoenix keeps no metadata of a whole dataset; use description=")
        check_name(name, "dataset")
        _check(content)
        try:
            made = await self._api.upload(upload_body(name, "create", content, description=description))
        except AlreadyExists:
            raise AlreadyExists(
                f"there is a dataset {name!r} already in {self._api.http.address}; choose another name, or add to it "
                "with add_examples_to_dataset"
            ) from None
        return await read_dataset(self._api, made["dataset_id"], made["version_id"])

    @waited
    async def holding(self, name: str, content: Sequence[Example]) -> Dataset | None:
        """The newest version of the dataset of a name, if it has just this content."""
        head = await find_dataset(self._api, name)
        newest = await read_dataset(self._api, head["id"], head=head)
        return newest if _is_same(newest, content) else None

    @waited
    async def append(self, dataset: str, content: Sequence[Example]) -> Dataset:
        """A new version with further examples."""
        head = await find_dataset(self._api, dataset)
        _check(content)
        present = await self._ids(head)
        doubles = sorted(present & {id_among(present, example.id) for example in content})
        if doubles:
            raise InvalidDataset(
                f"{len(doubles)} of the examples' ids are in the dataset already: {', '.join(doubles[:5])}; "
                "change them with update_examples, or leave ids out to have them made"
            )
        made = await self._api.upload(upload_body(head["name"], "append", content, present=present))
        return await read_dataset(self._api, made["dataset_id"], made["version_id"])

    @waited
    async def update(self, dataset: str, content: Sequence[Example]) -> Dataset:
        """A new version in which these examples are as given, and no other is lost.

        Phoenix's ``update`` deletes what it is not given; its ``append`` replaces what it has by the
        id, and leaves the rest alone, also what somebody else has written in the meantime.
        """
        head = await find_dataset(self._api, dataset)
        _check(content)
        present = await self._ids(head)
        made = await self._api.upload(upload_body(head["name"], "append", content, present=present))
        return await read_dataset(self._api, made["dataset_id"], made["version_id"])

    async def _ids(self, head: Row) -> set[str]:
        return {row["id"] for row in (await self._api.examples(head["id"]))["examples"]}

    @waited
    async def get(self, dataset: str, *, version: str | None = None, splits: Sequence[str] = ()) -> Dataset:
        """A dataset with its examples."""
        head = await find_dataset(self._api, dataset)
        if version is not None:
            version = await self._version(head["id"], version)
        return await read_dataset(self._api, head["id"], version, splits, head)

    async def _version(self, dataset_id: str, version: str) -> str:
        """The id of a version that is named by its id, or by its number, counted from 1."""
        ids = [row["version_id"] for row in await self._api.versions(dataset_id)]
        numbered = {str(len(ids) - place): version_id for place, version_id in enumerate(ids)}
        if version in ids:
            return version
        if str(version) in numbered:
            return str(numbered[str(version)])
        known = [f"{number} ({version_id})" for number, version_id in numbered.items()]
        raise NotFound(unknown_value("dataset version", version, known[:10]))

    @waited
    async def info(self, dataset: str) -> DatasetInfo:
        """A dataset without its examples."""
        head = await find_dataset(self._api, dataset)
        return to_info(head, await self._api.versions(head["id"]))

    @waited
    async def page(self, *, limit: int, cursor: str | None) -> tuple[list[DatasetInfo], Pagination]:
        """Datasets, newest first."""
        found = await self._api.datasets(cursor=cursor, limit=limit)

        async def with_versions(head: Row) -> DatasetInfo:
            return to_info(head, await self._api.versions(head["id"]))

        infos = await each(with_versions, found["data"])
        after = found.get("next_cursor")
        return infos, Pagination(has_more=bool(after), next_cursor=after or None)

    @waited
    async def versions(self, dataset: str) -> list[DatasetVersion]:
        """All versions, newest first. Phoenix tells the number of examples of the newest only."""
        head = await find_dataset(self._api, dataset)
        rows = await self._api.versions(head["id"])
        counts = [head.get("example_count") or 0, *[0] * len(rows)]
        return [to_version(row, head["id"], len(rows) - place, counts[place]) for place, row in enumerate(rows)]

    @waited
    async def delete(self, dataset: str) -> None:
        """Delete a dataset with its experiments."""
        head = await find_dataset(self._api, dataset)
        await self._api.delete_dataset(head["id"])

    @waited
    async def put(self, name: str, dataset: Dataset) -> tuple[str, str]:
        """Make sure that the dataset of this name has a version with this content; its ids."""
        head = await named_dataset(self._api, name)
        if head is None:
            body = upload_body(name, "create", dataset.examples, description=dataset.description)
            try:
                made = await self._api.upload(body)
            except AlreadyExists:  # another process has come first
                head = await find_dataset(self._api, name)
            else:
                return made["dataset_id"], made["version_id"]
        newest = await read_dataset(self._api, head["id"], head=head)
        if _is_same(newest, dataset.examples):
            return newest.id, newest.version_id
        present = [example.id for example in newest.examples]
        made = await self._api.upload(upload_body(name, "update", dataset.examples, present=present))
        return made["dataset_id"], made["version_id"]


async def named_dataset(api: PhoenixApi, name: str) -> Row | None:
    """The head of the dataset of exactly this name."""
    cursor: str | None = None
    while True:
        found = await api.datasets(name, cursor=cursor)
        rows: list[Row] = found["data"]
        for row in rows:
            if row["name"] == name:
                return row
        cursor = found.get("next_cursor")
        if not cursor:
            return None


async def find_dataset(api: PhoenixApi, dataset: str) -> Row:
    """A dataset's head, by id or name.

    Raises:
        NotFound: there is none.
    """
    if is_id(dataset, "Dataset"):
        return await api.dataset(dataset)
    if (found := await named_dataset(api, dataset)) is not None:
        return found
    names = [row["name"] for row in (await api.datasets())["data"]]
    raise NotFound(f"{api.http.address}: {unknown_value('dataset', dataset, names[:20])}")


async def read_dataset(
    api: PhoenixApi,
    dataset_id: str,
    version_id: str | None = None,
    splits: Sequence[str] = (),
    head: Row | None = None,
) -> Dataset:
    """A dataset with its examples and the splits that they belong to now."""
    head = head or await api.dataset(dataset_id)
    names = [row["name"] for row in await api.splits(dataset_id)]
    for split in splits:
        if split not in names:
            raise InvalidDataset(
                f"dataset {head['name']!r} has no split {split!r}; it has {', '.join(names) or 'none'}"
            )
    found = await api.examples(dataset_id, version_id, splits)
    belongs: dict[str, list[str]] = {}
    for name in names:
        for row in (await api.examples(dataset_id, found["version_id"], [name]))["examples"]:
            belongs.setdefault(row["node_id"], []).append(name)
    examples = [to_example(row, sorted(belongs.get(row["node_id"], ()))) for row in found["examples"]]
    return to_dataset(head, found["version_id"], examples, splits)


def _is_same(newest: Dataset, content: Sequence[Example]) -> bool:
    """Whether a version has just this content."""
    theirs = {example.id: content_key(example) for example in newest.examples}
    return theirs == {id_among(theirs, example.id): content_key(example) for example in content}


def _check(content: Sequence[Example]) -> None:
    seen: set[str] = set()
    for number, example in enumerate(content, start=1):
        if example.id and example.id in seen:
            raise InvalidDataset(f"example {number} has an id that another one has, too: {example.id!r:.60}")
        seen.add(example.id)
