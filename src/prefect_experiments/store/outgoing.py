"""Results on their way to a backend."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from prefect_experiments.store.texts import plain_text


class OutgoingRun(NamedTuple):
    """An experiment run that the backend does not have, or has in an earlier state."""

    position: int
    repetition_number: int
    example_id: str
    output: str | None
    error: str | None
    start_time: float
    end_time: float
    latency_ms: float | None
    trace_id: str | None


class OutgoingEvaluation(NamedTuple):
    """An evaluation or an annotation that the backend does not have, on a run that it has.

    Attributes:
        evaluator: who has given it; one evaluator may give evaluations of several names.
        fingerprint: of the evaluator as it was then, where that is known.
    """

    position: int
    repetition_number: int
    run_id: str
    name: str
    annotator_kind: str
    score: float | None
    label: str | None
    explanation: str | None
    metadata: str | None
    error: str | None
    start_time: float
    end_time: float
    trace_id: str | None
    evaluator: str
    fingerprint: str


class Waiting(NamedTuple):
    """How many results wait for a backend, and how many it has refused."""

    runs: int
    evaluations: int
    refused: int

    @property
    def total(self) -> int:
        """Results that wait."""
        return self.runs + self.evaluations


class OutgoingRow(NamedTuple):
    """A run with its evaluations, for a backend that takes them together.

    Attributes:
        metadata: JSON object of what else is known of a run that was made elsewhere.
    """

    run: OutgoingRun
    token_count: int | None
    total_cost: float | None
    metadata: str | None
    evaluations: tuple[OutgoingEvaluation, ...]

    @property
    def position(self) -> int:
        """Of the example."""
        return self.run.position

    @property
    def repetition_number(self) -> int:
        """Of the run."""
        return self.run.repetition_number


Outgoing = OutgoingRun | OutgoingEvaluation | OutgoingRow
Pushed = tuple[Outgoing, str | None, str | None]
"""What was pushed, the id that a run got there, and why it was refused, if it was."""


def annotation_metadata(annotator: str | None) -> dict[str, str] | None:
    """What a backend gets as the metadata of a person's verdict: they have no other place for who has given it."""
    return {"annotator": annotator} if annotator else None


def annotator_in(metadata: str | None) -> str | None:
    """Who has given a verdict, from the JSON text of its metadata."""
    found = orjson.loads(metadata).get("annotator") if metadata else None
    return plain_text(found) if isinstance(found, str) else None
