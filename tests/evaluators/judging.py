"""One call of one evaluator, as the engine makes it."""

from __future__ import annotations

import asyncio
import atexit
import dataclasses
import functools
import inspect
import json
from collections.abc import Awaitable
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


@functools.cache
def built_in(text: str) -> BoundEvaluator:
    return bind(text)


def results(evaluator: Any, *args: Any, **kwargs: Any) -> list[EvaluationResult]:
    """What an evaluator says of an output, an expected output, ..."""
    bound = built_in(evaluator) if isinstance(evaluator, str) else bind(evaluator)
    value = bound.call(fields(*args, **kwargs))
    assert inspect.isawaitable(value) == bound.is_async
    if inspect.isawaitable(value):
        value = run(value)
    return parsed(bound, value)


def parsed(bound: BoundEvaluator, raw: Any) -> list[EvaluationResult]:
    """What was said, without a trace's id: phoenix.evals adds one if any test before has set a global provider."""
    said = bound.parse(raw)
    return [
        dataclasses.replace(one, metadata={k: v for k, v in one.metadata.items() if k != "trace_id"}) for one in said
    ]


def run(awaitable: Awaitable[Any]) -> Any:
    """In one loop for all calls, as in an experiment: clients keep connections that belong to a loop."""
    return _loop().run_until_complete(awaitable)


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


def result(evaluator: Any, *args: Any, **kwargs: Any) -> EvaluationResult:
    [only] = results(evaluator, *args, **kwargs)
    return only


def score(evaluator: Any, *args: Any, **kwargs: Any) -> float:
    value = result(evaluator, *args, **kwargs).score
    assert value is not None
    return value
