"""What the terminal shows, however narrow it is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.results import result_table
from prefect_experiments.reports.terminal import comparison_table


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_metric_never_stands_without_its_name_and_verdict(width: int) -> None:
    scores = [1.0] * 30, [1.0] * 10 + [0.0] * 20
    ids = [f"e{n}" for n in range(30)]
    sides = [result_table({"example_id": ids, "eval.correctness.score": side}) for side in scores]
    out = Console(file=io.StringIO(), width=width)
    out.print(comparison_table(compare_results(*sides), width=width))
    shown = out.file.getvalue()
    assert all(len(line) <= width for line in shown.splitlines())
    for said in ("correctness", "-67 points", "regressed"):
        assert said in shown
