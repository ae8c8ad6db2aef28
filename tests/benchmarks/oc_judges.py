"""A judge's difference corrected by people's scores; what was before is the judge alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from operating_characteristics import Row, percent

from prefect_experiments.analysis.corrected import corrected_difference
from support.judged_examples import Judged

TITLE = "A judge corrected by people (8,000 simulations)"


class Found(NamedTuple):
    """Of many draws: the biases in points, and how often each interval held the truth."""

    judge_bias: float
    bias: float
    judge_held: float
    held: float


def found(case: Judged, n_sim: int, seed: int) -> Found:
    """What comes out of `n_sim` draws."""
    rng, rows = np.random.default_rng(seed), []
    for _ in range(n_sim):
        judge, people = case.draw(rng)
        one = corrected_difference(judge, people)
        half = 1.96 * float((judge[1] - judge[0]).std(ddof=1)) / math.sqrt(case.n)
        rows.append(
            (
                one.by_judge - case.truth,
                one.difference - case.truth,
                abs(one.by_judge - case.truth) <= half,
                one.ci_low <= case.truth <= one.ci_high,
            )
        )
    means = np.array(rows, dtype=float).mean(axis=0)
    return Found(100 * means[0], 100 * means[1], means[2], means[3])


def rows(n_sim: int, seed: int) -> Iterator[Row]:
    """Coverage for each kind, and the largest bias among all: a small one takes many draws to be told from none."""
    kinds = itertools.product(("0/1", "continuous"), ("biased", "even"), ("paired", "one-sided"))
    largest: dict[tuple[str, int], tuple[float, float]] = {}
    for scores, judge, labels in kinds:
        for n, share in itertools.product((200, 1000), (0.05, 0.2, 0.5)):
            case = Judged(n=n, share=share, scores=scores, judge=judge, labels=labels)
            one = found(case, 4 * n_sim, seed)
            before = largest.get((judge, n), (0.0, 0.0))
            largest[judge, n] = max(before[0], abs(one.judge_bias)), max(before[1], abs(one.bias))
            what = f"interval holds the truth: {scores}, {judge} judge, {labels} labels on {percent(share)}, n = {n:,}"
            yield Row(what.replace(".0 %", " %"), percent(one.judge_held), percent(one.held), ">= 93 %")
    for (judge, n), (before_most, most) in largest.items():
        what = f"largest bias of these, {judge} judge, n = {n:,}"
        yield Row(what, f"{before_most:.1f} points", f"{most:.2f} points", "<= 1 point")
