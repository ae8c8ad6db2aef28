"""Experiments and comparisons to report on, made without running anything."""

from __future__ import annotations

import dataclasses
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.reports.report_model import ReportSide, table_side

Row = dict[str, Any]
# What becomes of the comparison that `made` makes.
GATES = {
    "failed": Gate(metrics={"correctness": Metric(min=0.95), "answer_words": Metric(direction="minimize")}),
    "inconclusive": Gate(metrics={"faithfulness": Metric(max_regression=0.0)}, max_error_rate=0.5),
    "passed": Gate(metrics={"faithfulness": Metric(max_regression=0.2)}, max_error_rate=0.5),
}


@dataclass(frozen=True)
class Made:
    """A comparison with both of its sides, and the rows they were made of."""

    comparison: Comparison
    candidate: ReportSide
    baseline: ReportSide
    after: Sequence[Row] = ()
    before: Sequence[Row] = ()


def made(n: int = 200, *, seed: int = 1, repetitions: int = 1, gate: str | None = "failed") -> Made:
    """A realistic comparison: word problems answered by two variants of a prompt, the newer one worse."""
    before = rows_of(n, right=0.9, words=34, seed=seed, repetitions=repetitions)
    after = rows_of(n, right=0.79, words=24, seed=seed + 1, repetitions=repetitions)
    for row in before[: repetitions * 2]:
        row["example_id"] += "-old"
    old = table(before, "prompt-v11", "https://phoenix.example.com/experiments/compare?id=1")
    new = table(after, "prompt-v12 shorter answers", "https://phoenix.example.com/experiments/compare?id=2")
    comparison = compare_results(old, new, directions={"answer_words": "minimize"}, gate=GATES[gate] if gate else None)
    return Made(comparison, side(after, new.label, new.url), side(before, old.label, old.url), after, before)


def rows_of(n: int, *, right: float, words: int, seed: int, repetitions: int = 1) -> list[Row]:
    """Rows of a results table."""
    chance = random.Random(seed)
    return [
        _row(place, repetition, chance, right, words) for place in range(n) for repetition in range(1, repetitions + 1)
    ]


def _row(place: int, repetition: int, chance: random.Random, right: float, words: int) -> Row:
    facts = random.Random(place)  # the same question on both sides
    name = facts.choice(["Maya", "Tom", "Ines", "Ravi", "Lena", "Kofi"])
    thing, each, weeks, spent = facts.choice(["apples", "stickers", "marbles"]), *facts.sample(range(2, 30), 3)
    hard = facts.random() < 0.12
    result = each * weeks - spent
    question = (
        f"{name} collects {each} {thing} every week for {weeks} weeks and then gives {spent} of them to a friend. "
        f"How many {thing} are left?"
    )
    row: Row = {
        "id": f"run-{place}-{repetition}",
        "example_id": f"problem-{place + 1:04d}",
        "repetition_number": repetition,
        "input": {"question": question},
        "expected": {"answer": str(result)},
        "output": None,
        "status": "ok",
        "error": None,
        "latency_ms": round(chance.lognormvariate(6.4 if words > 30 else 6.2, 0.45), 1),
        "token_count": 180 + chance.randrange(60) + words * 2,
        "total_cost": round(0.0004 + chance.random() * 0.0003 + words * 1e-5, 6),
        "trace_id": f"{chance.getrandbits(128):032x}",
    }
    if chance.random() < 0.012:
        row |= {
            "status": "error",
            "error": "RateLimitError: 429 Too Many Requests, retry after 20 s",
            "token_count": None,
        }
        return row
    correct = chance.random() < (right - 0.35 if hard else right)
    answer = result if correct else result + chance.choice([-spent, spent, each, -1])
    steps = f"{name} collects {each} * {weeks} = {each * weeks} {thing}."
    if words > 30 or chance.random() < 0.3:
        steps += f"\nAfter giving {spent} away, {each * weeks} - {spent} = {answer} are left."
    row["output"] = {"reasoning": steps, "answer": str(answer)}
    said = f"The answer {answer} {'equals' if correct else 'is not'} the expected {result}."
    faithful = min(1.0, max(0.0, chance.gauss(0.82, 0.12)))
    row |= {
        "eval.correctness.score": float(correct),
        "eval.correctness.label": "correct" if correct else "incorrect",
        "eval.correctness.explanation": said,
        "eval.faithfulness.score": round(faithful, 3),
        "eval.faithfulness.explanation": "Each step is supported." if faithful > 0.7 else "One step is not supported.",
        "eval.answer_words.score": float(len(steps.split()) + chance.randrange(words // 2)),
    }  # fmt: skip
    if chance.random() < 0.01:
        row |= {"eval.faithfulness.score": None, "eval.faithfulness.explanation": None}
        row["eval.faithfulness.error"] = "JudgeError: the judge answered with no label"
    return row


def side(rows: Sequence[Row], label: str, url: str | None = None) -> ReportSide:
    """The side of a report that these rows make."""
    found = table_side(table(rows, label, url))
    return dataclasses.replace(found, created_at=datetime(2026, 3, 14, 9, 26, tzinfo=UTC), dataset="word-problems")


def table(rows: Sequence[Row], label: str, url: str | None = None) -> ResultTable:
    """The rows as one side of a comparison."""
    number = zlib.crc32(label.encode(errors="replace")) % 10_000
    return dataclasses.replace(result_table(rows, label), url=url, experiment_id=f"exp-{number:04d}")
