"""Datasets of more examples than are held in memory: the same as small ones, all or nothing, and recognised."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_experiments import Client, datasets
from prefect_experiments.errors import InvalidDataset, NotFound
from prefect_experiments.models import Example
from prefect_experiments.options import Sample
from prefect_experiments.store import Store
from prefect_experiments.store.tables import dataset_versions

MANY = 12_001

# As version 0.1 made them, which held everything in memory: datasets that were made then must be known again.
FINGERPRINTS = {
    "jsonl-3": "d9d76b77d7a7669dac70cff6129e4c9dcc43015c2fe4b65b41e53674f3b8f686",
    "json-3": "d9d76b77d7a7669dac70cff6129e4c9dcc43015c2fe4b65b41e53674f3b8f686",
    "csv-3": "19a7b13f4cc2f4f64710d13384d8776a6255050271fe7e0df39751ae39ea02f9",
    "alike-3": "355d550ed535bace47ff11b6c0f895332a4ecc3394dd5e816d284c30d3df11d2",
    "jsonl-12001": "03792cbed61ba413cdb847c0eea06ddbd96c5adc1b6750d116c629ed4b6fabf1",
    "json-12001": "03792cbed61ba413cdb847c0eea06ddbd96c5adc1b6750d116c629ed4b6fabf1",
    "csv-12001": "692452e79cf7644a44b8a7b2faf1af5b0bbe97ef5b9603894551c38d68d8f7b1",
    "alike-12001": "2e2041a9230bc0e3e87dad29c38ef023687deb3e2c302f4036be5009ef9a8983",
}


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"e{i}",
            "input": {"question": f"what is {i}?", "n": i / 7},
            "output": None if i % 5 == 0 else f"näher {i % 13}",
            "topic": f"t{i % 11}",
            "splits": [["test"], [], ["dev", "test"]][i % 3],
            "context.span_id": f"{i:016x}" if i % 4 == 0 else None,
        }
        for i in range(count)
    ]


def alike(count: int) -> list[dict[str, Any]]:
    """Many rows of one content, some with ids of their own."""
    return [
        {"input": i % 1000, "output": True, "k": str(i % 7), "odd": i}
        if i % 2
        else {"input": i % 1000, "output": "True", "id": "" if i % 4 else f"g{i}"}
        for i in range(count)
    ]


def written(folder: Path, kind: str, found: list[dict[str, Any]]) -> Path:
    path = folder / f"rows.{'jsonl' if kind == 'alike' else kind}"
    if kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(found[0]))
            writer.writeheader()
            writer.writerows({**row, "input": json.dumps(row["input"])} for row in found)
    elif kind == "parquet":
        import pandas as pd

        pd.DataFrame(found).to_parquet(path, index=False)
    elif kind == "json":
        path.write_text(json.dumps(found))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def examples(count: int) -> list[Example]:
    return [
        Example(id=f"e{i}", input={"n": i}, output=i % 7, splits=("even",) if i % 2 == 0 else ()) for i in range(count)
    ]


@pytest.mark.parametrize("what", FINGERPRINTS)
def test_fingerprints_and_made_ids_are_what_they_were(what: str, tmp_path: Path) -> None:
    kind, count = what.split("-")
    found = (alike if kind == "alike" else rows)(int(count))
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    version = store.datasets.create("d", datasets.load(written(tmp_path, kind, found)))
    with store.database.read() as connection:
        query = sa.select(dataset_versions.c.fingerprint).where(dataset_versions.c.id == version.id)
        assert connection.execute(query).scalar_one() == FINGERPRINTS[what]
    store.close()


def spoiled(change: Callable[[dict[str, Any]], Any]) -> list[dict[str, Any]]:
    found = rows(MANY)
    change(found[11_990])
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["jsonl", "csv", "json", "parquet"])
def test_an_id_that_stands_twice_far_down_is_named_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, kind, spoiled(lambda row: row.update(id="e7")))
    client = Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(InvalidDataset, match=r"rows\.\w+: ids that stand twice: 'e7' \(rows 8 and 11991\)\. Make them"):
        client.datasets.create_dataset(name="d", file=path)
    assert client.datasets.list_datasets().datasets == []


def test_a_bad_line_far_down_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    client = Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")
    path = written(tmp_path, "jsonl", rows(MANY))
    with path.open("a") as file:
        file.write('{"input": 1, "id": "x", "output": NaN}\n')
    with pytest.raises(InvalidDataset, match=r"line 12002, at .*: NaN is not JSON\. Write null instead"):
        client.datasets.create_dataset(name="d", file=path)
    path = written(tmp_path, "csv", rows(MANY))
    with path.open("a") as file:
        file.write("x,1\n")
    with pytest.raises(InvalidDataset, match=r"line 12003 has 2 fields where the header, line 1, has 6"):
        client.datasets.create_dataset(name="d", file=path)
    path.write_bytes(path.read_bytes()[:-4] + b"\xff\n")
    with pytest.raises(InvalidDataset, match=f"is not UTF-8: byte {path.stat().st_size - 2} cannot be read"):
        client.datasets.create_dataset(name="d", file=path)
    assert client.datasets.list_datasets().datasets == []


def test_a_cell_far_down_that_is_not_json_is_named(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"input": range(MANY), "score": [0.5] * (MANY - 1) + [float("nan")]})
    client = Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(InvalidDataset, match=r"DataFrame: row 12001, metadata\['score'\]: nan"):
        client.datasets.create_dataset(name="d", dataframe=frame)
    with pytest.raises(InvalidDataset, match="DataFrame: column 'score', row 12001"):
        client.datasets.create_dataset(
            name="d", dataframe=frame.assign(score=["1"] * (MANY - 1) + ["x"]), types={"score": "number"}
        )
    assert client.datasets.list_datasets().datasets == []


@pytest.mark.thorough
@pytest.mark.mostly_slow
def test_it_reads_as_a_tuple_does(store: Store) -> None:
    every = tuple(examples(MANY))
    version = store.datasets.create("d", every)
    found = store.datasets.get("d")
    assert len(found) == MANY
    assert found.examples == every
    assert (found[0], found.examples[-1], found[11_000]) == (every[0], every[-1], every[11_000])
    assert found.examples[5:9] == every[5:9]
    assert list(found.examples[::-4000]) == list(every[::-4000])
    assert every[777] in found.examples
    assert found.examples != every[1:]
    assert pickle.loads(pickle.dumps(found.examples)) == every
    with pytest.raises(IndexError):
        found[MANY]
    sample = Sample(n=50, method="stratified", by="expected", seed=3)
    assert datasets.draw(found.examples, sample) == tuple(datasets.draw(every, sample))
    assert datasets.draw(found.examples, Sample(fraction=0.9)) == tuple(datasets.draw(every, Sample(fraction=0.9)))
    assert store.datasets.get("d", splits=["even"]).examples == every[::2]
    assert list(store.datasets.positions(version)) == list(range(MANY))


@pytest.mark.thorough
def test_examples_of_a_deleted_dataset_are_not_there_any_more(store: Store) -> None:
    store.datasets.create("d", examples(MANY))
    found = store.datasets.get("d")
    store.datasets.delete("d")
    with pytest.raises(NotFound, match="its examples were deleted"):
        list(found)
    with pytest.raises(NotFound, match="its examples were deleted"):
        found[5]


@pytest.mark.thorough
def test_a_dataset_of_as_many_as_are_held_is_held(store: Store) -> None:
    """It is still there when it has been deleted."""
    store.datasets.create("held", [Example(input=n, id=f"e{n}") for n in range(10_000)])
    found = store.datasets.get("held")
    store.datasets.delete("held")
    assert [example.input for example in found.examples] == list(range(10_000))


@pytest.mark.thorough
@pytest.mark.mostly_slow
def test_a_version_costs_what_it_changed(store: Store) -> None:
    every = examples(MANY)
    first = store.datasets.create("d", every)
    assert store.datasets.put("d", every[::-1]) == first, "the order is no matter"
    assert store.datasets.holds(first, every[::-1])
    changed = [Example(id=f"e{i * 1000}", input="new") for i in range(10)]
    second = store.datasets.update("d", [*changed, Example(id="more", input="more")])
    assert (second.number, second.example_count) == (2, MANY + 1)
    merged = {e.id: e for e in every} | {e.id: e for e in changed} | {"more": Example(id="more", input="more")}
    assert store.datasets.get("d").examples == tuple(merged.values())
    assert store.datasets.put("d", tuple(merged.values())) == second, "its fingerprint is that of its content"
    third = store.datasets.put("d", every[1:])
    assert third.example_count == MANY - 1
    assert store.datasets.get("d").examples == tuple(every[1:])
    assert list(store.datasets.positions(third)) == list(range(1, MANY))
    assert store.datasets.get("d", version="2").examples == tuple(merged.values())
    fourth = store.datasets.put("d", every)
    assert store.datasets.outline(fourth) == store.datasets.outline(first), "an example that comes back has its place"
    with pytest.raises(InvalidDataset, match=r"2 of the examples' ids are in the dataset already: e3, e4;"):
        store.datasets.append("d", [Example(id=name, input=1) for name in ("e4", "x", "e3")])
    fifth = store.datasets.append("d", [Example(id="last", input=1)])
    assert store.datasets.get("d").examples == (*every, Example(id="last", input=1))
    assert store.datasets.put("d", store.datasets.get("d").examples) == fifth


@pytest.mark.slow
def test_ids_that_a_large_dataset_has_are_refused_by_row(tmp_path: Path) -> None:
    client = Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")
    path = written(tmp_path, "jsonl", rows(MANY))
    client.datasets.create_dataset(name="d", file=path)
    with pytest.raises(InvalidDataset, match=r"ids that the dataset has already: 'e12000' \(row 2\)\. Leave"):
        client.datasets.add_examples_to_dataset(dataset="d", examples=[{"input": 1}, {"input": 2, "id": "e12000"}])
    again = client.datasets.create_dataset(name="d", file=path, if_exists="reuse")
    assert (len(again), again[12_000].id) == (MANY, "e12000")
    page = client.datasets.list_examples(dataset="d", limit=3, cursor=None)
    assert [example.id for example in page.examples] == ["e0", "e1", "e2"]
