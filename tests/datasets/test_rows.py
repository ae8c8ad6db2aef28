import collections
import datetime
import decimal
import itertools
import math
import types
import uuid

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.datasets import to_examples
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example
from support.work import assert_in_proportion

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)

SPELLINGS = [
    "output",
    "outputs",
    "expected",
    "expected_output",
    "expected_outputs",
    "reference",
    "reference_output",
    "reference_outputs",
    "ground_truth",
    "ideal",
    "target",
    "expectation",
    "expectations",
]
QA = [{"question": "2+2?", "answer": "4", "topic": "sums"}, {"question": "3+3?", "answer": "6", "topic": "sums"}]


def refusal(rows, **options) -> str:
    with pytest.raises(InvalidDataset) as caught:
        to_examples(rows, **options)
    return str(caught.value)


# --- with key columns -------------------------------------------------------------------------


def test_key_columns_make_objects_and_leave_the_rest_out():
    first, _ = to_examples(QA, input_keys=["question"], output_keys="answer")
    assert first.input == {"question": "2+2?"}
    assert first.output == {"answer": "4"}
    assert first.metadata == {}
    assert first.splits == ()


def test_metadata_keys_and_a_string_for_one_column():
    first, _ = to_examples(QA, input_keys="question", metadata_keys="topic")
    assert first.output is None
    assert first.metadata == {"topic": "sums"}


def test_keys_that_are_empty_count_as_not_given():
    (example,) = to_examples([{"input": 1}], input_keys=[], output_keys=(), metadata_keys=[])
    assert example.input == 1


def test_a_missing_column_is_named_with_its_row_and_the_nearest():
    text = refusal([QA[0], {"qestion": "?", "answer": "x"}], input_keys=["question"])
    assert "row 2" in text
    assert "input_keys" in text
    assert "'question'" in text
    assert "did you mean 'qestion'" in text
    assert "answer" in text


def test_a_row_that_makes_up_missing_columns_has_them_not():
    text = refusal([QA[0], collections.defaultdict(str, answer="4")], input_keys=["question"])
    assert "row 2, input_keys: it has no 'question', which other rows have. Its columns: answer. Add it" in text


def test_a_column_that_no_row_has_is_named_with_those_there_are():
    rows = [{"input": 1, **{f"c{number}": number for number in range(200)}}]
    text = refusal(rows, input_keys=["input"], metadata_keys=["c1999"])
    assert text.startswith("examples: metadata_keys: unknown column 'c1999'; did you mean 'c199'? Known: c199,")
    assert text.endswith(", …")
    assert len(text) < 300


def test_one_column_as_input_and_output_is_refused():
    text = refusal(QA, input_keys=["question"], output_keys=["question", "answer"])
    assert "column 'question' is in both input_keys and output_keys: the task would see its expected output" in text


@pytest.mark.parametrize("keys", [{"output_keys": ["answer"]}, {"metadata_keys": ["topic"]}])
def test_other_keys_without_input_keys_are_refused(keys):
    assert f"{next(iter(keys))} is given without input_keys. Give input_keys=[...] as well" in refusal(QA, **keys)


def test_read_only_rows_and_numbered_columns():
    (example,) = to_examples([types.MappingProxyType({0: "q", 1: "a"})], input_keys=["0"], output_keys=["1"])
    assert (example.input, example.output) == ({"0": "q"}, {"1": "a"})


def test_columns_that_are_one_as_text_are_refused():
    text = refusal([{1: "a", "1": "b", "input": 0}])
    assert text.endswith("two columns have the same name once their names are text. Rename one of them")


# --- by their usual names ---------------------------------------------------------------------


@given(JSON, JSON, st.dictionaries(st.text(), JSON, max_size=3))
def test_any_json_comes_through_unchanged(input_, output, metadata):
    (example,) = to_examples([{"input": input_, "output": output, "metadata": metadata}])
    assert (example.input, example.output, example.metadata) == (input_, output, metadata)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_spellings_of_the_expected_output(spelling):
    (example,) = to_examples([{"input": "q", spelling: "a"}])
    assert (example.output, example.metadata) == ("a", {})


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(SPELLINGS, 2)))
def test_of_two_that_could_be_the_truth_none_is_taken(one, other):
    for rows in (
        [{"input": "q", one: "a", other: "b"}],
        [{"input": "q", one: "a"}, {"input": "r", other: "b"}],
        [{"input": "q", one: "a", other: None}],
    ):
        text = refusal(rows)
        assert f"{one!r} and {other!r}" in text
        assert "output_keys=" in text
        assert "Rename" in text
    (example,) = to_examples([{"input": "q", one: "a", other: "b"}], input_keys="input", output_keys=[one])
    assert (example.output, example.metadata) == ({one: "a"}, {})


