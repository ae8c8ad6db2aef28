"""Datasets: made, changed, read in every version, listed and deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from prefect_experiments.backends import Capabilities
from prefect_experiments.client import Client
from prefect_experiments.errors import AlreadyExists, InvalidDataset, InvalidInput, NotFound
from prefect_experiments.models import Dataset
from prefect_experiments.testing.conditions import EXAMPLES, Conditions

ODD: list[dict[str, Any]] = [
    {"id": "letters", "input": {"text": "Ü — 日本語 🦊 \u200b e\u0301"}, "output": {"text": " two  spaces\n\t"}},
    {"id": "Ü 日/?#%&=", "input": {"nested": [{"a": [1, None, True, 0.1, "1"]}, []]}, "output": {"empty": {}}},
    {"id": "numbers", "input": {"big": 2**53 + 1, "small": 1e-300, "minus": -1.5}, "output": {"zero": 0}},
    {"id": "nothing", "input": {"text": ""}},
    {"id": "long", "input": {"text": "x" * 200_000}, "output": {"text": "y" * 200_000}},
]


class DatasetSuite(Conditions):
    """See the module."""

    def test_a_dataset_comes_back_as_it_was_made(
        self, client: Client, elsewhere: Client, name: str, can: Capabilities
    ) -> None:
        """By its name, by its id, and by itself."""
        described = "four numbers" if can.dataset_descriptions else None
        made = client.datasets.create_dataset(name=name, examples=EXAMPLES, description=described)
        assert (made.name, made.description, len(made)) == (name, described, 4)
        assert made.id
        assert made.version_id
        reader = elsewhere if elsewhere.remote is not None else client
        for key in (name, made.id, made):
            found = reader.datasets.get_dataset(dataset=key)
            assert (found.id, found.version_id, found.name) == (made.id, made.version_id, name)
            assert _content(found, can) == _rows(EXAMPLES, can)
        info = reader.datasets.get_info(dataset=name)
        assert (info.id, info.version_id, info.version_count) == (made.id, made.version_id, 1)
        assert info.example_count == (4 if can.example_counts else 0)

    def test_whatever_is_in_it_comes_back(self, client: Client, name: str, can: Capabilities) -> None:
        """Letters of all the world, numbers, empty things and large ones."""
        made = client.datasets.create_dataset(name=name, examples=ODD)
        found = client.datasets.get_dataset(dataset=made.id)
        assert _content(found, can) == _rows(ODD, can)

    def test_a_name_is_taken_once(self, client: Client, name: str, dataset: Dataset) -> None:
        """A second dataset of the name is refused, and the first one stays as it is."""
        with pytest.raises(AlreadyExists, match=name):
            client.datasets.create_dataset(name=name, examples=[{"input": {"other": 1}}])
        assert client.datasets.get_dataset(dataset=name) == client.datasets.get_dataset(dataset=dataset.id)
        assert len(client.datasets.list_versions(dataset=name)) == 1

    def test_the_same_is_made_again(self, client: Client, name: str, can: Capabilities) -> None:
        """What was made is used again where it is the same, else refused or made into a further version."""
        again: Any = {"name": name, "examples": EXAMPLES, "if_exists": "reuse"}
        made = client.datasets.create_dataset(**again)
        assert client.datasets.create_dataset(**again).version_id == made.version_id
        other = {**again, "examples": [*EXAMPLES[1:], {"id": "new", "input": {"n": 9}}]}
        with pytest.raises(AlreadyExists, match=r"4 there and 4 given, .*1 given that it does not have \('new'\)"):
            client.datasets.create_dataset(**other)
        assert len(client.datasets.list_versions(dataset=name)) == 1
        newer = client.datasets.create_dataset(**{**other, "if_exists": "new_version"})
        assert (newer.id, newer.version_id == made.version_id) == (made.id, False)
        assert _content(newer, can) == _rows(other["examples"], can)
        assert client.datasets.create_dataset(**{**other, "if_exists": "new_version"}).version_id == newer.version_id
        assert client.datasets.create_dataset(**other).version_id == newer.version_id

    def test_the_same_is_made_again_without_ids(self, client: Client, name: str) -> None:
        """Rows that bring no ids are known by what they are."""
        again: Any = {"name": name, "examples": [{"input": {"n": n}} for n in range(3)], "if_exists": "reuse"}
        made = client.datasets.create_dataset(**again)
        assert client.datasets.create_dataset(**again).version_id == made.version_id

    def test_a_dataset_that_is_not_there(self, client: Client, name: str, dataset: Dataset) -> None:
        """The text says what was looked for."""
        for ask in (client.datasets.get_dataset, client.datasets.get_info, client.datasets.list_versions):
            with pytest.raises(NotFound, match=f"{name}-not"):
                ask(dataset=f"{name}-not")
        with pytest.raises(NotFound, match=f"{name}-not"):
            client.datasets.add_examples_to_dataset(dataset=f"{name}-not", examples=EXAMPLES)
        with pytest.raises(NotFound, match=f"{name}-not"):
            client.datasets.delete_dataset(dataset=f"{name}-not")
        with pytest.raises(NotFound):
            client.datasets.get_dataset(dataset=dataset, version_id="no-such-version")

    def test_examples_are_appended(self, client: Client, dataset: Dataset, can: Capabilities) -> None:
        """At the end, in a new version; those of ids that are there are refused."""
        longer = client.datasets.add_examples_to_dataset(dataset=dataset, examples=[{"id": "new", "input": {"n": 9}}])
        assert _content(longer, can) == _rows([*EXAMPLES, {"id": "new", "input": {"n": 9}}], can)
        assert (longer.id, longer.version_id == dataset.version_id) == (dataset.id, False)
        with pytest.raises(InvalidDataset):
            client.datasets.add_examples_to_dataset(dataset=dataset, examples=[{"id": "e1", "input": {"n": 9}}])
        assert len(client.datasets.get_dataset(dataset=dataset.id)) == 5

    def test_examples_are_changed_by_their_ids(self, client: Client, dataset: Dataset, can: Capabilities) -> None:
        """The others stay as they are."""
        others = [example for example in EXAMPLES if example["id"] != "e1"]
        client.datasets.update_examples(dataset=dataset, examples=[{"id": "e1", "input": {"n": 100}}])
        found = client.datasets.get_dataset(dataset=dataset.id)
        assert sorted(_content(found, can)) == sorted(_rows([{"id": "e1", "input": {"n": 100}}, *others], can))

    def test_every_version_can_be_read(self, client: Client, dataset: Dataset) -> None:
        """By its id and by its number, counted from 1; the newest is first in the list, and what is got without one."""
        second = client.datasets.add_examples_to_dataset(dataset=dataset, examples=[{"id": "new", "input": {"n": 9}}])
        versions = client.datasets.list_versions(dataset=dataset)
        assert [one.id for one in versions] == [second.version_id, dataset.version_id]
        assert [one.number for one in versions] == [2, 1]
        assert client.datasets.get_dataset(dataset=dataset.id) == client.datasets.get_dataset(
            dataset=dataset.name, version_id=second.version_id
        )
        for version in (dataset.version_id, "1"):
            found = client.datasets.get_dataset(dataset=dataset.name, version_id=version)
            assert (len(found), found.version_id) == (4, dataset.version_id)

    def test_splits(self, client: Client, name: str) -> None:
        """An example may be in several; a split that there is not is refused."""
        rows = [{**row, "splits": ["all", "even"] if n % 2 == 0 else ["all"]} for n, row in enumerate(EXAMPLES)]
        client.datasets.create_dataset(name=name, examples=rows)
        found = client.datasets.get_dataset(dataset=name)
        assert {e.id: sorted(e.splits) for e in found.examples} == {row["id"]: row["splits"] for row in rows}
        found = client.datasets.get_dataset(dataset=name, splits=["even"])
        assert sorted(example.id for example in found.examples) == ["e0", "e2"]
        assert len(client.datasets.get_dataset(dataset=name, splits=["even", "all"])) == 4
        with pytest.raises(InvalidDataset, match="odd"):
            client.datasets.get_dataset(dataset=name, splits=["odd"])

    def test_a_deleted_dataset_is_gone(self, client: Client, dataset: Dataset) -> None:
        """Its name can be had again, by another one."""
        client.datasets.delete_dataset(dataset=dataset)
        with pytest.raises(NotFound):
            client.datasets.get_dataset(dataset=dataset.name)
        again = client.datasets.create_dataset(name=dataset.name, examples=[{"id": "other", "input": {"n": 1}}])
        assert [example.id for example in client.datasets.get_dataset(dataset=dataset.name)] == ["other"]
        assert len(again) == 1

    def test_pages_of_datasets(self, client: Client, name: str) -> None:
        """Newest first, each once, over as many pages as there are."""
        names = [f"{name}-{n}" for n in range(3)]
        for one in names:
            client.datasets.create_dataset(name=one, examples=EXAMPLES[:1])
        found: list[str] = []
        cursor: str | None = None
        while len(found) < 3:
            page = client.datasets.list_datasets(limit=2, cursor=cursor)
            assert len(page) <= 2
            found += [info.name for info in page if info.name.startswith(name) and info.name not in found]
            cursor = page.pagination.next_cursor
            assert page.pagination.has_more == (cursor is not None)
            assert len(found) == 3 or cursor is not None
        assert found == names[::-1]
        with pytest.raises(InvalidInput):
            client.datasets.list_datasets(cursor="no cursor at all")


def _rows(examples: Iterable[Any], can: Capabilities) -> list[tuple[Any, ...]]:
    """What examples hold; in their order where the backend keeps one."""
    found = [(e["id"], str(e["input"]), str(e.get("output")), str(dict(e.get("metadata") or {}))) for e in examples]
    return found if can.examples_in_order else sorted(found)


def _content(dataset: Dataset, can: Capabilities) -> list[tuple[Any, ...]]:
    return _rows(dataset.examples, can)
