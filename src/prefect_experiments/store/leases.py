"""Who works on an experiment just now: one process makes its calls, one pushes it where a second would double it.

A holder shows that it lives by changing its row every few seconds. Whoever wants the lease watches the row with its own
clock, so that no two machines need agree on the time: what has not changed for long enough belongs to nobody any more.
Where the holder was a process of the same machine that has ended, that is known at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.errors import ExperimentInUse, ExperimentsError, NotFound, StoreUnavailable, traceback_text
from prefect_experiments.store.database import Database
from prefect_experiments.store.links import Link
from prefect_experiments.store.processes import Process, clock, holding
from prefect_experiments.store.tables import experiments, leases
from prefect_experiments.times import to_datetime

BEAT_S = 3.0
SILENT_S = 20.0  # after so long without a sign of life, a holder has lost its lease
DOUBT_S = SILENT_S / 2  # after so long without having shown one, a holder asks before it goes on
LONGEST_REQUEST_S = 180.0  # what a push has sent may still be carried out, so nobody else pushes for so long
LOOK_S = 0.5

# The holder of a lease that was let go of. The row stays: one who stood still meanwhile must find that it is not theirs
# any more.
NOBODY = ""

logger = logging.getLogger("prefect_experiments")


@contextlib.asynccontextmanager
async def letting_go(lease: Lease | None) -> AsyncIterator[None]:
    """Let go of a lease when this is left, however that comes."""
    try:
        yield
    finally:
        if lease is not None:
            await asyncio.to_thread(lease.release)


class _Seen(NamedTuple):
    """The row of a lease: whose it is, what that one's clock said when it last showed that it lives, since when.

    The last is what shows that one's work to people, where anything does.
    """

    holder: str
    beat: float
    since: float
    flow_run_id: str | None


class LeaseStore:
    """The leases on experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_calls(self, experiment_id: str) -> Lease:
        """The lease of the process that makes an experiment's calls; not taken yet."""
        return Lease(self._database, experiment_id, "calls", SILENT_S)

    def of_push(self, link: Link) -> Lease:
        """The lease of the process that pushes an experiment to a backend; not taken yet."""
        return Lease(self._database, link.experiment_id, f"push {link.id}", LONGEST_REQUEST_S)


