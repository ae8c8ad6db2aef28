"""The paired tests and intervals: published results, SciPy's, coverage, and what must not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prefect_experiments.analysis.comparison.paired import (
    MCNEMAR,
    PairedResult,
    examples_to_detect,
    examples_to_exclude,
    holm,
    mcnemar_p_value,
    mid_p_value,
    paired_test,
    pairs_to_reach,
    smallest_p,
    tango_interval,
)
from prefect_experiments.analysis.comparison.sign_flip import (
    SIGN_FLIP_EXACT,
    SIGN_FLIP_ROUNDED,
    SIGN_FLIP_SAMPLED,
    sign_flip_test,
)


def fourfold(both: int, higher: int, lower: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    left = np.repeat([1.0, 0.0, 1.0, 0.0], [both, higher, lower, neither])
    right = np.repeat([1.0, 1.0, 0.0, 0.0], [both, higher, lower, neither])
    return left, right


# Published results ------------------------------------------------------------------------------


def test_exact_mcnemar_and_tango_agree_with_r() -> None:
    """Cavo et al. 2012, as in Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables, chapter 8.

    R's contingencytables 3.0 prints for the table 59, 6, 16, 80:
    ``McNemar exact conditional test: P = 0.052479``,
    ``Tango asymptotic score CI: estimate = -0.0621 (95% CI -0.1240 to -0.0054)``.
    """
    result = paired_test(*fourfold(59, 6, 16, 80))
    assert result.test == MCNEMAR
    assert result.p_value == pytest.approx(0.052479, abs=5e-7)
    assert result.difference == pytest.approx(-0.0621, abs=5e-5)
    assert (result.ci_low, result.ci_high) == pytest.approx((-0.1240, -0.0054), abs=5e-5)
    assert (result.n_pairs, result.higher, result.lower, result.ties) == (161, 6, 16, 139)


def test_tango_on_a_small_table() -> None:
    """Bentur et al. 2009 (1, 1, 7, 12), Tango's interval -0.517 to -0.026: Fagerland et al. 2014, table VI."""
    assert tango_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(
    ("higher", "lower", "p_value"),
    [(70, 59, 0.378688), (80, 59, 0.089452), (30, 60, 0.00206), (10, 30, 0.002221), (10, 10, 1.0), (0, 0, 1.0)],
)
def test_exact_mcnemar_agrees_with_statsmodels(higher: int, lower: int, p_value: float) -> None:
    """Statsmodels 0.14, ``test_mcnemar_exact`` in stats/tests/test_nonparametric.py."""
    assert mcnemar_p_value(higher, lower) == pytest.approx(p_value, abs=1e-6)


def test_permutation_of_darwins_plants() -> None:
    """Fisher 1935, The Design of Experiments, section 21.

    Of the 32,768 sign patterns of Darwin's 15 differences 863 give a total as large as the one
    seen, and as many one as small: p = 1,726 / 32,768 = 5.267 %.
    """
    darwin = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
    signs = 1 - 2 * ((np.arange(2**15)[:, None] >> np.arange(15)) & 1)
    assert (np.abs(signs @ darwin) >= darwin.sum()).sum() == 1726
    same = (signs @ darwin == darwin.sum()).sum()
    test, higher, lower = sign_flip_test(darwin)
    assert test == SIGN_FLIP_EXACT
    assert (higher, lower) == pytest.approx((863 / 32768, 1 - 863 / 32768 + same / 32768))


