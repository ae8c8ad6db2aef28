"""Traces of pixie's as entries: beside what `pixie format` makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pixie.cli.format_command import format_trace_to_entry

from prefect_experiments.errors import InvalidDataset, InvalidEntries
from prefect_experiments.pixie.trace import append_entries, read_trace, readable

from .files import dataset, entry, project


def wrap(name: str, purpose: str, data: Any) -> dict[str, Any]:
    return {"type": "wrap", "name": name, "purpose": purpose, "data": data, "trace_id": "0" * 32, "span_id": "0" * 16}


ARGUMENTS = {"type": "kwargs", "value": {"user_message": "Can I return it?"}}
CALL = {
    "type": "llm_span",
    "operation": "chat",
    "provider": "openai",
    "request_model": "gpt-5-mini",
    "response_model": None,
    "input_messages": [{"role": "user", "content": "Can I?"}],
    "output_messages": [],
    "tool_definitions": [],
    "finish_reasons": ["stop"],
    "output_type": None,
    "error_type": None,
}
LINES = [
    ARGUMENTS,
    wrap("profile", "input", {"tier": "gold"}),
    wrap("route", "state", "returns"),
    CALL,
    wrap("hours", "input", ["Mon", "Fri"]),
    wrap("reply", "output", "Yes, within 30 days"),
]


def trace(folder: Path, lines: list[Any], name: str = "reference-trace.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_it_is_pixie_s_entry_with_the_real_output_apart(tmp_path: Path) -> None:
    path = trace(tmp_path, LINES)
    format_trace_to_entry(path, tmp_path / "theirs.json")
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    ours = read_trace(path).to_entry()
    assert ours["eval_output"] == theirs["expectation"]
    assert "expectation" not in ours
    assert "evaluators" not in ours, "those of the file"
    for key in ("input_data", "eval_input", "description"):
        assert ours[key] == theirs[key]
    assert [item["name"] for item in ours["eval_output"]] == ["route", "llm_span_gpt-5-mini", "reply"]


def test_in_the_older_form(tmp_path: Path) -> None:
    made = read_trace(trace(tmp_path, LINES)).to_entry("entry_kwargs", "Returns")
    assert made["entry_kwargs"] == ARGUMENTS["value"]
    assert [item["name"] for item in made["eval_input"]] == ["profile", "hours"]
    assert made["description"] == "Returns"
    bare = read_trace(trace(tmp_path, [ARGUMENTS])).to_entry("entry_kwargs")  # which needs an item
    assert bare["eval_input"] == [{"name": "app_input", "value": ARGUMENTS["value"]}]


def test_blank_lines_and_what_is_not_known_are_passed_over(tmp_path: Path) -> None:
    lines = ["", ARGUMENTS, {"type": "llm_span_trace", "duration": 1}, "", wrap("reply", "output", None)]
    assert read_trace(trace(tmp_path, lines)).outputs == (("reply", None),)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{"], "line 1: not JSON"),
        ([ARGUMENTS, '{"type": "wrap", "na'], "line 2: not JSON"),
        (["[1]"], "line 1 is no object; a trace has one object a line"),
        ([{"role": "user"}], "no line of it is of a trace"),
        ([{"type": "kwargs", "value": 3}], "line 1: a line of type 'kwargs' needs an object"),
        ([ARGUMENTS, ARGUMENTS], "line 2: a second run begins here"),
        ([wrap("x", "entry", 1)], "'purpose' that is one of input, output, state, got 'entry'"),
        ([{"type": "wrap", "purpose": "input", "data": 1}], "needs a 'name'"),
        (['{"type": "wrap", "name": "x", "purpose": "output", "data": NaN}'], "line 1, at ['data']: NaN is not JSON"),
        (['{"type": "wrap", '], "A trace has one object a line; take the line out if it was cut off"),
        (
            [{"type": "wrap", "name": "x", "purpose": "output", "data": "\ud800"}],
            "line 1: text at ['data'] holds a lone",
        ),
    ],
)
def test_what_is_no_trace(tmp_path: Path, lines: list[Any], said: str) -> None:
    with pytest.raises(InvalidDataset, match=r"reference-trace\.jsonl") as refused:
        read_trace(trace(tmp_path, lines))
    assert said in str(refused.value)


REDUCE = {"py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": ["made"]}]}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"py/set": [1, {"py/tuple": [2, 3]}]}, [1, [2, 3]]),
        ({"py/object": "my.Point", "x": 1, "y": {"py/set": []}}, {"x": 1, "y": []}),
        ({"py/object": "my.Model", "py/state": {"__dict__": {"a": 1}, "__pydantic_private__": None}}, {"a": 1}),
        ({"py/object": "my.Odd", "py/state": {"a": 1}}, {"a": 1}),
        ({"py/tuple": "no list"}, {"py/tuple": "no list"}),
        ({"py/id": 3}, {"py/id": 3}),
        ({"py/set": [1], "b": 2}, {"py/set": [1], "b": 2}),
        ({"py/object": "datetime.date", "__reduce__": [1]}, {"py/object": "datetime.date", "__reduce__": [1]}),
        (REDUCE, {"py/reduce": [{"py/function": "os.mkdir"}, ["made"]]}),
        ([{"a": {"py/set": ["x"]}}, "y", None, 1.5], [{"a": ["x"]}, "y", None, 1.5]),
    ],
)
def test_what_jsonpickle_wrote_is_plain_json(written: Any, found: Any) -> None:
    assert readable(written) == found


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [{"type": "kwargs", "value": {"a": REDUCE}}, wrap("x", "input", REDUCE), wrap("y", "output", REDUCE)]
    read_trace(trace(tmp_path, lines)).to_entry()
    assert not (tmp_path / "made").exists()


class TestAppending:
    def test_to_a_file(self, tmp_path: Path) -> None:
        path = project(tmp_path, dataset(entry(1), name="golden", version="1.0"))
        before = path.read_text()
        content = append_entries(path, [read_trace(trace(tmp_path, LINES))], description="Returns")
        assert path.read_text() == before, "nothing is written yet"
        assert {**content, "entries": content["entries"][:1]} == json.loads(before)
        assert content["entries"][1]["description"] == "Returns"
        assert content["entries"][1]["input_data"] == ARGUMENTS["value"]

    def test_in_the_form_of_those_that_are_there(self, tmp_path: Path) -> None:
        old = entry(1, input_data=..., entry_kwargs={}, eval_input=[{"name": "a", "value": 1}])
        path = project(tmp_path, dataset(old))
        traces = [read_trace(trace(tmp_path, LINES))]
        assert "entry_kwargs" in append_entries(path, traces)["entries"][1]
        assert "input_data" in append_entries(path, traces, form="input_data")["entries"][1]

    def test_an_entry_needs_evaluators(self, tmp_path: Path) -> None:
        path = project(tmp_path, dataset(entry(1, evaluators=["ExactMatch"]), evaluators=...))
        traces = [read_trace(trace(tmp_path, LINES))]
        with pytest.raises(InvalidEntries, match="it has no evaluators"):
            append_entries(path, traces)
        assert append_entries(path, traces, evaluators=["ValidJSON"])["entries"][1]["evaluators"] == ["ValidJSON"]

    def test_a_file_with_mistakes_is_left_alone(self, tmp_path: Path) -> None:
        path = project(tmp_path, dataset(entry(1, description="")))
        with pytest.raises(InvalidEntries, match="entry 1: 'description'"):
            append_entries(path, [read_trace(trace(tmp_path, LINES))])
