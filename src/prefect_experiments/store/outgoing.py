"""Rows on their way to a backend that takes a run together with its evaluations, and never again."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from prefect_experiments.store.database import Database
from prefect_experiments.store.links import Link, OutgoingEvaluation, OutgoingRow, OutgoingRun
from prefect_experiments.store.tables import (
    evaluations,
    experiment_evaluators,
    experiment_runs,
    experiments,
    pushed_runs,
)

_RUN = ("position", "repetition_number", "example_id", "output", "error", "start_time", "end_time", "trace_id")
_EVALUATION = (
    *("name", "annotator_kind", "score", "label", "explanation", "metadata", "error", "start_time", "end_time"),
    "trace_id",
)


def waiting_rows(database: Database, link: Link, limit: int | None, *, complete: bool) -> list[OutgoingRow]:
    """Runs that the backend lacks, in dataset order.

    Args:
        database: the store's.
        link: the experiment's counterpart.
        limit: how many at most; ``None`` for all.
        complete: only those that nothing more will come to: failed ones, and ok ones that every evaluator of the
            experiment has given a verdict on.
    """
    r, p = experiment_runs.c, pushed_runs.c
    # Subqueries on whole primary keys, for the reason that `store.links` gives.
    there = sa.select(p.stamp).where(
        p.link_id == link.id, p.position == r.position, p.repetition_number == r.repetition_number
    )
    query = (
        sa.select(*(r[name] for name in _RUN), r.token_count, r.total_cost, r.metadata)
        .where(r.experiment_id == link.experiment_id)
        .where(r.end_time.is_distinct_from(there.correlate(experiment_runs).scalar_subquery()))
        .order_by(r.position, r.repetition_number)
        .limit(limit)
    )
    if complete:
        query = query.where(sa.or_(r.error.is_not(None), _verdicts_given() >= _evaluators(link)))
    with database.read() as connection:
        runs = connection.execute(query).all()
        if not runs:
            return []
        c = evaluations.c
        of_these = sa.select(c.position, c.repetition_number, *(c[name] for name in _EVALUATION)).where(
            c.experiment_id == link.experiment_id, c.position.between(runs[0][0], runs[-1][0])
        )
        given = connection.execute(of_these.order_by(c.position, c.repetition_number, c.name)).all()
    by_run: dict[tuple[int, int], list[OutgoingEvaluation]] = {}
    for position, repetition, *values in given:
        by_run.setdefault((position, repetition), []).append(OutgoingEvaluation(position, repetition, "", *values))
    return [_row(values, by_run.get((values[0], values[1]), [])) for values in runs]


def _row(values: Any, given: list[OutgoingEvaluation]) -> OutgoingRow:
    *run_values, token_count, total_cost, metadata = values
    run = OutgoingRun(*run_values)
    return OutgoingRow(run, token_count, total_cost, metadata, () if run.error is not None else tuple(given))


def is_logged(database: Database, link: Link) -> bool:
    """Whether the experiment was made elsewhere and logged here."""
    query = sa.select(experiments.c.logged).where(experiments.c.id == link.experiment_id)
    with database.read() as connection:
        return connection.execute(query).scalar() is not None


def _verdicts_given() -> Any:
    """How many evaluators have given a verdict on the run; one may give several."""
    r, e = experiment_runs.c, evaluations.c
    return (
        sa.select(sa.func.count(sa.distinct(e.evaluator)))
        .where(
            e.experiment_id == r.experiment_id,
            e.position == r.position,
            e.repetition_number == r.repetition_number,
        )
        .correlate(experiment_runs)
        .scalar_subquery()
    )


def _evaluators(link: Link) -> Any:
    c = experiment_evaluators.c
    return sa.select(sa.func.count()).where(c.experiment_id == link.experiment_id).scalar_subquery()
