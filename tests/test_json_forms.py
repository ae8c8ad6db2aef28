"""What values of types that JSON has not are in JSON, at the bounds of what it can say; and values as keys' texts."""

from __future__ import annotations

import datetime
import enum
import math
import re
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from prefect_experiments import keys
from prefect_experiments.callables.scalars import is_scalar, stable_scalar
from prefect_experiments.jsonable import dumps_lenient, dumps_strict, loads, place_of

REQUEST = httpx.Request("GET", "http://x.test/")


def hours(**parts: float) -> datetime.timedelta:
    return datetime.timedelta(**parts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**64 - 1, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (Decimal(2**64 - 1), "18446744073709551615"),
        (Decimal(2**64), '"18446744073709551616"'),
        (Decimal(-(2**63)), "-9223372036854775808"),
        (Decimal(-(2**63) - 1), '"-9223372036854775809"'),
        (Decimal("1E+19"), "10000000000000000000"),
        (Decimal("1E+20"), "1e+20"),
        (Decimal("5.0"), "5.0"),
        (re.compile("a", re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE), '"(?imsx)a"'),
        (re.compile("a", re.ASCII), '"(?a)a"'),
        (re.compile("a"), '"a"'),
        (hours(days=1), '"P1D"'),
        (hours(days=1, seconds=1), '"P1DT1S"'),
        (hours(hours=1), '"PT1H"'),
        (hours(hours=23, minutes=59, seconds=59.5), '"PT23H59M59.5S"'),
        (hours(minutes=1), '"PT1M"'),
        (hours(microseconds=-1), '"-PT0.000001S"'),
        (np.timedelta64(2, "W"), '"P14D"'),
        (np.timedelta64(25, "h"), '"P1DT1H"'),
        (np.timedelta64(1500, "ms"), '"PT1.5S"'),
        (np.timedelta64(1, "us"), '"PT0.000001S"'),
        (np.timedelta64(-1, "ns"), '"-PT0.000000001S"'),
        (np.timedelta64(3, "M"), '"3 months"'),
        (np.timedelta64("NaT"), "null"),
        (np.array([1], dtype="m8[7D]"), '["P7D"]'),
        (np.complex64(1 + 2j), '"1+2j"'),
        (1j, '"1j"'),
        (np.longdouble(2.5), "2.5"),
        (np.int8(3), "3"),
        (np.array([]), "[]"),
        (np.array([[1, 2], [3, 4]], dtype="i2").T, "[[1,3],[2,4]]"),
        (np.datetime64("2024-01-02T03:04:05.5"), '"2024-01-02T03:04:05.500000"'),
        (pd.DataFrame({"a": [1.5]}, index=[3]), '[{"a":1.5}]'),
        (pd.DataFrame({"a": [1]}, index=["r"]), '[{"index":"r","a":1}]'),
        (pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([("x", 1)], names=["k", None])),
         '[{"k":"x","index":1,"a":1}]'),
        (pd.DataFrame({"1": [1], 1: [2]}), '{"columns":["1",1],"data":[[1,2]]}'),
        (pd.DataFrame(index=[0, 1]), "[{},{}]"),
        (pd.Series([1], index=pd.Index([5], name="n")), '{"5":1}'),
        (pd.Series([1, 2], index=[1, "1"]), '{"index":[1,"1"],"data":[1,2]}'),
        (pd.Series([1], index=pd.MultiIndex.from_tuples([("x", 1)])), '{"index":[["x",1]],"data":[1]}'),
        (httpx.Response(404, text="żółw", request=REQUEST), '{"status_code":404,"url":"http://x.test/","headers":'
         '{"content-length":"7","content-type":"text/plain; charset=utf-8"},"content":"żółw"}'),
        (httpx.Response(200, content=b"a", headers={"content-type": "text/plain; charset=nonsense"}),
         '{"status_code":200,"url":"","headers":{"content-type":"text/plain; charset=nonsense","content-length":"1"},'
         '"content":"a"}'),
        (Exception(), '"Exception"'),
        (range(0), "[]"),
        ({True: 1, 1.5: 2, None: 3, datetime.date(2024, 1, 1): 4}, '{"true":1,"1.5":2,"null":3,"2024-01-01":4}'),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_is_in_json_what_it_says(value: Any, text: str) -> None:
    assert dumps_strict(value) == text
    assert dumps_lenient(value) == (text, None)
    assert dumps_lenient([value]) == (f"[{text}]", None)


