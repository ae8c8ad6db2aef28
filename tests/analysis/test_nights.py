"""Many nights over one baseline: the test of one run beside several, drift, a month's false alarms, promotion."""

from __future__ import annotations

import itertools
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.comparison.earlier import EarlierRun, EarlierRuns
from prefect_experiments.analysis.comparison.exchange import EXCHANGE_APPROXIMATE, EXCHANGE_EXACT, exchange_test
from prefect_experiments.analysis.comparison.paired import mid_p_value
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.nights.chart import (
    ABOVE,
    CLEAR,
    REFERENCE,
    Drift,
    drift,
    drift_limit,
    night_score,
)
from prefect_experiments.analysis.nights.promotion import promotion
from prefect_experiments.analysis.nights.records import Night
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison, MetricCheck
from prefect_experiments.errors import InvalidSetting

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import oc_nights

Floats = np.ndarray
MONTHLY = {"alarms": {"per": "month"}}


def enumerated(scores: Floats) -> tuple[float, float]:
    """Mid-p of higher and lower, from all ways to pick one score of each example; the newest run's come first."""
    totals = np.array([sum(picked) for picked in itertools.product(*scores)])
    above, same = totals - scores[:, 0].sum() > 1e-9, np.abs(totals - scores[:, 0].sum()) <= 1e-9
    return float(above.mean() + same.mean() / 2), float((~above & ~same).mean() + same.mean() / 2)


@pytest.mark.parametrize("steps", [1, 3, 4, 10])
def test_scores_on_a_scale_are_counted_out(steps: int) -> None:
    scores = np.random.default_rng(steps).integers(0, steps + 1, (6, 4)) / steps
    found = exchange_test(scores[:, 1:], scores[:, 0])
    assert found.test == EXCHANGE_EXACT
    assert (found.p_higher, found.p_lower) == pytest.approx(enumerated(scores), abs=1e-9)


def test_other_scores_are_close_to_what_is_enumerated() -> None:
    for seed in range(5):
        scores = np.random.default_rng(seed).random((8, 4))
        found = exchange_test(scores[:, 1:], scores[:, 0])
        assert found.test == EXCHANGE_APPROXIMATE
        assert (found.p_higher, found.p_lower) == pytest.approx(enumerated(scores), abs=0.01)


def test_at_the_mean_of_skewed_scores_lower_is_likelier_than_higher() -> None:
    for seed in (1, 2, 3):
        scores = np.random.default_rng(seed).random((8, 4)) ** 6
        others, means = scores[0, 1:].sum(), scores[1:].mean(axis=1).sum()
        scores[0, 0] = (others / 4 + means - scores[1:, 0].sum()) / 0.75  # what makes the newest run's total its mean
        found = exchange_test(scores[:, 1:], scores[:, 0])
        assert found.test == EXCHANGE_APPROXIMATE
        assert found.p_lower == pytest.approx(enumerated(scores)[1], abs=0.01)
        assert found.p_lower > 0.52


def test_beside_one_run_it_is_mcnemars_mid_p() -> None:
    rng = np.random.default_rng(1)
    before, after = (1.0 * (rng.random(60) < share) for share in (0.8, 0.7))
    found = exchange_test(before[:, None], after)
    more, fewer = int((after > before).sum()), int((after < before).sum())
    assert (found.p_higher, found.p_lower) == pytest.approx((mid_p_value(more, fewer), mid_p_value(fewer, more)))


def test_what_has_no_score_takes_no_part_and_what_never_differs_says_nothing() -> None:
    scores = np.array([[0.0, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0]])
    more = np.vstack([scores, [np.nan, 1, 1], [0, np.nan, np.nan], [1, 1, np.nan]])
    assert exchange_test(more[:, 1:], more[:, 0])[1:] == pytest.approx(exchange_test(scores[:, 1:], scores[:, 0])[1:])
    same = np.ones((5, 3))
    assert exchange_test(same, same[:, 0])[1:] == (1.0, 1.0, 1.0)
    assert night_score(same, same[:, 0]) == 0.0


def test_the_limit_of_drift_is_exceeded_as_seldom_as_it_promises() -> None:
    chance, sums, alarms = 0.05, np.zeros(20_000), np.zeros(20_000, bool)
    rng = np.random.default_rng(3)
    for night in range(60):
        sums = np.maximum(0.0, sums + rng.normal(size=20_000) - 0.5)
        if night == 29:  # whatever alarmed in the first month begins anew
            sums[sums > drift_limit(chance)] = 0.0
        if night >= 30:
            alarms |= sums > drift_limit(chance)
    assert alarms.mean() == pytest.approx(chance, abs=0.006)


