"""Values to JSON: what is refused, what is kept, and what is said about it."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import ipaddress
import json
import math
import pathlib
import re
import threading
import types
import typing
from unittest.mock import MagicMock
from xml.etree import ElementTree

import attrs
import httpx
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.jsonable import NotJson, dumps_lenient, dumps_output, dumps_strict, loads

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=15,
)


LONGER = np.longdouble(1) + np.finfo(np.longdouble).eps
# Where a long double has no more digits than a double, as on Windows and Apple's processors, there is no such number.
LONG_DOUBLES = [] if float(LONGER) == LONGER else [(LONGER, f'"{LONGER!s}"'), (np.array([LONGER]), f'["{LONGER!s}"]')]


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


class Level(enum.IntEnum):
    LOW = 1


class Tone(enum.Enum):
    DRY = "dry"


@dataclasses.dataclass
class Hidden:
    value: object
    _own: int = 2


@attrs.define
class Attrs:
    x: object
    y: object


class Loose(pydantic.BaseModel):
    """Any field may hold what pydantic cannot write."""

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="allow")
    price: decimal.Decimal = decimal.Decimal("1.50")
    odd: object = None
    token: pydantic.SecretStr = pydantic.SecretStr("hush")
    left_out: str = pydantic.Field("private", exclude=True)

    @pydantic.computed_field
    def doubled(self) -> decimal.Decimal:
        return 2 * self.price


REQUEST = httpx.Request("GET", "https://api.test/x")
RESPONSE = (
    '{"status_code":200,"url":"https://api.test/x","headers":{"content-length":"7",'
    '"content-type":"application/json"},"content":{"a":1}}'
)
GROUP = "\"ExceptionGroup: both (2 sub-exceptions): ValueError: a; KeyError: 'b'\""


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
        *LONG_DOUBLES,
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
        (datetime.time(1, 2, tzinfo=datetime.UTC), '"01:02:00+00:00"'),
        (datetime.timedelta(days=1, hours=2, milliseconds=5), '"P1DT2H0.005S"'),
        (datetime.timedelta(seconds=-90), '"-PT1M30S"'),
        (datetime.timedelta(0), '"PT0S"'),
        (pd.Timedelta("1ns"), '"PT0.000000001S"'),
        (np.timedelta64(90, "m"), '"PT1H30M"'),
        (np.timedelta64(3, "Y"), '"3 years"'),
        (np.array([1, "NaT"], dtype="m8[10s]"), '["PT10S",null]'),
        (decimal.Decimal("12.50"), "12.5"),
        (decimal.Decimal(5), "5"),
        (decimal.Decimal("0.1"), "0.1"),
        (decimal.Decimal("3.14159265358979323846"), '"3.14159265358979323846"'),
        (decimal.Decimal(2**70), '"1180591620717411303424"'),
        ([decimal.Decimal("1.50"), None], "[1.5,null]"),
        (fractions.Fraction(1, 3), '"1/3"'),
        (1 + 2j, '"1+2j"'),
        (pathlib.PurePosixPath("a/b"), '"a/b"'),
        (Level.LOW, "1"),
        (Tone.DRY, '"dry"'),
        ({"x": Hidden(1)}, '{"x":{"value":1,"_own":2}}'),
        (Attrs(1, [2]), '{"x":1,"y":[2]}'),
        (types.SimpleNamespace(a=1), '{"a":1}'),
        (argparse.Namespace(a=[1]), '{"a":[1]}'),
        (range(3), "[0,1,2]"),
        (collections.deque("ab"), '["a","b"]'),
        ({"b": 1, "a": 2}.keys(), '["b","a"]'),
        ({"b": 1}.items(), '[["b",1]]'),
        (collections.UserList([1]), "[1]"),
        (collections.UserString("x"), '"x"'),
        (collections.ChainMap({"a": 1}), '{"a":1}'),
        (ipaddress.ip_address("::1"), '"::1"'),
        (ipaddress.ip_network("10.0.0.0/30"), '"10.0.0.0/30"'),
        (re.compile("a+", re.IGNORECASE), '"(?i)a+"'),
        (re.search("b(c)", "abc"), '{"match":"bc","span":[1,3],"groups":["c"]}'),
        (ValueError("bad"), '"ValueError: bad"'),
        (ExceptionGroup("both", [ValueError("a"), KeyError("b")]), GROUP),
        (np.array([1 + 2j]), '["1+2j"]'),
        (np.array([(1, "a")], dtype=[("n", "i4"), ("s", "U1")]), '[{"n":1,"s":"a"}]'),
        (np.ma.array([1, 2], mask=[False, True]), "[1,null]"),
        (np.array([[0.1, 0.2]], dtype="f4").T, "[[0.1],[0.2]]"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), '[{"a":1,"b":"x"},{"a":2,"b":null}]'),
        (pd.DataFrame({"a": [1]}, index=pd.Index(["r"], name="id")), '[{"id":"r","a":1}]'),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), '{"columns":["a","a"],"data":[[1,2]]}'),
        (pd.DataFrame({("a", "b"): [1]}), '{"columns":[["a","b"]],"data":[[1]]}'),
        (pd.DataFrame({1: [1]}), '[{"1":1}]'),
        (pd.DataFrame(), "[]"),
        (pd.Series([1, 2], index=["x", "y"]), '{"x":1,"y":2}'),
        (pd.Series([1, 2], index=["x", "x"]), '{"index":["x","x"],"data":[1,2]}'),
        (pd.Series([5, 6])[lambda s: s > 5], "[6]"),
        (pd.Series(["b", "b", "a"]).value_counts(), '{"b":2,"a":1}'),
        (pd.array([1, None], dtype="Int64"), "[1,null]"),
        (pd.Period("2024-01"), '"2024-01"'),
        (pa.table({"a": [1, None]}), '[{"a":1},{"a":null}]'),
        (scipy.sparse.csr_matrix([[1, 0]]), "[[1,0]]"),
        (ElementTree.fromstring("<a><b>1</b></a>"), '"<a><b>1</b></a>"'),
        (pydantic.SecretStr("hush"), '"**********"'),
        (httpx.Response(200, json={"a": 1}, request=REQUEST), RESPONSE),
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
        ([object()], "object at [0] is not JSON"),
        (Model, "ModelMetaclass is not JSON"),
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


# --- outputs ----------------------------------------------------------------------------------


class Plain:
    """Its own `repr` tells nothing but an address."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("_own", "text")

    def __init__(self, text):
        self.text = text


