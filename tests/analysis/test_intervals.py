"""Intervals of means: published figures, coverage, the scores' range, and one figure wherever it stands."""

from __future__ import annotations

import math
import random as randomness
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from prefect_experiments.analysis.comparison.paired import paired_test
from prefect_experiments.analysis.intervals import (
    bootstrap_tail,
    clustered_interval,
    example_means,
    mean_and_sd,
    mean_interval,
    range_of,
    share_interval,
)
from prefect_experiments.analysis.results import result_table
from prefect_experiments.reports.report_model import table_side

Draw = Callable[[np.random.Generator, int], np.ndarray]


def test_shares_are_clopper_and_pearsons() -> None:
    """R's ``binom.test(19, 20)`` prints 0.7512672 0.9987349, and ``binom.test(10, 10)`` 0.6915029 1.0000000."""
    assert share_interval(19, 20) == pytest.approx((0.7512672, 0.9987349), abs=1e-7)
    assert mean_interval([1.0] * 10) == pytest.approx((0.6915029, 1.0), abs=1e-7)
    assert mean_interval([0.0] * 10) == pytest.approx((0.0, 1 - 0.6915029), abs=1e-7)
    for successes, n in ((0, 1), (3, 7), (50, 400)):
        theirs = stats.binomtest(successes, n).proportion_ci(method="exact")
        assert share_interval(successes, n) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("n", [2, 10, 100])
def test_a_bootstraps_quantiles_are_as_far_out_as_students_t(n: int) -> None:
    """Hesterberg's table: for 95 % and n = 10, 0.9 % at either end in place of 2.5."""
    expected = stats.norm.cdf(math.sqrt(n / (n - 1)) * stats.t.ppf(0.025, n - 1))
    assert bootstrap_tail(n, 0.95) == pytest.approx(expected, rel=1e-9)
    assert round(bootstrap_tail(10, 0.95), 3) == 0.009


def test_other_scores_have_more_at_either_end() -> None:
    """With weights: those that were added count one and a half times."""
    values, weights = np.array([0.5, 0.75, 0.9, 1.0, 0.2, 0.0, 1.0]), np.array([1, 1, 1, 1, 1, 1.5, 1.5])
    mean, n = np.average(values, weights=weights), weights.sum()
    error = math.sqrt((weights * (values - mean) ** 2).sum() / (n - 1) / n)
    low, high = stats.t.interval(0.95, 4, mean, error)
    assert mean_interval(values[:5]) == pytest.approx((max(0.0, low), min(1.0, high)))


@pytest.mark.thorough
@pytest.mark.parametrize("n", [20, 50, 200, 1000])
def test_where_few_fall_by_all_there_is(n: int) -> None:
    """Exact: the hardest case for differences, at all shares that fall, and just beside each end: at least 94 %."""
    ends = -np.array([mean_interval(np.repeat([-1.0, 0.0], [k, n - k]), bounds=(-1, 1)) for k in range(n + 1)])
    shares = np.concatenate([np.linspace(0.001, 0.999, 300), ends.ravel() - 1e-9, ends.ravel() + 1e-9])
    shares = shares[(shares > 0) & (shares < 1)]
    chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, shares)
    held = (ends[:, 1:] <= shares) & (shares <= ends[:, :1])
    assert (chances * held).sum(axis=0).min() >= 0.94


@pytest.mark.parametrize("n", [20, 21, 50, 200])
def test_shares_keep_their_coverage(n: int) -> None:
    """Exact: for shares from 0.001 to 0.999, and just beside each end. Wilson's comes down to 84 %."""
    ends = np.array([share_interval(k, n) for k in range(n + 1)])
    shares = np.concatenate([np.linspace(0.001, 0.999, 500), ends.ravel() - 1e-9, ends.ravel() + 1e-9])
    shares = shares[(shares > 0) & (shares < 1)]
    chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, shares)
    held = (ends[:, :1] <= shares) & (shares <= ends[:, 1:])
    assert (chances * held).sum(axis=0).min() >= 0.95


