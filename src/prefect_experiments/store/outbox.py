"""What a backend does not have yet of an experiment: the queue of what is to be pushed, which is no table of its own.

What waits is what the results are, less what was noted as pushed; so nothing can be in one place and not in the other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.records import EvaluatedRun, EvaluationRecord, Key, RunRecord, annotation_record
from prefect_experiments.store.database import Database
from prefect_experiments.store.links import Link
from prefect_experiments.store.patience import patient
from prefect_experiments.store.rows import ANNOTATION_COLUMNS, EVALUATION_COLUMNS, RUN_COLUMNS
from prefect_experiments.store.tables import (
    evaluations,
    experiment_evaluators,
    experiment_runs,
    pushed_evaluations,
    pushed_runs,
    run_annotations,
)
from prefect_experiments.texts import plain_text

LOOK_BACK = 2000  # positions


class OutgoingEvaluation(NamedTuple):
    """An evaluation or an annotation that the backend does not have, on a run that it has.

    Attributes:
        record: the evaluation.
        run_id: what the backend calls its run.
    """

    record: EvaluationRecord
    run_id: str

    @property
    def position(self) -> int:
        """The run's."""
        return self.record.position

    @property
    def repetition_number(self) -> int:
        """The run's."""
        return self.record.repetition_number

    @property
    def name(self) -> str:
        """The evaluation's."""
        return self.record.name


class Waiting(NamedTuple):
    """How many results wait for a backend, and how many it has refused."""

    runs: int
    evaluations: int
    refused: int

    @property
    def total(self) -> int:
        """Results that wait."""
        return self.runs + self.evaluations


Outgoing = RunRecord | EvaluatedRun | OutgoingEvaluation
"""What waits: a run alone or with its evaluations, as the backend takes it, or an evaluation on a run that it has."""
Pushed = tuple[Outgoing, str | None, str | None]
"""What was pushed, the id that a run got there, and why it was refused, if it was."""


class Sweep:
    """Where a push looks for what waits: on from where its last look ended, not at what is pushed long since.

    Results do not come quite in dataset order, so that it begins a little before that. What comes further back is
    found when the sweep begins anew, which it must before everything is said to be pushed.
    """

    def __init__(self) -> None:
        self._starts: dict[str, int] = {}
        self.is_whole = True
        """Whether the last look was at everything."""

    def start(self, table: sa.Table) -> int:
        """The position to begin at."""
        return self._starts.get(table.name, 0)

    def ended(self, table: sa.Table, position: int) -> None:
        """The look at a table has come this far."""
        self._starts[table.name] = max(0, position - LOOK_BACK)

    def begin_anew(self) -> None:
        """Look at everything next time."""
        self._starts.clear()

    def begins(self) -> None:
        """A look begins."""
        self.is_whole = not any(self._starts.values())


