"""A chart of nights and the power of a gate's tests, figure by figure."""

from __future__ import annotations

import numpy as np
import pytest

from prefect_experiments.analysis.nights.chart import Drift, drift, drift_limit, night_score
from prefect_experiments.analysis.power import Asked, Noise, power_to_find, power_to_pass, smallest_drop


def test_the_limit_goes_with_the_chance_and_the_nights() -> None:
    limits = [drift_limit(chance, nights) for chance, nights in ((0.05, 30), (0.05, 7))]
    assert limits == pytest.approx([4.5527, 3.1626], abs=1e-3)


@pytest.mark.parametrize("nights", [7, 30])
def test_the_limit_is_as_high_as_a_seldom_chance_asks(nights: int) -> None:
    """Far out, a sum is above a limit with a chance that falls as exp(-limit): Siegmund 1985, Sequential Analysis."""
    limits = [drift_limit(10.0**-power, nights) for power in range(3, 16)]
    assert np.diff(limits) == pytest.approx(np.log(10), abs=0.03)


def test_a_sum_rises_by_at_most_two_and_a_half_a_night_and_to_a_quarter_above_its_limit() -> None:
    found = drift([0.2, 1.0, 3.5, -4.0, 0.5, 1.5, 2.0, 9.0, 1.0], chance=0.3, nights=7)
    most = pytest.approx(found.limit + 0.25)
    assert found.sums == (0.0, 0.5, most, 0.0, 0.0, 1.0, most, most, most)
    assert (round(found.limit, 2), found.since, found.is_alarm) == (1.49, 5, True)
    twice = drift([9.0, 2.5], chance=0.05)
    assert (twice.sums, twice.since, twice.is_alarm) == ((2.5, 4.5), 0, False)
    assert drift([], chance=0.05) == Drift(0.0, drift_limit(0.05), 0, ())


def test_a_night_that_is_lower_everywhere_is_worse_unless_less_is_better() -> None:
    earlier = np.array([[0.5, 0.6], [0.7, 0.7], [0.2, np.nan], [0.9, 0.8], [0.4, 0.5]])
    lower = np.array([0.3, 0.6, 0.1, 0.7, 0.2])
    worse = night_score(earlier, lower)
    assert worse == pytest.approx(2.73846, abs=1e-5)
    assert night_score(earlier, lower, less_is_better=True) == pytest.approx(-worse)
    assert night_score(earlier, earlier[:, 0]) == pytest.approx(0.33087, abs=1e-5)
    assert night_score(np.ones((5, 2)), np.ones(5)) == 0


STRICT = Asked(alpha=0.01, margin=0.05, confidence=0.9)
PLAIN, EXACT = Asked(alpha=0.05), Asked(alpha=0.05, exact=True)
SPREAD, UNSEEN = Noise(n=100, variance=0.04), Noise(n=100, variance=0.04, unseen=1.5)
FALLING = Noise(n=100, variance=0.04, height=0.5, reach=0.3)
COUNTED, MANY = (Noise(n=n, variance=0.2, height=0.8, reach=0.8, two_valued=True) for n in (100, 3000))


@pytest.mark.parametrize(
    ("noise", "asked", "finds_4", "finds_10", "passes", "smallest"),
    [
        (SPREAD, PLAIN, 0.6302, 0.9996, 0.95, 0.05019),
        (SPREAD, STRICT, 0.3475, 0.9954, 0.8038, 0.06467),
        (UNSEEN, STRICT, 0.3475, 0.9954, 0.7161, 0.06467),
        (FALLING, PLAIN, 0.4906, 0.966, 0.95, 0.06646),
        (FALLING, STRICT, 0.2272, 0.8644, 0.8038, 0.09089),
        (COUNTED, PLAIN, 0.2038, 0.6113, 0.95, 0.1326),
        (COUNTED, STRICT, 0.06283, 0.3287, 0.289, 0.1787),
        (COUNTED, EXACT, 0.157, 0.5448, 0.95, 0.1425),
        (MANY, PLAIN, 0.9984, 1.0, 0.95, 0.02107),
        (MANY, STRICT, 0.691, 1.0, 1.0, 0.04296),
    ],
)
def test_what_a_test_finds_and_passes(
    noise: Noise, asked: Asked, finds_4: float, finds_10: float, passes: float, smallest: float
) -> None:
    found = [power_to_find(noise, 0.04, asked), power_to_find(noise, 0.1, asked), power_to_pass(noise, asked)]
    assert [*found, smallest_drop(noise, asked)] == pytest.approx([finds_4, finds_10, passes, smallest], rel=1e-3)
