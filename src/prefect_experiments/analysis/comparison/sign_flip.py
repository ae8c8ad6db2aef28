"""The paired permutation test of a mean difference, counted out: no p-value depends on chance, floats or order."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SIGN_FLIP_EXACT = "sign-flip permutation, exact"
SIGN_FLIP_ROUNDED = "sign-flip permutation, of rounded differences"
N_RESAMPLES = 9_999
SIGN_FLIP_SAMPLED = f"sign-flip permutation, {N_RESAMPLES:,} resamples"

_SEED = 20_240_801
_CHUNK = 1_000
# So much of a table of sums stays in a processor's cache, and of what is picked from it little is in memory.
_GROUPS = 128

_MOST_ENUMERATED = 13
# The finest scale that scores are looked for on, in steps of the largest difference.
_MOST_STEPS = 10_000
# Steps of the average difference where there is no scale. With 200 of them p differs by about 0.0001 from one without
# rounding, with 25 by about 0.001.
_FINE, _COARSE = 200, 25
_MOST_WORK = 500_000_000


def sign_flip_test(differences: Floats) -> tuple[str, float, float]:
    """The paired permutation test of the mean difference: one-sided p-values, of higher and of lower.

    Under the hypothesis that the sides are exchangeable, each difference could as well have had the other sign. Where
    scores lie on a scale, such as 1 to 5, thirds, tenths or averages of them, differences are whole numbers of its
    steps, and all 2^n sums are counted by dynamic programming; so equal sums are equal, whatever floats make of them.
    Up to 13 differences off any scale are enumerated. More of them are rounded to fine steps and counted likewise: what
    is rounded has the same symmetry, so that the test keeps its level, and its p-value differs by about 0.0001. Only
    above some 4,000 that differ are 9,999 sign patterns drawn (fixed seed), and p is (b + 1) / (9,999 + 1).

    Source: Fisher 1935, The Design of Experiments, section 21; Pagano and Tritchler 1983, Journal of the American
    Statistical Association 78:435, for counting; Phipson and Smyth 2010, Statistical Applications in Genetics and
    Molecular Biology 9:39, for drawing.

    Returns:
        The name of the test, and that chance alone makes the mean so high, and so low. Neither depends on the order
        of the differences, and none is 0.
    """
    import numpy as np

    # Pairs without a difference stay what they are under any sign.
    differences = np.sort(differences[differences != 0])
    n = len(differences)
    if not n:
        return SIGN_FLIP_EXACT, 1.0, 1.0
    sizes = np.sort(np.abs(differences))
    step = _step(sizes)
    if step is not None and n * float(np.rint(sizes / step).sum()) <= _MOST_WORK:
        return (SIGN_FLIP_EXACT, *_counted(np.rint(differences / step)))
    if n <= _MOST_ENUMERATED:
        signs = 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return (SIGN_FLIP_EXACT, *_of_sums(signs @ sizes, differences))
    if (steps := min(max(_FINE, 1e-2 * _MOST_WORK / n**2), _MOST_WORK / n**2)) >= _COARSE:
        return (SIGN_FLIP_ROUNDED, *_counted(np.rint(differences / sizes.mean() * steps)))
    return (SIGN_FLIP_SAMPLED, *_of_sums(_random_sums(sizes), differences, also_seen=1))


def _step(sizes: Floats) -> float | None:
    """The step that all sizes are whole multiples of, by Euclid's algorithm; ``None`` without one that is not tiny."""
    import numpy as np

    largest = float(sizes[-1])
    step = largest
    for size in np.unique(sizes).tolist():
        rest = abs(size - step * round(size / step))
        while rest > 1e-7 * largest:  # what is below are the last digits of floats
            if rest * _MOST_STEPS < 0.99 * largest:
                return None
            step, rest = rest, abs(step - rest * round(step / rest))
    counts = np.rint(sizes / step)
    step = float(sizes.sum() / counts.sum())
    return step if float(np.abs(sizes - counts * step).max()) <= 1e-9 * largest else None


def _counted(whole: Floats) -> tuple[float, float]:
    """One-sided p-values of differences that are whole numbers: all sign patterns, by the sum of what is positive."""
    import numpy as np

    sizes = np.sort(np.abs(whole)).astype(np.int64).tolist()
    total, seen = sum(sizes), int(whole.sum())
    # A sum as low as -|seen| leaves at most so much to what is positive; the distribution is symmetric.
    most = (total - abs(seen)) // 2
    chances = np.zeros(most + 1)
    chances[0] = 1.0
    filled = 0
    for size in sizes:
        filled = min(most, filled + size)
        chances[: filled + 1] /= 2
        if size <= most:
            chances[size : filled + 1] += chances[: filled + 1 - size].copy()
    return _oriented(seen, float(chances.sum()), float(chances[most]))


def _of_sums(sums: Floats, differences: Floats, *, also_seen: int = 0) -> tuple[float, float]:
    """One-sided p-values from sums under other signs, of which those that differ by floats' last digits are equal."""
    import numpy as np

    seen, near = math.fsum(differences), 1e-10 * float(np.abs(differences).sum())
    seen = seen if abs(seen) > near else 0.0
    n = len(sums) + also_seen
    # The distribution is symmetric, so that both tails tell the same: half of what is in either. A sum of 0 is in both.
    tail = sum(int((side >= abs(seen) - near).sum()) for side in (sums, -sums)) / 2
    same = sum(int((np.abs(side - abs(seen)) <= near).sum()) for side in (sums, -sums)) / 2
    return _oriented(seen, (tail + also_seen) / n, (same + also_seen) / n)


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
    sums = np.zeros(N_RESAMPLES)
    for start in range(0, N_RESAMPLES, _CHUNK):
        rows = min(_CHUNK, N_RESAMPLES - start)
        picks = rng.integers(0, 256, size=(rows, len(groups)), dtype=np.uint8)
        for first in range(0, len(groups), _GROUPS):
            some = slice(first, first + _GROUPS)
            sums[start : start + rows] += np.take(table, picks[:, some] + offsets[some]).sum(axis=1)
    return sums


def _oriented(seen: float, tail: float, same: float) -> tuple[float, float]:
    """P-values of higher and lower, from the chance of a sum at least as large as |seen|, and of just that one."""
    tail = max(tail, sys.float_info.min)
    other = min(1.0, 1 - tail + same)
    return (tail, other) if seen > 0 else (other, tail) if seen < 0 else (tail, tail)
