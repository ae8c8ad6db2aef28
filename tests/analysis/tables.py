"""Results tables for the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison, MetricComparison, Verdict

Scores = Sequence[float | None] | np.ndarray


def columns(ids: Sequence[Any] | None = None, **scores: Scores) -> dict[str, list[Any]]:
    n = len(next(iter(scores.values())))
    found: dict[str, list[Any]] = {"example_id": list(ids) if ids is not None else [f"q{i:05d}" for i in range(n)]}
    return found | {f"eval.{name}.score": list(values) for name, values in scores.items()}


def table(ids: Sequence[Any] | None = None, label: str | None = None, /, **scores: Scores) -> ResultTable:
    """One run an example; a metric for each keyword."""
    return result_table(columns(ids, **scores), label)


def with_errors(given: Mapping[str, list[Any]], *rows: int, column: str = "error") -> dict[str, list[Any]]:
    n = len(given["example_id"])
    return {**given, column: ["Boom" if row in set(rows) else None for row in range(n)]}


def pairs(both: int, candidate_only: int, baseline_only: int, neither: int) -> tuple[ResultTable, ResultTable]:
    """The fourfold table of a 0/1 metric called ``correctness``."""
    left = [1] * both + [0] * candidate_only + [1] * baseline_only + [0] * neither
    right = [1] * both + [1] * candidate_only + [0] * baseline_only + [0] * neither
    return table(correctness=left), table(correctness=right)


def one(baseline: ResultTable, candidate: ResultTable, **options: Any) -> MetricComparison:
    (metric,) = compare_results(baseline, candidate, **options).metrics.values()
    return metric


def judged(baseline: ResultTable, candidate: ResultTable, gate: Gate | None = None, **options: Any) -> Verdict:
    verdict = compare_results(baseline, candidate, gate=gate or Gate(), **options).verdict
    assert verdict is not None
    return verdict


def checks(comparison: Comparison | Verdict) -> dict[str, str]:
    """Each check's status."""
    verdict = comparison.verdict if isinstance(comparison, Comparison) else comparison
    assert verdict is not None
    return {check.name: check.status for check in verdict.checks}


def sentences(verdict: Verdict) -> list[str]:
    """The verdict, and of each check all that it says."""
    return [
        f"{verdict.status} {verdict.exit_code}",
        *(
            f"{check.name} {check.status}: {check.reason}"
            + ("" if check.examples_needed is None else f" ({check.examples_needed})")
            + ("" if check.smallest_drop is None else f" ({check.smallest_drop:.4g})")
            for check in verdict.checks
        ),
    ]


def written(text: str) -> list[str]:
    """The sentences of a text, each of which begins with a dash and may go on in the next line."""
    return [" ".join(line.split()) for line in text.split("\n        - ")[1:]]


def figures(given: Any) -> str:
    """All fields that are not nothing, numbers to five digits."""

    def said(value: Any) -> str:
        if isinstance(value, tuple | list):
            return f"({' '.join(map(said, value))})"
        return f"{value:.5g}" if isinstance(value, float) else str(value)

    return ", ".join(
        f"{name} {said(value)}" for name, value in given.to_dict().items() if value not in (None, (), [], {})
    )
