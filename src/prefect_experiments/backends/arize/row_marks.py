"""What AX's columns of a run and its evaluations cannot hold, in one further column, `MARK`, as JSON text.

It is there where it says something: when the run began and ended to the last digit (AX has milliseconds), the state of
the task and of each evaluator, an evaluator's kind, and which metadata are values that AX has as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from prefect_experiments.backends.arize.rows import Row, mark_of
from prefect_experiments.backends.marks import evaluation_mark
from prefect_experiments.models import AnnotatorKind
from prefect_experiments.records import UNKNOWN_FINGERPRINT, EvaluatedRun, EvaluationRecord


@dataclass(frozen=True, slots=True)
class RunMark:
    """What the mark of a row says.

    Attributes:
        is_ours: whether the row has one.
        times: when the run began and ended, in seconds since the epoch.
        task_fingerprint: of the task.
        evaluations: by name.
    """

    is_ours: bool = False
    times: tuple[float, float] | None = None
    task_fingerprint: str | None = None
    evaluations: Mapping[str, Row] = field(default_factory=dict)

    def of_evaluation(self, name: str, metadata: Mapping[str, Any]) -> tuple[AnnotatorKind, str, str, Row]:
        """What an evaluation's columns do not have, or not as it was: kind, evaluator, fingerprint and metadata."""
        mark = self.evaluations.get(name, {})
        as_text = [key for key in mark.get("json", ()) if isinstance(metadata.get(key), str | None)]
        as_it_was = {**metadata, **{key: _loaded(metadata.get(key)) for key in as_text}}
        evaluator, fingerprint = mark.get("evaluator") or name, mark.get("fingerprint", UNKNOWN_FINGERPRINT)
        return mark.get("kind", "CODE"), evaluator, fingerprint, as_it_was


def run_mark(given: EvaluatedRun, *, task_fingerprint: str | None, with_times: bool) -> str | None:
    """The mark of a row, as JSON text; ``None`` where it has nothing to say."""
    mark: Row = {}
    if with_times:
        mark["times"] = [given.run.start_time, given.run.end_time]
    if task_fingerprint is not None:
        mark["task"] = task_fingerprint
    evaluations = {evaluation.name: said for evaluation in given.evaluations if (said := _said(evaluation))}
    if evaluations:
        mark["evaluations"] = evaluations
    return orjson.dumps(mark).decode() if mark else None


def metadata_columns(evaluation: EvaluationRecord) -> Row:
    """The metadata of an evaluation as AX takes them: plain values, and others as JSON text."""
    return {key: value if _is_plain(value) else json.dumps(value) for key, value in evaluation.metadata.items()}


def read_mark(row: Mapping[str, Any]) -> RunMark:
    """What the mark of a row says; nothing where there is none, or somebody else's column of that name."""
    mark = mark_of(row)
    if not mark.keys() & {"times", "task", "evaluations"}:
        return RunMark()
    times = mark.get("times")
    return RunMark(True, (times[0], times[1]) if times else None, mark.get("task"), mark.get("evaluations") or {})


def _said(evaluation: EvaluationRecord) -> Row:
    said: Row = dict(evaluation_mark(evaluation))
    if evaluation.annotator_kind != "CODE":
        said["kind"] = evaluation.annotator_kind
    if as_text := [key for key, value in evaluation.metadata.items() if value is None or not _is_plain(value)]:
        said["json"] = as_text
    return said


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _loaded(text: str | None) -> Any:
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:  # somebody has changed it there
        return text
