import csv
import datetime
import json
import math
import sys
import weakref

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.datasets import (
    example_rows,
    load,
    read_rows,
    read_table,
    to_examples,
    write_examples,
    write_rows,
)
from prefect_experiments.errors import InvalidDataset, InvalidSetting
from prefect_experiments.models import Example

SUFFIXES = [".csv", ".json", ".jsonl", ".ndjson", ".parquet"]
ROWS = [
    {"id": "a", "score": 0.5, "n": 1, "ok": True, "tags": ["x", {"y": 1}], "note": None},
    {"id": "b", "score": 1.5, "n": 2, "ok": False, "tags": [], "note": 'é, "q"\nline'},
]
TEXTS = [
    {"id": "a", "score": "0.5", "n": "1", "ok": "True", "tags": '["x",{"y":1}]', "note": ""},
    {"id": "b", "score": "1.5", "n": "2", "ok": "False", "tags": "[]", "note": 'é, "q"\nline'},
]


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".ndjson"])
def test_json_keeps_rows_as_they_are(tmp_path, suffix):
    write_rows(ROWS, tmp_path / f"a{suffix}")
    assert read_rows(tmp_path / f"a{suffix}") == ROWS


def test_csv_holds_nested_values_as_json_text_and_none_as_empty(tmp_path):
    write_rows(ROWS, tmp_path / "a.csv")
    assert read_rows(tmp_path / "a.csv") == TEXTS


def test_types_that_are_said_make_the_rows_again(tmp_path):
    write_rows(ROWS, tmp_path / "a.csv")
    types = {"score": "number", "n": "number", "ok": "bool", "tags": "json"}
    rows = list(read_table(tmp_path / "a.csv", types=types).records())
    assert rows == [{**row, "note": row["note"] or ""} for row in ROWS]


def test_without_pyarrow_the_command_is_said_and_the_file_stays(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_text("kept")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        InvalidSetting,
        match=r"needs pyarrow: pip install 'prefect-experiments\[parquet\]', or write \.csv or \.jsonl$",
    ):
        write_rows(ROWS, tmp_path / "a.parquet")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(InvalidSetting) as refused:
        write_rows(ROWS, tmp_path / "nowhere" / "a.csv")
    assert str(refused.value) == f"{tmp_path}/nowhere/a.csv: there is no folder {tmp_path}/nowhere; make it first"


def test_parquet_keeps_every_value(tmp_path):
    write_rows(ROWS, tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet") == ROWS
    assert pq.read_table(tmp_path / "a.parquet").column("tags").to_pylist() == ['["x",{"y":1}]', "[]"]


ANY = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=4) | st.just({"a": [1, None]})


