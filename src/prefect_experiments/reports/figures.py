"""What a report's charts and its choice of examples rest on: a few numbers of each run, kept from one pass."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from prefect_experiments.results import ResultRun
from prefect_experiments.results.stored import Runs


def _floats() -> array[float]:
    return array("d")


@dataclass(slots=True)
class MetricFigures:
    """The scores that one evaluator gave, in the order of the runs, and how often it gave each label."""

    scores: array[float] = field(default_factory=_floats)
    labels: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class SideFigures:
    """The figures of one side's runs: eight bytes a score and a latency, whatever the texts."""

    metrics: dict[str, MetricFigures] = field(default_factory=dict)
    latencies: array[float] = field(default_factory=_floats)

    def add(self, run: ResultRun) -> None:
        """Count a run."""
        if run.record.latency_ms is not None:
            self.latencies.append(run.record.latency_ms)
        for name, one in run.counted.items():
            if (found := self.metrics.get(name)) is None:
                found = self.metrics[name] = MetricFigures()
            if one.score is not None:
                found.scores.append(one.score)
            if one.label is not None:
                found.labels[one.label] = found.labels.get(one.label, 0) + 1


@dataclass(frozen=True, slots=True)
class Outline:
    """The figures of a page.

    Attributes:
        sides: the candidate's, then the baseline's, where there is one.
        places: each example's place on the page: the candidate's in their order, then those of the baseline alone.
        with_error: by place, whether the task or an evaluator failed on any side.
    """

    sides: Sequence[SideFigures]
    places: dict[str, int]
    with_error: bytearray

    @property
    def metrics(self) -> list[str]:
        """The evaluators' names in the order in which they appear."""
        return list(dict.fromkeys(name for side in self.sides for name in side.metrics))

    @property
    def beyond(self) -> set[str]:
        """The metrics of which any score is not between 0 and 1."""
        every = ((name, found) for side in self.sides for name, found in side.metrics.items())
        return {name for name, found in every if not all(0 <= score <= 1 for score in found.scores)}


def outline_of(sides: Sequence[Runs]) -> Outline:
    """The outline of a page on these sides: the candidate, then the baseline."""
    found = Outline([SideFigures() for _ in sides], {}, bytearray())
    for runs, figures in zip(sides, found.sides, strict=True):
        for run in runs.light():
            figures.add(run)
            place = found.places.setdefault(run.example_id, len(found.with_error))
            if place == len(found.with_error):
                found.with_error.append(0)
            if has_error(run):
                found.with_error[place] = 1
    return found


def has_error(run: ResultRun) -> bool:
    """Whether its task failed, or an evaluator on it."""
    return run.error is not None or any(one.error is not None for one in run.counted.values())
