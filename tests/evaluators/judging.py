"""One call of one evaluator, as the engine makes it."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

from prefect_experiments.evaluators import BoundEvaluator, EvaluationResult, resolve_evaluators
from prefect_experiments.tasks import Fields


def fields(output: Any = None, expected: Any = None, *, input: Any = None, metadata: Any = None) -> Fields:
    return Fields(
        "ex-1",
        json.dumps({"q": 1} if input is None else input),
        None if expected is None else json.dumps(expected),
        json.dumps(metadata or {}),
        output_json=json.dumps(output),
        trace_id="0" * 31 + "1",
    )


def bind(evaluator: Any) -> BoundEvaluator:
    [bound] = resolve_evaluators(evaluator)
    return bound


def results(evaluator: Any, *args: Any, **kwargs: Any) -> list[EvaluationResult]:
    """What an evaluator says of an output, an expected output, ..."""
    bound = bind(evaluator)
    value = bound.call(fields(*args, **kwargs))
    assert inspect.isawaitable(value) == bound.is_async
    if inspect.isawaitable(value):
        value = asyncio.run(_awaited(value))
    return list(bound.parse(value))


async def _awaited(value: Any) -> Any:
    return await value


def result(evaluator: Any, *args: Any, **kwargs: Any) -> EvaluationResult:
    [only] = results(evaluator, *args, **kwargs)
    return only


def score(evaluator: Any, *args: Any, **kwargs: Any) -> float:
    value = result(evaluator, *args, **kwargs).score
    assert value is not None
    return value