ODD = object()


class Away:
    """An array of a device that is gone."""

    dtype = "float64"

    def tolist(self):
        raise OSError("the device is gone")


def test_a_value_that_cannot_be_read_any_more():
    text, warning = dumps_output({"scores": Away()})
    assert "Away object" in text
    assert warning == "Away at ['scores'] is not JSON (OSError when it was read); kept as its repr"


class OutsideOfARequest:
    """A proxy of a web framework's where there is no request: it raises whatever it is asked."""

    def fails(self, *_):
        raise RuntimeError("Working outside of request context.")

    __class__ = property(fails)
    __getattr__ = __iter__ = __len__ = fails

    def __repr__(self):
        return "<unbound>"


@pytest.mark.parametrize("dumps", [dumps_lenient, dumps_output])
def test_a_proxy_that_stands_for_nothing_is_kept_as_it_shows_itself(dumps):
    said = "OutsideOfARequest is not JSON (RuntimeError when it was read); kept as its repr"
    assert dumps(OutsideOfARequest()) == ('"<unbound>"', said)
    with pytest.raises(NotJson, match="RuntimeError when it was read"):
        dumps_strict(OutsideOfARequest())


@pytest.mark.parametrize(
    ("value", "kept", "fault"),
    [
        (Loose(odd=ODD), {"odd": "<object object>"}, "object at ['odd']"),
        (Loose(odd=[decimal.Decimal("1.5"), ODD]), {"odd": [1.5, "<object object>"]}, "object at ['odd'][1]"),
        (Loose(odd=None, more=ODD), {"odd": None, "more": "<object object>"}, "object at ['more']"),
    ],
)
def test_a_model_with_one_odd_field_keeps_the_others_as_it_writes_them(value, kept, fault):
    text, warning = dumps_output(value)
    assert loads(text) == {"price": "1.50", "token": "**********", "doubled": "3.00", **kept}
    assert warning == f"{fault} is not JSON; kept as its repr"


