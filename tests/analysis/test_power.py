"""What a pass is worth, and what is said of it beforehand: beside a full enumeration, and beside the gate itself."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.paired import (
    keeps_clear,
    least_to_reject,
    mcnemar_p_value,
    mid_p_value,
    tango_interval,
)
from prefect_experiments.analysis.experiment_plan import ExperimentPlan, plan_of
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.power import (
    Asked,
    Noise,
    examples_for,
    noise_of,
    power_to_find,
    power_to_pass,
    repetitions_for,
    smallest_drop,
)
from prefect_experiments.analysis.repeat_noise import repeat_noise
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.reports.planned import plan_lines

from .tables import judged, table

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from oc_power import SIMULATIONS, Simulation, outcome


def enumerated(n: int, worse: float, better: float, asked: Asked, *, found: bool) -> float:
    """The chance that the gate fails, or passes, over every table there is, each judged by the public functions."""
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            chance = math.comb(n, b) * math.comb(n - b, c) * worse**b * better**c * (1 - worse - better) ** (n - b - c)
            within = asked.margin is not None and tango_interval(c, b, n, asked.confidence)[0] > -asked.margin
            fails = mid_p_value(b, c) <= asked.alpha and not within
            total += chance * (fails if found else within)
    return total


@pytest.mark.parametrize("margin", [None, 0.3])
def test_power_is_what_all_tables_together_say(margin: float | None) -> None:
    """12 pairs of which 1 in 5 differ by chance, and a drop of 0.4 of a mean of 0.8: half of the examples fall."""
    noise = Noise(n=12, variance=0.2, height=0.8, reach=0.8, two_valued=True)
    asked = Asked(alpha=0.05, margin=margin)
    better = 0.1 * 0.5
    exact = enumerated(12, better + 0.4, better, asked, found=True)
    assert power_to_find(noise, 0.4, asked) == pytest.approx(exact, abs=1e-9)


def test_the_chance_to_pass_is_what_all_tables_together_say() -> None:
    noise = Noise(n=12, variance=0.2, height=0.8, reach=0.8, two_valued=True)
    asked = Asked(alpha=0.05, margin=0.3)
    assert power_to_pass(noise, asked) == pytest.approx(enumerated(12, 0.1, 0.1, asked, found=False), abs=1e-9)


@given(st.integers(0, 60), st.sampled_from([0.05, 0.05 / 3, 0.01]))
def test_least_to_reject_is_where_mid_p_is_small_enough(n: int, alpha: float) -> None:
    least = least_to_reject(n, alpha)
    assert least == next((k for k in range(n + 1) if mid_p_value(k, n - k) <= alpha), n + 1)
    exact = least_to_reject(n, alpha, exact=True)
    two_sided = [mcnemar_p_value(k, n - k) if 2 * k > n else 2.0 for k in range(n + 1)]
    assert exact == next((k for k in range(n + 1) if two_sided[k] / 2 <= alpha), n + 1)


@given(st.integers(1, 40), st.data(), st.sampled_from([0.02, 0.1, 0.5]))
def test_an_interval_keeps_clear_where_its_end_does(n: int, data: st.DataObject, margin: float) -> None:
    higher = data.draw(st.integers(0, n))
    lower = data.draw(st.integers(0, n - higher))
    low = tango_interval(higher, lower, n)[0]
    clear = bool(keeps_clear(np.array(higher), np.array(lower), n, -margin))
    assert clear == (low > -margin) or low == pytest.approx(-margin, abs=1e-9)


def test_the_normal_mean_of_a_published_example() -> None:
    """Julious 2004, Statistics in Medicine 23:1921: for 80 % one-sided at 2.5 %, n = 7.85 (sd / d)^2, here 785."""
    noise = Noise(n=785, variance=1.0)
    assert smallest_drop(noise, Asked(alpha=0.025)) == pytest.approx(0.1, abs=0.001)
    assert power_to_find(noise, 0.1, Asked(alpha=0.025)) == pytest.approx(0.8, abs=0.003)


@given(st.floats(0.02, 0.4), st.integers(20, 3000))
def test_more_examples_find_smaller_drops(discordant: float, n: int) -> None:
    asked = Asked(alpha=0.05)
    few, many = (
        smallest_drop(Noise(n=size, variance=discordant, height=0.8, reach=0.8, two_valued=True), asked)
        for size in (n, 4 * n)
    )
    assert few is None or (many is not None and many < few)


def test_a_mean_cannot_fall_further_than_to_the_worst_score() -> None:
    noise = Noise(n=8, variance=0.2, height=0.1, reach=0.1, two_valued=True)
    assert power_to_find(noise, 0.2, Asked(alpha=0.05)) == 0
    assert smallest_drop(noise, Asked(alpha=0.05)) is None


@given(st.integers(1, 10_000_000))
def test_the_fewest_examples_are_found_to_a_part_in_500(fewest: int) -> None:
    found = examples_for(lambda n: n >= fewest)
    assert found is not None
    assert fewest <= found <= fewest + max(0, found // 500)


def test_at_most_ten_million_examples_and_twenty_repetitions_are_thought_of() -> None:
    assert examples_for(lambda n: n >= 10_000_000) == 10_000_000
    assert examples_for(lambda n: n >= 10_000_001) is None
    assert [repetitions_for(lambda r, fewest=fewest: r >= fewest) for fewest in (1, 7, 20, 21)] == [1, 7, 20, None]


def test_too_few_examples_find_nothing_however_large_the_drop_is() -> None:
    """The sign-flip test of two pairs cannot come below 0.05: z squared is 2.7."""
    found = [power_to_find(Noise(n=n, variance=1.0), 1000.0, Asked(alpha=0.05)) for n in (1, 2, 3)]
    assert found == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(("n", "found"), [(100, 0.0), (2, None)])
def test_where_nothing_differs_by_chance_any_drop_is_found(n: int, found: float | None) -> None:
    assert smallest_drop(Noise(n=n, variance=0.0), Asked(alpha=0.05)) == found


def test_the_largest_drop_is_to_the_worst_score_and_not_beyond() -> None:
    noise = Noise(n=100, variance=0.2, height=0.5, reach=0.5, two_valued=True)
    found = [power_to_find(noise, drop, Asked(alpha=0.05)) for drop in (0.5, 0.5 * (1 + 1e-12), 0.501)]
    assert found == pytest.approx([1.0, 1.0, 0.0], abs=1e-9)
    assert noise.with_drop(0.5) == pytest.approx(0.25)  # half fell, of 1 each
    assert noise.with_drop(0.25) == pytest.approx(0.5 * 0.2 + 0.5 * 0.5 - 0.25**2)
    assert Noise(n=100, variance=0.2).with_drop(0.5) == 0.2


def test_without_a_margin_what_is_not_found_passes() -> None:
    noise = Noise(n=100, variance=0.2)
    assert power_to_pass(noise, Asked(alpha=0.05)) == 0.95
    assert power_to_pass(noise, Asked(alpha=0.05, margin=1e-9)) < 0.03
    assert power_to_pass(noise, Asked(alpha=0.05, margin=10.0)) == pytest.approx(1.0)


@pytest.mark.parametrize("scores", [[1.0, 1.0, 0.0, 1.0, 0.0], [0.9, 0.2, 0.55, 0.7, 0.35]])
def test_of_the_baselines_scores_the_mean_square_above_the_worst_is_known(scores: list[float]) -> None:
    others = [*scores[:4], 1.0]
    metric = compare_results(table(right=scores), table(right=others)).metrics["right"]
    noise = noise_of(metric, 0.95, metric.worst_score)
    assert noise is not None
    assert noise.height == pytest.approx(np.mean(scores))
    assert noise.reach == pytest.approx(np.mean(np.square(scores)))


def test_an_interval_says_what_the_pairs_do_not_show() -> None:
    metric = compare_results(table(right=[0.9, 0.2, 0.55]), table(right=[0.8, 0.4, 0.5])).metrics["right"]
    wide = noise_of(dataclasses.replace(metric, ci_low=-0.5, ci_high=0.7), 0.95, metric.worst_score)
    assert wide is not None
    variance = np.var([-0.1, 0.2, -0.05], ddof=1)
    assert wide.variance == pytest.approx(variance)
    assert wide.unseen == pytest.approx((0.6**2 * 3 / 1.959964**2 - variance) * 3, rel=1e-5)


# What a verdict tells ------------------------------------------------------------------------------


def run(rng: np.random.Generator, n: int = 200, repetitions: int = 1) -> ResultTable:
    rate = np.repeat(np.linspace(0.6, 1.0, n), repetitions)
    return result_table(
        {
            "example_id": [f"q{i}" for i in range(n) for _ in range(repetitions)],
            "repetition_number": [r + 1 for _ in range(n) for r in range(repetitions)],
            "eval.right.score": (1.0 * (rng.random(n * repetitions) < rate)).tolist(),
            "total_cost": [0.01] * (n * repetitions),
        }
    )


def test_a_reason_tells_the_smallest_drop() -> None:
    rng = np.random.default_rng(1)
    verdict = judged(run(rng), run(rng))
    check = verdict.checks[0]
    assert check.smallest_drop is not None
    assert f"a drop of {check.smallest_drop:.3f}".rstrip("0") in check.reason
    assert check.reason.endswith("would have been found 4 times of 5")
    assert check.to_dict()["smallest_drop"] == check.smallest_drop


def test_less_is_better_rises() -> None:
    rng = np.random.default_rng(1)
    verdict = judged(run(rng), run(rng), Gate.parse({"metrics": {"right": {"direction": "minimize"}}}))
    assert "a rise of" in verdict.checks[0].reason


def test_what_fails_tells_none() -> None:
    check = judged(table(right=np.ones(50)), table(right=np.zeros(50))).checks[0]
    assert (check.status, check.smallest_drop) == ("failed", None)
    assert "4 times of 5" not in check.reason


def test_not_even_the_largest() -> None:
    """A mean of 0.1 over 20 examples can fall by two examples."""
    scores = np.array([1.0] * 2 + [0.0] * 18)
    check = judged(table(right=scores), table(right=scores)).checks[0]
    assert check.reason.endswith("not even the largest drop would have been found 4 times of 5")
    assert check.smallest_drop is None


# Plans -------------------------------------------------------------------------------------------


def test_a_margin_that_takes_more_than_there_is() -> None:
    rng = np.random.default_rng(2)
    baseline, again = run(rng), run(rng)
    gate = Gate.parse({"metrics": {"right": {"max_regression": 0.05}}})
    plan = plan_of(baseline, gate, beside=again)
    metric = plan.metrics["right"]
    assert (metric.noise, metric.enough, plan.enough) == ("a second run", False, False)
    assert metric.examples_needed is not None
    assert 300 < metric.examples_needed < 1500
    assert plan.calls_needed == plan.examples_needed == metric.examples_needed
    assert plan.cost_per_call == pytest.approx(0.01)
    assert plan.cost == pytest.approx(2.0)
    assert plan.cost_needed == pytest.approx(0.01 * metric.examples_needed)
    assert plan_of(baseline, gate, beside=again, examples=metric.examples_needed).enough
    assert metric.repetitions_needed is not None
    assert any(
        f"examples, or {metric.repetitions_needed} repetitions of these, and there are" in one
        for one in plan_lines(plan)
    )
    assert plan_of(baseline, gate, beside=again, repetitions=metric.repetitions_needed).enough


def test_how_the_noise_is_known() -> None:
    rng = np.random.default_rng(3)
    once, gate = run(rng), Gate()
    assumed = plan_of(once, gate).metrics["right"]
    said = plan_of(once, gate, agreement=0.9).metrics["right"]
    repeated = plan_of(run(rng, repetitions=5), gate, repetitions=1).metrics["right"]
    assert (assumed.noise, said.noise, repeated.noise) == ("assumed", "the agreement given", "repetitions")
    assert said.sd_difference == pytest.approx(math.sqrt(0.1))
    # Rates from 0.6 to 1 evenly: two runs differ on 2 E p (1 - p) = 0.293 of the examples.
    assert repeated.sd_difference**2 == pytest.approx(0.293, abs=0.04)
    assert assumed.sd_difference > repeated.sd_difference > said.sd_difference


@pytest.mark.parametrize("told", [{}, {"agreement": 0.9}])
def test_an_example_without_a_score_makes_no_noise(told: dict[str, float]) -> None:
    scores = [0.9, 0.2, 0.55, 0.7, 0.35]
    without, known = (repeat_noise(table(right=some), "right", 0.0, **told) for some in ([*scores, math.nan], scores))
    assert without == known


def test_a_drop_within_the_margin_is_not_to_be_found() -> None:
    gate = Gate.parse({"metrics": {"right": {"max_regression": 0.05}}})
    metric = plan_of(run(np.random.default_rng(4)), gate, drop=0.04).metrics["right"]
    assert metric.power_to_find is None


def test_tests_share_the_false_alarms() -> None:
    rng = np.random.default_rng(5)
    scores = {f"m{i}": 1.0 * (rng.random(200) < 0.8) for i in range(3)}
    alone, three = plan_of(table(m0=scores["m0"]), Gate()), plan_of(table(**scores), Gate())
    assert (alone.n_tests, three.n_tests) == (1, 3)
    few, many = (plan.metrics["m0"].smallest_drop for plan in (alone, three))
    assert few is not None
    assert many is not None
    assert few < many


def by_topic(n_topics: int, n: int = 200, **more: Sequence[float | None]) -> ResultTable:
    """Every fifth is wrong, and the examples belong to topics in turn."""
    right = [float(i % 5 != 0) for i in range(n)]
    topics = [f"t{i // 5 % n_topics}" for i in range(n)]
    ids = [f"q{i}" for i in range(n)]
    return result_table({"example_id": ids, "metadata.t": topics, "eval.right.score": right, **more})


def test_groups_of_a_gate_share_the_false_alarms() -> None:
    """Of 4 groups of 50 examples, of which 1 in 5 differs by chance, each has 5 that differ, which it takes."""
    gate, baseline = Gate.parse({"slices": ["metadata.t"]}), by_topic(4)
    plain, sliced = (plan_of(baseline, asked, agreement=0.8) for asked in (Gate(), gate))
    assert (plain.n_tests, sliced.n_tests, sliced.groups) == (1, 5, {"metadata.t": 4})
    assert "5 tests share the false alarms: each is planned with 1%, Holm's least." in said(sliced)
    assert "Of metadata.t, groups count of which enough examples are to differ by then." in said(sliced)
    of_five = table(**{f"m{i}": baseline.scores["right"] for i in range(5)})
    drop = plan_of(of_five, Gate(), agreement=0.8).metrics["m0"].smallest_drop
    assert sliced.metrics["right"].smallest_drop == pytest.approx(drop, rel=0.02)


def test_small_groups_take_part_where_enough_of_their_examples_differ() -> None:
    """Of 20 groups of 10, of which 1 in 5 differs, each has 5 that do with a chance of 0.033 (binomial)."""
    gate, baseline = Gate.parse({"slices": "metadata.t"}), by_topic(20)
    assert plan_of(baseline, gate, agreement=0.8).n_tests == 2
    # A drop of 0.4 makes half of those that stand fall: 0.2 + 0.8 * 0.5 = 0.6 differ, a chance of 0.83 for 5 of 10.
    assert plan_of(baseline, gate, agreement=0.8, drop=0.4).n_tests == 1 + 17
    assert plan_of(baseline, gate, agreement=0.8, examples=2000).n_tests == 21


def test_groups_too_small_to_be_judged() -> None:
    plan = plan_of(by_topic(40), Gate.parse({"slices": "metadata.t"}), agreement=0.8, drop=0.5)
    assert (plan.groups, plan.enough) == ({"metadata.t": 0}, False)
    assert repr(plan) == "ExperimentPlan(beside results, 200 examples, cannot pass for metadata.t)"
    assert "metadata.t: none of its groups is large enough to be judged, so nothing would pass." in said(plan)


def said(plan: ExperimentPlan) -> str:
    return " ".join(plan_lines(plan))


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        (
            {"slices": ["metadata.topic"]},
            "metadata.topic cannot be planned, as results like the baseline's would not pass: no example has",
        ),
        (
            {"required": {"ids": ["q9999"]}},
            "required cannot be planned, as results like the baseline's would not pass: there is no example 'q9999'",
        ),
    ],
)
def test_what_the_baseline_does_not_know_is_not_planned(gate: dict[str, object], why: str) -> None:
    plan = plan_of(by_topic(4), Gate.parse(gate), agreement=0.95, drop=0.2)
    assert list(plan.unplanned) == [why.split()[0]]
    assert not plan.enough
    assert re.search(why, said(plan))
    assert plan_of(by_topic(4), Gate(), agreement=0.95, drop=0.2).enough
    known = by_topic(4)
    known.source.has_dataset = True
    with pytest.raises(InvalidSetting, match="the gate asks for what the dataset of results does not have: "):
        plan_of(known, Gate.parse(gate))


# What cannot be ----------------------------------------------------------------------------------


def test_where_all_score_the_same_a_few_are_taken_to_differ() -> None:
    """The rule of three: of what none of 100 had, 1 - 0.05^(1/100) = 0.0295 may have, which differ on 2 p (1 - p)."""
    gate = Gate.parse({"metrics": {"right": {"max_regression": 0.05}}})
    plan = plan_of(table(right=[1.0] * 100), gate)
    metric = plan.metrics["right"]
    assert (metric.noise, metric.enough, plan.enough) == ("assumed", False, False)
    assert metric.unseen == pytest.approx(0.0295, abs=1e-4)
    assert metric.sd_difference**2 == pytest.approx(2 * 0.0295 * 0.9705, abs=2e-4)
    assert metric.power_to_pass is not None
    assert 0.1 < metric.power_to_pass < 0.7
    assert "right: all examples score the same, so nobody knows how often a run differs by chance" in said(plan)
    assert "Fewer will do once it is known better: name a second run of the same application (--beside)" in said(plan)
    assert "the worst case" not in said(plan)
    one = plan_of(table(right=[1.0]), gate)
    assert (one.enough, one.metrics["right"].unseen) == (False, pytest.approx(0.95))
    # A single one that differs is no worse known than none.
    nearly = plan_of(table(right=[0.0] + [1.0] * 99), gate).metrics["right"]
    assert nearly.unseen is None
    assert nearly.sd_difference == pytest.approx(metric.sd_difference)
    # Nor do other scores than 0 and 1 that are all the same never differ.
    assert plan_of(table(right=[0.7] * 100), gate).metrics["right"].sd_difference == pytest.approx(metric.sd_difference)


def test_two_runs_that_agree_everywhere_may_differ_all_the_same() -> None:
    """By the same rule on 0.0295 of the examples; who says that they never do is believed."""
    scores = [float(i % 5 != 0) for i in range(100)]
    seen = plan_of(table(right=scores), Gate(), beside=table(right=scores))
    assert seen.metrics["right"].sd_difference ** 2 == pytest.approx(0.0295, abs=1e-4)
    assert "right: by a second run none differs, so nobody knows how often" in said(seen)
    given = plan_of(table(right=scores), Gate(), agreement=1.0).metrics["right"]
    assert (given.sd_difference, given.unseen) == (0.0, None)


@pytest.mark.parametrize("examples", [None, 10_000])
def test_where_every_score_is_the_worst_nothing_would_ever_fail(examples: int | None) -> None:
    gate = Gate.parse({"metrics": {"right": {"max_regression": 0.05}}})
    plan = plan_of(table(right=[0.0] * 100), gate, examples=examples)
    metric = plan.metrics["right"]
    assert (plan.enough, metric.examples_needed, metric.largest_drop) == (False, None, 0.0)
    assert "right: its mean is the worst there is, so no later run can be worse, and nothing would" in said(plan)
    assert "than 10,000,000" not in said(plan)


def test_drops_and_margins_that_cannot_be() -> None:
    scores = [float(i % 10 == 0) for i in range(100)]
    with pytest.raises(InvalidSetting, match="drop: no candidate can be worse by 5: the scores of 'right' lie from 0"):
        plan_of(table(right=scores), Gate(), drop=5)
    # Shares are shares, however low they are.
    with pytest.raises(InvalidSetting, match=r"the scores of 'low' lie from 0 to 1\. Write 5 points as 0\.05"):
        plan_of(table(low=[0.1, 0.2] * 20), Gate(), drop=5)
    with pytest.raises(InvalidSetting, match=r"the scores of 'stars' lie from 0 to 5\. Write"):
        plan_of(table(stars=[1.0, 5.0] * 20), Gate(), drop=6)
    most = plan_of(table(right=scores), Gate(), drop=0.5)
    assert not most.enough
    assert "right: there is no drop of 0.50: it can be worse by 0.10 at most." in said(most)
    wide = plan_of(table(right=scores), Gate.parse({"metrics": {"right": {"max_regression": 0.3}}}), examples=5000)
    assert not wide.enough
    assert "right: nothing would ever fail: its margin is 0.30, and it can be worse by 0.10 at most." in said(wide)
    nothing = plan_of(table(right=scores), Gate.parse({"metrics": {"right": {"max_regression": 0}}}))
    why = "right: no number of examples shows a margin of 0; allow a little, or leave max_regression out"
    assert why in said(nothing)
    assert "10,000,000" not in said(most) + said(wide) + said(nothing)
    tiny = plan_of(table(right=scores), Gate.parse({"metrics": {"right": {"max_regression": 1e-6}}}))
    assert "takes more than 10,000,000 examples" in said(tiny)
    # Of what is rated from 1 to 5 nobody knows that 3 is too much.
    assert plan_of(table(stars=[1.0, 5.0] * 20), Gate(), drop=3).metrics["stars"].power_to_find is not None


def test_a_second_run_that_tells_nothing_is_refused() -> None:
    right = [1.0, 0.0] * 20
    with pytest.raises(InvalidSetting, match="does not tell how far runs lie apart: no example has a score of 'right'"):
        plan_of(table(right=right), Gate(), beside=table([f"x{i}" for i in range(40)], right=right))
    with pytest.raises(InvalidSetting, match="does not tell how far runs lie apart: it has no scores of 'right'"):
        plan_of(table(right=right), Gate(), beside=table(other=right))


# What it costs -----------------------------------------------------------------------------------


def test_judges_cost_as_well() -> None:
    plan = plan_of(by_topic(4, **{"total_cost": [0.01] * 200, "eval.right.total_cost": [0.02] * 200}), Gate())
    assert (plan.cost_per_call, plan.judge_cost_per_call) == (pytest.approx(0.03), pytest.approx(0.02))
    assert plan.cost == pytest.approx(6.0)
    assert "about $6.00 at $0.03 each, judges $0.02 of it." in said(plan)
    only = plan_of(by_topic(4, **{"eval.right.total_cost": [0.02] * 200}), Gate())
    assert only.cost == pytest.approx(4.0)
    assert "The task's cost is known of 0 of the baseline's 200 runs; it comes on top." in said(only)


def test_costs_that_are_known_of_some_runs_only() -> None:
    plan = plan_of(by_topic(4, total_cost=[0.01] * 20 + [None] * 180), Gate())
    assert (plan.n_costs, plan.n_runs, plan.cost) == (20, 200, pytest.approx(2.0))
    assert "The task's cost is known of 20 of the baseline's 200 runs; the others are taken to have cost" in said(plan)


def test_unknown_metrics_and_none() -> None:
    with pytest.raises(InvalidSetting, match=r"metric 'rigth' cannot be planned by results: .*did you mean 'right'"):
        plan_of(table(right=[1.0, 0.0]), Gate.parse({"metrics": {"rigth": {}}}))
    labels = result_table({"example_id": ["a", "b"], "eval.tone.label": ["polite", "rude"]})
    with pytest.raises(InvalidSetting, match="results has no scores to plan by; name a baseline with scores"):
        plan_of(labels, Gate())


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("one", [Simulation(n=60, drop=0.2), Simulation(n=60, drop=0.0, margin=0.15)], ids=str)
def test_what_is_planned_comes(one: Simulation) -> None:
    """60 simulations, a share of which has a standard error of 6 points."""
    found = outcome(one, 60, 7)
    assert found.planned == pytest.approx(found.seen, abs=0.18)


@pytest.mark.slow
@pytest.mark.parametrize("one", SIMULATIONS, ids=lambda one: one.said)
def test_plan_and_gate_agree_within_5_points(one: Simulation) -> None:
    """200 simulations, through `plan_of`, `compare_results` and the gate."""
    found = outcome(one, 200, 13)
    assert abs(found.planned - found.seen) <= 0.05
