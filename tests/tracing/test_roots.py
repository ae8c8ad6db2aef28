"""What the root spans of an experiment are: names, kinds, attributes, errors, and nothing above them."""

import asyncio
import json
import re
import time

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from prefect_experiments.models import EvaluationResult
from prefect_experiments.tracing import ExperimentTracer
from support.patience import PATIENCE_S

from .harness import aexperiment, experiment, exported, tracer_to


def answer(input):
    return {"answer": input["q"].upper()}


async def aanswer(input):
    return {"answer": input["q"].upper()}


def same(output, expected):
    return output == expected


async def tone(output):
    return EvaluationResult(score=0.5, label="fair", explanation="Not warm.")


def test_each_run_and_each_evaluation_is_a_trace_of_its_own(collector):
    sink = exported(collector, answer, [{"q": "a"}, {"q": "b"}], [same, tone], repetitions=2, expected={"answer": "A"})
    assert sorted(span.name for span in collector.spans) == sorted(
        4 * ["Task: answer", "Evaluation: same", "Evaluation: tone"]
    )
    assert len({span.trace_id for span in collector.spans}) == 12
    assert {span.parent_id for span in collector.spans} == {""}
    assert {run.trace_id for run in sink.runs} == {span.trace_id for span in collector.named("Task: answer")}
    for name in ("same", "tone"):
        ids = {row.trace_id for row in sink.evaluations if row.evaluator == name}
        assert ids == {span.trace_id for span in collector.named(f"Evaluation: {name}")}
    for row in [*sink.runs, *sink.evaluations]:
        assert re.fullmatch("[0-9a-f]{32}", row.trace_id)


@pytest.mark.parametrize("task", [answer, aanswer])
def test_a_runs_span_has_what_went_in_and_came_out(collector, task):
    about = {"metadata": {"experiment_id": "e1", "dataset_id": "d1"}, "attributes": {"prefect.flow_run.id": "f1"}}
    exported(collector, task, [{"q": "a"}], tracer={"project": "mine", **about})
    [span] = collector.spans
    attributes = span.attributes
    assert json.loads(attributes.pop("metadata")) == {
        "experiment_id": "e1",
        "dataset_id": "d1",
        "example_id": "ex-0",
        "repetition_number": 1,
    }
    assert json.loads(attributes.pop("input.value")) == {"q": "a"}
    assert json.loads(attributes.pop("output.value")) == {"answer": "A"}
    assert attributes == {
        "openinference.span.kind": "CHAIN",
        "input.mime_type": "application/json",
        "output.mime_type": "application/json",
        "prefect.flow_run.id": "f1",
    }
    assert (span.status, span.events, span.links) == ("OK", [], [])
    assert span.project == "mine"
    assert span.resource["service.name"] == "prefect-experiments"


def test_texts_are_plain_and_nothing_is_left_out(collector):
    exported(collector, lambda given: given.upper(), ["grün \U0001f600"])
    exported(collector, lambda given: None, [1])
    text, nothing = collector.spans
    assert text.attributes["input.value"] == "grün \U0001f600"
    assert text.attributes["output.value"] == "GRÜN \U0001f600"
    assert text.attributes["input.mime_type"] == text.attributes["output.mime_type"] == "text/plain"
    assert nothing.attributes["input.value"] == "1"
    assert "output.value" not in nothing.attributes
    assert nothing.status == "OK"


def test_an_evaluations_span_has_the_verdict(collector):
    exported(collector, answer, [{"q": "a"}], [same, tone], expected={"answer": "A"})
    [span] = collector.named("Evaluation: tone")
    assert span.attributes["openinference.span.kind"] == "EVALUATOR"
    assert json.loads(span.attributes["input.value"]) == {
        "input": {"q": "a"},
        "output": {"answer": "A"},
        "expected": {"answer": "A"},
        "metadata": {},
    }
    verdict = {"score": 0.5, "label": "fair", "explanation": "Not warm."}
    assert {name: span.attributes[name] for name in verdict} == verdict
    assert json.loads(span.attributes["output.value"]) == verdict
    assert json.loads(span.attributes["metadata"])["example_id"] == "ex-0"
    [span] = collector.named("Evaluation: same")
    assert (span.attributes["score"], span.attributes["label"]) == (1.0, "True")


def test_several_verdicts_share_the_trace_of_their_evaluator(collector):
    def two(output):
        return [EvaluationResult(name="short", score=1), EvaluationResult(name="kind", score=0, label="no")]

    sink = exported(collector, answer, [{"q": "a"}], [two, lambda output: None])
    [span] = collector.named("Evaluation: two")
    assert json.loads(span.attributes["output.value"]) == [
        {"name": "short", "score": 1.0},
        {"name": "kind", "score": 0.0, "label": "no"},
    ]
    assert "score" not in span.attributes
    assert {row.trace_id for row in sink.evaluations if row.evaluator == "two"} == {span.trace_id}
    [none] = collector.named("Evaluation: lambda")
    assert "output.value" not in none.attributes
    assert none.status == "OK"


def raises(input):
    try:
        raise KeyError("below")
    except KeyError as error:
        raise ValueError("not \U0001f600 like this") from error


async def araises(input):
    raises(input)


