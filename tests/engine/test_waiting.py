"""Waiting for a limit is not the call's doing: it never counts against its timeout."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from prefect_experiments.engine import CallPolicy, Engine
from prefect_experiments.engine.limits import shared_limit
from prefect_experiments.evaluators import create_evaluator, resolve_evaluators
from prefect_experiments.tasks import resolve_task

from .harness import ListSink, evaluate, evaluation_items, run, run_items

TIMEOUT = 1.5
WAIT = 1.7


class Busy(Exception):
    def __init__(self, status_code=429):
        super().__init__("busy")
        self.status_code = status_code
        self.retry_after = WAIT


class Slow:
    """A pace at which every call has to wait for longer than it may take."""

    async def acquire(self):
        await asyncio.sleep(WAIT)


def refused_once(status_code=429):
    lock, seen = threading.Lock(), []

    def call(x):
        with lock:
            seen.append(time.monotonic())
            first = len(seen) == 1
        if first:
            raise Busy(status_code)
        return x

    return call, seen


def sync(call):
    return call


def awaiting(call):
    async def acall(x):
        await asyncio.sleep(0)
        return call(x)

    return acall


def gives_awaitable(call):
    return lambda x: awaiting(call)(x)


FORMS = pytest.mark.parametrize("form", [sync, awaiting, gives_awaitable])


@FORMS
@pytest.mark.parametrize("status_code", [429, 503])
def test_a_task_waits_as_long_as_its_provider_asks(form, status_code):
    call, seen = refused_once(status_code)
    row = run(form(call), ["x"], timeout=TIMEOUT, retries=1).run()
    assert (row.error, row.output_json, row.attempts) == (None, '"x"', 2)
    assert seen[1] - seen[0] >= WAIT


@pytest.mark.thorough
@FORMS
@pytest.mark.parametrize("kind", ["LLM", "CODE"])
def test_an_evaluator_waits_as_long_as_its_provider_asks(form, kind):
    call, seen = refused_once()
    judge = create_evaluator(kind=kind, name="judge")(form(call))
    results = evaluate(judge, ["a", "b", "c"], timeout=TIMEOUT, retries=0, concurrency=1)
    assert sorted(row.label for row in results.evaluations) == ["a", "b", "c"]
    assert seen[-1] - seen[0] >= WAIT


@pytest.mark.thorough
@FORMS
def test_a_limit_met_before_is_waited_for_by_first_attempts_too(form):
    call, _ = refused_once()

    async def main():
        sink = ListSink()
        judges = resolve_evaluators({"judge": create_evaluator(kind="LLM")(form(lambda x: x))})
        engine = Engine(
            resolve_task(form(call)), judges, sink=sink, concurrency=2, policy=CallPolicy(timeout=TIMEOUT, retries=0)
        )
        running = asyncio.create_task(engine.run(run_items(["first"])))
        while shared_limit(__name__.partition(".")[0]).rate == float("inf") and not running.done():
            await asyncio.sleep(0.01)
        await asyncio.gather(
            running, engine.run(run_items(["second", "third"])), engine.evaluate(evaluation_items("ab", ["judge"]))
        )
        return sink

    sink = asyncio.run(main())
    assert sink.errors() == []
    assert [row.error for row in sink.evaluations] == [None, None]


@pytest.mark.thorough
@FORMS
def test_a_pace_is_waited_for(form):
    async def main():
        sink = ListSink()
        judges = resolve_evaluators({"judge": create_evaluator(kind="LLM")(form(lambda x: x))})
        policy = CallPolicy(timeout=TIMEOUT, retries=0)
        engine = Engine(resolve_task(form(lambda x: x)), judges, sink=sink, policy=policy, pace=Slow())
        await engine.run(run_items(range(3)))
        await engine.evaluate(evaluation_items("abc", ["judge"]))
        return sink

    sink = asyncio.run(main())
    assert sink.errors() == []
    assert sorted(row.label for row in sink.evaluations) == ["a", "b", "c"]
