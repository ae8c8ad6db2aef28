"""Records to rows of the tables and back: the one place that knows the order of the columns.

A record's fields are the columns after ``experiment_id``, in their order. On the way in, text is made such that every
database takes it (`sanitize`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect_experiments.jsonable import dumps_lenient
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.store.database import Forms
from prefect_experiments.store.tables import evaluations, experiment_runs, run_annotations
from prefect_experiments.texts import plain_text

RUN_COLUMNS = tuple(experiment_runs.c)[1:]
"""What a `RunRecord` is made of; likewise `EVALUATION_COLUMNS`, and `ANNOTATION_COLUMNS` for `annotation_record`."""
EVALUATION_COLUMNS = tuple(evaluations.c)[1:]
ANNOTATION_COLUMNS = tuple(run_annotations.c)[1:]


def run_values(experiment_id: str, run: RunRecord) -> tuple[Any, ...]:
    """The row of a run in `experiment_runs`."""
    if run.error is not None:
        run = run._replace(error=plain_text(run.error))
    return experiment_id, *run


def evaluation_values(experiment_id: str, evaluation: EvaluationRecord) -> tuple[Any, ...]:
    """The row of an evaluation in `evaluations`."""
    return (  # one by one: `_replace` would take twice as long, and there is one for each evaluation
        experiment_id,
        evaluation.position,
        evaluation.repetition_number,
        plain_text(evaluation.name),
        plain_text(evaluation.evaluator),
        evaluation.annotator_kind,
        evaluation.fingerprint,
        evaluation.score,
        evaluation.label and plain_text(evaluation.label),
        evaluation.explanation and plain_text(evaluation.explanation),
        evaluation.metadata_json,
        evaluation.error and plain_text(evaluation.error),
        evaluation.start_time,
        evaluation.end_time,
        evaluation.trace_id,
        evaluation.token_count,
        evaluation.total_cost,
        evaluation.unpriced_json,
    )


def run_forms(experiment_id: str, run: RunRecord) -> Forms:
    """The row of a run; where the database refuses it, with its figures among the metadata; at last, with the error."""
    figures: dict[str, Any] = {name: getattr(run, name) for name in ("token_count", "total_cost", "trace_id")}
    none: dict[str, Any] = dict.fromkeys(figures)
    return (
        lambda _: run_values(experiment_id, run),
        lambda _: run_values(experiment_id, run._replace(**none, metadata_json=_beside(run, figures))),
        lambda why: run_values(
            experiment_id,
            run._replace(**none, output_json=None, metadata_json=None, latency_ms=None, error=why),
        ),
    )


def evaluation_forms(experiment_id: str, evaluation: EvaluationRecord) -> Forms:
    """The row of an evaluation; where the database refuses it, with that as its error."""
    nothing: dict[str, Any] = dict.fromkeys(("score", "label", "explanation", "metadata_json", "trace_id"))
    return (
        lambda _: evaluation_values(experiment_id, evaluation),
        lambda why: evaluation_values(experiment_id, evaluation._replace(**nothing, error=why)),
    )


def _beside(run: RunRecord, figures: Mapping[str, Any]) -> str:
    known = {name: value for name, value in figures.items() if value is not None}
    return dumps_lenient({**run.metadata, **known})[0]


def annotation_values(experiment_id: str, annotation: EvaluationRecord) -> tuple[Any, ...]:
    """The row of a person's annotation in `annotations`."""
    texts = (annotation.label, annotation.explanation, annotation.annotator)
    label, text, annotator = (text and plain_text(text) for text in texts)
    key = (experiment_id, *annotation.key, plain_text(annotation.name))
    return (*key, annotation.score, label, text, annotator, annotation.end_time)
