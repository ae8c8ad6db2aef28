"""Entries as examples and back, what was captured as outputs and back, and what of a file is said in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.errors import InvalidDataset, InvalidEntries
from prefect_experiments.models import Example
from prefect_experiments.pixie.dataset import entry_ids
from prefect_experiments.pixie.evaluable import evaluable
from prefect_experiments.pixie.examples import ABSENT, Captured, Entry, Named, captured
from prefect_experiments.pixie.lint import lint
from prefect_experiments.pixie.reading import kind
from prefect_experiments.pixie.trace import Trace, append_entries, examples_of, read_trace

from .files import dataset, entry, project, read

A, B = Named("a", 1), Named("b", None)


@pytest.mark.parametrize(
    ("given", "output", "again"),
    [
        (Captured("x"), {"output": "x"}, (Named("output", "x"),)),
        (Captured(), {"output": None}, (Named("output", None),)),
        (Captured("x", (A, B)), {"a": 1, "b": None}, (A, B)),
        (Captured("x", (A, A)), {"eval_output": [{"name": "a", "value": 1}] * 2}, (A, A)),
        (
            Captured("x", (Named("eval_output", [1]),)),
            {"eval_output": [{"name": "eval_output", "value": [1]}]},
            (Named("eval_output", [1]),),
        ),
        (
            Captured("x", (Named("eval_output", 1), A)),
            {"eval_output": 1, "a": 1},
            (Named("eval_output", 1), A),
        ),
    ],
)
def test_what_was_captured_is_an_output_and_comes_back(
    given: Captured, output: dict[str, Any], again: tuple[Named, ...]
) -> None:
    assert given.to_output() == output
    assert captured(output) == again


@pytest.mark.parametrize(
    ("output", "items"),
    [
        ("x", (Named("output", "x"),)),
        ({}, (Named("output", {}),)),
        ([], (Named("output", []),)),
        ({"eval_output": "x"}, (Named("eval_output", "x"),)),
        ({"eval_output": [{"name": "a", "value": 1}, "x"]}, (A,)),
        ({"eval_output": [1], "a": 1}, (Named("eval_output", [1]), A)),
    ],
)
def test_the_output_of_another_application(output: Any, items: tuple[Named, ...]) -> None:
    assert captured(output) == items


@pytest.mark.parametrize(
    ("made", "given", "expected", "about"),
    [
        (Entry(arguments={}), {"input_data": {}}, None, {}),
        (Entry(form="entry_kwargs", arguments={"q": 1}), {"entry_kwargs": {"q": 1}}, None, {}),
        (
            Entry(arguments={}, eval_input=(A,), expectation=None, description="", eval_metadata={}),
            {"input_data": {}, "eval_input": [{"name": "a", "value": 1}]},
            {"expectation": None},
            {"description": "", "eval_metadata": {}},
        ),
        (Entry(arguments={}, expectation=0), {"input_data": {}}, {"expectation": 0}, {}),
    ],
)
def test_an_entry_is_an_example_and_comes_back(made: Entry, given: Any, expected: Any, about: Any) -> None:
    example = made.to_example("e")
    assert example == Example(id="e", input=given, output=expected, metadata=about)
    assert Entry.of(example) == made


def test_an_example_that_somebody_has_changed() -> None:
    changed = Example(
        input={"input_data": {}, "eval_input": "x"}, output="x", metadata={"description": 7, "eval_metadata": [1]}
    )
    assert Entry.of(changed) == Entry(arguments={})
    assert Entry.of(Example(input={"input_data": {}}, output={"other": 1})).expectation is ABSENT
    assert repr(ABSENT) == "absent"


def test_evaluators_need_something_to_see() -> None:
    with pytest.raises(
        InvalidDataset, match="example 'e' has no 'eval_input', and evaluators do not see what is under"
    ):
        evaluable(Example(id="e", input={"entry_kwargs": {"q": 1}}), "x")
    seen = evaluable(Example(id="e", input={"input_data": {"q": 1}}, metadata={"description": "d"}), {"a": 1})
    assert [(item.name, item.value) for item in seen.eval_input] == [("input_data", {"q": 1})]
    assert [(item.name, item.value) for item in seen.eval_output] == [("a", 1)]
    assert (seen.description, seen.eval_metadata) == ("d", None)


@pytest.mark.parametrize(
    ("value", "word"),
    [(None, "null"), (True, "a truth value"), (1, "a number"), (1.5, "a number"), ("", "a text"), ([], "a list"),
     ({}, "an object")],
)  # fmt: skip
def test_the_word_for_a_value(value: object, word: str) -> None:
    assert kind(value) == word


@pytest.mark.parametrize(("count", "shown", "last"), [(1, 1, None), (50, 50, None), (51, 50, "  and 1 more")])
def test_problems_are_listed_up_to_fifty(tmp_path: Path, count: int, shown: int, last: str | None) -> None:
    with pytest.raises(InvalidEntries) as refused:
        read(tmp_path, dataset(*[7] * count)).check(hint="a hint")
    head, *lines = str(refused.value).splitlines()
    assert head == f"{tmp_path / 'set.json'} cannot be used{f'; {count} problems' * (count > 1)}:"
    assert lines[:shown] == [
        f"  - entry {n} must be an object with 'input_data' (or 'entry_kwargs') and 'description', got a number"
        for n in range(1, shown + 1)
    ]
    assert lines[shown:] == [*([last] if last else []), "a hint"]


@pytest.mark.parametrize(("length", "shown"), [(60, "x" * 60), (61, "x" * 59 + "…")])
def test_a_long_description_is_cut_in_a_message(tmp_path: Path, length: int, shown: str) -> None:
    file = read(tmp_path, dataset(entry(description="x" * length, input_data=1)))
    assert file.problems[0].startswith(f"entry 1 ('{shown}'): ")


@pytest.mark.parametrize(
    ("said", "slug"),
    [
        ("a" * 48, "a" * 48 + "-"),
        ("a" * 49, "a" * 48 + "-"),
        ("a" * 47 + " b", "a" * 47 + "-"),
        ("--a--", "a-"),
        ("", ""),
    ],
)
def test_what_an_id_says(said: str, slug: str) -> None:
    [made] = entry_ids([Entry(arguments={}, description=said)])
    assert made[:-8] == slug


THREE = ["ExactMatch", "Factuality", "LevenshteinMatch"]


def said(folder: Path, *entries: Any, **more: Any) -> list[str]:
    return [str(remark) for remark in lint(read(folder, dataset(*entries, **more)))]


def test_what_lint_says_in_whole_sentences(tmp_path: Path) -> None:
    alone = "a mean over so few says little. Add more cases [few-entries]"
    assert said(tmp_path, entry(expectation="x"), evaluators=THREE) == [f"1 entry: {alone}"]
    assert said(tmp_path, entry(), evaluators=THREE) == [
        "entry 1 ('Case 1'): ExactMatch, Factuality and LevenshteinMatch compare with an expectation, and there is "
        "none: the score says nothing about the answer. Add 'expectation', or leave the evaluator out of this entry "
        "[no-expectation]",
        f"1 entry: {alone}",
    ]
    contexts = ["Faithfulness", "ContextRelevancy"]
    assert said(tmp_path, entry(), evaluators=contexts)[0] == (
        "entry 1 ('Case 1'): Faithfulness and ContextRelevancy judge the answer by what was retrieved for it, "
        "'context' in the entry's 'eval_metadata', and there is none. Add it, or leave the evaluator out of this entry "
        "[no-context]"
    )
    differing = [entry(n, expectation=str(n), input_data={"q": q}) for n, q in ((1, "one"), (2, "quite another"))]
    assert said(tmp_path, *differing, evaluators=THREE) == [f"2 entries: {alone}"]
    assert said(tmp_path, *differing, evaluators=THREE, x=1)[1:] == [
        "'x' at the top of the file is not read. Take it out, or put it into 'eval_metadata' of the entries "
        "[unknown-key]"
    ]


@pytest.mark.parametrize("trivial", ["", [], {}, True, False])
def test_what_may_well_be_by_chance_is_neither_copied_nor_echoed(tmp_path: Path, trivial: Any) -> None:
    given = entry(expectation=trivial, input_data={"q": trivial}, eval_output=trivial)
    assert [line for line in said(tmp_path, given) if "echoed" in line or "copied" in line] == []


@pytest.mark.parametrize(("value", "marks"), [({"py/a": 1}, 1), ([{"x": [{"py/a": {"py/b": 1}}]}], 2), ("py/a", 0)])
def test_marks_of_pickled_objects_are_found_wherever_they_are(tmp_path: Path, value: Any, marks: int) -> None:
    found = [line for line in said(tmp_path, entry(input_data={"q": value})) if "pickled-input" in line]
    assert len(found) == (marks > 0)
    assert sum(line.count("'py/") for line in found) == marks


def test_the_form_of_the_last_entry_is_that_of_those_that_are_added(tmp_path: Path) -> None:
    old = entry(1, input_data=..., entry_kwargs={}, eval_input=[{"name": "a", "value": 1}])
    trace = Trace(tmp_path / "t.jsonl", {"q": 1}, (A,), (B,))
    for entries, form in (([old, entry(2)], "input_data"), ([entry(2), old], "entry_kwargs")):
        path = project(tmp_path, dataset(*entries))
        assert form in append_entries(path, [trace])["entries"][2]


def test_traces_as_examples(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "t.jsonl", {"q": 1}, (), (A,))
    [one] = examples_of([trace])
    assert one.input == {"input_data": {"q": 1}}
    assert one.metadata == {
        "description": "transformed from t.jsonl",
        "eval_output": [{"name": "a", "value": 1}],
    }
    [other] = examples_of([trace], form="entry_kwargs", description="mine")
    assert other.input == {"entry_kwargs": {"q": 1}, "eval_input": [{"name": "app_input", "value": {"q": 1}}]}
    assert other.metadata["description"] == "mine"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ({"request_model": "a", "response_model": "b"}, "llm_span_a"),
        ({"request_model": None, "response_model": "b"}, "llm_span_b"),
        ({"request_model": ""}, "llm_span_llm_call"),
    ],
)
def test_a_model_call_is_named_by_its_model_and_has_what_is_known(
    tmp_path: Path, call: dict[str, Any], name: str
) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(json.dumps({"type": "llm_span", **call, "none": None, "empty": [], "zero": 0, "blank": ""}))
    [found] = read_trace(path).outputs
    known = {key: value for key, value in call.items() if value is not None}
    assert found == Named(name, {**known, "zero": 0, "blank": ""})