def test_drift_says_since_which_night() -> None:
    found = drift([0.1, -0.4, 0.3, 1.9, 2.1, 1.8, 2.2], chance=0.025)
    assert found.is_alarm
    assert (found.since, found.sum) == (3, found.limit + ABOVE)
    assert [round(one, 2) for one in found.sums[3:6]] == [1.4, 3.0, 4.3]
    assert not drift([0.5] * 30, chance=0.025).is_alarm


def test_a_sum_at_its_limit_is_no_alarm_yet() -> None:
    limit = drift_limit(0.025)
    assert not Drift(limit, limit, 0, (limit,)).is_alarm
    assert Drift(np.nextafter(limit, 99), limit, 0, (limit,)).is_alarm
    assert drift([], chance=0.025) == Drift(0.0, limit, 0, ())
    found = drift([0.5, 0.25, 2.0, 1.0, -5.0, 1.5, 0.5], chance=0.025)
    assert found.sums == pytest.approx((0, 0, 1.5, 2.0, 0, 1.0, 1.0))
    assert (found.sum, found.since) == (1.0, 5)


def test_one_bad_night_is_no_drift_and_several_are_until_they_are_mended() -> None:
    limit = drift_limit(0.015)
    assert drift([40.0], chance=0.015).sum == CLEAR - REFERENCE
    assert not drift([0.0, 40.0, 0.0, 40.0], chance=0.015).is_alarm
    lasting = drift([40.0] * 10, chance=0.015)
    assert lasting.is_alarm
    assert lasting.sum == limit + ABOVE
    assert drift([40.0] * 10 + [0.3], chance=0.015).is_alarm
    assert not drift([40.0] * 10 + [0.0], chance=0.015).is_alarm


def test_a_limit_is_higher_for_a_smaller_chance_and_for_more_nights() -> None:
    assert drift_limit(0.01) > drift_limit(0.05) > drift_limit(0.05, nights=7) > 0
    assert drift([], chance=0.05, nights=7).limit == drift_limit(0.05, 7)
    assert drift([], chance=0.05).limit == drift_limit(0.05, 30)
    # With 4 times as many states of its Markov chain.
    assert [drift_limit(chance) for chance in (0.05, 0.015, 0.005)] == pytest.approx([4.553, 5.754, 6.850], abs=0.002)


def test_a_nights_score_is_above_0_where_it_is_worse() -> None:
    rng = np.random.default_rng(2)
    earlier = 1.0 * (rng.random((100, 3)) < 0.8)
    worse, better = np.zeros(100), np.ones(100)
    assert night_score(earlier, worse) > 5
    assert night_score(earlier, better) < -3
    assert night_score(earlier, worse, less_is_better=True) < -5
    assert night_score(earlier, better, less_is_better=True) > 3
    assert abs(night_score(earlier, earlier[:, 0])) < 2


def night(rng: np.random.Generator, share: float, label: str = "run", n: int = 200) -> ResultTable:
    """A night of a noisy application: every example is right with that chance."""
    rows = [{"example_id": f"e{i}", "eval.right.score": float(rng.random() < share)} for i in range(n)]
    return result_table(rows, label)


def judged(
    shares: list[float], *, pooled: int = 5, gate: object = MONTHLY, seed: int = 5, **failed: set[int]
) -> Comparison:
    """A baseline of 0.8, the nights after it, and the last of them as the candidate.

    Args:
        shares: how many are right, a night each.
        pooled: of how many runs the baseline is.
        gate: that judges.
        seed: of chance.
        **failed: ``failed`` and ``is_trial``, of which nights that is so, from 1.
    """
    rng = np.random.default_rng(seed)
    baseline = night(rng, 0.8, "baseline")
    tables = [night(rng, share, f"night {i}") for i, share in enumerate(shares, 1)]
    runs = tuple(
        EarlierRun(table=table, date=f"2026-11-{i:02}", **{name: i in those for name, those in failed.items()})
        for i, table in enumerate(tables[:-1], 1)
    )
    earlier = EarlierRuns(runs=runs, pooled=pooled)
    return compare_results(baseline, tables[-1], gate=Gate.parse(gate), earlier=earlier)


