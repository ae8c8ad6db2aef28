"""Labels: counts on both sides, the paired test of their shift, and what a gate says of them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.label_shift import SAMPLED, pairs_to_shift, shift_test, smallest_p
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.errors import InvalidSetting

from .tables import checks, judged, table


def labelled(labels: Sequence[str | None], name: str = "tone", **scores: Sequence[float]) -> ResultTable:
    ids = [f"q{n:04d}" for n in range(len(labels))]
    more = {f"eval.{metric}.score": list(values) for metric, values in scores.items()}
    return result_table({"example_id": ids, f"eval.{name}.label": list(labels), **more})


def ones(labels: Sequence[str]) -> list[Counter[str]]:
    return [Counter([label]) for label in labels]


# The test ----------------------------------------------------------------------------------------


def brute_force(before: Sequence[str], after: Sequence[str]) -> float:
    """Stuart's statistic by its definition (1955, from the marginals) over all 2^n exchanges of the sides."""
    names = sorted({*before, *after})

    def statistic(left: Sequence[str], right: Sequence[str]) -> float:
        table = np.zeros((len(names), len(names)))
        for one, other in zip(left, right, strict=True):
            table[names.index(one), names.index(other)] += 1
        d = table.sum(1) - table.sum(0)
        v = -(table + table.T)
        np.fill_diagonal(v, table.sum(1) + table.sum(0) - 2 * np.diag(table))
        return float(d @ np.linalg.pinv(v) @ d)

    seen, extreme = statistic(before, after), 0
    for swap in itertools.product((False, True), repeat=len(before)):
        sides = [(b, a) if keep else (a, b) for b, a, keep in zip(before, after, swap, strict=True)]
        left, right = zip(*sides, strict=True)
        extreme += statistic(left, right) >= seen * (1 - 1e-9)
    return extreme / 2 ** len(before)


def test_p_is_that_of_all_exchanges_of_the_sides() -> None:
    rng = np.random.default_rng(1)
    for _ in range(25):
        n, k = int(rng.integers(1, 9)), int(rng.integers(2, 5))
        before, after = (["abcd"[i] for i in rng.integers(0, k, n)] for _ in range(2))
        assert shift_test(ones(before), ones(after)).p_value == pytest.approx(brute_force(before, after))


def test_with_two_labels_it_is_mcnemars_exact_test() -> None:
    for b, c in ((0, 6), (8, 21), (40, 42)):
        before, after = "x" * b + "y" * c + "x" * 50, "y" * b + "x" * c + "x" * 50
        assert shift_test(ones(before), ones(after)).p_value == pytest.approx(stats.binomtest(b, b + c).pvalue)


def test_the_order_of_rows_and_sides_and_labels_makes_no_difference() -> None:
    rng = np.random.default_rng(2)
    before, after = (["abcdef"[i] for i in rng.integers(0, 6, 300)] for _ in range(2))
    first = shift_test(ones(before), ones(after))
    assert first.test == SAMPLED
    order = rng.permutation(300)
    mixed = shift_test(ones([before[i] for i in order]), ones([after[i] for i in order]))
    assert first == mixed == shift_test(ones(after), ones(before))


def test_repetitions_are_one_vote() -> None:
    before = [Counter({"a": 3}), Counter({"a": 2, "b": 1}), Counter({"a": 1})]
    after = [Counter({"a": 1, "b": 2}), Counter({"b": 1}), Counter({"b": 5})]
    assert shift_test(before, after).p_value == pytest.approx(0.25)  # all three move one way: 2 of 8


@pytest.mark.thorough
def test_an_equal_candidate_shifts_in_at_most_one_of_twenty() -> None:
    """Labels drawn alike on both sides, half of the pairs the same; few and many labels, few and many pairs."""
    rng = np.random.default_rng(3)
    for n, shares in ((12, [0.5, 0.5]), (40, [0.7, 0.2, 0.1]), (60, [0.4, 0.3, 0.1, 0.1, 0.05, 0.05])):
        alarms = 0
        for _ in range(400):
            before, fresh = rng.choice(len(shares), (2, n), p=shares)
            after = np.where(rng.random(n) < 0.5, before, fresh)
            alarms += shift_test(ones(list(map(str, before))), ones(list(map(str, after)))).p_value <= 0.05
        assert alarms <= 400 * 0.05 + 2 * np.sqrt(400 * 0.05 * 0.95)


def test_the_smallest_p_and_the_pairs_that_it_takes() -> None:
    for n in (1, 5, 6, 9):
        assert shift_test(ones("a" * n), ones("b" * n)).p_value == pytest.approx(smallest_p(n))
    assert pairs_to_shift(0.05) == 6
    assert smallest_p(6) <= 0.05 < smallest_p(5)


