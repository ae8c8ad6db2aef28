"""What is said of a file that is refused: the whole sentence, with the place where it begins to be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_experiments.datasets import read_rows, read_table
from prefect_experiments.errors import InvalidDataset

FURTHER_DOWN = "f the header stands further down, delete what is above it"
NAME_EACH = f"If every row is so long, give each column a name in the header; i{FURTHER_DOWN}"
NOT_CLOSED = (
    "Look for a quote that is not closed or, inside a quoted field, not written twice, and for what stands between a "
    "closing quote and the next semicolon, a space say"
)
CSV = [
    ('sep=;\nq;a\n1;"2\n3;4\n', f"the record that begins on line 3 is not CSV: unexpected end of data. {NOT_CLOSED}"),
    ('a;b\n1;2\n1;"2"x\n', f"the record that begins on line 3 is not CSV: ';' expected after '\"'. {NOT_CLOSED}"),
    (
        "sep=;\nq;a\n\n1;2;3\n",
        "line 4 has 3 fields where the header, line 2, has 2 (separated by semicolons). Quote the fields that hold "
        f"semicolons. {NAME_EACH}",
    ),
    (
        "a\n1\n2,3\n",
        "line 3 has 2 fields where the header, line 1, has 1 (separated by commas). Quote the fields that hold commas. "
        f"{NAME_EACH}",
    ),
    (
        "a,b\n1,2\n1,2,3\n",
        "line 3 has 3 fields where the header, line 1, has 2 (separated by commas). Quote the fields that hold commas",
    ),
    (
        'a,b\n1,2\n"x\ny"\n',
        "line 3 has 1 field where the header, line 1, has 2 (separated by commas). Write the commas of its empty "
        "fields too, and quote fields that hold line ends",
    ),
    (
        "a\tb\n1\n",
        "line 2 has 1 field where the header, line 1, has 2 (separated by tabs). Write the tabs of its empty fields "
        f"too, and quote fields that hold line ends. I{FURTHER_DOWN}",
    ),
    (
        "sep=a\nqa1\nxay\nz\n",
        "line 4 has 1 field where the header, line 2, has 2 (separated by 'a's). Write the 'a's of its empty fields "
        "too, and quote fields that hold line ends",
    ),
    ("sep=,\n", "no rows; the file is blank"),
    ("a,b\n\n\n", "no rows; there is only a header (is it a row? Then write a header above it)"),
    (
        "a,b\n1,2,\n",
        f"line 2 has 3 fields where the header, line 1, has 2 (separated by commas). Quote the fields that hold "
        f"commas. {NAME_EACH}",
    ),
]

ONE_A_LINE = "This suffix means one object a line"
A_LIST = f"{ONE_A_LINE}; a file that is one JSON list is a .json"
JSONL = [
    ('1 {"a": 1}\n', "line 1, column 3: not JSON: Extra data"),
    (
        '[1] {"a": 2}\n',
        f"there are two objects or more on line 1: the second begins at column 5. {ONE_A_LINE}",
    ),
    ('{"a": 1} 2\n', f"line 1 goes on after its object, at column 10, with '2'. {ONE_A_LINE}"),
    ('{"a": 1}\n"x"\n', f"line 2 is a text, not an object. {A_LIST}"),
    ('{"a": 1}\n3\n', f"line 2 is a number, not an object. {A_LIST}"),
    ('{"a": 1}\ntrue\n', f"line 2 is a bool, not an object. {A_LIST}"),
    ('{"a": 1}\nnull\n', f"line 2 is null, not an object. {A_LIST}"),
    (
        '{"a": 1}\n{\n"b": 2}\n{\n',
        f"lines 2 to 3 are an object. {ONE_A_LINE}. Write each object on one line, for example with: jq -c .",
    ),
    (
        '[1,\n2]\n{"a":1}',
        f"lines 1 to 2 are a list. {ONE_A_LINE}. A file that is one JSON list is a .json",
    ),
    ('{"a": 1}\n{"b": [1,\n', "line 2, column 10: not JSON: Expecting value"),
    ('"x\ny"\n', "line 1, column 1: not JSON: Unterminated string starting at"),
    (
        '{"a": 1}\n{"a": {"b": 1, "b": 2}}\n',
        "line 2, at ['a']: the key 'b' stands twice in one object. Leave one of them",
    ),
]

NO_ROWS_HERE = (
    "expected a list of objects, or an object with such a list under 'examples' or 'data'. If this object is the only "
    "row, put [ and ] around it. If its fields are columns: write a list with one object a row (with pandas, "
    "df.to_json(path, orient='records'))"
)
JSON = [
    ('[{"a": 1}] [2]', "line 1, column 12: not JSON: Extra data; one object a line is a .jsonl"),
    (
        '[{"a": 1}, 2]',
        'row 2 is a number, not an object. Write each row as one, with a name for every column: {"input": ...}',
    ),
    (
        '{"a": [1], "b": [{"c": 1}], "d": [{"e": 1}], "f": []}',
        "an object with the fields 'a', 'b', 'd', 'f'; expected a list of objects, or an object with such a list under "
        "'examples' or 'data'. If the rows are the list under 'b' or 'd', write it alone into a file",
    ),
    ('{"input": 1, "b": [{"c": 1}]}', f"an object with the fields 'input', 'b'; {NO_ROWS_HERE}"),
    ("{}", f"an object with the fields none; {NO_ROWS_HERE}"),
    ('{"columns": [1], "data": 2}', f"an object with the fields 'columns', 'data'; {NO_ROWS_HERE}"),
    ('{"runnable": 1}', f"an object with the fields 'runnable'; {NO_ROWS_HERE}"),
    ('{"data": [], "examples": {}}', "no rows; the list is empty"),
    (
        '[{"a": 18446744073709551616}]',
        "line 1, at [0]['a']: an integer of 20 digits is beyond 64 bits. Write it as text",
    ),
    (
        '[{"a":\n -9223372036854775809}]',
        "line 1, at [0]['a']: an integer of 19 digits is beyond 64 bits. Write it as text",
    ),
    ('[{"a": [1,\n {"b": 1e400}]}]', "line 2, at [0]['a'][1]['b']: a number is too large to be one. Write it as text"),
    (
        f'{{"{"x" * 70}": 1, "{"x" * 70}": 2}}',
        f"line 1: the key '{'x' * 59}…' stands twice in one object. Leave one of them",
    ),
]
CASES = [
    *((".csv", *case) for case in CSV),
    *((".jsonl", *case) for case in JSONL),
    *((".json", *case) for case in JSON),
]


@pytest.mark.parametrize(("suffix", "content", "said"), CASES)
def test_the_whole_sentence(tmp_path: Path, suffix: str, content: str, said: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text(content)
    with pytest.raises(InvalidDataset) as refused:
        read_rows(path)
    assert str(refused.value) == f"{path}: {said}"


@pytest.mark.parametrize("content", ['[{"a": 18446744073709551615, "b": -9223372036854775808}]'])
def test_integers_that_just_fit(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert read_rows(tmp_path / "a.json") == [{"a": 2**64 - 1, "b": -(2**63)}]


def test_blank_lines_are_counted_between_rows_and_not_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n\n\n3,4\n\n\n\n")
    assert list(read_table(path).numbers) == [1, 4]
    assert caplog.messages == [f"{path}: left out 2 rows with nothing in them."]
