"""Results of an experiment as they are understood, from wherever they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect_experiments import keys
from prefect_experiments.models import AnnotatorKind

EVALUATION_PARTS = ("score", "label", "explanation", "error")
DIRECTION = "direction"
"""The key of an evaluation's metadata that says which scores are better; it has a column where it is there."""
ANNOTATION_PARTS = ("score", "label", "text")


@dataclass(slots=True)  # not frozen: tens of thousands are made at once
class ResultEvaluation:
    """What an evaluator, or with the kind ``HUMAN`` a person, said of a run; with an error there is no score."""

    name: str
    kind: AnnotatorKind
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    trace_id: str | None = None

    def part(self, name: str) -> Any:
        """A part by the name that its column has; what a person wrote is called ``text`` there."""
        if name.startswith("metadata."):
            return self.metadata.get(name.removeprefix("metadata."))
        return self.explanation if name == "text" else getattr(self, name)

    def content(self) -> list[Any]:
        """All that makes it different from another one, as plain values."""
        given = (self.name, self.kind, self.score, self.label, self.explanation, self.error, self.trace_id)
        return [*given, dict(self.metadata) or None]


@dataclass(slots=True)
class ResultRun:
    """One experiment run. All values are what JSON makes of them.

    Attributes:
        row: where it stands in its source, from 1.
        example_id: empty where the table does not say.
        output: ``None`` where the run failed.
        error: why it failed; ``None`` where it has not.
        latency_ms, start_time, end_time: where known; times in seconds since the epoch.
        evaluations: the evaluators', by name. Those on a failed run are shown, and counted nowhere: see `counted`.
        annotations: people's, by name.
    """

    row: int
    example_id: str
    repetition_number: int = 1
    input: Any = None
    expected: Any = None
    output: Any = None
    error: str | None = None
    latency_ms: float | None = None
    start_time: float | None = None
    end_time: float | None = None
    token_count: int | None = None
    total_cost: float | None = None
    trace_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Mapping[str, ResultEvaluation] = field(default_factory=dict)
    annotations: Mapping[str, ResultEvaluation] = field(default_factory=dict)
    id: str = ""

    @property
    def counted(self) -> Mapping[str, ResultEvaluation]:
        """The evaluations that count: none on a failed run, which has no output to judge."""
        return self.evaluations if self.error is None else {}

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
        result = (self.output, self.error, dict(self.metadata) or None)
        said = [*self.counted.values(), *self.annotations.values()]
        return [*key, *result, *figures, [evaluation.content() for evaluation in said]]


@dataclass(frozen=True, slots=True)
class ResultEvaluator:
    """An evaluator, or a person, whose evaluations there may be.

    Attributes:
        parts: what there is of them, be it empty: ``score``, ``label``, ...
    """

    name: str
    kind: AnnotatorKind = "CODE"
    parts: tuple[str, ...] = EVALUATION_PARTS


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Results that were read and checked, but not looked up in a dataset.

    Attributes:
        origin: what they are, for messages: a path, say.
        evaluators: those whose evaluations there may be; `people`, those whose annotations.
        metadata: the keys that the runs' metadata may have, from a column each.
        columns: of our own shape, those that there are.
        others: further columns that a table has, as they are, by name; ``None`` for an experiment of the store.
    """

    origin: str
    runs: tuple[ResultRun, ...]
    evaluators: tuple[ResultEvaluator, ...] = ()
    people: tuple[ResultEvaluator, ...] = ()
    metadata: tuple[str, ...] = ()
    columns: frozenset[str] = frozenset()
    others: Mapping[str, Sequence[Any]] | None = None

    @property
    def unscored(self) -> int:
        """How many failed runs have evaluations, which do not count."""
        return sum(bool(run.evaluations) and run.error is not None for run in self.runs)


def fingerprint_of(runs: Sequence[ResultRun], *more: Any) -> str:
    """What tells these results from others, in whatever order and from whatever sort of file they come."""
    ordered = sorted(runs, key=lambda run: (run.example_id, run.repetition_number))
    return keys.fingerprint([run.content() for run in ordered], *more)