def test_inputs_is_the_input_and_both_spellings_are_refused():
    (example,) = to_examples([{"inputs": {"q": 1}, "outputs": {"a": 2}, "topic": "t"}])
    assert (example.input, example.output, example.metadata) == ({"q": 1}, {"a": 2}, {"topic": "t"})
    assert "'input' and 'inputs'" in refusal([{"inputs": 1, "input": 2}])


def test_a_row_without_the_input_that_others_have():
    assert "row 2, it has no 'input'" in refusal([{"input": 1}, {"question": 1}])


def test_further_columns_join_the_metadata():
    (example,) = to_examples([{"input": "q", "metadata": {"lang": "en"}, "topic": "t"}])
    assert example.metadata == {"lang": "en", "topic": "t"}


def test_a_further_column_that_clashes_with_metadata_is_refused():
    assert "'topic'" in refusal([{"input": "q", "metadata": {"topic": "a"}, "topic": "b"}])


@pytest.mark.parametrize("metadata", [None, "", {}])
def test_no_metadata(metadata):
    (example,) = to_examples([{"input": "q", "metadata": metadata}])
    assert example.metadata == {}


def test_metadata_may_be_the_json_text_of_an_object():
    (example,) = to_examples([{"input": "q", "metadata": '{"lang": "en"}'}])
    assert example.metadata == {"lang": "en"}


@pytest.mark.parametrize("metadata", [[1], "secret text", "[1]", 3])
def test_metadata_that_is_no_object_is_refused_and_not_shown(metadata):
    text = refusal([{"input": "q", "metadata": metadata}])
    assert "row 1" in text
    assert "object" in text
    assert "secret" not in text


def test_rows_without_an_input_say_which_columns_there_are_and_what_to_give():
    text = refusal([{"question": "private", "answer": "4"}], origin="qa.csv")
    assert text.startswith("qa.csv: which columns are the input?")
    assert "input_keys=[...]" in text
    assert "question, answer" in text
    assert "private" not in text


# --- splits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "splits"),
    [
        ("train", ("train",)),
        (["train", "hard"], ("train", "hard")),
        (["train", "train", None, ""], ("train",)),
        (np.array(["a", "b"]), ("a", "b")),
        ({"b", "a"}, ("a", "b")),
        ('["train", "hard"]', ("train", "hard")),
        ("[draft", ("[draft",)),
        (0, ("0",)),
        (1.0, ("1",)),
        ("1.0", ("1",)),
        ([1.0, np.int64(2)], ("1", "2")),
        (" train ", ("train",)),
        (True, ("True",)),
        (None, ()),
        (math.nan, ()),
        ("", ()),
        ([], ()),
    ],
)
def test_splits(value, splits):
    assert to_examples([{"input": 1, "splits": value}])[0].splits == splits
    assert to_examples([{"q": 1, "part": value}], input_keys="q", split_key="part")[0].splits == splits


def test_the_split_column_by_its_other_name_and_a_named_one():
    (example,) = to_examples([{"input": 1, "split": "a"}])
    assert (example.splits, example.metadata) == (("a",), {})
    (example,) = to_examples([{"input": 1, "split": "a", "fold": 3}], split_key="fold")
    assert (example.splits, example.metadata) == (("3",), {"split": "a"})


def test_a_split_that_is_no_text_is_refused():
    assert "a split" in refusal([{"input": 1, "splits": [{"a": 1}]}])
    assert "NUL" in refusal([{"input": 1, "splits": "a\0"}])
    assert "split_key" in refusal([{"input": 1}], split_key="fold")