# In a comparison ---------------------------------------------------------------------------------


def test_a_comparison_counts_labels_and_says_what_moved() -> None:
    found = compare_results(labelled(["polite"] * 60), labelled(["rude"] * 60)).labels["tone"]
    assert (found.baseline, found.candidate) == ({"polite": 60}, {"rude": 60})
    assert found.moves == (("polite", "rude", 60),)
    assert found.p_value is not None
    assert found.p_value < 1e-3
    assert (found.n_pairs, found.n_moved, found.verdict) == (60, 60, "changed")
    alone = labelled(["polite"] * 60).side()
    assert alone.labels == {"tone": {"polite": 60}}


def test_labels_beside_scores_are_counted_and_not_tested_twice() -> None:
    left, right = (labelled(["a"] * 20, size=[1.0] * 20, tone=[s] * 20) for s in (1.0, 0.0))
    comparison = compare_results(left, right)
    assert comparison.labels["tone"].has_scores
    assert comparison.labels["tone"].verdict == "unchanged"
    # Of two metrics, not of four tests.
    assert comparison.metrics["tone"].p_value_adjusted == 2 * comparison.metrics["tone"].p_value
    assert comparison.metrics["tone"].verdict == "regressed"


def test_a_truth_value_that_is_missing_is_told_by_its_score_alone() -> None:
    left = labelled(["True"] * 60, tone=[1.0] * 60)
    right = labelled(["True"] * 20 + [None] * 40, tone=[1.0] * 20 + [math.nan] * 40)
    verdict = judged(left, right)
    assert not any("labels" in reason for reason in verdict.reasons)


# In a gate ---------------------------------------------------------------------------------------


def test_labels_that_turn_do_not_pass() -> None:
    """Tone from polite to rude on 60 of 60 met every rule before."""
    verdict = judged(labelled(["polite"] * 60), labelled(["rude"] * 60))
    assert (verdict.status, verdict.exit_code) == ("inconclusive", 1)
    (reason,) = verdict.reasons
    assert reason == (
        "tone polite 60 → 0, rude 0 → 60 on 60 pairs: its labels have shifted (adjusted p < 0.001), for better or "
        "worse; say which labels are good, in the gate: {metrics: {tone: {positive: polite}}}"
    )


def test_labels_that_stay_are_mentioned_in_a_verdict_that_passes() -> None:
    verdict = judged(labelled(["polite", "rude"] * 30), labelled(["polite", "rude"] * 30))
    assert verdict.status == "passed"
    assert any("tone polite 30 → 30, rude 30 → 30 on 60 pairs: none moved" in reason for reason in verdict.reasons)


def test_too_few_labels_never_pass() -> None:
    verdict = judged(labelled(["polite"] * 5), labelled(["rude"] * 5))
    assert verdict.status == "inconclusive"
    assert "too few pairs to show any shift of labels; at least 6 are needed" in verdict.reasons[0]


def test_lost_labels_are_a_shift() -> None:
    verdict = judged(labelled(["polite"] * 60), labelled(["polite"] * 20 + [None] * 40))
    assert verdict.status == "inconclusive"
    assert "(no label) 0 → 40" in verdict.reasons[0]


def test_with_a_positive_label_it_is_a_metric_like_any_other() -> None:
    gate = Gate.parse({"metrics": {"tone": {"positive": "polite", "min": 0.5}}})
    before, after = labelled(["polite"] * 50 + ["rude"] * 10), labelled(["polite"] * 10 + ["rude"] * 50)
    worse = judged(before, after, gate)
    assert worse.status == "failed"
    assert "significantly worse" in worse.reasons[0]
    assert "'polite' counts as 1" in worse.reasons[0]
    assert judged(after, before, gate).status == "passed"
    assert judged(before, before, Gate(metrics={"tone": Metric(positive=["polite", "kind"])})).status == "passed"
    assert checks(gate.judge_alone(after))["tone"] == "failed"
    assert checks(gate.judge_alone(before))["tone"] == "passed"


@pytest.mark.parametrize(
    ("positive", "said"),
    [("polit", "unknown label 'polit'; did you mean 'polite'?"), (["a", "b"], "unknown label 'a'")],
)
def test_a_positive_label_that_nobody_gave_fails(positive: Any, said: str) -> None:
    side = labelled(["polite"] * 40)
    verdict = judged(side, side, Gate(metrics={"tone": Metric(positive=positive)}))
    assert verdict.status == "failed"
    assert said in verdict.reasons[0]


def test_a_bound_on_labels_needs_to_know_which_are_good() -> None:
    verdict = judged(labelled(["polite"] * 9), labelled(["polite"] * 9), Gate(metrics={"tone": Metric(min=0.5)}))
    assert verdict.status == "failed"
    assert "gives labels and no scores, so it has no mean to judge" in verdict.reasons[0]


