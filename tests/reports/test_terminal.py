"""What the terminal shows, however narrow it is."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import result_table
from prefect_experiments.reports.markdown import comparison_markdown
from prefect_experiments.reports.phrases import opening
from prefect_experiments.reports.terminal import comparison_table, print_comparison


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


@pytest.mark.parametrize("width", [60, 80, 200])
def test_what_got_worse_stands_below_each_other_case_by_case(width: int) -> None:
    long = "the quick brown fox jumps over the lazy dog " * 20
    rows = {"example_id": ["a", "b"], "input": ["in", long], "expected": ["1", None], "eval.right.score": [1.0, 1.0]}
    before = {**rows, "output": ["1", long], "eval.fit.score": [0.9, 0.4]}
    after = {**rows, "output": ["2", "日本語" * 100], "eval.right.score": [0.0, 1.0], "eval.fit.score": [0.9, 0.25]}
    out = Console(file=io.StringIO(), width=width)
    print_comparison(compare_results(result_table(before), result_table(after)), out)
    [_, shown] = out.file.getvalue().split("Worse, worst first (2 of 2 examples)\n")
    lines = shown.rstrip().splitlines()
    assert [line.strip() for line in lines[:5]] == [
        "✔ → ✗        a  right",
        "input      in",
        "expected   1",
        "baseline   1",
        "candidate  2",
    ]
    assert lines[5].split() == ["0.40", "→", "0.25", "b", "fit"]
    assert [line.split()[0] for line in lines[6:]] == ["input", "baseline", "candidate"]
    assert all(cell_len(line) <= width for line in lines)
    assert lines[6].endswith("…")


def test_long_names_of_what_got_worse_are_cut_at_forty_characters() -> None:
    rows = {"example_id": ["e" * 41], f"eval.{'m' * 41}.score": [1.0]}
    out = Console(file=io.StringIO(), width=200)
    print_comparison(compare_results(result_table(rows), result_table({**rows, f"eval.{'m' * 41}.score": [0.0]})), out)
    assert f"✔ → ✗  {'e' * 39}…  {'m' * 39}…\n" in out.file.getvalue()


def test_a_sentence_is_one_line_however_narrow_the_terminal() -> None:
    """Who searches the output, or copies from it, has the whole of it."""
    rows = {"example_id": [f"e{n}" for n in range(30)], "eval.right.score": [1.0] * 30}
    comparison = compare_results(result_table(rows), result_table(rows), gate=Gate())
    out = Console(file=io.StringIO(), width=40)
    print_comparison(comparison, out)
    assert len(opening(comparison)) > 40
    assert f"  {opening(comparison)}" in out.file.getvalue().splitlines()


def test_of_many_that_got_worse_one_that_failed_is_shown_first_with_a_gate_as_well() -> None:
    ids = [f"e{n}" for n in range(9)]
    before = {"example_id": ids, "output": ["1"] * 9, "eval.right.score": [1.0] * 9}
    after = {
        **before,
        "output": [None, *["2"] * 8],
        "error": ["ValueError: crash", *[None] * 8],
        "eval.right.score": [None, *[0.0] * 8],
    }
    for gate in (None, Gate.parse({"metrics": {"right": {"min": 0.9}}})):
        out = Console(file=io.StringIO(), width=120)
        print_comparison(compare_results(result_table(before), result_table(after), gate=gate), out)
        [_, shown] = out.file.getvalue().split("Worse, worst first (5 of 9 examples)\n")
        assert shown.splitlines()[0].split()[3] == "e0"
        assert "failed: ValueError: crash" in shown


def test_an_example_worse_in_two_metrics_is_counted_once_everywhere() -> None:
    ids = ["a", "b", "c"]
    before = {"example_id": ids, "eval.right.score": [1.0] * 3, "eval.fit.score": [0.9] * 3}
    after = {"example_id": ids, "eval.right.score": [0.0, 0.0, 1.0], "eval.fit.score": [0.9, 0.1, 0.1]}
    comparison = compare_results(result_table(before), result_table(after))
    assert len(comparison.regressed) == 4
    out = Console(file=io.StringIO(), width=100)
    print_comparison(comparison, out)
    assert "Worse, worst first (3 of 3 examples)" in out.file.getvalue()
    assert "**Worse, worst first** (3 of 3 examples)" in comparison_markdown(comparison)
    assert "**Worse, worst first** (1 of 3 examples)" in comparison_markdown(comparison, worst=1)
