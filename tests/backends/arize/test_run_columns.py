"""A run's columns in AX: what goes there, what is read of what others wrote, and which runs are the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_experiments.backends.arize.row_marks import read_mark
from prefect_experiments.backends.arize.run_rows import (
    Origin,
    latest_rows,
    output_text,
    output_value,
    repetition_of,
    row_print,
    run_row,
    same_print,
    to_run,
)
from prefect_experiments.models import Experiment
from prefect_experiments.origin import MARK
from prefect_experiments.records import EvaluatedRun, EvaluationRecord, RunRecord

EXPERIMENT = Experiment(id="e", name="e", dataset_id="d", dataset_version_id="v")
RUN = RunRecord(0, 2, "mine", '{"a": [1]}', None, 1000.0, 1001.5)
FAILED = RUN._replace(output_json=None, error="ValueError: boom")
LOGGED = datetime.fromtimestamp(1001.5, UTC)


@pytest.mark.parametrize(
    ("output", "text", "is_json"),
    [('"a"', "a", False), ('"7"', "7", False), ("7", "7", True), ("true", "True", True), ("false", "False", True),
     ('{"a": [1]}', '{"a": [1]}', True), ("null", "null", True), (None, "null", True), ("[]", "[]", True)],
)  # fmt: skip
def test_an_output_goes_as_text_and_comes_back(output: str | None, text: str, is_json: bool) -> None:
    assert output_text(output) == (text, is_json)
    row = {"output": text, **({"output.mime_type": "application/json"} if is_json else {})}
    assert output_value(row) == (None if output is None else json.loads(output))


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ({}, ""),
        ({"output": None}, ""),
        ({"output": 7, "output.mime_type": "application/json"}, 7),
        ({"output": "7", "output.mime_type": "text/plain"}, "7"),
        ({"output": "no json", "output.mime_type": "application/json"}, "no json"),
    ],
)
def test_an_output_that_others_wrote(row: dict[str, Any], value: Any) -> None:
    assert output_value(row) == value


def columns(run: RunRecord, origin: Origin, *evaluations: EvaluationRecord) -> dict[str, Any]:
    row = run_row(EvaluatedRun(run, evaluations), "ax", origin)
    return {**row, MARK: json.loads(row[MARK])} if MARK in row else row


def test_the_columns_of_a_run_that_was_made() -> None:
    run = RUN._replace(token_count=7, total_cost=0.5, trace_id="ab", latency_ms=20.0)
    assert columns(run, Origin(repeated=True, task_fingerprint="f")) == {
        "example_id": "ax",
        "output": '{"a": [1]}',
        "error": None,
        "result.trace.id": "ab",
        "result.trace.timestamp": 1_000_000,
        "latency": 20.0,
        "token_count": 7,
        "total_cost": 0.5,
        "execution_status": "COMPLETED",
        "exceptions": "",
        "output.mime_type": "application/json",
        "repetition_number": 2,
        MARK: {"times": [1000.0, 1001.5], "task": "f"},
    }
    failed = columns(FAILED, Origin())
    assert (failed["output"], failed["error"], failed["execution_status"], failed["exceptions"]) == (
        "",
        "ValueError: boom",
        "FAILED",
        "ValueError: boom",
    )
    assert {"output.mime_type", "repetition_number"}.isdisjoint(failed)


def test_the_columns_of_a_run_that_was_logged() -> None:
    run = RUN._replace(metadata_json='{"topic": "t", "latency": 3, "eval.x.score": 1}')
    judged = EvaluationRecord(0, 2, "right", "right", "CODE", score=1.0, start_time=1002.0)
    logged = Origin(logged_at=LOGGED)
    assert columns(run, logged, judged) == {
        "example_id": "ax",
        "output": '{"a": [1]}',
        "topic": "t",
        "output.mime_type": "application/json",
        "eval.right.score": 1.0,
    }
    assert columns(run._replace(end_time=1003.0, latency_ms=2.0, token_count=0), logged) == {
        "example_id": "ax",
        "output": '{"a": [1]}',
        "latency_ms": 2.0,
        "token_count": 0,
        "topic": "t",
        "output.mime_type": "application/json",
        MARK: {"times": [1000.0, 1003.0]},
    }
    assert columns(FAILED, logged) == {"example_id": "ax", "output": "", "error": "ValueError: boom"}


JUDGED = EvaluationRecord(
    0, 2, "judge", "judges", "LLM", "f" * 64, 0.5, "so so", "why", '{"n": null, "l": [1], "t": "x", "b": true}',
    None, 1002.0, 1003.0, "cd",
)  # fmt: skip


def test_an_evaluation_goes_with_its_run_and_comes_back() -> None:
    row = run_row(EvaluatedRun(RUN, (JUDGED,)), "ax", Origin())
    assert {name: value for name, value in row.items() if name.startswith("eval.")} == {
        "eval.judge.score": 0.5,
        "eval.judge.label": "so so",
        "eval.judge.explanation": "why",
        "eval.judge.trace.id": "cd",
        "eval.judge.trace.timestamp": 1_002_000,
        "eval.judge.metadata.n": None,
        "eval.judge.metadata.l": "[1]",
        "eval.judge.metadata.t": "x",
        "eval.judge.metadata.b": True,
    }
    assert json.loads(row[MARK])["evaluations"] == {
        "judge": {"fingerprint": "f" * 64, "evaluator": "judges", "kind": "LLM", "json": ["n", "l"]}
    }
    [back] = to_run({**row, "id": "r"}, "mine", 2, EXPERIMENT).evaluations
    assert back._replace(position=0, repetition_number=2, end_time=1003.0) == JUDGED._replace(
        metadata_json=back.metadata_json
    )
    assert json.loads(back.metadata_json) == json.loads(JUDGED.metadata_json)
    changed = {**row, "id": "r", "eval.judge.metadata.l": "no json"}
    [back] = to_run(changed, "mine", 2, EXPERIMENT).evaluations
    assert json.loads(back.metadata_json)["l"] == "no json"


def test_an_evaluation_that_failed_has_its_error_among_the_metadata_and_one_with_a_score_has_none() -> None:
    failed = EvaluationRecord(0, 1, "judge", "judge", "CODE", error="KeyError: 'a'", start_time=1002.0, end_time=1002.0)
    row = run_row(EvaluatedRun(RUN, (failed,)), "ax", Origin())
    [back] = to_run({**row, "id": "r"}, "mine", 2, EXPERIMENT).evaluations
    assert (back.error, back.metadata) == ("KeyError: 'a'", {})
    for said in ({"score": 0.0}, {"label": ""}, {"explanation": ""}):
        more = {f"eval.judge.{name}": value for name, value in said.items()}
        [back] = to_run({**row, **more, "id": "r"}, "mine", 2, EXPERIMENT).evaluations
        assert (back.error, back.metadata) == (None, {"error": "KeyError: 'a'"})


def test_a_run_that_others_made() -> None:
    row = {
        "id": "r", "example_id": "ax", "output": "7", "latency_ms": 1500, "token_count": 7.0, "total_cost": True,
        "result.trace.timestamp": 1_000_000, "result.trace.id": {"a": 1}, "topic": "t", "nothing": None,
        "eval.judge.score": "high", "eval.judge.label": 3, MARK: "theirs",
        "annotations": [{"name": "people", "score": 1}, {"score": 2}, "x"],
    }  # fmt: skip
    found = to_run(row, "mine", 1, EXPERIMENT)
    run = found.run
    assert (run.output_json, run.error, run.start_time, run.end_time) == ('"7"', None, 1000.0, 1001.5)
    assert (run.latency_ms, run.token_count, run.total_cost, run.trace_id) == (1500.0, 7, None, '{"a": 1}')
    assert run.metadata == {"topic": "t", MARK: "theirs"}
    assert [(one.name, one.score, one.label) for one in found.evaluations] == [
        ("judge", None, "3"),
        ("people", 1.0, None),
    ]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"output": "a"}, None),
        ({"output": "a", "error": "boom"}, "boom"),
        ({"output": "a", "error": ""}, None),
        ({"output": "a", "execution_status": "FAILED"}, "failed"),
        ({"output": "a", "execution_status": "FAILED", "exceptions": "boom"}, "boom"),
        ({"output": None}, "no output"),
        ({"output": None, "execution_status": "COMPLETED"}, None),
        ({"output": "", "execution_status": "RUNNING"}, None),
    ],
)
def test_which_runs_have_failed(row: dict[str, Any], error: str | None) -> None:
    run = to_run({"id": "r", **row}, "mine", 1, EXPERIMENT).run
    assert (run.error, run.output_json is None) == (error, error is not None)


@pytest.mark.parametrize(
    ("number", "repetition"), [(1, 1), (3.0, 3), (0, None), (-1, None), (True, None), ("2", None), (None, None)]
)
def test_which_repetition_a_row_says_that_it_is(number: Any, repetition: int | None) -> None:
    assert repetition_of({"repetition_number": number}) == repetition


def rows(*said: dict[str, Any]) -> list[tuple[str, int, Any]]:
    """Of rows that came one after the other: example, repetition, and which row."""
    made = [{"id": f"r{n}", "example_id": "ax", "output": "a", "result.trace.timestamp": n, **one}
            for n, one in enumerate(said)]  # fmt: skip
    return [(name, number, row["id"]) for name, number, row in latest_rows(made, {"ax": "mine"})]


BAD: dict[str, Any] = {"error": "boom"}


def test_rows_that_do_not_say_are_repetitions_and_a_failed_one_is_made_again() -> None:
    assert rows({}, {}, {}) == [("mine", 1, "r0"), ("mine", 2, "r1"), ("mine", 3, "r2")]
    assert rows(BAD, {}, {}) == [("mine", 1, "r1"), ("mine", 2, "r2")]
    assert rows({}, BAD, {}) == [("mine", 1, "r0"), ("mine", 2, "r2")]
    assert rows({}, BAD, BAD) == [("mine", 1, "r0"), ("mine", 2, "r2")]
    assert rows({"repetition_number": 2}, {"repetition_number": 1}, {}) == [
        ("mine", 1, "r1"),
        ("mine", 2, "r0"),
        ("mine", 3, "r2"),
    ]
    assert rows({"example_id": None}, {"id": None}, {"example_id": "other"}) == [("other", 1, "r2")]


def test_the_same_run_has_the_same_output_error_and_time() -> None:
    made = {"output": "a", "result.trace.timestamp": 1_000}
    assert row_print(made) == ("a", "", 1000)
    assert row_print({**made, "result.trace.timestamp": "1970-01-01T00:00:01Z"}) == ("a", "", 1000)
    assert row_print({"output": "a", "error": "boom"}) == ("", "boom", None)
    assert row_print({"output": 7}) == ("7", "", None)
    assert row_print({"output": None, "execution_status": "COMPLETED"}) == ("", "", None)
    print_ = row_print(made)
    for other, same in (
        (("a", "", 1000), True),
        (("a", "", None), True),
        (("a", "", 1001), False),
        (("b", "", 1000), False),
        (("a", "x", None), False),
    ):
        assert same_print(print_, other) is same
        assert same_print(other, print_) is same


@pytest.mark.parametrize("theirs", ["theirs", 7, {"times": [1, 2]}, "[1]", "7", '{"x": 1}', ""])
def test_a_column_of_that_name_that_is_somebody_elses_is_metadata(theirs: Any) -> None:
    run = to_run({"id": "r", "output": "a", MARK: theirs}, "mine", 1, EXPERIMENT).run
    assert run.metadata == {MARK: theirs}


@pytest.mark.parametrize(
    ("mark", "times", "fingerprint"),
    [
        ('{"times": [1.5, 2.5]}', (1.5, 2.5), None),
        ('{"task": "f"}', (0.0, 0.0), "f"),
        ('{"evaluations": null, "times": null}', (0.0, 0.0), None),
    ],
)
def test_a_mark_of_ours_may_say_a_part(mark: str, times: tuple[float, float], fingerprint: str | None) -> None:
    row = {"id": "r", "output": "a", MARK: mark, "eval.x.score": 1}
    found = to_run(row, "mine", 1, EXPERIMENT)
    assert (found.run.start_time, found.run.end_time, found.run.metadata) == (*times, {})
    assert [(one.evaluator, one.annotator_kind) for one in found.evaluations] == [("x", "CODE")]
    assert read_mark(row).task_fingerprint == fingerprint
