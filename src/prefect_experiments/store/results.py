"""Experiment runs, evaluations and annotations: what is done, what is missing, what came out."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments import keys, money
from prefect_experiments.engine import EvaluationItem, RunItem
from prefect_experiments.errors import InvalidInput, NotFound
from prefect_experiments.models import (
    PENDING,
    AnnotateRecordInput,
    DatasetVersion,
    EvaluationResult,
    Example,
    pending_criteria,
)
from prefect_experiments.pages import Pagination
from prefect_experiments.records import (
    UNKNOWN_FINGERPRINT,
    EvaluationRecord,
    Key,
    RunRecord,
    annotation_record,
)
from prefect_experiments.store.database import Database
from prefect_experiments.store.datasets import at_version
from prefect_experiments.store.evaluation_rows import EvaluationRows
from prefect_experiments.store.examples import ExampleRow, to_example, to_splits
from prefect_experiments.store.figures import streamed
from prefect_experiments.store.ingest import evaluated_failures
from prefect_experiments.store.paging import check_limit, check_name, decode_cursor, encode_cursor
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.payments import Spending, spending_of
from prefect_experiments.store.pending import fill_in
from prefect_experiments.store.rows import ANNOTATION_COLUMNS, EVALUATION_COLUMNS, RUN_COLUMNS, annotation_values
from prefect_experiments.store.tables import evaluations, examples, experiment_runs, run_annotations
from prefect_experiments.texts import plain_text


class RunFigures(NamedTuple):
    """The figures of an experiment's runs."""

    made: int
    failed: int
    latencies_ms: list[float]
    """Of the ok runs for which it is known, ascending."""
    token_count: int | None
    total_cost: float | None


