"""A mean of scores and its interval, wherever one stands: in a summary, a comparison, a report, a gate.

Scores have a range, and that is what makes an interval honest. Twenty examples that all score 0.9 do not show that none
scores 0, and Student's t, a percentile bootstrap and BCa all say so: of means of skewed or tied scores they hold 26 to
90 % where they promise 95. So:

- **Scores of 0 and 1** get Clopper and Pearson's exact interval (1934, Biometrika 26:404), which holds what it promises
  for every n and every share; Wilson's comes down to 84 % near 0 and 1, and to 92 % for 0.95 at n = 20.
- **Other scores** get a t-interval after one and a half observations at either end of their range have been added, as
  Agresti and Coull (1998, The American Statistician 52:119) do for shares with about two, and Bonett and Price (2012,
  Journal of Educational and Behavioral Statistics 37:479) for differences of paired ones with one. Of a few that fall
  by all there is, the hardest case for n from 20 to 5,000, one holds 93.1 %, one and a half 94.3 %, two 93.5 %.

`docs/operating-characteristics.md` has the coverage of both.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = Sequence[float] | npt.NDArray[np.float64]

Interval = tuple[float | None, float | None]
Range = tuple[float, float]

# At either end of the range.
_ADDED = 1.5
_WIDEST_SCALE = 100
# Squares of what lies beyond would be too large for a float.
_LARGE = 1e100
_LARGEST = 1.7e308


def range_of(values: Values) -> Range:
    """What scores can be: from 0 to 1 where all do; else from the lowest or 0 to the highest or 0."""
    low, high = min(0.0, min(map(float, values), default=0.0)), max(0.0, max(map(float, values), default=0.0))
    return (0.0, 1.0) if low == 0 and high <= 1 else (low, high)


def difference_range(values: Values, differences: Values, *, are_scores: bool = True) -> Range:
    """What a difference of two scores can be: as far as scores lie apart, either way.

    That is 1 for scores from 0 to 1. Others from -100 to 100 lie on some scale, such as 1 to 5 or per cent, of which
    both ends are taken to have been seen. Of what goes beyond, and of measurements such as latency, no range is known;
    then it is the largest difference seen. Where that leaves nothing, it is the largest value: measurements lend no
    scale of 0 to 1, or a cost of less than a cent would be uncertain by several.
    """
    low, high = range_of(values)
    largest = high - low
    if not are_scores or max(-low, high) > _WIDEST_SCALE:
        sizes = differences if any(differences) else values
        largest = max((abs(float(value)) for value in sizes), default=0.0)
    elif (low, high) != (0.0, 1.0):
        largest = (max(map(float, values)) - min(map(float, values))) or largest
    return -largest, largest


def falls(scores: npt.NDArray[np.float64], tied: float) -> bool:
    """Whether a mean drops as some examples fall to the worst score, and not as all lose as much.

    Args:
        scores: of single runs, at least one.
        tied: the share of examples that score the same when they are run again, or on the other side.
    """
    return bool(((scores == 0) | (scores == 1)).all()) or tied > 0.5


def unit_for(largest: float) -> float:
    """1, or of very large values the power of two to divide by before anything is added or squared."""
    return 1.0 if largest < _LARGE else math.ldexp(1.0, math.frexp(largest)[1] - 1)


def times(value: float, unit: float) -> float:
    """The product, or the largest number that there is."""
    return max(-_LARGEST, min(_LARGEST, value * unit))


def mean_and_sd(values: Values) -> tuple[float, float | None]:
    """The mean of at least one value, and the standard deviation (n - 1), ``None`` below two; in any order the same."""
    given = list(map(float, values))
    unit, n = unit_for(max(map(abs, given))), len(given)
    scaled = given if unit == 1 else [value / unit for value in given]
    mean = math.fsum(scaled) / n
    if n < 2:
        return times(mean, unit), None
    return times(mean, unit), times(math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / (n - 1)), unit)


def example_means(scored: Iterable[tuple[Hashable, float]]) -> list[float]:
    """The mean of each example's scores, from (example, score): repetitions are averaged within an example first."""
    given = list(scored)
    by_example: dict[Hashable, list[float]] = {}
    if len({example for example, _ in given}) == len(given):  # no repetitions, as most often
        return [score for _, score in given]
    for example, score in given:
        by_example.setdefault(example, []).append(score)
    return [scores[0] if len(scores) == 1 else mean_and_sd(scores)[0] for scores in by_example.values()]


