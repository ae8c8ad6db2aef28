"""What must be begun only once: the experiment that an idempotency key stands for.

The key is the experiment's tag, and a tag names one experiment of a dataset. So whoever gives the
tag first has the claim, whatever process, machine or Prefect server it is on, as long as the store
is the same; and people find the experiment by what it was made for.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.errors import AlreadyExists, NotFound
from prefect_experiments.experiment.naming import check_tag
from prefect_experiments.origin import BEGUN_FOR
from prefect_experiments.store import ExperimentRecord, Store
from prefect_experiments.store.tables import experiment_tags


def check_key(key: str) -> str:
    """The key, if it can be one.

    Raises:
        InvalidInput: it cannot be an experiment's tag.
    """
    return check_tag(key)


def claimed(store: Store, dataset: str, key: str) -> ExperimentRecord | None:
    """The experiment on a dataset, given by name or id, that was begun for a key."""
    try:
        return store.experiments.get(f"tag:{key}", dataset=dataset)
    except NotFound:
        return None


def given_tags(store: Store, dataset: str) -> list[str]:
    """The tags of a dataset's experiments that somebody gave: all but the keys that they were begun for."""
    found = ((tag, claimed(store, dataset, tag)) for tag in store.experiments.tags(dataset))
    return [tag for tag, record in found if record is not None and record.experiment.origin.get(BEGUN_FOR) != tag]


def claim(connection: Connection, record: ExperimentRecord, key: str) -> None:
    """Make an experiment the one for a key, in the transaction that makes it, which is alone.

    Raises:
        AlreadyExists: another one was first; it is named, and this one is not to be made.
    """
    mine, of_tag = record.experiment, experiment_tags.c
    query = sa.select(of_tag.experiment_id).where(of_tag.dataset_id == mine.dataset_id, of_tag.tag == key)
    first = connection.execute(query).scalar()
    if first is None:
        connection.execute(experiment_tags.insert().values(dataset_id=mine.dataset_id, tag=key, experiment_id=mine.id))
    elif first != mine.id:
        refuse(str(first), key)


def refuse(experiment_id: str, key: str) -> None:
    """Say that an experiment has the key.

    Raises:
        AlreadyExists: always.
    """
    raise AlreadyExists(
        f"experiment {experiment_id} was begun for {key!r} before, and nothing is run twice for one key; see it with "
        f"`prefect-experiments show {experiment_id}`, go on with it by `prefect-experiments resume {experiment_id}`",
        experiment_id=experiment_id,
    )