# --- ids --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (7, "7"),
        (np.int64(7), "7"),
        (np.str_("x"), "x"),
        (1.5, "1.5"),
        (101.0, "101"),
        (np.float64(101), "101"),
        ("101.0", "101"),
        (-0.0, "0"),
        ("-7.0", "-7"),
        ("1.50", "1.50"),
        ("007.0", "007.0"),
        (" a ", " a "),
        (decimal.Decimal(101), "101"),
        (decimal.Decimal("101.00"), "101"),
        (decimal.Decimal("1.50"), "1.50"),
        (2**63, str(2**63)),
        (2**53 + 1, "9007199254740993"),  # which no float holds
        (np.int64(2**53 + 1), "9007199254740993"),
        (uuid.UUID(int=5), str(uuid.UUID(int=5))),
    ],
)
def test_ids_become_text(value, text):
    (example,) = to_examples([{"key": value, "input": 1}], id_key="key")
    assert (example.id, example.metadata) == (text, {})


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "  ",
        math.nan,
        math.inf,
        1e300,
        2.0**53,
        ["a"],
        b"a",
        True,
        np.bool_(False),
        datetime.date(2024, 1, 1),
        decimal.Decimal("NaN"),
        "\ud800",
        "a\0",
        "x" * 2001,
        "é" * 1001,
    ],
)
def test_an_id_that_is_none_is_refused_where_ids_were_asked_for(value):
    assert "row 1" in refusal([{"key": value, "input": 1}], id_key="key")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("  ", "column 'key', the id_key, is empty here. Every row needs an id of its own"),
        (["a"], "must be text or a whole number, got a value of type list"),
        ("a\0", "holds a NUL character, which no store keeps"),
        ("é" * 1001, "is 2,002 bytes long; at most 2,000 can be kept"),
    ],
)
def test_why_an_id_is_none(value, said):
    assert said in refusal([{"key": value, "input": 1}], id_key="key")


def test_the_usual_id_columns_need_not_be_named():
    rows = [{"id": 1, "example_id": "e", "input": "q"}, {"example_id": "f", "input": "q"}]
    first, second = to_examples(rows)
    assert (first.id, first.metadata) == ("1", {"example_id": "e"})
    assert (second.id, second.metadata) == ("f", {})
    assert to_examples([{"id": 1, "q": 2}], input_keys="q")[0].id == "1"


def test_a_key_column_is_not_the_id():
    (example,) = to_examples([{"id": 1, "q": 2}], input_keys=["id", "q"])
    assert example.id.startswith("ex-")


@pytest.mark.parametrize("empty", ["", " ", None, math.nan, pd.NA, pd.NaT])
def test_a_row_may_leave_the_usual_id_column_empty(empty):
    first, second = to_examples([{"id": empty, "input": 1}, {"id": "b", "input": 1}])
    assert first.id.startswith("ex-")
    assert second.id == "b"


def test_however_no_output_is_said_the_example_is_the_same():
    rows = [{"input": "q"}, {"input": "q", "output": None}, {"input": "q", "output": pd.NA}]
    assert len({to_examples([row])[0].id for row in rows}) == 1
    assert all(example.output is None for example in to_examples(rows))


def test_ids_made_of_content_are_stable_and_count_doubles():
    rows = [{"input": "a"}, {"input": "b"}, {"input": "a"}, {"input": "a"}]
    ids = [example.id for example in to_examples(rows)]
    assert ids == [example.id for example in to_examples(rows)]
    assert ids[2:] == [f"{ids[0]}-2", f"{ids[0]}-3"]
    assert ids[1] != ids[0]


def test_doubles_are_numbered_by_their_metadata_wherever_they_stand():
    rows = [{"input": "a", "t": t} for t in ("x", 3, None, "y")] + [{"input": "b"}]
    ids = {row.metadata.get("t"): row.id for row in to_examples(rows) if row.input == "a"}
    assert len(set(ids.values())) == 4
    for shuffled in itertools.permutations(rows):
        assert {row.metadata.get("t"): row.id for row in to_examples(shuffled) if row.input == "a"} == ids


