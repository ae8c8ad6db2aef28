"""Examples that have to be right, one by one, whatever the means say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import MetricCheck, Verdict
from prefect_experiments.errors import InvalidSetting

from .tables import columns

N = 100


def results(*wrong: int, split: Any = None, **more: Any) -> ResultTable:
    """100 examples, right but for some; the first three are golden."""
    splits = ["golden"] * 3 + ["rest"] * (N - 3) if split is None else split
    scores = [0.0 if place in wrong else 1.0 for place in range(N)]
    ids = [f"e{place}" for place in range(N)]
    return result_table({**columns(ids, correctness=scores), "splits": splits, **more})


def required(verdict: Verdict | None) -> MetricCheck:
    assert verdict is not None
    (check,) = (check for check in verdict.checks if check.name == "required")
    return check


def judged(candidate: ResultTable, rule: Any, baseline: ResultTable | None = None) -> tuple[str, str]:
    """The status of the whole verdict, and what it says of the examples."""
    verdict = compare_results(baseline or results(), candidate, gate=Gate(required=rule)).verdict
    assert verdict is not None
    return verdict.status, required(verdict).reason


def test_one_golden_example_that_is_wrong_fails() -> None:
    assert judged(results(1), {"split": "golden"}) == (
        "failed",
        "2 of 3 required examples are right (all scores >= 1); failed: e1 (correctness 0.00)",
    )
    assert judged(results(50), {"split": "golden"}) == (
        "passed",
        "3 of 3 required examples are right (all scores >= 1)",
    )


def test_it_needs_no_baseline() -> None:
    gate = Gate(required={"ids": "e7"})
    assert gate.judge_alone(results()).status == "passed"
    verdict = gate.judge_alone(results(7))
    assert verdict.status == "failed"
    assert required(verdict).reason == (
        "0 of 1 required example is right (all scores >= 1); failed: e7 (correctness 0.00)"
    )


def test_what_is_named_in_several_ways_is_required_together() -> None:
    tier = {"metadata.tier": ["gold" if place % 20 == 9 else "free" for place in range(N)]}
    rule = {"ids": ["e50", "e1"], "split": ["golden"], "metadata.tier": "gold"}
    status, reason = judged(results(9, 50, **tier), rule, results(**tier))
    assert status == "failed"
    assert reason.startswith("7 of 9 required examples are right")
    assert reason.endswith("failed: e50 (correctness 0.00), e9 (correctness 0.00)")


def test_a_missing_score_an_error_and_a_missing_run_fail() -> None:
    ids = [f"e{place}" for place in range(N)]
    given: dict[str, Any] = {**columns(ids, correctness=[1.0] * N), "splits": ["golden"] * 3 + ["rest"] * 97}
    given["eval.correctness.score"] = [None, 1.0, 1.0, *given["eval.correctness.score"][3:]]
    given["eval.correctness.error"] = ["Boom", *[None] * 99]
    given["error"] = [None, "no such order", *[None] * 98]
    status, reason = judged(result_table(given), {"split": "golden"})
    assert status == "failed"
    assert reason.endswith("failed: e0 (correctness failed), e1 (the task failed)")
    silent = {**given, "eval.correctness.error": [None] * N, "error": [None] * N}
    assert judged(result_table(silent), {"split": "golden"})[1].endswith("failed: e0 (correctness gave no score)")


@pytest.mark.parametrize("rule", [{"ids": "e1"}, {"split": "golden"}, {"metadata.tier": "gold"}])
def test_an_example_that_only_the_baselines_table_has_is_missing(rule: Any) -> None:
    """What the candidate's table lacks it cannot call golden; the baseline's can."""
    tier = {"metadata.tier": ["gold" if place in (1, 2) else "free" for place in range(N)]}
    cells = {**columns([f"e{place}" for place in range(N)], correctness=[1.0] * N), **tier}
    cells["splits"] = ["golden"] * 3 + ["rest"] * (N - 3)
    without = {name: [*values[:1], *values[2:]] for name, values in cells.items()}
    status, reason = judged(result_table(without), rule, result_table(cells))
    assert status == "failed"
    assert reason.endswith("; failed: e1 (it was not run)")
    assert "there is no example" not in reason
    # Nor does it help that the candidate's table has no such column at all.
    bare = {name: values for name, values in without.items() if name.startswith(("example", "eval"))}
    assert judged(result_table(bare), rule, result_table(cells))[1].endswith("; failed: e1 (it was not run)")
    assert judged(result_table(cells), rule, result_table(bare))[0] == "passed"


def test_who_says_which_examples_there_are_needs_no_baseline_for_it() -> None:
    """A candidate on a newer version of the dataset, which an example has been taken out of."""
    candidate = results(split=["golden"] * 2 + ["rest"] * 98)
    places = [place for place in range(N) if place != 2]
    kept = tuple(candidate.example_ids[place] for place in places)
    newer = replace(
        result_table({**columns(kept, correctness=[1.0] * 99), "splits": ["golden"] * 2 + ["rest"] * 97}),
        expected_ids=kept,
        n_expected=99,
    )
    assert judged(newer, {"split": "golden"}) == (
        "passed",
        "2 of 2 required examples are right (all scores >= 1)",
    )


def test_a_repetition_that_a_table_lacks_is_missing() -> None:
    def repeated(*lacking: tuple[str, int]) -> ResultTable:
        runs = [(f"e{n}", number) for n in range(40) for number in range(1, 6) if (f"e{n}", number) not in lacking]
        ids, numbers = zip(*runs, strict=True)
        return result_table({**columns(ids, correctness=[1.0] * len(ids)), "repetition_number": list(numbers)})

    for missing in (3, 5):
        status, reason = judged(repeated(("e1", missing)), {"ids": ["e0", "e1"]}, repeated())
        assert status == "failed"
        assert reason.endswith("failed: e1 (1 of 5 repetitions were not run)")
    assert judged(repeated(("e1", 3)), {"ids": "e0"}, repeated())[0] == "passed"
    gap = result_table({**columns(["a"] * 4, correctness=[1.0] * 4), "repetition_number": [1, 2, 4, 5]})
    assert required(Gate(required={"ids": "a"}).judge_alone(gap)).reason.endswith("(1 of 5 repetitions were not run)")


def test_every_repetition_has_to_be_right() -> None:
    def repeated(*scores: float) -> ResultTable:
        return result_table(
            {
                "example_id": [example for example in ("a", "b") for _ in scores],
                "repetition_number": [*range(1, len(scores) + 1)] * 2,
                "eval.correctness.score": [*[1.0] * len(scores), *scores],
            }
        )

    rule = {"ids": ["a", "b"]}
    assert required(Gate(required=rule).judge_alone(repeated(1, 1, 1))).status == "passed"
    check = required(Gate(required=rule).judge_alone(repeated(1, 0.9, 1)))
    assert (check.status, check.reason) == (
        "failed",
        "1 of 2 required examples are right (all scores >= 1); failed: b (correctness 0.90)",
    )


def test_a_threshold_asks_for_less() -> None:
    given = result_table({**columns(["a", "b"], quality=[0.85, 1.0], words=[12.0, 9.0])})
    check = required(Gate(required={"ids": ["a"], "threshold": 0.8, "metrics": ["quality"]}).judge_alone(given))
    assert (check.status, check.reason) == ("passed", "1 of 1 required example is right (all scores >= 0.8)")
    check = required(Gate(required={"ids": ["a"], "metrics": "quality"}).judge_alone(given))
    assert check.status == "failed"


def test_less_may_be_better() -> None:
    given = result_table(columns(["a", "b"], toxicity=[0.0, 1.0]))
    gate = Gate(metrics={"toxicity": {"direction": "minimize"}}, required={"ids": "a"})
    assert required(gate.judge_alone(given)).status == "passed"
    gate = Gate(metrics={"toxicity": {"direction": "minimize"}}, required={"ids": "b"})
    check = required(gate.judge_alone(given))
    assert check.reason.endswith("(all scores >= 1, or <= 0 where less is better); failed: b (toxicity 1.00)")


def test_scores_beyond_0_and_1_have_a_say_only_with_a_threshold() -> None:
    given = result_table(columns(["a", "b"], quality=[1.0, 1.0], words=[12.0, 0.5]))
    check = required(Gate(required={"ids": ["a", "b"]}).judge_alone(given))
    assert check.status == "passed"
    assert check.reason.endswith("; words may go beyond 0 and 1 and has no say without a threshold")
    only_words = result_table(columns(["a", "b"], words=[12.0, 0.5]))
    check = required(Gate(required={"ids": ["a"]}).judge_alone(only_words))
    assert check.status == "failed"
    assert "failed: a (no score says that it is right)" in check.reason
    check = required(Gate(required={"ids": ["a", "b"], "threshold": 1}).judge_alone(only_words))
    assert check.reason.endswith("failed: b (words 0.50)")


def test_what_no_example_has_fails_and_is_named() -> None:
    for rule, said in (
        ({"split": "goldn"}, "no example has splits=goldn; did you mean 'golden'? There are: golden, rest"),
        ({"metadata.teir": "gold"}, "no example has 'metadata.teir'; did you mean 'metadata.tier'?"),
        ({"ids": "e1000"}, "there is no example 'e1000'; did you mean 'e10'?"),
        ({"ids": "e1", "metrics": "correctnes"}, "there is no metric 'correctnes'; did you mean 'correctness'?"),
    ):
        status, reason = judged(results(**{"metadata.tier": ["gold"] * N}), rule)
        assert status == "failed"
        assert said in reason


def test_a_pending_evaluation_is_inconclusive() -> None:
    given = {**columns(["a", "b"], quality=[1.0, None]), "eval.quality.metadata.pending": [None, "is it right?"]}
    check = required(Gate(required={"ids": ["a", "b"]}).judge_alone(result_table(given)))
    assert check.status == "inconclusive"
    assert "1 of 2 required examples are right" in check.reason
    assert "1 evaluation of results is pending" in check.reason


@given(st.sets(st.integers(0, N - 1)), st.sets(st.integers(0, N - 1), min_size=1))
def test_it_fails_exactly_where_one_of_them_is_wrong(wrong: set[int], asked: set[int]) -> None:
    verdict = Gate(required={"ids": [f"e{place}" for place in asked]}).judge_alone(results(*wrong))
    assert required(verdict).status == ("failed" if wrong & asked else "passed")


def test_wrong_rules_are_refused() -> None:
    for rule, said in (
        ("golden", r"Gate\.required must be a mapping such as \{split: golden\}, got 'golden'"),
        ({}, "names no example: give ids, split or metadata.KEY"),
        ({"threshold": 0.8}, "names no example"),
        ({"spilt": "golden"}, "unknown key 'spilt'; did you mean 'split'"),
        ({"split": []}, r"Gate\.required: split must be a value or a list of them"),
        ({"ids": [None]}, r"Gate\.required: ids must be a value or a list of them"),
        *(
            ({"split": "golden", "threshold": wrong}, "threshold must be a finite number such as 0.8, got ")
            for wrong in ("high", True, float("inf"), float("nan"), [0.8])
        ),
        ({"metadata.": "gold"}, "unknown key 'metadata.'"),
        ({"metadata.tier": {"is": "gold"}}, r"required: metadata\.tier must be a value or a list of them"),
        ({"split": "golden", "metrics": []}, "required: metrics must be a value or a list of them"),
    ):
        with pytest.raises(InvalidSetting, match=said):
            Gate(required=rule)  # type: ignore[arg-type]
    gate = Gate.parse("required: {split: golden, metadata.tier: [gold, 1], threshold: 0.8}")
    assert gate.must is not None
    assert gate.must.values == {"splits": ("golden",), "metadata.tier": ("gold", "1")}
    assert (gate.must.ids, gate.must.threshold, gate.must.metrics) == ((), 0.8, None)
    must = Gate(required={"split": "a", "splits": ["b", "a"], "ids": [1, "x", 1], "threshold": 1, "metrics": None}).must
    assert must is not None
    assert (must.values, must.ids, must.threshold, must.metrics) == ({"splits": ("a", "b", "a")}, ("1", "x"), 1, None)


def test_a_comparison_without_the_examples_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="the comparison was made without the gate's required examples"):
        Gate(required={"split": "golden"}).judge(compare_results(results(), results()))
