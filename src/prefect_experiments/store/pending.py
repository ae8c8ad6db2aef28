"""Evaluations that are still to be made by a person: which there are, and what fills them in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.errors import InvalidInput
from prefect_experiments.jsonable import loads
from prefect_experiments.models import (
    JUDGED_BY,
    PENDING,
    SCALE,
    AnnotateRecordInput,
    PendingEvaluation,
    pending_criteria,
)
from prefect_experiments.pages import Pagination
from prefect_experiments.records import EvaluationRecord, Key, RunIds, annotation_metadata
from prefect_experiments.store.database import Database
from prefect_experiments.store.datasets import at_version
from prefect_experiments.store.paging import check_limit, decode_cursor, encode_cursor
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.rows import EVALUATION_COLUMNS, evaluation_values
from prefect_experiments.store.tables import dataset_versions, evaluations, examples, experiment_runs, experiments
from prefect_experiments.texts import plain_text

Note = tuple[str, EvaluationRecord]
"""The experiment that a person's annotation is in, and the annotation."""


@all_patient
class PendingStore:
    """Reads what is pending."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, experiment_id: str, ids: RunIds, *, limit: int | None = None, cursor: str | None = None
    ) -> tuple[list[PendingEvaluation], Pagination]:
        """What is pending, in dataset order, then by repetition and name; all of it without a limit.

        Args:
            experiment_id: whose.
            ids: what its runs are called.
            limit: so many at most.
            cursor: where the page begins.
        """
        c, run = evaluations.c, experiment_runs.c
        by = (c.position, c.repetition_number, c.name)
        same = [c[name] == run[name] for name in ("experiment_id", "position", "repetition_number")]
        example = examples.c
        given = (run.example_id, run.output, example.input, example.output, example.metadata)
        at = at_version(experiments.c.dataset_id, dataset_versions.c.number)
        query = (
            sa.select(*EVALUATION_COLUMNS, *given)
            .join(experiment_runs, sa.and_(*same))
            .join(experiments, experiments.c.id == c.experiment_id)
            .join(dataset_versions, dataset_versions.c.id == experiments.c.dataset_version_id)
            .join(examples, sa.and_(at, example.position == c.position))
        )
        query = query.where(c.experiment_id == experiment_id, *_may_be_pending())
        if cursor is not None:
            query = query.where(sa.tuple_(*by) > sa.tuple_(*decode_cursor(cursor, int, int, str)))
        most = None if limit is None else check_limit(limit)
        found: list[PendingEvaluation] = []
        after: list[Any] = []
        with self._database.read() as connection:
            for *values, example_id, output, input_, expected, metadata in connection.execute(query.order_by(*by)):
                record = EvaluationRecord(*values)
                criteria = pending_criteria(record.view(ids))
                if criteria is None:
                    continue
                if len(found) == most:
                    return found, Pagination(has_more=True, next_cursor=encode_cursor(after))
                found.append(
                    PendingEvaluation(
                        run_id=ids.shown(record.key),
                        example_id=example_id,
                        repetition_number=record.repetition_number,
                        name=record.name,
                        criteria=criteria,
                        input=orjson.loads(input_),
                        expected=loads(expected),
                        output=loads(output),
                        metadata=orjson.loads(metadata),
                    )
                )
                after = [*record.key, record.name]
        return found, Pagination()

    def split(
        self, experiment_id: str, ids: RunIds, annotations: Sequence[AnnotateRecordInput]
    ) -> tuple[list[AnnotateRecordInput], list[AnnotateRecordInput]]:
        """Annotations that fill something in, with our own ids of the runs; and the others, as they are."""
        keys = {name: key for key, remote in ids.remote.items() for name in (remote, ids.own(key))}
        wanted = {
            (keys[each.record_id], value.name)
            for each in annotations
            if each.record_id in keys
            for value in each.values
        }
        with self._database.read() as connection:
            open_ = _fillable(connection, experiment_id, wanted).keys()
        filling, others = [], []
        for each in annotations:
            key = keys.get(each.record_id)
            mine = [value for value in each.values if key is not None and (key, plain_text(value.name)) in open_]
            rest = [value for value in each.values if value not in mine]
            if mine and key is not None:
                filling.append(AnnotateRecordInput(record_id=ids.own(key), values=mine))
            if rest:
                others.append(AnnotateRecordInput(record_id=each.record_id, values=rest))
        return filling, others


def fill_in(connection: Connection, database: Database, notes: Sequence[Note]) -> list[Note]:
    """Fill pending evaluations in with what people say of the same runs under the same names.

    One that has been filled in already is changed. It stays the evaluator's, so that this is not asked again when the
    experiment goes on; its time becomes the present one, so that backends get it once more.

    Returns:
        The annotations that are none of a pending evaluation.
    """
    rest: list[Note] = []
    rows: dict[tuple[str, Key, str], tuple[Any, ...]] = {}
    for experiment_id in dict.fromkeys(experiment_id for experiment_id, _ in notes):
        own = [note for of, note in notes if of == experiment_id]
        found = _fillable(connection, experiment_id, {(note.key, note.name) for note in own})
        for note in own:
            name = plain_text(note.name)
            if (old := found.get((note.key, name))) is None:
                rest.append((experiment_id, note))
            else:
                rows[experiment_id, note.key, name] = evaluation_values(experiment_id, _filled(old, note))
    if rows:
        database.write_many(connection, database.upsert(evaluations), list(rows.values()))
    return rest


def _filled(old: EvaluationRecord, note: EvaluationRecord) -> EvaluationRecord:
    """A remark alone is kept as the explanation, and leaves the evaluation pending.

    Raises:
        InvalidInput: the score is not on the evaluator's scale.
    """
    metadata = old.metadata
    match metadata.get(SCALE):
        case [int() | float() as lowest, int() | float() as highest] if note.score is not None:
            if not lowest <= note.score <= highest:
                raise InvalidInput(
                    f"{note.name!r} is scored from {lowest:g} to {highest:g}, got {note.score:g}; nothing was written"
                )
    criteria = metadata.pop(PENDING, None) or metadata.pop(JUDGED_BY, None)
    metadata.pop("annotator", None)
    is_judged = note.score is not None or note.label is not None
    metadata = {
        JUDGED_BY if is_judged else PENDING: criteria,
        **metadata,
        **(annotation_metadata(note.annotator) or {}),
    }
    now = time.time()
    return old._replace(
        annotator_kind="HUMAN",
        score=note.score,
        label=note.label,
        explanation=note.explanation,
        metadata_json=orjson.dumps(metadata).decode(),
        start_time=now,
        end_time=max(now, old.end_time + 0.002),  # later, whatever the clocks say
    )


def _fillable(
    connection: Connection, experiment_id: str, wanted: Iterable[tuple[Key, str]]
) -> dict[tuple[Key, str], EvaluationRecord]:
    """The evaluations, of runs and names, that are pending or were filled in."""
    keys = {(key, plain_text(name)) for key, name in wanted}
    if not keys:
        return {}
    positions = [key[0] for key, _ in keys]
    c = evaluations.c
    query = sa.select(*EVALUATION_COLUMNS).where(
        c.experiment_id == experiment_id,
        c.position.between(min(positions), max(positions)),
        c.error.is_(None),
        sa.or_(c.metadata.contains(f'"{PENDING}":'), c.metadata.contains(f'"{JUDGED_BY}":')),
    )
    found = {}
    for row in connection.execute(query):
        record = EvaluationRecord(*row)
        if (record.key, record.name) in keys and _is_fillable(record, experiment_id):
            found[record.key, record.name] = record
    return found


def _is_fillable(record: EvaluationRecord, experiment_id: str) -> bool:
    was_filled = record.annotator_kind == "HUMAN" and isinstance(record.metadata.get(JUDGED_BY), str)
    return was_filled or pending_criteria(record.view(RunIds(experiment_id))) is not None


def _may_be_pending() -> list[sa.ColumnElement[bool]]:
    c = evaluations.c
    return [c.score.is_(None), c.label.is_(None), c.error.is_(None), c.metadata.contains(f'"{PENDING}":')]