class Lease:
    """One holder's lease on one thing, kept from when it is taken until it is let go; for several threads.

    Args:
        database: where the leases are.
        experiment_id: the experiment.
        purpose: what the lease is for.
        silent_s: after how many seconds without a sign of life another holder has lost it.
    """

    def __init__(self, database: Database, experiment_id: str, purpose: str, silent_s: float) -> None:
        self._database = database
        self._experiment_id = experiment_id
        self._purpose = purpose
        self._silent_s = silent_s
        self._me = Process.this().text
        self._lock = threading.Lock()
        self._let_go = threading.Event()
        self._beating: threading.Thread | None = None
        self._sure = (0.0, 0.0)  # when it was last known to be ours: by `clock`, and by the wall's
        self._lost: ExperimentsError | None = None
        self._seen: _Seen | None = None
        self._looked_at = self._silent_for = 0.0
        self._lives = False  # whether the other holder has been seen to live
        self.trying_since: float | None = None
        self._flow_run_before: str | None = None

    @property
    def holder(self) -> str:
        """Who holds it where this does, as it is kept."""
        return self._me

    @property
    def lost(self) -> ExperimentsError | None:
        """Why it is not this one's any more, as far as is known."""
        return self._lost

    # Taking it

    async def take(self) -> None:
        """Take it as soon as that can be done, or give up as soon as it is known that somebody else works.

        Raises:
            ExperimentInUse: another process holds it, and lives.
        """
        said = False
        while not await asyncio.to_thread(self.try_to_take):
            assert self._seen is not None
            other = Process.of(self._seen.holder)
            if self._lives:
                raise ExperimentInUse(
                    f"experiment {self._experiment_id} is held by {other}, which has been working on it since "
                    f"{to_datetime(self._seen.since):%Y-%m-%d %H:%M:%S} UTC and is alive: nothing was called here. "
                    "Wait until it is done, or end it; then go on with "
                    f"`prefect-experiments resume {self._experiment_id}`",
                    experiment_id=self._experiment_id,
                )
            if not said:
                said = True
                logger.warning(
                    "Experiment %s is held by %s, of which it is not known whether it is alive: waiting for a sign of "
                    "it, up to %.0f s, to go on in its place.",
                    self._experiment_id,
                    other,
                    self._silent_s,
                )
            await asyncio.sleep(LOOK_S)

    def try_to_take(self) -> bool:
        """Take it if it can be had now; whether it is ours.

        Raises:
            NotFound: the experiment is not there.
        """
        with self._lock:
            if self._let_go.is_set():
                return False
            if self._beating is not None and self._lost is None:
                try:
                    self._confirm()
                except ExperimentInUse:  # after a time in which this process stood still
                    self._beating = None
                else:
                    return True
            if not self._database.outage.patiently(self._try):
                return False
            self._keep()
            return True

    def _try(self) -> bool:
        moment = self._now()
        with self._database.write(alone=True, sync=False) as connection:
            self._beside(connection)
            seen = self._row(connection)
            others = seen is not None and seen.holder not in (NOBODY, self._me)
            if seen is not None and others and not self._is_over(seen):
                return False
            self._put(connection, moment[0])
        if seen is not None and others:
            self._flow_run_before = seen.flow_run_id
        self._sure, self._lost = moment, None
        return True

    def put(self, connection: Connection) -> None:
        """Take it in the transaction that makes the experiment, which nobody else can hold; `kept` comes after that."""
        self._put(connection, clock())

    def kept(self) -> None:
        """That transaction is done."""
        with self._lock:
            self._sure = self._now()
            self._keep()

    def is_ended(self, connection: Connection) -> bool:
        """Whether nobody holds it, who lives; a holder that has lost it learns so, should it only have stood still.

        Asked again and again, this finds out also of one that is elsewhere.
        """
        seen = self._row(connection)
        if seen is None or seen.holder == NOBODY:
            return True
        if not self._is_over(seen):
            return False
        c = leases.c
        this = [c.experiment_id == self._experiment_id, c.purpose == self._purpose]
        as_seen = [c.holder == seen.holder, c.beat == seen.beat]
        changed = connection.execute(leases.update().where(*this, *as_seen).values(holder=NOBODY))
        return bool(changed.rowcount)

    def is_left(self, connection: Connection) -> bool:
        """`is_ended`, to look only: a holder that has stood still may go on."""
        seen = self._row(connection)
        return seen is None or seen.holder == NOBODY or self._is_over(seen)

    def is_held_by(self, connection: Connection, holder: str) -> bool:
        """Whether it is that one's, who lives as far as is known."""
        seen = self._row(connection)
        return seen is not None and seen.holder == holder and not self._is_over(seen)

    def _beside(self, connection: Connection) -> None:
        """What else is looked at, or told, whenever this is taken or kept.

        Raises:
            ExperimentsError: it is lost for a reason of another's.
        """

    def _is_over(self, seen: _Seen) -> bool:
        """Whether another holder has lost it; what is found on the way is kept for the next look."""
        now, before = time.monotonic(), self._seen
        if before is None or (before.holder, before.beat) != (seen.holder, seen.beat):
            self._lives = before is not None and before.holder == seen.holder
            self._silent_for = 0.0
        else:
            # Between two looks that are far apart the database may have been away, for the holder as well.
            self._silent_for += min(now - self._looked_at, 2 * BEAT_S)
        self._seen, self._looked_at = seen, now
        other = Process.of(seen.holder)
        if (lives := other.lives()) is False:
            return True
        if lives and (silent_here := other.seconds_since(seen.beat)) is not None and silent_here < 2 * BEAT_S + 1:
            self._lives = True
        return self._silent_for >= self._silent_s

    def _put(self, connection: Connection, beat: float) -> None:
        row = {
            "experiment_id": self._experiment_id,
            "purpose": self._purpose,
            "holder": self._me,
            "beat": beat,
            "since": time.time(),
            "flow_run_id": None,
        }
        connection.execute(self._database.upsert(leases), [row])

    # Keeping it

    @property
    def _pause_s(self) -> float:
        return BEAT_S

    def _keep(self) -> None:
        holding.add(self._me)
        self._beating = threading.Thread(target=self._beat, name="experiment-lease", daemon=True)
        self._beating.start()

    def _beat(self) -> None:
        me = threading.current_thread()
        while not self._let_go.wait(self._pause_s) and self._beating is me:
            with self._lock:
                if self._let_go.is_set():
                    return
                try:
                    self._renew()
                except StoreUnavailable:
                    continue  # the next one may get through; while it does not, nothing new begins
                except ExperimentsError as error:
                    self._lost = error
                    return

    def is_in_doubt(self) -> bool:
        """Whether this process has not shown for long that it lives: it stood still, or the database was away."""
        if self._lost is not None:
            return True
        boot, wall = self._sure
        return clock() - boot > DOUBT_S or abs(time.time() - wall) > DOUBT_S

    def confirm(self) -> None:
        """Make sure that it is ours still, where that is in doubt.

        Raises:
            ExperimentInUse: another process has taken it over.
            NotFound: the experiment was deleted.
            StoreUnavailable: the database does not answer for a minute.
        """
        with self._lock:
            self._confirm()

    def _confirm(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self.is_in_doubt():
            self._database.outage.patiently(self._renew)

    def _renew(self) -> None:
        moment, c = self._now(), leases.c
        mine = leases.update().where(c.experiment_id == self._experiment_id, c.purpose == self._purpose)
        self.trying_since = time.monotonic()
        try:
            with self._database.write(sync=False) as connection:
                self._beside(connection)
                if not connection.execute(mine.where(c.holder == self._me).values(beat=moment[0])).rowcount:
                    self._take_back(connection, moment[0])
        finally:
            self.trying_since = None
        self._sure = moment

    def _take_back(self, connection: Connection, beat: float) -> None:
        """The row is not ours any more: it may be anybody's.

        Raises:
            ExperimentInUse: somebody else's.
            NotFound: nobody's, for there is no experiment.
        """
        if (seen := self._row(connection)) is not None:
            has_ended = seen.holder == NOBODY
            raise ExperimentInUse(
                f"experiment {self._experiment_id} was taken over by "
                f"{'another process' if has_ended else Process.of(seen.holder)} while this process stood still or "
                "could not reach the store; it makes no further calls. What it had finished is kept, and the other one "
                f"{'has gone on with the rest, and ended' if has_ended else 'goes on with the rest'}",
                experiment_id=self._experiment_id,
            )
        here = sa.select(experiments.c.id).where(experiments.c.id == self._experiment_id)
        if connection.execute(here).first() is None:
            raise NotFound(f"experiment {self._experiment_id} was deleted from the store while it ran")
        self._put(connection, beat)

    def _row(self, connection: Connection) -> _Seen | None:
        c = leases.c
        mine = (c.experiment_id == self._experiment_id, c.purpose == self._purpose)
        row = connection.execute(sa.select(c.holder, c.beat, c.since, c.flow_run_id).where(*mine)).first()
        return None if row is None else _Seen(*row)

    def _now(self) -> tuple[float, float]:
        return clock(), time.time()

    def shown_by(self, flow_run_id: str) -> str | None:
        """Say which flow run shows the work; gives that of a holder which has ended without letting go."""
        c = leases.c
        mine = leases.update().where(c.experiment_id == self._experiment_id, c.purpose == self._purpose)
        with self._database.write(sync=False) as connection:
            connection.execute(mine.where(c.holder == self._me).values(flow_run_id=flow_run_id))
        before, self._flow_run_before = self._flow_run_before, None
        return before

    # Letting it go

    def release(self) -> None:
        """Let go, for good. What cannot be told to the database now is found out by whoever comes next."""
        self._let_go.set()
        with self._lock:
            if self._beating is None:
                return
            self._beating = None
            holding.discard(self._me)
            c = leases.c
            mine = [c.experiment_id == self._experiment_id, c.purpose == self._purpose, c.holder == self._me]
            try:
                with self._database.write(sync=False) as connection:
                    connection.execute(leases.update().where(*mine).values(holder=NOBODY, flow_run_id=None))
            except ExperimentsError as error:
                logger.debug("letting go of experiment %s\n%s", self._experiment_id, traceback_text(error))
