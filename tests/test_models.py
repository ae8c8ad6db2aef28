"""The value types: validation, reading as objects and as mappings, pages, flat rows."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.flat_rows import flat_row
from prefect_experiments.models import (
    AnnotateRecordInput,
    AnnotationInput,
    Dataset,
    EvaluationResult,
    Example,
    Experiment,
)
from prefect_experiments.options import Sample
from prefect_experiments.pages import DatasetList, ExampleList, ExperimentList, ExperimentRunList, Pagination

# --- Sample -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"n": 1},
        {"n": 10**9},
        {"fraction": 1},
        {"fraction": 0.001},
        {"n": 3, "method": "head"},
        {"n": 3, "method": "systematic", "seed": 0},
        {"fraction": 0.5, "method": "stratified", "by": "metadata.topic"},
    ],
)
def test_samples_that_go_together(options):
    sample = Sample(**options)
    assert all(sample[name] == value for name, value in options.items())
    assert sample.seed == options.get("seed", 42)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "exactly one of them; got n=None, fraction=None"),
        ({"n": 3, "fraction": 0.5}, "exactly one of them; got n=3, fraction=0.5"),
        ({"n": 0}, "Sample.n must be a whole number of at least 1, got 0"),
        ({"n": -3}, "Sample.n must be"),
        ({"n": 2.5}, "Sample.n must be"),
        ({"n": True}, "Sample.n must be"),
        ({"n": "3"}, "Sample.n must be a whole number of at least 1, got '3'"),
        ({"fraction": 0}, "Sample.fraction must be above 0 and at most 1, got 0"),
        ({"fraction": 1.01}, "Sample.fraction must be"),
        ({"fraction": -0.1}, "Sample.fraction must be"),
        ({"fraction": math.nan}, "Sample.fraction must be"),
        ({"n": 3, "method": "stratifeid"}, "unknown Sample.method 'stratifeid'; did you mean 'stratified'?"),
        ({"n": 3, "method": "stratified"}, "needs by="),
        ({"n": 3, "by": "topic"}, "other methods take none; got method='random', by='topic'"),
    ],
)
def test_samples_that_do_not(options, said):
    with pytest.raises(InvalidSetting) as caught:
        Sample(**options)
    assert said in str(caught.value)


# --- EvaluationResult and annotations ---------------------------------------------------------


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_must_be_finite(score):
    with pytest.raises(ValueError, match="a score must be a finite number, got"):
        EvaluationResult(score=score)
    with pytest.raises(InvalidSetting, match="annotation 'tone': the score must be finite"):
        AnnotationInput(name="tone", score=score)


def test_an_evaluation_result_may_be_empty_and_by_position():
    assert EvaluationResult() == EvaluationResult(None, None, None, {}, None)
    assert EvaluationResult(1, "good", "why", {"a": 1}, "tone").to_dict() == {
        "score": 1,
        "label": "good",
        "explanation": "why",
        "metadata": {"a": 1},
        "name": "tone",
    }
    with pytest.raises(dataclasses.FrozenInstanceError):
        EvaluationResult().score = 1


def test_an_annotation_says_something():
    with pytest.raises(InvalidSetting, match="annotation 'tone' has no score, no label and no text"):
        AnnotationInput(name="tone")
    record = AnnotateRecordInput(record_id="exp-1.0.1", values=[AnnotationInput(name="tone", score=0)])
    assert record.to_dict() == {
        "record_id": "exp-1.0.1",
        "values": [{"name": "tone", "score": 0, "label": None, "text": None}],
    }


# --- reading ----------------------------------------------------------------------------------

EXAMPLE = Example(id="ex-1", input={"q": 1}, output={"a": 2}, metadata={"topic": "sums"}, splits=("train",))


def test_records_read_as_objects_and_as_mappings():
    assert EXAMPLE["input"] == EXAMPLE.input == EXAMPLE.get("input") == {"q": 1}
    assert list(EXAMPLE) == EXAMPLE.keys() == ["input", "output", "metadata", "splits", "id", "span_id"]
    assert dict(EXAMPLE) == {name: getattr(EXAMPLE, name) for name in EXAMPLE}
    assert {**EXAMPLE}["id"] == "ex-1"
    assert EXAMPLE.get("nothing") is None
    assert EXAMPLE.get("nothing", 3) == 3
    for key in ("nothing", "keys", "to_dict", "__class__", 0, None):
        with pytest.raises(KeyError):
            EXAMPLE[key]


def test_to_dict_is_plain_all_the_way_down():
    dataset = Dataset(name="d", examples=(EXAMPLE,), metadata=MappingProxyType({"a": (1, 2)}))
    plain = dataset.to_dict()
    assert plain["examples"] == [
        {
            "input": {"q": 1},
            "output": {"a": 2},
            "metadata": {"topic": "sums"},
            "splits": ["train"],
            "id": "ex-1",
            "span_id": None,
        }
    ]
    assert plain["metadata"] == {"a": [1, 2]}
    assert type(plain["metadata"]) is dict


def test_records_are_frozen_and_can_be_copied():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXAMPLE.input = {}
    assert copy.deepcopy(EXAMPLE) == EXAMPLE
    assert pickle.loads(pickle.dumps(EXAMPLE)) == EXAMPLE
    assert dataclasses.replace(EXAMPLE, id="ex-2").id == "ex-2"
    assert not hasattr(EXAMPLE, "__dict__")


def test_defaults_are_not_shared():
    assert Example(input=1).metadata is not Example(input=1).metadata


def test_a_dataset_reads_as_its_examples():
    dataset = Dataset(name="d", examples=(EXAMPLE, dataclasses.replace(EXAMPLE, id="ex-2")))
    assert len(dataset) == 2
    assert [example.id for example in dataset] == ["ex-1", "ex-2"]
    assert dataset[0] is EXAMPLE
    assert dataset[-1].id == "ex-2"
    assert dataset["name"] == dataset.name == "d"
    with pytest.raises(IndexError):
        dataset[2]
    with pytest.raises(KeyError):
        dataset["nothing"]


def test_a_dataset_as_a_table():
    table = Dataset(name="d", examples=(EXAMPLE, Example(input="plain", id="ex-2"))).to_dataframe()
    assert list(table.columns) == ["id", "input", "output", "metadata", "splits"]
    assert table.iloc[0].to_dict() == {
        "id": "ex-1",
        "input": {"q": 1},
        "output": {"a": 2},
        "metadata": {"topic": "sums"},
        "splits": ["train"],
    }
    assert table.iloc[1]["output"] is None
    empty = Dataset(name="d", examples=()).to_dataframe()
    assert list(empty.columns) == ["id", "input", "output", "metadata", "splits"]
    assert len(empty) == 0


# --- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (DatasetList, "datasets"),
        (ExampleList, "examples"),
        (ExperimentList, "experiments"),
        (ExperimentRunList, "experiment_runs"),
    ],
)
def test_pages(page, name):
    items = [Experiment(id=f"exp-{n}", name="e", dataset_id="ds-1", dataset_version_id="v") for n in range(2)]
    last = page(items)
    assert getattr(last, name) == items == list(last) == last.items
    assert (len(last), last[1], last[-1]) == (2, items[1], items[1])
    assert (last.pagination.has_more, last.pagination.next_cursor) == (False, None)
    assert list(last.to_df()["id"]) == ["exp-0", "exp-1"]
    assert repr(last) == f"{page.__name__}(2 {name}, has_more=False: 'e', 'e')"
    more = page(items, Pagination(has_more=True, next_cursor="c"))
    assert more.to_dict()["pagination"] == {"has_more": True, "next_cursor": "c"}
    assert [item["id"] for item in more.to_dict()[name]] == ["exp-0", "exp-1"]
    assert len(page([])) == 0
    assert len(page([]).to_df()) == 0


def test_a_page_may_have_a_table_of_its_own():
    assert ExampleList([EXAMPLE], to_df=lambda: "table").to_df() == "table"


# --- flat rows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("example", "row"),
    [
        ({"input": {"q": 1}, "output": {"a": 2}, "metadata": {"m": 3}}, {"q": 1, "a": 2, "m": 3}),
        ({"input": {"q": 1}, "output": {"q": 2}}, {"input.q": 1, "output.q": 2}),
        ({"input": "text", "output": 4}, {"input": "text", "output": 4}),
        ({"input": None, "output": None}, {}),
        ({"input": {"output": 1}, "output": 2}, {"input.output": 1, "output.output": 2}),
        ({"input": {"id": "mine"}}, {"input.id": "mine"}),
        ({"input": {"attributes.input.value": 1}}, {"attributes.input.value": 1}),
        (
            {"input": {"q": 1}, "metadata": {"q": 2, "input.q": 3}},
            {"input.q": 1, "metadata.q": 2, "metadata.input.q": 3},
        ),
        (
            {"input": {"q": 1}, "output": {"metadata.q": 4}, "metadata": {"q": 2}},
            {"input.q": 1, "output.metadata.q": 4, "metadata.q": 2},
        ),
        ({"input": {"input.q": 1}, "metadata": {"q": 2}}, {"input.q": 1, "q": 2}),
        ({"input": {"id": 1, "input.id": 2}}, {"input.id": 1, "input.input.id": 2}),
    ],
)
def test_flat_rows(example, row):
    assert dict(flat_row(Example(id="ex-1", **example))) == {"id": "ex-1", **row}


NAMES = st.sampled_from(["id", "q", "input", "output", "metadata"])
KEYS = st.sets(st.lists(NAMES, min_size=1, max_size=4).map(".".join), max_size=5)


@given(input_=KEYS, output=st.none() | KEYS, metadata=KEYS)
def test_no_value_is_lost_in_a_flat_row(input_, output, metadata):
    keys = {"input": input_, "output": output or set(), "metadata": metadata}
    parts = {name: {key: [name, key] for key in part} for name, part in keys.items()}
    row = flat_row(Example(id="ex-1", **{**parts, "output": None if output is None else parts["output"]}))
    assert row["id"] == "ex-1"
    assert len(row) == 1 + sum(map(len, parts.values()))
    for column, value in row.items():
        if column != "id":
            name, key = value
            assert column in {key, f"{name}.{key}"}


def test_a_flat_row_is_read_only():
    with pytest.raises(TypeError):
        flat_row(EXAMPLE)["q"] = 2
