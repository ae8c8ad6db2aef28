"""Reading files of pixie's: every rule that pixie has, and all that is wrong at once."""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pixie.harness import runner as pixies

from prefect_experiments.datasets.rows import to_examples
from prefect_experiments.errors import InvalidDataset, InvalidEntries
from prefect_experiments.pixie.dataset import entry_ids
from prefect_experiments.pixie.examples import ABSENT, Named
from prefect_experiments.pixie.file import expanded
from prefect_experiments.pixie.reading import is_pixie, read_pixie

from .files import dataset, entry, first, project, read

KWARGS = {"input_data": ..., "entry_kwargs": {"q": "a"}}
ITEM = {"name": "profile", "value": {"tier": "gold"}}

# What pixie refuses (0.6.1 or 0.8.6), and what is refused here besides: what, and what is said of it.
REFUSED: list[tuple[str, Any, list[str]]] = [
    ("no runnable", dataset(runnable=...), ["'runnable' is missing", "path.py:Name"]),
    ("null runnable", dataset(runnable=None), ["'runnable' must name the application, got null"]),
    ("blank runnable", dataset(runnable="  "), ["'runnable'", "got an empty text"]),
    ("runnable without colon", dataset(runnable="app.py"), ["'runnable' must be path.py:Name, got 'app.py'"]),
    ("runnable without name", dataset(runnable="app.py:"), ["got 'app.py:'"]),
    ("null name", dataset(name=None), ["'name' must be text, got null; leave it out to take the file's name"]),
    ("no entries", dataset(entries=...), ["'entries' is missing"]),
    ("entries no list", dataset(entries={}), ["'entries' must be a list of objects, got an object"]),
    ("empty entries", dataset(entries=[]), ["'entries' is empty"]),
    ("entry no object", dataset(3), ["entry 1 must be an object", "got a number"]),
    ("no input", dataset(entry(input_data=...)), ["entry 1 ('Case 1')", "'input_data' is missing", "entry_kwargs"]),
    ("input no object", dataset(entry(input_data=[1])), ["'input_data' must be an object", "got a list"]),
    (
        "kwargs no object",
        dataset(entry(**KWARGS | {"entry_kwargs": "x"})),
        ["'entry_kwargs' must be an object, what the application is called with"],
    ),
    (
        "both, different",
        dataset(entry(entry_kwargs={"q": "x"})),
        ["are the same under two names, and differ here; leave one of them"],
    ),
    ("no description", dataset(entry(description=...)), ["entry 1: 'description' is missing"]),
    (
        "blank description",
        dataset(entry(description=" ")),
        ["entry 1: 'description' must be text that is not empty, got an empty text; say in a few"],
    ),
    ("null description", dataset(entry(description=None)), ["'description'", "got null"]),
    ("description no text", dataset(entry(description=7)), ["'description'", "got a number"]),
    ("no eval_input", dataset(entry(**KWARGS)), ["'eval_input' needs at least one item"]),
    ("empty eval_input", dataset(entry(**KWARGS, eval_input=[])), ["'eval_input' needs at least one item"]),
    ("null eval_input", dataset(entry(eval_input=None)), ["'eval_input' must be a list", "got null"]),
    ("eval_input no list", dataset(entry(eval_input={"a": 1})), ["'eval_input' must be a list", "got an object"]),
    (
        "item no object",
        dataset(entry(eval_input=[ITEM, 3])),
        ["'eval_input' item 2 must be an object with 'name' and 'value', got a number"],
    ),
    ("item without name", dataset(entry(eval_input=[{"value": 1}])), ["item 1: 'name' is missing"]),
    ("item's name no text", dataset(entry(eval_input=[{"name": 1, "value": 1}])), ["'name' must be text"]),
    ("item without value", dataset(entry(eval_input=[{"name": "a"}])), ["item 1: 'value' is missing"]),
    ("metadata no object", dataset(entry(eval_metadata=[1])), ["'eval_metadata' must be an object, got a list"]),
    ("evaluators no list", dataset(evaluators="Factuality"), ["'evaluators' must be a list of names, got a text"]),
    ("row's no list", dataset(entry(evaluators={})), ["entry 1 ('Case 1'): 'evaluators' must be a list"]),
    (
        "blank evaluator",
        dataset(evaluators=["ExactMatch", " "]),
        ["evaluator 2 must be a name or path.py:Name, got an empty text"],
    ),
    ("row's evaluator no text", dataset(entry(evaluators=[None])), ["entry 1 ('Case 1'): evaluator 1", "got null"]),
    ("... at the top", dataset(evaluators=["..."]), ["'...' stands for the evaluators of the file"]),
    ("no evaluators", dataset(evaluators=...), ["entry 1 ('Case 1'): it has no evaluators, and neither has the file"]),
    ("only ...", dataset(entry(evaluators=["..."]), evaluators=[]), ["it has no evaluators"]),
    (
        "nested as in 0.5",
        dataset(
            {"entry_kwargs": {}, "test_case": {"description": "old", "eval_input": [ITEM], "expectation": 1}},
        ),
        [
            "entry 1 ('old'): it is nested as pixie 0.5",
            "'eval_input', 'expectation', 'description'",
            "this rewrites the file: jq '.entries",
        ],
    ),
]


