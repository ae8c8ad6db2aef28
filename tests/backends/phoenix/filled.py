"""An experiment in a store, with results that were never made: a run and three verdicts for each example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from prefect_experiments.models import Example
from prefect_experiments.records import RunRecord
from prefect_experiments.store import EvaluatorRecord, Link, Store, TaskRecord
from prefect_experiments.store.tables import evaluations, experiment_runs

START = 1_800_000_000.0
NAMES = ("a", "b", "c")


class Filled:
    """An experiment with a run and three verdicts for each example, and a link to a backend."""

    def __init__(self, store: Store, count: int, name: str = "filled") -> None:
        self.store = store
        version = store.datasets.put(name, [Example(id=f"e{n}", input={"n": n}, output=None) for n in range(count)])
        self.positions = list(store.datasets.positions(version))
        record = store.experiments.create(
            name,
            version,
            task=TaskRecord("t", None, None),
            evaluators=[EvaluatorRecord(n, "CODE", "f") for n in NAMES],
            repetitions=1,
            positions=None,
        )
        self.id = record.experiment.id
        self.put_runs(self.positions)
        self.put_verdicts(self.positions)
        self.link = self.linked()

    def linked(self, target: str = "phoenix http://somewhere") -> Link:
        return self.store.links.link_experiment(
            self.id,
            target,
            remote_id=f"R {target} {self.id}",
            remote_dataset_id="D",
            remote_version_id="V",
            project_name=None,
            url=None,
        )

    def write(self, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        database = self.store.database
        with database.write() as connection:
            database.write_many(connection, database.upsert(table), rows)

    def put_runs(self, positions: list[int], at: float = START, error: str | None = None) -> None:
        output = None if error else '{"answer": "%s"}' % ("x" * 200)
        rows = [(self.id, p, 1, f"e{p}", output, error, at, at + p / 1000, 1, *[None] * 6) for p in positions]
        self.write(experiment_runs, rows)

    def put_verdicts(self, positions: list[int], at: float = START) -> None:
        rows = [
            (self.id, p, 1, n, n, "CODE", "f", 1.0, None, "why", None, None, at, at + p / 1000, *[None] * 4)
            for p in positions
            for n in NAMES
        ]
        self.write(evaluations, rows)

    def take(self, limit: int = 100_000, *, refuse: Callable[[Any], str | None] = lambda _: None) -> int:
        """Push what waits, as far as it can be now; how much it was."""
        queue = self.store.outbox
        items = [*queue.waiting_runs(self.link, limit), *queue.waiting_evaluations(self.link, limit)]
        queue.mark(
            self.link,
            [
                (i, f"there-{i.position}" if isinstance(i, RunRecord) and not refuse(i) else None, refuse(i))
                for i in items
            ],
        )
        return len(items)
