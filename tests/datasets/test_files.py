import csv
import errno
import json
import os
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.datasets import csv_text, is_path, read_rows
from prefect_experiments.datasets.files import is_directory
from prefect_experiments.datasets.text_file import whole_text
from prefect_experiments.errors import InvalidDataset


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def refusal(path) -> str:
    with pytest.raises(InvalidDataset) as caught:
        read_rows(path)
    return str(caught.value)


# --- any file ---------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = refusal("data/qa.csv")
    assert "data/qa.csv" in text
    assert str(tmp_path) in text


def test_a_directory_and_an_empty_file(tmp_path, write):
    (tmp_path / "x.csv").mkdir()
    assert "directory" in refusal(tmp_path / "x.csv")
    assert "is empty" in refusal(write("e.jsonl", ""))


def test_names_that_cannot_be_files():
    assert f"cannot be read: {os.strerror(errno.ENAMETOOLONG)} " in refusal("x" * 5000 + ".csv")
    assert "no file" in refusal("a\0b.csv")


def test_an_unknown_suffix_lists_the_known_ones(write):
    text = refusal(write("qa.cvs", "a\n1\n"))
    assert "did you mean '.csv'" in text
    assert ".parquet" in text
    assert text.endswith(". Unpack it, convert it, or rename it to what it holds")


def test_a_folder_is_no_text(tmp_path):
    with pytest.raises(InvalidDataset) as refused:
        whole_text(tmp_path)
    assert str(refused.value) == f"{tmp_path} cannot be read: {os.strerror(errno.EISDIR)}"


def test_the_suffix_is_read_in_any_case(write):
    assert read_rows(write("QA.CSV", "a\n1\n")) == [{"a": "1"}]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(write):
    path = write("a.csv", "a\n1\n")
    path.chmod(0)
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl"])
def test_text_that_is_not_utf8_is_told_by_its_byte(write, name):
    text = refusal(write(name, b'\xef\xbb\xbf["caf\xe9"]'))
    assert "byte 8" in text
    assert "iconv -f WINDOWS-1252" in text
    assert "UTF-16" in refusal(write(name, "a\n1\n".encode("utf-16")))


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "q\nx\n"), ("a.json", '[{"q":"x"}]'), ("a.jsonl", '{"q":"x"}')]
)
def test_a_byte_order_mark_is_not_content(write, name, content):
    assert read_rows(write(name, b"\xef\xbb\xbf" + content.encode())) == [{"q": "x"}]


@pytest.mark.parametrize("source", ["a.csv", "a.tsv", "dir/a.JSON", "a.jsonl", "a.ndjson", "a.parquet", "a.xlsx"])
def test_a_known_suffix_means_a_file(source):
    assert is_path(source)


def test_a_name_means_a_file_only_where_there_is_one(write, tmp_path):
    assert is_path(str(write("notes.txt", "x")))
    assert not is_path(str(tmp_path))
    for name in ("gsm8k", "v1.2", "", "x" * 5000, "a\0b"):
        assert not is_path(name)
        assert not is_directory(name or "nothing")
    assert is_directory(str(tmp_path))


# --- CSV --------------------------------------------------------------------------------------


def test_quoted_fields_keep_commas_quotes_and_line_ends(write):
    content = 'q,a\r\n"1, ""one""","x\r\ny"\r\n\r\nz,\r\n'
    assert read_rows(write("a.csv", content)) == [{"q": '1, "one"', "a": "x\r\ny"}, {"q": "z", "a": ""}]


CELLS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["True", "False", "", "1", "0.5", "007", " 5 ", "NA", "nan", "1e5", '{"a":1}', "null"]),
)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
def test_every_cell_is_the_text_that_stands_there(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("a", "b", "c"), *(("x", *record) for record in records)])
    assert [tuple(row.values())[1:] for row in read_rows(path)] == records


