"""How steady an experiment is over its repetitions: pass@k, pass^k, and how often an example flips.

A repetition has passed when its score is 1 (or at least the threshold). One whose task failed has
*not passed*: its user got nothing. One whose evaluator failed, or gave no score, is unknown and
left out, because the output may have been right.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from prefect_experiments.models import _Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRate(_Record):
    """What to expect of `k` tries at an example.

    Attributes:
        k: how many tries.
        n_examples: examples with at least `k` known repetitions; both figures are means over these.
        pass_at_k: the chance that at least one of the tries passes, 0 to 1: the unbiased estimator
            of Chen et al. 2021, "Evaluating Large Language Models Trained on Code", eq. 1.
            ``None`` without examples.
        pass_hat_k: pass^k, the chance that all of them pass, 0 to 1: the unbiased estimator of Yao
            et al. 2024, "tau-bench: A Benchmark for Tool-Agent-User Interaction in Real-World
            Domains". ``None`` without examples.
    """

    k: int
    n_examples: int
    pass_at_k: float | None
    pass_hat_k: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepetitionSummary(_Record):
    """One metric over the repetitions of each example.

    Attributes:
        repetitions: how often each example was to run.
        n_examples: examples with at least one known repetition.
        rates: for k from 1 to `repetitions`.
        n_flipped: examples whose known repetitions do not all agree.
        n_comparable: examples with at least two known repetitions.
        flip_rate: `n_flipped` of `n_comparable`, 0 to 1; ``None`` when there are none.
        n_task_errors: repetitions counted as not passed because the task failed.
        threshold: the lowest score that passes.
    """

    repetitions: int
    n_examples: int
    rates: tuple[PassRate, ...]
    n_flipped: int
    n_comparable: int
    flip_rate: float | None
    n_task_errors: int = 0
    threshold: float = 1.0

    def rate(self, k: int) -> PassRate:
        """The figures for k tries.

        Raises:
            KeyError: k is not between 1 and `repetitions`.
        """
        if not 1 <= k <= len(self.rates):
            raise KeyError(f"k must be between 1 and {len(self.rates)}, got {k}")
        return self.rates[k - 1]

    def __str__(self) -> str:
        """Such as ``pass@3 0.91, pass^3 0.62, 14 % flip``, for the largest k that some example has."""
        known = [rate for rate in self.rates[1:] if rate.n_examples]
        if not known or self.flip_rate is None:
            return ""
        most = known[-1]
        flips = "<1" if 0 < self.flip_rate < 0.005 else f"{100 * self.flip_rate:.0f}"
        few = "" if most.n_examples == self.n_examples else f" over {most.n_examples} of {self.n_examples} examples"
        return f"pass@{most.k} {most.pass_at_k:.2f}, pass^{most.k} {most.pass_hat_k:.2f}{few}, {flips} % flip"


def summarize_repetitions(
    scored: Iterable[tuple[Hashable, float]],
    failed: Sequence[Hashable],
    repetitions: int,
    *,
    threshold: float = 1.0,
) -> RepetitionSummary:
    """The figures from (example, score) of each scored run and the example of each failed one."""
    known: dict[Hashable, int] = {}
    passed: dict[Hashable, int] = {}
    for example, score in scored:
        known[example] = known.get(example, 0) + 1
        passed[example] = passed.get(example, 0) + (score >= threshold)
    for example in failed:
        known[example] = known.get(example, 0) + 1
    tallies = [(n, passed.get(example, 0)) for example, n in known.items()]
    comparable = [(n, c) for n, c in tallies if n >= 2]
    flipped = sum(1 for n, c in comparable if 0 < c < n)
    return RepetitionSummary(
        repetitions=repetitions,
        n_examples=len(tallies),
        rates=tuple(_rate(tallies, k) for k in range(1, repetitions + 1)),
        n_flipped=flipped,
        n_comparable=len(comparable),
        flip_rate=flipped / len(comparable) if comparable else None,
        n_task_errors=len(failed),
        threshold=threshold,
    )


def is_two_valued(scores: Iterable[float]) -> bool:
    """Whether every score is 0 or 1."""
    return all(score in (0.0, 1.0) for score in scores)


def _rate(tallies: Sequence[tuple[int, int]], k: int) -> PassRate:
    """From (known, passed) of each example."""
    enough = [(n, c) for n, c in tallies if n >= k]
    # Of all ways to draw k of an example's n repetitions: those with a pass, those with passes alone.
    some = [(math.comb(n, k) - math.comb(n - c, k)) / math.comb(n, k) for n, c in enough]
    every = [math.comb(c, k) / math.comb(n, k) for n, c in enough]
    return PassRate(
        k=k,
        n_examples=len(enough),
        pass_at_k=math.fsum(some) / len(some) if some else None,
        pass_hat_k=math.fsum(every) / len(every) if every else None,
    )
