"""What pandas and Arrow write of an index and of JSON beside a table, and such as they would not write."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from prefect_experiments.datasets import read_table

INDEX = {"kind": "range", "name": "id", "start": 3, "stop": 7, "step": 2}
LEVEL = {"kind": "range", "name": "n", "start": 0, "stop": 2, "step": 1}


def columns(index: Any, **more: Any) -> dict[str, list[Any]]:
    """Of a table whose pandas metadata say that of its index."""
    said = index if isinstance(index, bytes) else json.dumps({"index_columns": index}).encode()
    table = pa.table({"q": ["a", "b"], **more}).replace_schema_metadata({b"pandas": said})
    return dict(read_table(table).columns)


Q = {"q": ["a", "b"]}


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ([INDEX], {"id": [3, 5], **Q}),
        ([INDEX, LEVEL], {"n": [0, 1], "id": [3, 5], **Q}),
        ([{**INDEX, "stop": 8}], Q),
        ([{**INDEX, "stop": 5}], Q),
        ([{**INDEX, "name": None}], Q),
        ([{**INDEX, "name": "q"}], Q),
        ([{**INDEX, "start": "x"}], Q),
        ([{**INDEX, "step": 0}], Q),
        ([{name: value for name, value in INDEX.items() if name != "step"}], Q),
        (["__index_level_0__"], Q),
        (7, Q),
        (b"no json", Q),
        (b"[]", Q),
    ],
)
def test_an_index_that_only_counts_is_a_column_where_it_has_a_name(index: Any, expected: dict[str, list[Any]]) -> None:
    assert list(columns(index).items()) == list(expected.items())


def test_an_index_without_a_name_is_no_column_and_one_that_is_called_so_otherwise_is() -> None:
    assert columns([], __index_level_12__=[1, 2]) == Q
    assert columns([], __index_level_x__=["x", "y"]) == {**Q, "__index_level_x__": ["x", "y"]}
    assert columns([], my__index_level_0__=["x", "y"]) == {**Q, "my__index_level_0__": ["x", "y"]}


@pytest.mark.parametrize(
    ("metadata", "is_json"),
    [
        ({"ARROW:extension:name": "arrow.json"}, True),
        ({"prefect_experiments.cells": "json"}, True),
        ({"prefect_experiments.cells": "json", "more": "x"}, True),
        ({"prefect_experiments.cells": "text"}, False),
        ({"ARROW:extension:name": "arrow.text"}, False),
        (None, False),
    ],
)
def test_cells_are_json_where_the_field_says_so(metadata: dict[str, str] | None, is_json: bool) -> None:
    field = pa.field("v", pa.string(), metadata=metadata)
    table = pa.table([pa.array(["[1]", None])], schema=pa.schema([field])).append_column("q", pa.array(["a", "b"]))
    assert read_table(table).columns["v"] == ([[1], None] if is_json else ["[1]", None])


@pytest.mark.parametrize("count", [1_999, 2_000, 2_001])
def test_rows_keep_their_numbers_across_the_slices_that_they_are_read_in(count: int) -> None:
    table = read_table(pa.table({"n": range(count)}))
    assert (table.columns["n"], list(table.numbers)) == (list(range(count)), list(range(1, count + 1)))
