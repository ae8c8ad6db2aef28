"""What a comparison says of groups of its examples: plain values, made by `comparison.slices`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prefect_experiments.models import _Record

SliceVerdict = Literal["improved", "regressed", "changed", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceMetric(_Record):
    """One metric on the examples of one group; differences are candidate minus baseline.

    Attributes:
        n_pairs: examples of the group with a score on both sides; 0 where none has, and then there are no figures.
        baseline_mean, candidate_mean, difference, ci_low, ci_high: over these pairs, as in `MetricComparison`.
        wins, losses: examples on which the candidate is better, or worse.
        p_value: two-sided, exact.
        p_value_adjusted: Holm's, over all of the comparison's slices and their metrics, without those of which so few
            pairs differ that nothing could be shown: these have none.
        p_worse: one-sided, that chance alone makes the candidate so much worse: what a gate asks; exact, and no mid-p,
            whose small excess would add up over many slices.
        smallest_p: the smallest `p_worse` that could have come out, given how many pairs differ.
        sd_difference, baseline_sd, test: as in `MetricComparison`.
        n_lacking: examples on which the candidate lacks a score, in some repetition at least, that it should have.
        p_errors_as_worst, p_missing_as_worst: that the candidate is worse where scores that are missing because of an
            error, or for whatever reason, count as the worst one; two-sided, ``None`` where it lacks none so.
        verdict: by `p_value_adjusted`.
    """

    name: str
    n_pairs: int = 0
    baseline_mean: float | None = None
    candidate_mean: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    wins: int = 0
    losses: int = 0
    p_value: float = 1.0
    p_value_adjusted: float | None = None
    p_worse: float = 1.0
    smallest_p: float = 1.0
    sd_difference: float | None = None
    baseline_sd: float | None = None
    test: str = ""
    n_lacking: int = 0
    p_errors_as_worst: float | None = None
    p_missing_as_worst: float | None = None
    verdict: SliceVerdict = "unchanged"

    @property
    def ties(self) -> int:
        """Pairs with the same score on both sides, of a metric that is not neutral."""
        return self.n_pairs - self.wins - self.losses


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(_Record):
    """The examples that share a value of a field.

    Attributes:
        field: ``splits``, or such as ``metadata.customer.tier``.
        n_examples: those that both sides ran.
    """

    field: str
    value: str
    n_examples: int
    metrics: Mapping[str, SliceMetric] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Such as ``metadata.topic=refunds``."""
        return f"{self.field}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices(_Record):
    """A comparison's groups of examples.

    Attributes:
        groups: those that were compared, field by field.
        asked: the fields that a gate asks for.
        left_out: by field that makes no groups, or none that are large enough, why.
        without: by field that was asked for, how many of the examples have no value of it.
    """

    groups: tuple[Slice, ...] = ()
    asked: tuple[str, ...] = ()
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    without: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def moved(self) -> list[tuple[Slice, SliceMetric]]:
        """What is not unchanged, the worst first: what regressed by its p-value, then the others by theirs."""
        found = [(one, metric) for one in self.groups for metric in one.metrics.values()]
        found = [pair for pair in found if pair[1].verdict != "unchanged"]
        return sorted(found, key=lambda pair: (pair[1].verdict != "regressed", pair[1].p_value))

    def of(self, name: str) -> list[Slice]:
        """The groups of a field."""
        return [one for one in self.groups if one.field == name]
