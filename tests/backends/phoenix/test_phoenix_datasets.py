"""Datasets in Phoenix: what we write its own client reads, what that writes we read, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client, Dataset, Example
from prefect_experiments.errors import AlreadyExists, InvalidDataset, InvalidInput, NotFound
from support.patience import http

ROWS: list[dict[str, Any]] = [
    {
        "id": "one",
        "input": {"question": "¿Qué? 日本語 🙂", "nested": {"list": [1, 2.5, None, True, "x"], "empty": {}}},
        "output": {"answer": "Ü", "missing": None},
        "metadata": {"topic": "x", "deep": [{"a": [[]]}]},
        "splits": ["test", "hard"],
    },
    {"id": "two", "input": {"question": "plain"}, "splits": ["train"]},
    {"id": "three", "input": {"question": ""}, "output": {"answer": 0}, "metadata": {"big": 2**53}},
]


def theirs(official: PhoenixClient, dataset: str, **selection: Any) -> list[tuple[Any, ...]]:
    """The examples as Phoenix's own client reads them."""
    found = official.datasets.get_dataset(dataset=dataset, **selection)
    return [(e["id"], e["input"], e["output"], e["metadata"]) for e in found.examples]


def ours(dataset: Dataset) -> list[tuple[Any, ...]]:
    return [(e.id, e.input, e.output or {}, dict(e.metadata)) for e in dataset.examples]


def splits_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {example.id: example.splits for example in dataset.examples}


def test_what_is_created_is_what_phoenix_has(client: Client, official: PhoenixClient, name: str) -> None:
    made = client.datasets.create_dataset(name=name, examples=ROWS, description="a few questions")
    assert ours(made) == [(r["id"], r["input"], r.get("output", {}), r.get("metadata", {})) for r in ROWS]
    assert made.examples[1].output is None
    assert splits_of(made) == {"one": ("hard", "test"), "two": ("train",), "three": ()}
    read = official.datasets.get_dataset(dataset=made.id)
    assert (read.name, read.description, read.version_id) == (name, "a few questions", made.version_id)
    assert made.description == "a few questions"
    assert made.created_at == read.created_at
    assert theirs(official, name) == ours(made)
    for split, ids in {"test": ["one"], "hard": ["one"], "train": ["two"]}.items():
        assert [row[0] for row in theirs(official, name, splits=[split])] == ids
        assert [e.id for e in client.datasets.get_dataset(dataset=name, splits=split).examples] == ids
    both = client.datasets.get_dataset(name=name, splits=["test", "train"])
    assert ([e.id for e in both.examples], both.splits) == (["one", "two"], ("test", "train"))


def test_from_a_dataframe_and_from_a_file(client: Client, official: PhoenixClient, name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"q": ["a", "b"], "a": ["A", "B"], "topic": ["x", "y"], "part": ["test", None], "key": [7, 8]})
    keys: dict[str, Any] = {"input_keys": ["q"], "output_keys": ["a"], "metadata_keys": "topic"}
    made = client.datasets.create_dataset(name=name, dataframe=frame, split_key="part", id_key="key", **keys)
    wanted = [("7", {"q": "a"}, {"a": "A"}, {"topic": "x"}), ("8", {"q": "b"}, {"a": "B"}, {"topic": "y"})]
    assert ours(made) == theirs(official, name) == wanted
    assert splits_of(made) == {"7": ("test",), "8": ()}
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    filed = client.datasets.create_dataset(name=f"{name}-file", file=path, split_key="part", id_key="key", **keys)
    assert ours(filed) == theirs(official, filed.id) == wanted
    assert splits_of(filed) == splits_of(made)


def test_values_that_are_no_objects_get_a_name(client: Client, official: PhoenixClient, name: str) -> None:
    rows = [{"input": "text", "output": "x"}, {"input": [1, 2], "output": 0}, {"input": None, "output": False}]
    made = client.datasets.create_dataset(name=name, examples=rows)
    wanted = [({"input": "text"}, {"output": "x"}), ({"input": [1, 2]}, {"output": 0}), ({}, {"output": False})]
    assert [row[1:3] for row in theirs(official, name)] == wanted
    assert [(e.input, e.output) for e in made.examples] == wanted


