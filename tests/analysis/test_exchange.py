"""One run beside several earlier ones: the tails of scores on no scale, the ends, and what counts as a scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from prefect_experiments.analysis.comparison.exchange import EXCHANGE_APPROXIMATE, EXCHANGE_EXACT, exchange_test

Floats = np.ndarray


def saddlepoint(scores: Floats) -> float:
    """P(lower) by Lugannani and Rice (1980), written out: the newest run's scores come first, NaN is no score."""
    examples = [row[~np.isnan(row)] - np.nanmin(row) for row in scores]
    unit = max(row.max() for row in examples)
    examples = [row / unit for row in examples]
    seen = sum(row[0] for row in examples)

    def cumulant(t: float) -> float:
        return math.fsum(np.log1p(np.expm1(t * row).mean()) for row in examples)

    def slope(t: float) -> float:
        return float(sum((np.exp(t * row) * row).sum() / np.exp(t * row).sum() for row in examples))

    def curvature(t: float) -> float:
        weights = [np.exp(t * row) / np.exp(t * row).sum() for row in examples]
        return float(sum((w * row**2).sum() - (w * row).sum() ** 2 for w, row in zip(weights, examples, strict=True)))

    tilt = float(optimize.brentq(lambda t: slope(t) - seen, -400, 400, xtol=1e-13))
    if abs(tilt) < 1e-6:
        third = sum(((row - row.mean()) ** 3).mean() for row in examples)
        sd = curvature(0) ** 0.5
        return float(stats.norm.cdf((seen - slope(0)) / sd) + third / sd**3 / 6 / np.sqrt(2 * np.pi))
    w = np.sign(tilt) * np.sqrt(2 * (tilt * seen - cumulant(tilt)))
    u = tilt * np.sqrt(curvature(tilt))
    return float(stats.norm.cdf(w) + stats.norm.pdf(w) * (1 / w - 1 / u))


@pytest.mark.parametrize("seed", range(8))
def test_the_tails_of_scores_on_no_scale_are_those_of_the_published_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = 3 + 10 * rng.random((5 + 5 * seed, 2 + seed % 3))
    scores[:, 0] += (seed % 4 - 1.5) * rng.random(len(scores)) * 4  # from clearly worse to clearly better
    scores[0, 1] = np.nan
    found = exchange_test(scores[:, 1:], scores[:, 0])
    lower = saddlepoint(scores)
    assert found.test == EXCHANGE_APPROXIMATE
    assert found.p_lower == pytest.approx(lower, rel=1e-7)
    assert found.p_higher == pytest.approx(1 - lower, rel=1e-7)


@pytest.mark.parametrize(
    ("seed", "examples", "near", "tolerance"),
    [
        *((seed, 8, 1e-7, 1e-6) for seed in range(3)),
        *((seed, 4000, near, 1e-4) for seed in range(3) for near in (0.001, 0.01, 0.1, 1.0)),
    ],
)
def test_at_the_mean_itself_it_is_the_limit_of_that_formula(
    seed: int, examples: int, near: float, tolerance: float
) -> None:
    """And beside it, where little of the formula is left over when its parts are subtracted."""
    scores = np.random.default_rng(seed).random((examples, 4)) ** 6
    others, means = scores[0, 1:].sum(), scores[1:].mean(axis=1).sum()
    scores[0, 0] = (others / 4 + means - scores[1:, 0].sum()) / 0.75
    for nearly in (0.0, near, -near):
        scores[0, 0] += nearly
        assert exchange_test(scores[:, 1:], scores[:, 0]).p_lower == pytest.approx(saddlepoint(scores), rel=tolerance)


def test_where_the_newest_run_is_the_best_or_the_worst_of_each_example_its_chance_is_known() -> None:
    """Of 3 runs of 4 examples: (1/3)^4, of which what was seen counts by half."""
    rows = np.array([[0.12, 0.35, 0.81], [0.2, 0.47, 0.93], [0.11, 0.58, 0.77], [0.05, 0.31, 0.62]])
    end = (1 / 3) ** 4 / 2
    worst = exchange_test(rows[:, 1:], rows[:, 0])
    assert worst.test == EXCHANGE_APPROXIMATE
    assert worst[1:] == pytest.approx((1 - end, end, end), rel=1e-12)
    best = exchange_test(rows[:, :2], rows[:, 2])
    assert best[1:] == pytest.approx((end, 1 - end, end), rel=1e-12)
    # Two runs share the best score of one example, so the best total is twice as likely, and the worst is not.
    tied = np.array([[0.12, 0.81, 0.81], *rows[1:]])
    assert exchange_test(tied[:, :2], tied[:, 2])[1:] == pytest.approx((2 * end, 1 - 2 * end, end), rel=1e-12)
    assert exchange_test(tied[:, 1:], tied[:, 0])[1:] == pytest.approx((1 - end, end, end), rel=1e-12)
    for unit in (1e6, 1e-5):  # what differs by the last digits of large numbers is the same, and of small ones not
        large = tied * unit
        large[0, 1] *= 1 - 1e-12
        assert exchange_test(large[:, :2], large[:, 2])[1:] == pytest.approx((2 * end, 1 - 2 * end, end), rel=1e-9)


