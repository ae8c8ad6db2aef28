"""What every table goes through, whatever it comes from: headers, blank rows, counting columns, types."""

import csv
import datetime
import json
import logging
import math
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefect_experiments.datasets import load, read_table
from prefect_experiments.errors import InvalidDataset, InvalidSetting
from support.work import assert_in_proportion


@pytest.fixture
def said(caplog):
    """The lines that the logger has, and forgets then."""

    def lines():
        found = [record.getMessage() for record in caplog.records if record.name == "prefect_experiments"]
        caplog.clear()
        return found

    with caplog.at_level(logging.WARNING, logger="prefect_experiments"):
        yield lines


def refusal(source, **options) -> str:
    with pytest.raises((InvalidDataset, InvalidSetting)) as caught:
        load(source, **options)
    return str(caught.value)


SOURCES = ["csv", "tsv", "json", "jsonl", "parquet", "xlsx", "DataFrame", "Arrow", "list"]


@pytest.fixture(params=SOURCES)
def made(request, tmp_path):
    """What makes a source of a DataFrame, in one of all ways."""

    def make(frame: pd.DataFrame):
        kind, path = request.param, tmp_path / f"a.{request.param}"
        if kind == "csv":
            frame.to_csv(path, index=False)
        elif kind == "tsv":
            frame.to_csv(path, index=False, sep="\t")
        elif kind == "json":
            frame.to_json(path, orient="records")
        elif kind == "jsonl":
            frame.to_json(path, orient="records", lines=True)
        elif kind == "parquet":
            frame.to_parquet(path, index=False)
        elif kind == "xlsx":
            pytest.importorskip("openpyxl")
            frame.to_excel(path, index=False)
        elif kind == "DataFrame":
            return frame
        elif kind == "Arrow":
            return pa.Table.from_pandas(frame, preserve_index=False)
        else:
            return frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
        return path

    make.kind = request.param
    return make


# --- rows with nothing in them ----------------------------------------------------------------


def test_rows_with_nothing_in_them_are_left_out_and_counted(made, said):
    frame = pd.DataFrame(
        {"input": ["a", None, " ", "b", "\t"], "expected": ["x", None, "", "y", None], "n": [1, None, None, 2, None]}
    )
    source = made(frame)
    table = read_table(source)
    assert table.rows == 2
    assert list(table.numbers) == [1, 4]
    assert table.columns["input"] == ["a", "b"]
    (line,) = said()
    assert line == f"{table.origin}: left out 3 rows with nothing in them."
    assert [example.input for example in load(source)] == ["a", "b"]
    assert len(said()) == 1


def test_a_table_without_such_rows_says_nothing(made, said):
    load(made(pd.DataFrame({"input": ["a", "b"]})))
    assert said() == []


@pytest.mark.parametrize("nothing", [None, math.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), "", " \n"])
def test_what_is_nothing(nothing, said):
    examples = load([{"input": 1, "expected": 2}, {"input": nothing, "expected": nothing}, {"input": 3}])
    assert [example.input for example in examples] == [1, 3]
    assert said() == ["examples: left out 1 row with nothing in it."]


@pytest.mark.parametrize("something", [0, False, [], {}, "0"])
def test_what_is_something(something, said):
    assert len(load([{"input": 1}, {"input": something}])) == 2
    assert said() == []


def test_a_table_of_nothing_is_refused(made):
    text = refusal(made(pd.DataFrame({"input": [None, " "], "expected": [None, ""]})))
    assert "no rows; every row is empty" in text


def test_messages_count_the_rows_that_were_left_out():
    rows = [{"input": "a", "id": 1}, {"input": None}, {}, {"input": "b", "id": 1}]
    assert "(rows 1 and 4)" in refusal(rows)
    assert "row 4, input" in refusal([*rows[:3], {"input": math.inf}])


