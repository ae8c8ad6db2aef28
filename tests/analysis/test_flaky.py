"""Which of the examples that got worse are flaky, and how they are told apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.reports.html import html_report
from prefect_experiments.reports.markdown import comparison_markdown
from prefect_experiments.reports.report_model import table_side
from prefect_experiments.reports.terminal import print_comparison, printed


def results(**examples: Sequence[float | None]) -> ResultTable:
    """Scores by example and repetition; ``None`` where the task failed."""
    rows: list[dict[str, Any]] = [
        {
            "example_id": name,
            "repetition_number": number,
            "eval.correctness.score": score,
            "error": "Boom" if score is None else None,
        }
        for name, scores in examples.items()
        for number, score in enumerate(scores, 1)
    ]
    return result_table(rows)


def of_five(right: int) -> list[float]:
    return [1.0] * right + [0.0] * (5 - right)


def is_flaky(before: Sequence[float | None], after: Sequence[float | None]) -> bool:
    """Of one example that got worse."""
    (change,) = compare_results(results(a=before), results(a=after)).regressed
    return change.is_flaky


@pytest.mark.parametrize(
    ("before", "after", "flaky"),
    [
        (5, 4, True),
        (5, 3, True),
        (5, 2, False),
        (5, 1, False),
        (5, 0, False),
        (4, 2, True),
        (3, 2, True),
        (4, 0, False),
    ],
)
def test_the_rule_with_five_repetitions(before: int, after: int, flaky: bool) -> None:
    assert is_flaky(of_five(before), of_five(after)) is flaky


def test_with_one_run_on_each_side_nothing_is_known_to_be_flaky() -> None:
    assert not is_flaky([1.0], [0.0])


def test_one_side_may_be_repeated() -> None:
    assert is_flaky([1.0], of_five(4))
    assert not is_flaky([1.0], of_five(0))


def test_a_task_that_fails_now_and_then_is_not_called_flaky() -> None:
    before, after = [1.0] * 5, [1.0, 1.0, 1.0, 1.0, None]
    assert not is_flaky(before, after)
    assert not is_flaky(before, [None] * 5)


scores = st.lists(st.floats(0, 1).map(lambda score: round(score, 3)), min_size=2, max_size=6)


@given(scores, scores)
def test_it_is_two_standard_errors_of_the_pooled_spread(before: list[float], after: list[float]) -> None:
    """Against Student's two-sample t, written out."""
    difference = statistics.fmean(after) - statistics.fmean(before)
    n, m = len(before), len(after)
    pooled = ((n - 1) * statistics.variance(before) + (m - 1) * statistics.variance(after)) / (n + m - 2)
    bound = 2 * math.sqrt(pooled * (1 / n + 1 / m))
    if difference >= -1e-6 or abs(abs(difference) - bound) < 1e-6:
        return
    assert is_flaky(before, after) is (abs(difference) <= bound)


# Five examples that waver, and one that broke for good.
WAVERING = [f"waver{n}" for n in range(5)]
BEFORE = results(**dict.fromkeys(WAVERING, of_five(5)), broken=of_five(5), steady=of_five(5))
AFTER = results(**dict.fromkeys(WAVERING, of_five(4)), broken=of_five(0), steady=of_five(5))


def test_failed_tasks_come_first_then_the_largest_part_of_a_metrics_range() -> None:
    def side(failed: str, **scores: dict[str, float]) -> ResultTable:
        ids = ("a", "b", "c", "d", "e")
        return result_table(
            {
                "example_id": ids,
                "error": ["Boom" if name == failed else None for name in ids],
                **{f"eval.{metric}.score": [found.get(name, 0.0) for name in ids] for metric, found in scores.items()},
            }
        )

    # Words range over 1,000: 400 of them are less than half of a right answer.
    before = side("", right={"a": 1.0, "b": 0.5, "c": 1.0, "d": 1.0}, words={"a": 1000.0, "d": 900.0, "e": 1000.0})
    after = side("c", right={"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.3}, words={"a": 600.0, "d": 900.0, "e": 990.0})
    found = compare_results(before, after, directions={"words": "maximize"})
    worse = [(change.example_id, change.metric) for change in found.regressed]
    assert worse[:1] == [("c", "task error")]
    assert [one for one in worse if one[0] != "c"] == [("d", "right"), ("b", "right"), ("a", "words"), ("e", "words")]
    better = compare_results(after, before, directions={"words": "maximize"}).improved
    assert [(change.example_id, change.metric) for change in better] == worse


def test_they_are_listed_last_and_apart() -> None:
    comparison = compare_results(BEFORE, AFTER)
    assert comparison.regressed[0].example_id == "broken"
    assert [change.is_flaky for change in comparison.regressed] == [False, *[True] * 5]
    said = "Flaky: 5 more examples got worse within what repetitions of the same side show: waver0, waver1"
    shown = printed(lambda out: print_comparison(comparison, out))
    assert "Worse, worst first (1 of 1 example)" in shown
    assert said in shown
    assert said.replace("waver0, waver1", "`waver0`, `waver1`") in comparison_markdown(comparison)
    page = html_report(comparison, table_side(AFTER), table_side(BEFORE))
    assert said in page
    assert page.count('"flaky":[0]') == 5
    assert all(change["is_flaky"] for change in comparison.to_dict()["regressed"][1:])


def test_where_all_are_flaky_none_is_called_the_worst() -> None:
    before, after = results(a=of_five(5), b=of_five(5)), results(a=of_five(4), b=of_five(5))
    shown = printed(lambda out: print_comparison(compare_results(before, after), out))
    assert "Worse, worst first" not in shown
    assert "Flaky: 1 more example got worse within what repetitions of the same side show: a" in shown
