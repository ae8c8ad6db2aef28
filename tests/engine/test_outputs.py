"""What a task returns is kept, whatever it is; what it changes, nobody else sees."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import uuid
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .harness import engine_of, evaluate, run, run_items

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=5))
def test_json_comes_back_as_it_was(values):
    results = run(lambda x: values[x], range(len(values)))
    assert results.outputs() == values


def test_none_is_an_output():
    row = run(lambda x: None).run()
    assert (row.output_json, row.error) == ("null", None)


class Answer(pydantic.BaseModel):
    text: str
    price: decimal.Decimal = decimal.Decimal("1.50")
    at: datetime.datetime = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    nothing: int | None = None


@dataclasses.dataclass
class Found:
    text: str
    score: float


class Colour(enum.Enum):
    RED = "red"


Point = collections.namedtuple("Point", "x y")


class OwnFloat(float):
    pass


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Answer(text="four"), {"text": "four", "price": "1.50", "at": "2024-05-01T12:00:00Z", "nothing": None}),
        ([Answer(text="a")], [{"text": "a", "price": "1.50", "at": "2024-05-01T12:00:00Z", "nothing": None}]),
        (Found("four", 0.5), {"text": "four", "score": 0.5}),
        (datetime.datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([[1, 2], [3, 4]]).T, [[1, 3], [2, 4]]),
        (np.array(["NaT", "2024-05-01"], dtype="M8[ns]"), [None, "2024-05-01T00:00:00"]),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Timestamp("2024-05-01"), "2024-05-01T00:00:00"),
        ((1, "two"), [1, "two"]),
        (Point(1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        ({2: "two", None: "none", True: "yes"}, {"2": "two", "null": "none", "true": "yes"}),
        (Colour.RED, "red"),
        (OwnFloat(1.5), 1.5),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.timedelta(1), "P1D"),
        (decimal.Decimal("12.50"), 12.5),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        ("größer 漢字 🎉", "größer 漢字 🎉"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_can_say_is_said_without_a_warning(value, kept, caplog):
    results = run(lambda x: value)
    assert results.output() == kept
    assert not caplog.records


class Secretive:
    def __repr__(self):
        return "Secretive(token='hunter2')"


class Broken:
    def __repr__(self):
        raise RuntimeError("in __repr__")


class BrokenModel:
    def model_dump(self, mode):
        raise KeyError("in model_dump")


def own_list():
    value: list[object] = [1]
    value.append(value)
    return value


def own_dict():
    value: dict[str, object] = {}
    value.update(x=value, y=value, z=[value, value])
    return value


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Secretive(), "Secretive(token='hunter2')"),
        ({"answer": Secretive(), "n": 1}, {"answer": "Secretive(token='hunter2')", "n": 1}),
        (math.nan, "nan"),
        ([1.5, -math.inf], [1.5, "-inf"]),
        ({"scores": {math.nan}}, {"scores": ["nan"]}),
        (np.float32("nan"), "nan"),
        (np.array([1.0, np.nan]), [1.0, "nan"]),
        (Found("four", math.nan), {"text": "four", "score": "nan"}),
        (OwnFloat("inf"), "inf"),
        (2**64, "18446744073709551616"),
        ({"n": [2**70]}, {"n": ["1180591620717411303424"]}),
        (10**5000, hex(10**5000)),
        (b"\xff\x00", "b'\\xff\\x00'"),
        ("lone \ud800", "lone ?"),
        ({"lone \ud800": 1}, {"lone ?": 1}),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        ({1: 2, "1": 3}, {"1": 3}),
        ({np.int64(1): 2}, {"1": 2}),
        (Broken(), "<Broken>"),
        ([Broken(), {"b": Broken()}], ["<Broken>", {"b": "<Broken>"}]),
        (own_list(), [1, "..."]),
        (own_dict(), {"x": "...", "y": "...", "z": ["...", "..."]}),
        (Answer, "<class 'tests.engine.test_outputs.Answer'>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_kept_as_its_repr(value, kept, caplog):
    results = run(lambda x: value)
    assert results.output() == kept
    assert results.run().error is None
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "ex-0" in record.getMessage()


@pytest.mark.parametrize("value", [BrokenModel(), Mock(), own_list, object()])
def test_anything_is_kept_somehow(value, caplog):
    assert run(lambda x: {"value": value}).output()["value"].startswith("<")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("depth", [300, 5000])
def test_a_value_too_deep_for_json_is_an_error_that_says_so(depth):
    deep: list[object] = ["bottom"]
    for _ in range(depth):
        deep = [deep]
    row = run(lambda x: deep, retries=2).run()
    assert (row.output_json, row.attempts) == (None, 1)
    assert row.error.startswith("NotJson: the value at [0][0]")
    assert row.error.endswith("is nested more than 254 deep, or holds itself")


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        JSON
        | st.sampled_from([math.nan, 2**80, "\udfff", b"x", Secretive(), Colour.RED, np.float64("nan")])
        | st.builds(Broken)
        | st.floats(),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(
                st.one_of(st.text(), st.integers(), st.none(), st.floats(), st.binary()), children, max_size=3
            )
            | st.tuples(children, children)
        ),
        max_leaves=8,
    )
)
def test_no_output_can_break_the_experiment(value):
    results = run(lambda x: value, ["x", "y"])
    assert [row.error for row in results.runs] == [None, None]
    assert results.outputs()


def test_one_warning_and_none_of_the_content(caplog):
    results = run(lambda x: {"patient": Secretive(), "text": f"private {x}"}, range(20))
    assert len(results.runs) == 20
    [record] = caplog.records
    text = record.getMessage()
    assert "is not JSON (Secretive at ['patient'] is not JSON; kept as its repr)" in text
    assert "Said once" in text
    assert "hunter2" not in caplog.text
    assert "private" not in caplog.text


def test_a_task_that_changes_its_input_changes_nobody_elses():
    def task(input, metadata, expected):
        input["q"].append("changed")
        metadata["topic"] = "changed"
        expected["a"] = "changed"
        return [len(input["q"])]

    def seen(input, metadata, expected, output, example):
        output.append("changed")
        example.input["q"].append("changed")
        return json.dumps([input, metadata, expected])

    def seen_after(output, input):
        return json.dumps([output, input])

    async def main():
        engine, sink = engine_of(task, [seen, seen_after], concurrency=2)
        items = run_items([{"q": []}], repetitions=3, expected={"a": 4}, metadata={"topic": "sums"})
        await engine.run(items)
        from prefect_experiments.engine import EvaluationItem

        outputs = {row.repetition_number: row.output_json for row in sink.runs}
        await engine.evaluate(
            [EvaluationItem(i, outputs[i.repetition_number], None, ["seen", "seen_after"]) for i in items]
        )
        return sink

    sink = asyncio.run(main())
    assert [row.output_json for row in sink.runs] == ["[1]"] * 3
    assert {row.label for row in sink.evaluations if row.name == "seen"} == {
        json.dumps([{"q": []}, {"topic": "sums"}, {"a": 4}])
    }
    assert {row.label for row in sink.evaluations if row.name == "seen_after"} == {json.dumps([[1], {"q": []}])}


def test_an_output_changed_after_it_was_returned_stays_as_it_was():
    shared: list[int] = []

    def task(x):
        shared.append(x)
        return shared

    results = run(task, range(3), concurrency=1)
    assert results.outputs() == [[0], [0, 1], [0, 1, 2]]


def test_evaluation_metadata_is_kept_in_the_same_way():
    def judge(output):
        return {"score": 1, "metadata": {"tokens": np.int64(3), "raw": Secretive(), "logprob": math.nan}}

    row = evaluate(judge).evaluation()
    assert (row.error, row.score) == (None, 1.0)
    assert json.loads(row.metadata_json) == {"tokens": 3, "raw": "Secretive(token='hunter2')", "logprob": "nan"}
