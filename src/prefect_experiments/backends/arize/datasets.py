"""Datasets in Arize AX.

AX's own versions can be changed in place. What is written from here never is: each change makes a version of its own,
so that an experiment stays on the examples that it was made on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prefect_experiments.backends.arize.api import MOST_ROWS, ArizeApi, Row, once_only
from prefect_experiments.backends.arize.rows import chunks, content, given_id, is_id, to_example, to_row, to_time
from prefect_experiments.backends.arize.spaces import Space, find_dataset, named_dataset
from prefect_experiments.datasets import of_splits
from prefect_experiments.errors import (
    AlreadyExists,
    BackendUnavailable,
    InvalidDataset,
    InvalidInput,
    NotFound,
    unknown_value,
)
from prefect_experiments.models import Dataset, DatasetInfo, DatasetVersion, Example
from prefect_experiments.pages import Pagination
from prefect_experiments.sync import waited

GETS_AT_ONCE = 4
SETTLED_S = 5.0  # a dataset that grows no more for so long is taken to be filled
_EPOCH = datetime.fromtimestamp(0, UTC)


class ArizeDatasets:
    """``client.datasets`` for AX; see `backends.base.Datasets`."""

    def __init__(self, api: ArizeApi, space: Space, largest_body: int) -> None:
        self._api = api
        self._space = space
        self._largest = largest_body
        self._last_read: tuple[str, list[Row]] | None = None  # a version and its rows

    @waited
    async def create(
        self,
        name: str,
        content: Sequence[Example],
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """A new dataset. AX keeps no description and no metadata of it."""
        if description or metadata:
            raise InvalidInput("Arize AX keeps no description and no metadata of a dataset; leave them out")
        _check(content)
        head = await self._create(name, [to_row(example, given_id(example)) for example in content])
        return await self._dataset(head)

    @waited
    async def holding(self, name: str, content: Sequence[Example]) -> Dataset | None:
        """The newest version of the dataset of a name, if it has just this content."""
        head = await find_dataset(self._api, self._space, name)
        rows = await self._rows(head)
        return await self._dataset(head) if _same(rows, content) or _same_but_for_ids(rows, content) else None

    @waited
    async def append(self, dataset: str, content: Sequence[Example]) -> Dataset:
        """A new version with further examples."""
        head = await find_dataset(self._api, self._space, dataset)
        _check(content)
        present = _by_id(await self._rows(head))
        if doubles := sorted(present.keys() & {example.id for example in content}):
            raise InvalidDataset(
                f"{len(doubles)} of the examples' ids are in the dataset already: {', '.join(doubles[:5])}; "
                "change them with update_examples, or leave ids out to have them made"
            )
        return await self._dataset(*await self._change(head, present, content))

    @waited
    async def update(self, dataset: str, content: Sequence[Example]) -> Dataset:
        """A new version in which these examples are as given, and no other is lost."""
        head = await find_dataset(self._api, self._space, dataset)
        _check(content)
        return await self._dataset(*await self._change(head, _by_id(await self._rows(head)), content))

    @waited
    async def get(self, dataset: str, *, version: str | None = None, splits: Sequence[str] = ()) -> Dataset:
        """A dataset with its examples, in AX's order: by the moment they were made, then by AX's ids."""
        head = await find_dataset(self._api, self._space, dataset)
        found = await self._dataset(head, None if version is None else _version(head, version))
        if not splits:
            return found
        chosen = tuple(of_splits(found.examples, splits, found.name))
        return dataclasses.replace(found, examples=chosen, splits=tuple(splits))

    @waited
    async def info(self, dataset: str) -> DatasetInfo:
        """A dataset without its examples; AX does not say how many there are."""
        return _info(await find_dataset(self._api, self._space, dataset))

    @waited
    async def page(self, *, limit: int, cursor: str | None) -> tuple[list[DatasetInfo], Pagination]:
        """Datasets, newest first."""
        rows, after = await self._api.datasets_page(await self._space.id(), limit, cursor)
        turns = asyncio.Semaphore(GETS_AT_ONCE)

        async def with_versions(row: Row) -> DatasetInfo:
            async with turns:
                return _info(await self._api.dataset(row["id"]))

        infos = await asyncio.gather(*map(with_versions, rows))
        return list(infos), Pagination(has_more=after is not None, next_cursor=after)

    @waited
    async def versions(self, dataset: str) -> list[DatasetVersion]:
        """All versions, newest first; AX does not say how many examples they have."""
        head = await find_dataset(self._api, self._space, dataset)
        rows = _versions(head)
        return [
            DatasetVersion(
                id=row["id"],
                dataset_id=head["id"],
                number=len(rows) - place,
                example_count=0,
                created_at=to_time(row.get("created_at")) or _EPOCH,
            )
            for place, row in enumerate(rows)
        ]

    @waited
    async def delete(self, dataset: str) -> None:
        """Delete a dataset."""
        head = await find_dataset(self._api, self._space, dataset)
        await self._api.delete_dataset(head["id"])

    @waited
    async def put(self, name: str, dataset: Dataset, at: tuple[str, str] | None = None) -> tuple[str, str]:
        """Make sure that the dataset of this name has a version with this content; its ids.

        Args:
            name: of the dataset.
            dataset: the content.
            at: the ids of a version that had it when last seen.
        """
        if at is not None and await self._has(at, dataset.examples):
            return at
        head = await named_dataset(self._api, await self._space.id(), name)
        if head is None:
            try:
                head = await self._create(name, [to_row(example, example.id) for example in dataset.examples])
            except AlreadyExists:
                head = await self._made_by_others(name, dataset.examples)
            else:
                return head["id"], _versions(head)[0]["id"]
        rows = await self._rows(head)
        version_id = _versions(head)[0]["id"]
        if not _same(rows, dataset.examples):
            head, version_id = await self._change(head, _by_id(rows), dataset.examples, whole=True)
        return head["id"], version_id

    async def _made_by_others(self, name: str, examples: Sequence[Example]) -> Row:
        """The dataset that another process has begun just now, once it has filled it, or adds nothing more to it."""
        before = -1
        while True:
            head = await find_dataset(self._api, self._space, name)
            rows = await self._rows(head)
            if len(rows) == before or _same(rows, examples):
                return head
            before = len(rows)
            await asyncio.sleep(SETTLED_S)

    async def ax_ids(self, dataset_id: str, version_id: str, *, anew: bool = False) -> dict[str, str]:
        """What AX calls the examples of a version, by their own ids; as they were when last read, unless `anew`."""
        if anew or self._last_read is None or self._last_read[0] != version_id:
            self._last_read = version_id, await self._api.examples(dataset_id, version_id)
        return {example_id: row["id"] for example_id, row in _by_id(self._last_read[1]).items()}

    # Reading

    async def _rows(self, head: Row, version_id: str | None = None) -> list[Row]:
        version_id = version_id or _versions(head)[0]["id"]
        self._last_read = version_id, await self._api.examples(head["id"], version_id)
        return self._last_read[1]

    async def _dataset(self, head: Row, version_id: str | None = None) -> Dataset:
        version_id = version_id or _versions(head)[0]["id"]
        examples = _examples(await self._rows(head, version_id))
        return Dataset(
            id=head["id"],
            name=str(head.get("name") or head["id"]),
            version_id=version_id,
            examples=tuple(examples),
            created_at=to_time(head.get("created_at")),
        )

    async def _has(self, at: tuple[str, str], examples: Sequence[Example]) -> bool:
        try:
            return _same(await self._api.examples(*at), examples)
        except NotFound:
            return False

    # Writing

    async def _create(self, name: str, rows: list[Row]) -> Row:
        """A new dataset with these rows; its head."""
        space_id = await self._space.required()
        first, *rest = chunks(rows, MOST_ROWS, self._largest)
        head = await self._begin(space_id, name, first)
        there = Counter(map(content, first))
        try:
            for piece in rest:
                await self._insert(head["id"], _versions(head)[0]["id"], piece, there)
        except BackendUnavailable as error:
            raise BackendUnavailable(
                f"{error}. {there.total()} of {len(rows)} examples are in the new dataset {name!r} by now; delete it, "
                "or add the others with add_examples_to_dataset",
                retry_after=error.retry_after,
            ) from None
        return head

    async def _begin(self, space_id: str, name: str, rows: list[Row]) -> Row:
        doubt = False

        async def send() -> Row:
            try:
                return await self._api.dataset((await self._api.create_dataset(space_id, name, rows))["id"])
            except AlreadyExists:
                if doubt and (mine := await look()) is not None:
                    return mine
                raise AlreadyExists(
                    f"there is a dataset {name!r} already in {self._api.http.address}; choose another name, or add "
                    "to it with add_examples_to_dataset"
                ) from None

        async def look() -> Row | None:
            """The dataset, if one of this name has just what was sent."""
            nonlocal doubt
            doubt = True
            head = await named_dataset(self._api, space_id, name)
            there = [] if head is None else await self._api.examples(head["id"], _versions(head)[0]["id"])
            return head if Counter(map(content, there)) == Counter(map(content, rows)) else None

        return await once_only(send, look)

    async def _insert(self, dataset_id: str, version_id: str, rows: list[Row], there: Counter[bytes]) -> None:
        """Add rows to a version, each once, and to the count of what is there."""
        lacking = rows

        async def send() -> bool:
            await self._api.insert_examples(dataset_id, version_id, lacking)
            return True

        async def look() -> bool | None:
            nonlocal lacking
            more = Counter(map(content, await self._api.examples(dataset_id, version_id)))
            more.subtract(there)
            lacking = []
            for row in rows:
                key = content(row)
                if more[key] > 0:
                    more[key] -= 1
                else:
                    lacking.append(row)
            return None if lacking else True

        await once_only(send, look)
        there.update(map(content, rows))

    async def _change(
        self, head: Row, present: Mapping[str, Row], examples: Sequence[Example], *, whole: bool = False
    ) -> tuple[Row, str]:
        """A new version in which examples are as given, the others as they were, or with `whole` gone.

        Returns:
            The dataset's head and the version's id.
        """
        changed = [
            row for e in examples if (old := present.get(e.id)) is not None and (row := _changed(e, old)) is not None
        ]
        new = [
            to_row(example, example.id if whole else given_id(example))
            for example in examples
            if example.id not in present
        ]
        kept = {example.id for example in examples}
        gone = [row["id"] for example_id, row in present.items() if example_id not in kept] if whole else []
        version_id = _versions(head)[0]["id"]
        if present:  # AX makes a version by changing an example, if only into itself
            any_row = next(iter(present.values()))
            version_id = await self._new_version(head["id"], version_id, changed or [_fields(any_row)])
        for start in range(0, len(gone), MOST_ROWS):
            await self._api.delete_examples(head["id"], version_id, gone[start : start + MOST_ROWS])
        stay = set(gone)
        there = Counter(content(row) for row in present.values() if row["id"] not in stay)
        for piece in chunks(new, MOST_ROWS, self._largest):
            await self._insert(head["id"], version_id, piece, there)
        return await self._api.dataset(head["id"]), version_id

    async def _new_version(self, dataset_id: str, version_id: str, rows: list[Row]) -> str:
        name = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {uuid.uuid4().hex[:6]}"
        first, *rest = chunks(rows, MOST_ROWS, self._largest)

        async def send() -> str:
            answer = await self._api.update_examples(dataset_id, version_id, first, name)
            return str(answer.get("dataset_version_id") or await look())

        async def look() -> str | None:
            versions = _versions(await self._api.dataset(dataset_id))
            return next((str(row["id"]) for row in versions if row.get("name") == name), None)

        made = await once_only(send, look)
        for piece in rest:  # in the version that is new already; doing it twice changes nothing
            await once_only(lambda piece=piece: self._api.update_examples(dataset_id, made, piece), _nothing)  # type: ignore[misc]
        return made


async def _nothing() -> None:
    return None


def _versions(head: Row) -> list[Row]:
    versions = head.get("versions")
    if not isinstance(versions, list) or not versions:
        raise NotFound(f"dataset {head.get('name') or head['id']!r} in Arize AX has no version")
    return versions


def _version(head: Row, version: str) -> str:
    """The id of a version that is named by its id, or by its number, counted from 1."""
    if is_id(version):
        return version
    ids = [str(row["id"]) for row in reversed(_versions(head))]
    if str(version).isdecimal() and 1 <= int(version) <= len(ids):
        return ids[int(version) - 1]
    raise NotFound(unknown_value("dataset version", version, [f"{n} ({v})" for n, v in enumerate(ids[-10:], 1)]))


def _by_id(rows: Sequence[Row]) -> dict[str, Row]:
    """The rows by the ids of their examples. Of rows that were copied with their mark, one keeps the id."""
    found: dict[str, Row] = {}
    for row in rows:
        example_id = to_example(row).id
        found[example_id if example_id not in found else row["id"]] = row
    return found


def _examples(rows: Sequence[Row]) -> list[Example]:
    return [dataclasses.replace(to_example(row), id=example_id) for example_id, row in _by_id(rows).items()]


def _same(rows: Sequence[Row], examples: Sequence[Example]) -> bool:
    """Whether AX has just these examples; ids that were made here may be AX's own there."""
    there = _by_id(rows)
    return len(there) == len(examples) and all(
        (row := there.get(example.id)) is not None and _changed(example, row) is None for example in examples
    )


