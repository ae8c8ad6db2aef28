"""Which experiment had a tag, and from when to when: promotions over time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.errors import NotFound
from prefect_experiments.store.database import Database
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.tables import experiments, tag_moves
from prefect_experiments.times import to_datetime


@dataclass(frozen=True, slots=True)
class TagMove:
    """A tag that was given to an experiment, or taken away.

    Attributes:
        experiment_id: which has it from then on, and may have been deleted since; ``None`` where none has.
    """

    tag: str
    experiment_id: str | None
    moved_at: datetime


@all_patient
class TagMoveStore:
    """Reads when tags moved; those of the store's own experiments are noted where they are given.

    What a backend's experiment is tagged is kept there, and its moves are noted here by `gave` and `took`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_dataset(self, dataset_id: str) -> list[TagMove]:
        """All moves of the tags of a dataset, the first one first."""
        c = tag_moves.c
        query = sa.select(c.tag, c.experiment_id, c.moved_at).where(c.dataset_id == dataset_id).order_by(c.number)
        with self._database.read() as connection:
            return [TagMove(tag, found, to_datetime(at)) for tag, found, at in connection.execute(query).all()]

    def gave(self, experiment_id: str, tag: str) -> None:
        """Take note that an experiment has got a tag at its backend.

        Raises:
            NotFound: there is no such experiment here.
        """
        with self._database.write(alone=True) as connection:
            query = sa.select(experiments.c.dataset_id).where(experiments.c.id == experiment_id)
            if (dataset_id := connection.execute(query).scalar()) is None:
                raise NotFound(f"there is no experiment {experiment_id!r}")
            move(connection, dataset_id, tag, experiment_id)

    def took(self, experiment_id: str, tag: str) -> None:
        """Take note that a tag was taken away from an experiment at its backend."""
        with self._database.write(alone=True) as connection:
            let_go(connection, experiment_id, tag)


def move(connection: Connection, dataset_id: str, tag: str, experiment_id: str | None) -> None:
    """Take note that a tag has moved, unless it is there already, in a transaction that is alone."""
    if _holder(connection, dataset_id, tag) == experiment_id:
        return
    number = sa.select(sa.func.coalesce(sa.func.max(tag_moves.c.number), 0) + 1).scalar_subquery()
    values = {"dataset_id": dataset_id, "tag": tag, "experiment_id": experiment_id, "moved_at": time.time()}
    connection.execute(tag_moves.insert().values(number=number, **values))


def let_go(connection: Connection, experiment_id: str, tag: str | None = None) -> None:
    """Take note that an experiment has a tag no more, or any tag, in a transaction that is alone."""
    c = tag_moves.c
    had = sa.select(c.dataset_id, c.tag).where(c.experiment_id == experiment_id).distinct()
    for dataset_id, name in connection.execute(had if tag is None else had.where(c.tag == tag)).all():
        if _holder(connection, dataset_id, name) == experiment_id:
            move(connection, dataset_id, name, None)


def _holder(connection: Connection, dataset_id: str, tag: str) -> str | None:
    """The experiment that has a tag by its newest move; ``None`` where none has."""
    c = tag_moves.c
    moves = sa.select(c.experiment_id).where(c.dataset_id == dataset_id, c.tag == tag)
    found: str | None = connection.execute(moves.order_by(c.number.desc()).limit(1)).scalar()
    return found
