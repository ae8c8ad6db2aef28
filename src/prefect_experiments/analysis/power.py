"""What a paired test of so many examples would find: the power of the gate's own tests, and what it takes to have it.

Two questions, of the rules in `gate.metric_rules`:

- **Would a drop have been found?** It is found where the gate fails: where the one-sided test rejects at its share of
  alpha and, with a margin, the interval reaches beyond that as well.
- **Would an unchanged application pass a margin?** It does where the whole interval lies within.

Scores of 0 and 1 are counted out over the numbers of pairs that got worse and better, with McNemar's mid-p test and
Tango's interval as they are. Anything else, and what would be many of those, is a mean that is nearly normal (Connor
1987, Biometrics 43:207, for shares; Chow, Shao and Wang 2008, Sample Size Calculations in Clinical Research, section
3.1). The sign-flip test divides by the root of the mean square, which makes its bound z sqrt(n / (n - z^2)) standard
errors.

**What a drop is taken to be.** Of scores of 0 and 1, and of scores that are mostly the same on both sides: some
examples fall to the worst score there is, and the others stay. Of any other scores: all lose as much.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from prefect_experiments.analysis.comparison.paired import MCNEMAR, POWER, keeps_clear, least_to_reject
from prefect_experiments.analysis.corrected import Corrected
from prefect_experiments.analysis.slices import SliceMetric
from prefect_experiments.analysis.verdicts import MetricComparison

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_NORMAL = NormalDist()
# So many pairs that differ are counted out; the normal distribution is within half a point of more.
_COUNTED = 250
_STANDARD_ERRORS = 5.5
_STEPS = 40
MOST_EXAMPLES = 10_000_000
MOST_REPETITIONS = 20

# The square of a number above is no number any more.
_TOO_LARGE = 1e150


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a gate asks of a metric, and how strictly.

    Attributes:
        alpha: the share of false alarms that its test has to itself, above 0. Of several tests by Holm's method that is
            the whole alpha over their number, the most severe share that one of them can get.
        confidence: of the intervals.
        margin: how much worse is allowed, in the metric's unit; ``None`` without one.
        exact: whether scores of 0 and 1 are tested exactly, as groups are, and not by mid-p.
    """

    alpha: float
    confidence: float = 0.95
    margin: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How two equally good sides differ, in the metric's unit; one score an example on each.

    Attributes:
        n: pairs, at least 1.
        variance: of the differences.
        unseen: what the interval adds to it for what has not been seen, times `n`.
        height: how far the mean lies above the worst score; ``None`` where all examples lose as much.
        reach: the mean square of how far each example's score lies above the worst one.
        two_valued: whether each side's scores are 0 and 1: then `variance` is the share of pairs that differ.
    """

    n: int
    variance: float
    unseen: float = 0.0
    height: float | None = None
    reach: float = 0.0
    two_valued: bool = False

    def with_drop(self, drop: float) -> float:
        """The variance of the differences where the mean is so much worse."""
        if self.height is None:
            return self.variance
        fallen = drop / self.height if self.height else 0.0
        return max(0.0, (1 - fallen) * self.variance + fallen * self.reach - drop**2)


def noise_of(metric: MetricComparison | SliceMetric, confidence: float, worst: float | None) -> Noise | None:
    """How the sides of a comparison differ, on the whole or on a group; ``None`` where nothing is known of it.

    Args:
        metric: of the comparison.
        confidence: of its interval.
        worst: the worst score, as `MetricComparison.worst_score` has it.
    """
    if metric.sd_difference is None or metric.ci_low is None or metric.ci_high is None or metric.baseline_mean is None:
        return None
    if max(metric.sd_difference, metric.baseline_sd or 0.0, abs(metric.baseline_mean)) > _TOO_LARGE:
        return None
    n = metric.n_pairs
    if worst is None:
        if not metric.sd_difference:
            return None  # nothing differs, nor is there anything that it could fall to
        height, reach = None, 0.0
    else:
        height = abs(metric.baseline_mean - worst)
        reach = (metric.baseline_sd or 0.0) ** 2 * (n - 1) / n + height**2
    if metric.test == MCNEMAR:
        return Noise(n=n, variance=1 - metric.ties / n, height=height, reach=reach, two_valued=True)
    variance, half_width = metric.sd_difference**2, (metric.ci_high - metric.ci_low) / 2
    unseen = unseen_in(half_width, variance, n, confidence)
    return Noise(n=n, variance=variance, unseen=unseen, height=height, reach=reach)


def unseen_in(half_width: float, variance: float, n: int, confidence: float) -> float:
    """What an interval of a mean has beside the variance seen, times n: see `Noise.unseen`."""
    return max(0.0, half_width**2 * n / _central(confidence) ** 2 - variance) * n


def power_to_find(noise: Noise, drop: float, asked: Asked) -> float:
    """How likely a gate fails a candidate that is worse by `drop`, from 0 to 1.

    Args:
        noise: how equally good sides differ.
        drop: above 0, in the metric's unit.
        asked: what the gate asks.
    """
    if noise.height is not None and drop > noise.height * (1 + 1e-9):
        return 0.0  # there is no such drop
    if _is_counted(noise, drop):
        return _counted(noise, drop, asked, found=True)
    error, bound = math.sqrt(noise.with_drop(drop) / noise.n), _bound(noise, drop, asked)
    if asked.margin is not None:
        bound = max(bound, asked.margin - _half_width(noise, drop, asked))
    return _below(drop - bound, error)


def power_to_pass(noise: Noise, asked: Asked) -> float:
    """How likely an unchanged application is shown to be within the margin, from 0 to 1.

    Args:
        noise: how equally good sides differ.
        asked: what the gate asks; without a margin, everything that is not found passes.
    """
    if asked.margin is None:
        return 1 - asked.alpha
    if _is_counted(noise, 0.0):
        return _counted(noise, 0.0, asked, found=False)
    return _below(asked.margin - _half_width(noise, 0.0, asked), math.sqrt(noise.variance / noise.n))


def finds_any(noise: Noise, asked: Asked, power: float = POWER) -> bool:
    """Whether there is a drop that a gate fails with that power: whether the largest one is."""
    largest = noise.height
    if largest is None:
        largest = 1e6 * (math.sqrt(noise.variance) + 2 * (asked.margin or 0.0)) or 1.0
    return largest > 0 and power_to_find(noise, largest, asked) >= power


def smallest_drop(noise: Noise, asked: Asked, power: float = POWER) -> float | None:
    """The smallest drop that a gate fails with that power; ``None`` where not even the largest one is."""
    if not finds_any(noise, asked, power):
        return None
    if noise.height is None:
        high = max(math.sqrt(noise.variance), asked.margin or 0.0)
        if not high:
            return 0.0  # where nothing differs by chance, any drop is found
        while power_to_find(noise, high, asked) < power:
            high *= 2
    else:
        high = noise.height
    low = 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if power_to_find(noise, middle, asked) >= power else (middle, high)
        if high - low < 1e-4 * high:
            break
    return high


def smallest_corrected_drop(found: Corrected, asked: Asked, power: float = POWER) -> float | None:
    """The same of a difference that is corrected by people's scores: by its standard error, with Student's t.

    Examples that fall by all there is make the drop, on top of what people's scores differ by as it is: the worst case.
    """
    from scipy.special import stdtrit

    assert found.stderr is not None
    assert found.df is not None
    of_test, of_interval, of_power = stdtrit(found.df, [1 - asked.alpha, (1 + asked.confidence) / 2, power]).tolist()
    n = min(found.n_baseline, found.n_candidate)

    def is_found(drop: float) -> bool:
        error = math.hypot(found.stderr or 0.0, math.sqrt(drop / n) * math.sqrt(found.widest - drop))
        bound = of_test * error
        if asked.margin is not None:
            bound = max(bound, asked.margin - of_interval * error)
        return bool(drop >= bound + of_power * error)

    low, high = 0.0, found.widest
    if not is_found(high):
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return high


def examples_for(reaches: Callable[[int], bool]) -> int | None:
    """The fewest examples with which something is reached; ``None`` where ten million do not."""
    low, high = 0, 1
    while not reaches(high):
        if high == MOST_EXAMPLES:
            return None
        low, high = high, min(2 * high, MOST_EXAMPLES)
    while high - low > max(1, high // 500):  # nobody knows a variance better than that
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def repetitions_for(reaches: Callable[[int], bool]) -> int | None:
    """The fewest repetitions with which something is reached; ``None`` where twenty do not."""
    return next((r for r in range(1, MOST_REPETITIONS + 1) if reaches(r)), None)


# What is nearly normal ----------------------------------------------------------------------------


def _bound(noise: Noise, drop: float, asked: Asked) -> float:
    """From which difference on the test rejects."""
    z = _NORMAL.inv_cdf(1 - asked.alpha)
    if noise.n <= z * z:
        return math.inf
    return z * math.sqrt(noise.with_drop(drop) / (noise.n - z * z))


def _half_width(noise: Noise, drop: float, asked: Asked) -> float:
    """Of the interval: what it has beside the spread seen shrinks as 1/n."""
    return _central(asked.confidence) * math.sqrt((noise.with_drop(drop) + noise.unseen / noise.n) / noise.n)


def _central(confidence: float) -> float:
    return _NORMAL.inv_cdf((1 + confidence) / 2)


def _below(gap: float, error: float) -> float:
    if gap in (math.inf, -math.inf) or not error:
        return float(gap > 0)
    return _NORMAL.cdf(gap / error)


# What is counted out ------------------------------------------------------------------------------


def _is_counted(noise: Noise, drop: float) -> bool:
    return noise.two_valued and noise.height is not None and noise.n * (noise.variance + drop) <= _COUNTED


def _counted(noise: Noise, drop: float, asked: Asked, *, found: bool) -> float:
    """The chance of all numbers of pairs that got worse and better in which the gate fails; or of those that pass."""
    import numpy as np

    fallen = 0.0 if not noise.height else min(1.0, drop / noise.height)
    better = noise.variance / 2 * (1 - fallen)
    worse = min(1 - better, better + drop)
    n_worse, n_better = _likely(noise.n, worse)[:, None], _likely(noise.n, better)[None, :]
    chances = _chances(n_worse, n_better, noise.n, worse, better)
    is_meant = np.ones(chances.shape, dtype=bool)
    if asked.margin is not None:
        is_within = keeps_clear(n_better, n_worse, noise.n, -asked.margin, asked.confidence)
        is_meant = ~is_within if found else is_within
    if found:
        total = n_worse + n_better
        lowest, highest = int(total.min()), int(min(total.max(), noise.n))
        least = np.array([least_to_reject(k, asked.alpha, exact=asked.exact) for k in range(lowest, highest + 1)])
        is_meant = is_meant & (n_worse >= least[np.minimum(total, highest) - lowest])
    return float(min(1.0, chances[is_meant].sum()))


def _likely(n: int, share: float) -> npt.NDArray[np.int64]:
    """The counts of something with that share that are not negligible."""
    import numpy as np

    # A little more, as rare things are skewed.
    spread = _STANDARD_ERRORS * math.sqrt(n * share * (1 - share)) + 6
    return np.arange(max(0, math.floor(n * share - spread)), min(n, math.ceil(n * share + spread)) + 1)


def _chances(
    n_worse: npt.NDArray[np.int64], n_better: npt.NDArray[np.int64], n: int, worse: float, better: float
) -> Floats:
    """Of a multinomial distribution: so many worse, so many better, the rest the same."""
    import numpy as np

    same = n - n_worse - n_better
    possible = same >= 0
    logarithms = _log_factorials(n)
    rest = np.maximum(same, 0)
    found = logarithms[n] - logarithms[n_worse] - logarithms[n_better] - logarithms[rest]
    for count, share in ((n_worse, worse), (n_better, better), (rest, max(0.0, 1 - worse - better))):
        with np.errstate(divide="ignore", invalid="ignore"):
            found = found + np.where(count == 0, 0.0, count * np.log(share))
    return np.where(possible, np.exp(found), 0.0)


@functools.lru_cache(maxsize=8)
def _log_factorials(n: int) -> Floats:
    import numpy as np

    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
