"""Values to JSON: what is refused, what is kept, and what is said about it."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import json
import math
from unittest.mock import MagicMock

import numpy as np
import orjson
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.jsonable import NotJson, dumps_lenient, dumps_strict, loads

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=15,
)


class Model(pydantic.BaseModel):
    score: float = 0.5
    price: decimal.Decimal = decimal.Decimal("1.5")
    nothing: None = None


@dataclasses.dataclass
class Holder:
    value: object


Point = collections.namedtuple("Point", "x y")


class Angry:
    """Whatever is asked of it, it raises."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")


class AngryMapping(collections.abc.Mapping):
    def __getitem__(self, key):
        raise RuntimeError(key)

    def __iter__(self):
        raise RuntimeError("iter")

    def __len__(self):
        return 1


def kind(value):
    return type(value).__name__


def nested(depth, bottom):
    value = bottom
    for _ in range(depth):
        value = [value]
    return value


@given(JSON)
def test_json_goes_there_and_back(value):
    assert loads(dumps_strict(value)) == value
    assert dumps_lenient(value) == (dumps_strict(value), None)


def test_no_text_is_none():
    assert loads(None) is None
    assert loads("null") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Model(), '{"score":0.5,"price":"1.5","nothing":null}'),
        ({"m": Model(), "n": None}, '{"m":{"score":0.5,"price":"1.5","nothing":null},"n":null}'),
        (Holder(None), '{"value":null}'),
        (Point(1, None), "[1,null]"),
        ({3: 1, None: 2}, '{"3":1,"null":2}'),
        ({"b", "a"}, '["a","b"]'),
        (frozenset({1}), "[1]"),
        (collections.UserDict(a=1), '{"a":1}'),
        (np.float32(0.1), "0.1"),
        (np.array([0.1], dtype="f4"), "[0.1]"),
        (np.longdouble(1.5), "1.5"),
        (np.array(3), "3"),
        (np.array(["a", None], dtype=object), '["a",null]'),
        (np.datetime64("NaT"), "null"),
        (np.datetime64("NaT", "ns"), "null"),
        (np.array(["NaT", "2024-05-01"], dtype="M8[D]"), '[null,"2024-05-01T00:00:00"]'),
        (np.array([["NaT"], ["2024-05-01"]], dtype="M8[ns]"), '[[null],["2024-05-01T00:00:00"]]'),
        (pd.NaT, "null"),
        (pd.NA, "null"),
        (pd.Series([1, 2]), "[1,2]"),
        (datetime.date(2024, 5, 1), '"2024-05-01"'),
        (nested(254, None), "[" * 254 + "null" + "]" * 254),
    ],
    ids=kind,
)
def test_what_is_understood(value, text):
    assert dumps_strict(value) == text
    assert dumps_lenient(value) == (text, None)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (math.nan, "nan is not JSON"),
        ({"a": [1, -math.inf]}, "-inf at ['a'][1] is not JSON"),
        ({"s": {1.0, math.nan}}, "nan at ['s'] (in a set) is not JSON"),
        ([frozenset({math.inf})], "inf at [0] (in a set) is not JSON"),
        (np.float16("nan"), "nan is not JSON"),
        ({"a": np.array([[1.0], [np.nan]])}, "nan at ['a'][1][0] is not JSON"),
        (pd.Series([1, None]), "nan at [1] is not JSON"),
        (Model(score=math.nan), "nan at ['score'] is not JSON"),
        ({"h": Holder([math.nan])}, "nan at ['h'].value[0] is not JSON"),
        (Point(1, math.nan), "nan at [1] is not JSON"),
        (2**64, "an integer is beyond the 64-bit range"),
        ({"ids": [1, -(2**63) - 1]}, "an integer at ['ids'][1] is beyond the 64-bit range"),
        (Holder(2**70), "an integer at .value is beyond the 64-bit range"),
        ({"a": "x\udfff"}, "text at ['a'] holds a lone surrogate, which is not Unicode"),
        ({"a": {"\udfff": 1}}, r"the key '\udfff' at ['a'] is not JSON"),
        ({1: 2, "1": 3}, "the keys 1 and '1' are one and the same in JSON"),
        ({"a": [{None: 1, "null": 2}]}, "the keys None and 'null' at ['a'][0] are one and the same in JSON"),
        ({True: 1, "true": 2}, "the keys True and 'true' are one and the same in JSON"),
        ({math.nan: 1}, "the key nan is not JSON"),
        ({(1, 2): 3}, "the key (1, 2) is not JSON"),
        ({b"k": 1}, "the key b'k' is not JSON"),
        ({"a": b"x"}, "bytes at ['a'] is not JSON"),
        ({"a": decimal.Decimal(1)}, "Decimal at ['a'] is not JSON"),
        ([object()], "object at [0] is not JSON"),
        (Model, "ModelMetaclass is not JSON"),
        (pd.DataFrame({"a": [1]}), "DataFrame is not JSON"),
    ],
    ids=kind,
)
def test_faults_are_named_by_their_place(value, fault):
    with pytest.raises(NotJson) as caught:
        dumps_strict(value)
    assert str(caught.value) == fault
    text, warning = dumps_lenient(value)
    assert warning.startswith(f"{fault}; ")
    json.loads(text)