def test_what_was_measured_and_is_not_judged_is_named() -> None:
    sides = [labelled(["polite"] * 40, size=[1.0] * 40) for _ in range(2)]
    gate = Gate(metrics={"size": Metric()})
    assert "not judged, because the gate does not name it: tone" in judged(*sides, gate).reasons
    assert "not judged, because the gate does not name it: tone" in gate.judge_alone(sides[0]).reasons
    alone = Gate().judge_alone(labelled(["polite"] * 40))
    assert alone.status == "passed"
    assert alone.reasons[0] == "tone polite 40: labels, and none is said to be good"


@pytest.mark.slow
def test_labels_and_scores_share_the_gates_false_alarms() -> None:
    """Equal sides, three metrics and two evaluators of labels: not passed in at most one of twenty."""
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(120):
        sides = []
        for _ in range(2):
            given: dict[str, Any] = {"example_id": [f"q{n}" for n in range(60)]}
            given |= {f"eval.{name}.score": list((rng.random(60) < 0.7).astype(float)) for name in "abc"}
            given |= {f"eval.{name}.label": list(rng.choice(["x", "y", "z"], 60)) for name in "de"}
            sides.append(result_table(given))
        alarms += judged(*sides).status != "passed"
    assert alarms <= 120 * 0.05 + 2 * np.sqrt(120 * 0.05 * 0.95)


def test_labels_that_turn_under_equal_scores_are_mentioned() -> None:
    left, right = (labelled([label] * 60, tone=[1.0] * 60) for label in ("polite", "rude"))
    comparison = compare_results(left, right, gate=Gate())
    assert comparison.labels["tone"].verdict == "changed"
    assert comparison.verdict.status == "passed"
    said = "tone's labels have shifted, polite 60 → 0, rude 0 → 60 on 60 pairs; its scores are judged"
    assert said in comparison.verdict.reasons


def test_what_one_side_lacks_is_mentioned() -> None:
    both, one = labelled(["polite"] * 60, size=[1.0] * 60), table(size=[1.0] * 60)
    assert "not judged, because the candidate does not have it: tone" in judged(both, one).reasons
    assert "not judged, because the baseline does not have it: tone" in judged(one, both).reasons


def test_a_misspelt_label_in_a_list_does_not_pass() -> None:
    left = labelled(["polite"] * 30 + ["friendly"] * 30)
    right = labelled(["polite"] * 30 + ["rude"] * 30)
    verdict = judged(left, right, Gate(metrics={"tone": Metric(positive=["polite", "freindly"])}))
    assert verdict.status == "failed"
    assert "positive: unknown label 'freindly'; did you mean 'friendly'?" in verdict.reasons[0]
    with pytest.raises(InvalidSetting, match="positive must"):
        Metric(positive=[])


def test_labels_have_a_coverage_where_the_gate_asks_for_one() -> None:
    left, right = labelled(["polite"] * 60), labelled([None] * 5 + ["polite"] * 55)
    verdict = judged(left, right, Gate(min_coverage=0.99))
    assert verdict.status == "failed"
    assert "tone has a label on 55 of 60 runs that the baseline has one of, and 99 % is needed" in verdict.reasons[-1]


def test_what_has_shifted_alone_has_not_among_several() -> None:
    """Six of 60 labels that all move one way: 2 / 2^6 = 0.031, and twice that where two evaluators gave labels."""
    before, after = ["a"] * 60, ["b"] * 6 + ["a"] * 54
    ids = [f"q{n}" for n in range(60)]

    def side(*labels: Sequence[str]) -> ResultTable:
        return result_table({"example_id": ids, **{f"eval.m{n}.label": given for n, given in enumerate(labels)}})

    alone = compare_results(side(before), side(after)).labels["m0"]
    assert (alone.verdict, alone.p_value_adjusted) == ("changed", pytest.approx(2 / 2**6))
    among = compare_results(side(before, before), side(after, [*after[6:], *after[:6]])).labels["m0"]
    assert (among.verdict, among.p_value, among.p_value_adjusted) == (
        "unchanged",
        pytest.approx(2 / 2**6),
        2 * among.p_value,
    )


def test_no_p_value_of_a_sample_is_nought() -> None:
    """Of 9,999 exchanges none is as extreme: 1 / 10,000, as what was seen is one of them."""
    rng = np.random.default_rng(3)
    before = [Counter({"a": int(n), "b": 5}) for n in rng.integers(40, 90, 80)]
    after = [Counter({"b": int(n), "c": 4}) for n in rng.integers(40, 90, 80)]
    shift = shift_test(before, after)
    assert (shift.p_value, shift.test) == (1 / 10_000, SAMPLED)
