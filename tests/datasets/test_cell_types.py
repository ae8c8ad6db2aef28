"""What the caller says that the cells of a column are: what just fits, and what just does not."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.datasets import load
from prefect_experiments.errors import InvalidDataset, InvalidSetting


def cell(value: Any, kind: str) -> Any:
    """What a cell becomes; in a row with something in it."""
    return load([{"input": "a", "v": value}], types={"v": kind})[0].metadata["v"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("+7", 7),
        ("-0", 0),
        (" 12 ", 12),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_numbers_that_fit(text: str, number: float) -> None:
    found = cell(text, "number")
    assert (found, type(found)) == (number, type(number))


BEYOND = "It is beyond 64 bits and would lose digits; leave the column as text"
NO_NUMBER = "Write it as 1234.5, leave empty what is missing, or leave the column as text"


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ("18446744073709551616", "number", f"'18446744073709551616' is no number. {BEYOND}"),
        ("-9223372036854775809", "number", f"'-9223372036854775809' is no number. {BEYOND}"),
        ("000000000000000000001", "number", f"'000000000000000000001' is no number. {BEYOND}"),
        ("1_0", "number", f"'1_0' is no number. {NO_NUMBER}"),
        ("x" * 38, "number", f"'{'x' * 38}' is no number. {NO_NUMBER}"),
        ("x" * 39, "number", f"'{'x' * 38}… is no number. {NO_NUMBER}"),
        (None, "number", None),
        (" ", "json", None),
        (" ", "bool", None),
        (
            2,
            "bool",
            "2 is no truth value. Write true or false, in upper or lower case, or leave the column as text",
        ),
        (
            [1],
            "text",
            "[1] is no text. Only numbers and truth values can be made text; leave the column out of types=",
        ),
        (
            "{]",
            "json",
            "'{]' is no JSON. not JSON: Expecting property name enclosed in double quotes. Leave empty what is "
            "missing, or leave the column as text",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_its_row_and_what_is_empty_is_none(value: Any, kind: str, said: str) -> None:
    if said is None:
        assert cell(value, kind) is None
        return
    with pytest.raises(InvalidDataset) as refused:
        cell(value, kind)
    assert str(refused.value) == f"examples: column 'v', row 1: {said}"


def test_what_is_of_its_type_already_stays_and_text_that_is_blank_is_text() -> None:
    assert [cell(value, "bool") for value in (True, False, "TRUE", " false ")] == [True, False, True, False]
    assert [cell(value, "text") for value in (" ", True, 1.5, None)] == [" ", "True", "1.5", None]
    assert [cell(value, "json") for value in ([1], "[1]", 2)] == [[1], [1], 2]


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ({"v": "numbre"}, "types['v']: unknown type 'numbre'; did you mean 'number'? Known: text, number, bool, json"),
        (["v"], "types must map columns to types, such as {'price': 'number'}, got list"),
    ],
)
def test_types_that_there_are_not(types: Any, said: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        load([{"input": "a", "v": 1}], types=types)
    assert str(refused.value) == said
