"""Datasets in AX (a stand-in): what we write its own client reads, what that writes we read, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_experiments import Client, Dataset, Example
from prefect_experiments.errors import AlreadyExists, BackendUnavailable, InvalidDataset, InvalidInput, NotFound
from support.arize import Official, StandIn

FLAT = [{"question": f"{n} + {n}?", "answer": str(2 * n), "level": n % 2, "tags": ["sum", n]} for n in range(4)]
ROLES: list[dict[str, Any]] = [
    {
        "id": "one",
        "input": {"question": "¿Qué? 日本語 🙂", "nested": {"list": [1, 2.5, None, True, "x"], "empty": {}}},
        "output": {"answer": "Ü", "missing": None},
        "metadata": {"topic": "x", "deep": [{"a": [[]]}]},
        "splits": ["test", "hard"],
    },
    {"id": "two", "input": {"question": "plain", "id": "of the row", "created_at": "then"}, "splits": ["train"]},
    {"id": "three", "input": {"same": 1}, "output": {"same": 2}, "metadata": {"same": 3, "input.same": 4}},
    {"id": "four", "input": "text", "output": 0, "metadata": {"prefect_experiments": "mine"}},
    {"id": "five", "input": [1, 2], "output": False},
    {"id": "six", "input": {"input": "within"}},
    {"id": "seven", "input": {}},
]


def theirs(official: Official, dataset: str, **selection: Any) -> list[dict[str, Any]]:
    """The examples as the official client reads them, without what AX adds."""
    code = "result = client.datasets.list_examples(dataset=d, limit=500, **selection).examples"
    rows = official(code, d=dataset, selection=selection)
    return [{k: v for k, v in r.items() if k not in ("created_at", "updated_at", "annotations")} for r in rows]


def content(dataset: Dataset) -> dict[str, tuple[Any, ...]]:
    return {e.id: (e.input, e.output, dict(e.metadata), e.splits) for e in dataset.examples}


def test_rows_go_as_the_official_client_sends_them(arize: StandIn, client: Client, official: Official) -> None:
    plain = [{"input": row["question"], "output": row["answer"]} for row in FLAT]
    client.datasets.create_dataset(name="ours", examples=FLAT, input_keys=list(FLAT[0]))
    client.datasets.create_dataset(name="ours, too", examples=plain)
    official("client.datasets.create(name='ours', space=s, examples=rows)", s=arize.add_space("theirs"), rows=FLAT)
    official("client.datasets.create(name='ours, too', space='theirs', examples=rows)", rows=plain)
    bodies = arize.bodies("/v2/datasets$")
    for ours, sent in ((bodies[0], bodies[2]), (bodies[1], bodies[3])):
        assert {**ours, "space_id": ""} == {**sent, "space_id": ""}
        assert [list(row) for row in ours["examples"]] == [list(row) for row in sent["examples"]]


def test_we_read_what_the_official_client_made(arize: StandIn, client: Client, official: Official) -> None:
    made = official("result = client.datasets.create(name='sums', space='default', examples=rows)", rows=FLAT)
    found = client.datasets.get_dataset(name="sums")
    assert (found.id, found.name) == (made["id"], "sums")
    rows = theirs(official, "sums", space="default")
    assert [{"id": e.id, **e.input} for e in found.examples] == rows
    assert [(e.output, dict(e.metadata)) for e in found.examples] == [(None, {})] * 4
    official(
        "client.datasets.create(name='spans', space='default', examples=rows)",
        rows=[{"attributes.input.value": "q", "attributes.output.value": "a", "x": None}],
    )
    (span,) = client.datasets.get_dataset(name="spans").examples
    assert (span.input, span.output) == (
        {"attributes.input.value": "q", "x": None},
        {"attributes.output.value": "a"},
    )
    official(
        "client.datasets.create(name='usual', space='default', examples=rows)",
        rows=[{"input": {"q": 1}, "expected": "a", "metadata": {"m": 1}, "topic": "t"}],
    )
    (usual,) = client.datasets.get_dataset(name="usual").examples
    assert (usual.input, usual.output, dict(usual.metadata)) == ({"q": 1}, "a", {"m": 1, "topic": "t"})


@pytest.mark.parametrize("columnar", [False, True], ids=["as-sent", "nulls-for-missing-columns"])
def test_what_is_what_survives(arize: StandIn, client: Client, official: Official, columnar: bool) -> None:
    """Ids, splits and roles, which AX does not know, come back; values are readable for everybody."""
    arize.set(columnar=columnar)
    made = client.datasets.create_dataset(name="mixed", examples=ROLES)
    wanted = {
        row["id"]: (row["input"], row.get("output"), row.get("metadata", {}), tuple(row.get("splits", ())))
        for row in ROLES
    }
    assert content(made) == content(client.datasets.get_dataset(name="mixed")) == wanted
    assert [e.id for e in client.datasets.get_dataset(name="mixed", splits="hard").examples] == ["one"]
    with pytest.raises(InvalidDataset, match=r"no split 'dev'|'dev'"):
        client.datasets.get_dataset(name="mixed", splits="dev")
    rows = {json.loads(row["prefect_experiments"])["id"]: row for row in theirs(official, made.id)}
    assert rows["one"]["question"] == "¿Qué? 日本語 🙂"
    assert (rows["one"]["answer"], rows["one"]["topic"]) == ("Ü", "x")
    assert rows["two"]["input.id"] == "of the row"
    assert (rows["four"]["input"], rows["four"]["output"]) == ("text", 0)


def test_appending_and_updating_make_versions(arize: StandIn, client: Client, official: Official) -> None:
    first = client.datasets.create_dataset(name="mixed", examples=ROLES)
    second = client.datasets.add_examples_to_dataset(
        dataset=first, examples=[{"id": "new", "input": {"question": "?"}}]
    )
    assert content(second) == {**content(first), "new": ({"question": "?"}, None, {}, ())}
    changed = Example(id="one", input={"question": "other"}, output={"answer": 1})
    third = client.datasets.update_examples(dataset="mixed", examples=[changed, {"id": "newer", "input": "x"}])
    assert content(third) == {
        **content(second),
        "one": ({"question": "other"}, {"answer": 1}, {}, ()),
        "newer": ("x", None, {}, ()),
    }
    versions = client.datasets.list_versions(dataset="mixed")
    assert [version.id for version in versions] == [third.version_id, second.version_id, first.version_id]
    assert [version.number for version in versions] == [3, 2, 1]
    for number, dataset in enumerate((first, second, third), start=1):
        for version in (dataset.version_id, str(number)):
            assert content(client.datasets.get_dataset(name="mixed", version_id=version)) == content(dataset)
        for word in ("version_id", "dataset_version_id"):
            listed = client.datasets.list_examples(dataset="mixed", **{word: dataset.version_id})
            assert [example.id for example in listed] == [example.id for example in dataset.examples]
        assert len(theirs(official, first.id, dataset_version_id=dataset.version_id)) == len(dataset)
    info = client.datasets.get_info(dataset="mixed")
    assert (info.id, info.version_id, info.version_count) == (first.id, third.version_id, 3)
    with pytest.raises(InvalidDataset, match="'new'"):
        client.datasets.add_examples_to_dataset(dataset="mixed", examples=[{"id": "new", "input": {}}])
    with pytest.raises(NotFound, match="unknown dataset version '9'"):
        client.datasets.get_dataset(name="mixed", version_id="9")


def test_examples_of_the_official_client_are_changed_under_its_ids(client: Client, official: Official) -> None:
    official("client.datasets.create(name='sums', space='default', examples=rows)", rows=FLAT)
    first = client.datasets.get_dataset(name="sums")
    chosen = first.examples[1]
    changed = Example(id=chosen.id, input={**chosen.input, "answer": "changed"})
    second = client.datasets.update_examples(dataset="sums", examples=[changed])
    rows = {row["id"]: row for row in theirs(official, second.id)}
    assert rows == {e.id: {"id": e.id, **e.input} for e in second.examples}
    assert rows[chosen.id]["answer"] == "changed"
    assert len(rows) == 4
    third = client.datasets.add_examples_to_dataset(dataset="sums", examples=[{"input": "1"}, {"input": "1"}])
    assert len(third) == 6
    assert len(theirs(official, second.id, dataset_version_id=second.version_id)) == 4


def test_names_in_use_and_names_unknown(arize: StandIn, client: Client) -> None:
    made = client.datasets.create_dataset(name="sums", examples=ROLES)
    with pytest.raises(AlreadyExists, match=r"there is a dataset 'sums' already in .*; choose another name"):
        client.datasets.create_dataset(name="sums", examples=ROLES)
    with pytest.raises(NotFound, match="did you mean 'sums'"):
        client.datasets.get_dataset(dataset="sumz")
    with pytest.raises(NotFound, match=r"dataset .* not found"):
        client.datasets.get_dataset(dataset="RGF0YXNldDo5OTk5OnhYWA==")
    with pytest.raises(InvalidInput, match="no description and no metadata"):
        client.datasets.create_dataset(name="other", examples=ROLES, description="a sentence")
    odd = 'with "quotes" \\ and / and ?'
    assert (
        client.datasets.get_dataset(name=client.datasets.create_dataset(name=odd, examples=ROLES[:1]).name)
        .examples[0]
        .id
        == "one"
    )
    client.datasets.delete_dataset(dataset=made)
    for key in (made.id, "sums"):
        with pytest.raises(NotFound):
            client.datasets.get_dataset(dataset=key)
    assert [head["name"] for head in arize.state()["datasets"]] == [odd]


def test_lists_come_in_pages(arize: StandIn, client: Client) -> None:
    for n in range(105):
        client.datasets.create_dataset(name=f"d{n}", examples=[{"input": n}])
    first = client.datasets.list_datasets(limit=103)
    assert [info.name for info in first] == [f"d{n}" for n in range(104, 1, -1)]
    second = client.datasets.list_datasets(limit=103, cursor=first.pagination.next_cursor)
    assert ([info.name for info in second], second.pagination.has_more) == (["d1", "d0"], False)


@pytest.mark.parametrize("lists", ["get", "post"])
def test_either_form_of_lists(arize: StandIn, client: Client, lists: str) -> None:
    arize.set(lists=lists)
    rows = [{"id": f"e{n}", "input": {"n": n}} for n in range(1201)]
    made = client.datasets.create_dataset(name="many", examples=rows)
    assert {e.id: e.input["n"] for e in made.examples} == {f"e{n}": n for n in range(1201)}
    assert [len(body["examples"]) for body in arize.bodies("/v2/datasets(/.*/examples)?$")] == [1000, 201]


def test_large_examples_are_sent_in_smaller_parts(
    arize: StandIn, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    arize.set(most_bytes=9_000_000)
    rows = [{"id": f"e{n}", "input": {"text": "x" * 2_000_000, "n": n}} for n in range(9)]
    made = client.datasets.create_dataset(name="large", examples=rows)
    assert sorted(e.input["n"] for e in made.examples) == list(range(9))
    assert [len(body["examples"]) for body in arize.bodies("/v2/datasets(/.*/examples)?$")] == [4, 4, 1]


WRITES = r"/v2/datasets(/[^/]+/examples)?$"
TROUBLE = [
    {"status": 429, "headers": {"Retry-After": "0.1"}},
    {"status": 503},
    {"status": 500, "applied": True},
    {"cut": "before"},
    {"cut": "after"},
    {"cut": "middle"},
    {"garbage": "<html>", "applied": True},
]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(f, id=str(f), marks=() if f.get("applied") or f.get("cut") == "after" else pytest.mark.slow)
        for f in TROUBLE
    ],
)
def test_trouble_loses_and_doubles_nothing(arize: StandIn, client: Client, hasty: int, fault: dict[str, Any]) -> None:
    rows = [{"id": f"e{n}", "input": {"n": n, "x": 1.0}} for n in range(hasty)]
    arize.fail(*({"method": method, "path": WRITES, "times": 2, **fault} for method in ("POST", "PATCH")))
    made = client.datasets.create_dataset(name="many", examples=rows)
    assert sorted(e.input["n"] for e in made.examples) == list(range(hasty))
    skipped = {"POST": 1, "PATCH": 0}
    arize.fail(
        *({"method": method, "path": WRITES, "skip": skipped[method], "times": 1, **fault} for method in skipped)
    )
    doubles = [{"input": {"n": -1}}] * 150
    more = client.datasets.add_examples_to_dataset(dataset="many", examples=doubles)
    assert sorted(e.input["n"] for e in more.examples) == [-1] * 150 + list(range(hasty))
    assert len(client.datasets.list_versions(dataset="many")) == 2


def test_what_is_there_of_a_dataset_whose_rest_was_not_taken(arize: StandIn, client: Client, hasty: int) -> None:
    arize.fail({"method": "POST", "path": "/examples$", "status": 503})
    with pytest.raises(BackendUnavailable) as out:
        client.datasets.create_dataset(name="many", examples=[{"input": n} for n in range(hasty)])
    assert str(out.value).endswith(
        ". 100 of 260 examples are in the new dataset 'many' by now; delete it, or add the others with "
        "add_examples_to_dataset"
    )


def test_another_dataset_of_the_name_is_not_taken_for_ours(arize: StandIn, client: Client, elsewhere: Client) -> None:
    elsewhere.datasets.create_dataset(name="sums", examples=[{"input": "theirs"}])
    arize.fail({"method": "POST", "path": "/v2/datasets$", "times": 1, "cut": "before"})
    with pytest.raises(AlreadyExists):
        client.datasets.create_dataset(name="sums", examples=[{"input": "ours"}])
