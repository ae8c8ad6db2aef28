"""A judge as the task of an experiment, and how it compares with people."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, EvaluationResult, Evaluator, Example, create_evaluator, run_experiment
from prefect_experiments.analysis.labels.agreement import meta_evaluation
from prefect_experiments.errors import InvalidEvaluator, InvalidInput
from prefect_experiments.evaluators.as_task import evaluator_task
from prefect_experiments.tasks import resolve_task

EXAMPLE = Example(
    id="e1",
    input={"question": "2 + 2?"},
    output={"answer": "4", "label": "right"},
    metadata={"reference": "4", "human.label": "right", "by": {"name": "Ada"}},
)


def length(output: str) -> int:
    return len(output)


@create_evaluator(kind="LLM", name="judge")
async def judge(input: Any, output: Any) -> EvaluationResult:
    await asyncio.sleep(0)
    return EvaluationResult(score=1.0, label="right", explanation=f"{input['question']} {output}")


class Exact(Evaluator):
    def evaluate(self, output: Any, expected: Any, **kwargs: Any) -> bool:
        return bool(output == expected)


def result(score: float | None = None, label: str | None = None, explanation: str | None = None) -> dict[str, Any]:
    return {"score": score, "label": label, "explanation": explanation}


@pytest.mark.parametrize(
    ("evaluator", "fields", "expected"),
    [
        (length, {"output": "output.answer"}, result(1.0)),
        (Exact, {"output": "output.answer", "expected": "metadata.reference"}, result(1.0, "True")),
        (Exact(), {"output": "expected.answer"}, result(0.0, "False")),
        ("exact_match", {"output": "output.answer", "expected": "metadata.reference"}, result(1.0, "True")),
        (lambda output: ("fine", "x")[output == "right"], {"output": "metadata.human.label"}, result(None, "x")),
        (
            functools.partial(lambda suffix, output: output + suffix, "!"),
            {"output": "output.answer"},
            result(None, "4!"),
        ),
        ({"named": length}, {"output": "metadata.by.name"}, result(3.0)),
        (lambda output: None, {"output": "input.question"}, result()),
    ],
)
def test_evaluators_of_every_sort(evaluator: Any, fields: dict[str, str], expected: dict[str, Any]) -> None:
    got = evaluator_task(evaluator, **fields)(EXAMPLE)
    assert got == {**expected, "explanation": got["explanation"]}


def test_an_async_one_gives_an_async_task() -> None:
    task = resolve_task(evaluator_task(judge, output="output.answer"))
    assert (task.name, task.is_async) == ("judge", True)
    assert asyncio.run(task.function(EXAMPLE)) == result(1.0, "right", "2 + 2? 4")
    disguised = evaluator_task(lambda input, output: judge(input, output), output="output.answer")  # noqa: A006
    assert asyncio.run(disguised(EXAMPLE))["label"] == "right"


def test_the_judge_sees_nothing_but_what_is_named() -> None:
    seen: dict[str, Any] = {}

    def spy(input: Any, output: Any, expected: Any, metadata: Any, example: Any, dataset_row: Any) -> bool:
        seen.update(input=input, output=output, expected=expected, metadata=metadata, row=dict(dataset_row))
        assert (example.id, example.output) == ("e1", expected)
        return True

    evaluator_task(spy, output="output.answer")(EXAMPLE)
    assert seen == {
        "input": {"question": "2 + 2?"},
        "output": "4",
        "expected": None,
        "metadata": {},
        "row": {"id": "e1", "question": "2 + 2?"},
    }
    assert "right" not in repr(seen)
    evaluator_task(spy, output="output.answer", input=None, metadata="metadata.by", expected="metadata.reference")(
        EXAMPLE
    )
    assert (seen["input"], seen["metadata"], seen["expected"]) == (None, {"name": "Ada"}, "4")


def test_several_results_stand_under_their_names() -> None:
    def two(output: str) -> list[EvaluationResult]:
        return [EvaluationResult(name="tone", label="warm"), EvaluationResult(name="size", score=len(output))]

    got = evaluator_task(two, output="output.answer")(EXAMPLE)
    assert got == {"tone": result(None, "warm"), "size": result(1)}


def test_the_fingerprint_follows_the_evaluator_and_the_fields() -> None:
    def of(version: str, output: str = "output.answer") -> str:
        return resolve_task(evaluator_task(create_evaluator(version=version)(length), output=output)).fingerprint

    assert of("1") == of("1")
    assert len({of("1"), of("2"), of("1", "output.label")}) == 3


@pytest.mark.parametrize(
    ("evaluator", "fields", "error", "message"),
    [
        ([length, judge], {}, InvalidEvaluator, "takes one evaluator, got 2"),
        (None, {}, InvalidEvaluator, "takes one evaluator, got 0"),
        (3, {}, InvalidEvaluator, "no evaluator"),
        (length, {"output": "outputs.answer"}, InvalidInput, "output=: unknown field of an example 'outputs.answer'"),
        (length, {"output": None}, InvalidInput, "output=: unknown field"),
        (length, {"metadata": "id"}, InvalidInput, "metadata=: unknown field of an example 'id'"),
    ],
)
def test_bad_input_is_told_before_anything_runs(evaluator: Any, fields: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        evaluator_task(evaluator, **fields)


def test_an_example_without_the_field_is_that_runs_error() -> None:
    with pytest.raises(InvalidInput, match=r"example 'e1' has no output\.text"):
        evaluator_task(length, output="output.text")(EXAMPLE)
    with pytest.raises(InvalidInput, match="must lead to an object, got str"):
        evaluator_task(length, output="output.answer", metadata="metadata.reference")(EXAMPLE)


def test_a_judge_meets_the_people(tmp_path: Path) -> None:
    def strict(output: str) -> EvaluationResult:
        if output == "?":
            raise ValueError("cannot tell")
        good = len(output) > 4
        return EvaluationResult(score=float(good), label="good" if good else "bad")

    rows = [
        {"id": f"e{n}", "input": {"q": n}, "output": {"answer": answer, "label": human}}
        for n, (answer, human) in enumerate(
            [("short", "good"), ("ok", "good"), ("no", "bad"), ("longer", "good"), ("?", "bad"), ("meh", "good")]
        )
    ]
    ran = run_experiment(
        dataset=rows,
        task=evaluator_task(strict, output="output.answer"),
        dry_run=6,
        retries=0,
        client=Client(store_url=f"sqlite:///{tmp_path / 'store.db'}"),
        print_summary=False,
    )
    found = meta_evaluation(ran, evaluator="output.label", human="expected.label", positive="good")
    assert (found.n, found.n_errors, found.n_missing_evaluator) == (5, 1, 0)
    assert found.labels is not None
    assert (found.labels.n_agree, found.labels.false_positives, found.labels.false_negatives) == (3, 0, 2)
    assert "no clear lean, p 0.5" in str(found)
