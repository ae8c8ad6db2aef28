"""From a table of results that were made elsewhere to runs, understood and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from prefect_experiments.datasets.logged import cells
from prefect_experiments.datasets.logged.columns import AX_TIMESTAMP, Columns, choose_columns
from prefect_experiments.datasets.logged.records import LoggedResults, LoggedRun
from prefect_experiments.datasets.logged.verdicts import read_verdicts
from prefect_experiments.datasets.scalars import is_blank, python_scalar
from prefect_experiments.datasets.tables import Table, read_table
from prefect_experiments.errors import InvalidDataset, unknown_value
from prefect_experiments.models import EvaluationResultFieldNames, ExperimentTaskFieldNames

NO_REASON = "failed; the results give no reason"
MOST_REPETITIONS = 1000
_STATUSES = {"ok": False, "success": False, "completed": False, "error": True, "failed": True}

T = TypeVar("T")


def read_results(
    source: Any,
    task_fields: ExperimentTaskFieldNames | None = None,
    evaluator_columns: Mapping[str, EvaluationResultFieldNames] | None = None,
    *,
    types: Mapping[str, str] | None = None,
) -> LoggedResults:
    """Results that were made elsewhere.

    Args:
        source: see `read_table`.
        task_fields: the columns of the example's id and of the output; default, ``example_id`` and
            ``output``.
        evaluator_columns: by evaluator, the columns of its verdicts; besides, columns shaped like
            ``eval.NAME.score`` are understood.
        types: see `read_table`.

    Raises:
        InvalidDataset: a source that cannot be read, a column that is not there, or a cell that
            cannot be what its column says; with column, row (from 1) and the value.
        InvalidSetting: columns that are named in a way that cannot be used.
    """
    table = read_table(source, types=types, name="experiment_runs")
    columns = choose_columns(table, task_fields, evaluator_columns)
    errors = _errors(table, columns)
    outputs = cells.json_texts(table.columns[columns.output], table.where(columns.output))
    verdicts, unscored = read_verdicts(table, columns, errors)
    runs = zip(
        range(1, table.rows + 1),
        cells.identifiers(table.columns[columns.example_id], table.where(columns.example_id)),
        _read(table, columns, "repetition_number", _repetitions, 1),
        [None if error else output or "null" for output, error in zip(outputs, errors, strict=True)],
        errors,
        _read(table, columns, "latency_ms", _not_negative, None),
        *_moments(table, columns),
        _read(table, columns, "token_count", _counts, None),
        _read(table, columns, "total_cost", cells.numbers, None),
        _read(table, columns, "trace_id", _trace_ids, None),
        _metadata(table, columns, errors, outputs),
        verdicts,
        strict=True,
    )
    return LoggedResults(
        origin=table.origin,
        runs=tuple(LoggedRun(*run) for run in runs),
        evaluators=tuple((name, found.kind) for name, found in columns.evaluators.items()),
        metadata=tuple(columns.metadata),
        unscored=unscored,
    )


def _read(
    table: Table, columns: Columns, role: str, read: Callable[[Sequence[Any], str], list[T]], default: T
) -> list[T]:
    """The cells of the column that has a role, or a default for each row."""
    column = columns.known.get(role)
    return [default] * table.rows if column is None else read(table.columns[column], table.where(column))


def _errors(table: Table, columns: Columns) -> list[str | None]:
    """Why each run has failed, ``None`` where it has not."""
    errors = _read(table, columns, "error", _reasons, None)
    failed = _read(table, columns, "status", _have_failed, False)
    return [error or (NO_REASON if has_failed else None) for error, has_failed in zip(errors, failed, strict=True)]


def _reasons(column: Sequence[Any], where: str) -> list[str | None]:
    named: list[Any] = []
    for row, cell in enumerate(map(python_scalar, column), 1):
        if isinstance(cell, int | float) and not isinstance(cell, bool) and not is_blank(cell):
            raise InvalidDataset(
                f"{where}, row {row}: {cell!r} is a number; the error of a run is a text, blank where it is ok. "
                "If it means something else, rename the column, and it is kept as metadata"
            )
        named.append((NO_REASON if cell else None) if isinstance(cell, bool) else cell)
    return cells.texts(named, where, blank_is_missing=True, objects=True)


def _have_failed(column: Sequence[Any], where: str) -> list[bool]:
    failed = []
    for row, cell in enumerate(column, 1):
        word = "ok" if is_blank(cell) else str(cell).strip().lower()
        if word not in _STATUSES:
            problem = unknown_value("status", str(cell)[:40], list(_STATUSES))
            raise InvalidDataset(
                f"{where}, row {row}: {problem}. If it means something else, rename the column, and it is kept as "
                "metadata"
            )
        failed.append(_STATUSES[word])
    return failed


def _repetitions(column: Sequence[Any], where: str) -> list[int]:
    found = cells.whole_numbers(column, where, least=1, most=MOST_REPETITIONS)
    for row, number in enumerate(found, 1):
        if number is None:
            raise InvalidDataset(f"{where}, row {row} is empty; repetitions count from 1")
    return [number or 1 for number in found]


def _moments(table: Table, columns: Columns) -> tuple[list[float | None], list[float | None]]:
    """When each run began and ended, where that is known."""
    read = _milliseconds if columns.known.get("start_time") == AX_TIMESTAMP else cells.moments
    starts = _read(table, columns, "start_time", read, None)
    ends = _read(table, columns, "end_time", cells.moments, None)
    for row, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        if start is not None and end is not None and start > end:
            raise InvalidDataset(f"{table.origin}: row {row}: the start_time is after the end_time")
    return starts, ends


def _milliseconds(column: Sequence[Any], where: str) -> list[float | None]:
    return [None if number is None else number / 1000 for number in cells.numbers(column, where)]


def _not_negative(column: Sequence[Any], where: str) -> list[float | None]:
    found = cells.numbers(column, where)
    for row, number in enumerate(found, 1):
        if number is not None and number < 0:
            raise InvalidDataset(f"{where}, row {row} must be milliseconds from 0 on, got {number:g}")
    return found


def _counts(column: Sequence[Any], where: str) -> list[int | None]:
    return cells.whole_numbers(column, where, least=0)


def _trace_ids(column: Sequence[Any], _where: str) -> list[str | None]:
    return cells.trace_ids(column) or [None] * len(column)  # those of another sort go to the metadata


def _metadata(
    table: Table, columns: Columns, errors: Sequence[str | None], outputs: Sequence[str | None]
) -> list[str | None]:
    """What else is known of each run, as the JSON text of an object."""
    found: list[dict[str, Any]] = [{} for _ in errors]
    sources = dict(columns.metadata)
    trace = columns.known.get("trace_id")
    if trace is not None and cells.trace_ids(table.columns[trace]) is None:
        sources[trace] = trace
    for key, column in sources.items():
        texts = cells.json_texts(table.columns[column], table.where(column), blank_is_missing=table.is_text)
        for place, text in enumerate(texts):
            if text is not None:
                found[place][key] = orjson.Fragment(text)
    if columns.metadata_object is not None:
        _add_objects(table, columns.metadata_object, found)
    for place, (error, output) in enumerate(zip(errors, outputs, strict=True)):
        if error is not None and output not in (None, '""'):
            found[place].setdefault("output", orjson.Fragment(output))  # a failed run has none; it is not lost
    return [orjson.dumps(each).decode() if each else None for each in found]


def _add_objects(table: Table, column: str, found: Sequence[dict[str, Any]]) -> None:
    where = table.where(column)
    objects = [_object(cell, where, row) for row, cell in enumerate(table.columns[column], 1)]
    for row, text in enumerate(cells.json_texts(objects, where), 1):
        for key, value in (orjson.loads(text) if text else {}).items():
            if key in found[row - 1]:
                raise InvalidDataset(
                    f"{where}, row {row} has the field {key!r}, and there is a column of that name as well. "
                    "Rename one of them"
                )
            found[row - 1][key] = value


def _object(cell: Any, where: str, row: int) -> Mapping[Any, Any] | None:
    """The object in a cell, also as its JSON text; ``None`` for an empty cell."""
    if isinstance(cell, Mapping):
        return cell
    if is_blank(cell):
        return None
    try:
        value = orjson.loads(cell) if isinstance(cell, str) else None
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise InvalidDataset(f"{where}, row {row} must be an object, or the JSON text of one")
    return value
