"""What is shown of an example that got better or worse: its scores, texts and which of its runs they are from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.changes import Spread, flaky, outlines
from prefect_experiments.analysis.comparison.correction import filled_with
from prefect_experiments.analysis.corrected import Corrected
from prefect_experiments.analysis.example_changes import ExampleChange
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import MetricComparison, WorstCase

from .tables import table


def run(
    example: str, repetition: int, score: float | None, *, error: str | None = None, **cells: Any
) -> dict[str, Any]:
    name = f"{example}{repetition}"
    row = {"example_id": example, "repetition_number": repetition, "eval.x.score": score, "error": error}
    return {**row, "input": f"asked {example}", "expected": f"wanted {example}", "output": f"said {name}", **cells}


def sides(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[ResultTable, ResultTable]:
    return result_table(before, "before"), result_table(after, "after")


def test_of_several_runs_those_furthest_apart_are_shown_and_none_without_a_score() -> None:
    before = [run("a", 1, 0.5), run("a", 2, 1.0), run("a", 3, 0.75), run("b", 1, 0.0), run("b", 2, 0.25)]
    after = [run("a", 1, 0.5, output="p"), run("a", 2, 0.25, output="q"), run("b", 1, 0.5, output="r")]
    comparison = compare_results(*sides(before, after))
    assert comparison.regressed == (
        ExampleChange(
            example_id="a",
            metric="x",
            difference=-0.375,
            baseline_score=0.75,
            candidate_score=0.375,
            input="asked a",
            expected="wanted a",
            baseline_output="said a2",
            candidate_output="q",
            is_flaky=True,
        ),
    )
    (better,) = comparison.improved
    assert (better.example_id, better.difference, better.baseline_output, better.candidate_output) == (
        "b",
        0.375,
        "said b1",
        "r",
    )
    less = compare_results(*sides(before, after), directions={"x": "minimize"})
    assert [(one.example_id, one.difference) for one in less.regressed] == [("b", -0.375)]
    assert [(one.example_id, one.baseline_output, one.candidate_output) for one in less.improved] == [
        ("a", "said a2", "q")
    ]


def test_the_failed_run_is_shown_beside_one_that_did_not_fail() -> None:
    before = [run("a", 1, 1.0), run("a", 2, None, error="Once"), run("b", 1, 1.0), run("c", 1, None, error="Old")]
    after = [
        run("a", 1, 1.0),
        run("a", 2, 1.0),
        run("b", 1, 1.0),
        run("b", 2, None, error="Boom", output=None),
        run("c", 1, None, error="New"),
    ]
    found = compare_results(*sides(before, after))
    assert found.regressed == (
        ExampleChange(
            example_id="b",
            metric="task error",
            difference=-0.5,
            baseline_score=None,
            candidate_score=None,
            input="asked b",
            expected="wanted b",
            baseline_output="said b1",
            candidate_error="Boom",
        ),
    )
    (better,) = found.improved
    assert (better.example_id, better.difference, better.baseline_error, better.candidate_output) == (
        "a",
        0.5,
        "Once",
        "said a1",
    )


@pytest.mark.parametrize("empty", ["", 0, False, []])
def test_an_empty_input_of_the_candidate_is_shown_as_it_is(empty: Any) -> None:
    """Only where the candidate's table does not tell it the baseline's is shown."""
    before = [run("a", 1, 1.0, input=empty, expected=empty)]
    (change,) = compare_results(*sides(before, [run("a", 1, 0.0, input=empty, expected=empty)])).regressed
    assert (change.input, change.expected) == (empty, empty)
    bare = [{"example_id": "a", "repetition_number": 1, "eval.x.score": 0.0, "output": "o"}]
    (change,) = compare_results(*sides([run("a", 1, 1.0)], bare)).regressed
    assert (change.input, change.expected) == ("asked a", "wanted a")
    (change,) = compare_results(*sides(bare, [run("a", 1, 1.0)])).improved
    assert (change.input, change.expected) == ("asked a", "wanted a")


def test_differences_count_in_proportion_to_what_the_metrics_scores_span() -> None:
    """Of x the scores span 10, of y 0.5; where two are alike the first metric and the baseline's order decide."""
    left = table(list("abcde"), x=[10, 5, 5, 0, 5], y=[0.5, 0.5, 0.25, 0.0, 0.5])
    right = table(list("abcde"), x=[8, 5, 0, 0, 4], y=[0.5, 0.0, 0.0, 0.0, 0.375])
    worse = [(one.example_id, one.metric, one.difference) for one in compare_results(left, right).regressed]
    assert worse == [
        ("b", "y", -0.5),
        ("c", "x", -5.0),
        ("c", "y", -0.25),
        ("e", "y", -0.125),
        ("a", "x", -2.0),
        ("e", "x", -1.0),
    ]
    alone = compare_results(table(x=[3.0]), table(x=[2.0])).regressed
    assert [one.difference for one in alone] == [-1.0]


