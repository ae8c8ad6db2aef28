"""Who may push an experiment to a backend where pushing a result twice would make two of it."""

from __future__ import annotations

import os
import socket
import time

import sqlalchemy as sa

from prefect_experiments.store.database import Database
from prefect_experiments.store.links import Link
from prefect_experiments.store.tables import push_holds


class LeaseStore:
    """One holder for each link, until it lets go, or for some time after it was last heard of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, link: Link, owner: str, seconds: float) -> bool:
        """Be the holder for so long; whether nobody else is.

        Args:
            link: what is pushed.
            owner: the host, the process's number there, and something that tells it from others of that process.
            seconds: from now on.
        """
        now, c = time.time(), push_holds.c
        with self._database.write(alone=True, sync=False) as connection:
            found = connection.execute(sa.select(c.owner, c.until).where(c.link_id == link.id)).one_or_none()
            if found is not None and found.owner != owner and found.until > now and not _is_gone(found.owner):
                return False
            row = {"link_id": link.id, "owner": owner, "until": now + seconds}
            connection.execute(self._database.upsert(push_holds), [row])
        return True

    def release(self, link: Link, owner: str) -> None:
        """Let go."""
        c = push_holds.c
        with self._database.write(sync=False) as connection:
            connection.execute(push_holds.delete().where(c.link_id == link.id, c.owner == owner))


def _is_gone(owner: str) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    host, pid, _ = owner.split(" ", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is there, and another user's
        return False
    return False