def test_lines_with_nothing_are_rows_and_those_at_the_end_are_none(tmp_path, said):
    (tmp_path / "a.csv").write_text("\n\ninput,expected\n\na,b\n , \n  \n,,,\nc,d\n\n\n")
    table = read_table(tmp_path / "a.csv")
    assert list(table.numbers) == [2, 6]
    assert said() == [f"{tmp_path / 'a.csv'}: left out 4 rows with nothing in them."]
    (tmp_path / "a.jsonl").write_text('{"input": 1}\n\n{"input": 2}\n\n\n')
    assert list(read_table(tmp_path / "a.jsonl").numbers) == [1, 3]
    assert said() == [f"{tmp_path / 'a.jsonl'}: left out 1 row with nothing in it."]


# --- headers ----------------------------------------------------------------------------------


def test_headers_are_stripped(made):
    (example,) = load(made(pd.DataFrame({" input": ["q"], "expected\t": ["a"], "\ufeff topic ": ["t"]})))
    assert (example.input, example.output, example.metadata) == ("q", "a", {"topic": "t"})


def test_headers_that_are_one_then_are_refused(made):
    text = refusal(made(pd.DataFrame({"input": ["q"], "input ": ["r"]})))
    assert "several columns are named 'input'" in text or "row 1, two columns have the same name" in text


def test_rows_that_spell_a_header_otherwise_are_one_column():
    assert [example.input for example in load([{"input": 1}, {" input": 2}])] == [1, 2]
    assert "row 2" in refusal([{"input": 1}, {"input": 1, " input": 2}])


@pytest.mark.parametrize("name", ["", " ", "Unnamed: 0", "Unnamed: 0.1"])
@pytest.mark.parametrize("numbers", [[0, 1, 2], [1, 2, 3], [0, 1, 7], [7, 0, 1]])
def test_a_first_column_without_a_name_that_only_counts_is_left_out(made, name, numbers, said):
    frame = pd.DataFrame({name: numbers, "input": ["a", "b", "c"], "expected": ["x", None, "z"]})
    examples = load(made(frame))
    assert [example.input for example in examples] == ["a", "b", "c"]
    assert all(example.metadata == {} for example in examples)
    (line,) = said()
    assert "left out the first column, which has no name and only counts the rows" in line


def test_two_of_them_and_rows_that_are_only_counted(made, said):
    frame = pd.DataFrame({"": [0, 1, 2], "Unnamed: 0": [5, 6, 7], "input": ["a", None, "c"]})
    assert [example.input for example in load(made(frame))] == ["a", "c"]
    (line,) = said()
    assert "1 row with nothing in it and the first column" in line


def test_a_name_that_is_missing_is_none(said):
    reader = csv.DictReader(["input,expected", "a,b,c"])
    assert "column 3" in refusal(reader)
    frame = pd.DataFrame([[0, "a"], [1, "b"]], columns=[None, "input"])
    assert [example.metadata for example in load(frame)] == [{}, {}]
    assert "only counts the rows" in said()[0]


@pytest.mark.parametrize("cells", [["x", "y"], [1, 1], [1.5, 2.5], [1, None], [-1, 0]])
def test_another_column_without_a_name_is_refused_with_the_way_out(made, cells):
    text = refusal(made(pd.DataFrame({"": cells, "input": ["a", "b"]})))
    assert "column 1" in text
    assert "Name it there, or drop it" in text
    assert "column 2" in refusal(made(pd.DataFrame({"input": ["a", "b"], "": cells})))


def test_a_column_without_a_name_and_content_is_left_out(made, said):
    if made.kind == "xlsx":
        pytest.skip("cells at the right end of a sheet with nothing in them are no column")
    (example,) = load(made(pd.DataFrame({"input": ["a"], "": [None]})))
    assert example.metadata == {}
    assert "1 column without a name and content" in said()[0]


# --- the index of a DataFrame -----------------------------------------------------------------


@pytest.mark.parametrize("index", [[101, 102], ["a", "b"], pd.RangeIndex(2)])
@pytest.mark.parametrize("name", ["id", "example_id"])
def test_an_index_with_a_name_counts_as_in_its_files(tmp_path, index, name):
    frame = pd.DataFrame({"input": ["x", "y"]}, index=pd.Index(index, name=name))
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    for source in (frame, tmp_path / "a.csv", tmp_path / "a.parquet", pa.Table.from_pandas(frame)):
        assert [(example.id, example.metadata) for example in load(source)] == [(str(each), {}) for each in index]