@given(st.lists(ANY, min_size=1, max_size=5))
def test_parquet_columns_of_many_types_come_back_the_same(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    rows = [{"k": "x", "v": value} for value in values]
    write_rows(rows, path)
    again = read_rows(path)
    assert again == rows
    assert [type(row["v"]) for row in again] == [type(value) for value in values]


def test_text_that_looks_like_json_stays_text_in_parquet(tmp_path):
    rows = [{"v": '{"a":1}'}, {"v": "[1]"}]
    write_rows(rows, tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet") == rows


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_are_chosen_and_ordered(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_rows(ROWS, path, columns=["n", "missing", "id"])
    rows = read_rows(path)
    assert list(rows[0]) == ["n", "missing", "id"]
    assert [str(row["n"]) for row in rows] == ["1", "2"]
    assert not rows[0]["missing"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_the_columns_of_every_row(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_rows([{"a": 1}, {"b": 2}, {"a": 3, "b": 4}], path)
    rows = list(read_table(path, types={"a": "number", "b": "number"}).records())
    assert rows == [{"a": 1, "b": None}, {"a": None, "b": 2}, {"a": 3, "b": 4}]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_no_format_has_does_not_cost_the_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    day = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    hard = [math.nan, pd.NA, pd.NaT, day, object(), 2**80, "\ud800", {"x": math.nan}, {1, 2}, "text", 1]
    write_rows([{"k": "x", "v": value, "when": day} for value in hard], path)
    rows = read_rows(path)
    assert [row["v"] in (None, "") for row in rows] == [True] * 3 + [False] * 8
    assert rows[0]["when"] == "2024-01-02T03:04:05+00:00"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_numpy_numbers_stay_numbers(tmp_path, suffix):
    write_rows([{"i": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True)}], tmp_path / f"a{suffix}")
    table = read_table(tmp_path / f"a{suffix}", types={"i": "number", "f": "number", "b": "bool"})
    assert list(table.records()) == [{"i": 3, "f": 0.5, "b": True}]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_rows(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_rows(iter(()), path, columns=["a", "b"])
    if suffix == ".json":
        assert json.loads(path.read_text()) == []
    elif suffix == ".csv":
        assert path.read_text() == "a,b\n"
    elif suffix == ".parquet":
        assert pq.read_table(path).column_names == ["a", "b"]
    else:
        assert path.read_text() == ""


def test_an_unknown_suffix_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(InvalidSetting, match=r"did you mean '\.json'"):
        write_rows(ROWS, tmp_path / "a.jsn")
    with pytest.raises(InvalidSetting, match="no folder"):
        write_rows(ROWS, tmp_path / "none" / "a.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(InvalidSetting, match="folder"):
        write_rows(ROWS, tmp_path / "d.csv")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"a{suffix}"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(InvalidSetting, match="No space left"):
        write_rows(ROWS, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_and_a_link_stays_one(tmp_path):
    target, link = tmp_path / "real.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    write_rows(ROWS, link)
    assert link.is_symlink()
    assert read_rows(target) == ROWS
    assert sorted(tmp_path.iterdir()) == [link, target]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    write_rows(ROWS, tmp_path / "a.json")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


# --- formulas -------------------------------------------------------------------------------------

BEGINS_A_FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"  # OWASP, "CSV Injection": the last four are full-width


def cells(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("first", BEGINS_A_FORMULA)
def test_a_cell_or_a_name_that_a_spreadsheet_would_calculate_gets_an_apostrophe(tmp_path, first):
    texts = [first, f"{first}1+1", f"{first}SUM(A1)", f"{first} 5"]
    write_rows([{first: text, "plain": f"a{text}"} for text in texts], tmp_path / "a.csv", for_spreadsheets=True)
    assert cells(tmp_path / "a.csv") == [[f"'{first}", "plain"], *([f"'{text}", f"a{text}"] for text in texts)]
    write_rows([{first: text} for text in texts], tmp_path / "b.csv")
    assert cells(tmp_path / "b.csv") == [[first], *([text] for text in texts)]


@given(st.characters(exclude_categories=["Cs"]).filter(lambda first: first not in BEGINS_A_FORMULA))
def test_no_other_text_is_changed_for_spreadsheets(tmp_path_factory, first):
    path = tmp_path_factory.mktemp("export") / "a.csv"
    write_rows([{"a": f"{first}=1", "b": f"{first}+1"}], path, for_spreadsheets=True)
    assert cells(path) == [["a", "b"], [f"{first}=1", f"{first}+1"]]


@pytest.mark.parametrize(
    ("text", "is_number"),
    [("-5", True), ("+3.25", True), ("-.5", True), ("+5.", True), ("-1e9", True), ("+1.5E-3", True), ("-1e+9", True),
     ("-", False), ("-.", False), ("-5-5", False), ("--5", False), ("-1e", False), ("+5 ", False), ("-5e1.5", False),
     ("=5", False), ("-x", False)],
)  # fmt: skip
def test_a_number_is_no_formula(tmp_path, text, is_number):
    write_rows([{"a": text, "b": -5, "c": -0.5}], tmp_path / "a.csv", for_spreadsheets=True)
    assert cells(tmp_path / "a.csv")[1] == [text if is_number else f"'{text}", "-5", "-0.5"]


# --- examples ---------------------------------------------------------------------------------

VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5) | st.lists(st.integers(0, 9))
FIELDS = st.dictionaries(st.text(max_size=5), VALUES, max_size=3)
EXAMPLES = st.lists(
    st.builds(
        Example,
        input=VALUES | FIELDS,
        output=VALUES | FIELDS,
        metadata=FIELDS,
        splits=st.sets(st.sampled_from(["a", "b", "[c]"])).map(sorted).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


@given(EXAMPLES)
def test_examples_come_back_the_same_through_json(tmp_path_factory, drafts):
    folder = tmp_path_factory.mktemp("export")
    examples = to_examples(drafts)
    for suffix in (".json", ".jsonl"):
        write_examples(examples, folder / f"a{suffix}")
        assert to_examples(read_rows(folder / f"a{suffix}")) == examples


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_examples_come_back_through_a_table_with_their_keys(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    examples = to_examples(
        [
            {"q": "one, two", "a": "3", "topic": "x", "part": ["train", "hard"]},
            {"q": "é", "a": "b", "topic": "y", "part": None},
        ],
        input_keys="q",
        output_keys="a",
        metadata_keys="topic",
        split_key="part",
    )
    write_examples(examples, path)
    again = to_examples(
        read_rows(path), input_keys="q", output_keys="a", metadata_keys="topic", split_key="splits", id_key="id"
    )
    assert again == examples


def test_flat_rows_have_each_field_under_its_own_name():
    examples = [
        Example(id="1", input={"q": 1, "t": 2}, output="a", metadata={"t": 3}, splits=("s",)),
        Example(id="2", input={"q": 1}),
    ]
    assert example_rows(examples, flat=True) == [
        {"id": "1", "q": 1, "input.t": 2, "output": "a", "metadata.t": 3, "splits": ["s"]},
        {"id": "2", "q": 1, "splits": None},
    ]
    assert example_rows(examples[1:], flat=True) == [{"id": "2", "q": 1}]


def test_a_field_called_splits_beside_splits_is_refused_for_tables(tmp_path):
    examples = [Example(id="1", input={"splits": 3}, splits=("s",))]
    with pytest.raises(InvalidDataset, match="have splits and a field called 'splits', which cannot share a column"):
        write_examples(examples, tmp_path / "a.csv")
    write_examples(examples, tmp_path / "a.json")


@pytest.mark.parametrize(
    "metadata", [{"split": "x"}, {"expected": 1}, {"inputs": 1}, {"output": "x"}, {"example_id": "7"}, {" a": 1}]
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_metadata_that_a_column_would_make_something_else_is_refused_for_tables(tmp_path, metadata, suffix):
    examples = [Example(id="1", input={"q": 1}, output={"a": 2}, metadata=metadata)]
    with pytest.raises(InvalidDataset, match=r"metadata of example '1' has a field called .* Write \.json"):
        write_examples(examples, tmp_path / f"a{suffix}")
    write_examples(examples, tmp_path / "a.json")
    assert list(load(tmp_path / "a.json")) == examples


@pytest.mark.parametrize("part", ["input", "output"])
def test_objects_beside_other_values_are_refused_for_tables(tmp_path, part):
    examples = [Example(**{"id": str(n), "input": {"q": 1}, part: value}) for n, value in enumerate([{"q": 1}, 2])]
    with pytest.raises(InvalidDataset, match=f"some {part}s are objects"):
        write_examples(examples, tmp_path / "a.csv")
    write_examples(examples, tmp_path / "a.jsonl")
    assert list(load(tmp_path / "a.jsonl")) == examples


def test_the_csv_header_is_the_field_names(tmp_path):
    write_examples([Example(id="1", input={"q": "x"}, output={"a": "y"})], tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["id", "q", "a"], ["1", "x", "y"]]


@pytest.mark.parametrize(
    ("early", "late"),
    [(1, 2), (1, "x"), (None, 3), ("x", None), (True, 0.5), (1, 2**63), (2**63, -1), ({"a": 1}, "{}"), (None, None)],
)
def test_what_comes_late_in_a_parquet_file_does_not_change_what_came_before(tmp_path, early, late):
    rows = [{"k": "x", "v": early}] * 2_500 + [{"k": "x", "v": late}] * 2_500
    write_rows(iter(rows), tmp_path / "a.parquet", columns=["k", "v"])
    again = read_rows(tmp_path / "a.parquet")
    assert again == rows
    assert [type(row["v"]) for row in again] == [type(row["v"]) for row in rows]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_written_as_they_come(tmp_path, suffix):
    """With the columns known, a row that is written need not stay in memory."""
    alive = weakref.WeakSet()
    most = 0

    class Value(str):
        """A text that can be watched."""

    def rows():
        nonlocal most
        for number in range(6_000):
            value = Value(number)
            alive.add(value)
            most = max(most, len(alive))
            yield {"v": value}

    write_rows(rows(), tmp_path / f"a{suffix}", columns=["v"])
    assert most <= 4_000, "of Parquet two thousand at a time, and those before"
