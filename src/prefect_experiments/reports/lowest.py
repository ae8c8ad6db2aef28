"""How low scores are, such that those of different ranges and directions count alike."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping

from prefect_experiments.analysis import Comparison, Summary
from prefect_experiments.records import EvaluationRecord
from prefect_experiments.reports.figures import SideFigures
from prefect_experiments.results import ResultRun

Ranges = Mapping[str, tuple[float, float]]
Directions = Mapping[str, str | None]


def directions_of(summary: Summary, comparison: Comparison | None) -> Directions:
    """By metric, which scores are better; where they are compared, as the comparison has it."""
    directions = {name: metric.direction for name, metric in summary.metrics.items()}
    return directions | {name: metric.direction for name, metric in (comparison.metrics if comparison else {}).items()}


def ranges_of(figures: SideFigures) -> Ranges:
    """Between which values the scores of each evaluator lie; what lies between 0 and 1 has that range."""
    found: dict[str, tuple[float, float]] = {}
    for name, metric in figures.metrics.items():
        if metric.scores:
            low, high = min(metric.scores), max(metric.scores)
            found[name] = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    return found


def places_of(run: ResultRun, ranges: Ranges, directions: Directions) -> Iterator[tuple[EvaluationRecord, float]]:
    """Each evaluation that counts with its place: 0 for the lowest, 1 for the best, -1 for an evaluator's error."""
    for one in run.counted.values():
        if one.error is not None:
            yield one, -1.0
        elif one.score is not None and directions.get(one.name) != "neutral":
            low, high = ranges[one.name]
            place = (one.score - low) / (high - low) if high > low else 1.0
            yield one, 1 - place if directions.get(one.name) == "minimize" and high > low else place


def lowest_first(
    runs: Iterable[ResultRun], places: Mapping[str, int], ranges: Ranges, directions: Directions
) -> tuple[list[int], int]:
    """The examples with a score, by their places on the page, lowest mean first; and how many are not at their best.

    Args:
        runs: with their scores.
        places: of the examples, by id.
        ranges: see `ranges_of`.
        directions: see `directions_of`.
    """
    sums, counts = array("d", [0.0] * len(places)), array("l", [0] * len(places))
    for run in runs:
        at = places[run.example_id]
        for _, place in places_of(run, ranges, directions):
            sums[at] += place
            counts[at] += 1
    means = [(total / n if n else math.inf) for total, n in zip(sums, counts, strict=True)]
    ordered = sorted((at for at, n in enumerate(counts) if n), key=means.__getitem__)
    return ordered, sum(mean < 1 for mean in means)