def test_an_index_of_span_ids_and_an_id_key_that_names_the_index():
    frame = pd.DataFrame({"input": ["x"]}, index=pd.Index(["ab" * 8], name="context.span_id"))
    assert load(frame)[0].span_id == "ab" * 8
    assert load(frame, id_key="context.span_id", span_id_key="context.span_id", input_keys="input")[0].id == "ab" * 8
    levels = pd.MultiIndex.from_tuples([("a", 1)], names=["id", "n"])
    (example,) = load(pd.DataFrame({"input": ["x"]}, index=levels))
    assert (example.id, example.metadata) == ("a", {"n": 1})


def test_an_index_without_a_name_and_one_that_is_a_column_too_do_not_count():
    assert load(pd.DataFrame({"input": ["x"]}, index=["a"]))[0].metadata == {}
    assert load(pd.DataFrame({"input": ["x"], "id": ["b"]}, index=pd.Index(["a"], name="id")))[0].id == "b"


# --- ids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [[101, 102, None], [101.0, 102.0, 103.0], [101, 102, 103], ["a", "b", None]])
def test_ids_and_splits_are_the_same_from_every_source(made, cells):
    frame = pd.DataFrame({"id": cells, "input": ["a", "b", "c"], "split": cells})
    wanted = [None if cell is None else str(cell).removesuffix(".0") for cell in cells]
    examples = load(made(frame))
    assert [example.splits for example in examples] == [() if cell is None else (cell,) for cell in wanted]
    ids = [example.id for example in examples]
    made_up = load([{"input": "c"}])[0].id
    assert ids == [made_up if cell is None else cell for cell in wanted]


def test_ids_made_of_content_are_the_same_from_every_source(made):
    frame = pd.DataFrame(
        {"input": ["a", "b", "a", "c"], "n": [1, 2, 3, 4], "f": [0.5, 1.5, 2.5, 3.5], "ok": [True, False, True, False]}
    )
    keys = {"input_keys": ["input", "n", "f"], "output_keys": ["ok"]}
    assert [e.id for e in load(made(frame), **keys)] == [e.id for e in load(frame.to_dict("records"), **keys)]


def test_a_nul_in_an_id_or_a_split_is_refused():
    for column in ("id", "split"):
        source = pd.DataFrame({"input": ["a"], column: ["x\0"]})
        assert "NUL" in refusal(source)
        assert "NUL" in refusal(pa.Table.from_pandas(source))


# --- types ------------------------------------------------------------------------------------

CSV = 'input,n,ok,what,text\na, 5 ,TRUE,"{""x"": [1]}",007\nb,-1.5e3,false,"""t""",\nc,,,,x\n'