class OutboxStore:
    """The queue of what is to be pushed, for each link."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._local = threading.local()

    @contextlib.contextmanager
    def along(self, sweep: Sweep) -> Iterator[None]:
        """Look for what waits only where a sweep is, in this thread."""
        sweep.begins()
        self._local.sweep = sweep
        try:
            yield
        finally:
            self._local.sweep = None

    def _start(self, table: sa.Table) -> int:
        sweep: Sweep | None = getattr(self._local, "sweep", None)
        return 0 if sweep is None else sweep.start(table)

    def _ended(self, connection: Connection, link: Link, table: sa.Table, found: Sequence[Any], limit: int) -> None:
        """Note how far a look has come: to its last result or, where it found fewer than it might, to the end."""
        sweep: Sweep | None = getattr(self._local, "sweep", None)
        if sweep is None:
            return
        if len(found) >= limit:
            sweep.ended(table, found[-1].position)
            return
        pushed, runs = pushed_runs.c, experiment_runs.c
        last = sa.select(sa.func.max(runs.position)).where(runs.experiment_id == link.experiment_id)
        if table is evaluations:
            last = sa.select(sa.func.max(pushed.position)).where(pushed.link_id == link.id)
        sweep.ended(table, connection.execute(last).scalar() or 0)

    def waiting_runs(self, link: Link, limit: int) -> list[RunRecord]:
        """Runs that the backend lacks, in dataset order."""
        start = self._start(experiment_runs)
        with self._database.read() as connection:
            found = _runs(connection, link, limit, experiment_runs.c.position >= start)
            self._ended(connection, link, experiment_runs, found, limit)
            return found

    def waiting_evaluations(self, link: Link, limit: int) -> list[OutgoingEvaluation]:
        """Evaluations and annotations that the backend lacks, of runs that it has."""
        with self._database.read() as connection:
            query = _lacking_evaluations(link, self._start(evaluations))
            given = connection.execute(query.limit(limit)).all()
            self._ended(connection, link, evaluations, given, limit)
            found = [OutgoingEvaluation(EvaluationRecord(*values), run_id) for *values, run_id in given]
            if len(found) < limit:
                notes = connection.execute(_lacking_annotations(link).limit(limit - len(found)))
                found += [OutgoingEvaluation(annotation_record(*values), run_id) for *values, run_id in notes]
            return found

    @patient
    def waiting(self, link: Link) -> Waiting:
        """How much waits, and how much was refused."""
        with self._database.read() as connection:
            runs = connection.execute(_lacking_runs(link, sa.func.count())).scalar_one()
            # Verdicts on runs that the backend lacks wait as well.
            scored = connection.execute(_unpushed(link, evaluations, sa.func.count())).scalar_one()
            scored += connection.execute(_unpushed_annotations(link, sa.func.count())).scalar_one()
            refused = sum(
                connection.execute(
                    sa.select(sa.func.count()).where(table.c.link_id == link.id, table.c.refused.is_not(None))
                ).scalar_one()
                for table in (pushed_runs, pushed_evaluations)
            )
        return Waiting(runs, scored, refused)

    @patient
    def refusals(self, link: Link, limit: int = 5) -> list[str]:
        """What the backend said to results that it would not take."""
        found: list[str] = []
        with self._database.read() as connection:
            for table in (pushed_runs, pushed_evaluations):
                query = sa.select(table.c.refused).where(table.c.link_id == link.id, table.c.refused.is_not(None))
                found += connection.execute(query.distinct().limit(limit)).scalars()
        return found[:limit]

    def mark(self, link: Link, pushed: Iterable[Pushed]) -> None:
        """Remember what the backend has taken, or has refused."""
        runs: list[tuple[Any, ...]] = []
        judged: list[tuple[Any, ...]] = []
        for item, remote_id, refused in pushed:
            refused = refused and plain_text(refused)
            if isinstance(item, OutgoingEvaluation):
                given: Sequence[EvaluationRecord] = (item.record,)
            else:
                run, given = item[:2] if isinstance(item, EvaluatedRun) else (item, ())
                runs.append((link.id, *run.key, remote_id, run.end_time, refused))
            judged += [(link.id, *one.key, one.name, one.end_time, refused) for one in given]
        with self._database.write(sync=False) as connection:
            self._put(connection, pushed_runs, runs)
            self._put(connection, pushed_evaluations, judged)

    def _put(self, connection: Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._database.write_many(connection, self._database.upsert(table), sorted(rows, key=lambda row: row[:4]))

    @patient
    def retry_refused(self, link: Link) -> None:
        """Forget refusals, so that what was refused is pushed again."""
        with self._database.write() as connection:
            for table in (pushed_runs, pushed_evaluations):
                connection.execute(table.delete().where(table.c.link_id == link.id, table.c.refused.is_not(None)))

    def waiting_rows(self, link: Link, limit: int | None, *, complete: bool) -> list[EvaluatedRun]:
        """Runs that the backend lacks with their evaluations, in dataset order.

        Args:
            link: the experiment's counterpart.
            limit: how many at most; ``None`` for all.
            complete: only those that nothing more will come to: failed ones, and ok ones that every evaluator of the
                experiment has given an evaluation on.
        """
        r, c = experiment_runs.c, evaluations.c
        conditions = [sa.or_(r.error.is_not(None), _evaluators_done() >= _evaluators(link))] if complete else []
        if limit is not None:
            conditions.append(r.position >= self._start(experiment_runs))
        with self._database.read() as connection:
            runs = _runs(connection, link, limit, *conditions)
            if limit is not None:
                self._ended(connection, link, experiment_runs, runs, limit)
            if not runs:
                return []
            of_these = sa.select(*EVALUATION_COLUMNS).where(
                c.experiment_id == link.experiment_id, c.position.between(runs[0].position, runs[-1].position)
            )
            given = connection.execute(of_these.order_by(c.position, c.repetition_number, c.name)).all()
        by_run: dict[Key, list[EvaluationRecord]] = {}
        for evaluation in map(EvaluationRecord._make, given):
            by_run.setdefault(evaluation.key, []).append(evaluation)
        return [EvaluatedRun(run, tuple(by_run.get(run.key, ()))) for run in runs]


def _runs(connection: Connection, link: Link, limit: int | None, *conditions: Any) -> list[RunRecord]:
    c = experiment_runs.c
    query = _lacking_runs(link, *RUN_COLUMNS).where(*conditions).order_by(c.position, c.repetition_number)
    return [RunRecord(*row) for row in connection.execute(query.limit(limit))]


# The joins are written as subqueries on whole primary keys: PostgreSQL knows nothing yet of tables that have just
# been filled, and has been seen to compare every run with every pushed one (6 s at 20,000) where it was left a choice.


def _stamp(link: Link, pushed: sa.Table, result: sa.Table, *conditions: Any) -> Any:
    """The end time of what the backend has of a result; null where it has none."""
    query = sa.select(pushed.c.stamp).where(pushed.c.link_id == link.id, _same_run(pushed, result), *conditions)
    return query.correlate(result).scalar_subquery()


def _same_run(left: sa.Table, right: sa.Table) -> Any:
    return sa.and_(left.c.position == right.c.position, left.c.repetition_number == right.c.repetition_number)


def _lacking_runs(link: Link, *columns: Any) -> Any:
    runs = experiment_runs
    return sa.select(*columns).where(
        runs.c.experiment_id == link.experiment_id, runs.c.end_time.is_distinct_from(_stamp(link, pushed_runs, runs))
    )


def _unpushed(link: Link, table: sa.Table, *columns: Any) -> Any:
    """The evaluations of a table that the backend lacks; annotations have but the time they were written at."""
    stamp = table.c.updated_at if table is run_annotations else table.c.end_time
    there = _stamp(link, pushed_evaluations, table, pushed_evaluations.c.name == table.c.name)
    return sa.select(*columns).where(table.c.experiment_id == link.experiment_id, stamp.is_distinct_from(there))


def _unpushed_annotations(link: Link, *columns: Any) -> Any:
    """A backend has one evaluation of a name on a run: an evaluator's goes before a person's."""
    same = sa.and_(
        evaluations.c.experiment_id == link.experiment_id,
        _same_run(run_annotations, evaluations),
        evaluations.c.name == run_annotations.c.name,
    )
    return _unpushed(link, run_annotations, *columns).where(~sa.exists(sa.select(1).where(same)))


def _run_there(link: Link, table: sa.Table) -> Any:
    """What the backend calls the run of an evaluation; null where it does not have it as it is now."""
    runs, pushed = experiment_runs, pushed_runs
    query = (
        sa.select(pushed.c.remote_id)
        .select_from(pushed.join(runs, sa.and_(_same_run(pushed, runs), pushed.c.stamp == runs.c.end_time)))
        .where(pushed.c.link_id == link.id, _same_run(pushed, table), runs.c.experiment_id == link.experiment_id)
    )
    return query.correlate(table).scalar_subquery()


def _lacking_evaluations(link: Link, start: int = 0) -> Any:
    c, run = evaluations.c, _run_there(link, evaluations)
    query = _unpushed(link, evaluations, *EVALUATION_COLUMNS, run)
    query = query.where(c.position.between(start, _last_pushed(link)), run.is_not(None))
    return query.order_by(c.position, c.repetition_number, c.name)


def _last_pushed(link: Link) -> Any:
    """The last position of which the backend has a run: there is no use in looking at evaluations beyond."""
    c = pushed_runs.c
    return sa.select(sa.func.coalesce(sa.func.max(c.position), -1)).where(c.link_id == link.id).scalar_subquery()


def _lacking_annotations(link: Link) -> Any:
    c, run = run_annotations.c, _run_there(link, run_annotations)
    query = _unpushed_annotations(link, *ANNOTATION_COLUMNS, run)
    return query.where(run.is_not(None)).order_by(c.position, c.repetition_number, c.name)


def _evaluators_done() -> Any:
    """How many evaluators have given an evaluation on the run; one may give several."""
    r, e = experiment_runs.c, evaluations.c
    return (
        sa.select(sa.func.count(sa.distinct(e.evaluator)))
        .where(e.experiment_id == r.experiment_id, _same_run(evaluations, experiment_runs))
        .correlate(experiment_runs)
        .scalar_subquery()
    )


def _evaluators(link: Link) -> Any:
    c = experiment_evaluators.c
    return sa.select(sa.func.count()).where(c.experiment_id == link.experiment_id).scalar_subquery()
