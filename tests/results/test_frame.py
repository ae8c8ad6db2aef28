"""The table of results in our own shape: its columns, their order and types, and who has said what."""

from __future__ import annotations

import math
from typing import Any

from prefect_experiments.models import Example
from prefect_experiments.records import EvaluationRecord, RunIds, RunRecord
from prefect_experiments.results import Results, read_results, result_frame, result_rows, results_of
from prefect_experiments.results.frame import example_frame

RUN = ["id", "example_id", "repetition_number", "input", "expected", "output", "status", "error", "latency_ms",
       "token_count", "total_cost", "trace_id"]  # fmt: skip
PARTS = ["score", "label", "explanation", "error"]


def run(position: int, error: str | None = None, **more: Any) -> RunRecord:
    return RunRecord(position, 1, f"e{position}", None if error else f'"o{position}"', error, 1.0, 2.0, **more)


def said(position: int, evaluator: str, name: str | None = None, **more: Any) -> EvaluationRecord:
    return EvaluationRecord(position, 1, name or evaluator, evaluator, "CODE", "f", **more)


def made(**more: Any) -> Results:
    given: dict[str, Any] = {
        "runs": [run(0, metadata_json='{"model":"m"}', token_count=5), run(1, "Boom")],
        "evaluations": [
            said(0, "right", score=1.0, metadata_json='{"direction":"minimize"}'),
            said(1, "right", score=0.0, total_cost=0.5),
            said(0, "several", "one", label="x"),
            said(0, "several", "two", score=0.25),
            said(1, "several", error="ValueError: no", token_count=3),
            said(0, "asked", metadata_json='{"pending":"is it kind?"}'),
            said(7, "right", score=9.0),
        ],
        "examples": {"e0": Example(id="e0", input="i0", output="x0")},
        "annotations": [said(0, "tone", score=0.5, explanation="t"), said(7, "other", score=1.0)],
        "evaluators": ["right", "several", "silent"],
    }
    return results_of("here", RunIds("exp-1"), **given | more)


def test_the_columns_are_those_of_whoever_said_anything() -> None:
    frame = result_frame(made())
    assert list(frame.columns) == [
        *RUN,
        *(f"eval.right.{part}" for part in [*PARTS, "metadata.direction", "total_cost"]),
        *(f"eval.silent.{part}" for part in PARTS),
        *(f"eval.one.{part}" for part in [*PARTS, "token_count"]),
        *(f"eval.two.{part}" for part in PARTS),
        *(f"eval.asked.{part}" for part in [*PARTS, "metadata.pending"]),
        "metadata.model",
        *(f"annotation.tone.{part}" for part in ("score", "label", "text")),
    ]
    assert {name: str(kind) for name, kind in frame.dtypes.items() if str(kind) != "object"} == {
        "repetition_number": "int64",
        **dict.fromkeys(
            ["latency_ms", "token_count", "total_cost", "eval.right.score", "eval.right.total_cost",
             "eval.silent.score", "eval.one.score", "eval.one.token_count", "eval.two.score", "eval.asked.score"],
            "float64",
        ),
    }  # fmt: skip


def test_the_rows_say_what_was_said_of_each_run() -> None:
    first, second = ({k: v for k, v in row.items() if v is not None} for row in result_rows(made()))
    assert first == {
        "id": "exp-1.0.1", "example_id": "e0", "repetition_number": 1, "input": "i0", "expected": "x0", "output": "o0",
        "status": "ok", "token_count": 5, "eval.right.score": 1.0, "eval.right.metadata.direction": "minimize",
        "eval.one.label": "x", "eval.two.score": 0.25, "eval.asked.metadata.pending": "is it kind?",
        "metadata.model": "m", "annotation.tone.score": 0.5, "annotation.tone.text": "t",
    }  # fmt: skip
    assert second == {
        "id": "exp-1.1.1", "example_id": "e1", "repetition_number": 1, "status": "error", "error": "Boom",
        "eval.right.score": 0.0, "eval.right.total_cost": 0.5, "eval.one.error": "ValueError: no",
        "eval.one.token_count": 3, "eval.two.error": "ValueError: no",
    }  # fmt: skip
    counted = result_rows(made(), counted=True)
    assert [row["eval.right.score"] for row in counted] == [1.0, None]
    assert [row["eval.one.error"] for row in counted] == [None, "ValueError: no"]
    assert [row["eval.right.total_cost"] for row in counted] == [None, 0.5]


def test_without_runs_there_are_the_columns() -> None:
    frame = result_frame(made(runs=[]))
    assert (len(frame), list(frame.columns)[: len(RUN)]) == (0, RUN)
    assert "eval.silent.score" in frame.columns
    assert "eval.right.total_cost" not in frame.columns, "nobody said it of these runs"


def test_a_table_keeps_its_further_columns_as_they_are() -> None:
    rows = [{"example_id": f"e{n}", "output": n, "model": name, "n": n} for n, name in enumerate(["m", None])]
    frame = result_frame(read_results(rows))
    assert list(frame.columns) == ["example_id", "repetition_number", "output", "status", "model", "n"]
    assert str(frame["n"].dtype) == "int64"
    assert [None if isinstance(v, float) and math.isnan(v) else v for v in frame["model"]] == ["m", None]


def test_examples_as_flat_columns() -> None:
    examples = [Example(id="a", input={"q": 1}), Example(id="b", input={"r": 2}, output="x")]
    assert list(example_frame(examples).columns) == ["id", "q", "r", "output"]
    assert (list(example_frame([]).columns), len(example_frame([]))) == (["id"], 0)
