"""The limiter of phoenix-evals yields to an experiment's limits, and is itself everywhere else."""

from __future__ import annotations

import asyncio

import pytest
from phoenix.evals import LLM, create_classifier
from phoenix.evals import create_evaluator as create_phoenix_evaluator
from phoenix.evals.evaluators import LLMEvaluator, Score
from phoenix.evals.rate_limiters import RateLimiter, RateLimitError

from prefect_experiments.engine import limits
from prefect_experiments.evaluators import create_evaluator, resolve_evaluators
from support.openai_stand_in import OpenAIStandIn
from support.patience import PATIENCE_S
from tests.engine.harness import evaluate, run

PROMPT = "<output>{output}</output><reference>Paris</reference> Is it right?"
OUTPUTS = [f"Paris {n}" if n % 2 else "Paris" for n in range(24)]


@pytest.fixture(autouse=True)
def _no_limit_left_over(monkeypatch):
    monkeypatch.setattr(limits, "_shared", {})


def model(server):
    """At its own rate the second call would be let through after minutes."""
    return LLM(
        provider="openai",
        model="stand-in",
        base_url=server.url,
        api_key="not-a-key",
        initial_per_second_request_rate=0.001,
    )


def classifier(llm):
    return create_classifier(name="right", prompt_template=PROMPT, llm=llm, choices={"correct": 1, "incorrect": 0})


def sync_class(llm):
    class Right(LLMEvaluator):
        def _evaluate(self, eval_input):
            prompt = PROMPT.format(output=eval_input["output"])
            label = self.llm.generate_classification(prompt, ["correct", "incorrect"])["label"]
            return [Score(name="right", label=label, score=float(label == "correct"), kind="llm")]

    return Right(name="right", llm=llm, prompt_template="{output}")


def phoenix_function(llm):
    @create_phoenix_evaluator(name="right", kind="llm")
    def right(output: str) -> float:
        answer = llm.generate_classification(PROMPT.format(output=output), ["correct", "incorrect"])
        return float(answer["label"] == "correct")

    return right


def own_function(llm):
    @create_evaluator(kind="LLM", name="right")
    async def right(output):
        answer = await llm.async_generate_classification(PROMPT.format(output=output), ["correct", "incorrect"])
        return float(answer["label"] == "correct")

    return right


JUDGES = pytest.mark.parametrize("judge", [classifier, sync_class, phoenix_function, own_function])


@JUDGES
def test_judges_of_every_sort_go_at_the_experiments_rate(judge):
    with OpenAIStandIn() as server:
        results = evaluate(judge(model(server)), OUTPUTS, timeout=PATIENCE_S, retries=0, concurrency=8)
        assert [row.error for row in results.evaluations] == [None] * len(OUTPUTS)
        scores = {row.position: row.score for row in results.evaluations}
        assert [scores[n] for n in range(len(OUTPUTS))] == [float(output == "Paris") for output in OUTPUTS]
        assert len(server.requests) == len(OUTPUTS)


@pytest.mark.thorough
@pytest.mark.mostly_slow
@JUDGES
def test_a_refusal_reaches_the_experiments_limit(judge):
    with OpenAIStandIn(rate_limited=3, retry_after=0.5) as server:
        results = evaluate(judge(model(server)), OUTPUTS[:6], timeout=PATIENCE_S, retries=0, concurrency=2)
        assert [row.error for row in results.evaluations] == [None] * 6
        assert len(server.requests) == 6 + 3
    [limit] = limits._shared.values()
    assert (limit.name, limit.rate < float("inf")) == ("127.0.0.1", True)


def test_a_task_that_asks_such_a_model_goes_at_the_experiments_rate():
    with OpenAIStandIn() as server:
        llm = model(server)
        resolve_evaluators(None)
        prompt = PROMPT.format(output="Paris")
        outputs = run(lambda x: llm.generate_text(prompt), range(6), timeout=PATIENCE_S, retries=0).outputs()
        assert outputs == ["supported"] * 6


def test_outside_of_experiments_it_is_as_it_was():
    class Refused(Exception):
        pass

    def refused():
        raise Refused

    async def arefused():
        raise Refused

    resolve_evaluators(None)
    limiter = RateLimiter(rate_limit_error=Refused, cooldown_seconds=0)
    with pytest.raises(RateLimitError):
        limiter.limit(refused)()
    with pytest.raises(RateLimitError):
        asyncio.run(limiter.alimit(arefused)())

    async def task(x):
        return await limiter.alimit(arefused)()

    assert run(task, retries=0).run().error == "Refused"
    assert run(lambda x: limiter.limit(refused)(), retries=0).run().error == "Refused"
