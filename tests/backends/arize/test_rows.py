"""Examples as rows of AX and back, whatever their fields are called; what equal rows are; how many go at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_experiments.backends.arize.rows import chunks, content, given_id, is_id, to_example, to_row, to_time
from prefect_experiments.models import Example
from prefect_experiments.origin import MARK


def row_of(example: Example, own_id: str | None = None) -> tuple[dict[str, Any], Any]:
    """The row without its mark, and the mark."""
    row = to_row(example, own_id)
    mark = row.pop(MARK, None)
    return row, None if mark is None else json.loads(mark)


PLACES = {"input": {"q": "q"}, "output": {"a": "a"}, "metadata": {}}
ROWS: list[tuple[Example, dict[str, Any], Any]] = [
    (Example(input={"q": 1}), {"q": 1}, None),
    (Example(input="a", output="b", metadata={"t": 1}), {"input": "a", "output": "b", "t": 1}, None),
    (Example(input={"q": 1}, output={"a": 2}), {"q": 1, "a": 2}, PLACES),
    (
        Example(input={"x": 1}, output={"x": 2}, metadata={"x": 3}),
        {"input.x": 1, "output.x": 2, "metadata.x": 3},
        {"input": {"x": "input.x"}, "output": {"x": "output.x"}, "metadata": {"x": "metadata.x"}},
    ),
    (
        Example(input={"id": 1, "annotations": 2}),
        {"input.id": 1, "input.annotations": 2},
        {"input": {"id": "input.id", "annotations": "input.annotations"}, "metadata": {}},
    ),
    (
        Example(input={"x": 1, "input.x": 2}, output={"x": 3}),
        {"input.x_": 1, "input.x": 2, "output.x": 3},
        {"input": {"x": "input.x_", "input.x": "input.x"}, "output": {"x": "output.x"}, "metadata": {}},
    ),
    (
        Example(input="a", metadata={"input": 1}),
        {"input.value": "a", "metadata.input": 1},
        {"input": "input.value", "metadata": {"input": "metadata.input"}},
    ),
    (Example(input={}), {}, {"input": {}, "metadata": {}}),
    (Example(input=None), {}, {"metadata": {}}),
    (
        Example(input="a", splits=("x", "y")),
        {"input": "a"},
        {"splits": ["x", "y"], "input": "input", "metadata": {}},
    ),
]


@pytest.mark.parametrize(("example", "row", "mark"), ROWS)
def test_each_field_has_its_own_column_and_comes_back(example: Example, row: dict[str, Any], mark: Any) -> None:
    assert row_of(example) == (row, mark)
    again = to_example({**to_row(example, None), "id": "ax", "created_at": 1, "updated_at": 2, "annotations": []})
    assert again == Example(
        id="ax", input=example.input, output=example.output, metadata=example.metadata, splits=example.splits
    )
    own = to_example({**to_row(example, "mine"), "id": "ax"})
    assert (own.id, own.input, own.metadata) == ("mine", example.input, example.metadata)


@pytest.mark.parametrize(
    ("fields", "example"),
    [
        ({"input": 1, "t": 2}, Example(input=1, metadata={"t": 2})),
        ({"input": 1, "expected": 3, "reference": 4}, Example(input=1, output=3, metadata={"reference": 4})),
        ({"input": 1, "expected_output": None}, Example(input=1)),
        ({"input": 1, "metadata": {"a": 1}, "b": 2}, Example(input=1, metadata={"a": 1, "b": 2})),
        ({"input": 1, "metadata": {"b": 1}, "b": 2}, Example(input=1, metadata={"metadata": {"b": 1}, "b": 2})),
        ({"input": 1, "metadata": 3}, Example(input=1, metadata={"metadata": 3})),
        ({"input": 1, "metadata": None}, Example(input=1)),
        ({"q": 1, "output": 2}, Example(input={"q": 1, "output": 2})),
        (
            {"q": 1, "attributes.output.value": 2},
            Example(input={"q": 1}, output={"attributes.output.value": 2}),
        ),
        ({"input": 1, MARK: "somebody else's"}, Example(input=1)),
        ({"input": 1, MARK: 7}, Example(input=1)),
        ({"input": 1, MARK: "[1]"}, Example(input=1)),
        ({"input": 1, MARK: None}, Example(input=1)),
        ({"x": 1, MARK: '{"metadata": {}, "input": {"q": "gone"}}'}, Example(input={"q": None})),
        ({"x": 1, MARK: '{"metadata": "x", "input": "x"}'}, Example(input=1)),
    ],
)
def test_a_row_that_others_wrote_is_read_by_the_names_of_its_columns(fields: dict[str, Any], example: Example) -> None:
    found = to_example({**fields, "id": 7})
    assert found == Example(id="7", input=example.input, output=example.output, metadata=example.metadata)


@pytest.mark.parametrize(
    ("example_id", "kept"),
    [
        ("mine", "mine"),
        ("", None),
        ("ex-0123456789ab", None),
        ("ex-0123456789ab-12", None),
        ("ex-0123456789ab-", "ex-0123456789ab-"),
        ("ex-0123456789abc", "ex-0123456789abc"),
        ("ex-0123456789xy", "ex-0123456789xy"),
    ],
)
def test_an_id_that_was_made_of_the_content_need_not_be_kept(example_id: str, kept: str | None) -> None:
    assert given_id(Example(id=example_id, input=1)) == kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [("RGF0YXNldDoxOng=", True), ("RGF0YXNldDoxOng= ", False), ("RGF0YXNldA==", False), ("name", False), ("ü", False),
     ("////", False), ("", False)],
)  # fmt: skip
def test_what_is_an_id_and_what_a_name(text: str, expected: bool) -> None:
    assert is_id(text) is expected


def test_equal_rows_are_those_of_one_content() -> None:
    row = {"a": 1, "b": [1, {"c": 2}], "t": True}
    same: list[dict[str, Any]] = [
        {**row, "a": 1.0},
        {**row, "b": [1.0, {"c": 2.0}]},
        {**row, "n": None},
        {**row, "id": "x", "created_at": 1, "updated_at": 2, "annotations": [3]},
        dict(reversed(row.items())),
    ]
    others: list[dict[str, Any]] = [
        {**row, "a": 1.5},
        {**row, "a": "1"},
        {**row, "b": [{"c": 2}, 1]},
        {**row, "b": [1, {"c": None}]},
        {**row, "t": 1},
        {**row, "more": 0},
    ]
    assert {content(one) for one in same} == {content(row)}
    assert not [one for one in others if content(one) == content(row)]


@pytest.mark.parametrize(
    ("most", "largest", "pieces"),
    [
        (2, 1000, [["aa", "bb"], ["cc", "dd"], ["ee"]]),
        (5, 1000, [["aa", "bb", "cc", "dd", "ee"]]),
        (4, 1000, [["aa", "bb", "cc", "dd"], ["ee"]]),
        (9, 12, [["aa", "bb"], ["cc", "dd"], ["ee"]]),  # six bytes each: with quotes, and what stands between two
        (9, 11, [["aa"], ["bb"], ["cc"], ["dd"], ["ee"]]),
        (9, 17, [["aa", "bb"], ["cc", "dd"], ["ee"]]),
        (9, 18, [["aa", "bb", "cc"], ["dd", "ee"]]),
        (9, 1, [["aa"], ["bb"], ["cc"], ["dd"], ["ee"]]),
    ],
)
def test_as_many_go_at_once_as_may(most: int, largest: int, pieces: list[list[str]]) -> None:
    items = ["aa", "bb", "cc", "dd", "ee"]
    assert list(chunks(items, most, largest)) == pieces
    assert list(chunks([len(item) for item in items], 2, largest=100, row_of=lambda n: "x" * n)) == [
        [2, 2],
        [2, 2],
        [2],
    ]
    assert list(chunks([], most, largest)) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1_500, datetime.fromtimestamp(1.5, UTC)),
        (0, datetime.fromtimestamp(0, UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (None, None),
        (True, None),
        ("yesterday", None),
        ([], None),
    ],
)
def test_times_that_are_none(value: Any, found: datetime | None) -> None:
    assert to_time(value) == found
