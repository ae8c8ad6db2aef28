"""Real input: all 1,319 rows of GSM8K's test split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client

GSM8K = Path(__file__).resolve().parents[3] / "shared" / "data" / "gsm8k" / "test.jsonl"


async def last_calculation(input: dict[str, str], metadata: dict[str, str]) -> str:
    """An honest, weak solver: adds up the numbers of the question."""
    numbers = [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\.?\d*", input["question"]) if n.strip(",.")]
    return f"#### {sum(numbers):g}"


def worked_answer(expected: dict[str, str]) -> str:
    return expected["answer"]


def same_number(output: str, expected: dict[str, str]) -> bool:
    """Compare the number after ``####``."""
    return number(output) == number(expected["answer"])


def number(text: str) -> float:
    return float(text.rpartition("####")[2].strip().replace(",", ""))


@pytest.mark.skipif(not GSM8K.exists(), reason="GSM8K is not beside the project")
def test_all_rows(client: Client) -> None:
    dataset = client.datasets.create_dataset(name="gsm8k", file=GSM8K, input_keys=["question"], output_keys=["answer"])
    assert len(dataset) == 1319
    common: dict[str, Any] = {"dataset": dataset, "evaluators": [same_number], "print_summary": False}
    solved = client.experiments.run_experiment(task=last_calculation, **common)
    known = client.experiments.run_experiment(task=worked_answer, **common)
    assert known.summary.metrics["same_number"].mean == 1.0
    assert str(known.summary.metrics["same_number"]) == "1.00 over 1319 of 1319"
    assert 0.0 < solved.summary.metrics["same_number"].mean < 0.5
    assert solved.summary.n_errors == 0
    frame = solved.to_dataframe()
    assert len(frame) == 1319
    assert frame["input"].iloc[0]["question"].startswith("Janet")
