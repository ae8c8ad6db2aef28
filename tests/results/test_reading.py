"""A table of results as it is read: every part of a row, cells at their bounds, and times that follow from others."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from prefect_experiments.errors import InvalidDataset, InvalidInput
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.results import (
    ResultEvaluator,
    ResultRun,
    fingerprint_of,
    given_names,
    meant_by_name,
    read_results,
    refuse_doubles,
    result_rows,
    with_examples,
)
from support.zones import in_zone

TRACE = "0af7651916cd43dd8448eb211c80319c"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
ROW = {
    "id": "r1", "example_id": "e0", "repetition_number": 2, "input": "q", "expected": "x", "output": {"a": 1},
    "status": "ok", "error": None,
    "latency_ms": 1500, "start_time": NEW_YEAR, "end_time": "2026-01-01T00:00:02Z", "token_count": 5,
    "total_cost": 0.5, "trace_id": TRACE, "model": "m", "metadata.k": 1, "metadata": {"o": 2},
    "eval.a.score": 0.5, "eval.a.label": "l", "eval.a.explanation": "why", "eval.a.error": None,
    "eval.a.token_count": 3, "eval.a.total_cost": 0.1, "eval.a.metadata.m": 7, "eval.a.trace.id": TRACE,
    "eval.b.c.error": "Boom", "eval.b.c.score": 1, "annotation.p.score": 1, "annotation.p.label": "L",
    "annotation.p.text": "T",
}  # fmt: skip


def test_every_part_of_a_row_is_read() -> None:
    results = read_results([ROW])
    [run] = results.runs
    start = NEW_YEAR.timestamp()
    assert run.record == RunRecord(
        -1, 2, "e0", '{"a":1}', None, start, start + 2, token_count=5, total_cost=0.5, trace_id=TRACE,
        metadata_json='{"model":"m","k":1,"o":2}', latency_ms=1500,
    )  # fmt: skip
    assert (run.row, run.input, run.expected, run.id) == (1, "q", "x", "")
    a, bc, p = run.evaluations["a"], run.evaluations["b.c"], run.annotations["p"]
    assert (a.score, a.label, a.explanation, a.error, a.annotator_kind) == (0.5, "l", "why", None, "CODE")
    assert (a.token_count, a.total_cost, a.metadata, a.trace_id) == (3, 0.1, {"m": 7}, TRACE)
    assert (bc.score, bc.error, bc.name, bc.evaluator) == (None, "Boom", "b.c", "b.c"), "who failed gave no score"
    assert (p.score, p.label, p.explanation, p.annotator_kind) == (1, "L", "T", "HUMAN")
    assert results.evaluators == (
        ResultEvaluator("a", "CODE", ("score", "label", "explanation", "error", "token_count", "total_cost")),
        ResultEvaluator("b.c", "CODE", ("score", "error")),
    )
    assert [(one.name, one.parts) for one in results.people] == [("p", ("score", "label", "text"))]
    assert results.metadata == ("model", "k")
    assert (results.unscored, results.origin) == (0, "the results")
    assert list(results.others or ()) == ["id", "model", "metadata.k", "metadata", "eval.a.metadata.m"]


def test_a_failed_run_keeps_what_stood_in_the_place_of_its_output() -> None:
    rows = [{"example_id": f"e{n}", "output": output, "error": "Boom", "eval.a.score": score}
            for n, (output, score) in enumerate([("half", 1.0), ("", None), (None, 0.0), (0, None)])]  # fmt: skip
    results = read_results(rows)
    assert [run.record.output_json for run in results.runs] == [None] * 4
    assert [run.record.metadata for run in results.runs] == [{"output": "half"}, {}, {}, {"output": 0}]
    assert results.unscored == 2
    assert [(len(run.evaluations), len(run.counted)) for run in results.runs] == [(1, 0), (0, 0), (1, 0), (0, 0)]
    assert [row["eval.a.score"] for row in result_rows(results)] == [1.0, None, 0.0, None]
    assert [row["eval.a.score"] for row in result_rows(results, counted=True)] == [None] * 4
    told = [{**rows[0], "error": None, "status": "failed"}, {**rows[1], "output": "x", "error": None, "status": "ok"}]
    assert [run.error for run in read_results(told).runs] == ["failed; the results give no reason", None]


SECONDS = 2**37
LATEST = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=SECONDS)


@pytest.mark.parametrize(
    ("column", "cell", "kept"),
    [
        ("latency_ms", 0, 0),
        ("latency_ms", 1e12, 1e12),
        ("token_count", 0.0, 0),
        ("token_count", 2**31 - 1.0, 2**31 - 1),
        ("total_cost", 0, 0.0),
        ("repetition_number", 1.0, 1),
        ("repetition_number", "1000", 1000),
        ("start_time", "1970-01-01T00:00:00Z", 0.0),
        ("start_time", datetime(1970, 1, 1, 0, 1), 60.0),  # without a zone it is UTC
        ("start_time", " 1970-01-01 01:01+01:00 ", 60.0),
        ("start_time", datetime(1970, 1, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 60.0),
        ("end_time", LATEST, SECONDS),
        ("trace_id", f" {TRACE.upper()} ", TRACE),
        ("trace_id", TRACE[:-1], None),
        ("trace_id", f"{TRACE}0", None),
        ("trace_id", f"{TRACE[:-1]}g", None),
    ],
)
def test_a_cell_at_its_bounds(column: str, cell: Any, kept: Any) -> None:
    with in_zone("Asia/Tokyo"):
        [run] = read_results([{"example_id": "e0", "output": 1, column: cell}]).runs
    assert getattr(run.record, column) == kept
    if column == "trace_id":
        assert run.record.metadata == ({} if kept else {"trace_id": cell})


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("latency_ms", -0.001, " must be milliseconds from 0 on, got -0.001"),
        ("latency_ms", 2e12, " must be milliseconds from 0 to 1,000,000,000,000, got 2e+12"),
        ("token_count", -1.0, " must be a whole number from 0 to 2,147,483,647, got -1"),
        ("token_count", 2**31, " must be a whole number from 0 to 2,147,483,647, got 2.14748e+09"),
        ("token_count", 0.5, " must be a whole number from 0 to 2,147,483,647, got 0.5"),
        ("repetition_number", 0.0, " must be a whole number from 1 to 1,000, got 0"),
        ("repetition_number", 1001, " must be a whole number from 1 to 1,000, got 1001"),
        ("repetition_number", "", " is empty; repetitions count from 1"),
        ("total_cost", -1e-9, " must be US dollars from 0 on, got -1e-09"),
        ("total_cost", True, ": True is a truth value, not a number. Leave empty what is missing"),
        ("total_cost", "1_0", ": '1_0' is not a number. Leave empty what is missing"),
        ("total_cost", "x" * 60, f": '{'x' * 38}… is not a number. Leave empty what is missing"),
        ("total_cost", -math.inf, ": -inf is infinite; a number must be finite. Leave empty what is missing"),
        ("start_time", -0.5, ": -0.5 is no time; write it as 2025-12-31T23:59:59+00:00, or give a datetime"),
        ("start_time", "1969-12-31T23:59:59Z", ": '1969-12-31T23:59:59Z' is no time that a run can have been made at"),
        ("end_time", LATEST + timedelta(seconds=1), ": datetime.datetime(6325, 4, 8, 15, 4, 33… is no time that a run "
         "can have been made at"),
        ("example_id", "", " is empty; every row needs the id of its example"),
        ("error", 2, ": 2 is a number; an error is a text, blank where there is none. If it means something else, "
         "rename the column, and it is kept as metadata"),
        ("status", "x" * 50, f": unknown status '{'x' * 39}…'. Known: ok, success, succeeded, completed, unset, error, "
         "failed, failure. If it means something else, rename the column, and it is kept as metadata"),
        ("eval.a.label", [1], " must be text, got a value of type list. Convert it first"),
        ("metadata", "[1]", " must be an object, or the JSON text of one"),
        ("metadata", "{", " must be an object, or the JSON text of one"),
    ],
)  # fmt: skip
def test_a_cell_that_cannot_be_what_its_column_says(column: str, cell: Any, said: str) -> None:
    rows = [{"example_id": "e0", "output": 1}, {"example_id": "e1", "output": 1, column: cell}]
    if column == "repetition_number":
        rows[0][column] = 1
    with pytest.raises(InvalidDataset) as refused:
        read_results(rows)
    assert str(refused.value) == f"the results: column {column!r}, row 2{said}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start_time": "2026-01-01T00:00:03Z"}, "row 1: the start_time is after the end_time"),
        ({"model": 1, "metadata": {"model": 2}}, "column 'metadata', row 1 has the field 'model', and there is a "
         "column of that name as well. Rename one of them"),
        ({"metadata.model": 1}, "columns 'model' and 'metadata.model' would both be the metadata 'model'. Rename one "
         "of them"),
    ],
)  # fmt: skip
def test_what_cannot_be_together(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidDataset) as refused:
        read_results([{**ROW, **changes}])
    assert str(refused.value) == f"the results: {said}"
    assert read_results([{**ROW, "start_time": ROW["end_time"]}]).runs, "what took no time"


def test_columns_by_their_names() -> None:
    assert [run.example_id for run in read_results({"example_id": ("a", "b"), "output": [1, None]}).runs] == ["a", "b"]
    for odd in ({"example_id": ["a"], "output": [1, 2]}, {"example_id": ["a"], "output": "x"}, {"example_id": {}}):
        with pytest.raises(InvalidInput, match=r"^a mapping of results must give a list for each column, all as long$"):
            read_results(odd)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((None, None), "example 'e0', repetition 1 stands in row 1 and in row 3. Drop one, or add a column "
         "'repetition_number'"),
        ((2, 2), "example 'e0', repetition 2 stands in row 1 and in row 3. Drop one, or number the repetitions"),
        ((1, 2), None),
    ],
)  # fmt: skip
def test_an_examples_repetition_stands_in_one_row(numbers: tuple[Any, Any], said: str | None) -> None:
    rows = [{"example_id": name, "output": 1} for name in ("e0", "e1", "e0")]
    if numbers[0] is not None:
        for row, number in zip(rows, (numbers[0], 1, numbers[1]), strict=True):
            row["repetition_number"] = number
    results = read_results(rows)
    if said is None:
        return refuse_doubles(results)
    with pytest.raises(InvalidDataset) as refused:
        refuse_doubles(results)
    assert str(refused.value) == f"the results: {said}"
    return None


NAN = math.nan


@pytest.mark.parametrize(
    ("given", "dated"),
    [
        ((NAN, NAN, None), (50.0, 50.0, None)),
        ((NAN, NAN, 0.0), (50.0, 50.0, 0.0)),
        ((NAN, NAN, 2000.0), (48.0, 50.0, 2000.0)),
        ((10.0, NAN, None), (10.0, 10.0, None)),
        ((10.0, NAN, 2000.0), (10.0, 12.0, 2000.0)),
        ((NAN, 10.0, None), (10.0, 10.0, None)),
        ((NAN, 10.0, 2000.0), (8.0, 10.0, 2000.0)),
        ((10.0, 11.5, None), (10.0, 11.5, 1500.0)),
        ((10.0, 11.5, 7.0), (10.0, 11.5, 7.0)),
        ((10.0, 10.0, None), (10.0, 10.0, None)),
    ],
)
def test_a_time_that_is_not_given_follows_from_the_others(given: Any, dated: Any) -> None:
    start, end, latency = given
    judged = {"a": EvaluationRecord(-1, 1, "a", "a", "CODE", "f", 1.0)}
    noted = {"p": EvaluationRecord(-1, 1, "p", "p", "HUMAN", "f", 1.0)}
    for error, said in ((None, ["a", "p"]), ("Boom", ["p"])):
        record = RunRecord(-1, 1, "e0", None if error else "1", error, start, end, latency_ms=latency)
        found = ResultRun(1, record, evaluations=judged, annotations=noted).dated(50.0)
        assert (found.run.start_time, found.run.end_time, found.run.latency_ms) == dated
        assert [(one.name, one.start_time, one.end_time) for one in found.evaluations] == [
            (name, dated[1], dated[1]) for name in said
        ]


def test_rows_without_ids_get_one_of_their_content_in_whatever_order_they_stand() -> None:
    rows = [{"input": "q", "output": output} for output in ("a", "b", "c")] + [{"input": "other", "output": "a"}]
    found = []
    for some in (rows, rows[::-1]):
        results, examples = with_examples(read_results(some, alone=True))
        found.append({(run.input, run.record.output): run.example_id for run in results.runs})
        assert [(one.id, one.input) for one in examples] == [(run.example_id, run.input) for run in results.runs]
    assert found[0] == found[1]
    base = found[0]["q", "a"]
    assert [found[0]["q", output] for output in "abc"] == [base, f"{base}-2", f"{base}-3"]
    assert not found[0]["other", "a"].startswith(base)
    repeated = [{"input": "q", "output": n, "repetition_number": n} for n in (1, 2)]
    results, examples = with_examples(read_results(repeated, alone=True))
    assert (len(examples), {run.example_id for run in results.runs}) == (1, {base})


def test_the_same_results_are_known_in_any_order() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"output": 2}, {"error": "x"}, {"latency_ms": 1}, {"token_count": 1}, {"eval.a.score": 1.0}, {"model": "m"},
        {"eval.a.label": "l"}, {"annotation.a.score": 1.0}, {"eval.a.token_count": 1, "eval.a.score": 1.0},
        {"eval.a.token_count": 2, "eval.a.score": 1.0}, {"eval.a.total_cost": 1, "eval.a.score": 1.0},
        {"start_time": NEW_YEAR}, {"end_time": NEW_YEAR}, {"total_cost": 1}, {"trace_id": TRACE},
    ]  # fmt: skip
    prints = []
    for change in changes:
        rows = [{"example_id": "e0", "output": 1, **change}, {"example_id": "e1", "output": 1}]
        one, other = (fingerprint_of(read_results(some).runs) for some in (rows, rows[::-1]))
        assert one == other
        prints.append(one)
    assert len(set(prints)) == len(changes)
    assert fingerprint_of((), "a") != fingerprint_of((), "b")


def test_evaluators_that_give_other_names_than_their_own() -> None:
    assert given_names([]) == {}
    assert given_names([("a", "a", True), ("b", "b", False)]) == {}
    assert given_names([("a", "x", True), ("a", "y", False), ("a", "x", True)]) == {"a": ("x", "y")}
    for said in itertools.permutations([("a", "x", True), ("a", "a", False)]):
        assert given_names(said) == {"a": ("x",)}, "an error only, under its own"
    for said in itertools.permutations([("a", "x", True), ("a", "a", True)]):
        assert given_names(said) == {}


def test_which_examples_should_have_an_evaluation_of_a_name() -> None:
    given = [("a", "a", 1), ("a", "x", 2), ("b", "x", 3), ("c", "y", 4)]
    assert meant_by_name({}, given) == {}
    assert meant_by_name({"a": (5, 6)}, given) == {"a": {1, 5, 6}}, "all should have x: b is meant for all"
    assert meant_by_name({"a": (5,), "b": ()}, given) == {"a": {1, 5}, "b": set(), "x": {2, 3, 5}}
