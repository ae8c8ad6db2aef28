"""Evaluations in a results table: each evaluator's columns as one evaluation a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prefect_experiments.datasets.tables import Table
from prefect_experiments.models import AnnotatorKind
from prefect_experiments.records import UNKNOWN_FINGERPRINT, UNPLACED, EvaluationRecord, json_text
from prefect_experiments.results.schema import EVALUATION_ROLES, METADATA_VALUE, OTHER_TRACE_ID, EvaluationColumns, Role
from prefect_experiments.results.table import USED_PARTS

Read = Callable[[Table, str, Role], list[Any]]
Found = list[dict[str, EvaluationRecord]]


def read_evaluations(
    table: Table, read: Read, columns: Mapping[str, EvaluationColumns], kind: AnnotatorKind | None = None
) -> Found:
    """The evaluations on each row, by name.

    Args:
        table: the results.
        read: gives what the cells of a column say.
        columns: by evaluator or person.
        kind: what gave them; default, as the columns say.

    Raises:
        InvalidDataset: a cell that cannot be what its column says.
    """
    found: Found = [{} for _ in range(table.rows)]
    for name, own in columns.items():
        for row, evaluation in enumerate(_of(table, read, name, own, kind or own.kind)):
            if evaluation is not None:
                found[row][name] = evaluation
    return found


def _of(
    table: Table, read: Read, name: str, columns: EvaluationColumns, kind: AnnotatorKind
) -> Iterable[EvaluationRecord | None]:
    """The evaluations of one evaluator or person; ``None`` where there is none."""
    nothing: list[Any] = [None] * table.rows

    def part(role: str, column: str | None) -> list[Any]:
        return nothing if column is None else read(table, column, EVALUATION_ROLES[role])

    given = columns.parts
    metadata = {key: read(table, column, METADATA_VALUE) for key, column in columns.metadata.items()}
    if (trace := given.get("trace_id")) is not None:  # an id of another sort is kept, as it is
        metadata["trace.id"] = read(table, trace, OTHER_TRACE_ID)
    parts = zip(
        part("score", given.get("score")),
        part("label", given.get("label")),
        part("explanation", given.get("text", given.get("explanation"))),
        _objects(metadata, table.rows),
        part("error", given.get("error")),
        part("trace_id", trace),
        *(part(name, given.get(name)) for name in USED_PARTS),
        strict=True,
    )
    return (_evaluation(name, kind, *each) for each in parts)


def _evaluation(
    name: str,
    kind: AnnotatorKind,
    score: float | None,
    label: str | None,
    explanation: str | None,
    metadata: Mapping[str, Any],
    error: str | None,
    trace_id: str | None,
    token_count: int | None,
    total_cost: float | None,
) -> EvaluationRecord | None:
    if error is not None:  # who could not judge has given no score
        score = label = explanation = None
    elif (score, label, explanation, token_count, total_cost) == (None,) * 5 and not metadata:
        return None
    return EvaluationRecord(
        UNPLACED,
        1,
        name,
        name,
        kind,
        UNKNOWN_FINGERPRINT,
        score,
        label,
        explanation,
        json_text(metadata),
        error,
        trace_id=trace_id,
        token_count=token_count,
        total_cost=total_cost,
    )


def _objects(columns: Mapping[str, list[Any]], rows: int) -> list[dict[str, Any]]:
    """The objects that columns make, by key; without what is missing."""
    if not columns:
        return [{} for _ in range(rows)]
    return [{key: cell for key, cells in columns.items() if (cell := cells[row]) is not None} for row in range(rows)]