def test_holms_method() -> None:
    """R: ``p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")`` gives 0.05 0.08 0.09 0.09 0.09."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.01, 0.9]) == pytest.approx([0.08, 0.03, 0.9])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_sample_size_of_mcnemars_test() -> None:
    """Connor 1987, page 209, by powersamplesize.com: p01 = 0.45, p10 = 0.05 need 23 pairs (two-sided, power 0.8)."""
    observed = paired_test(*fourfold(5, 9, 1, 5))
    assert examples_to_detect(observed) == 23


def test_sample_size_for_paired_differences() -> None:
    """A difference of 0.1 with a standard deviation of 0.5 needs (1.960 + 0.842)^2 / 0.2^2 = 196.2 pairs."""
    result = PairedResult(
        n_pairs=50, baseline_mean=0.5, candidate_mean=0.4, difference=-0.1, ci_low=None, ci_high=None, p_value=0.2,
        p_higher=0.9, p_lower=0.1, smallest_p=0.0,
        higher=20, lower=25, ties=5, sd_difference=0.5, effect_size=-0.2, test=SIGN_FLIP_EXACT,
    )  # fmt: skip
    assert examples_to_detect(result) == 197
    assert examples_to_exclude(0.1, 0.5, 0.14, 50) == 197
    assert examples_to_exclude(0.02, 0.0, tango_interval(0, 0, 100)[1], 100) == 189  # z^2 (1 - 0.02) / 0.02 = 188.2
    assert examples_to_exclude(0.0, 0.5, 0.14, 50) is None


# SciPy's results ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [12, 13])
def test_few_differences_are_permuted_exactly_as_scipy_does(n: int) -> None:
    rng = np.random.default_rng(4)
    left, right = rng.random(n), rng.random(n)
    result = paired_test(left, right)
    theirs = stats.permutation_test(
        (left, right), lambda x, y: np.mean(y - x), permutation_type="samples", n_resamples=math.inf
    )
    assert result.test == SIGN_FLIP_EXACT
    assert result.p_value == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize(("n", "shift"), [(14, 0.5), (60, 0.2), (400, 0.1), (400, 0.0), (5000, 0.02)])
def test_many_differences_agree_with_scipys_permutations_and_the_t_test(n: int, shift: float) -> None:
    differences = np.random.default_rng(n).normal(shift, 1, n)
    test, *one_sided = sign_flip_test(differences)
    p_value = 2 * min(one_sided)
    resamples = 9999 if n < 5000 else 999
    theirs = stats.permutation_test(
        (differences,), lambda d, axis: d.sum(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=resamples, rng=1, batch=500,
    ).pvalue  # fmt: skip
    assert test == (SIGN_FLIP_ROUNDED if n < 5000 else SIGN_FLIP_SAMPLED)
    assert p_value == pytest.approx(theirs, abs=5 * math.sqrt(max(theirs, 1e-3) / resamples))
    assert p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)


def enumerated(differences: np.ndarray) -> tuple[float, float]:
    """Of whole numbers: the shares of all sign patterns with a sum at least as high, and at least as low."""
    changed = differences[differences != 0]
    signs = 1 - 2 * ((np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed))) & 1)
    sums = signs @ changed
    return float((sums >= changed.sum()).mean()), float((sums <= changed.sum()).mean())


@pytest.mark.thorough
@pytest.mark.parametrize("steps", [1, 3, 4, 6, 10, 7])
def test_ties_are_counted_as_exact_enumeration_does(steps: int) -> None:
    """1,000 random tables in all, with ties, on scales of whole numbers, thirds, tenths, ...; rows in either order."""
    rng = np.random.default_rng(steps)
    for _ in range(167):
        n = int(rng.integers(1, 16))
        whole = rng.integers(-4, 5, n)
        left = rng.integers(5, 10, n) / steps
        right = left + whole / steps
        result = paired_test(left, right, are_scores=False)
        higher, lower = enumerated(whole)
        assert result.test == SIGN_FLIP_EXACT
        assert (result.p_higher, result.p_lower) == pytest.approx((higher, lower), abs=1e-12)
        assert result.p_value == pytest.approx(min(1.0, 2 * min(higher, lower)), abs=1e-12)
        assert result == paired_test(left[::-1], right[::-1], are_scores=False)


def test_sums_that_floats_would_tell_apart() -> None:
    """The same differences in ones, thirds and tenths: exactly, and by SciPy, 0.0720; sampled it was 0.0494."""
    whole = np.array([-3, -3, -2, -2, *[-1] * 7, *[1] * 5], dtype=float)
    for steps in (1, 3, 10):
        right = 3 + whole / steps
        assert paired_test(np.full(16, 3.0), right).p_value == pytest.approx(0.0720, abs=5e-5)


def test_repetitions_that_differ_in_number_have_a_common_scale() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        left, right = (
            np.array([rng.binomial(k, 0.6) / k for k in rng.choice([2, 3, 5], 12)]) for _ in ("left", "right")
        )
        result = paired_test(left, right, are_scores=False)
        higher, lower = enumerated(np.rint((right - left) * 30))
        assert (result.p_higher, result.p_lower) == pytest.approx((higher, lower), abs=1e-12)


def test_one_sided_p_values_of_two_valued_scores_are_mid_p() -> None:
    """Fagerland et al. 2013, table 1 (1 and 7 discordant of 21): two-sided mid-p 0.0391."""
    result = paired_test(*fourfold(1, 1, 7, 12))
    assert result.p_lower == mid_p_value(7, 1)
    assert 2 * result.p_lower == pytest.approx(0.0391, abs=5e-5)
    assert result.p_lower + result.p_higher == pytest.approx(1)
    assert (mid_p_value(0, 0), mid_p_value(3, 3)) == (1.0, pytest.approx(0.5))


def test_false_alarms_of_the_mid_p_test() -> None:
    """Exact: the probability of a one-sided p-value of at most 0.05 between equal sides, for any share that differs.

    Where at most half of the pairs differ, at most 5.0 %; where nearly all do, up to 6 %: no test of 0/1 scores of
    which all change sides.
    """
    rejected = np.zeros(201)
    for n in range(1, 201):
        counts = np.arange(n + 1)
        p = stats.binom.sf(counts, n, 0.5) + stats.binom.pmf(counts, n, 0.5) / 2
        rejected[n] = stats.binom.pmf(counts, n, 0.5)[p <= 0.05].sum()
    assert mid_p_value(7, 3) == pytest.approx(stats.binom.sf(7, 10, 0.5) + stats.binom.pmf(7, 10, 0.5) / 2)
    for n in (10, 30, 100, 200):
        alarms = [(stats.binom.pmf(np.arange(n + 1), n, share) * rejected[: n + 1]).sum() for share in STEPS]
        assert max(alarms) <= 0.0502


STEPS = np.linspace(0.005, 0.5, 100)


@pytest.mark.parametrize("test", [MCNEMAR, SIGN_FLIP_EXACT])
def test_the_smallest_p_value_and_the_pairs_that_reach_it(test: str) -> None:
    for n in (1, 3, 6):
        right = np.full(n, 0.0 if test == MCNEMAR else 0.5)
        assert paired_test(np.ones(n), right).p_lower == pytest.approx(smallest_p(n, test))
    for p_value in (0.05, 0.01, 0.05 / 20):
        n = pairs_to_reach(p_value, test)
        assert smallest_p(n, test) <= p_value < smallest_p(n - 1, test)
    assert smallest_p(0, test) == 1.0
    assert (pairs_to_reach(0.05, MCNEMAR), pairs_to_reach(0.05, SIGN_FLIP_EXACT)) == (4, 5)


def test_more_tests_need_more_examples() -> None:
    """Connor 1987 with Bonferroni's share of the false alarms: z(0.975) becomes z(0.995) among five."""
    observed = paired_test(*fourfold(60, 5, 15, 20))
    alone, among_five = examples_to_detect(observed), examples_to_detect(observed, tests=5)
    assert alone is not None
    assert among_five is not None
    assert among_five / alone == pytest.approx((2.576 + 0.842) ** 2 / (1.960 + 0.842) ** 2, rel=0.02)


