"""Evaluators of other libraries in one experiment: their results are kept, and a resumed one calls them no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from phoenix.evals.metrics import exact_match
from pydantic_evals.evaluators import EqualsExpected, EvaluationReason, Evaluator, EvaluatorContext

from prefect_experiments import Client, resume_experiment, run_experiment

autoevals = pytest.importorskip("autoevals", reason="autoevals is not installed; the extra `test` has it")

ROWS = [{"id": f"q{n}", "input": f"word {n}", "output": f"word {n % 3}"} for n in range(6)]


@dataclass
class Several(Evaluator):
    least: int = 6

    async def evaluate(self, ctx: EvaluatorContext) -> Any:
        long_enough = len(ctx.output) >= self.least
        return {"length": len(ctx.output), "long": EvaluationReason(long_enough, reason=f"at least {self.least}")}


@pytest.mark.slow
def test_they_go_together(client: Client) -> None:
    given = {
        "near": autoevals.Levenshtein,
        "same": EqualsExpected(),
        "exact": exact_match,
        "several": Several(),
        "ours": "exact_match",
    }
    ran = run_experiment(
        dataset=ROWS, task=lambda text: text, evaluators=given, client=client, print_summary=False, repetitions=2
    )
    means = {name: metric.mean for name, metric in ran.summary.metrics.items()}
    assert means == pytest.approx({"near": 1 - 0.5 / 6, "same": 0.5, "exact": 0.5, "ours": 0.5, "length": 6, "long": 1})
    assert {one.explanation for one in ran.evaluation_runs if one.name == "long"} == {"at least 6"}
    again = resume_experiment(experiment=ran, evaluators=given, client=client, print_summary=False)
    assert (again.ran, again.evaluated) == (0, 0)
    changed = resume_experiment(
        experiment=ran, evaluators={**given, "several": Several(least=7)}, client=client, print_summary=False
    )
    assert (changed.evaluated, changed.summary.metrics["long"].mean) == (12, 0)
