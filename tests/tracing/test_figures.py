"""Tokens and cost of a run: those of its trace's spans, none of them twice."""

import asyncio
import json
import threading

import pytest
from opentelemetry import context, trace

from prefect_experiments.tracing import ExperimentTracer
from prefect_experiments.tracing.router import own_provider
from support.patience import PATIENCE_S

from .harness import experiment, exported

# Not by way of the global provider: that can be set once in a process (see test_global.py).
spans = own_provider().get_tracer("user")


def tokens(total=None, *, prompt=None, completion=None, cost=None, **costs):
    given = {"total": total, "prompt": prompt, "completion": completion}
    attributes = {f"llm.token_count.{name}": value for name, value in given.items() if value is not None}
    attributes |= {f"llm.cost.{name}": value for name, value in {"total": cost, **costs}.items() if value is not None}
    return attributes


def figures(task, **options):
    run = experiment(task, [1], tracer=ExperimentTracer("project"), **options).run()
    assert run.error is None, run.error
    return run.token_count, run.total_cost


def llm(**attributes):
    spans.start_span("llm", attributes=tokens(**attributes)).end()


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], (None, None)),
        ([{}], (None, None)),
        ([{"total": 7}], (7, None)),
        ([{"total": 0}], (0, None)),
        ([{"prompt": 5, "completion": 2}], (7, None)),
        ([{"total": 8, "prompt": 5, "completion": 2}], (8, None)),
        ([{"prompt": 5}], (5, None)),
        ([{"total": 7}, {"total": 3}, {"cost": 0.25}], (10, 0.25)),
        ([{"cost": 0.5}, {"cost": 0.25}], (None, 0.75)),
        ([{"prompt": 0.5, "total": 3, "completion": 1}], (3, None)),
        ([{"total": "many"}, {"total": True}, {"total": -1}, {"total": float("nan")}], (None, None)),
    ],
)
def test_they_are_summed(calls, expected):
    def task(input):
        for call in calls:
            llm(**call)

    assert figures(task) == expected


def test_a_call_whose_model_nobody_names():
    def task(input):
        kind = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 7}
        spans.start_span("llm", attributes=kind).end()

    run = experiment(task, [1], tracer=ExperimentTracer("project")).run()
    assert (run.token_count, run.total_cost, json.loads(run.unpriced_json)) == (7, None, {"a model without a name": 1})


def test_cost_by_parts():
    def task(input):
        spans.start_span("llm", attributes={"llm.cost.prompt": 0.5, "llm.cost.completion": 0.25}).end()

    assert figures(task) == (None, 0.75)


def test_a_span_that_repeats_what_those_below_it_say_is_not_counted_again():
    def task(input):
        with spans.start_as_current_span("agent", attributes=tokens(10, cost=0.5)):
            with spans.start_as_current_span("step"):
                llm(total=6, cost=0.3)
            with spans.start_as_current_span("step", attributes=tokens(4)):
                llm(total=4, cost=0.2)
        llm(total=1)

    assert figures(task) == (11, 0.5)


def test_tokens_and_cost_are_each_counted_where_they_are_known():
    def task(input):
        with spans.start_as_current_span("agent", attributes=tokens(10, cost=0.5)):
            llm(total=9)

    assert figures(task) == (9, 0.5)


def test_a_span_between_that_is_still_open_does_not_hide_that_they_are_one():
    def task(input):
        agent = spans.start_span("agent", attributes=tokens(10))
        step = spans.start_span("step", trace.set_span_in_context(agent))
        spans.start_span("llm", trace.set_span_in_context(step), attributes=tokens(10)).end()
        agent.end()

    assert figures(task) == (10, None)


def test_children_that_end_after_their_parent_are_counted_while_the_run_lasts():
    async def task(input):
        with spans.start_as_current_span("agent"):
            child = asyncio.create_task(later())
        await child

    async def later():
        await asyncio.sleep(0.01)
        llm(total=5)

    assert figures(task) == (5, None)


def test_all_attempts_have_cost_money():
    attempts = []

    def task(input):
        attempts.append(1)
        llm(total=3)
        if len(attempts) < 3:
            raise ValueError("again")

    assert figures(task, retries=5) == (9, None)


def test_figures_on_the_runs_own_span_count_where_nothing_below_has_any(collector):
    def task(input):
        trace.get_current_span().set_attribute("llm.token_count.total", 12)
        if input == 2:
            llm(total=5)

    sink = exported(collector, task, [1, 2])
    assert [sink.run(0).token_count, sink.run(1).token_count] == [12, 5]


def test_runs_that_fail_have_figures_too():
    def task(input):
        llm(total=3)
        raise ValueError

    [run] = experiment(task, [1], tracer=ExperimentTracer("project")).runs
    assert (run.token_count, run.error) == (3, "ValueError")


def test_each_run_has_its_own():
    async def task(input):
        for _ in range(input):
            await asyncio.sleep(0.001)
            await asyncio.to_thread(llm, total=10)

    sink = experiment(task, range(12), tracer=ExperimentTracer("project"), concurrency=5)
    assert {run.position: run.token_count for run in sink.runs} == {n: 10 * n or None for n in range(12)}


def test_what_ends_after_the_run_is_sent_but_not_counted(collector):
    over, ended = threading.Event(), threading.Event()

    def task(input):
        llm(total=1)
        carried = context.get_current()
        threading.Thread(target=straggle, args=(carried,)).start()

    def straggle(carried):
        span = spans.start_span("straggler", carried, attributes=tokens(100))
        over.wait(PATIENCE_S)
        span.end()
        ended.set()

    sink = exported(collector, task, [1])
    over.set()
    assert ended.wait(PATIENCE_S)
    [straggler] = [span for span in collector.wait_for(3) if span.name == "straggler"]
    [root] = collector.named("Task: task")
    assert sink.run().token_count == 1
    assert (straggler.trace_id, straggler.parent_id) == (root.trace_id, root.span_id)
    assert straggler.project == "project"


def test_an_evaluators_tokens_are_not_the_runs(collector):
    def judge(output):
        llm(total=50)
        return 1.0

    sink = exported(collector, lambda given: llm(total=2), [1], [judge])
    assert sink.run().token_count == 2
    judged = [span for span in collector.named("llm") if span.attributes["llm.token_count.total"] == 50]
    assert [span.trace_id for span in judged] == [sink.evaluation().trace_id]