def test_permuting_two_valued_scores_is_mcnemars_test() -> None:
    left, right = fourfold(40, 3, 8, 20)
    permuted = paired_test(left, right, are_scores=False)
    assert permuted.test == SIGN_FLIP_EXACT
    assert permuted.p_value == pytest.approx(paired_test(left, right).p_value)


def test_a_large_table_is_quick_and_no_p_value_is_zero() -> None:
    differences = np.random.default_rng(1).normal(1, 1, 5000)
    assert sign_flip_test(differences) == (SIGN_FLIP_SAMPLED, 1 / 10_000, 1.0)
    assert 0 < sign_flip_test(np.ones(5000))[1] < 1e-300


# Coverage ----------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("n", [10, 30, 100])
def test_tango_keeps_its_coverage(n: int) -> None:
    """Exact: the probability of every table whose interval holds the true difference, summed.

    On average over the probabilities nominal, and never far below; the plain Wald interval comes
    down to a few per cent where pairs seldom disagree.
    """
    tables = [(h, low) for h in range(n + 1) for low in range(n + 1 - h)]
    intervals = np.array([tango_interval(h, low, n) for h, low in tables])
    counts = np.array([[h, low, n - h - low] for h, low in tables])
    covered, missed_above = [], []
    for higher in (0.001, 0.01, 0.03, 0.1, 0.2):
        for lower in (0.001, 0.01, 0.03, 0.1, 0.2):
            chance = stats.multinomial.pmf(counts, n, [higher, lower, 1 - higher - lower])
            true = higher - lower
            covered.append(chance[(intervals[:, 0] <= true) & (true <= intervals[:, 1])].sum())
            missed_above.append(chance[true < intervals[:, 0]].sum())
    assert np.mean(covered) >= 0.95
    assert min(covered) >= 0.92
    assert max(missed_above) <= 0.05  # what lets a regression through a non-inferiority test