@all_patient
class ResultStore:
    """Reads the results of experiments; they are written by the `Recorder`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def finished_runs(self, experiment_id: str, between: tuple[int, int] | None = None) -> set[Key]:
        """The runs that are ok; all others are missing or failed.

        Args:
            experiment_id: whose.
            between: only those of examples from one position to another.
        """
        runs = experiment_runs.c
        query = sa.select(runs.position, runs.repetition_number)
        query = query.where(runs.experiment_id == experiment_id, runs.error.is_(None))
        if between is not None:
            query = query.where(runs.position.between(*between))
        with self._database.read() as connection:
            return {(position, repetition) for position, repetition in connection.execute(query).all()}

    def count_finished(self, experiment_id: str, repetitions: int) -> int:
        """How many runs are ok, of so many repetitions of each example."""
        runs = experiment_runs.c
        query = sa.select(sa.func.count()).where(
            runs.experiment_id == experiment_id, runs.error.is_(None), runs.repetition_number <= repetitions
        )
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def run_items(self, version: DatasetVersion, missing: Iterable[Key]) -> list[RunItem]:
        """The missing runs with their examples' content."""
        wanted: dict[int, list[int]] = {}
        for position, repetition in sorted(missing):
            wanted.setdefault(position, []).append(repetition)
        if not wanted:
            return []
        with self._database.read() as connection:
            content = self._examples(connection, version, min(wanted), max(wanted))
        return [
            RunItem(position, example_id, repetition, input_, expected, metadata, to_splits(splits))
            for position, example_id, input_, expected, metadata, splits in content
            for repetition in wanted.get(position, ())
        ]

    def _examples(self, connection: Connection, version: DatasetVersion, first: int, last: int) -> Sequence[Any]:
        """The content of the examples at some positions, in order."""
        c = examples.c
        query = sa.select(c.position, c.example_id, c.input, c.output, c.metadata, c.splits)
        query = query.where(at_version(version.dataset_id, version.number), c.position.between(first, last))
        return connection.execute(query.order_by(c.position)).all()

    def evaluation_items(
        self,
        experiment_id: str,
        version: DatasetVersion,
        positions: Sequence[int],
        fingerprints: Mapping[str, str],
        *,
        passed: Collection[str] = (),
        only: Mapping[str, Collection[int]] | None = None,
    ) -> list[EvaluationItem]:
        """The ok runs that lack an evaluation, each with the evaluators that are to give one.

        Args:
            experiment_id: whose runs.
            version: the dataset version with the examples.
            positions: the examples to look at.
            fingerprints: of each evaluator by name, as it is now; evaluations of another one are stale.
            passed: the evaluators that the caller has given: evaluations of which it is not known what state of them
                gave them are stale, too. Those of others stand.
            only: by evaluator, the examples that it is meant for; without an entry, all.
        """
        if not positions:
            return []
        first, last, wanted = min(positions), max(positions), set(positions)
        with self._database.read() as connection:
            given = self._given_evaluations(connection, experiment_id, first, last, fingerprints, passed)
            # Not a join: with ranges on both sides SQLite looks through one range for each row of the other.
            content = {row[0]: row for row in self._examples(connection, version, first, last)}
            c = experiment_runs.c
            query = sa.select(c.position, c.repetition_number, c.output, c.trace_id).where(
                c.experiment_id == experiment_id, c.error.is_(None), c.position.between(first, last)
            )
            rows = connection.execute(query.order_by(c.position, c.repetition_number)).all()
        every, chosen = list(fingerprints), only or {}
        items = []
        for position, repetition, output, trace_id in rows:
            done = given.get((position, repetition), ())
            missing = every if not done else [name for name in every if name not in done]
            if chosen:
                missing = [name for name in missing if name not in chosen or position in chosen[name]]
            if missing and position in wanted:
                _, example_id, input_, expected, metadata, splits = content[position]
                run = RunItem(position, example_id, repetition, input_, expected, metadata, to_splits(splits))
                items.append(EvaluationItem(run, output, trace_id, missing))
        return items

    def _given_evaluations(
        self,
        connection: Connection,
        experiment_id: str,
        first: int,
        last: int,
        fingerprints: Mapping[str, str],
        passed: Collection[str],
    ) -> dict[Key, set[str]]:
        """For each run the evaluators whose evaluation is there, without error, and not stale."""
        c = evaluations.c
        query = sa.select(c.position, c.repetition_number, c.evaluator, c.fingerprint).where(
            c.experiment_id == experiment_id, c.position.between(first, last), c.error.is_(None)
        )
        given: dict[Key, set[str]] = {}
        for position, repetition, evaluator, fingerprint in connection.execute(query).all():
            is_known = fingerprint != UNKNOWN_FINGERPRINT
            if fingerprint == fingerprints.get(evaluator) if is_known else evaluator not in passed:
                given.setdefault((position, repetition), set()).add(evaluator)
        return given

    def of_unknown_state(self, experiment_id: str) -> dict[str, int]:
        """The evaluators with evaluations of which it is not known in what state they made them, and how many."""
        c = evaluations.c
        query = sa.select(c.evaluator, sa.func.count()).group_by(c.evaluator).order_by(c.evaluator)
        query = query.where(c.experiment_id == experiment_id, c.fingerprint == UNKNOWN_FINGERPRINT, c.error.is_(None))
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query).all()}

    def has_evaluations(self, experiment_id: str) -> set[str]:
        """The evaluators that have given any evaluation or error in this experiment."""
        c = evaluations.c
        query = sa.select(c.evaluator).where(c.experiment_id == experiment_id).distinct()
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def run_figures(self, experiment_id: str) -> RunFigures:
        """What a summary needs of the runs, without their outputs."""
        c = experiment_runs.c
        mine = c.experiment_id == experiment_id
        counts = sa.select(
            sa.func.count(), sa.func.count(c.error), sa.func.sum(c.token_count), sa.func.sum(c.total_cost)
        )
        latencies = sa.select(c.latency_ms).where(mine, c.error.is_(None), c.latency_ms.is_not(None))
        with self._database.read() as connection:
            made, failed, tokens, cost = connection.execute(counts.where(mine)).one()
            ordered = connection.execute(latencies.order_by(c.latency_ms)).scalars().all()
        return RunFigures(made, failed, list(ordered), tokens, money.rounded(cost))

    def spending(self, experiment_id: str) -> Spending:
        """What has been used, as far as it is known."""
        with self._database.read() as connection:
            return spending_of(connection, experiment_id)

    def evaluation_figures(self, experiment_id: str) -> EvaluationRows:
        """What a summary needs of each evaluation that counts, in dataset order: none on a failed run does."""
        c = evaluations.c
        is_empty = sa.and_(c.score.is_(None), c.label.is_(None), c.error.is_(None))
        may_be_pending = sa.case((sa.and_(is_empty, c.metadata.contains(f'"{PENDING}"')), c.metadata))
        figures = (c.evaluator, c.name, c.score, c.label, c.error.is_not(None), may_be_pending)
        query = sa.select(c.position, c.repetition_number, *figures)
        rows = EvaluationRows()
        with self._database.read() as connection:
            void = evaluated_failures(connection, experiment_id)
            found = query.where(c.experiment_id == experiment_id).order_by(c.position)
            for row in streamed(connection, found):
                position, repetition, evaluator, name, score, label, has_error, metadata = row
                if (position, repetition) not in void:
                    is_pending = metadata is not None and pending_criteria(_empty_with(metadata)) is not None
                    rows.append((position, evaluator, name, score, label, bool(has_error), is_pending))
        return rows

    def said_of(self, experiment_id: str, key: str) -> list[tuple[str, Any]]:
        """By name what the scored evaluations have in their metadata under a key, each once; of those that have it."""
        c = evaluations.c
        query = sa.select(c.name, c.metadata).distinct()
        query = query.where(c.experiment_id == experiment_id, c.score.is_not(None), c.metadata.contains(f'"{key}"'))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = ((name, orjson.loads(metadata).get(key)) for name, metadata in rows)
        return list(dict.fromkeys((name, said) for name, said in found if isinstance(said, str)))

    def runs(
        self, experiment_id: str, *, limit: int | None = None, cursor: str | None = None, failed: bool = False
    ) -> tuple[list[RunRecord], Pagination]:
        """Runs in dataset order, then by repetition; all of them without a limit.

        Args:
            experiment_id: whose.
            limit: so many at most.
            cursor: where the page begins.
            failed: only the runs whose task failed, or an evaluator of which failed.
        """
        c = experiment_runs.c
        query = sa.select(*RUN_COLUMNS).where(c.experiment_id == experiment_id)
        if failed:
            query = query.where(c.error.is_not(None) | _has_failed_evaluation())
        if cursor is not None:
            position, repetition = decode_cursor(cursor, int, int)
            query = query.where(
                sa.or_(c.position > position, sa.and_(c.position == position, c.repetition_number > repetition))
            )
        query = query.order_by(c.position, c.repetition_number)
        if limit is not None:
            query = query.limit(check_limit(limit) + 1)
        with self._database.read() as connection:
            found = [RunRecord(*row) for row in connection.execute(query)]
        more = limit is not None and len(found) > limit
        found = found[:limit]
        after = encode_cursor(list(found[-1].key)) if more else None
        return found, Pagination(has_more=more, next_cursor=after)

    def evaluations(self, experiment_id: str, runs: Collection[Key] | None = None) -> list[EvaluationRecord]:
        """Evaluations in dataset order, of all runs or of some that stand next to each other."""
        return [EvaluationRecord(*row) for row in self._of_runs(EVALUATION_COLUMNS, experiment_id, runs)]

    def annotations(self, experiment_id: str, runs: Collection[Key] | None = None) -> list[EvaluationRecord]:
        """Annotations in dataset order, likewise."""
        return [annotation_record(*row) for row in self._of_runs(ANNOTATION_COLUMNS, experiment_id, runs)]

    def _of_runs(
        self, columns: Sequence[sa.Column[Any]], experiment_id: str, runs: Collection[Key] | None
    ) -> Iterator[Any]:
        c = columns[0].table.c
        query = sa.select(*columns).where(c.experiment_id == experiment_id)
        if runs is not None:
            if not runs:
                return
            query = query.where(c.position.between(min(runs)[0], max(runs)[0]))
        with self._database.read() as connection:
            for row in connection.execute(query.order_by(c.position, c.repetition_number, c.name)).all():
                if runs is None or row[:2] in runs:
                    yield row

    def examples_of(self, version: DatasetVersion, example_ids: Sequence[str] | None = None) -> dict[str, Example]:
        """The version's examples by id; all of them, or some."""
        c = examples.c
        query = sa.select(*(c[name] for name in ExampleRow._fields))
        query = query.where(at_version(version.dataset_id, version.number)).order_by(c.position)
        wanted = None if example_ids is None else set(example_ids)
        with self._database.read() as connection:
            rows = [ExampleRow(*row) for row in connection.execute(query).all()]
        return {row.example_id: to_example(row) for row in rows if wanted is None or row.example_id in wanted}

    def annotate(self, records: Sequence[AnnotateRecordInput], annotator: str | None = None) -> int:
        """Write annotations; one of the same name on the same run is replaced, and a pending evaluation filled in.

        Returns:
            How many were written.

        Raises:
            NotFound: a run that is not in the store; then nothing is written.
            InvalidInput: a name, label or text that is not text; then nothing is written.
        """
        now = time.time()
        notes = []
        for record in records:
            experiment_id, position, repetition = _parse(record.record_id)
            for value in record.values:
                name, score = check_name(value.name, "annotation"), None if value.score is None else float(value.score)
                texts = (_text(value.label, "label"), _text(value.text, "text"), _text(annotator, "annotator"))
                note = annotation_record(position, repetition, name, score, *texts, now)
                notes.append((experiment_id, note))
        with self._database.write() as connection:
            self._refuse_unknown(connection, {(experiment_id, *note.key) for experiment_id, note in notes})
            others = fill_in(connection, self._database, notes)
            rows = [annotation_values(experiment_id, note) for experiment_id, note in others]
            if rows:
                self._database.write_many(connection, self._database.upsert(run_annotations), rows)
        return len(notes)

    def _refuse_unknown(self, connection: Connection, wanted: set[tuple[Any, Any, Any]]) -> None:
        c = experiment_runs.c
        for experiment_id in {key[0] for key in wanted}:
            query = sa.select(c.position, c.repetition_number).where(c.experiment_id == experiment_id)
            present = {(experiment_id, p, r) for p, r in connection.execute(query).all()}
            unknown = sorted(key for key in wanted if key[0] == experiment_id and key not in present)
            if unknown:
                names = ", ".join(keys.run_id(*key) for key in unknown[:5])
                raise NotFound(f"{len(unknown)} of the runs to annotate are not in the store: {names}")


def _empty_with(metadata_json: str) -> EvaluationResult:
    return EvaluationResult(metadata=orjson.loads(metadata_json))


def _has_failed_evaluation() -> sa.ColumnElement[bool]:
    """Whether an evaluator failed on a run."""
    c, of_run = evaluations.c, experiment_runs.c
    same = [c[name] == of_run[name] for name in ("experiment_id", "position", "repetition_number")]
    return sa.exists().where(*same, c.error.is_not(None))


def _parse(run_id: str) -> tuple[str, int, int]:
    try:
        return keys.parse_run_id(run_id)
    except ValueError:
        raise NotFound(f"{run_id!r:.80} is not the id of an experiment run; list_runs gives them") from None


def _text(value: Any, what: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"an annotation's {what} must be text, got {type(value).__name__}")
    return value and plain_text(value)
