"""Evaluators of libraries whose ways are not known are refused, in one line that says what to do."""

from __future__ import annotations

import pytest

from prefect_experiments.errors import InvalidEvaluator

from .judging import bind, result


def of(module, base=object, **members):
    return type("Metric", (base,), {"__module__": module, **members})


def call(self, *, inputs=None, outputs=None, expectations=None):
    return outputs


NAMED = {
    "deepeval": of("deepeval.metrics", measure=lambda self, test_case: 1),
    "Azure AI Evaluation": of("azure.ai.evaluation", __call__=lambda self, *, response: 1),
    "ragas": of("ragas.metrics", single_turn_score=lambda self, sample: 1),
    "MLflow": of("mlflow.genai.scorers", __call__=call),
    "LangSmith": of("langsmith.evaluation", evaluate_run=lambda self, run, example: 1),
    "TruLens": of("trulens.core", __call__=lambda self, text: 1),
}


def refusal(name, library):
    return (
        f"evaluators: {name} is an evaluator of {library}'s sort, which is not taken as it is; call it in a function "
        "of your own, as in def judge(input, output, expected): ..., that returns the score"
    )


@pytest.mark.parametrize("library", NAMED)
def test_by_their_module(library):
    cls = NAMED[library]
    mine = of("my_app", base=cls)
    for evaluator in (cls(), cls, mine()):
        with pytest.raises(InvalidEvaluator) as caught:
            bind(evaluator)
        assert str(caught.value) == refusal("Metric", library)


def test_a_function_and_a_class_that_needs_arguments():
    def scorer(output):
        return 1

    scorer.__module__ = "openevals.exact"
    needing = of("deepeval.metrics", __init__=lambda self, threshold: None, measure=lambda self, it: 1)
    for evaluator, name, library in ((scorer, "scorer", "openevals"), (needing, "Metric", "deepeval")):
        with pytest.raises(InvalidEvaluator) as caught:
            bind(evaluator)
        assert str(caught.value) == refusal(name, library)


@pytest.mark.parametrize(
    ("method", "library"),
    [
        ("measure", "deepeval"),
        ("single_turn_score", "ragas"),
        ("single_turn_ascore", "ragas"),
        ("multi_turn_score", "ragas"),
        ("evaluate_run", "LangSmith"),
        ("evaluate_strings", "LangChain"),
    ],
)
def test_by_their_looks(method, library):
    cls = of("somewhere", **{method: lambda self, it: 1})
    for evaluator in (cls(), cls):
        with pytest.raises(InvalidEvaluator) as caught:
            bind(evaluator)
        assert str(caught.value) == refusal("Metric", library)
    for other in (5, of("somewhere", **{method: 5})()):
        with pytest.raises(InvalidEvaluator, match=r"and no evaluator\. It must be a function"):
            bind(other)


def test_one_of_their_fields_alone_is_anybodys():
    def judge(outputs):
        return outputs

    assert result(judge, "abc").label == "abc"


def test_what_would_get_the_wrong_arguments():
    with pytest.raises(InvalidEvaluator, match="'Metric' takes inputs, outputs, expectations, as other"):
        bind(of("somewhere", __call__=call)())

    def judge(*, inputs=None, outputs=None, reference_outputs=None, **kwargs):
        return 1

    with pytest.raises(InvalidEvaluator, match="as other libraries' evaluators do; call it in a function of your own"):
        bind(judge)


def test_what_is_one_s_own_is_taken():
    def long_enough(outputs, at_least=3):
        return len(outputs) >= at_least

    assert result(long_enough, "abcd").score == 1
    own = of("deepeval.metrics", measure=None, evaluate=lambda self, output: len(output))
    assert result(own(), "abc").score == result(own, "abc").score == 3

    async def judged(self, output):
        return len(output)

    assert result(of("deepeval.metrics", async_evaluate=judged), "abc").score == 3
