"""What the engine takes in and gives out: plain rows, with JSON kept as text.

Rows are slotted and JSON stays undecoded because there is one of each for every example: this
is the hot path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


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
class RunRow:
    """A finished experiment run. Times are seconds since the epoch.

    Attributes:
        output_json: JSON text of the output; ``None`` when the run failed.
        error: the exception's type and text; ``None`` when the run is ok.
    """

    position: int
    example_id: str
    repetition_number: int
    output_json: str | None
    error: str | None
    start_time: float
    end_time: float
    attempts: int
    token_count: int | None = None
    total_cost: float | None = None
    trace_id: str | None = None


@dataclass(slots=True)
class EvaluationItem:
    """An ok experiment run to evaluate, and by which evaluators."""

    run: RunItem
    output_json: str | None
    trace_id: str | None
    evaluators: Sequence[str]


@dataclass(slots=True)
class EvaluationRow:
    """An evaluation, or an evaluator's error, on one experiment run. Times are seconds since the epoch.

    Attributes:
        evaluator: the evaluator that gave it; `name` differs where one gives several evaluations.
        fingerprint: of the evaluator as it was then.
    """

    position: int
    repetition_number: int
    evaluator: str
    name: str
    annotator_kind: str
    fingerprint: str
    score: float | None
    label: str | None
    explanation: str | None
    metadata_json: str | None
    error: str | None
    start_time: float
    end_time: float
    trace_id: str | None = None


class Sink(Protocol):
    """Where results are made durable. The store has one; any other will do."""

    async def write_run(self, row: RunRow) -> None:
        """Take a run; return when it is durable."""

    async def write_evaluations(self, rows: Sequence[EvaluationRow]) -> None:
        """Take evaluations; return when there is room for more. They are durable soon after."""

    async def flush(self) -> None:
        """Return when everything taken is durable."""