@pytest.mark.thorough
def test_where_other_intervals_fail() -> None:
    """Why the scores' range counts: judged scores of which 3 % fall from 1 to 0, n = 50, 400 simulations."""
    rng = np.random.default_rng(7)
    held = {"ours": 0, "t": 0, "BCa": 0}
    left = np.ones(50)
    for _ in range(400):
        right = np.where(rng.random(50) < 0.03, 0.0, 1 - 0.01 * rng.random(50))
        true = -0.03 - 0.97 * 0.005
        result = paired_test(left, right)
        intervals = {
            "ours": (result.ci_low, result.ci_high),
            "t": tuple(stats.ttest_1samp(right - left, 0).confidence_interval()),
            "BCa": tuple(stats.bootstrap((right - left,), np.mean, n_resamples=199, rng=rng).confidence_interval),
        }
        for name, (low, high) in intervals.items():
            held[name] += low <= true <= high
    assert held["ours"] >= 0.94 * 400
    assert held["t"] < 0.85 * 400
    assert held["BCa"] < 0.85 * 400


def test_nothing_that_differs_still_leaves_doubt() -> None:
    same = np.full(100, 0.7)
    result = paired_test(same, same.copy())
    assert (result.difference, result.p_value, result.effect_size, result.ties) == (0.0, 1.0, None, 100)
    assert result.ci_low == pytest.approx(-0.0336, abs=1e-3)
    right = paired_test(np.ones(100), np.ones(100))
    z = stats.norm.ppf(0.975)
    assert (right.ci_low, right.ci_high) == pytest.approx((-(z**2) / (100 + z**2), z**2 / (100 + z**2)))


@pytest.mark.parametrize("measured", [0.0000162, 80.9, 0.0], ids=["cost", "tokens", "nothing"])
def test_measurements_that_are_all_the_same_leave_doubt_in_their_own_size(measured: float) -> None:
    """A cost of millionths of a dollar is no score from 0 to 1: its interval is no matter of cents."""
    column = np.full(200, measured)
    result = paired_test(column, column, are_scores=False)
    assert result.ci_low is not None
    assert result.ci_high is not None
    assert 0 <= result.ci_high <= 0.05 * measured
    assert result.ci_low == -result.ci_high
    assert (result.ci_high > 0) == (measured > 0)


