"""When a run takes the baseline's tag: not because it was the best, but because it came after one that was better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from prefect_experiments.analysis.comparison.paired import alpha_of
from prefect_experiments.analysis.verdicts import Comparison, MetricComparison
from prefect_experiments.display import some

_MOST_NAMED = 5


class Promotion(NamedTuple):
    """Whether a run takes the tag, and a sentence that says why, or why not, and what is next."""

    takes: bool
    said: str


def promotion(comparison: Comparison, *, nights: int = 1) -> Promotion:
    """Whether a run that its gate has passed takes the tag of the baseline that it was compared with.

    A run that is chosen because its scores were high was also lucky, and as a baseline makes those after it look worse
    (the winner's curse). So the better run only proposes, by a test that an unchanged application seldom passes in all
    `nights` together; the one after it, which nothing chose, takes the tag, unless it is worse than the baseline.
    A run that its gate failed proposes nothing, and where the one that should have confirmed it failed, or is worse, a
    proposal is gone.

    Args:
        comparison: of the run with its baseline, and with the nights since then.
        nights: how many of them share the level, which is 1 - confidence for all their metrics.
    """
    judged = {
        name: metric
        for name, metric in comparison.metrics.items()
        if metric.direction != "neutral" and metric.evaluator_change is None
    }
    level = alpha_of(comparison.confidence) / max(1, nights * len(judged))
    proposed = [name for name, metric in judged.items() if _proposed_before(metric, level)]
    proposing = [name for name, metric in judged.items() if _p_better(metric) <= level]
    before = f"the run before was better ({some(proposed, _MOST_NAMED)})"
    if proposed:
        if not (worse := _worse(comparison, proposed)):
            return Promotion(True, f"{before}, and this one confirms it")
        return Promotion(False, f"{before}, and this one is not ({some(worse, _MOST_NAMED)}): the baseline stays")
    if proposing:
        better = some(proposing, _MOST_NAMED)
        return Promotion(False, f"this run is better ({better}): the next one takes the tag, if it is not worse")
    return Promotion(False, "the run before was not better than the baseline, which stays")


def _proposed_before(metric: MetricComparison, level: float) -> bool:
    """Whether the night before was significantly better than the baseline; the last night is the run itself."""
    before = metric.nights[-2:-1]
    return bool(before) and before[0].p_better <= level and not before[0].failed


def _p_better(metric: MetricComparison) -> float:
    return metric.p_lower if metric.direction == "minimize" else metric.p_higher


def _worse(comparison: Comparison, proposed: Sequence[str]) -> list[str]:
    """By which metrics the run speaks against a proposal: below the baseline where it was better, or worse at all."""
    return [
        name
        for name, metric in comparison.metrics.items()
        if metric.verdict == "regressed" or (name in proposed and _is_below(metric))
    ]


def _is_below(metric: MetricComparison) -> bool:
    difference = metric.difference or 0.0
    return difference > 0 if metric.direction == "minimize" else difference < 0