def _same_but_for_ids(rows: Sequence[Row], examples: Sequence[Example]) -> bool:
    """Whether AX has what `create` makes of these examples: it gives ids of its own to those that nobody gave any."""
    return Counter(map(content, rows)) == Counter(content(to_row(one, given_id(one))) for one in examples)


def _changed(example: Example, old: Row) -> Row | None:
    """What to tell AX so that a row becomes the example; ``None`` where it is that already."""
    new = to_row(example, None if example.id == old["id"] else example.id)
    if content(new) == content(old):
        return None
    return {**dict.fromkeys(_fields(old), None), **new, "id": old["id"]}


def _fields(row: Row) -> Row:
    """A row without what only AX may write."""
    return {name: value for name, value in row.items() if name not in ("created_at", "updated_at", "annotations")}


def _info(head: Row) -> DatasetInfo:
    versions = _versions(head)
    created = to_time(head.get("created_at")) or _EPOCH
    return DatasetInfo(
        id=head["id"],
        name=str(head.get("name") or head["id"]),
        version_id=versions[0]["id"],
        version_count=len(versions),
        example_count=0,
        description=None,
        metadata={},
        created_at=created,
        updated_at=to_time(head.get("updated_at")) or created,
    )


def _check(content: Sequence[Example]) -> None:
    seen: set[str] = set()
    for number, example in enumerate(content, start=1):
        if example.id and example.id in seen:
            raise InvalidDataset(f"example {number} has an id that another one has, too: {example.id!r:.60}")
        seen.add(example.id)