class Base(pydantic.BaseModel):
    x: int = 1


class Derived(Base):
    y: int = 2


class Bases(pydantic.BaseModel):
    items: list[Base] = []
    more: typing.Any = None


class Priced(Base):
    price: decimal.Decimal = decimal.Decimal("1.50")


class PricedAndMore(Priced):
    y: int = 2


class PricedOnes(pydantic.BaseModel):
    items: list[Priced]


class Raises(Base):
    @pydantic.computed_field
    @property
    def total(self) -> int:
        raise ValueError("no total")


@pytest.mark.parametrize(
    ("value", "kept", "warned"),
    [
        (Bases(items=[Derived()]), {"items": [{"x": 1, "y": 2}], "more": None}, None),
        (PricedOnes(items=[PricedAndMore()]), {"items": [{"x": 1, "price": "1.50", "y": 2}]}, None),
        (Bases(more=math.nan), {"items": [], "more": "nan"}, "nan at ['more'] is not JSON; kept as its repr"),
        (
            Bases(more={1: "a", 2: [math.inf, None]}),
            {"items": [], "more": {"1": "a", "2": ["inf", None]}},
            "inf at ['more']['2'][0] is not JSON; kept as its repr",
        ),
        (
            Bases(more={1: "a", "1": "b"}),
            {"items": [], "more": {"1": "b"}},
            "the keys 1 and '1' at ['more'] are one and the same in JSON; the last is kept",
        ),
        (
            {"m": Raises()},
            {"m": {"x": 1, "total": "<ValueError: no total>"}},
            "RaisingField at ['m']['total'] is not JSON; kept as its repr",
        ),
    ],
    ids=["derived", "derived, written as the model writes it", "NaN", "keys", "one key", "raises"],
)
def test_a_model_leaves_nothing_out_by_the_types_that_its_fields_say(value, kept, warned):
    text, warning = dumps_output(value)
    assert (loads(text), warning) == (kept, warned)


@pytest.mark.parametrize(
    ("value", "kept", "warned"),
    [
        (Holder(ODD), {"value": "<object object>"}, "object at .value is not JSON; kept as its repr"),
        (Attrs(1, ODD), {"x": 1, "y": "<object object>"}, "object at ['y'] is not JSON; kept as its repr"),
        ([1, {ODD}], [1, ["<object object>"]], "object at [1] (in a set) is not JSON; kept as its repr"),
        (types.SimpleNamespace(a=ODD, b=1), {"a": "<object object>", "b": 1}, "object at ['a'] is not JSON"),
        (pd.DataFrame({"a": [ODD], "b": [1]}), [{"a": "<object object>", "b": 1}], "object at [0]['a'] is not JSON"),
        (np.array([1, ODD], dtype=object), [1, "<object object>"], "object at [1] is not JSON"),
        (Plain(text="x", n=1), {"text": "x", "n": 1}, "Plain is not JSON; kept as its attributes"),
        ([Slotted("x")], [{"text": "x"}], "Slotted at [0] is not JSON; kept as its attributes"),
        (Plain(_private=1), "<test_jsonable.Plain object>", "Plain is not JSON; kept as its repr"),
        ({pathlib.PurePosixPath("a"): 1}, {"a": 1}, "the key PurePosixPath('a') is not JSON; kept as its repr"),
        (math.nan, "nan", "nan is not JSON; kept as its repr"),
        ([b"x"], ["b'x'"], "bytes at [0] is not JSON; kept as its repr"),
    ],
    ids=kind,
)
def test_only_the_odd_part_is_kept_as_its_repr(value, kept, warned):
    text, warning = dumps_output(value)
    assert json.loads(text.replace("tests.test_jsonable", "test_jsonable")) == kept
    assert warning.startswith(warned)
    assert dumps_lenient(value) == (text, warning)
    with pytest.raises(NotJson):
        dumps_strict(value)