def test_appending_makes_a_version(client: Client, official: PhoenixClient, name: str) -> None:
    first = client.datasets.create_dataset(name=name, examples=ROWS)
    again = client.datasets.add_examples_to_dataset(
        dataset=first, examples=[{"id": "four", "input": {"question": "new"}, "splits": ["train"]}]
    )
    assert [e.id for e in again.examples] == ["one", "two", "three", "four"]
    assert again.version_id != first.version_id
    assert splits_of(again) == {**splits_of(first), "four": ("train",)}
    assert theirs(official, name) == ours(again)
    assert theirs(official, name, version_id=first.version_id) == ours(first)
    unnamed = client.datasets.add_examples_to_dataset(dataset=name, examples=[{"input": {"question": "plain"}}] * 2)
    assert len(unnamed) == 6
    with pytest.raises(InvalidDataset, match="'two'"):
        client.datasets.add_examples_to_dataset(dataset=name, examples=[ROWS[1]])
    assert len(client.datasets.get_dataset(dataset=name)) == 6


def test_versions(client: Client, official: PhoenixClient, name: str) -> None:
    made = [client.datasets.create_dataset(name=name, examples=ROWS[:1])]
    made += [client.datasets.add_examples_to_dataset(dataset=name, examples=[row]) for row in ROWS[1:]]
    versions = client.datasets.list_versions(dataset=name)
    assert [version.id for version in versions] == [dataset.version_id for dataset in reversed(made)]
    assert [version.number for version in versions] == [3, 2, 1]
    assert versions[0].example_count == 3
    told = official.datasets.get_dataset_versions(dataset=name)
    assert [(v.id, v.created_at) for v in versions] == [(v["version_id"], v["created_at"]) for v in told]
    for number, dataset in enumerate(made, start=1):
        by_id = client.datasets.get_dataset(dataset=name, version_id=dataset.version_id)
        by_number = client.datasets.get_dataset(dataset=name, version_id=str(number))
        assert ours(by_id) == ours(by_number) == theirs(official, name, version_id=dataset.version_id)
        assert len(by_id) == number
    info = client.datasets.get_info(dataset=name)
    assert (info.version_id, info.version_count, info.example_count) == (versions[0].id, 3, 3)
    for unknown in ("4", "0", "newest", "RGF0YXNldFZlcnNpb246OTk5OTk5OTk="):
        with pytest.raises(NotFound, match="version") as caught:
            client.datasets.get_dataset(dataset=name, version_id=unknown)
        assert unknown in str(caught.value)
        assert versions[0].id in str(caught.value)


def test_updating_loses_nothing(client: Client, official: PhoenixClient, name: str) -> None:
    first = client.datasets.create_dataset(name=name, examples=ROWS)
    changed = Example(id="two", input={"question": "changed"}, output={"answer": 1}, splits=("test",))
    second = client.datasets.update_examples(
        dataset=name, examples=[changed, {"id": "four", "input": {"question": "new"}}]
    )
    assert [e.id for e in second.examples] == ["one", "two", "three", "four"]
    assert second.examples[1] == changed
    assert splits_of(second) == {"one": ("hard", "test"), "two": ("test",), "three": (), "four": ()}
    assert theirs(official, name) == ours(second)
    assert theirs(official, name, version_id=first.version_id) == ours(first)
    with pytest.raises(InvalidDataset, match="example 2 has no id; update_examples goes by ids"):
        client.datasets.update_examples(dataset=name, examples=[changed, {"input": {}}])


def test_updating_can_take_the_last_split_away(client: Client, name: str) -> None:
    client.datasets.create_dataset(name=name, examples=[ROWS[1], ROWS[2]])
    second = client.datasets.update_examples(dataset=name, examples=[{"id": "two", "input": {"question": "plain"}}])
    assert splits_of(second) == {"two": (), "three": ()}


