"""AX's experiment runs on one side, our runs with their evaluations on the other.

A run in AX is one flat row that is never changed: the output as text, and the evaluations made until then in columns
``eval.NAME.score`` and so on. The names and their order are those that the official client's ``run()`` writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from prefect_experiments.backends.arize.row_marks import RunMark, metadata_columns, read_mark, run_mark
from prefect_experiments.backends.arize.rows import Row, to_time
from prefect_experiments.backends.marks import MARK
from prefect_experiments.models import Experiment, ExperimentRun
from prefect_experiments.store.outbox import OutgoingEvaluation, OutgoingRow
from prefect_experiments.store.times import to_datetime

_EVALUATION = re.compile(r"eval\.(.+?)\.(score|label|explanation|trace\.id|trace\.timestamp|metadata\..+)", re.DOTALL)
_JSON = "application/json"
_KNOWN = {
    *("id", "example_id", "output", "error", "annotations", "result.trace.id", "result.trace.timestamp", "latency"),
    *("latency_ms", "token_count", "total_cost", "execution_status", "exceptions", "output.mime_type"),
    *("repetition_number", MARK),
}
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is to be known of the experiment that rows are from.

    Attributes:
        repeated: whether it has repetitions, which AX does not know: they are further rows.
        logged_at: when it was logged, where it was made elsewhere. Its rows have what was logged, as the official
            client's ``create()`` has it, and nothing of how it was run; a run that ended then is one whose times
            nobody has said.
        task_fingerprint: of its task, where it is known.
    """

    repeated: bool = False
    logged_at: datetime | None = None
    task_fingerprint: str | None = None


def run_row(row: OutgoingRow, example_id: str, origin: Origin) -> Row:
    """What AX takes for a run with its evaluations.

    Args:
        row: the run.
        example_id: as AX calls the example.
        origin: the experiment.
    """
    logged = origin.logged_at is not None
    run = row.run
    text, is_json = ("", False) if run.error is not None else output_text(run.output)
    found: Row = {"example_id": example_id, "output": text}
    found.update(_logged_columns(row) if logged else _columns(row))
    if is_json:  # or nobody could tell the text "7" from the number
        found["output.mime_type"] = _JSON
    if origin.repeated:
        found["repetition_number"] = run.repetition_number
    for evaluation in row.evaluations:
        columns = _evaluation_columns(evaluation)
        if logged:
            moment = f"eval.{evaluation.name}.trace.timestamp"
            columns = {name: value for name, value in columns.items() if value is not None and name != moment}
        found.update(columns)
    mark = run_mark(
        row,
        task_fingerprint=origin.task_fingerprint,
        with_times=origin.logged_at != to_datetime(run.end_time),
    )
    if mark is not None:
        found[MARK] = mark
    return found


def _columns(row: OutgoingRow) -> Row:
    run = row.run
    return {
        "error": run.error,
        "result.trace.id": run.trace_id,
        "result.trace.timestamp": _milliseconds(run.start_time),
        "latency": run.latency_ms,
        "token_count": row.token_count,
        "total_cost": row.total_cost,
        "execution_status": "COMPLETED" if run.error is None else "FAILED",
        "exceptions": run.error or "",
    }


def _logged_columns(row: OutgoingRow) -> Row:
    run = row.run
    known = {
        "error": run.error,
        "latency_ms": run.latency_ms,
        "token_count": row.token_count,
        "total_cost": row.total_cost,
        "result.trace.id": run.trace_id,
    }
    metadata = orjson.loads(row.metadata) if row.metadata else {}
    others = {name: value for name, value in metadata.items() if name not in _KNOWN and not name.startswith("eval.")}
    return {**{name: value for name, value in known.items() if value is not None}, **others}


def output_text(output: str | None) -> tuple[str, bool]:
    """An output, given as JSON, as AX keeps it: text. And whether it was something else before.

    As the official client does it for objects and truth values. Numbers, lists and nothing, which that client cannot
    send, go as JSON.
    """
    value = None if output is None else orjson.loads(output)
    if isinstance(value, str):
        return value, False
    return (str(value) if isinstance(value, bool) else json.dumps(value)), True


def output_value(row: Mapping[str, Any]) -> Any:
    """The output of a run in AX. It is text, unless the row says what it was before."""
    text = row.get("output", "")
    if text is None:  # of a run that is ok: the empty text
        return ""
    if row.get("output.mime_type") != _JSON or not isinstance(text, str):
        return text
    if text in ("True", "False"):
        return text == "True"
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # beyond what orjson reads: a whole number of more than 64 bits
        return text


def _evaluation_columns(evaluation: OutgoingEvaluation) -> Row:
    name = f"eval.{evaluation.name}"
    found: Row = {
        f"{name}.score": evaluation.score,
        f"{name}.label": evaluation.label,
        f"{name}.explanation": evaluation.explanation,
        f"{name}.trace.id": evaluation.trace_id,
        f"{name}.trace.timestamp": _milliseconds(evaluation.start_time),
    }
    found.update((f"{name}.metadata.{key}", value) for key, value in metadata_columns(evaluation).items())
    # The official client has no place for an error: there it looks as if nothing had happened.
    if evaluation.error is not None:
        found[f"{name}.metadata.error"] = evaluation.error
    return found


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


# What a run is told by

Print = tuple[str, str, int | None]


def row_print(row: Mapping[str, Any]) -> Print:
    """Output, error and time of a row, ours or AX's: what tells the same run from another of the same example."""
    moment = row.get("result.trace.timestamp")
    found = to_time(moment) if moment is not None else None
    stamp = None if found is None else round(found.timestamp() * 1000)
    error = _error(row)
    return ("" if error else str(row.get("output") or "")), error or "", stamp


