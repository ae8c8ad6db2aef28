"""Verdicts among logged results: each evaluator's columns as one verdict a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from prefect_experiments.datasets.logged import cells
from prefect_experiments.datasets.logged.columns import Columns, VerdictColumns
from prefect_experiments.datasets.logged.records import LoggedVerdict
from prefect_experiments.datasets.tables import Table
from prefect_experiments.models import AnnotatorKind

_NOTHING = (None, None, None, None)


def read_verdicts(
    table: Table, columns: Columns, errors: Sequence[str | None]
) -> tuple[list[tuple[LoggedVerdict, ...]], int]:
    """The verdicts on each row.

    A failed run is not scored as if it had an output: an evaluator's verdicts on it are left out,
    a person's are not.

    Args:
        table: the results.
        columns: which are whose.
        errors: why each run has failed; ``None`` where it has not.

    Returns:
        The verdicts, and how many failed runs have lost some.

    Raises:
        InvalidDataset: a cell that cannot be what its column says.
    """
    found: list[list[LoggedVerdict]] = [[] for _ in errors]
    unscored: set[int] = set()
    for name, evaluator in columns.evaluators.items():
        for row, verdict in enumerate(_of(table, name, evaluator, evaluator.kind)):
            if verdict is not None and errors[row] is not None:
                unscored.add(row)
            elif verdict is not None:
                found[row].append(verdict)
    for name, person in columns.people.items():
        for row, verdict in enumerate(_of(table, name, person, "HUMAN")):
            if verdict is not None:
                found[row].append(verdict)
    return [tuple(each) for each in found], len(unscored)


def _of(table: Table, name: str, columns: VerdictColumns, kind: AnnotatorKind) -> list[LoggedVerdict | None]:
    """The verdicts of one evaluator or person; ``None`` where there is none."""
    nothing: list[Any] = [None] * table.rows
    keyed = dict(columns.metadata)

    def texts(part: str, *, objects: bool = False) -> list[str | None]:
        column = columns.parts.get(part)
        if column is None:
            return nothing
        found, where = table.columns[column], table.where(column)
        return cells.texts(found, where, blank_is_missing=table.is_text, objects=objects)

    score, trace = columns.parts.get("score"), columns.parts.get("trace_id")
    scores = nothing if score is None else cells.numbers(table.columns[score], table.where(score))
    traces = None if trace is None else cells.trace_ids(table.columns[trace])
    if trace is not None and traces is None:
        keyed["trace.id"] = trace  # an id of another sort: it is kept, as it is
    parts = zip(
        scores,
        texts("label"),
        texts("text" if "text" in columns.parts else "explanation", objects=True),
        _metadata(table, keyed),
        texts("error", objects=True),
        traces or nothing,
        strict=True,
    )
    return [_verdict(name, kind, *each) for each in parts]


def _verdict(
    name: str,
    kind: AnnotatorKind,
    score: float | None,
    label: str | None,
    explanation: str | None,
    metadata: str | None,
    error: str | None,
    trace_id: str | None,
) -> LoggedVerdict | None:
    if error:  # who could not judge has given no score
        return LoggedVerdict(name, kind, metadata=metadata, error=error, trace_id=trace_id)
    given = (score, label, explanation, metadata)
    return None if given == _NOTHING else LoggedVerdict(name, kind, *given, trace_id=trace_id)


def _metadata(table: Table, columns: dict[str, str]) -> list[str | None]:
    """The JSON text of the objects that columns make, by key."""
    keyed = {
        key: cells.json_texts(table.columns[column], table.where(column), blank_is_missing=table.is_text)
        for key, column in columns.items()
    }
    found: list[str | None] = []
    for row in range(table.rows):
        each = {key: orjson.Fragment(text) for key, column in keyed.items() if (text := column[row]) is not None}
        found.append(orjson.dumps(each).decode() if each else None)
    return found