@pytest.mark.parametrize("value", [nested(255, None), nested(255, 1), nested(5000, 1)])
def test_what_is_nested_too_deep(value):
    with pytest.raises(NotJson, match="is nested more than 254 deep, or holds itself") as caught:
        dumps_strict(value)
    assert len(str(caught.value)) < 500
    json.loads(dumps_lenient(value)[0])


def test_content_is_not_shown():
    class Patient:
        def __repr__(self):
            return "Patient('Ada')"

    assert "Ada" not in dumps_lenient({"patient": [Patient()], "note": "Ada \ud800"})[1]


def test_long_keys_are_cut_in_messages():
    warning = dumps_lenient({"k" * 10_000: {"k" * 10_000: math.nan}})[1]
    assert len(warning) < 400


@pytest.mark.parametrize(
    "value",
    [Angry(), [Angry()], {"a": Angry()}, AngryMapping(), {"m": AngryMapping()}, MagicMock(), {"m": MagicMock()}],
    ids=kind,
)
def test_lenient_never_raises(value):
    text, warning = dumps_lenient(value)
    json.loads(text)
    assert warning
    with pytest.raises(NotJson):
        dumps_strict(value)


def test_a_value_that_holds_itself_twice_takes_no_time():
    value: dict[str, object] = {}
    value.update(dict.fromkeys("abcdefgh", value))
    assert json.loads(dumps_lenient(value)[0]) == dict.fromkeys("abcdefgh", "...")


ANYTHING = st.recursive(
    JSON
    | st.floats()
    | st.integers()
    | st.binary()
    | st.text(st.characters())
    | st.decimals()
    | st.datetimes()
    | st.timedeltas()
    | st.builds(Angry)
    | st.builds(object)
    | st.builds(np.float32, st.floats(width=32)),
    lambda children: (
        st.lists(children, max_size=3)
        | st.tuples(children, children)
        | st.builds(Holder, children)
        | st.sets(st.floats() | st.text() | st.integers(), max_size=3)
        | st.dictionaries(
            st.text(st.characters()) | st.integers() | st.none() | st.booleans() | st.floats() | st.binary(),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(ANYTHING)
def test_anything_is_refused_or_exact_and_kept_or_warned_about(value):
    text, warning = dumps_lenient(value)
    orjson.loads(text)
    if warning is None:
        assert dumps_strict(value) == text
        pairs: list[bool] = []
        json.loads(text, object_pairs_hook=lambda items: pairs.append(len(dict(items)) == len(items)) or dict(items))
        assert all(pairs)  # no key stands twice
    else:
        with pytest.raises(NotJson):
            dumps_strict(value)
