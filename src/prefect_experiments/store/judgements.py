"""What gates have said of experiments."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from prefect_experiments.datasets.kept_rows import sliced
from prefect_experiments.jsonable import dumps_lenient
from prefect_experiments.store.database import Database
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.tables import experiments, judgements
from prefect_experiments.texts import plain_text
from prefect_experiments.times import to_datetime

_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a gate said of an experiment when it was done.

    Attributes:
        status: ``passed``, ``failed`` or ``inconclusive``.
        exit_code: 0 where the gate let it through.
        reasons: a sentence each.
        checks: by what it was judged, an object with ``name``, ``status`` and ``reason`` each.
        moved: by metric, how the comparison calls it, such as ``regressed``; empty without a baseline.
        baseline_id: the experiment that it was compared with, in this store; ``None`` for a table, and without any.
        baseline: what people call it.
        pool: what the baseline was pooled of, as `analysis.nights.records.Pooled` has it; empty where that was not
            asked for.
        pool_means: by metric, the mean of all these runs and the baseline's; empty where it was one run.
        judged_at: ``None`` of one that is still to be kept.
    """

    status: str
    exit_code: int
    reasons: tuple[str, ...] = ()
    checks: Sequence[Mapping[str, Any]] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    baseline_id: str | None = None
    baseline: str | None = None
    pool: Mapping[str, Any] = field(default_factory=dict)
    pool_means: Mapping[str, float] = field(default_factory=dict)
    judged_at: datetime | None = None


@all_patient
class JudgementStore:
    """Keeps the last judgement of each experiment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, experiment_id: str, said: Judgement) -> None:
        """Keep what a gate has said, in the place of what one said before.

        Raises:
            NotFound: there is no such experiment.
        """
        values = {
            "experiment_id": experiment_id,
            "status": said.status,
            "exit_code": said.exit_code,
            "reasons": dumps_lenient(list(said.reasons))[0],
            "checks": dumps_lenient(list(said.checks))[0],
            "moved": dumps_lenient(dict(said.moved))[0],
            "baseline_id": said.baseline_id,
            "baseline": said.baseline and plain_text(said.baseline),
            "judged_at": time.time(),
            "pool": dumps_lenient(dict(said.pool))[0] if said.pool else None,
            "pool_means": dumps_lenient(dict(said.pool_means))[0] if said.pool_means else None,
        }
        with self._database.write() as connection:
            connection.execute(self._database.upsert(judgements), [values])

    def of(self, experiment_ids: Sequence[str]) -> dict[str, Judgement]:
        """By experiment, what a gate has said; of those that one has judged."""
        found: dict[str, Judgement] = {}
        with self._database.read() as connection:
            for some in sliced(experiment_ids, _KEYS_AT_ONCE):
                query = sa.select(judgements).where(judgements.c.experiment_id.in_(some))
                found.update({row.experiment_id: _judgement(row) for row in connection.execute(query).all()})
        return found

    def names(self, experiment_ids: Sequence[str]) -> dict[str, str]:
        """What those of some experiments are called that are there still."""
        found: dict[str, str] = {}
        c = experiments.c
        with self._database.read() as connection:
            for some in sliced(experiment_ids, _KEYS_AT_ONCE):
                query = sa.select(c.id, c.name).where(c.id.in_(some))
                found.update({row.id: row.name for row in connection.execute(query).all()})
        return found


def _judgement(row: Any) -> Judgement:
    return Judgement(
        status=row.status,
        exit_code=row.exit_code,
        reasons=tuple(orjson.loads(row.reasons)),
        checks=orjson.loads(row.checks),
        moved=orjson.loads(row.moved),
        baseline_id=row.baseline_id,
        baseline=row.baseline,
        pool=orjson.loads(row.pool or "{}"),
        pool_means=orjson.loads(row.pool_means or "{}"),
        judged_at=to_datetime(row.judged_at),
    )