def test_a_slow_decline_fails_as_drift_though_no_night_shows_it() -> None:
    found = judged([0.8, 0.8, 0.79, 0.8, *np.linspace(0.79, 0.70, 14)])
    assert found.verdict.status == "failed"
    (check,) = [check for check in found.verdict.checks if check.name == "drift"]
    assert check.status == "failed"
    assert "right has been drifting since 2026-11-" in check.reason
    # 0.3 of the month's 0.05 is for drift.
    assert re.search(
        r"over \d+ nights it is worse than on those before \(their cumulative sum is above its limit of "
        rf"{drift_limit(0.3 * 0.05):.1f}\)",
        check.reason,
    )


@pytest.mark.parametrize(("at_most", "per", "nights"), [(0.05, "month", 30), (0.2, "week", 7)])
def test_drift_has_three_tenths_of_the_false_alarms_for_all_metrics_together(
    at_most: float, per: str, nights: int
) -> None:
    gate = {"alarms": {"per": per, "at_most": at_most}}
    (check,) = [one for one in judged([0.8] * 4 + [0.2] * 3, gate=gate).verdict.checks if one.name == "drift"]
    assert check.reason.endswith(f"is above its limit of {drift_limit(0.3 * at_most, nights):.1f})")


def test_of_two_metrics_each_has_half_of_what_drift_has() -> None:
    rng = np.random.default_rng(5)
    tables = [
        result_table(
            [
                {"example_id": f"e{i}", "eval.a.score": float(rng.random() < share), "eval.b.score": float(i % 2)}
                for i in range(200)
            ]
        )
        for share in (0.8, 0.8, 0.8, 0.2, 0.2, 0.2)
    ]
    earlier = EarlierRuns(runs=tuple(EarlierRun(table=table, date="2026-11-01") for table in tables[1:-1]), pooled=5)
    found = compare_results(tables[0], tables[-1], gate=Gate.parse(MONTHLY), earlier=earlier)
    (check,) = [one for one in found.verdict.checks if one.name == "drift"]
    assert check.reason.startswith("a has been drifting since")
    assert check.reason.endswith(f"is above its limit of {drift_limit(0.3 * 0.05 / 2):.1f})")


def test_nights_that_do_not_change_pass_and_a_comparison_alone_asks_nothing_of_the_nights() -> None:
    found = judged([0.8] * 8)
    assert found.verdict.status == "passed"
    assert "no drift over 8 nights since the baseline's" in found.verdict.reasons
    assert found.pooled.runs == ("night 1", "night 2", "night 3", "night 4")
    alone = judged([0.8] * 8, gate={})
    assert "drift" not in [check.name for check in alone.verdict.checks]


def test_a_night_of_a_month_needs_more_evidence_than_a_single_comparison() -> None:
    gate = Gate.parse({"alarms": {"per": "month", "at_most": 0.05}})
    assert 1 - gate.for_tests(0.95) == pytest.approx(0.3 * 0.05 / 30)
    assert 1 - Gate.parse({"alarms": {"per": "week"}}).for_tests(0.9) == pytest.approx(0.3 * 0.1 / 7)
    assert Gate.parse({"alarms": {"per": "comparison"}}).for_tests(0.95) == pytest.approx(0.95)
    assert Gate().for_tests(0.95) == pytest.approx(0.95)


def test_a_mean_of_several_runs_is_the_baseline() -> None:
    found, alone = judged([0.8] * 6), judged([0.8] * 6, pooled=1)
    assert found.metrics["right"].test == EXCHANGE_EXACT
    assert alone.pooled is None
    assert alone.metrics["right"].p_lower != found.metrics["right"].p_lower
    assert found.metrics["right"].ci_high - found.metrics["right"].ci_low < (
        alone.metrics["right"].ci_high - alone.metrics["right"].ci_low
    )


STAYS = "the run before was not better than the baseline, which stays"


