"""What processes that call one provider at once know of its limit, and who they are.

What is written here has an age, by the database's own clock, so that no two machines need agree on the time: a pause of
30 s that was written 4 s ago is one of 26 s. Only news is written, and merged with what is there (see
`engine.known_limits`), so that each cut counts once, whoever hears of it and however often.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.engine.known_limits import Known
from prefect_experiments.store.database import Database
from prefect_experiments.store.processes import Process
from prefect_experiments.store.tables import limit_sharers, provider_limits

SILENT_S = 10.0  # after so long without a sign of life, a process has no part of a limit any more
FORGOTTEN_S = 120.0  # after so long without news, a limit is found anew: it would have grown 400-fold

# PostgreSQL locks a row that is there also where it is not to be replaced.
_NEVER = sa.false()


class Met(NamedTuple):
    """What one process says of a provider that has refused its experiment's calls.

    Attributes:
        targets: whose calls it has refused, by name.
        refused_for: as in `Known`.
        since_success: as in `Known`; ``None`` for never.
    """

    targets: list[str]
    refused_for: float = 0.0
    since_success: float | None = None

    def known(self, age: float) -> Known:
        """As what is known, so many seconds later."""
        return Known(refused_for=self.refused_for, since_success=_or_infinite(self.since_success)).after(age)


class Sharer(NamedTuple):
    """A process that makes calls of an experiment.

    Attributes:
        experiment_id: the experiment.
        process: which process.
        observed: call starts a second, lately; ``None`` where that is not known yet.
        met: the providers that have refused calls, by name.
        age: the seconds since it has last shown that it is there.
    """

    experiment_id: str
    process: str
    observed: float | None
    met: Mapping[str, Met]
    age: float = 0.0


class Heard(NamedTuple):
    """What the store knows now.

    Attributes:
        limits: what is known of each provider.
        sharers: the processes that live.
        at: when the store was asked, by the monotonic clock. What is known is of that moment, or of a little later.
    """

    limits: dict[str, Known]
    sharers: list[Sharer]
    at: float


class ProviderLimitStore:
    """The limits that processes share. Nothing here is tried again: whoever asks goes on alone meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Seconds by the database's clock, at that very moment and not as of when the transaction began.
        sqlite, postgresql = "(julianday('now') - 2440587.5) * 86400.0", "EXTRACT(EPOCH FROM clock_timestamp())"
        self._now = sa.cast(sa.literal_column(sqlite if database.is_sqlite else postgresql), sa.Double).label("now")

    @staticmethod
    def this_process() -> str:
        """What this process is called here: the same for all experiments in it."""
        process = Process.this()
        return f"{process.host} {process.machine} {process.pid} {process.started}"

    def look(self) -> Heard:
        """What is known, and nothing is told."""
        with self._database.read() as connection:
            return self._heard(connection)

    def exchange(self, me: Sharer, of: Collection[str], news: Callable[[], Mapping[str, Known]]) -> Heard:
        """Show that a process is there, tell what it knows that is new, and hear what is known.

        Args:
            me: what it says of itself.
            of: the providers of which it knows something new.
            news: gives what that is, when the store is about to take it: waiting for the store makes no pause longer.
        """
        with self._database.write(sync=False) as connection:
            if of:
                # In one order, so that no two wait for each other. (SQLite has one writer at a time anyway.)
                blank = {"rate": None, "pause": 0.0, "hold": 0.0, "since_cut": None, "as_of": 0.0}
                held = self._database.upsert(provider_limits, where=_NEVER)
                for provider in sorted(of):
                    connection.execute(held, {"provider": provider, **blank})
                self._tell(connection, news())
            row = {
                "experiment_id": me.experiment_id,
                "process": me.process,
                "observed": me.observed,
                "providers": orjson.dumps({provider: tuple(met) for provider, met in me.met.items()}).decode(),
                "seen": self._seconds(connection),
            }
            connection.execute(self._database.upsert(limit_sharers), [row])
            return self._heard(connection)

    def _tell(self, connection: Connection, told: Mapping[str, Known]) -> None:
        known, now = self._limits(connection), self._seconds(connection)
        rows = []
        for provider, said in told.items():
            together = known[provider].merged(said) if provider in known else said
            rows.append(
                {
                    "provider": provider,
                    "rate": _finite(together.rate),
                    "pause": together.pause,
                    "hold": together.hold,
                    "since_cut": _finite(together.since_cut),
                    "as_of": now,
                }
            )
        if rows:
            connection.execute(self._database.upsert(provider_limits), rows)

    def leave(self, me: Sharer) -> None:
        """A process makes no more calls; and what nobody has use for any more is removed."""
        c, s = provider_limits.c, limit_sharers.c
        mine = sa.and_(s.experiment_id == me.experiment_id, s.process == me.process)
        with self._database.write(sync=False) as connection:
            now = self._seconds(connection)
            connection.execute(limit_sharers.delete().where(sa.or_(mine, s.seen < now - FORGOTTEN_S)))
            connection.execute(provider_limits.delete().where(c.as_of + c.pause < now - FORGOTTEN_S))

    def _seconds(self, connection: Connection) -> float:
        return float(connection.execute(sa.select(self._now)).scalar_one())

    def _heard(self, connection: Connection) -> Heard:
        s, at = limit_sharers.c, time.monotonic()
        rows = connection.execute(sa.select(*limit_sharers.c, self._now).where(s.seen >= self._now - SILENT_S)).all()
        sharers = [
            Sharer(
                row.experiment_id,
                row.process,
                row.observed,
                {provider: Met(*met) for provider, met in orjson.loads(row.providers).items()},
                max(0.0, row.now - row.seen),
            )
            for row in rows
        ]
        return Heard(self._limits(connection), sharers, at)

    def _limits(self, connection: Connection) -> dict[str, Known]:
        found = {}
        for row in connection.execute(sa.select(*provider_limits.c, self._now)):
            age = max(0.0, row.now - row.as_of)  # a clock may be set back
            if age - row.pause <= FORGOTTEN_S:
                said = Known(_or_infinite(row.rate), row.pause, row.hold, _or_infinite(row.since_cut))
                found[row.provider] = said.after(age)
        return found


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _or_infinite(number: float | None) -> float:
    return math.inf if number is None else number