def test_twins_that_a_csv_file_writes_alike_keep_their_ids_in_every_order():
    """1 and "1" are one content, and one metadata; what tells the two rows apart must be the rows themselves."""
    rows = [{"input": 1, "t": 5}, {"input": "1", "t": 5}, {"input": 1, "t": "5"}]
    ids = {(repr(row.input), repr(row.metadata)): row.id for row in to_examples(rows)}
    assert len(set(ids.values())) == 3
    for shuffled in itertools.permutations(rows):
        assert {(repr(row.input), repr(row.metadata)): row.id for row in to_examples(shuffled)} == ids


@pytest.mark.parametrize("alike", [(1, 1.0, "1", "1.0"), (-3, -3.0, "-3.0"), (None, ""), (True, "True"), (2.5, "2.5")])
def test_what_one_cell_of_a_csv_file_may_come_from_is_one_content(alike):
    ids = {to_examples([{"input": "q", "expected": value}])[0].id for value in alike}
    assert len(ids) == 1
    assert len({to_examples([{"input": {"q": value}}])[0].id for value in alike}) == 1


@pytest.mark.parametrize("other", ["01", "1.00", "1e0", " 1", "+1", "1.5", "one"])
def test_what_is_another_text_is_another_content(other):
    assert to_examples([{"input": other}])[0].id != to_examples([{"input": "1"}])[0].id


def test_metadata_is_no_part_of_an_id():
    bare, more = to_examples([{"input": "a", "expected": 1}]), to_examples([{"input": "a", "expected": "1", "t": 5}])
    assert bare[0].id == more[0].id


def test_a_span_id_that_no_store_keeps_is_refused():
    assert to_examples([{"input": 1, "context.span_id": "ab" * 8}])[0].span_id == "ab" * 8
    for span_id in ("x" * 33, "a\0", ["a"]):
        assert "the span's id" in refusal([{"input": 1, "context.span_id": span_id}])


def test_ids_of_examples_stay_as_they_are():
    assert [e.id for e in to_examples([Example(input=1, id="1.0"), Example(input=1, id=" a")])] == ["1.0", " a"]


def test_an_id_by_another_case_is_metadata_and_a_stripped_one_is_not():
    assert to_examples([{"ID": "1", " input ": "q"}])[0].metadata == {"ID": "1"}
    assert to_examples([{" id ": "1", "input": "q"}])[0].id == "1"
    assert to_examples([{" key ": "1", "q": "q"}], input_keys=[" q"], id_key="key ")[0].id == "1"


def test_made_ids_go_on_from_existing_ones():
    (first,) = to_examples([{"input": "a"}])
    (again,) = to_examples([{"input": "a"}], existing_ids=[first.id])
    (third,) = to_examples([{"input": "a"}], existing_ids={first.id, again.id})
    assert (again.id, third.id) == (f"{first.id}-2", f"{first.id}-3")


def test_a_made_id_gives_way_to_a_given_one():
    (first,) = to_examples([{"input": "a"}])
    made, given_ = to_examples([{"input": "a"}, {"id": first.id, "input": "z"}])
    assert (made.id, given_.id) == (f"{first.id}-2", first.id)


@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=12), st.sets(st.sampled_from("abcd")))
def test_ids_are_unique_or_the_rows_are_refused(given_ids, existing):
    rows = [{"id": given_id, "input": "same"} for given_id in given_ids]
    named = [given_id for given_id in given_ids if given_id]
    if len(set(named)) < len(named) or existing.intersection(named):
        assert "ids that" in refusal(rows, existing_ids=existing)
        return
    ids = [example.id for example in to_examples(rows, existing_ids=existing)]
    assert len(set(ids)) == len(ids)
    assert not existing.intersection(ids)


def test_double_ids_are_listed_with_their_rows():
    text = refusal([{"id": n % 7, "input": n} for n in range(20)])
    assert "'0' (rows 1 and 8)" in text
    assert "and 8 more" in text


def test_a_given_id_that_exists_is_refused():
    assert "'a' (row 2)" in refusal([{"id": "b", "input": 1}, {"id": "a", "input": 1}], existing_ids=["a"])


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "nan is not JSON"),
        (math.inf, "inf is not JSON"),
        ("\ud800", "lone surrogate"),
        (b"bytes", "bytes is not JSON"),
        (object(), "object is not JSON. Convert it to text, a number, a list or an object first"),
        (2**70, "64-bit"),
    ],
)
def test_a_value_that_is_not_json_is_refused_by_row_and_column(value, said):
    rows = [*QA, {"question": "private", "price": value}]
    text = refusal([{"price": 1, **row} for row in rows], input_keys=["question", "price"], origin="shop.csv")
    assert text.startswith("shop.csv: row 3, input['price']: ")
    assert said in text
    assert "private" not in text