def test_one_pair() -> None:
    result = paired_test(np.array([0.2]), np.array([0.9]))
    assert (result.p_value, result.ci_low, result.ci_high, result.sd_difference) == (1.0, None, None, None)
    two_valued = paired_test(np.array([0.0]), np.array([1.0]))
    assert two_valued.p_value == 1.0
    assert two_valued.ci_low is not None
    assert two_valued.ci_low < 0


# What must not matter ----------------------------------------------------------------------------

score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, allow_subnormal=False))
columns = st.one_of(
    st.lists(st.tuples(score, score), min_size=1, max_size=30),
    st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=60),
)


def minus(value: float | None) -> float | None:
    return None if value is None else -value


@settings(deadline=None)
@given(columns)
def test_exchanged_sides_give_the_mirrored_result(rows: list[tuple[float, float]]) -> None:
    left, right = (np.array(side) for side in zip(*rows, strict=True))
    there, back = paired_test(left, right), paired_test(right, left)
    assert (back.higher, back.lower, back.ties) == (there.lower, there.higher, there.ties)
    assert back.p_value == pytest.approx(there.p_value, abs=1e-12)
    for mine, theirs in (
        (back.difference, minus(there.difference)),
        (back.ci_low, minus(there.ci_high)),
        (back.ci_high, minus(there.ci_low)),
        (back.effect_size, minus(there.effect_size)),
    ):
        assert (mine is None) == (theirs is None)
        assert mine is None or mine == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@settings(deadline=None)
@given(columns, st.randoms(use_true_random=False))
def test_the_order_of_the_examples_does_not_matter(rows: list[tuple[float, float]], random: object) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    results = []
    for given_rows in (rows, shuffled):
        left, right = (np.array(side) for side in zip(*given_rows, strict=True))
        results.append(paired_test(left, right))
    assert results[0] == results[1]


@settings(deadline=None)
@given(columns, st.integers(1, 50))
def test_identical_pairs_move_the_difference_towards_zero_and_not_the_p_value(
    rows: list[tuple[float, float]], more: int
) -> None:
    left, right = (np.array(side) for side in zip(*rows, strict=True))
    before = paired_test(left, right)
    after = paired_test(np.append(left, np.ones(more)), np.append(right, np.ones(more)))
    assert after.p_value == pytest.approx(before.p_value, abs=1e-12)
    assert (after.higher, after.lower, after.ties) == (before.higher, before.lower, before.ties + more)
    assert abs(after.difference) <= abs(before.difference) + 1e-12


@settings(deadline=None)
@given(columns)
def test_the_interval_holds_the_difference_and_lies_in_range(rows: list[tuple[float, float]]) -> None:
    left, right = (np.array(side) for side in zip(*rows, strict=True))
    result = paired_test(left, right)
    assert 0 < result.p_value <= 1
    if result.ci_low is not None and result.ci_high is not None:
        assert -1 <= result.ci_low <= result.difference + 1e-9
        assert result.difference <= result.ci_high + 1e-9
        assert result.ci_high <= 1
        wider = paired_test(left, right, confidence=0.99)
        assert wider.ci_low is not None
        assert wider.ci_high is not None
        assert wider.ci_low <= result.ci_low
        assert wider.ci_high >= result.ci_high


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_lies_between_the_plain_values_and_bonferronis(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for place, p in enumerate(p_values):
        assert p <= adjusted[place] <= min(1.0, len(p_values) * p)
    ranked = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[place] for place in ranked] == sorted(adjusted)


def test_averages_that_differ_by_rounding_only_are_ties() -> None:
    left, right = np.array([0.1 + 0.2, 0.5, 0.7]), np.array([0.3, 0.5, 0.6])
    assert (left != right).sum() == 2
    result = paired_test(left, right)
    assert (result.higher, result.lower, result.ties) == (0, 1, 2)
