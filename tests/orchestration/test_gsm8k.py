"""Real input: 400 rows of GSM8K's test split."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from prefect_experiments import Client, RanExperiment

GSM8K = Path(__file__).resolve().parents[1] / "data" / "gsm8k" / "test.jsonl"
N = 400


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


def last_number(expected: dict[str, str]) -> str:
    """Finds the result in the worked solution: the last number that is written in it."""
    return "#### " + re.findall(r"-?\d[\d,]*\.?\d*", steps(expected))[-1].rstrip(".")


def last_calculation_marked(expected: dict[str, str]) -> str:
    """Another way: the result of the last calculation that is marked as one, ``<<9*60=540>>``."""
    found = re.findall(r"=(-?[\d.,]+)>>", steps(expected))
    if not found:
        raise ValueError("no calculation is marked")
    return f"#### {found[-1]}"


def steps(expected: dict[str, str]) -> str:
    return expected["answer"].partition("####")[0]


@pytest.mark.thorough
def test_all_rows(client: Client) -> None:
    dataset = client.datasets.create_dataset(name="gsm8k", file=GSM8K, input_keys=["question"], output_keys=["answer"])
    assert len(dataset) == N
    common: dict[str, Any] = {"dataset": dataset, "evaluators": [same_number], "print_summary": False}
    solved = client.experiments.run_experiment(task=last_calculation, **common)
    known = client.experiments.run_experiment(task=worked_answer, **common)
    assert known.summary.metrics["same_number"].mean == 1.0
    assert str(known.summary.metrics["same_number"]) == f"1.00 over {N} of {N}"
    assert 0.0 < solved.summary.metrics["same_number"].mean < 0.5
    assert solved.summary.n_errors == 0
    frame = solved.to_dataframe()
    assert len(frame) == N
    assert frame["input"].iloc[0]["question"].startswith("Janet")


@pytest.mark.thorough
def test_two_variants_are_compared(client: Client) -> None:
    dataset = client.datasets.create_dataset(name="gsm8k", file=GSM8K, input_keys=["question"], output_keys=["answer"])
    common: dict[str, Any] = {"dataset": dataset, "evaluators": [same_number], "retries": 0, "print_summary": False}
    gate = {"metrics": {"same_number": {"min": 0.9, "max_regression": 0.02}}}
    run = client.experiments.run_experiment
    words = run(task=last_number, baseline="tag:baseline", gate=gate, **common)
    assert words.verdict.status == "passed"
    assert words.verdict.reasons[-1].startswith("there was no baseline")
    client.experiments.tag(experiment=words, tag="baseline")
    marks = run(task=last_calculation_marked, baseline="tag:baseline", gate=gate, **common)
    assert marks.verdict.status == "failed"
    unmarked = sum("<<" not in row["answer"] for row in map(json.loads, GSM8K.read_text().splitlines()))
    assert marks.summary.n_errors == marks.comparison.failures.candidate_only == unmarked > 0

    right = [answers(words), answers(marks)]
    both = sorted(right[0].keys() & right[1].keys())
    assert len(both) == marks.comparison.metrics["same_number"].n_pairs == N - unmarked
    better = sum(right[1][name] > right[0][name] for name in both)
    worse = sum(right[1][name] < right[0][name] for name in both)
    metric = marks.comparison.metrics["same_number"]
    assert (metric.wins, metric.losses) == (better, worse)
    assert metric.difference == pytest.approx((better - worse) / len(both))
    assert metric.p_value == pytest.approx(stats.binomtest(better, better + worse).pvalue)
    assert metric.ci_low < metric.difference < metric.ci_high < 0
    assert metric.missing_as_worst.n_pairs == N
    changed = {change.example_id for change in marks.comparison.regressed if change.metric == "same_number"}
    assert changed == {name for name in both if right[1][name] < right[0][name]}

    turned = client.experiments.compare(baseline=marks, candidate=words, gate=gate)
    assert turned.verdict.status == "passed"
    assert turned.metrics["same_number"].difference == -metric.difference

    # A repeated run is the same, and 400 examples are enough to say so within two points.
    again = run(task=last_number, baseline="tag:baseline", gate=gate, **common)
    assert again.verdict.status == "passed"
    narrow = {"metrics": {"same_number": {"max_regression": 0.001}}}
    unclear = client.experiments.compare(baseline=words, candidate=again, gate=narrow)
    assert unclear.verdict.status == "inconclusive"
    assert unclear.verdict.checks[0].examples_needed > N


def answers(ran: RanExperiment) -> dict[str, bool]:
    """By example, whether its answer is right, as far as there is one; worked out here."""
    return {
        run.example_id: number(run.output) == number(expected["answer"])
        for run, expected in zip(ran.task_runs, ran.to_dataframe()["expected"], strict=True)
        if run.error is None
    }