@pytest.mark.parametrize(
    ("shares", "failed", "takes", "said"),
    [
        ([0.8, 0.8, 0.95, 0.93], (), True, "the run before was better (right), and this one confirms it"),
        (
            [0.8, 0.8, 0.8, 0.95],
            (),
            False,
            "this run is better (right): the next one takes the tag, if it is not worse",
        ),
        ([0.95], (), False, "this run is better (right): the next one takes the tag, if it is not worse"),
        ([0.8, 0.8, 0.8, 0.8], (), False, STAYS),
        (
            [0.8, 0.8, 0.95, 0.93],
            (3,),
            False,
            "this run is better (right): the next one takes the tag, if it is not worse",
        ),
        ([0.8, 0.95, 0.3, 0.8], (3,), False, STAYS),  # what should have confirmed it failed
        ([0.8, 0.3, 0.95, 0.93], (2,), True, "the run before was better (right), and this one confirms it"),
        (
            [0.8, 0.8, 0.95, 0.75],
            (),
            False,
            "the run before was better (right), and this one is not (right): the baseline stays",
        ),
    ],
)
def test_the_run_after_a_better_one_takes_the_tag_where_it_is_not_worse(
    shares: list[float], failed: tuple[int, ...], takes: bool, said: str
) -> None:
    assert promotion(judged(shares, failed={*failed}), nights=30) == (takes, said)


def test_where_less_is_better_so_is_a_lower_mean_and_another_metric_may_not_get_worse() -> None:
    found = judged([0.8, 0.8, 0.95, 0.93])
    right = replace(found.metrics["right"], direction="minimize")
    assert not promotion(replace(found, metrics={"right": right})).takes
    assert promotion(replace(found, metrics={"right": replace(right, difference=-0.1)})).takes
    for verdict, takes in (("unchanged", True), ("regressed", False)):
        other = replace(found.metrics["right"], name="other", difference=-0.3, verdict=verdict, nights=())
        assert promotion(replace(found, metrics={**found.metrics, "other": other})).takes is takes
    assert "this one is not (other)" in promotion(replace(found, metrics={**found.metrics, "other": other})).said


def test_what_failed_is_a_night_and_neither_baseline_nor_what_later_nights_are_compared_with() -> None:
    shares = [0.8, 0.8, 0.5, 0.5, 0.72]
    without, found = judged(shares[:2] + shares[4:]), judged(shares, failed={3, 4})
    assert found.pooled.runs == ("night 1", "night 2")
    nights = found.metrics["right"].nights
    assert [night.label for night in nights] == ["night 1", "night 2", "night 3", "night 4", ""]
    assert [night.failed for night in nights] == [False, False, True, True, False]
    assert min(nights[2].worse_by, nights[3].worse_by) > CLEAR
    assert len(without.metrics["right"].nights) == 3
    assert (check_of(found, "drift").status, check_of(without, "drift").status) == ("failed", "passed")
    assert check_of(found, "drift").reason.startswith("right has been drifting since 2026-11-03: over 3 nights")


def test_what_was_rejected_as_other_code_is_no_drift_of_this_one() -> None:
    found = judged([0.8, 0.8, 0.5, 0.5, 0.8], failed={3, 4}, is_trial={3, 4})
    nights = found.metrics["right"].nights
    assert [night.worse_by is None for night in nights] == [True, False, True, True, False]
    assert check_of(found, "drift").reason == "no drift over 3 nights since the baseline's"


@pytest.mark.parametrize("pooled", [1, 3, 5])
def test_the_last_night_is_beside_the_same_runs_as_the_comparison_is(pooled: int) -> None:
    metric = judged([0.8] * 8, pooled=pooled, seed=8).metrics["right"]
    assert metric.nights[-1].p_better == pytest.approx(metric.p_higher, rel=1e-9)


def check_of(found: Comparison, name: str) -> MetricCheck:
    (check,) = [check for check in found.verdict.checks if check.name == name]
    return check


@pytest.mark.parametrize("share", [1, 30])
def test_a_run_is_better_up_to_the_level_itself(share: int) -> None:
    found = judged([0.8, 0.8, 0.95, 0.93])
    metric, level = found.metrics["right"], (1 - found.confidence) / share
    for p_better, takes in ((level, True), (1.0001 * level, False)):
        before = replace(metric.nights[-2], p_better=p_better)
        changed = replace(metric, nights=(*metric.nights[:-2], before, metric.nights[-1]))
        assert promotion(replace(found, metrics={"right": changed}), nights=share).takes is takes


