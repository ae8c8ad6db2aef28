"""The rows of a results table as they are understood, from wherever they come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prefect_experiments import keys
from prefect_experiments.models import PENDING, AnnotatorKind
from prefect_experiments.records import EvaluatedRun, EvaluationRecord, RunRecord
from prefect_experiments.times import milliseconds

EVALUATION_PARTS = ("score", "label", "explanation", "error")
USED_PARTS = ("token_count", "total_cost")
"""What the evaluator's calls of models have used; there are columns where any of its evaluations knows it."""
DIRECTION = "direction"
"""The key of an evaluation's metadata that says which scores are better; it has a column where it is there."""
PENDING_PART = f"metadata.{PENDING}"
"""What a pending evaluation is to be made by; it has a column where there is one."""
ANNOTATION_PARTS = ("score", "label", "text")


@dataclass(slots=True)  # not frozen: tens of thousands are made at once
class ResultRun:
    """A row of a results table: an experiment run with what it was given and what was said of it.

    Attributes:
        row: where it stands in its source, from 1.
        record: the run. Its `example_id` is empty where a table does not say; its times may be unknown.
        input, expected: the example's, where they are known.
        evaluations: the evaluators', by name. Those on a failed run are shown, and counted nowhere: see `counted`.
        annotations: people's, by name.
        id: what the run is called; empty for a table's.
    """

    row: int
    record: RunRecord
    input: Any = None
    expected: Any = None
    evaluations: Mapping[str, EvaluationRecord] = field(default_factory=dict)
    annotations: Mapping[str, EvaluationRecord] = field(default_factory=dict)
    id: str = ""

    @property
    def example_id(self) -> str:
        """The run's."""
        return self.record.example_id

    @property
    def repetition_number(self) -> int:
        """The run's."""
        return self.record.repetition_number

    @property
    def error(self) -> str | None:
        """Why the run failed; ``None`` where it has not."""
        return self.record.error

    @property
    def counted(self) -> Mapping[str, EvaluationRecord]:
        """The evaluations that count: none on a failed run, which has no output to judge."""
        return self.evaluations if self.record.error is None else {}

    def named(self, example_id: str) -> ResultRun:
        """The same as a run of this example."""
        return replace(self, record=self.record._replace(example_id=example_id))

    def dated(self, now: float) -> EvaluatedRun:
        """The run with all that counts of what was said of it, and when it was made, as far as is known; else now.

        A time that was not given follows from the other one and the latency, and is the same where that is not known.
        """
        start, end, latency = self.record.start_time, self.record.end_time, self.record.latency_ms
        seconds = (latency or 0.0) / 1000
        if math.isnan(end):
            end = now if math.isnan(start) else start + seconds
        if math.isnan(start):
            start = end - seconds
        if latency is None:
            latency = milliseconds(start, end) or None
        said = (*self.counted.values(), *self.annotations.values())
        return EvaluatedRun(
            self.record._replace(start_time=start, end_time=end, latency_ms=latency),
            tuple(one._replace(start_time=end, end_time=end) for one in said),
        )

    def content(self) -> list[Any]:
        """All that makes it different from another one, as plain values; a time that is not known is none in JSON."""
        run = self.record
        result = (run.output, run.error, run.metadata or None)
        figures = (run.latency_ms, run.start_time, run.end_time, run.token_count, run.total_cost, run.trace_id)
        said = [*self.counted.values(), *self.annotations.values()]
        return [run.example_id, run.repetition_number, *result, *figures, [_content(one) for one in said]]


def _content(one: EvaluationRecord) -> list[Any]:
    given = (one.name, one.annotator_kind, one.score, one.label, one.explanation, one.error, one.trace_id)
    used = (one.token_count, one.total_cost)
    return [*given, one.metadata or None, *([] if used == (None, None) else used)]


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
        meant_for: by evaluator, the ids of the examples that it is meant for; without an entry, all are, as far as
            anybody knows: a table does not say.
    """

    origin: str
    runs: tuple[ResultRun, ...]
    evaluators: tuple[ResultEvaluator, ...] = ()
    people: tuple[ResultEvaluator, ...] = ()
    metadata: tuple[str, ...] = ()
    columns: frozenset[str] = frozenset()
    others: Mapping[str, Sequence[Any]] | None = None
    meant_for: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def unscored(self) -> int:
        """How many failed runs have evaluations, which do not count."""
        return sum(bool(run.evaluations) and run.error is not None for run in self.runs)


def fingerprint_of(runs: Sequence[ResultRun], *more: Any) -> str:
    """What tells these results from others, in whatever order and from whatever sort of file they come."""
    ordered = sorted(runs, key=lambda run: (run.example_id, run.repetition_number))
    return keys.fingerprint([run.content() for run in ordered], *more)
