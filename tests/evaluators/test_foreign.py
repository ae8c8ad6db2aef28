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


@pytest.mark.parametrize("library", NAMED)
def test_by_their_module(library):
    cls = NAMED[library]
    mine = of("my_app", base=cls)
    for evaluator in (cls(), cls, mine()):
        with pytest.raises(InvalidEvaluator) as caught:
            bind(evaluator)
        text = str(caught.value)
        assert f"Metric is an evaluator of {library}'s sort" in text
        assert "call it in a function of your own" in text
        assert "\n" not in text


@pytest.mark.parametrize(
    ("method", "library"), [("measure", "deepeval"), ("single_turn_score", "ragas"), ("evaluate_run", "LangSmith")]
)
def test_by_their_looks(method, library):
    with pytest.raises(InvalidEvaluator, match=f"of {library}'s sort"):
        bind(of("somewhere", **{method: lambda self, it: 1})())


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
    assert result(own(), "abc").score == 3
