"""The one record of an experiment run and the one of an evaluation, from the engine through the store to the frame.

There is one of each for every example and evaluator, so they are cheap to make: tuples whose fields are the store's
columns in their order, with JSON as text and times in seconds since the epoch. What people get (`ExperimentRun`,
`Evaluation`, `Annotation`) is made of them here, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from prefect_experiments import keys
from prefect_experiments.jsonable import loads
from prefect_experiments.models import Annotation, AnnotatorKind, Evaluation, ExperimentRun, pending_criteria
from prefect_experiments.times import to_datetime

UNKNOWN_FINGERPRINT = ""
"""Of an evaluator in the state in which it gave an evaluation that was made elsewhere."""
UNPLACED = -1
"""The position of an example that has not been looked up in its dataset yet."""
UNKNOWN_TIME = math.nan
"""Of a run in a results table that does not say when it was made. The store has no such times."""

Key = tuple[int, int]
"""A run's (position, repetition) within its experiment."""


@dataclass(frozen=True, slots=True)
class RunIds:
    """What the runs of an experiment are called: as in the store, or as the backend calls them that has them.

    Attributes:
        experiment_id: the experiment's id in the store.
        remote_experiment_id: its id in the backend, where it is shown as that one has it.
        remote: the backend's ids of runs; those that it does not have keep ours.
    """

    experiment_id: str
    remote_experiment_id: str | None = None
    remote: Mapping[Key, str] = field(default_factory=dict)

    def own(self, key: Key) -> str:
        """A run's id in the store."""
        return keys.run_id(self.experiment_id, *key)

    def shown(self, key: Key) -> str:
        """A run's id as people see it."""
        return self.remote.get(key) or self.own(key)


class RunRecord(NamedTuple):
    """A finished experiment run.

    Attributes:
        position: the example's place in its dataset, from 0; `UNPLACED` where that is not known yet.
        output_json: JSON text of the output; ``None`` when the run failed.
        error: the exception's type and text; ``None`` when the run is ok.
        start_time, end_time: `UNKNOWN_TIME` where a results table does not say.
        attempts: how often the task was called; 1 for a run that was made elsewhere.
        metadata_json: JSON object of what else is known of a run that was made elsewhere.
        latency_ms: as measured or given: two times do not tell it exactly; ``None`` where it is not known.
        total_cost: in US dollars; ``None`` where that of any of its calls of models is not known.
        unpriced_json: JSON object of how many calls of which models have no known cost; ``None`` where there are none.
    """

    position: int
    repetition_number: int
    example_id: str
    output_json: str | None
    error: str | None
    start_time: float
    end_time: float
    attempts: int = 1
    token_count: int | None = None
    total_cost: float | None = None
    trace_id: str | None = None
    metadata_json: str | None = None
    latency_ms: float | None = None
    unpriced_json: str | None = None

    @property
    def key(self) -> Key:
        """Which run of its experiment it is."""
        return self.position, self.repetition_number

    @property
    def output(self) -> Any:
        """The output itself."""
        return loads(self.output_json)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata themselves; empty where there are none."""
        return {} if self.metadata_json is None else orjson.loads(self.metadata_json)

    def view(self, ids: RunIds) -> ExperimentRun:
        """The run as people get it."""
        return ExperimentRun(
            id=ids.shown(self.key),
            experiment_id=ids.remote_experiment_id or ids.experiment_id,
            example_id=self.example_id,
            repetition_number=self.repetition_number,
            output=self.output,
            error=self.error,
            status="ok" if self.error is None else "error",
            start_time=to_datetime(self.start_time),
            end_time=to_datetime(self.end_time),
            latency_ms=self.latency_ms,
            token_count=self.token_count,
            total_cost=self.total_cost,
            trace_id=self.trace_id,
            attempts=self.attempts,
            metadata=self.metadata,
        )


class EvaluationRecord(NamedTuple):
    """What an evaluator, or with the kind ``HUMAN`` a person, said of a run; with an error there is no score.

    Attributes:
        position, repetition_number: of the run.
        evaluator: who has given it; `name` differs where one gives several evaluations.
        fingerprint: of the evaluator as it was then, where that is known.
        explanation: the text, of a person's annotation.
        metadata_json: JSON object; of a person's annotation, it says who has given it.
        end_time: of a person's annotation, when it was written.
        token_count, total_cost, unpriced_json: of the evaluator's call, as of a run; where it gave several evaluations,
            on the first of them only.
    """

    position: int
    repetition_number: int
    name: str
    evaluator: str
    annotator_kind: AnnotatorKind
    fingerprint: str = UNKNOWN_FINGERPRINT
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata_json: str | None = None
    error: str | None = None
    start_time: float = UNKNOWN_TIME
    end_time: float = UNKNOWN_TIME
    trace_id: str | None = None
    token_count: int | None = None
    total_cost: float | None = None
    unpriced_json: str | None = None

    @property
    def key(self) -> Key:
        """Which run of its experiment it is on."""
        return self.position, self.repetition_number

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata themselves; empty where there are none."""
        return {} if self.metadata_json is None else orjson.loads(self.metadata_json)

    @property
    def pending(self) -> str | None:
        """By what it is still to be made, as `Evaluation.pending` says it."""
        if self.metadata_json is None:  # of most, which need not be looked at further
            return None
        return pending_criteria(self)

    @property
    def is_annotation(self) -> bool:
        """Whether a person gave it. An evaluator may call itself ``HUMAN``, too, and is known by its fingerprint."""
        return self.annotator_kind == "HUMAN" and self.fingerprint == UNKNOWN_FINGERPRINT

    @property
    def annotator(self) -> str | None:
        """Who gave an annotation, where that is known."""
        found = self.metadata.get("annotator")
        return found if isinstance(found, str) else None

    def view(self, ids: RunIds) -> Evaluation:
        """The evaluation as people get it."""
        return Evaluation(
            id=keys.evaluation_id(ids.own(self.key), self.name),
            run_id=ids.shown(self.key),
            name=self.name,
            annotator_kind=self.annotator_kind,
            score=self.score,
            label=self.label,
            explanation=self.explanation,
            metadata=self.metadata,
            error=self.error,
            start_time=to_datetime(self.start_time),
            end_time=to_datetime(self.end_time),
            trace_id=self.trace_id,
            token_count=self.token_count,
            total_cost=self.total_cost,
        )

    def annotation(self, ids: RunIds) -> Annotation:
        """An annotation as people get it."""
        return Annotation(
            run_id=ids.shown(self.key),
            name=self.name,
            score=self.score,
            label=self.label,
            text=self.explanation,
            annotator=self.annotator,
            updated_at=to_datetime(self.end_time),
        )


