"""Whole rows of figures: corrected differences, intervals, p-values."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from prefect_experiments.analysis.corrected import corrected_difference
from prefect_experiments.analysis.gate.figures import p95_interval, p_value_beyond, share_p_value, total_interval
from prefect_experiments.analysis.intervals import (
    clustered_interval,
    difference_range,
    mean_interval,
    range_of,
)

from .tables import figures

N = 24
NOT = math.nan
BEFORE = np.array([0.5 + 0.02 * i if i % 3 else 0.1 * (i % 10) for i in range(N)])
AFTER = np.array([0.4 + 0.02 * i if i % 4 else 0.1 * (i % 7) for i in range(N)])
OF_BEFORE = np.array([BEFORE[i] + 0.05 * (i % 3 - 1) if i % 2 == 0 else NOT for i in range(N)])
OF_AFTER = np.array([AFTER[i] - 0.05 * (i % 4) if i % 2 == 0 else NOT for i in range(N)])
ELSEWHERE = np.array([AFTER[i] - 0.05 * (i % 4) if i % 2 or i < 4 else NOT for i in range(N)])
LACKING = np.where(np.arange(N) == 5, NOT, BEFORE)
UNLABELLED = np.full(N, NOT)
SOME, OTHERS, SAME = (
    np.array(
        [one if i % 9 == at else NOT for i, one in enumerate(np.tile(scores, 9) + 0.04 * (np.arange(9 * N) % 5 - 2))]
    )
    for at, scores in ((0, BEFORE), (4, AFTER), (0, AFTER))
)


def digits(ends: Sequence[float | None]) -> tuple[float | None, ...]:
    """To six digits."""
    return tuple(None if one is None else float(f"{one:.6g}") for one in ends)


CORRECTED = [
    pytest.param(
        (BEFORE, AFTER),
        (OF_BEFORE, OF_AFTER),
        0.9,
        """
        human human, n 24, n_baseline 12, n_candidate 12, n_both 12, n_unread 0, method paired, by_judge -0.08,
        baseline_mean 0.62871, candidate_mean 0.48956, difference -0.13916, stderr 0.13262, df 10, ci_low -0.37953,
        ci_high 0.10122, p_value 0.31875, p_higher 0.84062, p_lower 0.15938, widest 1, weights (0.90899 0.90899),
        p_chosen 1
        """,
        id="paired",
    ),
    pytest.param(
        (BEFORE, AFTER),
        (OF_BEFORE, ELSEWHERE),
        0.95,
        """
        human human, n 24, n_baseline 12, n_candidate 14, n_both 2, n_unread 0, method two means, by_judge -0.08,
        baseline_mean 0.62593, candidate_mean 0.45871, difference -0.16722, stderr 0.16975, df 10, ci_low -0.54546,
        ci_high 0.21101, p_value 0.34782, p_higher 0.82609, p_lower 0.17391, widest 1, weights (0.9718 0.86523),
        p_chosen 1
        """,
        id="two means",
    ),
    pytest.param(
        (LACKING, AFTER),
        (OF_BEFORE, ELSEWHERE),
        0.95,
        """
        human human, n 23, n_baseline 12, n_candidate 13, n_both 2, n_unread 0, method two means, by_judge -0.07913,
        baseline_mean 0.62648, candidate_mean 0.45571, difference -0.17077, stderr 0.17502, df 10, ci_low -0.56074,
        ci_high 0.2192, p_value 0.35222, p_higher 0.82389, p_lower 0.17611, widest 1, weights (0.96671 0.89391),
        p_chosen 1
        """,
        id="one without a score",
    ),
    pytest.param(
        (BEFORE * 1e200, AFTER * 1e200),
        (OF_BEFORE * 1e200, ELSEWHERE * 1e200),
        0.95,
        """
        human human, n 24, n_baseline 12, n_candidate 14, n_both 2, n_unread 0, method two means, by_judge -8e+198,
        baseline_mean 6.2593e+199, candidate_mean 4.5871e+199, difference -1.6722e+199, stderr 1.6975e+199, df 10,
        ci_low -5.4546e+199, ci_high 2.1101e+199, p_value 0.34782, p_higher 0.82609, p_lower 0.17391, widest 1e+200,
        weights (0.9718 0.86523), p_chosen 1
        """,
        id="very large",
    ),
    pytest.param(
        (BEFORE, AFTER),
        (UNLABELLED, OF_AFTER),
        0.95,
        """
        human human, n 24, n_baseline 0, n_candidate 12, n_both 0, n_unread 0, method too few labels, by_judge -0.08,
        p_higher 1, p_lower 1, widest 1, p_chosen 0.68427
        """,
        id="one side labelled",
    ),
    pytest.param(
        (4 * BEFORE + 1, 4 * AFTER + 1),
        (np.round(4 * OF_BEFORE + 1), np.round(4 * OF_AFTER + 1)),
        0.95,
        """
        human human, n 24, n_baseline 12, n_candidate 12, n_both 12, n_unread 0, method paired, by_judge -0.32,
        baseline_mean 3.5129, candidate_mean 2.9364, difference -0.57657, stderr 0.54553, df 10, ci_low -1.7921,
        ci_high 0.63895, p_value 0.31542, p_higher 0.84229, p_lower 0.15771, widest 4, weights (0.88275 0.88275),
        p_chosen 1
        """,
        id="stars",
    ),
    pytest.param(
        (BEFORE, AFTER),
        (BEFORE, AFTER),
        0.95,
        """
        human human, n 24, n_baseline 24, n_candidate 24, n_both 24, n_unread 0, method paired, by_judge -0.08,
        baseline_mean 0.635, candidate_mean 0.555, difference -0.08, stderr 0.083718, df 22, ci_low -0.25362, ci_high
        0.093621, p_value 0.34966, p_higher 0.82517, p_lower 0.17483, widest 1, weights (0.96941 0.96941)
        """,
        id="all labelled",
    ),
    pytest.param(
        (np.tile(BEFORE, 9), np.tile(AFTER, 9)),
        (SOME, OTHERS),
        0.95,
        """
        human human, n 216, n_baseline 24, n_candidate 24, n_both 0, n_unread 0, method two means, by_judge -0.08,
        baseline_mean 0.63667, candidate_mean 0.55685, difference -0.07982, stderr 0.10126, df 22, ci_low -0.28982,
        ci_high 0.13018, p_value 0.43895, p_higher 0.78053, p_lower 0.21947, widest 1.06, weights (1 0.84894),
        labels_to_halve 62, labels_to_halve_by_side (31 31), p_chosen 0.031525
        """,
        id="few labels of many",
    ),
    pytest.param(
        (np.tile(BEFORE, 9), np.tile(AFTER, 9)),
        (SOME, SAME),
        0.95,
        """
        human human, n 216, n_baseline 24, n_candidate 24, n_both 24, n_unread 0, method paired, by_judge -0.08,
        baseline_mean 0.63667, candidate_mean 0.55667, difference -0.08, stderr 0.071448, df 22, ci_low -0.22817,
        ci_high 0.068174, p_value 0.27492, p_higher 0.86254, p_lower 0.13746, widest 1.06, weights (1 1),
        labels_to_halve 66, labels_to_halve_by_side (33 33), p_chosen 0.031525
        """,
        id="few labels of the same ones",
    ),
    pytest.param(
        (np.ones(N), np.ones(N)),
        (OF_BEFORE, ELSEWHERE),
        0.95,
        """
        human human, n 24, n_baseline 12, n_candidate 14, n_both 2, n_unread 0, method two means, by_judge 0,
        baseline_mean 0.62667, candidate_mean 0.48714, difference -0.13952, stderr 0.17916, df 10, ci_low -0.53871,
        ci_high 0.25966, p_value 0.45414, p_higher 0.77293, p_lower 0.22707, widest 1, weights (0 0), p_chosen 1
        """,
        id="a judge who sees nothing",
    ),
]


@pytest.mark.parametrize(("judge", "people", "confidence", "text"), CORRECTED)
def test_a_corrected_difference(judge: Any, people: Any, confidence: float, text: str) -> None:
    assert figures(corrected_difference(judge, people, confidence=confidence)) == " ".join(text.split())


@pytest.mark.parametrize(
    ("values", "bounds", "interval", "narrow", "apart"),
    [
        ([0.5], (0.0, 1.0), (None, None), (None, None), (-1.0, 1.0)),
        ([1.0], (0.0, 1.0), (0.025, 1.0), (0.1, 1.0), (-1.0, 1.0)),
        ([0.0, 1.0], (0.0, 1.0), (0.0125791, 0.987421), (0.0513167, 0.948683), (-1.0, 1.0)),
        ([1, 1, 0, 1], (0.0, 1.0), (0.19412, 0.993691), (0.320461, 0.974004), (-1.0, 1.0)),
        ([0.2, 0.9, 0.4, 0.5, 0.6, 0.5, 0.7, 0.4], (0.0, 1.0), (0.285363, 0.751001), (0.37887, 0.657494), (-1.0, 1.0)),
        ([3.0, 5.0, 4.0, 3.5, 4.5, 4.0], (0.0, 5.0), (1.96272, 5.0), (2.61738, 4.38262), (-2.0, 2.0)),
        ([-1.0, 0.5, 2.0, 0.5, 1.0, 0.0], (-1.0, 2.0), (-0.538446, 1.53845), (-0.0962178, 1.09622), (-3.0, 3.0)),
        ([0.3, 0.3, 0.3, 0.3], (0.0, 1.0), (0.0, 0.830002), (0.157076, 0.614353), (-1.0, 1.0)),
        ([101.0, 3.0, 5.0], (0.0, 101.0), (0.0, 101.0), (2.35453, 84.4788), (-0.25, 0.25)),
    ],
)
def test_an_interval_and_how_far_scores_lie_apart(
    values: list[float], bounds: Any, interval: Any, narrow: Any, apart: Any
) -> None:
    assert range_of(values) == bounds
    assert digits(mean_interval(values)) == interval
    assert digits(mean_interval(values, 0.8)) == narrow
    assert difference_range(values, [-0.25, 0.125]) == apart


def test_measurements_have_no_range_but_what_was_seen() -> None:
    assert difference_range([0.2, 0.4], [-0.1, 0.05], are_scores=False) == (-0.1, 0.1)
    assert difference_range([0.2, 0.4], [0.0, 0.0], are_scores=False) == (-0.4, 0.4)
    assert difference_range([], [], are_scores=False) == (0.0, 0.0)
    assert difference_range([3.0, 3.0], []) == (-3.0, 3.0)
    assert difference_range([100.0, 60.0], [1.0]) == (-40.0, 40.0)
    assert difference_range([100.5, 60.0], [1.0]) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("scored", "ends"),
    [
        (
            [
                ("a", 1.0),
                ("a", 0.5),
                ("b", 0.2),
                ("c", 0.9),
                ("d", 0.0),
                ("d", 0.1),
                ("e", 0.2),
                ("e", 0.3),
                ("f", 0.4),
                ("f", 0.5),
                ("g", 0.6),
                ("g", 0.0),
                ("h", 0.1),
                ("i", 0.2),
            ],
            (0.200317, 0.585397),
        ),
        ([("a", 1.0), ("b", 0.5), ("c", 0.2), ("d", 0.6), ("e", 0.7), ("f", 0.4)], (0.291756, 0.797133)),
        ([], (None, None)),
        ([("a", 1.0)], (0.05, 1.0)),
        ([("a", 0.5), ("a", 1.0)], (None, None)),
    ],
)
def test_an_interval_of_runs(scored: Sequence[tuple[Hashable, float]], ends: Any) -> None:
    assert digits(clustered_interval(scored, (0.0, 1.0), 0.9)) == ends


ASCENDING = np.arange(100.0)


@pytest.mark.parametrize(
    ("n", "confidence", "ends"),
    [
        (100, 0.95, (89.0, 99.0)),
        (100, 0.8, (91.0, 98.0)),
        (50, 0.95, (87.0, math.inf)),
        (72, 0.95, (88.0, 99.0)),
        (71, 0.95, (88.0, math.inf)),
        (20, 0.9, (84.0, math.inf)),
        (10, 0.5, (89.0, math.inf)),
    ],
)
def test_an_interval_of_the_95th_percentile(n: int, confidence: float, ends: tuple[float, float]) -> None:
    assert p95_interval(ASCENDING, n, confidence) == ends


@pytest.mark.parametrize(
    ("costs", "confidence", "ends"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0], 0.95, (5.18378, 24.8162)),
        ([1.0, 1.0, 1.0, 1.0, 9.0, 2.0], 0.95, (1.70879, 80.6199)),
        ([1.0, 1.0, 1.0, 1.0, 9.0, 2.0], 0.8, (6.60826, 65.1106)),
        ([2.0, 2.0], 0.95, (4.0, 4.0)),
        ([2.0], 0.95, (-math.inf, math.inf)),
        ([0.0, 0.0, 0.0, 0.5], 0.95, (0.0, 5.59992)),
        ([5.0, 5.0, 5.0, 1.0, 5.0], 0.9, (0.0, 26.9115)),
    ],
)
def test_an_interval_of_what_it_costs_in_all(costs: list[float], confidence: float, ends: Any) -> None:
    assert digits(total_interval(np.array(costs), confidence)) == ends


def test_what_a_share_or_a_figure_beyond_its_bound_shows() -> None:
    # R: binom.test(3, 100, 0.02, "greater") is 0.3233; a z of 2 leaves 0.0455 on both sides.
    assert [round(share_p_value(share, 0.02, 100), 6) for share in (0.0, 0.02, 0.03, 0.1, 1.0)] == [
        1.0,
        0.596728,
        0.323314,
        3.4e-05,
        0.0,
    ]

    def interval(confidence: float) -> tuple[float, float]:
        half = NormalDist().inv_cdf((1 + confidence) / 2)
        return 5 - half, 5 + half

    beyond = [p_value_beyond(interval, bound, most=most) for bound in (3.0, 5.0, 7.0) for most in (True, False)]
    assert [round(one, 6) for one in beyond] == [0.0455, 1.0, 1.0, 1.0, 1.0, 0.0455]
