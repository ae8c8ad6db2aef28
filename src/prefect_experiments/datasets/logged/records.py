"""Results that were made elsewhere, as they are understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from prefect_experiments import keys
from prefect_experiments.models import AnnotatorKind


@dataclass(frozen=True, slots=True)
class LoggedVerdict:
    """A verdict, by an evaluator or with the kind ``HUMAN`` by a person. The metadata is JSON text of an object."""

    name: str
    kind: AnnotatorKind
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: str | None = None
    error: str | None = None
    trace_id: str | None = None

    def content(self) -> list[Any]:
        """All that makes it different from another one, as plain values."""
        given = (self.name, self.kind, self.score, self.label, self.explanation, self.error, self.trace_id)
        return [*given, _loads(self.metadata)]


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """An experiment run that was made elsewhere.

    Attributes:
        row: where it stands, from 1.
        output: JSON text; ``None`` where the run failed.
        latency_ms, start_time, end_time: where known; times in seconds since the epoch.
        metadata: JSON text of an object; ``None`` for an empty one.
    """

    row: int
    example_id: str
    repetition_number: int
    output: str | None
    error: str | None
    latency_ms: float | None
    start_time: float | None
    end_time: float | None
    token_count: int | None
    total_cost: float | None
    trace_id: str | None
    metadata: str | None
    verdicts: tuple[LoggedVerdict, ...]

    def times(self, now: float) -> tuple[float, float]:
        """When it began and ended, as far as is known; else it ended now.

        A time that was not given follows from the other one and the latency, and is the same where that is not known.
        """
        start, end = self.start_time, self.end_time
        seconds = (self.latency_ms or 0.0) / 1000
        if end is None:
            end = now if start is None else start + seconds
        return (end - seconds if start is None else start), end

    def content(self) -> list[Any]:
        """All that makes it different from another one, as plain values."""
        key = (self.example_id, self.repetition_number)
        figures = (self.latency_ms, self.start_time, self.end_time, self.token_count, self.total_cost, self.trace_id)
        result = (_loads(self.output), self.error, _loads(self.metadata))
        return [*key, *result, *figures, [verdict.content() for verdict in self.verdicts]]


@dataclass(frozen=True, slots=True)
class LoggedResults:
    """Results that were read and checked, but not looked up in a dataset yet.

    Attributes:
        origin: what they are, for messages: a path, say.
        evaluators: name and kind of those whose verdicts there may be.
        metadata: the keys that the runs' metadata may have, from a column each.
        unscored: failed runs whose scores were left out.
    """

    origin: str
    runs: tuple[LoggedRun, ...]
    evaluators: tuple[tuple[str, AnnotatorKind], ...]
    metadata: tuple[str, ...]
    unscored: int = 0


def fingerprint_of(runs: Sequence[LoggedRun], *more: Any) -> str:
    """What tells these results from others, in whatever order and from whatever sort of file they come."""
    ordered = sorted(runs, key=lambda run: (run.example_id, run.repetition_number))
    return keys.fingerprint([run.content() for run in ordered], *more)


def _loads(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