@pytest.mark.parametrize(
    "content",
    [
        "q;a\n1,5;x\n",
        "q\ta\n1,5\tx\n",
        "q|a\n1,5|x\n",
        'q,a\n"1,5",x\n',
        "sep=;\r\nq;a\r\n1,5;x\r\n",
        '"sep=;"\nq;a\n1,5;x\n',
        "\ufeffsep=\t\nq\ta\n1,5\tx\n",
        "\ufeff q ; a \n1,5;x\n",
        'q,a\r"1,5",x\r',
        "\r\n;\r\nq;a\r\n1,5;x\r\n",
    ],
)
def test_the_separator_is_told_from_the_header(write, content):
    assert read_rows(write("a.csv", content)) == [{"q": "1,5", "a": "x"}]


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("q,a;b\n1,x;y\n", {"q": "1", "a;b": "x;y"}),
        ("q, in words|a\n1,5|x\n", {"q": "1", "in words|a": "5|x"}),
        ("q,a;b;c\n1,x;y\n", {"q": "1", "a;b;c": "x;y"}),
        ("q\na;b\n", {"q": "a;b"}),
        ("q, in words;a\n1,5,2;x\n", {"q, in words": "1,5,2", "a": "x"}),
    ],
)
def test_a_separator_has_to_divide_every_row_and_the_comma_comes_first(write, content, row):
    assert read_rows(write("a.csv", content)) == [row]


def test_tsv_is_divided_by_tabs_alone(write):
    assert read_rows(write("a.tsv", 'q,r\ta\n1,5\t"x\ty"\n')) == [{"q,r": "1,5", "a": "x\ty"}]


