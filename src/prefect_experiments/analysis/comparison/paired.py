"""Paired statistics: is the candidate better or worse on the very same examples, and by how much.

Which test and which interval, and why:

- **Scores of 0 and 1**: McNemar's exact test (the binomial test on the discordant pairs), for a gate, which asks in one
  direction, its mid-p variant; and Tango's score interval (1998) for the difference of the proportions, which keeps its
  coverage with few pairs and with no discordant pair at all.
- **Any other scores**, repetitions averaged within an example before: the sign-flip permutation test of the mean
  difference, counted out and not sampled; and the interval of `analysis.intervals`, which knows how far apart two
  scores can be: a plain t-interval and bootstraps fall short where few examples differ.

All results are deterministic and depend neither on the order of the examples nor on which side
is called the baseline.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis.comparison.sign_flip import (
    N_RESAMPLES,
    SIGN_FLIP_SAMPLED,
    sign_flip_test,
)
from prefect_experiments.analysis.intervals import difference_range, mean_and_sd, mean_interval, times, unit_for
from prefect_experiments.models import _Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from prefect_experiments.analysis.verdicts import Direction, MetricComparison

    Floats = npt.NDArray[np.float64]
    Counts = npt.NDArray[np.int64]

POWER = 0.8
MCNEMAR = "McNemar, exact"

# Averages of the same repetitions taken in another order differ in their last digits.
_ROUNDING = 1e-12
_MOST_NEEDED = 1e9
_ALPHA_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedResult(_Record):
    """A paired comparison of two columns of scores; differences are candidate minus baseline.

    Attributes:
        n_pairs: at least 1.
        ci_low, ci_high: of the mean difference; ``None`` where one pair cannot give any.
        p_value: two-sided.
        p_higher, p_lower: one-sided, that chance alone makes the candidate's scores so much higher, or lower. Of
            McNemar's test they are mid-p (see `mid_p_value`), else half of what is two-sided where nothing is tied.
        smallest_p: the smallest one-sided p-value that could have come out, given how many pairs differ.
        higher, lower, ties: pairs in which the candidate's score is higher, lower, the same.
        sd_difference: of the differences, with n - 1; ``None`` below two pairs.
        effect_size: difference over `sd_difference` (Cohen's d for pairs); ``None`` where that is 0.
        test: the name of the test.
    """

    n_pairs: int
    baseline_mean: float
    candidate_mean: float
    difference: float
    ci_low: float | None
    ci_high: float | None
    p_value: float
    p_higher: float
    p_lower: float
    smallest_p: float
    higher: int
    lower: int
    ties: int
    sd_difference: float | None
    effect_size: float | None
    test: str

    def better_and_worse(self, direction: Direction) -> tuple[int, int]:
        """In how many pairs the candidate is better, and worse; of what is neutral in none."""
        if direction == "neutral":
            return 0, 0
        return (self.higher, self.lower) if direction == "maximize" else (self.lower, self.higher)


def alpha_of(confidence: float) -> float:
    """The share of false alarms that a confidence leaves; 1 - 0.95 is 0.050000000000000044."""
    return 1 - confidence + _ALPHA_ROUNDING


def paired_test(
    baseline: Floats, candidate: Floats, *, confidence: float = 0.95, are_scores: bool = True
) -> PairedResult:
    """Compare two columns of scores, one value an example on each side.

    Args:
        baseline: finite scores, in any unit; at least one.
        candidate: those of the same examples, in the same order.
        confidence: of the interval.
        are_scores: else they are measurements such as latency, without a range, and never right or wrong.
    """
    import numpy as np

    values = np.concatenate([baseline, candidate])
    unit, n = unit_for(float(np.abs(values).max())), len(baseline)
    left, right = baseline / unit, candidate / unit
    differences = right - left
    differences[np.abs(differences) <= _ROUNDING * np.maximum(np.abs(left), np.abs(right))] = 0.0
    higher, lower = int((differences > 0).sum()), int((differences < 0).sum())
    difference, sd = mean_and_sd(differences)
    ends: tuple[float | None, float | None]
    if are_scores and ((values == 0) | (values == 1)).all():
        test, p_value = MCNEMAR, mcnemar_p_value(higher, lower)
        p_higher, p_lower = mid_p_value(higher, lower), mid_p_value(lower, higher)
        ends = tango_interval(higher, lower, n, confidence)
    else:
        test, p_higher, p_lower = sign_flip_test(differences)
        p_value = min(1.0, 2 * min(p_higher, p_lower))
        bounds = difference_range(values / unit, differences, are_scores=are_scores and unit == 1)
        ends = mean_interval(differences, confidence, bounds=bounds)
    ci_low, ci_high = (None if end is None else times(end, unit) for end in ends)
    return PairedResult(
        n_pairs=n,
        baseline_mean=mean_and_sd(baseline)[0],
        candidate_mean=mean_and_sd(candidate)[0],
        difference=times(difference, unit),
        ci_low=ci_low,
        ci_high=ci_high,
        p_value=p_value,
        p_higher=p_higher,
        p_lower=p_lower,
        smallest_p=smallest_p(higher + lower, test),
        higher=higher,
        lower=lower,
        ties=n - higher - lower,
        sd_difference=None if sd is None else times(sd, unit),
        effect_size=difference / sd if sd else None,
        test=test,
    )


def mcnemar_p_value(higher: int, lower: int) -> float:
    """McNemar's exact (conditional) test, two-sided: the binomial test on the discordant pairs.

    Source: McNemar 1947, Psychometrika 12:153; Fagerland, Lydersen and Laake 2013, BMC Medical
    Research Methodology 13:91, section "The McNemar exact conditional test".

    Args:
        higher: pairs in which only the candidate scored 1.
        lower: pairs in which only the baseline did.
    """
    from scipy import stats

    return float(stats.binomtest(higher, higher + lower).pvalue) if higher + lower else 1.0


def mid_p_value(more: int, fewer: int) -> float:
    """McNemar's mid-p test, one-sided: that chance alone makes so many more pairs go one way than the other.

    What was seen counts by half. The exact test is too careful, because p-values of few pairs come in large steps.
    Source: Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91, "The McNemar mid-p test".

    Args:
        more: pairs that went the way asked about.
        fewer: pairs that went the other way.
    """
    from scipy.stats import binom

    n = more + fewer
    return float(binom.sf(more, n, 0.5) + binom.pmf(more, n, 0.5) / 2) if n else 1.0


@functools.lru_cache(maxsize=4096)
def least_to_reject(n: int, alpha: float, *, exact: bool = False) -> int:
    """The fewest of `n` pairs that differ which have to go one way for `mid_p_value` to be at most alpha; or n + 1.

    Args:
        n: pairs that differ.
        alpha: the largest p-value that rejects.
        exact: whether what was seen counts whole, and not by half.
    """
    import numpy as np
    from scipy.special import bdtr

    # Where more than k go the one way, at most n - k - 1 go the other; what is k itself counts by half.
    fewer = np.arange(n + 1, dtype=float)
    p_values = bdtr(fewer, n, 0.5) if n else np.ones(1)
    if not exact and n:
        p_values = (p_values + np.where(fewer > 0, bdtr(fewer - 1, n, 0.5), 0.0)) / 2
    return n + 1 - int((p_values <= alpha).sum())


def smallest_p(n: int, test: str) -> float:
    """The smallest one-sided p-value that a test can give of `n` pairs that differ: all of them one way."""
    if not n:
        return 1.0
    least = 0.5 ** (n + (test == MCNEMAR))
    return max(least, 1 / (N_RESAMPLES + 1)) if test == SIGN_FLIP_SAMPLED else least


def pairs_to_reach(p_value: float, test: str) -> int:
    """The fewest pairs that can give a one-sided p-value as small as that, if all of them go one way."""
    return max(1, math.ceil(math.log2(1 / p_value) - (test == MCNEMAR) - 1e-9))


def tango_interval(higher: int, lower: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's asymptotic score interval for the difference of two paired proportions.

    Source: Tango 1998, Statistics in Medicine 17:891-908; recommended by Fagerland, Lydersen and
    Laake 2014, Statistics in Medicine 33:2850-2875.

    Args:
        higher: pairs in which only the candidate scored 1.
        lower: pairs in which only the baseline did.
        n: all pairs, at least 1.
        confidence: of the interval.

    Returns:
        The ends, from -1 to 1, of candidate's minus baseline's proportion.
    """
    z = _normal_quantile(confidence)
    # The upper end is the lower one with the sides exchanged, turned.
    return _tango_low(higher, lower, n, z), -_tango_low(lower, higher, n, z)


def keeps_clear(higher: Counts, lower: Counts, n: int, bound: float, confidence: float = 0.95) -> npt.NDArray[np.bool_]:
    """Whether the lower end of `tango_interval` lies above a bound, of many tables at once.

    Args:
        higher: pairs in which only the candidate scored 1, an array.
        lower: pairs in which only the baseline did.
        n: all pairs, at least 1.
        bound: from -1 to 0.
        confidence: of the interval.
    """
    import numpy as np

    clear: npt.NDArray[np.bool_] = np.asarray(_tango_excess(bound, higher, lower, n, _normal_quantile(confidence)) > 0)
    return clear & (lower < n)


def _tango_excess(delta: float, higher: Any, lower: Any, n: int, z: float) -> Any:
    """How far the observed difference lies above `delta`, in pairs, less z standard errors."""
    import numpy as np

    # The probability of a "lower" pair, by maximum likelihood given the difference delta.
    b = (2 * n - higher + lower) * delta - higher - lower
    c = -lower * delta * (1 - delta)
    p_lower = (np.sqrt(np.maximum(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * p_lower + delta * (1 - delta))
    return higher - lower - n * delta - z * np.sqrt(np.maximum(0.0, variance))


def _tango_low(higher: int, lower: int, n: int, z: float) -> float:
    from scipy import optimize

    def excess(delta: float) -> float:
        return float(_tango_excess(delta, higher, lower, n, z))

    if lower == n:
        return -1.0
    # At the observed difference itself the excess is 0 where no pair disagrees with it: not the root meant.
    return float(optimize.brentq(excess, -1.0, (higher - lower) / n - 1e-12, xtol=1e-12))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted by Holm's step-down method (Holm 1979, Scandinavian Journal of Statistics 6:65-70).

    SciPy has the false discovery rate only, which is no protection against a single false alarm.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def examples_to_detect(
    result: PairedResult | MetricComparison, *, confidence: float = 0.95, power: float = POWER, tests: int = 1
) -> int | None:
    """Pairs needed to find a difference as large as the one seen, by a two-sided test.

    Source: for 0/1 scores Connor 1987, Biometrics 43:207-211 (from the shares of discordant
    pairs); else the usual ((z_alpha + z_beta) sd / difference)^2 (Chow, Shao and Wang 2008, Sample
    Size Calculations in Clinical Research, section 3.1).

    Args:
        result: what was seen.
        confidence: of the test.
        power: the wanted probability to find it.
        tests: how many share the false alarms. By Holm's method a single difference among them is found at
            ``(1 - confidence) / tests``, as by Bonferroni's.

    Returns:
        More than the pairs there are; ``None`` where there is no difference to speak of, or no spread to go by.
    """
    if not result.difference or not result.sd_difference:
        return None
    z_alpha, z_beta = _normal_quantile(1 - (1 - confidence) / tests), _normal_quantile(2 * power - 1)
    if result.test == MCNEMAR:
        discordant = 1 - result.ties / result.n_pairs
        spread = z_alpha * math.sqrt(discordant) + z_beta * math.sqrt(discordant - result.difference**2)
        ratio = spread / result.difference
    else:
        ratio = (z_alpha + z_beta) * (result.sd_difference / result.difference)
    return max(math.ceil(ratio**2), result.n_pairs + 1) if abs(ratio) < _MOST_NEEDED**0.5 else None


def examples_to_exclude(
    gap: float, sd: float | None, half_width: float, n: int, *, confidence: float = 0.95, power: float = POWER
) -> int | None:
    """Pairs needed until the interval keeps clear of a bound, if the difference stays what it is.

    Source: Chow, Shao and Wang 2008, section 3.1, non-inferiority: ((z_alpha + z_beta) sd / gap)^2,
    with z_alpha of the two-sided interval. Where nothing differs yet, the interval shrinks about as 1/n.

    Args:
        gap: from the bound to the difference seen, above 0.
        sd: of the differences.
        half_width: of the interval that `n` pairs gave.
        n: those pairs.
        confidence: of the interval.
        power: the wanted probability that it keeps clear.

    Returns:
        More than `n`; ``None`` where the gap is 0 or less.
    """
    if gap <= 0:
        return None
    z = _normal_quantile(confidence)
    # What the interval has beside the spread seen shrinks as 1/n; Tango's half width is z^2 / (n + z^2) without any.
    needed = (n + z * z) * half_width / gap - z * z
    if sd:
        unseen = max(0.0, half_width**2 * n / z**2 - sd**2) * n
        needed, power_z = float(n), _normal_quantile(2 * power - 1)
        for _ in range(100):  # a fixed point: each size of sample has its own half width
            needed = ((z * math.sqrt(sd**2 + unseen / max(needed, 1.0)) + power_z * sd) / gap) ** 2
    return max(math.ceil(needed), n + 1)


def _normal_quantile(central: float) -> float:
    """How many standard errors hold that central share of a normal distribution: 1.96 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri((1 + central) / 2))