@pytest.mark.parametrize(
    ("value", "text", "warning"),
    [
        (Decimal("NaN"), '"nan"', "nan is not JSON; kept as its repr"),
        (np.longdouble("nan"), '"nan"', "nan is not JSON; kept as its repr"),
        (2**64, f'"{2**64}"', "an integer is beyond the 64-bit range; kept as its repr"),
        (-(2**63) - 1, f'"{-(2**63) - 1}"', "an integer is beyond the 64-bit range; kept as its repr"),
        (10**5000, f'"{hex(10**5000)}"', "an integer is beyond the 64-bit range; kept as its repr"),
        (re.compile(b"a"), '"re.compile(b\'a\')"', "Pattern is not JSON; kept as its repr"),
        (np.array([0.1, np.nan], dtype="f4"), '[0.1,"nan"]', "nan at [1] is not JSON; kept as its repr"),
        (pd.DataFrame({"a": [1.5, None], "b": ["x", None]}), '[{"a":1.5,"b":"x"},{"a":"nan","b":null}]',
         "nan at [1]['a'] is not JSON; kept as its repr"),
        (pd.Series([1, None], index=["a", "b"]), '{"a":1.0,"b":"nan"}', "nan at ['b'] is not JSON; kept as its repr"),
        ({"a" * 59: [math.nan]}, f'{{"{"a" * 59}":["nan"]}}',
         f"nan at ['{'a' * 58}…][0] is not JSON; kept as its repr"),
        ([math.nan, b"x"], '["nan","b\'x\'"]', "nan at [0] is not JSON; kept as its repr"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_the_first_that_json_cannot_say_is_named(value: Any, text: str, warning: str) -> None:
    assert dumps_lenient(value) == (text, warning)


def test_a_response_that_is_no_text_is_bytes() -> None:
    text, warning = dumps_lenient(httpx.Response(200, content=b"\xff\xfe", request=REQUEST))
    assert loads(text)["content"] == "b'\\xff\\xfe'"
    assert warning == "bytes at ['content'] is not JSON; kept as its repr"


def test_a_place_is_shown_up_to_a_length() -> None:
    assert place_of([]) == ""
    assert place_of(["a", 0, "b c"]) == "['a'][0]['b c']"
    assert place_of([0] * 26) == "[0]" * 26
    assert place_of([0] * 27) == "[0]" * 26 + "[…"


class Tone(enum.Enum):
    DRY = 1


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    """A text of one's own class."""


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None), (True, True), (5, 5), (Level.LOW, ["Level", "LOW"]), (Tone.DRY, ["Tone", "DRY"]),
        (2**64 - 1, 2**64 - 1), (2**64, "0x10000000000000000"), (-(2**63), -(2**63)),
        (-(2**63) - 1, "-0x8000000000000001"), (0.5, 0.5), (math.inf, "inf"), (math.nan, "nan"), (b"\x00a", "0061"),
        (re.compile("a", re.IGNORECASE), [34, "a"]), (re.compile(b"a"), [0, "61"]), ("a\ud83d", "a\\ud83d"),
        (Text("x"), "x"),
    ],
)  # fmt: skip
def test_a_value_without_parts_counts_as_what_it_says(value: Any, kept: Any) -> None:
    assert is_scalar(value)
    found = stable_scalar(value)
    assert (found, type(found)) == (kept, type(kept))
    assert not is_scalar([value])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), ("", ""), ("a", "a"), (5, "5"), (5.0, "5"), ("5.0", "5"), (-5.0, "-5"), (0.0, "0"), (-0.0, "-0.0"),
        (5.5, "5.5"), ("05.0", "05.0"), ("5.00", "5.00"), (".0", ".0"), ("a.0", "a.0"), (True, "True"),
        ("999999999999999.0", "999999999999999"), ("1000000000000000.0", "1000000000000000.0"),
        (1e15, "1000000000000000.0"), ([1, {"b": 1, "a": None}], '[1,{"a":null,"b":1}]'),
    ],
)  # fmt: skip
def test_a_value_counts_as_the_cell_that_a_csv_file_has_of_it(value: Any, text: str) -> None:
    assert keys.cell_text(value) == text
    assert keys.example_id(value, None) == keys.example_id(text, "")
    assert keys.example_id({"q": value}, value) == keys.example_id({"q": text}, text)
    assert keys.metadata_order({"m": value, "none": None}) == keys.metadata_order({"m": text})
    if text:
        assert keys.example_id(value, None) != keys.example_id(None, value)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("ex-0123456789ab", True), ("ex-0123456789ab-2", True), ("ex-0123456789a", False), ("ex-0123456789abc", False),
        ("ex-0123456789ab-", False), ("ex-0123456789AB", False), ("my-ex-0123456789ab", False),
    ],
)  # fmt: skip
def test_which_ids_are_made_of_an_examples_content(text: str, is_one: bool) -> None:
    assert keys.is_content_id(text) is is_one
    assert keys.is_content_id(keys.example_id(text, None))