def test_a_million_characters_in_a_cell_and_the_limit_put_back(write):
    before = csv.field_size_limit()
    path = write("a.csv", f"q,a\n{'x' * 1_000_000},1\n")
    threads = [threading.Thread(target=read_rows, args=(path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert len(read_rows(path)[0]["q"]) == 1_000_000
    for thread in threads:
        thread.join()
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("own", [1, 500, 5_000_000])
def test_whatever_limit_is_set_cells_are_as_long_as_the_file_and_the_limit_is_put_back(write, own):
    path, broken = write("a.csv", f"q\n{'x' * 1000}\n"), write("b.csv", f'q\n{"x" * 1000}\n"x')
    before = csv.field_size_limit(own)
    try:
        assert read_rows(path) == [{"q": "x" * 1000}]
        with pytest.raises(InvalidDataset):
            read_rows(broken)
        assert csv.field_size_limit() == own
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(("size", "own", "limit"), [(10, 20, 20), (30, 20, 30), (2**31, 20, 2**31 - 1)])
def test_cells_are_never_longer_than_any_system_can_have_them(size, own, limit):
    """The csv module refuses a limit that is no int of C, and some are 32 bits wide."""
    before = csv.field_size_limit(own)
    try:
        with csv_text._field_limit(size):
            assert csv.field_size_limit() == limit
        assert csv.field_size_limit() == own
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n\n1,2,3\n", ["line 4", "3 fields", "2"]),
        ('a,b\n"x\ny",1\n"z\nz"\n', ["line 4", "1 field where"]),
        ("a,,c\n1,2,3\n", ["column 2", "index=False"]),
        (",a\nx,2\ny,3\n", ["column 1", "no name"]),
        (",a\n1,2\n1,3\n", ["column 1", "no name"]),
        (",,a\n1,x,2\n2,y,3\n", ["column 2", "no name"]),
        ("a,b,a\n1,2,3\n", ["several columns", "'a'"]),
        ("a,b, a \n1,2,3\n", ["several columns", "'a'"]),
        ("a;b\n1;2\n1;2;3\n", ["line 3", "3 fields", "Quote the fields that hold semicolons"]),
        ("sep=;\na;b\n1;2;3\n", ["line 3", "3 fields", "semicolons"]),
        ("a,b\n,\n , \n", ["no rows", "empty"]),
        ('a,b\n1,"2\n3,4\n', ["line 2", "quote"]),
        ('a,b\n1,"2"x\n', ["line 2"]),
        ("a,b\n1,\0\n", ["line 2", "NUL"]),
        ("a,b\n", ["no rows", "write a header above it"]),
        ("\n\n", ["no rows; the file is blank"]),
        # As R's write.table has it, below a title, and with fields that are too few.
        ('"a","b"\n"r1",1,2\n"r2",3,4\n', ["line 2", "header, line 1,", "give each column a name in the header"]),
        (
            "About sums\n\nUnits\nq,a\n1,2\n",
            ["line 4 has 2 fields", "line 1,", "if the header stands further down, delete what is above it"],
        ),
        ("About sums\nq,a\n1,2\n", ["line 2 has 2 fields", "delete what is above it"]),
        ("About,sums\nUnits\nq,a\n1,2\n", ["line 2 has 1 field ", "delete what is above it"]),
        ("About sums,,\n,,\nq,a,n\n1,2,3\n", ["column 2, 3", "a title", "delete what is above that"]),
        ("a,b\n1,2\n3\n", ["line 3 has 1 field ", "Write the commas of its empty fields too"]),
        ('a,b\n1,"x \\"y\\" z"\n', ["line 2", 'A quote inside a quoted field is written twice (""), not as']),
        ('a,b\n1,"2" ,3\n', ["line 2", "a space say"]),
        ('"a" "b"\n1 2\n', ["line 1", "closing quote and the next comma"]),
    ],
)
def test_csv_that_is_refused(write, content, said):
    text = refusal(write("bad.csv", content))
    assert "bad.csv" in text
    for part in said:
        assert part in text


# --- JSON -------------------------------------------------------------------------------------


def test_json_lists_and_examples(write):
    rows = [{"input": "q", "output": 1.5}, {"input": "r"}]
    assert read_rows(write("a.json", json.dumps(rows))) == rows
    assert read_rows(write("b.json", json.dumps({"name": "x", "examples": rows}))) == rows
    assert read_rows(write("c.json", json.dumps({"data": rows, "version": 2}))) == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('"x"', ["expected a list of objects, got a text"]),
        ("3", ["a number"]),
        ("null", ["null"]),
        ('{"rows": [], "n": 1}', ["'rows', 'n'", "examples"]),
        ('{"examples": {"a": 1}}', ["an object"]),
        (
            '{"input": "q", "expected": "a"}',
            ["'input', 'expected'", "If this object is the only row, put [ and ] around it"],
        ),
        ('{"input": {"q": "x"}}', ["only row", "[ and ]"]),
        ('{"input": "q", "data": [{"a": 1}]}', ["only row", "[ and ]"]),
        ('{"q": ["x", "y"], "a": [1, 2]}', ["'q', 'a'", "orient='records'"]),
        (
            '{"columns": ["q"], "index": [0], "data": [["x"]]}',
            ["this is what pandas writes with orient='split'", "orient='records'"],
        ),
        ('{"examples": [{"q": 1}], "data": [{"q": 1}]}', ["both 'examples' and 'data' hold a list"]),
        ('{"data": [[1], [2]]}', ["'data'", "list of objects"]),
        ('[{"a": 1},\n {"b": 2, "b": 3}]', ["line 2", "'b'", "twice"]),
        ('[{"a": 1},\n {"b": {\n"c": 1, "c": 1}}]', ["line 2", "'c'", "twice"]),
        ("[\n" * 150 + "NaN" + "]" * 150, ["line 150, at [0][0]", "…: NaN is not JSON"]),
        ("[\n" * 400 + "NaN" + "]" * 400, [": at [0][0]", "…: NaN is not JSON"]),
        ('[{"a": 1e999}]', ["line 1", "a number is too large to be one. Write it as text"]),
        ("[" * 5000, ["nested"]),
        ("[\n" + "[1],\n" * 2000 + "[" * 5000, ["line 2002, column 254: nested too deep"]),
        ('[{"a": 1}, [2]]', ["row 2", "a list"]),
        ('[{"a": 1}, true]', ["row 2", "a bool"]),
        ('["q", "r"]', ["row 1", "a text", "a name for every column"]),
        ('{"version": 1, "goldens": [{"q": 1}], "n": [1]}', ["'goldens'", "write it alone into a file"]),
        ("[]", ["no rows"]),
        ('[{"a": 1},\n {"a": }]', ["line 2", "column 8"]),
        ('[{"a": 1},\n {"a": NaN}]', ["line 2", "NaN is not JSON", "null"]),
        ('[{"a": 1}, {"b": [-Infinity]}]', ["line 1, at [1]['b'][0]: -Infinity is not JSON"]),
        ('[{"a": {"b": 1, "b": 1}}]', ["line 1, at [0]['a']: the key 'b' stands twice"]),
        ('{"a": 1}\n{"a": 2}', ["line 2", "; one object a line is a .jsonl"]),
        (
            '{"runnable": "app:f", "entries": []}',
            ["dataset of pixie's", "prefect-experiments run FILE", "create_dataset(file="],
        ),
        ('[{"a": 123456789012345678901234567890}]', ["30 digits", "64 bits"]),
        ('[{"a": -9223372036854775809}]', ["64 bits"]),
    ],
)
def test_json_that_is_refused(write, content, said):
    text = refusal(write("bad.json", content))
    for part in ["bad.json", *said]:
        assert part in text


