"""The real pydantic-evals; its judges ask pydantic-ai's own test model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from pydantic_evals.evaluators import (
    Contains,
    Equals,
    EqualsExpected,
    EvaluationReason,
    Evaluator,
    EvaluatorContext,
    GEval,
    HasMatchingSpan,
    IsInstance,
    LLMJudge,
    MaxDuration,
    ReportEvaluator,
)

from prefect_experiments.errors import InvalidEvaluator, InvalidInput
from prefect_experiments.evaluators import EvaluationResult, resolve_evaluators

from .judging import bind, fields, result, results


@dataclass
class Near(Evaluator):
    """What its documentation shows: a dataclass with options."""

    within: int = 1
    notes: list[str] = field(default_factory=list)

    def evaluate(self, ctx: EvaluatorContext) -> EvaluationReason:
        off = abs(ctx.output - ctx.expected_output)
        return EvaluationReason(off <= self.within, reason=f"off by {off}")


@dataclass
class Several(Evaluator):
    async def evaluate(self, ctx: EvaluatorContext):
        return {"length": len(ctx.output), "tone": EvaluationReason("kind", "it says please"), "ok": True}


@dataclass
class Gives(Evaluator):
    what: object = None

    def evaluate(self, ctx: EvaluatorContext):
        return self.what


def judge_model(passes=True, score=0.75):
    from pydantic_ai.models.test import TestModel  # takes a second, which each process of the tests would need

    return TestModel(custom_output_args={"reason": "because", "pass": passes, "score": score})


def test_those_it_brings():
    assert result(EqualsExpected(), "a", "a") == EvaluationResult(1.0, "True")
    assert result(EqualsExpected, "a", "b") == EvaluationResult(0.0, "False")
    assert result(EqualsExpected(), "a") == EvaluationResult()
    assert result(Equals(value=5), 5).score == 1
    contains = result(Contains(value="ell"), "jelly")
    assert (contains.score, contains.explanation) == (1, None)
    assert result(Contains(value="x"), "jelly").explanation.startswith("Output string 'jelly' does not contain")
    assert result(IsInstance(type_name="str"), "a").label == "True"
    assert bind(Equals(value=5, evaluation_name="five")).name == "five"
    assert {bind(one).kind for one in (EqualsExpected(), Contains(value="a"), Near())} == {"CODE"}


def test_one_s_own():
    bound = bind(Near())
    assert (bound.name, bound.kind, bound.is_async) == ("Near", "CODE", False)
    assert result(Near(), 5, 6) == EvaluationResult(1.0, "True", "off by 1")
    assert result(Near(within=0), 5, 6).score == 0
    assert bind(Several()).is_async
    assert results(Several(), "please") == [
        EvaluationResult(6.0, name="length"),
        EvaluationResult(label="kind", explanation="it says please", name="tone"),
        EvaluationResult(1.0, "True", name="ok"),
    ]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (True, EvaluationResult(1.0, "True")),
        (3, EvaluationResult(3.0)),
        (0.5, EvaluationResult(0.5)),
        ("good", EvaluationResult(label="good")),
        (EvaluationReason(0.5, "half"), EvaluationResult(0.5, explanation="half")),
        ({"Gives": 1}, EvaluationResult(1.0)),
        ({}, EvaluationResult()),
    ],
)
def test_what_they_may_return(given, wanted):
    assert result(Gives(given), "x") == wanted


@pytest.mark.parametrize("given", [object(), {"a": object()}, float("nan")])
def test_what_they_may_not_return(given):
    bound = bind(Gives(given))
    with pytest.raises((TypeError, ValueError)):
        bound.parse(bound.call(fields("x")))


def test_a_reason_from_a_plain_function():
    assert result(lambda output: EvaluationReason(1, "why"), "x") == EvaluationResult(1.0, explanation="why")


def test_what_they_see():
    @dataclass
    class Looks(Evaluator):
        def evaluate(self, ctx: EvaluatorContext):
            assert (ctx.name, ctx.inputs, ctx.output) == ("ex-1", {"q": 2}, [1])
            assert (ctx.metadata, ctx.expected_output) == ({"topic": "maths"}, {"a": 1})
            return True

    assert result(Looks(), [1], {"a": 1}, input={"q": 2}, metadata={"topic": "maths"}).score == 1

    @dataclass
    class Asks(Evaluator):
        name: str

        def evaluate(self, ctx: EvaluatorContext):
            return getattr(ctx, self.name)

    for name in ("duration", "metrics", "attributes"):
        with pytest.raises(InvalidInput, match=f"asks for ctx.{name}, which is not at hand"):
            result(Asks(name), 1)

    @dataclass
    class Spans(Evaluator):
        def evaluate(self, ctx: EvaluatorContext):
            return len(ctx.span_tree)

    with pytest.raises(Exception, match="spans are not at hand"):
        result(Spans(), 1)


def test_judges():
    judge = LLMJudge(rubric="It is polite", model=judge_model())
    bound = bind(judge)
    assert (bound.name, bound.kind, bound.is_async) == ("LLMJudge", "LLM", True)
    assert result(judge, "please") == EvaluationResult(1.0, "True", "because")
    both = LLMJudge(rubric="It is polite", model=judge_model(False), score={"include_reason": True})
    assert results(both, "no") == [
        EvaluationResult(0.75, explanation="because", name="LLMJudge_score"),
        EvaluationResult(0.0, "False", "because", name="LLMJudge_pass"),
    ]
    [named] = resolve_evaluators({"polite": judge})
    assert named.name == "polite"
    assert bind(GEval(criteria="c", evaluation_steps=["s"], model=judge_model(score=3))).kind == "LLM"

    @dataclass
    class Mine(Evaluator):
        annotator_kind = "LLM"

        def evaluate(self, ctx: EvaluatorContext):
            return True

    assert bind(Mine()).kind == "LLM"

    @dataclass
    class Kinds(Evaluator):
        kind: str = "a field of its own"

        def evaluate(self, ctx: EvaluatorContext):
            return True

    assert bind(Kinds()).kind == "CODE"


def test_what_is_refused_before_it_is_run():
    class Report(ReportEvaluator):
        def evaluate(self, ctx):
            return []

    for evaluator, text in (
        (Report(), "looks at a whole report of pydantic-evals"),
        (HasMatchingSpan(query={"name_equals": "x"}), "looks at the task's spans"),
        (
            MaxDuration(seconds=1),
            r"looks at how long the task took, which is kept .* let a gate look at it: Gate\(max_p95_latency=",
        ),
    ):
        with pytest.raises(InvalidEvaluator, match=text):
            bind(evaluator)


def test_what_they_need():
    assert bind(EqualsExpected()).needs.expected
    assert bind(LLMJudge(rubric="r", include_expected_output=True)).needs.expected
    assert not any(bind(one).needs.expected for one in (LLMJudge(rubric="r"), Near(), Equals(value=1)))


def test_fingerprints_follow_what_makes_the_score():
    @dataclass
    class Versioned(Evaluator):
        version: str = "1"

        def evaluate(self, ctx: EvaluatorContext):
            return True

        def get_evaluator_version(self):
            return self.version

    variants = [
        EqualsExpected(),
        Equals(value=1),
        Equals(value=2),
        Near(),
        Near(within=2),
        LLMJudge(rubric="a"),
        LLMJudge(rubric="b"),
        LLMJudge(rubric="a", model="openai:gpt-4o"),
        LLMJudge(rubric="a", include_input=True),
        Versioned(),
        Versioned(version="2"),
        Gives(timedelta(1)),
        Gives(timedelta(2)),
    ]
    fingerprints = [bind(one).fingerprint for one in variants]
    assert len(set(fingerprints)) == len(variants)
    assert bind(Near()).fingerprint == bind(Near(within=1)).fingerprint


@pytest.mark.slow
def test_fingerprints_are_the_same_in_every_process(tmp_path):
    module = tmp_path / "graders.py"
    module.write_text(
        "from dataclasses import dataclass\n"
        "from pydantic_evals.evaluators import EqualsExpected, Evaluator, EvaluatorContext, LLMJudge\n"
        "@dataclass\n"
        "class Mine(Evaluator):\n"
        "    words: frozenset = frozenset({'a', 'b', 'c'})\n"
        "    def evaluate(self, ctx: EvaluatorContext): return ctx.output in self.words\n"
        "mine, judge, equals = Mine(), LLMJudge(rubric='r', model='openai:gpt-4o'), EqualsExpected()\n"
    )
    references = [f"{module}:{name}" for name in ("mine", "judge", "equals", "Mine")]
    script = (
        "from prefect_experiments.evaluators import resolve_evaluators\n"
        f"print(*(b.fingerprint for r in {references!r} for b in resolve_evaluators({{r: r}})))"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout.split() == [bind(reference).fingerprint for reference in references]
    assert bind(references[3]).reference == references[3]