def test_the_smallest_p_value_of_scores_on_a_scale_is_that_of_the_rarer_end() -> None:
    rows = np.array([[1.0, 0, 0, 0], [0, 1, 1, 1], [0, 0, 1, 1]])
    found = exchange_test(rows[:, 1:], rows[:, 0])
    # The best total: 1/4 * 3/4 * 2/4. The worst: 3/4 * 1/4 * 2/4. Half of either.
    assert (found.test, found.smallest_p) == (EXCHANGE_EXACT, pytest.approx(6 / 128))
    skewed = np.array([[1.0, 0, 0, 0], [1, 0, 0, 0]])
    assert exchange_test(skewed[:, 1:], skewed[:, 0])[1:] == pytest.approx((1 / 32, 31 / 32, 1 / 32))
    assert exchange_test(1 - skewed[:, 1:], 1 - skewed[:, 0])[1:] == pytest.approx((31 / 32, 1 / 32, 1 / 32))
    turned = exchange_test(skewed[:, :3], skewed[:, 3])
    assert turned[1:] == pytest.approx((1 - 9 / 32, 9 / 32, 1 / 32))


@pytest.mark.parametrize(("steps", "test"), [(64, EXCHANGE_EXACT), (65, EXCHANGE_APPROXIMATE)])
def test_a_scale_has_at_most_64_steps(steps: int, test: str) -> None:
    rows = np.array([[0.0, steps], [1, 0], [2, 0], [3, 1]])
    for unit in (1.0, 0.01, 1000.0):
        assert exchange_test(rows[:, 1:] * unit, rows[:, 0] * unit).test == test


@pytest.mark.parametrize(
    ("parts", "test"),
    [((2, 3), EXCHANGE_EXACT), ((3, 4), EXCHANGE_EXACT), ((5, 6), EXCHANGE_EXACT), ((7, 8), EXCHANGE_APPROXIMATE)],
)
def test_means_of_different_numbers_of_repetitions_share_a_scale(parts: tuple[int, int], test: str) -> None:
    """Of 5 and of 6 they are thirtieths, 6 of them the smallest score; of 7 and 8 one would have to look further."""
    one, other = parts
    rows = np.array([[1 / one, 0.0, 1.0], [1 / other, 0.0, 1.0], [0.0, 1.0, (one - 1) / one]])
    assert exchange_test(rows[:, 1:], rows[:, 0]).test == test


def test_differences_in_the_last_digits_are_none() -> None:
    rows = np.array([[0.1 + 0.2, 0.3, 0.3], [0.7, 0.7, 0.1 + 0.6], [1e6 + 1e-10, 1e6, 1e6]])
    assert exchange_test(rows[:, 1:], rows[:, 0]) == (EXCHANGE_EXACT, 1.0, 1.0, 1.0)
    with_one = np.array([*rows[:2], [1.0, 0.0, 0.0]])
    assert exchange_test(with_one[:, 1:], with_one[:, 0])[1:] == pytest.approx((1 / 6, 5 / 6, 1 / 6))


def test_of_hundreds_of_examples_no_tail_is_nothing_or_more_than_all() -> None:
    rows = np.tile([1.0, 0.0, 0.0], (400, 1))
    best = exchange_test(rows[:, 1:], rows[:, 0])
    assert best[1:3] == (1e-14, pytest.approx(1.0))
    assert 0 < best.smallest_p < 1e-100
    worst = exchange_test(1 - rows[:, 1:], 1 - rows[:, 0])
    assert worst[1:3] == (pytest.approx(1.0), 1e-14)
    assert max(*best[1:3], *worst[1:3]) <= 1


def test_an_example_that_the_newest_run_or_all_others_have_no_score_of_takes_no_part() -> None:
    rows = np.array([[0.0, 1, 1], [1, 0, 1], [0, 1, 0]])
    alone = exchange_test(rows[:, 1:], rows[:, 0])
    for more in ([np.nan, 0, 1], [np.nan, 1, 1], [1e12, np.nan, np.nan], [np.nan, 0, 1e12]):
        with_it = np.array([*rows, more])
        assert exchange_test(with_it[:, 1:], with_it[:, 0]) == alone
    lacks = [np.array([*rows, more]) for more in ([1, 0, np.nan], [1, np.nan, 0])]
    one, other = (exchange_test(each[:, 1:], each[:, 0]) for each in lacks)
    assert one == other
    assert one.p_higher < alone.p_higher
