"""Whether the labels of two sides are spread differently over the same examples.

The statistic is Stuart's and Maxwell's for marginal homogeneity (Stuart 1955, Biometrika 42:412-416; Maxwell 1970,
British Journal of Psychiatry 116:651-655): with d the difference of an example's labels on the two sides, as a vector
with an item a label, and D the sum of these, it is D' V^- D with V the sum of d d'. Its chi-square distribution needs
many examples in each label, and small counts are the rule here; so p is taken from all ways to exchange the sides
within the examples, which change D and leave V as it is. With two labels that is McNemar's exact test.

Of several runs of an example each counts as its share, so an example is one vote, whatever its repetitions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

N_RESAMPLES = 9_999
EXACT = "Stuart-Maxwell, exact by permutation"
SAMPLED = f"Stuart-Maxwell, {N_RESAMPLES:,} permutations"
OTHERS = "(other labels)"
_MOST_ENUMERATED = 100_000
_MOST_LABELS = 30
_SEED = 20_240_801
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Shift:
    """The result of `shift_test`."""

    p_value: float
    test: str


def shift_test(baseline: Sequence[Mapping[str, int]], candidate: Sequence[Mapping[str, int]]) -> Shift:
    """The test of whether labels have shifted, two-sided in that no direction of a shift counts more than another.

    All ways to exchange the sides are looked at where there are at most 100,000 that differ; else 9,999 random ones
    with a fixed seed, and p is (b + 1) / (9,999 + 1) (Phipson and Smyth 2010, Statistical Applications in Genetics and
    Molecular Biology 9:39). The order of the examples and of the labels, and which side is the baseline, make no
    difference. Of more than 30 labels, the rarest count as one.

    Args:
        baseline: for each example how many of its runs got which label.
        candidate: likewise, in the same order.
    """
    import numpy as np

    groups = _groups(baseline, candidate)
    if not groups:
        return Shift(1.0, EXACT)
    vectors = np.array([vector for vector, _, _ in groups], dtype=np.float64)
    alike = np.array([n_plus + n_minus for _, n_plus, n_minus in groups])
    seen = np.array([n_plus - n_minus for _, n_plus, n_minus in groups], dtype=np.float64)
    whitened = vectors @ _root_of_inverse((vectors.T * alike) @ vectors)
    bound = float(((seen @ whitened) ** 2).sum()) * (1 - _ROUNDING)
    if math.prod((alike + 1).tolist()) <= _MOST_ENUMERATED:
        return Shift(min(1.0, _exact(alike.tolist(), whitened, bound)), EXACT)
    rng = np.random.default_rng(_SEED)
    drawn = 2.0 * rng.binomial(alike, 0.5, size=(N_RESAMPLES, len(alike))) - alike
    extreme = int((((drawn @ whitened) ** 2).sum(axis=1) >= bound).sum())
    return Shift((extreme + 1) / (N_RESAMPLES + 1), SAMPLED)


def smallest_p(n_pairs: int) -> float:
    """The smallest p-value that so many examples can give: all move from one label to the same other one."""
    return min(1.0, 2 * 0.5**n_pairs)


def pairs_to_shift(alpha: float) -> int:
    """The fewest examples with which a p-value of at most `alpha` can come out."""
    return 1 + max(0, math.ceil(math.log2(1 / alpha)))


def _groups(
    baseline: Sequence[Mapping[str, int]], candidate: Sequence[Mapping[str, int]]
) -> list[tuple[tuple[int, ...], int, int]]:
    """Each move of labels, in whole numbers, with how many examples made it and how many made the reverse."""
    totals: Counter[str] = Counter()
    for example in (*baseline, *candidate):
        totals.update(example)
    ranked = sorted(totals, key=lambda label: (-totals[label], label))
    kept = ranked if len(ranked) <= _MOST_LABELS else ranked[: _MOST_LABELS - 1]
    place = {label: number for number, label in enumerate(kept)}
    unit = math.lcm(*(sum(example.values()) or 1 for example in (*baseline, *candidate)))
    found: dict[tuple[int, ...], list[int]] = {}
    for before, after in zip(baseline, candidate, strict=True):
        vector = [0] * (len(kept) + 1)  # the last one is for all other labels
        for example, sign in ((after, unit), (before, -unit)):
            runs = sum(example.values())
            for label, n in example.items():
                vector[place.get(label, len(kept))] += sign // runs * n
        first = next((number for number in vector if number), 0)
        if first:
            key = tuple(vector if first > 0 else [-number for number in vector])
            found.setdefault(key, [0, 0])[first < 0] += 1
    return [(vector, *counts) for vector, counts in sorted(found.items())]  # type: ignore[misc]


def _root_of_inverse(matrix: Numbers) -> Numbers:
    """W with W W' the Moore-Penrose inverse of a symmetric matrix."""
    import numpy as np

    values, columns = np.linalg.eigh(matrix)
    kept = values > values.max() * 1e-10
    root: Numbers = columns[:, kept] / np.sqrt(values[kept])
    return root


def _exact(alike: Sequence[int], whitened: Numbers, bound: float) -> float:
    """The probability of a statistic of at least `bound`, over all sign patterns."""
    import numpy as np
    from scipy.stats import binom

    sums, weights = np.zeros((1, whitened.shape[1])), np.ones(1)
    for n, vector in zip(alike, whitened, strict=True):
        plus = np.arange(n + 1)
        steps = (2.0 * plus - n)[:, None] * vector
        sums = (sums[:, None, :] + steps[None, :, :]).reshape(-1, whitened.shape[1])
        weights = (weights[:, None] * binom.pmf(plus, n, 0.5)[None, :]).ravel()
    return float(weights[(sums**2).sum(axis=1) >= bound].sum())
