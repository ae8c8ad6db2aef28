"""`curate-dataset` where there is nothing to curate: no server is asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from prefect_experiments import Client
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.flows.curate_dataset import curate_dataset
from prefect_experiments.orchestration.deployed.curating import PartOfDataset, Traces, add_new
from prefect_experiments.orchestration.deployed.parameters import SampleRules
from tests.store.samples import examples


@pytest.fixture(autouse=True)
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    return Client()


@pytest.mark.parametrize("sources", [{}, {"traces": Traces(), "part_of": PartOfDataset(dataset="d")}])
def test_examples_come_from_one_place(sources: dict[str, Any]) -> None:
    said = "examples come from traces or from a part of another dataset; give exactly one of them"
    with pytest.raises(InvalidSetting, match=said):
        asyncio.run(curate_dataset.fn(name="grown", **sources))


def test_where_there_is_nothing_to_add_nothing_is_made(client: Client) -> None:
    client.store.datasets.put("empty", [])
    ended = asyncio.run(curate_dataset.fn(name="grown", part_of=PartOfDataset(dataset="empty")))
    assert (ended.is_completed(), ended.message) == (True, "There was nothing to add to 'grown'.")
    assert [one.name for one in client.datasets.list_datasets()] == ["empty"]


def test_traces_come_from_where_they_are_said_to_be(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def examples_of(_: Traces, origin: Client) -> list[Any]:
        asked.append(origin.backend)
        return examples(1)

    monkeypatch.setattr(Traces, "examples", examples_of)
    for backends in ({}, {"traces_backend": "phoenix"}, {"backend": "local", "traces_backend": "phoenix"}):
        assert asyncio.run(curate_dataset.fn(name="grown", traces=Traces(), **backends)).is_completed()
    assert asked == ["local", "phoenix", "phoenix"]
    monkeypatch.setenv("PREFECT_EXPERIMENTS_BACKEND", "phoenix")
    assert asyncio.run(curate_dataset.fn(name="grown", traces=Traces(), backend="local")).is_completed()
    assert asked[3:] == ["local"]
    assert len(client.datasets.get_dataset(name="grown")) == 1


def test_only_what_a_dataset_lacks_is_added_to_it(client: Client) -> None:
    made, count = add_new(client, "grown", examples(3), "a description")
    assert (count, [one.id for one in made], made.description) == (3, ["ex-0", "ex-1", "ex-2"], "a description")
    grown, count = add_new(client, "grown", examples(5)[1:])
    assert (count, [one.id for one in grown]) == (2, [f"ex-{n}" for n in range(5)])
    same, count = add_new(client, "grown", examples(5))
    assert (count, same.version_id) == (0, grown.version_id)
    assert client.datasets.get_dataset(name="grown").version_id == grown.version_id


def test_a_part_of_a_dataset_is_of_a_version_of_splits_and_of_a_sample(client: Client) -> None:
    first = client.datasets.create_dataset(name="whole", examples=examples(6))
    client.datasets.add_examples_to_dataset(dataset="whole", examples=examples(9)[6:])

    def of(**rules: Any) -> list[str]:
        return [one.id for one in PartOfDataset(dataset="whole", **rules).examples(client)]

    assert of() == [f"ex-{n}" for n in range(9)]
    assert of(version=first.version_id) == of(version="1") == [f"ex-{n}" for n in range(6)]
    assert of(splits=["test"]) == ["ex-0", "ex-3", "ex-6"]
    assert len(of(sample=SampleRules(n=4))) == 4
    assert set(of(splits=["test"], sample=SampleRules(n=2))) < {"ex-0", "ex-3", "ex-6"}


class Spans:
    """A backend's spans, of which this keeps what was asked for."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.spans, self.rows, self.asked = self, rows, dict[str, Any]()

    def get_spans_dataframe(self, **asked: Any) -> Any:
        self.asked = asked
        return pd.DataFrame(self.rows)


def test_a_project_has_a_name_of_one_letter_at_least_and_a_limit_is_one_at_least() -> None:
    assert Traces(project="p").project == "p"
    with pytest.raises(ValidationError, match="at least 1 character"):
        Traces(project="")
    assert Traces(limit=1).limit == 1
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Traces(limit=0)


def test_spans_become_examples_by_the_columns_that_are_named() -> None:
    rows = [
        {"context.span_id": f"s{n}", "attributes.input.value": f"q{n}", "attributes.output.value": f"a{n}", "name": "x"}
        for n in range(2)
    ]
    client = Spans(rows)
    before = datetime.now(UTC)
    found = Traces().examples(client)
    hours = (datetime.now(UTC) - client.asked.pop("start_time"), before - datetime.now(UTC))
    assert timedelta(hours=24) <= hours[0] <= timedelta(hours=24) - hours[1]
    assert client.asked == {
        "project_identifier": "default", "limit": 1000, "span_kind": None, "status_code": None, "attributes": None,
        "root_spans_only": True,
    }  # fmt: skip
    assert [(one.id, one.span_id, one.input, one.output, dict(one.metadata)) for one in found] == [
        (f"s{n}", f"s{n}", {"attributes.input.value": f"q{n}"}, {"attributes.output.value": f"a{n}"}, {})
        for n in range(2)
    ]
    rules: dict[str, Any] = {"span_kind": ["LLM"], "status_code": ["OK"], "attributes": {"user.id": "u"}, "limit": 5}
    bare = Traces(**rules, root_spans_only=False, output=[], metadata=["name"]).examples(client)
    assert {name: client.asked[name] for name in (*rules, "root_spans_only")} == {**rules, "root_spans_only": False}
    assert [(one.output, dict(one.metadata)) for one in bare] == [(None, {"name": "x"})] * 2
    assert list(Traces().examples(Spans([]))) == []
