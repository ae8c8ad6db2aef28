"""One run beside several earlier ones, example by example: is it worse than chance would make any of them?

Between runs of an application that has not changed nothing tells which of them came last. So under the hypothesis each
of an example's scores could as well have been the newest run's, one as likely as the other, whatever the example's
difficulty and however its scores are spread; the newest run's total is then a sum of independent draws, one from each
example's scores. With one earlier run this is the sign-flip test, of scores of 0 and 1 McNemar's. With several it is
Miettinen's test for several controls a case (1969, Biometrics 25:339).

It is needed because a run less the mean of several others is skewed, which the sign-flip test is wrong about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

EXCHANGE_EXACT = "exchange of runs, exact"
EXCHANGE_APPROXIMATE = "exchange of runs, saddlepoint"

# More steps between an example's lowest and highest score than that are no scale that is worth counting on.
_MOST_STEPS = 64
_MOST_SUM = 2_000_000
_NEAR = 1e-9
# In standard deviations: nearer to the mean, more is lost to rounding than by the limit; both are less than 1e-4 of p.
_AT_MEAN = 1e-3


class Exchanged(NamedTuple):
    """What `exchange_test` gives.

    Attributes:
        test: its name.
        p_higher, p_lower: one-sided mid-p, that chance alone makes the newest run's scores so much higher, or lower.
        smallest_p: the smallest of them that could have come out, given the scores of each example.
    """

    test: str
    p_higher: float
    p_lower: float
    smallest_p: float


def exchange_test(earlier: Floats, newest: Floats) -> Exchanged:
    """Whether the newest run's scores are higher, or lower, than those of earlier runs of the same examples.

    Scores on a scale (0 and 1, thirds, one to five) are counted out: the distribution of the total is the convolution
    of the examples' own. Of others the tails are Lugannani and Rice's saddlepoint approximation (1980, Advances in
    Applied Probability 12:475), which at 20 examples is mostly within a few percent of p. What was seen counts by half.

    Args:
        earlier: one row an example, one column a run; NaN where a run has no score of it. Each is the mean of as many
            repetitions as `newest` is.
        newest: one an example; NaN where there is none.

    Returns:
        p-values of 1 where no example differs between the runs.
    """
    import numpy as np

    scores = np.column_stack([newest, earlier])
    known = ~np.isnan(scores)
    used = known[:, 0] & known[:, 1:].any(axis=1)
    scores, known = scores[used], known[used]
    low = np.where(known, scores, np.inf).min(axis=1, initial=np.inf)
    offsets = np.where(known, scores - low[:, None], 0.0)
    spread = offsets.max(axis=1, initial=0.0)
    differs = spread > _NEAR * max(1.0, float(np.abs(low).max(initial=0.0)))
    if not differs.any():
        return Exchanged(EXCHANGE_EXACT, 1.0, 1.0, 1.0)
    offsets, known, spread = offsets[differs], known[differs], spread[differs]
    weights = known / known.sum(axis=1, keepdims=True)
    near = _NEAR * spread[:, None]
    ends = [
        float(np.prod((weights * (np.abs(offsets - end) <= near)).sum(axis=1)) / 2) for end in (0.0, spread[:, None])
    ]
    smallest = max(min(ends), np.finfo(np.float64).tiny)
    step = _step(offsets)
    if step is not None:
        whole = np.rint(offsets / step).astype(np.int64)
        return Exchanged(EXCHANGE_EXACT, *_counted(whole, weights), smallest)
    order = np.lexsort((offsets.sum(axis=1), offsets[:, 0]))  # no p-value depends on the examples' order
    lower = _lower_tail(offsets[order], weights[order])
    lower = min(max(lower, ends[0]), 1 - ends[1])
    return Exchanged(EXCHANGE_APPROXIMATE, 1 - lower, lower, smallest)


def _step(offsets: Floats) -> float | None:
    """The step of the scale that all scores lie on; ``None`` where there is none of few steps."""
    import numpy as np

    found = np.unique(offsets)
    smallest = found[found > _NEAR * found[-1]][0]
    for parts in range(1, 7):  # halves and thirds beside each other are sixths
        step = float(smallest / parts)
        steps = found / step
        if steps[-1] > _MOST_STEPS or steps[-1] * len(offsets) > _MOST_SUM:
            return None
        if float(np.abs(steps - np.rint(steps)).max()) <= 1e-6:
            return step
    return None


def _counted(whole: npt.NDArray[np.int64], weights: Floats) -> tuple[float, float]:
    """Mid-p of higher and of lower, from the whole distribution of the total."""
    import numpy as np

    seen, most = int(whole[:, 0].sum()), int(whole.max(axis=1).sum())
    wide = int(whole.max()) + 1
    rows = np.arange(len(whole))[:, None]
    chances = np.zeros((len(whole), wide))
    np.add.at(chances, (rows, whole), weights)
    # Convolved as a product of transforms, scaled so that no tail that matters drowns in rounding: 1e-14 of it is left.
    kinds, counts = np.unique(chances.round(15), axis=0, return_counts=True)
    size = most + wide
    transformed = np.fft.rfft(kinds, n=size, axis=1)
    total = np.fft.irfft(np.prod(transformed ** counts[:, None], axis=0), n=size)
    total = np.clip(total, 0.0, None)
    half = total[seen] / 2
    tails = float(total[seen + 1 :].sum() + half), float(total[:seen].sum() + half)
    return min(1.0, max(tails[0], 1e-14)), min(1.0, max(tails[1], 1e-14))


def _lower_tail(offsets: Floats, weights: Floats) -> float:
    """P(total < seen), by Lugannani and Rice."""
    import numpy as np
    from scipy.special import ndtr

    unit = float(offsets.max())
    offsets = offsets / unit
    seen = float(offsets[:, 0].sum())
    if seen <= 0 or seen >= float(offsets.max(axis=1).sum()):
        return 0.0 if seen <= 0 else 1.0  # an end of what can be: its chance is known
    tilt = 0.0
    for _ in range(100):
        log_mean, mean, variance = _tilted(offsets, weights, tilt)
        change = (seen - mean) / max(variance, 1e-12)
        tilt += float(np.clip(change, -5.0, 5.0))
        if abs(change) < 1e-10:
            break
    log_mean, mean, variance = _tilted(offsets, weights, tilt)
    if abs(tilt) * variance**0.5 < _AT_MEAN:  # there the formula is 0/0: its limit is a half, moved by the skewness
        _, mean, variance = _tilted(offsets, weights, 0.0)
        third = float((weights * (offsets - (weights * offsets).sum(axis=1, keepdims=True)) ** 3).sum())
        return float(ndtr((seen - mean) / variance**0.5) + third / (6 * variance**1.5) / (2 * np.pi) ** 0.5)
    w = float(np.sign(tilt) * (2 * max(tilt * seen - log_mean, 0.0)) ** 0.5)
    u = tilt * variance**0.5
    density = float(np.exp(-(w**2) / 2) / (2 * np.pi) ** 0.5)
    return float(min(1.0, max(0.0, ndtr(w) + density * (1 / w - 1 / u))))


def _tilted(offsets: Floats, weights: Floats, tilt: float) -> tuple[float, float, float]:
    """Logarithm of the moment generating function of the total, its mean and its variance under a tilt."""
    import numpy as np

    exponents = tilt * offsets
    shift = exponents.max(axis=1, keepdims=True)
    masses = weights * np.exp(exponents - shift)
    sums = masses.sum(axis=1, keepdims=True)
    shares = masses / sums
    means = (shares * offsets).sum(axis=1)
    variance = float(((shares * offsets**2).sum(axis=1) - means**2).sum())
    return float((np.log(sums) + shift).sum()), float(means.sum()), variance
