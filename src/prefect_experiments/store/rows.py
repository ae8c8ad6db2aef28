"""Records to rows of the tables and back: the one place that knows the order of the columns.

A record's fields are the columns after ``experiment_id``, in their order. On the way in, text is made such that every
database takes it (`sanitize`).
"""

from __future__ import annotations

from typing import Any

from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.store.sanitize import plain_text
from prefect_experiments.store.tables import evaluations, experiment_runs, run_annotations

RUN_COLUMNS = tuple(experiment_runs.c)[1:]
"""What a `RunRecord` is made of; likewise `EVALUATION_COLUMNS`, and `ANNOTATION_COLUMNS` for `annotation_record`."""
EVALUATION_COLUMNS = tuple(evaluations.c)[1:]
ANNOTATION_COLUMNS = tuple(run_annotations.c)[1:]


def run_values(experiment_id: str, run: RunRecord) -> tuple[Any, ...]:
    """The row of a run in `experiment_runs`."""
    position, repetition_number, example_id, output, error, *rest = run
    return experiment_id, position, repetition_number, example_id, output, error and plain_text(error), *rest


def evaluation_values(experiment_id: str, evaluation: EvaluationRecord) -> tuple[Any, ...]:
    """The row of an evaluation in `evaluations`."""
    position, repetition, name, evaluator, kind, fingerprint, score, label, why, metadata, error, *rest = evaluation
    return (
        *(experiment_id, position, repetition, plain_text(name), plain_text(evaluator), kind, fingerprint, score),
        *(label and plain_text(label), why and plain_text(why), metadata, error and plain_text(error), *rest),
    )


def annotation_values(experiment_id: str, annotation: EvaluationRecord) -> tuple[Any, ...]:
    """The row of a person's annotation in `annotations`."""
    texts = (annotation.label, annotation.explanation, annotation.annotator)
    label, text, annotator = (text and plain_text(text) for text in texts)
    key = (experiment_id, *annotation.key, plain_text(annotation.name))
    return (*key, annotation.score, label, text, annotator, annotation.end_time)
