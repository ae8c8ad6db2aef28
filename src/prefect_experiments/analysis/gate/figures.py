"""Figures of one side beside a bound: how far chance alone may have moved them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

Interval = tuple[float, float]
_PERCENTILE = 0.95
_STEPS = 24


def p_value_beyond(interval: Callable[[float], Interval], bound: float, *, most: bool) -> float:
    """How well the data bear that a figure keeps its bound: 1 - the confidence of the widest interval beyond it.

    So the p-value and the interval never contradict each other: at most 0.05 where the 95 % interval lies wholly on the
    wrong side. (Tests and intervals are two ways to say one thing: Lehmann and Romano 2005, section 3.5.)

    Args:
        interval: of a confidence, wider with more of it.
        bound: what the figure should keep.
        most: whether the bound is the largest that it may be, else the smallest.
    """

    def beyond(confidence: float) -> bool:
        low, high = interval(confidence)
        return low > bound if most else high < bound

    within, outside = 1.0, 0.0  # as confidences
    if not beyond(1e-9):
        return 1.0
    for _ in range(_STEPS):
        middle = (within + outside) / 2
        within, outside = (within, middle) if beyond(middle) else (middle, outside)
    return 1 - outside


def share_p_value(share: float, most: float, n: int) -> float:
    """That a share as large as this comes of a true one of at most `most`: the exact binomial test.

    Source: Clopper and Pearson 1934, Biometrika 26:404; through the beta distribution, because a share over
    repetitions need not be a whole number of the `n` examples.
    """
    from scipy.special import betainc

    seen = share * n
    return 1.0 if seen <= 1e-9 else float(betainc(seen, max(n - seen, 0.0) + 1, most))


def p95_interval(sorted_values: Floats, n: int, confidence: float) -> Interval:
    """An interval for the 95th percentile, from order statistics: whatever the distribution.

    Source: Hahn and Meeker 1991, Statistical Intervals, section 5.2. Fewer than 72 values have no upper end at 95 %.

    Args:
        sorted_values: of all runs.
        n: examples that they are of; repetitions of one are not independent, so these count.
        confidence: of the interval.
    """
    from scipy import stats

    tail = (1 - confidence) / 2
    first = int(stats.binom.ppf(tail, n, _PERCENTILE))
    last = int(stats.binom.ppf(1 - tail, n, _PERCENTILE)) + 1
    runs = len(sorted_values) / n
    low = -math.inf if first < 1 else float(sorted_values[math.ceil(first * runs) - 1])
    high = math.inf if last > n else float(sorted_values[math.ceil(last * runs) - 1])
    return low, high


def fewest_for_p95(confidence: float) -> int:
    """The fewest values of which the 95th percentile has an upper end: 72 at 95 %."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(_PERCENTILE))


def total_interval(values: Floats, confidence: float) -> Interval:
    """An interval for what as many examples cost in all, from one sum an example: Student's t, corrected for skew.

    A few dear examples make sums skewed, and a plain t-interval then falls short on the dear side.
    Source: Hall 1992, Journal of the Royal Statistical Society B 54:221, the cubic transformation.
    """
    import numpy as np
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return -math.inf, math.inf
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    if not sd:
        return n * mean, n * mean
    skew = float(((values - mean) ** 3).mean()) / float(values.std()) ** 3
    ends = []
    for tail in ((1 + confidence) / 2, (1 - confidence) / 2):
        t = float(stdtrit(n - 1, tail)) / math.sqrt(n)
        if abs(skew) > 1e-6:  # the root of t = w + skew w^2/3 + skew^2 w^3/27 + skew/(6n)
            t = 3 / skew * (float(np.cbrt(1 + skew * (t - skew / (6 * n)))) - 1)
        ends.append(n * (mean - sd * t))
    return max(0.0, ends[0]), ends[1]