@pytest.mark.parametrize(
    ("nights", "better"),
    [
        ({"a": [0.05, 1.0]}, "(a)"),
        ({"a": [0.0501, 1.0]}, ""),
        ({"a": [1.0, 0.0]}, ""),  # the candidate itself only proposes
        ({"a": [0.0, 1.0, 1.0]}, ""),
        ({"a": [0.0]}, ""),
        ({"a": [0.02, 1.0], "b": [0.0]}, "(a)"),  # of b there is no night before
        ({"a": [0.025, 1.0], "b": [0.026, 1.0]}, "(a)"),
        ({"a": [0.02, 1.0], "b": [0.01, 1.0]}, "(a, b)"),
        ({}, ""),
    ],
)
def test_the_run_before_has_to_be_better_by_a_test_that_all_metrics_share(
    nights: dict[str, list[float]], better: str
) -> None:
    found = judged([0.8])
    metrics = {
        name: replace(found.metrics["right"], name=name, difference=0.1, nights=tuple(Night(p_better=p) for p in each))
        for name, each in nights.items()
    }
    takes, said = promotion(replace(found, metrics=metrics))
    assert (takes, better in said) == (bool(better), True)


@pytest.mark.parametrize(
    ("alarms", "words"),
    [
        ("monthly", r"Gate\.alarms must be a mapping such as \{per: month, at_most: 0\.05\}, got 'monthly'"),
        ({"per": "year"}, "unknown .*per 'year'"),
        ({"per": "month", "at_most": 0.7}, "at_most must be above 0 and below 0.5"),
        ({"each": "month"}, "unknown key 'each'"),
    ],
)
def test_alarms_that_cannot_be(alarms: object, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        Gate.parse({"alarms": alarms})


def simulated(months: int, **given: object) -> float:
    """The share of months with an alarm; see tests/benchmarks/oc_nights.py."""
    found = oc_nights.alarms(oc_nights.Setting(**given), months)
    return sum(one < oc_nights.NIGHTS for one in found) / months


def test_a_month_of_nights_that_do_not_change_seldom_alarms() -> None:
    assert simulated(4) <= 0.5
    assert simulated(4, before=True, baseline="moving") >= 0.5


@pytest.mark.slow
@pytest.mark.parametrize("baseline", [*oc_nights.BASELINES])
def test_unchanged_applications_alarm_in_at_most_one_month_of_twenty(baseline: str) -> None:
    assert simulated(200, baseline=baseline) <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5


@pytest.mark.parametrize("odd", [1.0, 0.5])
def test_a_run_that_scores_unlike_the_baseline_is_no_part_of_the_pool(odd: float) -> None:
    """One that is much better would make all that follow look worse; it is a night all the same."""
    found = judged([0.8, odd, 0.8, 0.8])
    assert found.pooled.runs == ("night 1", "night 3")
    assert found.pooled.left_out == {"whose scores are unlike those before them": 1}
    assert [night.label for night in found.metrics["right"].nights] == ["night 1", "night 2", "night 3", ""]
    assert found.metrics["right"].baseline_mean == pytest.approx(0.8, abs=0.05)
    assert check_of(found, "right").status == "passed"


def test_a_run_is_unlike_beside_all_that_the_baseline_is_pooled_of() -> None:
    """What one run cannot tell from chance, three can."""
    found = {pooled: judged([0.8, 0.8, 0.88, 0.8], pooled=pooled).pooled for pooled in (2, 3)}
    assert found[2].left_out == {}
    assert found[3].left_out == {"whose scores are unlike those before them": 1}


def test_runs_that_are_called_alike_have_their_dates() -> None:
    rng = np.random.default_rng(5)
    tables = [night(rng, 0.8, "nightly") for _ in range(4)]
    runs = tuple(EarlierRun(table=table, date=f"2026-11-{i:02}") for i, table in enumerate(tables[1:-1], 1))
    found = compare_results(tables[0], tables[-1], gate=Gate(), earlier=EarlierRuns(runs=runs, pooled=3))
    assert found.pooled is not None
    assert found.pooled.runs == ("nightly of 2026-11-01", "nightly of 2026-11-02")


def test_better_and_worse_are_counted_beside_the_median_of_the_pool() -> None:
    scores = {
        "baseline": [1, 1, 0, 0, 1],
        "night 1": [1, 0, 0, 1, 1],
        "night 2": [1, 0, 0, 1, 1],
        "new": [0, 1, 1, 1, 1],
    }
    tables = [
        result_table([{"example_id": f"e{i}", "eval.right.score": float(one)} for i, one in enumerate(each)], label)
        for label, each in scores.items()
    ]
    earlier = EarlierRuns(runs=tuple(EarlierRun(table=table) for table in tables[1:-1]), pooled=3)
    found = compare_results(tables[0], tables[-1], earlier=earlier).metrics["right"]
    assert (found.wins, found.losses, found.ties) == (2, 1, 2)