LONG = 3000


def changed(values, n):
    return [*values[:n], -1, *values[n + 1 :]]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, LONG - 1),
    make=st.sampled_from([
        np.array,
        lambda values: np.array(values, dtype="f4"),
        lambda values: np.array(values, dtype=object),
        lambda values: np.array(values).reshape(-1, 2),
        lambda values: np.array(values, dtype="m8[s]"),
        lambda values: np.array(values) * 1j,
        pd.Series,
        lambda values: pd.Series(values, index=[f"r{n}" for n in range(LONG)]),
        lambda values: pd.Series(range(LONG), index=pd.Index(values, name="i")),
        lambda values: pd.DataFrame({"a": values, "b": "x"}),
        lambda values: pd.DataFrame({"a": range(LONG)}, index=pd.Index(values, name="i")),
        pd.Index,
        pd.Categorical,
        collections.deque,
        lambda values: scipy.sparse.csr_matrix([values]),
        lambda values: re.compile("".join(map(str, values))),
        lambda values: re.match(".*", " ".join(map(str, values))),
        lambda values: Plain(values=values),
        lambda values: {"odd": ODD, "values": np.array(values)},
    ]),
)  # fmt: skip
def test_long_values_that_differ_stay_different(n, make):
    values = list(range(LONG))
    one, other = dumps_output(make(values))[0], dumps_output(make(changed(values, n)))[0]
    assert one != other
    assert "..." not in one
    assert " at 0x" not in one


@settings(max_examples=200, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_is_a_number_or_all_its_digits(value):
    kept = loads(dumps_strict(value))
    assert decimal.Decimal(str(kept)) == value


@settings(deadline=None)
@given(st.timedeltas())
def test_durations_that_differ_stay_different(value):
    text = loads(dumps_strict(value))
    assert pydantic.TypeAdapter(datetime.timedelta).validate_python(text) == value


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (nested(255, 1), "is nested more than 254 deep, or holds itself"),
        (nested(5000, ODD), "is nested more than 254 deep, or holds itself"),
        (nested(255, Model()), "is nested more than 254 deep, or holds itself"),
        (
            [(x for x in "ab")],
            "generator at [0] was not read; return its chunks as a list or a text, or the stream by itself",
        ),
        ({"f": io.StringIO("x")}, "StringIO at ['f'] is an open file"),
        (Holder(threading.Lock()), "lock at .value is a resource"),
        (Loose(odd=threading.Lock()), "lock at ['odd'] is a resource"),
        (Loose(odd=iter([1])), "list_iterator at ['odd'] was not read"),
        (Plain(stream=iter([1])), "list_iterator at ['stream'] was not read"),
    ],
    ids=kind,
)
def test_an_output_that_is_no_data_is_refused_and_shown_all_the_same(value, fault):
    with pytest.raises(NotJson) as caught:
        dumps_output(value)
    assert fault in str(caught.value)
    with pytest.raises(NotJson):
        dumps_strict(value)
    json.loads(dumps_lenient(value)[0])


@settings(max_examples=200, deadline=None)
@given(ANYTHING)
def test_an_output_is_kept_as_it_is_shown(value):
    assert dumps_output(value) == dumps_lenient(value)
