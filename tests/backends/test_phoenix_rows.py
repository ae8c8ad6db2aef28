"""Phoenix's JSON on one side and our values on the other, without a Phoenix."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from prefect_experiments.backends.phoenix.rows import (
    as_object,
    content_key,
    evaluation_body,
    existing_run,
    id_among,
    is_id,
    number_of,
    own_id,
    run_body,
    to_dataset,
    to_example,
    to_experiment,
    to_info,
    upload_body,
)
from prefect_experiments.models import Example
from prefect_experiments.origin import MARK
from prefect_experiments.records import EvaluationRecord, RunRecord

NOON = "2026-03-14T12:00:00+00:00"


def node(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_ids_say_of_what_they_are_and_in_which_order_they_were_made() -> None:
    assert is_id(node("Dataset:1"), "Dataset")
    assert not is_id(node("DatasetExample:1"), "Dataset")
    assert not is_id(f"{node('Dataset:1')}!", "Dataset")
    assert not is_id("gsm8k", "Dataset")
    assert [number_of(node(f"Experiment:{n}")) for n in (9, 10)] == [9, 10]
    made = node("DatasetExample:7")
    assert (own_id(made), own_id("mine"), own_id(node("Dataset:7"))) == ("DatasetExample:7", "mine", node("Dataset:7"))
    assert (id_among([made], made), id_among([], made)) == (made, "DatasetExample:7")


def test_examples_on_their_way_to_phoenix() -> None:
    rich = Example(id="e1", input={"q": 1}, output="a", metadata={"t": 1}, splits=("x",))
    bare = Example(input="q")
    assert upload_body("d", "create", [rich, bare]) == {
        "action": "create",
        "name": "d",
        "inputs": [{"q": 1}, {"input": "q"}],
        "outputs": [{"output": "a"}, {}],
        "metadata": [{"t": 1}, {}],
        "splits": [["x"], []],
        "example_ids": ["e1", None],
    }
    with_span = Example(id="e2", input=1, span_id="ab")
    more = upload_body("d", "append", [bare, with_span], description="")
    assert (more["span_ids"], more["description"]) == ([None, "ab"], "")
    assert [as_object(value, "x") for value in (None, {}, 0, [])] == [{}, {}, {"x": 0}, {"x": []}]


@pytest.mark.parametrize(
    ("row", "example"),
    [
        ({"input": {"q": 1}, "output": {}}, Example(id="e", input={"q": 1})),
        (
            {"input": {"q": 1}, "output": {"a": 1}, "metadata": {"t": 1}, "source": {"span_id": "ab"}},
            Example(id="e", input={"q": 1}, output={"a": 1}, metadata={"t": 1}, span_id="ab"),
        ),
        ({"input": {}, "output": None, "metadata": None, "source": None}, Example(id="e", input={})),
    ],
)
def test_examples_from_phoenix(row: dict[str, Any], example: Example) -> None:
    assert to_example({"id": "e", **row}) == example


def test_equal_examples_are_those_that_phoenix_would_have_alike() -> None:
    one = Example(input="q", output=None, metadata={"a": 1, "b": 2}, splits=("x", "y"))
    same = Example(id="x", input={"input": "q"}, output={}, metadata={"b": 2, "a": 1}, splits=("y", "x"))
    assert content_key(one) == content_key(same)
    for other in ({"input": "r"}, {"output": 1}, {"metadata": {}}, {"splits": ()}):
        changed = {"input": "q", "output": None, "metadata": {"a": 1, "b": 2}, "splits": ("x", "y"), **other}
        assert content_key(Example(**changed)) != content_key(one)


def test_what_phoenix_does_not_say() -> None:
    head = {"id": "D", "name": "d"}
    dataset = to_dataset(head, "V", [], ["x"])
    assert (dataset.description, dataset.metadata, dataset.created_at, dataset.splits) == (None, {}, None, ("x",))
    made = datetime.fromisoformat(NOON)
    info = to_info({**head, "created_at": NOON, "description": ""}, [])
    assert (info.version_id, info.version_count, info.example_count, info.description) == ("", 0, 0, None)
    assert (info.created_at, info.updated_at) == (made, made)
    versions = [{"version_id": "V2"}, {"version_id": "V1"}]
    info = to_info({**head, "created_at": None, "updated_at": NOON, "example_count": 4}, versions)
    assert (info.version_id, info.version_count, info.example_count) == ("V2", 2, 4)
    assert (info.created_at, info.updated_at) == (datetime.fromtimestamp(0, UTC), made)
    bare = {"id": "E", "dataset_id": "D", "dataset_version_id": "V"}
    experiment = to_experiment(bare)
    assert (experiment.name, experiment.repetitions, experiment.example_count) == ("E", 1, 0)
    assert (experiment.metadata, experiment.created_at, experiment.tags) == ({}, None, ())
    experiment = to_experiment({**bare, "name": "n", "repetitions": 3, "example_count": 2}, tags=["t"])
    assert (experiment.name, experiment.repetitions, experiment.example_count) == ("n", 3, 2)
    assert experiment.tags == ("t",)


def test_a_run_on_its_way_to_phoenix() -> None:
    run = RunRecord(0, 2, "e", '{"a": 1}', None, 1000.0, 1002.0, trace_id="ab")
    body = run_body(run, "node")
    assert json.loads(orjson.dumps(body)) == {
        "dataset_example_id": "node",
        "output": {"a": 1},
        "repetition_number": 2,
        "start_time": "1970-01-01T00:16:40+00:00",
        "end_time": "1970-01-01T00:16:42+00:00",
        "trace_id": "ab",
        "error": None,
    }
    body = run_body(run._replace(latency_ms=0.0, output_json=None, error="boom"), "node")
    assert (body["end_time"], body["output"], body["error"]) == (body["start_time"], None, "boom")
    assert run_body(run._replace(latency_ms=1.5), "node")["end_time"] == "1970-01-01T00:16:40.001500+00:00"


def test_an_evaluation_on_its_way_to_phoenix() -> None:
    judged = EvaluationRecord(
        0, 1, "right", "judges", "LLM", "f" * 64, 0.0, "", None, '{"a": 1}', start_time=1000.0, end_time=1001.0
    )
    assert evaluation_body(judged, "run", "task") == {
        "experiment_run_id": "run",
        "name": "right",
        "annotator_kind": "LLM",
        "start_time": "1970-01-01T00:16:40+00:00",
        "end_time": "1970-01-01T00:16:41+00:00",
        "metadata": {"a": 1, MARK: {"fingerprint": "f" * 64, "evaluator": "judges", "task": "task"}},
        "trace_id": None,
        "result": {"score": 0.0, "label": "", "explanation": None},
    }
    failed = judged._replace(error="boom", evaluator="right")
    body = evaluation_body(failed, "run", None)
    assert (body["error"], body["metadata"]) == ("boom", {"a": 1, MARK: {"fingerprint": "f" * 64}})
    assert "result" not in body
    theirs = EvaluationRecord(0, 1, "right", "right", "CODE", start_time=1000.0, end_time=1000.0)
    assert evaluation_body(theirs, "run", "task")["metadata"] is None
    kept = judged._replace(metadata_json=json.dumps({MARK: "theirs"}))
    assert evaluation_body(kept, "run", None)["metadata"] == {MARK: "theirs"}


def test_which_run_phoenix_says_that_it_has() -> None:
    assert existing_run("409: Experiment run RXhw:1= already exists, and is ok") == "RXhw:1="
    assert existing_run("it is there") is None