def test_metadata_that_is_no_object():
    text = refusal([{"input": 1, "metadata": 3}])
    assert text.endswith("metadata must be an object, or the JSON text of one; got a value of type int")


def test_the_place_within_a_column_is_told():
    text = refusal([{"input": {"a": {"b": [1, math.nan]}}}])
    assert "input['a']: nan at ['b'][1] is not JSON" in text
    assert "fillna" in text


def test_a_scalar_input_and_metadata_are_checked_too():
    assert "input: nan" in refusal([{"input": math.nan, "output": 1}])
    assert "output: nan" in refusal([{"input": 1, "output": math.nan}])
    assert "metadata['x']: nan" in refusal([{"input": 1, "x": math.nan}])


def test_a_column_without_a_role_is_not_looked_at():
    (example,) = to_examples([{"q": 1, "junk": math.nan}], input_keys="q")
    assert example.input == {"q": 1}


def test_what_json_can_say_is_kept_as_json_says_it():
    day = datetime.date(2024, 5, 1)
    (example,) = to_examples([{"input": {"when": day, "vector": np.array([1.5, 2.0]), 3: (1, 2), "n": np.int64(4)}}])
    assert example.input == {"when": "2024-05-01", "vector": [1.5, 2.0], "3": [1, 2], "n": 4}


def test_an_example_shares_nothing_with_its_row():
    row = {"input": {"items": [1]}, "metadata": {"tags": []}}
    (example,) = to_examples([row])
    row["input"]["items"].append(2)
    row["metadata"]["tags"].append("x")
    assert (example.input, example.metadata) == ({"items": [1]}, {"tags": []})


# --- rows -------------------------------------------------------------------------------------


def test_examples_as_rows():
    given_ = Example(input={"q": np.float64(1.5)}, output="a", metadata={"t": 1}, splits=("s",), id="e")
    bare = Example(input="q", metadata=None)
    first, second = to_examples([given_, bare])
    assert first == Example(input={"q": 1.5}, output="a", metadata={"t": 1}, splits=("s",), id="e")
    assert (second.metadata, second.id[:3]) == ({}, "ex-")
    assert to_examples([first, second]) == (first, second)


@pytest.mark.parametrize("number", [1e-6, 1e13, 0.5])
def test_a_number_of_numpys_makes_the_example_that_the_number_makes(number):
    """Short floats are written in another way, without an exponent or with one."""
    plain, short = (to_examples([{"input": {"n": each}}]) for each in (number, np.float32(number)))
    assert plain == short


def test_key_columns_are_not_for_examples():
    assert "an Example already" in refusal([Example(input=1)], input_keys=["q"])


@pytest.mark.parametrize("rows", [[], iter(())])
def test_no_rows(rows):
    assert refusal(rows, origin="empty.csv").startswith("empty.csv: no rows")


@pytest.mark.parametrize("row", ["text", 3, None, ["input"]])
def test_a_row_that_is_no_mapping(row):
    text = refusal([{"input": 1}, row])
    assert "row 2" in text
    assert type(row).__name__ in text


@given(
    st.lists(
        st.fixed_dictionaries({"input": JSON, "n": st.integers(0, 9)}, optional={"output": JSON, "topic": JSON}),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_kept_is_json_and_complete(rows):
    examples = to_examples(rows)
    assert [example.input for example in examples] == [row["input"] for row in rows]
    assert orjson.loads(orjson.dumps([example.to_dict() for example in examples])) is not None
    assert to_examples(examples) == examples


@pytest.mark.thorough
def test_many_rows_are_work_in_proportion():
    def read(count):
        rows = [{"question": f"what is {n}?", "answer": str(n), "topic": "ab"[n % 2]} for n in range(count)]
        assert len(to_examples(rows, input_keys=["question"], output_keys=["answer"], metadata_keys=["topic"])) == count

    assert_in_proportion(read, 1000)
