"""When a run takes the baseline's tag: not because it was the best, but because it came after one that was better."""

from __future__ import annotations

from prefect_experiments.analysis.verdicts import Comparison


def better_before(comparison: Comparison) -> tuple[str, ...]:
    """The metrics by which the run before the candidate was significantly better than the baseline.

    A run that is chosen because its scores were high was also lucky, and as a baseline makes those after it look worse
    (the winner's curse). So the better run only proposes; the fresh one after it, which nothing chose, takes the tag.
    The level is 1 - confidence for all metrics together: being wrong costs nothing but a younger baseline. A run that
    its gate failed proposes nothing, and a proposal is gone where the run that should have confirmed it failed.

    Returns:
        None of them where there was no such run since the baseline's.
    """
    nights = {name: metric.nights[-2] for name, metric in comparison.metrics.items() if len(metric.nights) > 1}
    level = (1 - comparison.confidence) / max(1, len(nights))
    return tuple(name for name, night in nights.items() if night.p_better <= level and not night.failed)
