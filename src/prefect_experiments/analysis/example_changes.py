"""The examples that differ between the sides of a comparison: plain values, made by `comparison.changes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect_experiments.models import _Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleChange(_Record):
    """One example whose score got worse or better on some metric, or that only one side failed on.

    Attributes:
        metric: the metric's name; ``task error`` where only one side has an output.
        difference: candidate minus baseline, turned so that negative is worse.
        is_flaky: whether the difference is within what the example's repetitions on one side show; see
            `comparison.changes.flaky`.
    """

    example_id: str
    metric: str
    difference: float
    baseline_score: float | None
    candidate_score: float | None
    input: Any = None
    expected: Any = None
    baseline_output: Any = None
    candidate_output: Any = None
    baseline_error: str | None = None
    candidate_error: str | None = None
    is_flaky: bool = False