MEANS: dict[str, tuple[Draw, float]] = {
    "0/1, 0.95": (lambda rng, n: 1.0 * (rng.random(n) < 0.95), 0.95),
    "judged, skewed": (lambda rng, n: rng.beta(8, 1, n), 8 / 9),
    "judged, near the end": (lambda rng, n: rng.beta(0.5, 0.1, n), 5 / 6),
    "0.9 but 3 % are 0": (lambda rng, n: 0.9 * (rng.random(n) > 0.03), 0.873),
    "tied": (lambda rng, n: rng.choice([1, 0.75, 0.5, 0], n, p=[0.9, 0.04, 0.03, 0.03]), 0.945),
    "three repetitions": (lambda rng, n: rng.binomial(3, 0.95, n) / 3, 0.95),
    "1 to 5, tied": (lambda rng, n: rng.choice([1.0, 2, 3, 4, 5], n, p=[0.02, 0.03, 0.05, 0.2, 0.7]), 4.53),
    "words": (lambda rng, n: np.round(rng.gamma(4, 50, n)), 200.0),
}
DIFFERENCES: dict[str, tuple[Draw, float]] = {
    "few fall": (lambda rng, n: -1.0 * (rng.random(n) < 0.03), -0.03),
    "few fall, some rise": (lambda rng, n: rng.choice([-1.0, 0.0, 0.5], n, p=[0.04, 0.94, 0.02]), -0.03),
    "noise, 3 % fall": (lambda rng, n: np.where(rng.random(n) < 0.03, -0.9, rng.normal(0, 0.03, n)), -0.027),
    "skewed": (lambda rng, n: 0.1 - 0.5 * rng.beta(1, 4, n), 0.0),
    "quarters": (lambda rng, n: rng.choice([-0.5, -0.25, 0, 0.25], n, p=[0.05, 0.15, 0.6, 0.2]), -0.0125),
    "three repetitions": (lambda rng, n: (rng.binomial(3, 0.7, n) - rng.binomial(3, 0.75, n)) / 3, -0.05),
    "judged": (lambda rng, n: rng.beta(4, 1.5, n) - rng.beta(4, 1.5, n), 0.0),
}


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("shape", MEANS)
def test_means_keep_their_coverage(shape: str, n: int) -> None:
    """1,000 simulated experiments each (standard error 0.8 points): at least 93 %."""
    draw, true = MEANS[shape]
    rng = np.random.default_rng(n)
    ends = [mean_interval(draw(rng, n)) for _ in range(1000)]
    assert np.mean([low <= true <= high for low, high in ends]) >= 0.93


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("shape", DIFFERENCES)
def test_differences_keep_their_coverage(shape: str, n: int) -> None:
    """1,000 simulated comparisons of scores from 0 to 1 each: at least 93 %."""
    draw, true = DIFFERENCES[shape]
    rng = np.random.default_rng(n)
    held = [low <= true <= high for low, high in (mean_interval(draw(rng, n), bounds=(-1, 1)) for _ in range(1000))]
    assert np.mean(held) >= 0.93


def test_runs_of_one_example_are_not_independent() -> None:
    """Five repetitions that mostly agree, 30 examples, 500 simulations: at least 93 %; as if of 150 examples, 60 %."""
    rng = np.random.default_rng(3)
    held = {"over examples": 0, "as if independent": 0}
    for _ in range(500):
        rates = rng.beta(0.6, 0.4, 30)
        runs = [(example, float(score)) for example, rate in enumerate(rates) for score in rng.random(5) < rate]
        for how, (low, high) in {
            "over examples": clustered_interval(runs, (0.0, 1.0)),
            "as if independent": mean_interval([score for _, score in runs]),
        }.items():
            assert low is not None
            assert high is not None
            held[how] += low <= 0.6 <= high
    assert held["over examples"] >= 0.93 * 500
    assert held["as if independent"] < 0.8 * 500


