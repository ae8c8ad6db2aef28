"""Scores of two versions of which the truth is known: what the operating characteristics are simulated with."""

from __future__ import annotations

import numpy as np

Floats = np.ndarray
Pair = tuple[Floats, Floats]
Random = np.random.Generator


def two_valued(rng: Random, n: int, before: float, after: float, alike: float) -> Pair:
    """Scores of 0 and 1; a share of the examples is treated alike by both versions but for the drop."""
    first = rng.random(n)
    second = np.where(rng.random(n) < alike, first, rng.random(n))
    return 1.0 * (first < before), 1.0 * (second < after)


def five_points(rng: Random, n: int) -> Pair:
    """A five-point scale on which most examples score the same."""
    left = rng.choice([1.0, 2, 3, 4, 5], n, p=[0.02, 0.05, 0.13, 0.3, 0.5])
    moved = [np.clip(left + rng.choice([-1, 0, 1], n, p=[0.15, 0.7, 0.15]), 1, 5) for _ in range(2)]
    return moved[0], moved[1]


def repeated(rng: Random, n: int) -> Pair:
    """Three repetitions of scores of 0 and 1, for examples of all difficulties."""
    rate = rng.beta(4, 1, n)
    return rng.binomial(3, rate) / 3, rng.binomial(3, rate) / 3


def skewed(rng: Random, n: int) -> Pair:
    """Judged scores that are mostly high."""
    ease = rng.beta(8, 1, n)
    return np.clip(ease + rng.normal(0, 0.1, n), 0, 1), np.clip(ease + rng.normal(0, 0.1, n), 0, 1)
