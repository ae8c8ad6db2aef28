"""Evaluators whose returns are read as AX's client reads them, and evaluators as the task of an experiment."""

from __future__ import annotations

import asyncio
import inspect
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from prefect_experiments import evaluator_task
from prefect_experiments.errors import InvalidEvaluator, InvalidInput
from prefect_experiments.evaluators import EvaluationResult, create_evaluator
from prefect_experiments.evaluators.ax import as_before, ax_evaluators
from prefect_experiments.models import Example

from .judging import bind

Pair = namedtuple("Pair", "score label")


def judge(output: Any) -> Any:
    return output


@create_evaluator(kind="LLM")
def created(output: Any) -> Any:
    return output


@create_evaluator(scorer=lambda value: value)
def scored(output: Any) -> Any:
    return output


@pytest.mark.parametrize(
    ("value", "usual", "as_ax"),
    [
        ((1, "why"), EvaluationResult(1.0, "why"), EvaluationResult(1.0, explanation="why")),
        ((True, "why"), EvaluationResult(1.0, "why"), EvaluationResult(1.0, explanation="why")),
        ((np.float64(0.5), None), EvaluationResult(0.5), EvaluationResult(0.5)),
        ([0.5, "why"], None, EvaluationResult(0.5, explanation="why")),
        (Pair(1, "good"), EvaluationResult(1.0, "good"), EvaluationResult(1.0, "good")),
        ((None, "good"), EvaluationResult(label="good"), EvaluationResult(label="good")),
        ((1, "good", "why"), EvaluationResult(1.0, "good", "why"), EvaluationResult(1.0, "good", "why")),
        ((1, 2), None, None),
        (("good", "why"), None, None),
        (0.5, EvaluationResult(0.5), EvaluationResult(0.5)),
    ],
    ids=repr,
)
def test_a_pair_is_score_and_explanation_there(value: Any, usual: Any, as_ax: Any) -> None:
    for evaluator in (judge, created):
        [ax] = ax_evaluators(evaluator)
        for bound, wanted in ((bind(evaluator), usual), (ax, as_ax)):
            if wanted is None:
                with pytest.raises(TypeError):
                    bound.parse(value)
            else:
                assert bound.parse(value) == [wanted]


def test_which_of_the_two_it_was_is_part_of_the_fingerprint() -> None:
    usual = [bind(judge), bind("exact_match"), bind(scored)]
    ax = ax_evaluators([judge, "exact_match", scored])
    assert ax[0].fingerprint == f"ax{usual[0].fingerprint[:-2]}"
    assert [one.fingerprint for one in ax[1:]] == [one.fingerprint for one in usual[1:]], "they are read the same way"
    assert [one.parse for one in ax[1:]] == [one.parse for one in usual[1:]]
    assert ax_evaluators(ax[0]) == (ax[0],)


@pytest.mark.parametrize(
    ("known", "reads_as_ax"),
    [
        ({}, [False, False]),
        ({"judge": "0f"}, [False, False]),
        ({"judge": "ax0f"}, [True, True]),
        ({"judge": "0f", "created": "ax0f"}, [False, True]),
        ({"judge": "0f", "other": "ax0f"}, [False, True]),
    ],
)
def test_what_goes_on_with_an_experiment_is_read_as_before(known: dict[str, str], reads_as_ax: list[bool]) -> None:
    found = as_before([bind(judge), bind(created)], known)
    assert [one.parse((1, "x"))[0].explanation == "x" for one in found] == reads_as_ax
    assert [one.fingerprint.startswith("ax") for one in found] == reads_as_ax


EXAMPLE = Example(
    id="e0", input={"q": "2 + 2?"}, output={"answer": "5", "label": "wrong"}, metadata={"m": {"k": 1}}, splits=("s",)
)


def given(output: Any, input: Any, expected: Any, metadata: Any) -> Any:
    return 1, str([output, input, expected, metadata])


async def awaited(output: Any) -> Any:
    return output == "5", "told"


def several(output: Any) -> Any:
    return [EvaluationResult(1.0, name="a"), EvaluationResult(label="x", explanation="y", name="b")]


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({}, [{"answer": "5", "label": "wrong"}, {"q": "2 + 2?"}, None, {}]),
        ({"output": "output.answer", "input": None}, ["5", None, None, {}]),
        ({"output": "reference.label", "input": "input.q", "expected": "expected.answer", "metadata": "metadata.m"},
         ["wrong", "2 + 2?", "5", {"k": 1}]),
        ({"output": "metadata.m.k", "expected": "metadata"}, [1, {"q": "2 + 2?"}, {"m": {"k": 1}}, {}]),
    ],
)  # fmt: skip
def test_a_judge_sees_what_is_named_and_nothing_else(fields: dict[str, Any], seen: list[Any]) -> None:
    assert evaluator_task(given, **fields)(EXAMPLE) == {"score": 1.0, "label": str(seen), "explanation": None}


def test_its_verdict_is_the_tasks_output() -> None:
    for evaluator, name in ((awaited, "awaited"), (lambda output: awaited(output), "lambda")):
        task = evaluator_task(evaluator, output="output.answer")
        assert (task.__name__, inspect.iscoroutinefunction(task)) == (name, evaluator is awaited)
        assert asyncio.run(task(EXAMPLE)) == {"score": 1.0, "label": "told", "explanation": None}
    assert evaluator_task(several)(EXAMPLE) == {
        "a": {"score": 1.0, "label": None, "explanation": None},
        "b": {"score": None, "label": "x", "explanation": "y"},
    }


KNOWN = "Known: input, output, expected, reference, metadata"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"output": None}, f"output=: unknown field of an example None. {KNOWN}"),
        ({"output": "outputs"}, f"output=: unknown field of an example 'outputs'; did you mean 'output'? {KNOWN}"),
        ({"expected": 5}, f"expected=: unknown field of an example 5. {KNOWN}"),
        ({"metadata": "id"}, f"metadata=: unknown field of an example 'id'. {KNOWN}"),
    ],
)
def test_a_field_that_no_example_can_have(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        evaluator_task(given, **fields)
    assert str(refused.value) == said


def test_what_one_example_lacks_is_its_error() -> None:
    for fields, said in (
        ({"output": "output.nothing"}, "example 'e0' has no output.nothing"),
        ({"metadata": "input.q"}, "metadata='input.q' must lead to an object, got str"),
    ):
        with pytest.raises(InvalidInput) as refused:
            evaluator_task(given, **fields)(EXAMPLE)
        assert str(refused.value) == said
    for evaluators, n in (([], 0), ([given, several], 2), (None, 0)):
        with pytest.raises(
            InvalidEvaluator, match=f"^evaluator_task takes one evaluator, got {n}; make one task of each$"
        ):
            evaluator_task(evaluators)
