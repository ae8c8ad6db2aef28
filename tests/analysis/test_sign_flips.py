"""The sign-flip test's four ways: on a scale, enumerated, rounded and drawn; which is taken, and that they agree."""

from __future__ import annotations

import numpy as np
import pytest

from prefect_experiments.analysis.comparison.sign_flip import (
    SIGN_FLIP_EXACT,
    SIGN_FLIP_ROUNDED,
    SIGN_FLIP_SAMPLED,
    sign_flip_test,
)

Floats = np.ndarray


def on_no_scale(n: int, shift: float = 0.0, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(shift, 1, n)


def enumerated(differences: Floats) -> tuple[float, float]:
    """The shares of all sign patterns with a sum at least as high, and at least as low."""
    sums = np.zeros(1)
    for size in np.abs(differences):
        sums = np.concatenate([sums + size, sums - size])
    seen, near = differences.sum(), 1e-9 * np.abs(differences).sum()
    return float((sums >= seen - near).mean()), float((sums <= seen + near).mean())


@pytest.mark.parametrize("shift", [-0.6, 0.0, 0.6])
@pytest.mark.parametrize(("n", "test", "within"), [(13, SIGN_FLIP_EXACT, 1e-12), (14, SIGN_FLIP_ROUNDED, 1e-3)])
def test_up_to_thirteen_differences_are_enumerated_and_more_are_rounded(
    n: int, test: str, within: float, shift: float
) -> None:
    differences = on_no_scale(n, shift)
    name, *found = sign_flip_test(np.concatenate([differences, np.zeros(5)]))  # what does not differ takes no part
    assert name == test
    assert found == pytest.approx(enumerated(differences), abs=within)


@pytest.mark.parametrize("n", [14, 18])
def test_rounded_to_fine_steps_p_differs_by_a_ten_thousandth(n: int) -> None:
    for seed in range(10):
        differences = on_no_scale(n, 0.3, seed)
        assert sign_flip_test(differences)[1:] == pytest.approx(enumerated(differences), abs=2e-4)


@pytest.mark.parametrize(
    ("n", "test", "p_values"),
    [
        (100, SIGN_FLIP_ROUNDED, (0.07943362831853855, 0.9206154693185035)),
        (400, SIGN_FLIP_ROUNDED, (0.582749141224453, 0.41740373786849955)),
        pytest.param(4472, SIGN_FLIP_ROUNDED, (0.26880656449376206, 0.7315076789379863), marks=pytest.mark.thorough),
        (4473, SIGN_FLIP_SAMPLED, (0.5471, 0.453)),
    ],
)
def test_how_finely_they_are_rounded_goes_by_how_many_there_are(
    n: int, test: str, p_values: tuple[float, float]
) -> None:
    """What has been said of so many differences stays as it was, to the last digit that is told apart."""
    name, *found = sign_flip_test(on_no_scale(n, 1 / n**0.5, n))
    assert name == test
    assert found == pytest.approx(p_values, rel=1e-9)


@pytest.mark.parametrize(
    ("steps", "test"),
    [(9_000, SIGN_FLIP_EXACT), (11_000, SIGN_FLIP_ROUNDED)],
)
def test_a_scale_is_looked_for_down_to_a_ten_thousandth_of_the_largest_difference(steps: int, test: str) -> None:
    differences = np.array([1.0, *(np.arange(1, 16) * 7 / steps)])
    assert sign_flip_test(differences)[0] == test


@pytest.mark.parametrize("off", [0.0, 1e-11, 1e-8])
def test_what_lies_off_a_scale_by_more_than_floats_do_is_on_none(off: float) -> None:
    differences = np.array([1.0, 2, -1, 3, -2, 1, 1, 2, 3, -1, 2, 1, 1, 2, 3 + off]) / 3
    assert sign_flip_test(differences)[0] == (SIGN_FLIP_ROUNDED if off > 1e-9 else SIGN_FLIP_EXACT)
    if off < 1e-9:
        assert sign_flip_test(differences)[1:] == pytest.approx(enumerated(np.rint(differences * 3)), abs=1e-12)


def test_nothing_that_differs_and_sums_of_nothing() -> None:
    assert sign_flip_test(np.zeros(4)) == (SIGN_FLIP_EXACT, 1.0, 1.0)
    assert sign_flip_test(np.array([1.0])) == (SIGN_FLIP_EXACT, 0.5, 1.0)
    assert sign_flip_test(np.array([-1.0])) == (SIGN_FLIP_EXACT, 1.0, 0.5)
    assert sign_flip_test(np.array([1.0, -1.0])) == (SIGN_FLIP_EXACT, 0.75, 0.75)
    even = np.array([np.pi, -np.e, np.e - np.pi])
    assert sign_flip_test(even)[1:] == pytest.approx(enumerated(even))
    assert enumerated(even) == (0.625, 0.625)