class EvaluatedRun(NamedTuple):
    """A run with what was said of it: what a backend takes or has, and what is logged.

    Attributes:
        remote_id: what the backend calls the run, where one has it.
    """

    run: RunRecord
    evaluations: tuple[EvaluationRecord, ...] = ()
    remote_id: str | None = None

    @property
    def position(self) -> int:
        """The run's."""
        return self.run.position

    @property
    def repetition_number(self) -> int:
        """The run's."""
        return self.run.repetition_number

    def placed(self, position: int) -> EvaluatedRun:
        """The same with its example's position, which whoever reads a table or a backend's answer does not know."""
        run = self.run._replace(position=position)
        evaluations = (
            one._replace(position=position, repetition_number=run.repetition_number) for one in self.evaluations
        )
        return self._replace(run=run, evaluations=tuple(evaluations))


def annotation_metadata(annotator: str | None) -> dict[str, str] | None:
    """What a backend gets as the metadata of a person's annotation: they have no other place for who has given it."""
    return {"annotator": annotator} if annotator else None


def annotation_record(
    position: int,
    repetition_number: int,
    name: str,
    score: float | None,
    label: str | None,
    text: str | None,
    annotator: str | None,
    updated_at: float,
) -> EvaluationRecord:
    """The record of a person's annotation, of what the store keeps of it."""
    metadata = json_text(annotation_metadata(annotator))
    said = (score, label, text, metadata, None, updated_at, updated_at)
    return EvaluationRecord(position, repetition_number, name, name, "HUMAN", UNKNOWN_FINGERPRINT, *said)


def json_text(value: Mapping[str, Any] | None) -> str | None:
    """JSON text of metadata that are JSON already; ``None`` where there are none."""
    return orjson.dumps(value).decode() if value else None