@pytest.mark.parametrize("task", [raises, araises])
def test_an_error_is_a_status_and_an_event(collector, task):
    sink = exported(collector, task, [1])
    [span] = collector.spans
    assert sink.run().trace_id == span.trace_id
    message = "not \U0001f600 like this (caused by KeyError: 'below')"
    assert (span.status, span.status_text) == ("ERROR", f"ValueError: {message}")
    [(name, event)] = span.events
    assert name == "exception"
    assert event["exception.type"] == "ValueError"
    assert event["exception.message"] == message
    assert re.search(
        rf"KeyError: 'below'(?s:.)*  File \"{re.escape(__file__)}\", line \d+, in raises(?s:.)*ValueError: not",
        event["exception.stacktrace"],
    )
    assert "calls.py" not in event["exception.stacktrace"]  # the engine's own frames say nothing
    assert "output.value" not in span.attributes


async def slow(input):
    await asyncio.sleep(5)


@pytest.mark.parametrize("task", [slow, lambda given: time.sleep(0.4)])
def test_a_timeout_is_an_error_as_well(collector, task):
    exported(collector, task, [1], timeout=0.05)
    [span] = collector.spans
    [(_, event)] = span.events
    assert (span.status, event["exception.type"]) == ("ERROR", "TimeoutError")
    assert event["exception.message"] == "no answer within timeout=0.05 s"


def test_the_trace_of_a_call_that_no_thread_came_to_begins_when_it_was_to_be_made(collector):
    with tracer_to(collector) as tracer:
        opened = tracer.begin("Task: answer", 1_700_000_000.5)
        assert opened.span.start_time == 1_700_000_000_500_000_000
        opened.span.end()


def test_an_evaluators_errors_are_its_own(collector):
    def broken(output):
        raise ZeroDivisionError

    def no_verdict(output):
        return object()

    sink = exported(collector, answer, [{"q": "a"}], [broken, no_verdict])
    assert collector.named("Task: answer")[0].status == "OK"
    [span] = collector.named("Evaluation: broken")
    assert (span.status, span.status_text) == ("ERROR", "ZeroDivisionError")
    [span] = collector.named("Evaluation: no_verdict")
    assert span.status == "ERROR"
    assert span.events[0][1]["exception.type"] == "TypeError"
    assert sink.evaluation(name="no_verdict").error == span.status_text


def test_all_attempts_are_one_root(collector):
    seen = []

    def flaky(input):
        seen.append(trace.get_current_span().get_span_context().span_id)
        time.sleep(0.03)
        if len(seen) < 3:
            raise ValueError("again")
        return "ok"

    sink = exported(collector, flaky, [1], retries=5)
    [span] = collector.spans
    assert sink.run().attempts == json.loads(span.attributes["metadata"])["attempts"] == 3
    assert {f"{span_id:016x}" for span_id in seen} == {span.span_id}
    assert (span.status, span.events) == ("OK", [])
    assert span.seconds > 0.09  # from the first attempt to the end of the last


def test_an_outer_span_is_linked_to_and_never_a_parent(collector):
    with TracerProvider(shutdown_on_exit=False).get_tracer("prefect").start_as_current_span("flow") as flow:
        exported(collector, aanswer, [{"q": "a"}], [same, tone])
    outer = flow.get_span_context()
    assert len(collector.spans) == 3
    for span in collector.spans:
        assert span.parent_id == ""
        assert span.trace_id != f"{outer.trace_id:032x}"
        assert span.links == [(f"{outer.trace_id:032x}", f"{outer.span_id:016x}")]


def test_what_was_under_way_when_the_experiment_was_stopped_ends_as_an_error(collector):
    async def main():
        begun = asyncio.Event()

        async def endless(input):
            begun.set()
            await asyncio.sleep(60)

        tracer = tracer_to(collector)
        running = asyncio.create_task(aexperiment(endless, [1, 2], tracer=tracer))
        await begun.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return await asyncio.to_thread(tracer.flush, PATIENCE_S)

    assert asyncio.run(main())
    assert {span.status for span in collector.spans} == {"ERROR"}
    assert "the experiment ended before this call did" in collector.spans[0].status_text


def test_long_values_are_cut(collector):
    exported(collector, lambda given: {"long": "x" * 300_000}, [1])
    exported(collector, lambda given: "y" * 300_000, [1])
    cut, text = collector.spans
    assert cut.attributes["output.value"].endswith("… [cut; 300011 characters in all]")
    assert len(cut.attributes["output.value"]) < 100_100
    assert cut.attributes["output.mime_type"] == "text/plain"
    assert text.attributes["output.value"].startswith("yyyy")


def test_what_is_not_unicode_does_no_harm_to_the_others(collector):
    def odd(input):
        if input == 2:
            raise ValueError("half a pair: \ud83d")
        return input

    exported(collector, odd, [1, 2, 3])
    assert sorted(span.status for span in collector.spans) == ["ERROR", "OK", "OK"]
    [failed] = [span for span in collector.spans if span.status == "ERROR"]
    assert failed.status_text == "ValueError: half a pair: ?"


def test_with_no_export_there_are_trace_ids_all_the_same():
    sink = experiment(answer, [{"q": "a"}, {"q": "b"}], [same, tone], tracer=ExperimentTracer("project"))
    ids = [row.trace_id for row in [*sink.runs, *sink.evaluations]]
    assert len(set(ids)) == len(ids) == 6
    assert all(re.fullmatch("[0-9a-f]{32}", trace_id) for trace_id in ids)
    assert sink.run().token_count is sink.run().total_cost is None


def test_evaluators_are_told_the_trace_of_the_run():
    told = []
    sink = experiment(answer, [{"q": "a"}], [lambda trace_id: told.append(trace_id)], tracer=ExperimentTracer("p"))
    assert told == [sink.run().trace_id]