def same_print(ours: Print, theirs: Print) -> bool:
    """Whether it is the same run. A time that one side does not have is not held against it."""
    return ours[:2] == theirs[:2] and (ours[2] == theirs[2] or None in (ours[2], theirs[2]))


def _error(row: Mapping[str, Any]) -> str | None:
    if error := row.get("error"):
        return str(error)
    if row.get("execution_status") == "FAILED":
        return str(row.get("exceptions") or "failed")
    return "no output" if row.get("output") is None and row.get("execution_status") != "COMPLETED" else None


# From AX


@dataclass(frozen=True, slots=True)
class ReadRun:
    """A run as AX has it."""

    run: ExperimentRun
    evaluations: tuple[Row, ...]
    task_fingerprint: str | None = None


def to_runs(rows: Iterable[Row], experiment: Experiment, example_of: Mapping[str, str]) -> list[ReadRun]:
    """The runs of an experiment, each as it was last.

    A run that failed and was made again is there twice, for AX has no way to replace it: the ok one counts. What else
    is there several times for one example are repetitions.

    Args:
        rows: as AX lists them.
        experiment: whose.
        example_of: the examples' own ids by those that AX gave them; one that is not in it is taken as it is.
    """
    by_example: dict[str, dict[int, ReadRun]] = {}
    # Not all forms of the list are in the order in which the rows came.
    for row in sorted(rows, key=lambda row: to_time(row.get("result.trace.timestamp")) or _EPOCH):
        example_id = row.get("example_id")
        if not isinstance(example_id, str) or not isinstance(row.get("id"), str):
            continue  # of an experiment without a dataset
        there = by_example.setdefault(example_of.get(example_id, example_id), {})
        number = _repetition(row, there)
        if number in there and there[number].run.error is None and _error(row) is not None:
            continue
        there[number] = _read(row, experiment, example_of.get(example_id, example_id), number)
    return [there[number] for there in by_example.values() for number in sorted(there)]


def repetition_of(row: Mapping[str, Any]) -> int | None:
    """Which repetition a row says that it is."""
    number = row.get("repetition_number")
    return int(number) if isinstance(number, int | float) and not isinstance(number, bool) and number >= 1 else None


def _repetition(row: Row, there: Mapping[int, ReadRun]) -> int:
    if (given := repetition_of(row)) is not None:
        return given
    last = max(there, default=0)
    return last if last and there[last].run.error is not None else last + 1


def _read(row: Row, experiment: Experiment, example_id: str, number: int) -> ReadRun:
    error, mark = _error(row), read_mark(row)
    start = to_time(row.get("result.trace.timestamp")) or experiment.created_at or _EPOCH
    end = None
    if mark.times is not None:
        start, end = map(to_datetime, mark.times)
    latency = next((v for name in ("latency", "latency_ms") if (v := _number(row.get(name))) is not None), None)
    tokens = row.get("token_count")
    run = ExperimentRun(
        id=row["id"],
        experiment_id=experiment.id,
        example_id=example_id,
        repetition_number=number,
        output=None if error is not None else output_value(row),
        error=error,
        status="error" if error is not None else "ok",
        start_time=start,
        end_time=end or start + timedelta(milliseconds=latency or 0.0),
        latency_ms=latency,
        token_count=int(tokens) if isinstance(tokens, int | float) else None,
        total_cost=_number(row.get("total_cost")),
        trace_id=_text(row.get("result.trace.id")),
        metadata={
            name: value
            for name, value in row.items()
            if value is not None
            and not _EVALUATION.fullmatch(name)
            and (name not in _KNOWN or (name == MARK and not mark.is_ours))
        },
    )
    return ReadRun(run, (*_evaluations(row, start, mark), *_annotations(row, start)), mark.task_fingerprint)


def _evaluations(row: Row, moment: datetime, mark: RunMark) -> list[Row]:
    found: dict[str, Row] = {}
    for column, value in row.items():
        if value is not None and (match := _EVALUATION.fullmatch(column)):
            found.setdefault(match[1], {})[match[2]] = value
    return [_evaluation(name, parts, moment, mark) for name, parts in found.items()]


def _evaluation(name: str, parts: Row, moment: datetime, mark: RunMark) -> Row:
    metadata = {key.removeprefix("metadata."): value for key, value in parts.items() if key.startswith("metadata.")}
    values = [_number(parts.get("score")), _text(parts.get("label")), _text(parts.get("explanation"))]
    error = _text(metadata.pop("error", None)) if values == [None, None, None] else None
    time = to_time(parts.get("trace.timestamp")) or moment
    return {
        "name": name,
        "score": values[0],
        "label": values[1],
        "explanation": values[2],
        **mark.of_evaluation(name, metadata),
        "error": error,
        "start_time": time,
        "end_time": time,
        "trace_id": _text(parts.get("trace.id")),
    }


def _annotations(row: Row, moment: datetime) -> list[Row]:
    notes = row.get("annotations")
    found = []
    for note in notes if isinstance(notes, Sequence) and not isinstance(notes, str) else ():
        if not isinstance(note, Mapping) or not isinstance(note.get("name"), str):
            continue
        time = to_time(note.get("updated_at")) or moment
        found.append(
            {
                "name": note["name"],
                "annotator_kind": "HUMAN",
                "score": _number(note.get("score")),
                "label": _text(note.get("label")),
                "explanation": _text(note.get("text")),
                "start_time": time,
                "end_time": time,
            }
        )
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value)