def test_long_integers_that_fit_and_digits_in_texts_are_fine(write):
    rows = [{"a": 2**64 - 1, "b": -(2**63), "c": "call 123456789012345678901234567890", "d": [1234567890123456789]}]
    assert read_rows(write("a.json", json.dumps(rows))) == rows


def test_jsonl_one_object_a_line(write):
    content = '{"q": "a\u2028b"}\r\n\n  \n{"q": 2}'
    assert read_rows(write("a.jsonl", content)) == [{"q": "a\u2028b"}, {"q": 2}]
    assert read_rows(write("a.ndjson", content)) == read_rows(write("a.jsonl", content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}\n\n{"a": \n', ["line 3"]),
        ('{"a": 1}\n[1]\n', ["line 2", "a list", "This suffix means one object a line", ".json"]),
        ('[{"a": 1}, {"a": 2}]\n', ["line 1", "a list", ".json"]),
        ('[\n{"a": 1},\n{"a": 2}\n]\n', ["lines 1 to 4 are a list", "A file that is one JSON list is a .json"]),
        (
            '{"a": 1}\n{\n  "a": 1\n}\n',
            ["lines 2 to 4 are an object", "Write each object on one line, for example with: jq"],
        ),
        ('{"a": 1}\n{"a": 2} {"a": 3}\n', ["two objects or more on line 2", "column 10"]),
        ('{"a": 1}\n{"a": 2}{"a": 3}{"a": 4}\n', ["two objects or more on line 2"]),
        ('{"a": 1},\n{"a": 2}\n', ["line 1 goes on after its object, at column 9, with ','"]),
        ('{"a": 1}\n{"a": 2, "b": 1, "a": 3}\n', ["line 2", "'a'", "twice"]),
        ('{"a": 1}\n{"a": NaN}\n', ["line 2", "NaN is not JSON"]),
        ('{"a": 1}\n{"a": 123456789012345678901234567890}\n', ["64 bits"]),
        (" \n\n", ["no rows; every line is blank"]),
    ],
)
def test_jsonl_that_is_refused(write, content, said):
    text = refusal(write("bad.jsonl", content))
    for part in ["bad.jsonl", *said]:
        assert part in text


def test_messages_do_not_hold_what_the_file_holds(write):
    assert "private" not in refusal(write("bad.json", '[{"a": "private",}]'))
    assert "private" not in refusal(write("bad.csv", "a,b\nprivate\n"))


# --- Parquet ----------------------------------------------------------------------------------


def test_parquet_values_lists_and_objects(tmp_path):
    rows = [{"q": "a", "n": 1, "tags": ["x"], "meta": {"k": 1}}, {"q": None, "n": 2, "tags": [], "meta": {"k": 2}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet") == rows


def test_parquet_from_pandas_has_no_index_column_and_no_folder_column(tmp_path):
    pd = pytest.importorskip("pandas")
    folder = tmp_path / "day=3"
    folder.mkdir()
    pd.DataFrame({"q": [1, 2]}, index=["x", "y"]).to_parquet(folder / "a.parquet")
    assert read_rows(folder / "a.parquet") == [{"q": 1}, {"q": 2}]


def test_parquet_that_is_refused(tmp_path, write):
    assert "not a Parquet file" in refusal(write("a.parquet", b"PAR1 nonsense"))
    good = tmp_path / "b.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), good)
    content = bytearray(good.read_bytes())
    content[10:60] = b"\xff" * 50
    assert "not a Parquet file" in refusal(write("c.parquet", bytes(content)))
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), good)
    assert "no rows" in refusal(good)
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), good)
    assert "'a'" in refusal(good)
