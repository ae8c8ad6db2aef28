"""Operating characteristics of labels and of edited answers: rows of docs/operating-characteristics.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table

TITLE = "Labels and edited answers"

Row = tuple[str, str, str, str]


def rows(n_sim: int, seed: int) -> list[Row]:
    """What is measured, what it was before, what it is now, and the bar."""
    rng = np.random.default_rng(seed)
    labels, shares = np.array(["polite", "neutral", "rude"]), [0.7, 0.2, 0.1]

    def turned(share: float, n: int) -> bool:
        before = rng.choice(labels, n, p=shares)
        after = np.where(rng.random(n) < 0.5, before, rng.choice(labels, n, p=shares))
        after = np.where((rng.random(n) < share) & (after == "polite"), "rude", after)
        return _status(_labelled(before), _labelled(after)) != "passed"

    def edited() -> bool:
        n, changed = 100, 50
        right = (rng.random(n) < 0.8).astype(float)
        after = np.where(np.arange(n) < changed, 0.0, right)  # equal outputs, and half of the answers corrected
        answers = [f"new {i}" if i < changed else str(i) for i in range(n)]
        return _status(_scored(right, list(map(str, range(n)))), _scored(after, answers)) == "failed"

    return [
        (
            "labels, alike on both sides, n = 60: not passed",
            "0 % (not looked at)",
            _rate(n_sim, turned, 0, 60),
            "<= 5 %",
        ),
        ("labels, 3 of 10 polite answers turn rude, n = 100: seen", "0 %", _rate(n_sim, turned, 0.3, 100), ">= 60 %"),
        ("50 of 100 answers edited, outputs equal: failed", "100 %", _rate(n_sim, edited), "<= 5 %"),
    ]


def _rate(n_sim: int, happens: Any, *given: float) -> str:
    return f"{100 * sum(happens(*given) for _ in range(n_sim)) / n_sim:.1f} %"


def _labelled(labels: Any) -> ResultTable:
    return result_table({"example_id": [f"q{i}" for i in range(len(labels))], "eval.tone.label": list(labels)})


def _scored(scores: Any, answers: list[str]) -> ResultTable:
    ids = [f"q{i}" for i in range(len(scores))]
    return result_table({"example_id": ids, "input": ids, "expected": answers, "eval.right.score": list(scores)})


def _status(baseline: ResultTable, candidate: ResultTable) -> str:
    verdict = compare_results(baseline, candidate, gate=Gate()).verdict
    assert verdict is not None
    return verdict.status


if __name__ == "__main__":
    for row in rows(200, 1):
        print(" | ".join(row))
