"""Paired statistics: is the candidate better or worse on the very same examples, and by how much.

Which test and which interval, and why:

- **Scores of 0 and 1**: McNemar's exact test (the binomial test on the discordant pairs), and
  Tango's score interval (1998) for the difference of the proportions, which keeps its coverage
  with few pairs and with no discordant pair at all.
- **Any other scores**, repetitions averaged within an example before: the sign-flip permutation
  test of the mean difference, and a t-interval with Bonett and Price's adjustment (2012). The
  tests of this module simulate the coverage of this interval; a plain t-interval, and a BCa or
  studentised bootstrap, fall below it when few examples differ, and the bootstraps also with few
  examples.

All results are deterministic and depend neither on the order of the examples nor on which side
is called the baseline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect_experiments.models import _Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

N_RESAMPLES = 9_999
POWER = 0.8
MCNEMAR = "McNemar, exact"
SIGN_FLIP_EXACT = "sign-flip permutation, exact"
SIGN_FLIP = f"sign-flip permutation, {N_RESAMPLES:,} resamples"

_SEED = 20_240_801
_CHUNK = 1_000
# Averages of the same repetitions taken in another order differ in their last digits.
_ROUNDING = 1e-12


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


def paired_test(
    baseline: Floats, candidate: Floats, *, confidence: float = 0.95, two_valued: bool | None = None
) -> PairedResult:
    """Compare two columns of scores, one value an example on each side.

    Args:
        baseline: finite scores, in any unit; at least one.
        candidate: those of the same examples, in the same order.
        confidence: of the interval.
        two_valued: whether the scores can only be 0 and 1; by default whether all of them are.
    """
    import numpy as np

    differences = candidate - baseline
    size = np.maximum(np.abs(baseline), np.abs(candidate))
    differences[np.abs(differences) <= _ROUNDING * size] = 0.0
    differences.sort()  # so that no sum depends on the order of the examples
    n = len(differences)
    higher, lower = int((differences > 0).sum()), int((differences < 0).sum())
    difference = float(differences.mean())
    sd = float(differences.std(ddof=1)) if n > 1 else None
    values = np.concatenate([baseline, candidate])
    if two_valued is None:
        two_valued = bool(((values == 0) | (values == 1)).all())
    if two_valued:
        test, p_value = MCNEMAR, mcnemar_p_value(higher, lower)
        p_higher, p_lower = mid_p_value(higher, lower), mid_p_value(lower, higher)
        low, high = tango_interval(higher, lower, n, confidence)
        interval: tuple[float | None, float | None] = (low, high)
    else:
        p_value, exact = sign_flip_p_value(differences)
        test = SIGN_FLIP_EXACT if exact else SIGN_FLIP
        p_higher, p_lower = (p_value / 2, 1 - p_value / 2) if difference > 0 else (1 - p_value / 2, p_value / 2)
        interval = adjusted_t_interval(differences, confidence, scale=_scale(values))
    return PairedResult(
        n_pairs=n,
        baseline_mean=float(np.sort(baseline).mean()),
        candidate_mean=float(np.sort(candidate).mean()),
        difference=difference,
        ci_low=interval[0],
        ci_high=interval[1],
        p_value=p_value,
        p_higher=p_higher,
        p_lower=p_lower,
        smallest_p=smallest_p(higher + lower, test),
        higher=higher,
        lower=lower,
        ties=n - higher - lower,
        sd_difference=sd,
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


def smallest_p(n: int, test: str) -> float:
    """The smallest one-sided p-value that a test can give of `n` pairs that differ: all of them one way."""
    if not n:
        return 1.0
    return {MCNEMAR: 0.5 ** (n + 1), SIGN_FLIP: max(0.5**n, 1 / (N_RESAMPLES + 1))}.get(test, 0.5**n)


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


def _tango_low(higher: int, lower: int, n: int, z: float) -> float:
    from scipy import optimize

    def excess(delta: float) -> float:
        """How far the observed difference lies above `delta`, in pairs, less z standard errors."""
        # The probability of a "lower" pair, by maximum likelihood given the difference delta.
        b = (2 * n - higher + lower) * delta - higher - lower
        c = -lower * delta * (1 - delta)
        p_lower = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        variance = n * (2 * p_lower + delta * (1 - delta))
        return higher - lower - n * delta - z * math.sqrt(max(0.0, variance))

    if lower == n:
        return -1.0
    # At the observed difference itself the excess is 0 where no pair disagrees with it: not the root meant.
    return float(optimize.brentq(excess, -1.0, (higher - lower) / n - 1e-12, xtol=1e-12))


def sign_flip_p_value(differences: Floats) -> tuple[float, bool]:
    """The paired permutation test of the mean difference, two-sided.

    Under the hypothesis that the sides are exchangeable, each difference could as well have had
    the other sign. With up to 13 differences other than 0 all sign patterns are looked at; with
    more, 9,999 random ones (fixed seed), and the p-value is (b + 1) / (9,999 + 1), so that it is
    never 0 and the test keeps its level. Its resolution is then 0.0001.

    Source: Fisher 1935, The Design of Experiments, section 21; Phipson and Smyth 2010,
    Statistical Applications in Genetics and Molecular Biology 9:39, for the correction.

    Returns:
        The p-value, and whether it is exact.
    """
    import numpy as np
    from scipy import stats

    # Pairs without a difference stay what they are under any sign.
    differences = _whole(differences[differences != 0])
    if len(differences) < 2:  # one of them is as likely to be positive as negative
        return 1.0, True
    if 2 ** len(differences) <= N_RESAMPLES:
        result = stats.permutation_test(
            (differences,),
            lambda d, axis: d.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=math.inf,
        )
        return float(result.pvalue), True
    extreme = int((np.abs(_random_sums(np.sort(np.abs(differences)))) >= abs(differences.sum())).sum())
    return (extreme + 1) / (N_RESAMPLES + 1), False


def _whole(differences: Floats) -> Floats:
    """The differences in units so small that nothing is lost, as whole numbers, whose sums are exact.

    Sums of floats depend on the order, and whether another sign pattern gives as large a sum as
    the one seen must not.
    """
    import numpy as np

    if not len(differences):
        return differences
    largest_sum = 2.0 ** (52 - math.ceil(math.log2(len(differences))))
    whole: Floats = np.rint(differences / np.abs(differences).max() * largest_sum)
    return whole


def _random_sums(sizes: Floats) -> Floats:
    """`N_RESAMPLES` sums of `sizes` under random signs.

    `scipy.stats.permutation_test` takes 2 seconds for 5,000 pairs; this takes 0.02. Eight sizes
    make a group, whose 256 possible sums are tabled: a random byte picks one.
    """
    import numpy as np

    groups = np.pad(sizes, (0, -len(sizes) % 8)).reshape(-1, 8)
    signs = 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) - 1.0
    table = (groups @ signs.T).ravel()
    offsets = 256 * np.arange(len(groups))
    rng = np.random.default_rng(_SEED)
    sums = np.empty(N_RESAMPLES)
    for start in range(0, N_RESAMPLES, _CHUNK):
        rows = min(_CHUNK, N_RESAMPLES - start)
        picks = rng.integers(0, 256, size=(rows, len(groups)), dtype=np.uint8)
        sums[start : start + rows] = np.take(table, picks + offsets).sum(axis=1)
    return sums


def adjusted_t_interval(
    differences: Floats, confidence: float = 0.95, *, scale: float = 1.0
) -> tuple[float | None, float | None]:
    """A t-interval for the mean difference, after adding one pair at +m and one at -m.

    m is the largest absolute difference seen, or `scale` where nothing differs. For scores of 0
    and 1 this is the adjusted Wald interval of Bonett and Price 2012 (Journal of Educational and
    Behavioral Statistics 37:479-488, which adds one to each count of discordant pairs) with a
    t-quantile. Without the two pairs the interval has no width when nothing differs, and is too
    short when few examples do.

    Args:
        differences: one an example.
        confidence: of the interval.
        scale: how far apart two scores can be, as far as that is known.

    Returns:
        The ends; ``(None, None)`` below two differences.
    """
    import numpy as np
    from scipy.special import stdtrit

    n = len(differences)
    if n < 2:
        return None, None
    largest = float(np.abs(differences).max()) or scale
    adjusted = np.sort(np.concatenate([differences, [-largest, largest]]))
    mean = float(adjusted.mean())
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * float(adjusted.std()) / math.sqrt(n + 2)
    return mean - half, mean + half


def _scale(values: Floats) -> float:
    """The range of the scores: 1 for scores from 0 to 1, else from the lowest or 0 to the highest or 0."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    return 1.0 if low == 0 and high <= 1 else high - low


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
    result: PairedResult, *, confidence: float = 0.95, power: float = POWER, tests: int = 1
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
        More than the pairs there are; ``None`` where there is no difference, or no spread to go by.
    """
    if not result.difference or not result.sd_difference:
        return None
    z_alpha, z_beta = _normal_quantile(1 - (1 - confidence) / tests), _normal_quantile(2 * power - 1)
    if result.test == MCNEMAR:
        discordant = (result.higher + result.lower) / result.n_pairs
        spread = z_alpha * math.sqrt(discordant) + z_beta * math.sqrt(discordant - result.difference**2)
    else:
        spread = (z_alpha + z_beta) * result.sd_difference
    return max(math.ceil((spread / result.difference) ** 2), result.n_pairs + 1)


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
    if sd:
        needed = ((_normal_quantile(confidence) + _normal_quantile(2 * power - 1)) * sd / gap) ** 2
    else:
        z = _normal_quantile(confidence)  # Tango's half width is then z^2 / (n + z^2)
        needed = (n + z * z) * half_width / gap - z * z
    return max(math.ceil(needed), n + 1)


def _normal_quantile(central: float) -> float:
    """How many standard errors hold that central share of a normal distribution: 1.96 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri((1 + central) / 2))
