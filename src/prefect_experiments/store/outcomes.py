"""What came of an experiment in few figures, read at once: for many experiments beside each other."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from prefect_experiments import money
from prefect_experiments.store.database import Database
from prefect_experiments.store.figures import streamed
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.tables import evaluations, experiment_runs, experiments


class Outcome(NamedTuple):
    """The figures of one experiment.

    Attributes:
        made: runs that were made; `failed` of them failed.
        latencies_ms: of the ok runs of which it is known, ascending.
        cost: in US dollars, all that is known to have been paid, as `Summary.overall_cost`; ``None`` where nothing is.
        scores: by metric, position and score of each evaluation that has one and counts, in dataset order.
    """

    made: int
    failed: int
    latencies_ms: list[float]
    cost: float | None
    scores: dict[str, list[tuple[int, float]]]


@all_patient
class OutcomeStore:
    """Reads outcomes: each run and each evaluation is looked at once, and no text of it is read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, experiment_id: str) -> Outcome:
        """The figures of an experiment, of one moment."""
        run, said = experiment_runs.c, evaluations.c
        runs = sa.select(run.position, run.repetition_number, run.error.is_not(None), run.latency_ms, run.total_cost)
        given = sa.select(said.position, said.repetition_number, said.name, said.score, said.total_cost)
        before = sa.select(experiments.c.replaced_cost).where(experiments.c.id == experiment_id)
        made, void = 0, set()
        latencies: list[float] = []
        of_task: list[float] = []
        of_judges: list[float] = []
        scores: dict[str, list[tuple[int, float]]] = {}
        with self._database.read() as connection:
            for position, repetition, failed, latency, cost in streamed(
                connection, runs.where(run.experiment_id == experiment_id)
            ):
                made += 1
                if failed:
                    void.add((position, repetition))
                elif latency is not None:
                    latencies.append(latency)
                if cost is not None:
                    of_task.append(cost)
            ordered = given.where(said.experiment_id == experiment_id).order_by(said.position)
            for position, repetition, name, score, cost in streamed(connection, ordered):
                if cost is not None:
                    of_judges.append(cost)
                if score is not None and (position, repetition) not in void:
                    scores.setdefault(name, []).append((position, score))
            replaced = connection.execute(before).scalar()
        paid = [*of_task, *of_judges, *([] if replaced is None else [replaced])]
        latencies.sort()
        return Outcome(made, len(void), latencies, money.total(paid) if paid else None, scores)
