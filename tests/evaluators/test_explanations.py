"""What the built-in evaluators say of an output, in full: score, label and explanation."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.errors import InvalidEvaluator, InvalidInput
from prefect_experiments.evaluators.scoring import SAME_BUT_TYPE, bucket_of, number_of, spellings, type_differences

from .judging import bind, result

SAME = f"{SAME_BUT_TYPE}: "
ONLY = "different only by the type, which strict=True tells apart: "
TEXTS = {"name": "json_schema", "schema": {"items": {"type": "string"}}}
LONG = "x" * 300


@pytest.mark.parametrize(
    ("evaluator", "output", "expected", "score", "explanation"),
    [
        ("exact_match", "a", "b", 0, None),
        ("exact_match", {"a": 1}, "b", 0, "the output is an object with 'a', the expected output is no object"),
        (
            "exact_match",
            dict.fromkeys("abcde", 1),
            5,
            0,
            "the output is an object with 'a', 'b', 'c' and 2 more, the expected output is no object",
        ),
        ("exact_match", {"a": 1}, {"a": 2, "b": 1, "c": 1}, 0, "the output has no 'b', 'c'"),
        ("exact_match", {"a": 1, "b": 2}, {"a": 2, "b": 2}, 0, None),
        ("exact_match", [1], {"a": 2, "b": 2}, 0, None),
        ("exact_match", ["5"], [5], 1, f"{SAME}at [0] the output has the text '5', the expected output the number 5"),
        (
            "exact_match",
            [1, 2, True],
            ["1", "2", "true"],
            1,
            f"{SAME}at [0] the output has the number 1, the expected output the text '1', and 2 more",
        ),
        ("exact_match(strict=True)", ["5"], [5], 0, f"{ONLY}at [0] the output has the text '5', the expected output "
         "the number 5"),
        ("exact_match(strict=True)", [5], [5], 1, None),
        ("exact_match(strip=True)", " 5 ", 5, 1, f"{SAME}the output is the text ' 5 ', the expected output the number "
         "5"),
        ("contains", "5 of 6", 5, 1, None),
        ("contains", 5, "5", 1, f"{SAME}the output is the number 5, the expected output the text '5'"),
        ("contains", "a", [5, True, 7, "b"], 0, "missing: '5', 'true', '7' and 1 more"),
        ("contains(match='any')", "a", ["b", "a"], 1, None),
        ("contains(match='any')", "c", ["b", "a"], 0, "missing: 'b', 'a'"),
        ("contains(text='x')", "y", None, 0, "missing: 'x'"),
        ("edit_similarity", "5", 5, 1, f"{SAME}the output is the text '5', the expected output the number 5"),
        ("edit_similarity", "5", "5", 1, None),
        ("numeric_closeness", "5", "5.0", 1, None),
        ("numeric_closeness", "5", 5, 1, f"{SAME}the output is the text '5', the expected output the number 5"),
        ("numeric_closeness", 5, "5.0", 1, f"{SAME}the output is the number 5, the expected output the text '5.0'"),
        ("numeric_closeness(tolerance=1)", "5", 6, 1, None),
        ("numeric_closeness(tolerance=1)", 5, 6.001, 1 - 1.001 / 11.001, None),
        ("numeric_closeness(relative_tolerance=0.5)", -3, -6, 1, None),
        ("numeric_closeness(relative_tolerance=0.5)", 5, 11, 1 - 6 / 16, None),
        ("numeric_closeness(tolerance=2, relative_tolerance=0.1)", 30, 32.5, 1, None),
        ("numeric_closeness(strict=True)", "5", 5, 0, f"{ONLY}the output is the text '5', the expected output the "
         "number 5"),
        ("numeric_closeness(strict=True)", "5.0001", 5, 0, "the output is a text, not a number"),
        ("numeric_closeness(strict=True, tolerance=1)", "6", 5, 0, f"{ONLY}the output is the text '6', the expected "
         "output the number 5"),
        ("numeric_closeness", None, 5, 0, "the output is not a number"),
        ("list_contains", "a", ["a"], 0, "the output is not a list"),
        ("list_contains", ["a", "b"], ["a"], 1, "1 of 1 expected items among the 2 given"),
        ("list_contains(allow_extra=False)", ["a", "b"], ["a"], 0.5, "1 of 1 expected items among the 2 given"),
        ("list_contains(allow_extra=False)", ["a"], ["a", "b"], 0.5,
         "1 of 2 expected items among the 1 given; missing: 'b'"),
        ("list_contains(allow_extra=False)", [], [], 1, "0 of 0 expected items among the 0 given"),
        ("list_contains", [], list("abc"), 0, "0 of 3 expected items among the 0 given; missing: 'a', 'b', 'c'"),
        ("list_contains", [], list("abcd"), 0, "0 of 4 expected items among the 0 given; missing: 'a', 'b', 'c' and 1 "
         "more"),
        ("list_contains(threshold=0.5)", ["ab"], ["ac"], 1, "1 of 1 expected items among the 1 given"),
        ("list_contains(threshold=0.51)", ["ab"], ["ac"], 0, "0 of 1 expected items among the 1 given; missing: 'ac'"),
        ("list_contains(threshold=0.5, ignore_case=True)", ["AB"], ["ac"], 1,
         "1 of 1 expected items among the 1 given"),
        ("list_contains", ["5", 6], [5, "6"], 1, "2 of 2 expected items among the 2 given; "
         f"{SAME}the output is the text '5', the expected output the number 5, and 1 more"),
        (TEXTS, ["a", 1, 2, 3], None, 0, "$[1]: 1 is not of type 'string'; $[2]: 2 is not of type 'string'; $[3]: 3 is "
         "not of type 'string'"),
        (TEXTS, [1, 2, 3, 4], None, 0, "$[0]: 1 is not of type 'string'; $[1]: 2 is not of type 'string'; $[2]: 3 is "
         "not of type 'string'; and more"),
        (TEXTS, ["a"], None, 1, None),
        (TEXTS, [{LONG: 1}], None, 0, f"$[0]: {{'{'x' * 197}…"),
        ("json_valid", "[1", None, 0, "not JSON: unexpected end of data: line 1 column 3 (char 2)"),
        ("json_valid", [1], None, 1, None),
    ],
)  # fmt: skip
def test_what_is_said_of_an_output(
    evaluator: Any, output: Any, expected: Any, score: float, explanation: str | None
) -> None:
    found = result(evaluator, output, expected)
    assert (found.score, found.explanation) == (pytest.approx(score), explanation)
    has_label = bind(evaluator).name in {"exact_match", "contains", "json_schema", "json_valid"}
    assert found.label == (str(score == 1) if has_label else None)
    assert (found.metadata, found.name) == ({}, None)


@pytest.mark.parametrize(
    ("evaluator", "expected", "said"),
    [
        ("exact_match", None, "no expected output: exact_match compares with one, and this example has none"),
        ("contains", [], "no expected output: the list of texts to look for is empty"),
        ("numeric_closeness", "seven", "the expected output is not a number but a str: 'seven'"),
        ("numeric_closeness", True, "the expected output is not a number but a bool: True"),
        ("numeric_closeness", LONG, f"the expected output is not a number but a str: '{'x' * 198}…"),
        ("numeric_closeness(strict=True)", "7", "the expected output is not a number but a str and strict=True reads "
         "none: '7'"),
        ("numeric_closeness(strict=True)", "x", "the expected output is not a number but a str: 'x'"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_with(evaluator: str, expected: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        result(evaluator, "x", expected)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        ("exact_match(strip='no')", "evaluator 'exact_match': strip must be true or false, got 'no'"),
        ("contains(text=['a', ''])", "evaluator 'contains': text must be a text or a list of "
         "texts, none of them empty; got ['a', '']"),
        ("contains(match='al')", "evaluator 'contains': unknown match 'al'; did you mean 'all'? Known: all, any"),
        ("regex(pattern='a', flags='qiz')", "evaluator 'regex': unknown flags 'qz'; known are the letters imsxa"),
        ("regex(pattern='a', flags=1)", "evaluator 'regex': pattern and flags must be texts, got pattern='a', flags=1"),
        ("regex(pattern='\\x1f')", r"evaluator 'regex': pattern '\x1f' holds a control character, as '\b' becomes "
         "without r; write r'...'"),
        ("numeric_closeness(tolerance=True)", "evaluator 'numeric_closeness': tolerance must "
         "be a number of at least 0, got True"),
        ("numeric_closeness(relative_tolerance=-0.1)", "evaluator 'numeric_closeness': relative_tolerance must be a "
         "number of at least 0, got -0.1"),
        ("numeric_closeness(tolerance=1e999)", "evaluator 'numeric_closeness': tolerance must "
         "be a number of at least 0, got inf"),
        ("list_contains(threshold=True)", "evaluator 'list_contains': threshold must be above "
         "0 and at most 1, got True"),
        ("list_contains(threshold=1.01)", "evaluator 'list_contains': threshold must be above "
         "0 and at most 1, got 1.01"),
        ("list_contains(threshold=0.99, strict=True)", "evaluator 'list_contains': strict compares JSON values, and "
         "threshold=0.99 texts; give one of them"),
    ],
)  # fmt: skip
def test_which_options_cannot_be_used(evaluator: str, said: str) -> None:
    with pytest.raises(InvalidEvaluator) as refused:
        bind(evaluator)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "evaluator",
    [
        "numeric_closeness(tolerance=0, relative_tolerance=0.0)",
        "list_contains(threshold=1, strict=True)",
        "list_contains(threshold=0.001)",
        "regex(pattern='\\t\\n\\r\\v\\f\\x20')",
        "regex(pattern='a', flags='imsxa')",
    ],
)
def test_options_at_their_bounds_can_be_used(evaluator: str) -> None:
    assert bind(evaluator).name == evaluator.partition("(")[0]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5), (" 5\n", 5), ("+5", 5), ("-007", -7), ("5.", 5.0), (".5", 0.5), ("1e3", 1000.0), ("1,234", 1234),
        ("-1,234,567.5", -1234567.5), ("1,23", None), ("12,3456", None), ("1,234,", None), (",234", None), ("", None),
        ("1_0", None), ("0x1", None), ("nan", None), ("inf", None), ("1e999", None), ("1e99999", None), ("five", None),
        ("1" * 300, int("1" * 300)), ("0" * 399 + "5", 5), ("0" * 400 + "5", None), ("9" * 309, None), (True, None),
        (None, None), ([1], None), (5, 5), (0.5, 0.5), (float("nan"), None), (10**400, None),
    ],
)  # fmt: skip
def test_a_number_as_people_write_it(text: Any, number: float | None) -> None:
    found = number_of(text)
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (True, ["true", "True"]),
        (5.0, ["5.0", "5"]),
        (-0.0, ["-0.0", "0"]),
        (5.5, ["5.5"]),
        (2.0**53, ["9007199254740992.0", "9007199254740992"]),
        (2.0**54, ["1.8014398509481984e+16"]),
        (5, ["5"]),
        (None, [""]),
        ("a", ["a"]),
        ([1, "a"], ['[1,"a"]']),
    ],
)
def test_the_texts_that_a_value_may_be_written_as(value: Any, texts: list[str]) -> None:
    assert spellings(value) == texts


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (2**53, 2.0**53, True),
        (2**53 + 1, 2.0**53, False),
        (2**54, 2.0**54, False),
        (2**54, 2**54, True),
        (2.0**54, 2.0**54, True),
        (1, True, False),
        (0.0, False, False),
        (None, None, True),
        (None, 0, False),
        ([1, (2,)], (1, [2]), True),
        ([1], [1, 2], False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, [1], False),
        ("0" * 400, 0, False),
        ("1" + "0" * 300, 10**300, True),
        ("1" * 401, int("1" * 401), False),
        ("1" * 400, int("1" * 400), True),
    ],
)
def test_which_values_say_the_same(one: Any, other: Any, is_same: bool) -> None:
    assert (type_differences(one, other) is not None) is is_same
    assert (type_differences(other, one) is not None) is is_same
    if is_same and not isinstance(one, str):
        assert bucket_of(one) == bucket_of(other)