@pytest.mark.parametrize(("content", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_refused(tmp_path: Path, content: Any, said: list[str]) -> None:
    with pytest.raises(InvalidEntries) as refused:
        read(tmp_path, content).check()
    for part in ["set.json", *said]:
        assert part in str(refused.value)
    assert is_pixie(tmp_path / "set.json") == (("runnable" in content) or bool(content.get("entries")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "a pixie dataset is a JSON object with 'runnable' and 'entries', not a list"),
        ('{"runnable": "a.py:f", "entries": [}', "line 1, column 36: not JSON"),
        ('{"runnable": "a.py:f",\n "entries": ' + "[" * 100_000, "line 2, column 266: nested too deep"),
    ],
)
def test_what_is_no_json_object(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InvalidDataset, match=r"set\.json") as refused:
        read(tmp_path, content)
    assert said in str(refused.value)
    assert is_pixie(tmp_path / "set.json") == content.startswith("{")  # so that it is told by pixie's rules


def test_all_that_json_has_no_word_for_is_said_at_once(tmp_path: Path) -> None:
    text = json.dumps(
        dataset(
            entry(1, eval_input=[{"name": "x", "value": math.nan}], expectation=-math.inf),
            entry(2, expectation=10**30),
            entry(3),
            threshold=math.inf,
        )
    )
    text = text.replace('{"q": "question 3"}', '{"q": {"a": 1, "a": 2}}')
    text = text.replace('"description": "Case 3"', '"description": "old", "description": "Case 3"')
    with pytest.raises(InvalidEntries) as refused:
        read(tmp_path, text).check()
    assert "\n" not in text
    assert str(refused.value).splitlines()[1:] == [
        "  - entry 1 ('Case 1'): at ['eval_input'][0]['value']: NaN is not JSON. Write null instead",
        "  - entry 1 ('Case 1'): at ['expectation']: -Infinity is not JSON. Write null instead",
        "  - entry 2 ('Case 2'): at ['expectation']: an integer of 31 digits is beyond 64 bits. Write it as text",
        "  - entry 3 ('Case 3'): the key 'description' stands twice in one object. Leave one of them",
        "  - entry 3 ('Case 3'): at ['input_data']['q']: the key 'a' stands twice in one object. Leave one of them",
        "  - at ['threshold']: Infinity is not JSON. Write null instead",
    ]
    assert is_pixie(tmp_path / "set.json")


def test_a_key_that_stands_twice_at_the_top(tmp_path: Path) -> None:
    with pytest.raises(InvalidEntries, match="the key 'runnable' stands twice"):
        read(tmp_path, json.dumps(dataset()).replace('{"runnable"', '{"runnable": "a.py:f", "runnable"', 1)).check()


def nested(depth: int) -> Any:
    return functools.reduce(lambda inner, _: [inner], range(depth), 1)


PARTS: list[tuple[str, Callable[[Any], dict[str, Any]], str]] = [
    ("arguments", lambda value: {"input_data": {"q": value}}, r"\['input_data'\]\['q'\]"),
    ("input", lambda value: {"eval_input": [{"name": "x", "value": value}]}, r"\['eval_input'\]\[0\]\['value'\]"),
    ("expectation", lambda value: {"expectation": value}, r"\['expectation'\]"),
    ("about", lambda value: {"eval_metadata": {"context": value}}, r"\['eval_metadata'\]\['context'\]"),
    ("output", lambda value: {"eval_output": [{"name": "x", "value": value}]}, r"\['eval_output'\]\[0\]\['value'\]"),
]


@pytest.mark.parametrize(("part", "where"), [case[1:] for case in PARTS], ids=[case[0] for case in PARTS])
def test_values_that_nothing_keeps(tmp_path: Path, part: Callable[[Any], dict[str, Any]], where: str) -> None:
    for value, said in [("\ud800", "holds a lone surrogate"), (nested(500), "is nested more than 254 deep")]:
        kept = "Nothing keeps such a value; take it out, or write it as text"
        with pytest.raises(InvalidEntries, match=f"entry 2 \\('Case 2'\\): .* at {where}.* {said}.*{kept}"):
            read(tmp_path, dataset(entry(), entry(2, **part(value)))).check()


def test_words_that_nothing_keeps(tmp_path: Path) -> None:
    with pytest.raises(InvalidEntries) as refused:
        read(tmp_path, dataset(entry(description="a \ud800"), name="\udfff", evaluators=["\udfff"])).check()
    for place in ("'name'", "'evaluators'", "'description'"):
        assert f"text at [{place}]" in str(refused.value)


@pytest.mark.parametrize("depth", range(240, 260))
def test_what_is_taken_can_be_kept(tmp_path: Path, depth: int) -> None:
    value = nested(depth)
    file = read(tmp_path, dataset(entry(eval_input=[{"name": "x", "value": value}], expectation=value)))
    assert bool(file.entries) == (depth <= 251)
    for one, example_id in zip(file.entries, entry_ids(each.entry for each in file.entries), strict=True):
        assert to_examples([one.entry.to_example(example_id)])[0].output == {"expectation": value}


# Version 0.8.6 takes them: what it lets pass is nothing that could be run and judged as it was meant.
LET_PASS = {"empty entries", "both, different"}
OF_0_6 = {"kwargs no object", "no eval_input", "empty eval_input", "nested as in 0.5"}


@pytest.mark.parametrize(
    ("name", "content"),
    [case[:2] for case in REFUSED if case[0] not in OF_0_6],
    ids=[case[0] for case in REFUSED if case[0] not in OF_0_6],
)
def test_pixie_refuses_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: Any) -> None:
    path = project(tmp_path, content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # to which pixie adds the current directory
    if name in LET_PASS:
        pixies.load_dataset(path)
        return
    with pytest.raises(ValueError, match="validation failed"):
        pixies.load_dataset(path)


def test_everything_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    bad = [entry(n, description=...) if n == 2 else entry(n, evaluators=[]) for n in (1, 2, 3)]
    with pytest.raises(InvalidEntries) as refused:
        read(tmp_path, dataset(*bad, entry(4, input_data=1, eval_metadata=2), 5, evaluators=[])).check()
    lines = str(refused.value).splitlines()
    assert lines[0].endswith("set.json cannot be used; 8 problems:")
    places = [line.strip("- ").partition(":")[0] for line in lines[1:]]
    assert places[:5] == ["entry 1 ('Case 1')", "entry 2", "entry 2", "entry 3 ('Case 3')", "entry 4 ('Case 4')"]
    assert lines[-1] == (
        "  - entry 5 must be an object with 'input_data' (or 'entry_kwargs') and 'description', got a number"
    )


def test_a_thousand_problems_are_counted(tmp_path: Path) -> None:
    with pytest.raises(InvalidEntries) as refused:
        read(tmp_path, dataset(*range(1000))).check()
    lines = str(refused.value).splitlines()
    assert "1000 problems" in lines[0]
    assert lines[-1] == "  and 950 more"


def test_what_an_entry_holds_is_not_in_the_text(tmp_path: Path) -> None:
    held = "4111 1111 1111 1111"
    with pytest.raises(InvalidEntries) as refused:
        read(tmp_path, dataset(entry(input_data=held, eval_input=held, eval_metadata=held, evaluators=held))).check()
    assert held not in str(refused.value)
    assert str(refused.value).count("got a text") == 4


class TestBothForms:
    def test_input_data_is_seen_by_evaluators(self, tmp_path: Path) -> None:
        found = first(tmp_path, dataset(entry(eval_input=[ITEM]))).entry
        assert found.form == "input_data"
        assert found.shown_input == (Named("input_data", {"q": "question 1"}), Named("profile", {"tier": "gold"}))

    def test_entry_kwargs_are_not(self, tmp_path: Path) -> None:
        found = first(tmp_path, dataset(entry(**KWARGS, eval_input=[ITEM]))).entry
        assert (found.form, found.arguments) == ("entry_kwargs", {"q": "a"})
        assert found.shown_input == (Named("profile", {"tier": "gold"}),)

    def test_both_may_stand_in_one_file(self, tmp_path: Path) -> None:
        found = read(tmp_path, dataset(entry(), entry(2, **KWARGS, eval_input=[ITEM])))
        found.check()
        assert [one.entry.form for one in found.entries] == ["input_data", "entry_kwargs"]

    def test_the_same_under_both_names_is_read_as_today(self, tmp_path: Path) -> None:
        assert first(tmp_path, dataset(entry(entry_kwargs={"q": "question 1"}))).entry.form == "input_data"

    def test_the_form_can_be_said(self, tmp_path: Path) -> None:
        old = first(tmp_path, dataset(entry(**KWARGS)), "input_data").entry  # which then needs no eval_input
        assert old.shown_input == (Named("input_data", {"q": "a"}),)
        new = first(tmp_path, dataset(entry(eval_input=[ITEM])), "entry_kwargs").entry
        assert new.shown_input == (Named("profile", {"tier": "gold"}),)

    def test_a_stray_test_case_is_no_nested_entry(self, tmp_path: Path) -> None:
        assert first(tmp_path, dataset(entry(test_case={"description": "x"}))).entry.description == "Case 1"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ABSENT),
        ({"expectation": "UNSET"}, ABSENT),
        ({"expectation": None}, None),
        ({"expectation": ""}, ""),
        ({"expectation": 0}, 0),
        ({"expectation": ["UNSET"]}, ["UNSET"]),
    ],
    ids=repr,
)
def test_no_expectation_is_another_thing_than_null(tmp_path: Path, more: dict[str, Any], expected: Any) -> None:
    found = first(tmp_path, dataset(entry(**more))).entry
    assert found.expectation is expected or found.expectation == expected != ABSENT
    example = found.to_example()
    assert example.output == (None if expected is ABSENT else {"expectation": expected})


