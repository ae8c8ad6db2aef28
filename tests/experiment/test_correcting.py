"""People who correct a judge are people: no model, and no code."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments import Client, Dataset, Example, create_evaluator
from prefect_experiments.errors import InvalidSetting


def same(input: int) -> int:
    return input


def fail(input: int) -> int:
    raise AssertionError("nothing is run")


def test_what_a_model_or_code_gives_is_not_what_people_say(client: Client) -> None:
    dataset = Dataset(name="numbers", examples=[Example(id=f"e{n}", input=n, output=n) for n in range(12)])

    def other(output: int) -> float:
        return float(output > 2)

    judges: list[Any] = [create_evaluator(name=kind.lower(), kind=kind)(other) for kind in ("LLM", "CODE", "HUMAN")]
    judges.append("exact_match")
    sides = [
        client.experiments.run_experiment(
            dataset=dataset, task=same, evaluators=judges, experiment_name=name, print_summary=False
        )
        for name in ("v1", "v2")
    ]
    for name, is_people in (("llm", False), ("code", False), ("human", True)):
        gate: dict[str, Any] = {"metrics": {"exact_match": {"corrected_by": name}}}
        found = client.experiments.compare(baseline=sides[0], candidate=sides[1], gate=gate)
        assert found.verdict is not None
        assert found.verdict.status == ("passed" if is_people else "inconclusive")
        kind = name.upper()
        assert (f"scores are not people's: an evaluator of the kind {kind} gave" in str(found.verdict)) is not is_people
        if not is_people:
            with pytest.raises(InvalidSetting, match=f"takes people's scores, and evaluator '{name}' is of the kind"):
                client.experiments.run_experiment(
                    dataset=dataset, task=fail, evaluators=judges, baseline=sides[0], gate=gate, print_summary=False
                )
