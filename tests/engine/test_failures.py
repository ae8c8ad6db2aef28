"""One failure is one row: others go on, and nothing is said that is not known."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from prefect_experiments.errors import ExperimentStopped, InvalidSetting
from prefect_experiments.evaluators import EvaluationResult, Evaluator, create_evaluator
from support.patience import FOREVER_S

from .harness import InFlight, ListSink, engine_of, evaluate, evaluation_items, run, run_items

# --- exit_on_error ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_exit_on_error_stops_at_the_first_task_error(is_async):
    in_flight = InFlight()

    def call(x):
        with in_flight.call():
            time.sleep(0.002)
            if x == "secret of row 5":
                raise ValueError(f"cannot read {x}")
            return x

    async def async_call(x):
        await asyncio.sleep(0.001)
        return call(x)

    sink = ListSink()
    inputs = [f"secret of row {n}" for n in range(200)]
    with pytest.raises(ExperimentStopped) as caught:
        run(async_call if is_async else call, inputs, sink=sink, exit_on_error=True, retries=1, concurrency=3)
    assert str(caught.value) == (
        "the task raised ValueError on example 'ex-5' (repetition 1), and exit_on_error is set"
    )
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert sink.run(5).error == "ValueError: cannot read secret of row 5"  # and is in the store, where it belongs
    assert len(in_flight.starts) < 50
    assert len(sink.runs) >= 4


def test_exit_on_error_without_errors_is_nothing_special():
    assert run(lambda x: x, range(5), exit_on_error=True).outputs() == list(range(5))


def test_exit_on_error_is_not_for_evaluators():
    def judge(output):
        raise ValueError("cannot judge")

    results = evaluate(judge, range(3), exit_on_error=True, retries=0)
    assert [row.error for row in results.evaluations] == ["ValueError: cannot judge"] * 3


def test_exit_on_error_leaves_nothing_running():
    async def task(x):
        if x == 0:
            raise ValueError
        await asyncio.sleep(FOREVER_S)

    async def main():
        engine, _ = engine_of(task, exit_on_error=True, retries=0, concurrency=5)
        with pytest.raises(ExperimentStopped):
            await engine.run(run_items(range(5)))
        return [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]

    assert asyncio.run(main()) == []


# --- evaluators -------------------------------------------------------------------------------


def good(output):
    return True


class Unscorable:
    pass


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (Unscorable(), "TypeError: an evaluator may return "),
        (float("nan"), "ValueError: a score must be a finite number"),
        (float("inf"), "ValueError: a score must be a finite number"),
        ({"score": 1, "grade": "A"}, "TypeError: an evaluator's dict may have the keys "),
        ({"score": "high"}, "TypeError: a score must be a number, got str"),
        ((1, "label", "why", "more"), "TypeError: a tuple is (score, label)"),
        ([1, 2], "TypeError: of 2 results, number 1, 2 has no name"),
        (b"bytes", "TypeError: an evaluator may return "),
        (EvaluationResult, "TypeError: an evaluator may return "),
        (SimpleNamespace(score=1), "TypeError: an object with a score must have a label or a reasoning"),
        (1 + 2j, "TypeError: an evaluator may return "),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_junk_is_that_evaluators_error_and_others_go_on(is_async, returned, said):
    def bad(output):
        return returned

    async def async_bad(output):
        return returned

    results = evaluate({"bad": async_bad if is_async else bad, "good": good}, range(3))
    for position in range(3):
        row = results.evaluation(position, "bad")
        assert row.error.startswith(said)
        assert (row.score, row.label, row.explanation, row.metadata_json) == (None, None, None, None)
        assert results.evaluation(position, "good").score == 1.0


class Lying:
    @property
    def score(self):
        raise ZeroDivisionError("in a property")


def test_results_that_raise_when_they_are_read():
    results = evaluate({"bad": lambda output: Lying(), "good": good})
    assert results.evaluation(name="bad").error == "ZeroDivisionError: in a property"
    assert results.evaluation(name="good").error is None


def test_a_scorer_that_raises_is_its_evaluators_error():
    @create_evaluator(scorer=lambda value: {"yes": 1}[value])
    def graded(output):
        return output

    results = evaluate([graded, good], ["yes", "perhaps"])
    assert results.evaluation(0, "graded").score == 1.0
    assert results.evaluation(1, "graded").error == "KeyError: 'perhaps'"
    assert len([row for row in results.evaluations if row.name == "good"]) == 2


def test_what_an_evaluator_returns_becomes_rows():
    def one(output):
        return EvaluationResult(score=0.5, label="half", explanation="why", metadata={"a": 1})

    def several(output):
        return [EvaluationResult(name="length", score=3), EvaluationResult(name="tone", label="kind")]

    def nothing(output):
        return None

    class Judge(Evaluator):
        kind = "LLM"

        async def async_evaluate(self, output, **kwargs):
            return True

    results = evaluate([one, several, nothing, Judge()])
    row = results.evaluation(name="one")
    assert (row.score, row.label, row.explanation, row.metadata_json) == (0.5, "half", "why", '{"a":1}')
    assert (results.evaluation(name="length").score, results.evaluation(name="tone").label) == (3.0, "kind")
    assert {row.evaluator for row in results.evaluations if row.name in {"length", "tone"}} == {"several"}
    row = results.evaluation(name="nothing")
    assert (row.score, row.label, row.error) == (None, None, None)
    assert {row.annotator_kind for row in results.evaluations if row.evaluator == "Judge"} == {"LLM"}
    assert len({row.fingerprint for row in results.evaluations}) == 4


def test_an_evaluator_that_returns_an_empty_list_has_answered():
    [row] = evaluate(lambda output: []).evaluations
    assert (row.name, row.error, row.score) == ("lambda", None, None)


def test_results_of_one_name_from_two_evaluators_do_not_overwrite_each_other():
    def one(output):
        return EvaluationResult(name="tone", score=1)

    def other(output):
        return [EvaluationResult(name="tone", score=0), EvaluationResult(name="length", score=3)]

    def third(output):
        return EvaluationResult(name="one", score=0)

    results = evaluate([one, other, third], range(3), concurrency=1)
    for position in range(3):
        rows = [row for row in results.evaluations if row.position == position]
        assert len({row.name for row in rows}) == len(rows)
        assert sum(row.name == "tone" for row in rows) == 1
        error = next(row.error for row in rows if row.evaluator == "third")
        assert error == "ValueError: a result is named 'one', as those of evaluator 'one' are; rename one"
    assert "as those of evaluator" in next(
        r.error for r in results.evaluations if r.evaluator in {"one", "other"} and r.error
    )


def test_only_the_named_evaluators_are_called():
    called: list[str] = []

    def one(output):
        called.append("one")

    def other(output):
        called.append("other")

    async def main():
        engine, sink = engine_of(None, [one, other])
        items = evaluation_items(range(4), ["one"])
        items[2].evaluators = ["one", "other"]
        items[3].evaluators = []
        await engine.evaluate(items)
        return engine, sink

    engine, sink = asyncio.run(main())
    assert sorted(called) == ["one", "one", "one", "other"]
    assert (engine.evaluations_done, engine.evaluation_errors) == (4, 0)
    assert {(row.position, row.name) for row in sink.evaluations} == {(0, "one"), (1, "one"), (2, "one"), (2, "other")}


def test_counts():
    async def main():
        engine, _ = engine_of(lambda x: 1 / x, lambda output: 1 / output, retries=0)
        await engine.run(run_items([0, 1, 2]))
        await engine.evaluate(evaluation_items([0, 0, 1], ["lambda"]))
        return engine

    engine = asyncio.run(main())
    assert (engine.runs_done, engine.run_errors) == (3, 1)
    assert (engine.evaluations_done, engine.evaluation_errors) == (3, 2)


# --- the sink ---------------------------------------------------------------------------------


class Full(Exception):
    pass


class FailingSink(ListSink):
    async def write_run(self, row):
        await super().write_run(row)
        if len(self.runs) == 5:
            raise Full("disk")

    async def write_evaluations(self, rows):
        await super().write_evaluations(rows)
        if len(self.evaluations) >= 5:
            raise Full("disk")


def test_without_a_task_there_is_nothing_to_run():
    engine, _ = engine_of(None)
    with pytest.raises(InvalidSetting, match="this engine has no task to run"):
        asyncio.run(engine.run(run_items([1])))


def test_a_sink_that_fails_ends_the_run():
    in_flight = InFlight()

    async def task(x):
        with in_flight.call():
            await asyncio.sleep(0.001)

    with pytest.raises(Full):
        run(task, range(100), sink=FailingSink(), concurrency=2)
    assert len(in_flight.starts) < 20


@pytest.mark.parametrize("is_async", [False, True])
def test_and_the_evaluation(is_async):
    in_flight = InFlight()

    def judge(output):
        with in_flight.call():
            time.sleep(0.003)

    async def async_judge(output):
        with in_flight.call():
            await asyncio.sleep(0.003)

    with pytest.raises(Full):
        evaluate({"judge": async_judge if is_async else judge}, range(200), sink=FailingSink(), concurrency=2)
    assert len(in_flight.starts) < 100