scores = st.lists(st.one_of(st.floats(0, 1, allow_subnormal=False), st.sampled_from([0.0, 1.0, 0.5])), min_size=2)


@settings(deadline=None)
@given(scores, st.sampled_from([1.0, 5.0, 100.0, 1e200]), st.randoms(use_true_random=False))
@example([0.6980057096386817] * 3, 5.0, randomness.Random(0))  # whose mean is the next float
def test_the_interval_lies_in_the_range_holds_the_mean_and_does_not_depend_on_order(
    values: list[float], scale: float, random: object
) -> None:
    values = [value * scale for value in values]
    low, high = mean_interval(values)
    assert low is not None
    assert high is not None
    least, most = range_of(values)
    mean = mean_and_sd(values)[0]
    assert least <= low <= mean * (1 + 1e-12) + 1e-12
    assert mean * (1 - 1e-12) - 1e-12 <= high <= most
    wider = mean_interval(values, 0.99)
    assert wider[0] is not None
    assert wider[1] is not None
    assert wider[0] <= low * (1 + 1e-9)
    assert wider[1] >= high * (1 - 1e-9)
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean_interval(shuffled) == (low, high)


def test_few_values() -> None:
    assert mean_interval([]) == (None, None)
    assert mean_interval([0.5]) == (None, None)
    assert mean_interval([1.0]) == pytest.approx((0.025, 1.0))
    two = paired_test(np.array([0.2, 0.9]), np.array([0.6, 0.1]))
    assert (two.ci_low, two.ci_high) == (-1.0, 1.0)  # it was [-449, 449] points


def test_very_large_scores() -> None:
    for size in (1e200, 1.5e308):
        left = np.array([1.0, 0.5, 0.25, 0.75] * 5) * size
        right = np.roll(left, 1)
        result = paired_test(left, right)
        low, high = mean_interval(left)
        assert low is not None
        assert high is not None
        assert 0 <= low <= size * 0.625 <= high <= size
        assert result.difference == pytest.approx(0.0, abs=1e-12 * size)
        assert result.ci_low is not None
        assert -size <= result.ci_low < 0
        assert result.sd_difference == pytest.approx(math.sqrt(20 / 19 * 0.15625) * size, rel=1e-9)
        assert math.isfinite(result.effect_size or 0.0)
    huge = paired_test(np.array([-1.7e308, 1e308]), np.array([1.7e308, 1e308]))
    assert math.isfinite(huge.difference)


def test_repetitions_are_averaged_in_any_order() -> None:
    runs = [("a", 0.1), ("a", 0.2), ("b", 1.0), ("a", 0.3)]
    assert example_means(runs) == example_means([runs[3], runs[0], runs[1], runs[2]]) == [pytest.approx(0.2), 1.0]


def test_a_summarys_interval_is_of_examples_and_not_of_their_repetitions() -> None:
    """Ten examples, each right five times of five: 0.69 to 1 (R's ``binom.test(10, 10)``); of 50 it were 0.93."""
    ids = [f"q{n}" for n in range(10) for _ in range(5)]
    repetitions = [r for _ in range(10) for r in range(1, 6)]
    rows = result_table({"example_id": ids, "repetition_number": repetitions, "eval.x.score": [1.0] * 50})
    metric = table_side(rows).summary.metrics["x"]
    assert (metric.ci_low, metric.ci_high) == (pytest.approx(0.6915029, abs=1e-7), pytest.approx(1.0))
    graded = [0.1 + 0.02 * (n // 5) + 0.1 * (n % 5) for n in range(50)]
    rows = result_table({"example_id": ids, "repetition_number": repetitions, "eval.x.score": graded})
    metric = table_side(rows).summary.metrics["x"]
    expected = mean_interval(example_means(list(zip(ids, graded, strict=True))))
    assert (metric.ci_low, metric.ci_high) == pytest.approx(expected)