def mean_interval(values: Values, confidence: float = 0.95, *, bounds: Range | None = None) -> Interval:
    """An interval for the mean over examples, within the range of the scores.

    Args:
        values: one an example, repetitions averaged before.
        confidence: of the interval.
        bounds: the range of the scores; by default what `range_of` says.

    Returns:
        The ends; ``(None, None)`` of no value, and of one that is neither 0 nor 1.
    """
    if not len(values):
        return None, None
    mean, sd = mean_and_sd(values)
    return interval_of(len(values), mean, sd, bounds or range_of(values), confidence)


def interval_of(n: int, mean: float, sd: float | None, bounds: Range, confidence: float = 0.95) -> Interval:
    """The same from a mean over `n` examples and the standard deviation (n - 1) of what it is of."""
    from scipy.special import stdtrit

    if bounds == (0.0, 1.0) and _all_are_ends(n, mean, sd):
        return share_interval(round(n * mean), n, confidence)
    if sd is None:
        return None, None
    unit = unit_for(max(map(abs, bounds)))
    low, high, mean, sd = bounds[0] / unit, bounds[1] / unit, mean / unit, sd / unit
    total = n + 2 * _ADDED
    middle = (n * mean + _ADDED * (low + high)) / total
    added = _ADDED * ((low - middle) ** 2 + (high - middle) ** 2)
    variance = ((n - 1) * sd**2 + n * (mean - middle) ** 2 + added) / (total - 1)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * math.sqrt(variance / total)
    # With little confidence the interval is too short to hold the mean as it is without them.
    ends = min(mean, max(low, middle - half)), max(mean, min(high, middle + half))
    # The mean of equal values may be the next float beyond them.
    return max(bounds[0], times(ends[0], unit)), min(bounds[1], times(ends[1], unit))


def clustered_interval(scored: Sequence[tuple[Hashable, float]], bounds: Range, confidence: float = 0.95) -> Interval:
    """An interval for the mean over runs, from (example, value) of each: runs of one example are not independent.

    Source: Cameron and Miller 2015, Journal of Human Resources 50:317, eq. 11 for a mean. With one run an example it is
    `mean_interval`.
    """
    if not scored:
        return None, None
    mean = mean_and_sd([value for _, value in scored])[0]
    residuals: dict[Hashable, float] = {}
    for example, value in scored:
        residuals[example] = residuals.get(example, 0.0) + (value - mean)
    n = len(residuals)
    sd = None if n < 2 else n / len(scored) * math.sqrt(math.fsum(r * r for r in residuals.values()) / (n - 1))
    return interval_of(n, mean, sd, bounds, confidence)


def share_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Clopper and Pearson's exact interval for a share (see above); ``(None, None)`` of none."""
    from scipy.special import betaincinv

    if not n:
        return None, None
    tail, failures = (1 - confidence) / 2, n - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    return low, float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0


def _all_are_ends(n: int, mean: float, sd: float | None) -> bool:
    """Whether values from 0 to 1 are all 0 or 1: only then do they vary as much as a mean lets them."""
    return abs(n * mean * (1 - mean) - (n - 1) * (sd or 0.0) ** 2) <= 1e-9 * n


def bootstrap_tail(n: int, confidence: float) -> float:
    """Below which share of a bootstrap's values an interval begins, and above what is left it ends.

    The plain percentile interval takes half of ``1 - confidence``, and is too short: of n examples it is as one of the
    normal distribution with the wrong standard deviation. These quantiles are as far out as Student's t is.
    Source: Hesterberg 2015, The American Statistician 69:371, section 4.3.
    """
    from scipy.special import ndtr, stdtrit

    return float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - confidence) / 2)))
