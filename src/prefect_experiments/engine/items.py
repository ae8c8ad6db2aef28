"""What the engine takes in, with JSON kept as text, and where it puts what comes out (`records`).

Items are slotted and JSON stays undecoded because there is one of each for every example: this
is the hot path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prefect_experiments.records import EvaluationRecord, RunRecord


@dataclass(slots=True)
class RunItem:
    """An experiment run to make: one example, one repetition.

    Attributes:
        position: the example's place in its dataset, from 0.
        input_json, expected_json, metadata_json: JSON texts.
    """

    position: int
    example_id: str
    repetition_number: int
    input_json: str
    expected_json: str | None
    metadata_json: str
    splits: tuple[str, ...] = ()


@dataclass(slots=True)
class EvaluationItem:
    """An ok experiment run to evaluate, and by which evaluators."""

    run: RunItem
    output_json: str | None
    trace_id: str | None
    evaluators: Sequence[str]


class Sink(Protocol):
    """Where results are made durable. The store has one; any other will do."""

    async def write_run(self, run: RunRecord) -> None:
        """Take a run; return when it is durable."""

    async def write_evaluations(self, evaluations: Sequence[EvaluationRecord]) -> None:
        """Take evaluations; return when there is room for more. They are durable soon after."""

    async def flush(self) -> None:
        """Return when everything taken is durable."""
