"""The same scores judged by the published rules of NVIDIA NeMo Evaluator and by the gate: a table of the docs.

    python tests/benchmarks/nemo_gate.py     # prints it

The rules are written here anew, from what is published of NVIDIA-NeMo/Evaluator at commit ac66aff (July 2026):
docs/tutorials/compare.mdx and quality-gate.mdx, and, for what these leave open, engine/comparison.py and engine/gate.py
of src/nemo_evaluator.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import result_table

MARGIN, PRACTICAL = 0.02, 0.05  # of both gates; what `nel compare` takes for practical where nobody says


class Case(NamedTuple):
    """Scores of 0 and 1 on `n` examples, of which some got worse and some better."""

    what: str
    n: int
    worse: int
    better: int

    def scores(self) -> tuple[list[int], list[int]]:
        """The baseline's and the candidate's; of those that stay four in five are right."""
        same = self.n - self.worse - self.better
        stays = [int(i % 5 > 0) for i in range(same)]
        return [1] * self.worse + [0] * self.better + stays, [0] * self.worse + [1] * self.better + stays


CASES = [
    Case("5 examples, all worse", 5, 5, 0),
    Case("8 examples, all worse", 8, 8, 0),
    Case("10 examples, all worse", 10, 10, 0),
    Case("5 examples, identical", 5, 0, 0),
    Case("10 examples, identical", 10, 0, 0),
    Case("200 examples, identical", 200, 0, 0),
    Case("100 examples, as good: 8 worse, 8 better", 100, 8, 8),
    Case("400 examples, as good: 32 worse, 32 better", 400, 32, 32),
    Case("4,000 examples, as good: 320 worse, 320 better", 4000, 320, 320),
    Case("100 examples, 10 points worse: 17 worse, 7 better", 100, 17, 7),
    Case("400 examples, 10 points worse: 68 worse, 28 better", 400, 68, 28),
    Case("2,000 examples, 2 points worse: 196 worse, 156 better", 2000, 196, 156),
]


def nel_compare(case: Case, max_drop: float = PRACTICAL) -> str:
    """McNemar's exact one-sided test, and a floor of what could have been found with 80 % power."""
    moved = case.worse + case.better
    if not moved:
        return "PASS"
    effect = (case.worse - case.better) / case.n
    if stats.binomtest(case.worse, moved, alternative="greater").pvalue < 0.05:
        return "BLOCK" if effect > max_drop else "WARN"
    return "INCONCLUSIVE" if 2.8 / math.sqrt(moved) > 2 * max_drop else "PASS"


def nel_gate(case: Case, max_drop: float = MARGIN) -> str:
    """Student's interval of the drop beside the one allowed, from 10 pairs on."""
    if case.n < 10:
        return "INCONCLUSIVE"
    before, after = map(np.array, case.scores())
    drops = before - after
    half = stats.t.ppf(0.975, case.n - 1) * drops.std(ddof=1) / math.sqrt(case.n)
    if drops.mean() - half > max_drop:
        return "NO-GO"
    return "GO" if drops.mean() + half <= max_drop else "INCONCLUSIVE"


def ours(case: Case, max_regression: float | None = None) -> str:
    """The gate's verdict."""
    before, after = (
        result_table({"example_id": list(range(case.n)), "eval.right.score": scores}) for scores in case.scores()
    )
    gate = Gate(metrics={"right": {"max_regression": max_regression}})
    verdict = compare_results(before, after, gate=gate).verdict
    assert verdict is not None
    return verdict.status


def table() -> str:
    """In Markdown."""
    lines = [
        "| the same scores | `nel compare` | `gate: {}` | `nel gate`, `max_drop: 0.02` | `max_regression: 0.02` |",
        "|---|---|---|---|---|",
    ]
    for case in CASES:
        said = nel_compare(case), ours(case), nel_gate(case), ours(case, MARGIN)
        lines.append(f"| {' | '.join((case.what, *said))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