def test_types_are_what_the_caller_says(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    types = {"n": "number", "ok": "bool", " what": "json", "text": "text"}
    first, second, third = (example.metadata for example in load(tmp_path / "a.csv", types=types))
    assert first == {"n": 5, "ok": True, "what": {"x": [1]}, "text": "007"}
    assert second == {"n": -1500.0, "ok": False, "what": "t", "text": ""}
    assert third == {"n": None, "ok": None, "what": None, "text": "x"}
    assert type(first["n"]) is int
    assert load(tmp_path / "a.csv")[0].metadata == {"n": " 5 ", "ok": "TRUE", "what": '{"x": [1]}', "text": "007"}


@pytest.mark.parametrize(
    ("kind", "cells", "advice"),
    [
        (
            "number",
            ["x", "1_000", "1,5", "nan", "inf", "1e999", "0x10", "٣", "True"],
            "Write it as 1234.5, leave empty what is missing, or leave the column as text",
        ),
        ("number", ["18446744073709551616"], "It is beyond 64 bits and would lose digits; leave the column as text"),
        ("bool", ["yes", "1"], "Write true or false, in upper or lower case, or leave the column as text"),
        (
            "json",
            ["{", "NaN", "text", '{"a":1,"a":2}', "123456789012345678901234567890"],
            ". Leave empty what is missing, or leave the column as text",
        ),
    ],
)
def test_a_cell_that_its_type_cannot_hold_is_refused_with_row_and_value(tmp_path, kind, cells, advice):
    for cell in cells:
        pd.DataFrame({"input": ["a", None, "b"], "v": [None, None, cell]}).to_csv(tmp_path / "a.csv", index=False)
        text = refusal(tmp_path / "a.csv", types={"v": kind})
        assert text.startswith(f"{tmp_path / 'a.csv'}: column 'v', row 3: {cell!r:.40}")
        assert text.endswith(advice)


def test_types_that_there_are_not_and_columns_that_there_are_not(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    assert "did you mean 'number'" in refusal(tmp_path / "a.csv", types={"n": "numbre"})
    assert "did you mean 'input'" in refusal(tmp_path / "a.csv", types={"inptu": "json"})
    assert "types must map" in refusal(tmp_path / "a.csv", types=["n"])


def test_types_hold_for_the_texts_of_every_source(made):
    frame = pd.DataFrame({"input": ["a", "b"], "n": ["5", "0.5"], "ok": ["true", "False"], "j": ["[1]", '{"a":2}']})
    first, second = load(made(frame), types={"n": "number", "ok": "bool", "j": "json"})
    assert first.metadata == {"n": 5, "ok": True, "j": [1]}
    assert second.metadata == {"n": 0.5, "ok": False, "j": {"a": 2}}


def test_cells_that_are_no_text_have_to_be_of_the_type_and_can_become_text():
    rows = [{"input": "a", "v": 5}, {"input": "b", "v": 0.5}]
    assert [example.metadata["v"] for example in load(rows, types={"v": "number"})] == [5, 0.5]
    assert [example.metadata["v"] for example in load(rows, types={"v": "text"})] == ["5", "0.5"]
    assert [example.metadata["v"] for example in load(rows, types={"v": "json"})] == [5, 0.5]
    assert "row 1: 5 is no truth value" in refusal(rows, types={"v": "bool"})
    assert "row 1: True is no number" in refusal([{"input": 1, "v": True}], types={"v": "number"})
    assert "row 1: [1] is no text" in refusal([{"input": 1, "v": [1]}], types={"v": "text"})
    frame = pd.DataFrame({"input": ["a", "b"], "v": [1.5, None]})
    assert [example.metadata["v"] for example in load(frame, types={"v": "number"})] == [1.5, None]


def test_examples_have_no_columns():
    from prefect_experiments.models import Example

    assert "types=" in refusal([Example(input=1)], types={"input": "number"})


# --- Arrow ------------------------------------------------------------------------------------


def test_arrow_types_come_out_as_values():
    columns = {
        "input": pa.array(["a", "b"], pa.large_string()),
        "view": pa.array(["a", None], pa.string_view()),
        "category": pa.array(["x", "y"]).dictionary_encode(),
        "list": pa.array([[1], [2, None]]),
        "struct": pa.array([{"k": [1]}, None]),
        "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        "when": pa.array([datetime.datetime(2024, 1, 2, 3), None], pa.timestamp("us")),
        "zoned": pa.array([datetime.datetime(2024, 1, 2, 3), None], pa.timestamp("us", "UTC")),
        "day": pa.array([datetime.date(2024, 1, 2), None]),
        "null": pa.nulls(2),
        "small": pa.array([1, None], pa.uint8()),
    }
    table = pa.table(columns)
    first, second = load(table)
    assert first.input == "a"
    assert first.metadata == {
        "view": "a",
        "category": "x",
        "list": [1],
        "struct": {"k": [1]},
        "map": {"k": 1},
        "when": "2024-01-02T03:00:00",
        "zoned": "2024-01-02T03:00:00+00:00",
        "day": "2024-01-02",
        "null": None,
        "small": 1,
    }
    assert second.metadata["map"] == {}
    assert second.metadata["struct"] is None
    for source in (table.to_reader(), table.to_batches()[0], _Stream(table)):
        assert load(source) == (first, second)


class _Stream:
    """Speaks Arrow, and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class _Broken(_Stream):
    """Speaks it no longer."""

    def __arrow_c_stream__(self, requested_schema=None):
        raise OSError("the connection is closed")


def test_arrow_that_is_refused():
    assert "bytes" in refusal(pa.table({"input": ["a"], "v": [b"x"]}))
    assert "several columns" in refusal(pa.table([["a"], ["b"]], names=["input", "input"]))
    assert "ChunkedArray" in refusal(pa.chunked_array([["a"]]))
    assert "Series" in refusal(pd.Series(["a"]))
    assert "no rows" in refusal(pa.table({"input": pa.array([], pa.string())}))
    assert refusal(_Broken(pa.table({}))) == (
        "_Broken: it cannot be read as an Arrow table (OSError). Give a table with named columns of text, numbers, "
        "truth values, lists or objects"
    )


def test_an_object_column_of_pandas_does_not_go_through_arrow():
    frame = pd.DataFrame({"input": pd.Series(["a", 1, {"k": [1]}], dtype=object)})
    assert [example.input for example in load(frame)] == ["a", 1, {"k": [1]}]


def test_json_of_arrow_is_read_and_text_that_looks_like_it_is_not(tmp_path):
    if not hasattr(pa, "json_"):
        pytest.skip("this pyarrow has no JSON type")
    storage = pa.array(['{"a": 1}', None])
    table = pa.table({"input": ["x", "y"], "j": pa.ExtensionArray.from_storage(pa.json_(), storage), "t": storage})
    pq.write_table(table, tmp_path / "a.parquet")
    for source in (table, tmp_path / "a.parquet"):
        assert load(source)[0].metadata == {"j": {"a": 1}, "t": '{"a": 1}'}


def test_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"id": [101, 102, None], "input": ["a", " ", "c"], "c": ["x", "y", "x"], "l": [[1], [], None]})
    first, second, third = load(frame.with_columns(pl.col("c").cast(pl.Categorical)))
    assert (first.id, first.metadata) == ("101", {"c": "x", "l": [1]})
    assert second.metadata["l"] == []
    assert third.id.startswith("ex-")
    assert "Give what its collect() gives" in refusal(frame.lazy())
    assert "Series" in refusal(frame["input"])


# --- other things that are no table -----------------------------------------------------------


def test_mappings_say_what_to_do():
    assert "put it into a list" in refusal({"input": "a"})
    said = refusal({"input": ["a"], "expected": ["b"]})
    assert "give a DataFrame, an Arrow table, a list of mappings" in said
    assert "which looks like columns. pandas.DataFrame(...) makes" in said
    tables = {name: pd.DataFrame({"input": [1]}) for name in ("test", "train")}
    assert "which holds several tables. Give one of them: 'test', 'train'" in refusal(tables)


# --- workbooks --------------------------------------------------------------------------------


def test_workbooks(tmp_path, said):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [[], [None, "input", "expected", "when"], [None, "a", 5, datetime.datetime(2024, 1, 2)], [], []]:
        sheet.append(row)
    sheet.append([None, "b", 2.5, None])
    sheet["H9"].font = openpyxl.styles.Font(bold=True)
    book.create_sheet("notes").append(["x"])
    book.save(tmp_path / "a.xlsx")
    table = read_table(tmp_path / "a.xlsx")
    assert table.columns == {
        "input": ["a", "b"],
        "expected": [5, 2.5],
        "when": [datetime.datetime(2024, 1, 2), None],
    }
    assert list(table.numbers) == [1, 4]
    (line,) = said()
    assert "2 rows with nothing in them" in line
    assert "the sheets 'notes' (only the first one, 'Sheet', is read)" in line


def test_workbooks_that_are_refused(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.save(tmp_path / "a.xlsx")
    assert "no rows; the first sheet, 'Sheet', is blank" in refusal(tmp_path / "a.xlsx")
    book.active.append(["input", "expected"])
    book.save(tmp_path / "a.xlsx")
    assert "no rows; there is only a header in the first sheet, 'Sheet'" in refusal(tmp_path / "a.xlsx")
    book.active.append(["a", "=1+1"])
    book.save(tmp_path / "a.xlsx")
    assert "row 2 of the sheet, column 2 is a formula without a value" in refusal(tmp_path / "a.xlsx")
    (tmp_path / "a.xlsx").write_text("input\na\n")
    assert "not an .xlsx workbook" in refusal(tmp_path / "a.xlsx")


def test_merged_cells_are_refused_with_the_way_out(tmp_path):
    """Of those only the first holds a value: what pandas merges of an index would be missing from the other rows."""
    pytest.importorskip("openpyxl")
    levels = pd.MultiIndex.from_tuples([("geo", 1), ("geo", 2)], names=["topic", "n"])
    frame = pd.DataFrame({"input": ["a", "b"]}, index=levels)
    frame.to_excel(tmp_path / "a.xlsx")
    assert "cells A2:A3 of the first sheet are merged" in refusal(tmp_path / "a.xlsx")
    frame.to_excel(tmp_path / "a.xlsx", merge_cells=False)
    assert [example.metadata["topic"] for example in load(tmp_path / "a.xlsx")] == ["geo", "geo"]


@pytest.mark.parametrize("error", ["#N/A", "#DIV/0!", "#REF!"])
def test_an_error_of_a_spreadsheet_is_no_text(tmp_path, error):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["input", "expected"], ["a", "x"], ["b", error]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert f"row 3 of the sheet, column 2 is the error {error}" in refusal(tmp_path / "a.xlsx")


@pytest.mark.parametrize(
    ("package", "extra", "source", "instead"),
    [
        ("openpyxl", "xlsx", "a.xlsx", "save the sheet as .csv"),
        ("pyarrow", "parquet", "a.parquet", "save the table as .csv or .jsonl"),
        ("pyarrow", "parquet", "a frame of polars", "give its rows as a list of mappings (polars: to_dicts())"),
    ],
)
def test_without_an_extra_the_command_is_said(tmp_path, monkeypatch, package, extra, source, instead):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / source).write_text("x")
    given = pl.DataFrame({"input": ["a"]}) if source == "a frame of polars" else tmp_path / source
    said = refusal(given)
    assert f"needs {package}: pip install 'prefect-experiments[{extra}]', or {instead}" in said
    assert ("reading what speaks Arrow" in said) == (source == "a frame of polars")
    assert "\n" not in said


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
import pandas as pd
from prefect_experiments.datasets import read_table
frame = pd.DataFrame({"input": ["a", None], "n": [1, 2]})
for dtype in (frame["input"].dtype, "object", "string", "category"):
    rows = list(read_table(frame.astype({"input": dtype})).records())
    assert rows == [{"input": "a", "n": 1}, {"input": None, "n": 2}], dtype
frame.to_csv("a.csv", index=False)
frame.to_json("a.json", orient="records")
assert read_table("a.json").columns["input"] == ["a", None]
assert read_table("a.csv").columns["n"] == ["1", "2"]
"""


@pytest.mark.thorough
def test_what_is_no_parquet_needs_no_pyarrow(tmp_path):
    subprocess.run([sys.executable, "-c", WITHOUT_PYARROW], check=True, cwd=tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_many_rows_are_work_in_proportion(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    rows = [
        {"id": f"r{n}", "input": f"what is {n}?", "expected": str(n)}
        for n in random.Random(0).sample(range(10**6), 20_000)
    ]

    def read(count):
        if suffix == ".csv":
            pd.DataFrame(rows[:count]).to_csv(path, index=False)
        else:
            text = json.dumps(rows[:count]) if suffix == ".json" else "\n".join(map(json.dumps, rows[:count]))
            path.write_text(text)
        assert read_table(path).rows == count

    assert_in_proportion(read, 2000)
