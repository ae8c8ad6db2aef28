"""From a table of results to runs, understood and checked: the one reader, whoever asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from prefect_experiments.datasets.scalars import is_blank, is_missing
from prefect_experiments.datasets.tables import Table, read_table
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import EvaluationResultFieldNames, ExperimentTaskFieldNames
from prefect_experiments.records import UNKNOWN_TIME, UNPLACED, RunRecord, json_text
from prefect_experiments.results import coerce
from prefect_experiments.results.evaluations import read_evaluations
from prefect_experiments.results.schema import (
    EXAMPLE_ID,
    EXPECTED,
    METADATA,
    METADATA_VALUE,
    OTHER_TRACE_ID,
    VALUE,
    Columns,
    EvaluationColumns,
    Role,
    choose_columns,
)
from prefect_experiments.results.table import (
    ANNOTATION_PARTS,
    EVALUATION_PARTS,
    USED_PARTS,
    ResultEvaluator,
    ResultRun,
    Results,
)

_PLAIN = frozenset({str, int, float, bool, dict, list, type(None)})
_FIGURES = ("latency_ms", "start_time", "end_time", "token_count", "total_cost", "trace_id")


def read_results(
    source: Any,
    task_fields: ExperimentTaskFieldNames | None = None,
    evaluator_columns: Mapping[str, EvaluationResultFieldNames] | None = None,
    *,
    needs: Collection[str] = ("example_id", "output"),
    alone: bool = False,
    types: Mapping[str, str] | None = None,
) -> Results:
    """Results in a table.

    Args:
        source: see `read_table`; also a mapping of column to values.
        task_fields: the columns of the example's id and of the output; default, ``example_id`` and
            ``output``.
        evaluator_columns: by evaluator, the columns of its evaluations; besides, columns shaped like
            ``eval.NAME.score`` are understood.
        needs: which of ``example_id`` and ``output`` must be there.
        alone: the results belong to no dataset: ``id`` will do for the example's id, and none as well.
        types: see `read_table`.

    Raises:
        InvalidDataset: a source that cannot be read, a column that is not there, or a cell that
            cannot be what its column says; with column, row (as the source counts) and the value.
        InvalidSetting: columns that are named in a way that cannot be used.
    """
    table = read_table(_rows_of_columns(source), types=types, name="the results")
    columns = choose_columns(table, task_fields, evaluator_columns, needs=("output",) if alone else needs, alone=alone)
    return Results(
        origin=table.origin,
        runs=tuple(_runs(table, columns)),
        evaluators=tuple(_evaluator(*item, (*EVALUATION_PARTS, *USED_PARTS)) for item in columns.evaluators.items()),
        people=tuple(_evaluator(*item, ANNOTATION_PARTS) for item in columns.people.items()),
        metadata=tuple(columns.metadata),
        columns=frozenset(_own_shape(columns)),
        others=_others(table, columns),
    )


def _evaluator(name: str, columns: EvaluationColumns, known: Sequence[str]) -> ResultEvaluator:
    given = {"text" if part == "explanation" and part not in known else part for part in columns.parts}
    return ResultEvaluator(name, columns.kind, tuple(part for part in known if part in given))


def _rows_of_columns(source: Any) -> Any:
    """A mapping of column to values as rows; anything else as it is."""
    if not isinstance(source, Mapping) or hasattr(source, "to_dataframe"):
        return source
    lists = {name: list(column) for name, column in source.items() if _is_column(column)}
    if len(lists) != len(source) or len({len(column) for column in lists.values()}) > 1:
        raise InvalidDataset("a mapping of results must give a list for each column, all as long")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _is_column(value: Any) -> bool:
    return not isinstance(value, str | bytes | Mapping) and hasattr(value, "__iter__")


def _runs(table: Table, columns: Columns) -> list[ResultRun]:
    def known(role: str, default: Any = None) -> list[Any]:
        column = columns.known.get(role)
        return [default] * table.rows if column is None else _read(table, column, columns.role(role))

    def value(column: str | None, role: Role = VALUE) -> list[Any]:
        return [None] * table.rows if column is None else _read(table, column, role)

    ids = [""] * table.rows if columns.example_id is None else _read(table, columns.example_id, EXAMPLE_ID)
    errors = [
        error or (coerce.NO_REASON if has_failed else None)
        for error, has_failed in zip(known("error"), known("status", default=False), strict=True)
    ]
    outputs = value(columns.output)
    figures = {name: known(name) for name in _FIGURES}
    _check_times(table, figures)
    parts = zip(
        table.numbers,
        ids,
        known("repetition_number", default=1),
        value(columns.shown.get("input")),
        value(columns.shown.get("expected"), EXPECTED),
        outputs,
        errors,
        *figures.values(),
        _metadata(table, columns, has_other_ids=None in figures["trace_id"]),
        read_evaluations(table, _read, columns.evaluators),
        read_evaluations(table, _read, columns.people, "HUMAN"),
        strict=True,
    )
    return [_as_run(*each) for each in parts]


def _as_run(row: int, name: str, repetition: int, given: Any, expected: Any, output: Any, *rest: Any) -> ResultRun:
    error, latency, start, end, tokens, cost, trace_id, metadata, evaluations, annotations = rest
    if error is not None and output not in (None, ""):  # a failed run has no output; what stands there is not lost
        metadata.setdefault("output", output)
    run = RunRecord(
        UNPLACED,
        repetition,
        name,
        output_json=None if error is not None else orjson.dumps(output).decode(),
        error=error,
        start_time=UNKNOWN_TIME if start is None else start,
        end_time=UNKNOWN_TIME if end is None else end,
        token_count=tokens,
        total_cost=cost,
        trace_id=trace_id,
        metadata_json=json_text(metadata),
        latency_ms=latency,
    )
    return ResultRun(row, run, given, expected, evaluations, annotations)


def _read(table: Table, column: str, role: Role) -> list[Any]:
    """What the cells of a column say; ``None`` for those that are missing.

    Raises:
        InvalidDataset: a cell that cannot be what its column says.
    """
    blank_is_missing = role.blank == "nothing" or (role.blank == "either" and table.is_text)
    found: list[Any] = []
    read = role.read
    for number, cell in zip(table.numbers, table.columns[column], strict=True):
        if cell is None and not role.needed:
            found.append(None)
            continue
        value = cell if type(cell) in _PLAIN else coerce.plain(cell)
        is_text = isinstance(value, str)
        missing = blank_is_missing and (not value or value.isspace()) if is_text else is_missing(value)
        if missing and role.needed:
            raise InvalidDataset(f"{table.where(column)}, row {number}{role.needed}")
        try:
            found.append(None if missing else read(value))
        except coerce.Unfit as unfit:
            raise InvalidDataset(f"{table.where(column)}, row {number}{unfit}") from None
    return found


def _check_times(table: Table, figures: Mapping[str, Sequence[float | None]]) -> None:
    for row, start, end in zip(table.numbers, figures["start_time"], figures["end_time"], strict=True):
        if start is not None and end is not None and start > end:
            raise InvalidDataset(f"{table.origin}: row {row}: the start_time is after the end_time")


def _metadata(table: Table, columns: Columns, *, has_other_ids: bool) -> list[dict[str, Any]]:
    """What else is known of each run; also its trace's id, if that is of another sort than OpenTelemetry's."""
    found: list[dict[str, Any]] = [{} for _ in range(table.rows)]
    sources = [(key, column, METADATA_VALUE) for key, column in columns.metadata.items()]
    if (trace := columns.known.get("trace_id")) is not None and has_other_ids:
        sources.append((trace, trace, OTHER_TRACE_ID))
    for key, column, role in sources:
        for place, value in enumerate(_read(table, column, role)):
            if value is not None:
                found[place][key] = value
    if columns.metadata_object is not None:
        _add_objects(table, columns.metadata_object, found)
    return found


def _add_objects(table: Table, column: str, found: Sequence[dict[str, Any]]) -> None:
    for row, own, given in zip(table.numbers, found, _read(table, column, METADATA), strict=True):
        for key, value in (given or {}).items():
            if key in own:
                raise InvalidDataset(
                    f"{table.where(column)}, row {row} has the field {key!r}, and there is a column of that name as "
                    "well. Rename one of them"
                )
            own[key] = value


def _own_shape(columns: Columns) -> list[str]:
    """The columns of our own shape that the table has, under whatever name."""
    named = {"example_id": columns.example_id, "output": columns.output}
    return [*(name for name, column in named.items() if column is not None), *columns.shown, *columns.known]


def _others(table: Table, columns: Columns) -> dict[str, list[Any]]:
    """The columns that are not of our own shape, as they are; but objects of metadata are objects."""
    understood = {*_own_shape(columns), *(c for own in columns.evaluators.values() for c in own.parts.values())}
    understood |= {column for own in columns.people.values() for column in own.parts.values()}
    found = {name: column for name, column in table.columns.items() if name not in understood}
    if table.is_text:  # a missing cell is written as an empty one
        found = {name: [None if is_blank(cell) else cell for cell in column] for name, column in found.items()}
    if (column := columns.metadata_object) is not None:
        found[column] = _read(table, column, METADATA)
    return found


def refuse_doubles(results: Results) -> None:
    """Refuse an example's repetition that stands in two rows.

    Raises:
        InvalidDataset: one does; with both rows.
    """
    first: dict[tuple[str, int], ResultRun] = {}
    for run in results.runs:
        key = (run.example_id, run.repetition_number)
        if (earlier := first.setdefault(key, run)) is not run:
            numbered = "repetition_number" in results.columns
            hint = "number the repetitions" if numbered else "add a column 'repetition_number'"
            raise InvalidDataset(
                f"{results.origin}: example {key[0]!r}, repetition {key[1]} stands in row {earlier.row} and in row "
                f"{run.row}. Drop one, or {hint}"
            )