class TestEvaluators:
    @pytest.mark.parametrize(
        ("own", "used"),
        [
            (..., ["A", "B"]),
            (None, ["A", "B"]),
            ([], ["A", "B"]),
            (["..."], ["A", "B"]),
            ([" ... ", "C"], ["A", "B", "C"]),
            (["C", "..."], ["C", "A", "B"]),
            (["C"], ["C"]),
            ([" C "], ["C"]),
            (["B", "...", "..."], ["B", "A"]),  # pixie calls one three times: here an entry has each once
        ],
        ids=repr,
    )
    def test_of_an_entry(self, tmp_path: Path, own: Any, used: list[str]) -> None:
        found = first(tmp_path, dataset(entry(evaluators=own), evaluators=["A ", "B"]))
        assert list(found.evaluators) == used

    @given(
        own=st.lists(st.sampled_from(["A", "B", "C", "..."]), max_size=6),
        defaults=st.lists(st.sampled_from(["A", "B", "D"]), max_size=4),
    )
    def test_dots_stand_for_the_file_s(self, own: list[str], defaults: list[str]) -> None:
        found = expanded(own, defaults)
        assert found == pixies._expand_evaluator_names(own, defaults)
        assert "..." not in found

    def test_all_that_are_named_are_known_once(self, tmp_path: Path) -> None:
        found = read(tmp_path, dataset(entry(evaluators=["C"]), entry(2, evaluators=["C", "..."], description=...)))
        assert dict(found.named) == {"ExactMatch": "", "C": "entry 1 ('Case 1'): "}


def test_names(tmp_path: Path) -> None:
    assert read(tmp_path, dataset()).name == "set"
    assert read(tmp_path, dataset(name="")).name == "set"
    assert read(tmp_path, dataset(name=" golden ")).name == "golden"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", dataset(), True),
        ("a.json", {"entries": [{"entry_kwargs": {}}]}, True),
        ("a.json", "\ufeff  \n" + json.dumps(dataset()), True),
        ("a.json", {"examples": [{"input": '"runnable"', "output": '"entries"'}]}, False),
        ("a.json", {"entries": [{"input": 1}]}, False),
        ("a.json", [dataset()], False),
        ("a.jsonl", dataset(), False),
        ("a.json", "", False),
        ("a.json", '{"name": "x", "runnable": "a.py:f", "entries": [}', True),
        ("a.json", '{"examples": [{"a": "runnable" "entries"}', False),
    ],
)
def test_which_files_are_pixie_s(tmp_path: Path, name: str, content: Any, expected: bool) -> None:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert is_pixie(path) is expected
    assert is_pixie(str(path)) is expected
    assert not is_pixie(tmp_path)
    assert not is_pixie(tmp_path / "not there.json")


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("\ufeff" + json.dumps(dataset()))
    read_pixie(path).check()