def test_a_difference_in_the_last_digits_is_no_change() -> None:
    left, right = table(x=[0.1 + 0.2, 0.7, 3e9]), table(x=[0.3, 0.7 + 1e-11, 3e9 + 1e-6])
    found = compare_results(left, right)
    assert [one.example_id for one in outlines(found.improved)] == ["q00001"]
    assert found.regressed == ()


@pytest.mark.parametrize("n", [1000, 1001])
def test_of_more_than_a_thousand_changes_the_texts_are_read_when_they_are_looked_at(n: int) -> None:
    left = table(x=[1.0] * 1000 + [0.0] * (n - 1000))
    found = compare_results(left, table(x=[0.0] * 1000 + [1.0] * (n - 1000)))
    assert isinstance(found.regressed, tuple) is (n == 1000)
    assert (len(found.regressed), len(found.improved)) == (1000, n - 1000)
    assert [found.regressed[place].example_id for place in (0, 999, 0, -1)] == ["q00000", "q00999", "q00000", "q00999"]
    first = outlines(found.regressed)[0]
    assert (first.example_id, first.metric, first.difference, first.is_flaky) == ("q00000", "x", -1.0, False)


def test_two_standard_errors_themselves_are_within_what_repetitions_show() -> None:
    """Variance 1 with 2 and 2 runs: a standard error of 1, so that a difference of 2 is flaky and more is not."""
    spread = Spread(np.full(4, 2.0), np.array([1.0, 1.0, 1.0, 0.0]))
    difference = np.array([-2.0, 2.0, -2.0001, -0.5])
    assert flaky(difference, spread, spread).tolist() == [True, True, False, False]
    alone = Spread(np.ones(4), np.zeros(4))
    assert flaky(difference, alone, alone).tolist() == [False] * 4


# Missing scores in a corrected difference ---------------------------------------------------------


@pytest.mark.parametrize("difference", [0.2, -0.9])
def test_missing_scores_move_a_corrected_difference_as_far_as_the_judges(difference: float) -> None:
    case = WorstCase(
        n_pairs=100, n_baseline=3, n_candidate=6, difference=difference, ci_low=None, ci_high=None, p_value=0.5,
        p_higher=0.5, p_lower=0.5, smallest_p=0.25,
    )  # fmt: skip
    corrected = Corrected(
        human="h", n=100, n_baseline=20, n_candidate=20, n_both=20, method="paired", by_judge=0.1, difference=0.05,
        stderr=0.08, df=18, widest=2.0,
    )  # fmt: skip
    metric = MetricComparison(name="x", direction="maximize", n_pairs=91, difference=0.1, corrected=corrected)
    found = filled_with(case, metric, 0.9)
    # 9 filled examples of 100, by 2 each at most: 3 * 2 / 100 beside the 0.08 there is.
    stderr = (0.08**2 + 0.06**2) ** 0.5
    moved = 0.05 + difference - 0.1
    t = stats.t(18)
    assert (found.n_pairs, found.n_baseline, found.n_candidate, found.smallest_p) == (100, 3, 6, 0.0)
    assert (found.difference, found.ci_low, found.ci_high) == pytest.approx(
        (moved, moved - t.ppf(0.95) * stderr, moved + t.ppf(0.95) * stderr)
    )
    assert (found.p_higher, found.p_lower) == pytest.approx((t.sf(moved / stderr), t.cdf(moved / stderr)))
    assert found.p_value == pytest.approx(2 * t.sf(abs(moved) / stderr))
