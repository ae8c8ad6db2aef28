"""What we write beside the results in a backend, so that another machine can go on with them: under one name.

It says which state of an evaluator has given an evaluation, and of which state of a task. Whoever reads results here
gets them without it. (Arize AX has it in a column of each row; see `arize.row_marks`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect_experiments.origin import MARK
from prefect_experiments.records import UNKNOWN_FINGERPRINT, EvaluationRecord


def evaluation_mark(evaluation: EvaluationRecord, task_fingerprint: str | None = None) -> dict[str, str]:
    """What is to be known of an evaluation besides itself; nothing of one that was made elsewhere."""
    if evaluation.fingerprint == UNKNOWN_FINGERPRINT:
        return {}
    mark = {"fingerprint": evaluation.fingerprint}
    if evaluation.evaluator != evaluation.name:
        mark["evaluator"] = evaluation.evaluator
    if task_fingerprint is not None:
        mark["task"] = task_fingerprint
    return mark


def marked_metadata(evaluation: EvaluationRecord, task_fingerprint: str | None = None) -> dict[str, Any]:
    """The metadata of an evaluation with our mark; a key of that name that was there stays."""
    found, mark = evaluation.metadata, evaluation_mark(evaluation, task_fingerprint)
    return {**found, MARK: mark} if mark and MARK not in found else found


def unmarked(metadata: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metadata of an evaluation without our mark, and the mark."""
    found = dict(metadata or {})
    if not is_ours(found.get(MARK)):
        return found, {}
    mark = found.pop(MARK)
    return found, dict(mark)


def is_ours(mark: Any) -> bool:
    """Whether what stands under our name was written by us."""
    return isinstance(mark, Mapping) and isinstance(mark.get("fingerprint"), str)