@pytest.mark.parametrize("meanwhile", ["added", "changed", "deleted"])
def test_updating_while_somebody_else_writes(
    client: Client,
    official: PhoenixClient,
    name: str,
    meanwhile: str,
    phoenix_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.datasets.create_dataset(name=name, examples=ROWS)

    def somebody_else() -> None:
        if meanwhile == "added":
            official.datasets.add_examples_to_dataset(
                dataset=name, inputs=[{"question": "theirs"}], outputs=[{}], timeout=300
            )
            return
        left = [row for row in ROWS if row["id"] != "one"]
        if meanwhile == "changed":
            left = [{**ROWS[0], "input": {"question": "theirs"}}, *left]
        _update(phoenix_url, name, left)

    _before_the_upload(client, somebody_else, monkeypatch)
    after = client.datasets.update_examples(dataset=name, examples=[{"id": "two", "input": {"question": "ours"}}])
    content = {e.id: e.input["question"] for e in after.examples}
    assert content["two"] == "ours"
    assert content["three"] == ""
    if meanwhile == "added":
        assert set(content.values()) == {ROWS[0]["input"]["question"], "ours", "", "theirs"}
    elif meanwhile == "changed":
        assert content["one"] == "theirs"
    else:
        assert "one" not in content
    assert theirs(official, name) == ours(after)
    assert splits_of(after) == splits_of(client.datasets.get_dataset(dataset=name))


def _update(url: str, name: str, rows: list[dict[str, Any]]) -> None:
    body = {
        "action": "update",
        "name": name,
        "inputs": [row["input"] for row in rows],
        "outputs": [row.get("output", {}) for row in rows],
        "metadata": [row.get("metadata", {}) for row in rows],
        "example_ids": [row["id"] for row in rows],
    }
    http.post(f"{url}/v1/datasets/upload", params={"sync": "true"}, json=body).raise_for_status()


def _before_the_upload(client: Client, action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something when `client` has read a dataset and is about to write: the moment where writes get lost."""
    api = client.remote.datasets._api  # type: ignore[union-attr]
    upload, done = api.upload, []

    async def interrupted(body: Any) -> Any:
        if not done:
            done.append(True)
            action()
        return await upload(body)

    monkeypatch.setattr(api, "upload", interrupted)


def test_names_in_use_and_names_unknown(client: Client, name: str) -> None:
    made = client.datasets.create_dataset(name=name, examples=ROWS)
    with pytest.raises(AlreadyExists, match=f"there is a dataset '{name}' already in .*; choose another name"):
        client.datasets.create_dataset(name=name, examples=ROWS)
    with pytest.raises(NotFound, match=f"did you mean '{name}'"):
        client.datasets.get_dataset(dataset=f"{name}x")
    with pytest.raises(NotFound, match="RGF0YXNldDo5OTk5OTk5"):
        client.datasets.get_dataset(dataset="RGF0YXNldDo5OTk5OTk5OQ==")
    with pytest.raises(InvalidDataset, match=r"^dataset '.*' has no split 'dev'; it has .*train"):
        client.datasets.get_dataset(dataset=name, splits=["test", "dev"])
    with pytest.raises(InvalidInput, match="1 to 255 printable"):
        client.datasets.create_dataset(name="", examples=ROWS)
    with pytest.raises(InvalidDataset, match="ids that stand twice: 'two'"):
        client.datasets.create_dataset(name=f"{name}-2", examples=[ROWS[1], ROWS[1]])
    with pytest.raises(InvalidInput, match="no metadata of a whole dataset"):
        client.datasets.create_dataset(name=f"{name}-2", examples=ROWS, metadata={"a": 1})
    with pytest.raises(NotFound):
        client.datasets.get_dataset(dataset=f"{name}-2")
    client.datasets.delete_dataset(dataset=made)
    for key in (made.id, name):
        with pytest.raises(NotFound):
            client.datasets.get_dataset(dataset=key)
    assert client.datasets.create_dataset(name=name, examples=ROWS[:1]).examples[0].id == "one"


def test_lists_come_in_pages(client: Client, official: PhoenixClient, name: str) -> None:
    made = [client.datasets.create_dataset(name=f"{name}-{n}", examples=ROWS[:n]) for n in (1, 2, 3)]
    first = client.datasets.list_datasets(limit=2)
    assert len(first) == 2
    assert first.pagination.has_more
    second = client.datasets.list_datasets(limit=2, cursor=first.pagination.next_cursor)
    found = {info.id: info for info in [*first, *second]}
    assert len(found) == 2 + len(second)
    told = {one["id"]: one for one in official.datasets.list(limit=20)}
    for dataset in made:
        if dataset.id in found:
            info = found[dataset.id]
            assert (info.name, info.version_id, info.version_count) == (dataset.name, dataset.version_id, 1)
            assert (info.example_count, info.created_at.isoformat()) == (
                told[dataset.id]["example_count"],
                told[dataset.id]["created_at"].replace("Z", "+00:00"),
            )
    page = client.datasets.list_examples(dataset=made[2].id, limit=2)
    assert [e.id for e in page.examples] == ["one", "two"]
    rest = client.datasets.list_examples(dataset=made[2].id, limit=2, cursor=page.pagination.next_cursor)
    assert ([e.id for e in rest.examples], rest.pagination.has_more) == (["three"], False)
    frame = client.datasets.list_examples(dataset=made[2].id, all=True).to_df()
    assert frame["id"].tolist() == ["one", "two", "three"]
    for limit in (0, 1001):
        with pytest.raises(InvalidInput, match="between 1 and 1000"):
            client.datasets.list_datasets(limit=limit)


def test_we_read_what_its_own_client_made(client: Client, official: PhoenixClient, name: str) -> None:
    named = official.datasets.create_dataset(
        name=name,
        dataframe=pd.DataFrame({"q": ["a", "b"], "a": ["A", ""], "m": [1, 2], "key": ["k1", "k2"], "part": ["x", "y"]}),
        input_keys=["q"],
        output_keys=["a"],
        metadata_keys=["m"],
        example_id_key="key",
        split_key="part",
        dataset_description="made there",
    )
    unnamed = official.datasets.create_dataset(
        name=f"{name}-unnamed", inputs=[{"q": "a"}, {"q": "a"}], outputs=[{"a": 1}, {}], metadata=[{}, {"m": None}]
    )
    for dataset in (named, unnamed):
        read = client.datasets.get_dataset(dataset=dataset.name)
        assert ours(read) == theirs(official, dataset.id)
        assert (read.id, read.version_id) == (dataset.id, dataset.version_id)
        assert (read.description or "") == (dataset.description or "")
    assert splits_of(client.datasets.get_dataset(dataset=name)) == {"k1": ("x",), "k2": ("y",)}
    second = client.datasets.update_examples(
        dataset=unnamed.id, examples=[{"id": unnamed.examples[1]["id"], "input": {"q": "changed"}}]
    )
    assert [(e.id, e.input) for e in second.examples] == [
        (unnamed.examples[0]["id"], {"q": "a"}),
        (unnamed.examples[1]["id"], {"q": "changed"}),
    ]
    third = client.datasets.add_examples_to_dataset(dataset=unnamed.id, examples=[{"input": {"q": "a"}}])
    assert len(third) == 3
    assert theirs(official, unnamed.id) == ours(third)


def test_a_copy_of_a_dataset_without_ids(client: Client, official: PhoenixClient, name: str) -> None:
    """Phoenix makes ids where none are given, and takes none of those for another dataset."""
    made = official.datasets.create_dataset(name=name, inputs=[{"q": "a"}, {"q": "b"}], outputs=[{"a": 1}, {}])
    copy = client.datasets.create_dataset(name=f"{name}-copy", examples=client.datasets.get_dataset(dataset=made.id))
    assert [(e.input, e.output) for e in copy.examples] == [({"q": "a"}, {"a": 1}), ({"q": "b"}, None)]
    assert {e.id for e in copy.examples}.isdisjoint(e["id"] for e in made.examples)
    with pytest.raises(
        InvalidDataset, match=r"2 of the examples' ids are in .* already: .*; change them with update_examples"
    ):
        client.datasets.add_examples_to_dataset(dataset=copy, examples=client.datasets.get_dataset(dataset=made.id))


def test_files_there_and_back(client: Client, name: str, tmp_path: Path) -> None:
    made = client.datasets.create_dataset(name=name, examples=ROWS)
    path = client.datasets.export_dataset(dataset=name, path=tmp_path / "rows.jsonl")
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 3
    again = client.datasets.create_dataset(name=f"{name}-again", file=path)
    assert ours(again) == ours(made)
    assert splits_of(again) == splits_of(made)


@pytest.mark.slow
def test_fifteen_thousand_examples(client: Client, official: PhoenixClient, name: str) -> None:
    rows = [
        {"id": f"e{n}", "input": {"n": n}, "output": {"n": n}, "splits": ["odd"] if n % 2 else []}
        for n in range(15_000)
    ]
    made = client.datasets.create_dataset(name=name, examples=rows)
    assert [e.input["n"] for e in made.examples] == list(range(15_000))
    second = client.datasets.add_examples_to_dataset(dataset=name, examples=[{"id": "last", "input": {"n": -1}}])
    assert len(second) == 15_001
    assert len(client.datasets.get_dataset(dataset=name, splits="odd")) == 7_500
    assert len(official.datasets.get_dataset(dataset=name, timeout=300)) == 15_001
