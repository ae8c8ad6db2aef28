"""Examples that a judge has scored on two sides, and people on some: the truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Floats = np.ndarray
Pair = tuple[Floats, Floats]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is drawn.

    Attributes:
        n: examples.
        share: of them that people have judged; on either side, where `labels` are one-sided, others.
        scores: of people: 0 and 1, true in 0.80 before and 0.75 after; or any from 0 to 1, 0.04 less after.
        judge: errs alike on both sides, or otherwise on either, so that it sees a drop of 23 points instead of 5 (0/1),
            or one of 17 instead of 4.
        labels: on both sides of the same examples, or on one side of each.
    """

    n: int
    share: float
    scores: Literal["0/1", "continuous"] = "0/1"
    judge: Literal["even", "biased"] = "biased"
    labels: Literal["paired", "one-sided"] = "paired"

    @property
    def truth(self) -> float:
        """The difference by people, candidate minus baseline."""
        return -0.05 if self.scores == "0/1" else -0.04

    def draw(self, rng: np.random.Generator) -> tuple[Pair, Pair]:
        """The judge's scores and people's, baseline first; NaN where people have said nothing."""
        people = self._people(rng)
        drawn, n = rng.permutation(self.n), round(self.share * self.n)
        labelled = [drawn[:n], drawn[:n] if self.labels == "paired" else drawn[n : 2 * n]]
        said = [np.full(self.n, np.nan), np.full(self.n, np.nan)]
        for side, every, places in zip(said, people, labelled, strict=True):
            side[places] = every[places]
        return self._judge(people, rng), (said[0], said[1])

    def _people(self, rng: np.random.Generator) -> Pair:
        if self.scores == "0/1":
            first = rng.random(self.n)
            second = np.where(rng.random(self.n) < 0.5, first, rng.random(self.n))
            return 1.0 * (first < 0.8), 1.0 * (second < 0.75)
        ease = 0.25 + 0.5 * rng.beta(4, 1.2, self.n)
        noise = rng.uniform(-0.15, 0.15, (2, self.n))
        return ease + noise[0], ease - 0.04 + noise[1]

    def _judge(self, people: Pair, rng: np.random.Generator) -> Pair:
        even = self.judge == "even"
        found = []
        for side, (missed, invented, shift) in zip(
            people, [(0.1, 0.1, 0.0)] * 2 if even else [(0.05, 0.2, 0.08), (0.25, 0.05, -0.05)], strict=True
        ):
            if self.scores == "0/1":
                wrong = rng.random(self.n) < np.where(side == 1, missed, invented)
                found.append(np.where(wrong, 1 - side, side))
            else:
                found.append(np.clip(side + shift + rng.normal(0, 0.1, self.n), 0, 1))
        return found[0], found[1]
