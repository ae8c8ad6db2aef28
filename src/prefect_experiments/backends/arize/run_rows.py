"""AX's experiment runs on one side, our runs with their evaluations on the other.

A run in AX is one flat row that is never changed: the output as text, and the evaluations made until then in columns
``eval.NAME.score`` and so on. The names and their order are those that the official client's ``run()`` writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from prefect_experiments.backends.arize.row_marks import RunMark, metadata_columns, read_mark, run_mark
from prefect_experiments.backends.arize.rows import Row, to_time
from prefect_experiments.models import Experiment
from prefect_experiments.origin import MARK
from prefect_experiments.records import (
    UNPLACED,
    EvaluatedRun,
    EvaluationRecord,
    RunRecord,
    annotation_record,
    json_text,
)
from prefect_experiments.times import to_datetime

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


def run_row(given: EvaluatedRun, example_id: str, origin: Origin) -> Row:
    """What AX takes for a run with its evaluations.

    Args:
        given: the run.
        example_id: as AX calls the example.
        origin: the experiment.
    """
    logged = origin.logged_at is not None
    run = given.run
    text, is_json = ("", False) if run.error is not None else output_text(run.output_json)
    found: Row = {"example_id": example_id, "output": text}
    found.update(_logged_columns(run) if logged else _columns(run))
    if is_json:  # or nobody could tell the text "7" from the number
        found["output.mime_type"] = _JSON
    if origin.repeated:
        found["repetition_number"] = run.repetition_number
    for evaluation in given.evaluations:
        columns = _evaluation_columns(evaluation)
        if logged:
            moment = f"eval.{evaluation.name}.trace.timestamp"
            columns = {name: value for name, value in columns.items() if value is not None and name != moment}
        found.update(columns)
    mark = run_mark(
        given,
        task_fingerprint=origin.task_fingerprint,
        with_times=origin.logged_at != to_datetime(run.end_time),
    )
    if mark is not None:
        found[MARK] = mark
    return found


def _columns(run: RunRecord) -> Row:
    return {
        "error": run.error,
        "result.trace.id": run.trace_id,
        "result.trace.timestamp": _milliseconds(run.start_time),
        "latency": run.latency_ms,
        "token_count": run.token_count,
        "total_cost": run.total_cost,
        "execution_status": "COMPLETED" if run.error is None else "FAILED",
        "exceptions": run.error or "",
    }


def _logged_columns(run: RunRecord) -> Row:
    known = {
        "error": run.error,
        "latency_ms": run.latency_ms,
        "token_count": run.token_count,
        "total_cost": run.total_cost,
        "result.trace.id": run.trace_id,
    }
    others = {
        name: value for name, value in run.metadata.items() if name not in _KNOWN and not name.startswith("eval.")
    }
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


def _evaluation_columns(evaluation: EvaluationRecord) -> Row:
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


def latest_rows(rows: Iterable[Row], example_of: Mapping[str, str]) -> list[tuple[str, int, Row]]:
    """The row of each run of an experiment as it was last, with its example and repetition.

    A run that failed and was made again is there twice, for AX has no way to replace it: the ok one counts. What else
    is there several times for one example are repetitions.

    Args:
        rows: as AX lists them.
        example_of: the examples' own ids by those that AX gave them; one that is not in it is taken as it is.
    """
    by_example: dict[str, dict[int, Row]] = {}
    # Not all forms of the list are in the order in which the rows came.
    for row in sorted(rows, key=lambda row: to_time(row.get("result.trace.timestamp")) or _EPOCH):
        example_id = row.get("example_id")
        if not isinstance(example_id, str) or not isinstance(row.get("id"), str):
            continue  # of an experiment without a dataset
        there = by_example.setdefault(example_of.get(example_id, example_id), {})
        number = _repetition(row, there)
        if number not in there or _error(there[number]) is not None or _error(row) is None:
            there[number] = row
    return [(name, number, there[number]) for name, there in by_example.items() for number in sorted(there)]


def repetition_of(row: Mapping[str, Any]) -> int | None:
    """Which repetition a row says that it is."""
    number = row.get("repetition_number")
    return int(number) if isinstance(number, int | float) and not isinstance(number, bool) and number >= 1 else None


def _repetition(row: Row, there: Mapping[int, Row]) -> int:
    if (given := repetition_of(row)) is not None:
        return given
    last = max(there, default=0)
    return last if last and _error(there[last]) is not None else last + 1


def to_run(row: Row, example_id: str, number: int, experiment: Experiment) -> EvaluatedRun:
    """The run of a row, with what was said of it."""
    error, mark = _error(row), read_mark(row)
    moment = (to_time(row.get("result.trace.timestamp")) or experiment.created_at or _EPOCH).timestamp()
    latency = next((v for name in ("latency", "latency_ms") if (v := _number(row.get(name))) is not None), None)
    start, end = mark.times or (moment, moment + (latency or 0.0) / 1000)
    tokens = row.get("token_count")
    metadata = {
        name: value
        for name, value in row.items()
        if value is not None
        and not _EVALUATION.fullmatch(name)
        and (name not in _KNOWN or (name == MARK and not mark.is_ours))
    }
    run = RunRecord(
        UNPLACED,
        number,
        example_id,
        output_json=None if error is not None else orjson.dumps(output_value(row)).decode(),
        error=error,
        start_time=start,
        end_time=end,
        token_count=int(tokens) if isinstance(tokens, int | float) else None,
        total_cost=_number(row.get("total_cost")),
        trace_id=_text(row.get("result.trace.id")),
        metadata_json=json_text(metadata),
        latency_ms=latency,
    )
    return EvaluatedRun(run, (*_evaluations(row, start, mark), *_annotations(row, start)), row["id"])


def _evaluations(row: Row, moment: float, mark: RunMark) -> list[EvaluationRecord]:
    found: dict[str, Row] = {}
    for column, value in row.items():
        if value is not None and (match := _EVALUATION.fullmatch(column)):
            found.setdefault(match[1], {})[match[2]] = value
    return [_evaluation(name, parts, moment, mark) for name, parts in found.items()]


def _evaluation(name: str, parts: Row, moment: float, mark: RunMark) -> EvaluationRecord:
    metadata = {key.removeprefix("metadata."): value for key, value in parts.items() if key.startswith("metadata.")}
    score, label, why = _number(parts.get("score")), _text(parts.get("label")), _text(parts.get("explanation"))
    error = _text(metadata.pop("error", None)) if score is None and label is None and why is None else None
    given = to_time(parts.get("trace.timestamp"))
    time = moment if given is None else given.timestamp()
    kind, evaluator, fingerprint, metadata = mark.of_evaluation(name, metadata)
    return EvaluationRecord(
        *(UNPLACED, 1, name, evaluator, kind, fingerprint, score, label, why, json_text(metadata)),
        *(error, time, time, _text(parts.get("trace.id"))),
    )


def _annotations(row: Row, moment: float) -> list[EvaluationRecord]:
    notes = row.get("annotations")
    found = []
    for note in notes if isinstance(notes, Sequence) and not isinstance(notes, str) else ():
        if not isinstance(note, Mapping) or not isinstance(note.get("name"), str):
            continue
        given = to_time(note.get("updated_at"))
        said = (_number(note.get("score")), _text(note.get("label")), _text(note.get("text")))
        time = moment if given is None else given.timestamp()
        found.append(annotation_record(UNPLACED, 1, note["name"], *said, annotator=None, updated_at=time))
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value)
