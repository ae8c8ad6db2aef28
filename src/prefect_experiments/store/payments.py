"""What the results of an experiment have cost, those that were made again since included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments import money
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.store.tables import evaluations, experiment_runs, experiments

Paid = tuple[int, int, str | None]
"""What was paid for: the position and the repetition of a run; with an evaluator, its evaluations on that run."""


class Spending(NamedTuple):
    """What the calls of models of an experiment's results have used.

    Attributes:
        judges: by evaluator that has used anything, the tokens and the cost of its calls; ``None`` where not known.
        unpriced: by model, the calls of the task and of the evaluators whose cost is not known, the commonest first.
        replaced_cost: of results that were made again; ``None`` where there are none of a known cost.
        spent: in US dollars, all that is known: of the task, of the evaluators, and of results that were made again.
    """

    judges: dict[str, tuple[int | None, float | None]]
    unpriced: dict[str, int]
    replaced_cost: float | None
    spent: float


def spending_of(connection: Connection, experiment_id: str) -> Spending:
    """What has been used, as far as it is known."""
    runs, said = experiment_runs.c, evaluations.c
    of_runs, of_said = runs.experiment_id == experiment_id, said.experiment_id == experiment_id
    sums = sa.select(said.evaluator, sa.func.sum(said.token_count), sa.func.sum(said.total_cost))
    sums = sums.where(of_said, sa.or_(said.token_count.is_not(None), said.total_cost.is_not(None)))
    rows = connection.execute(sums.group_by(said.evaluator).order_by(sa.func.min(said.position), said.evaluator)).all()
    judges = {evaluator: (tokens, money.rounded(cost)) for evaluator, tokens, cost in rows}
    task = connection.execute(sa.select(sa.func.sum(runs.total_cost)).where(of_runs)).scalar()
    replaced = sa.select(experiments.c.replaced_cost).where(experiments.c.id == experiment_id)
    before = money.rounded(connection.execute(replaced).scalar())
    unpriced: Counter[str] = Counter()
    for column, mine in ((runs.unpriced, of_runs), (said.unpriced, of_said)):
        query = sa.select(column, sa.func.count()).where(mine, column.is_not(None)).group_by(column)
        for text, times in connection.execute(query).all():
            unpriced.update({model: times * calls for model, calls in orjson.loads(text).items()})
    spent = money.total(cost for cost in (task, before, *(cost for _, cost in judges.values())) if cost is not None)
    return Spending(judges, dict(unpriced.most_common()), before, spent)


def paid_before(connection: Connection, experiment_id: str) -> dict[Paid, float]:
    """What is there already and has a cost; of runs those that failed, for no others are made again."""
    runs, said = experiment_runs.c, evaluations.c
    failed = sa.select(runs.position, runs.repetition_number, sa.null(), runs.total_cost).where(
        runs.experiment_id == experiment_id, runs.error.is_not(None), runs.total_cost > 0
    )
    given = (
        sa.select(said.position, said.repetition_number, said.evaluator, sa.func.sum(said.total_cost))
        .where(said.experiment_id == experiment_id, said.total_cost > 0)
        .group_by(said.position, said.repetition_number, said.evaluator)
    )
    rows = [*connection.execute(failed).all(), *connection.execute(given).all()]
    return {(position, repetition, evaluator): cost for position, repetition, evaluator, cost in rows}


def made_again(runs: Iterable[RunRecord], given: Iterable[EvaluationRecord]) -> set[Paid]:
    """What takes the place of what was there, if anything was."""
    return {(*run.key, None) for run in runs} | {(*one.key, one.evaluator) for one in given}


def add_replaced_cost(connection: Connection, experiment_id: str, cost: float) -> None:
    """Note what results have cost whose place others take."""
    c = experiments.c
    added = sa.func.coalesce(c.replaced_cost, 0.0) + cost
    connection.execute(experiments.update().where(c.id == experiment_id).values(replaced_cost=added))
