"""Limits that several flows share: Prefect's global concurrency limits, by name, held coarsely.

One experiment asks Prefect once for all the slots that it needs, and now and then for the next
call starts of a rate, never for each call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from prefect import get_client, get_run_logger
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.concurrency.asyncio import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencySlotAcquisitionError,
    concurrency,
)
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from prefect_experiments.errors import InvalidSetting, TransientError
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.work import RunPlan
from prefect_experiments.options import EvaluationOptions
from prefect_experiments.orchestration.patience import asked, current_line, is_away
from prefect_experiments.settings import Settings

LEASE_S = 60.0
"""How long the slots of a process that was killed stay taken; Prefect's least."""

STARTS_FOR_S = 2.0
"""Call starts are asked for together for so long: Prefect's server loses up to one each time."""

AHEAD_S = 1.0
BUSY_S = 0.05  # to the next try with a server that was busy with another request
ALONE_FOR_S = 30.0
LOOK_EVERY_S = 5.0

_LOCKED = 423

logger = logging.getLogger("prefect_experiments")


async def within_limits(plan: RunPlan) -> RunPlan:
    """The plan, with no more calls at a time than the limits that it names have, and at their pace.

    Raises:
        InvalidSetting: there is no such limit, or it is of another sort.
    """
    options = plan.options
    if options.concurrency_limit is not None:
        found = await _read(options.concurrency_limit)
        if found.active and found.limit < options.concurrency:
            note = (
                f"concurrency is {found.limit} and not {options.concurrency}: "
                f"the limit {found.name!r} has no more slots."
            )
            fewer = options.model_copy(update={"concurrency": found.limit})
            plan = replace(plan, options=fewer, notes=(*plan.notes, note))
    return replace(plan, pace=await pace_of(options))


async def pace_of(options: EvaluationOptions) -> SharedPace | None:
    """The pace of the rate limit that options name, if they name one that is active.

    Raises:
        InvalidSetting: there is no such limit, or it is of another sort.
    """
    if options.rate_limit is None:
        return None
    found = await _read(options.rate_limit)
    rate = found.slot_decay_per_second
    if not rate:
        raise InvalidSetting(
            f"the limit {found.name!r} is no rate; `prefect gcl update {found.name} --slot-decay-per-second 10` "
            "makes it one of ten a second"
        )
    return SharedPace(found.name, rate, found.limit) if found.active else None


async def _read(name: str) -> GlobalConcurrencyLimitResponse:
    async def read() -> GlobalConcurrencyLimitResponse:
        async with get_client() as api:
            try:
                return await api.read_global_concurrency_limit_by_name(name)
            except ObjectNotFound:
                known = [limit.name for limit in await api.read_global_concurrency_limits(limit=20, offset=0)]
                raise InvalidSetting(
                    f"there is no global concurrency limit {name!r}; `prefect gcl create {name} --limit 20` makes one. "
                    f"There are: {', '.join(known) or 'none'}"
                ) from None

    found = await asked(f"the limit {name!r} cannot be kept to, and nothing was run", read)
    if not found.limit:
        raise InvalidSetting(f"the global concurrency limit {name!r} is 0, which lets nothing through")
    return found


@contextlib.asynccontextmanager
async def slots_of(session: Session) -> AsyncIterator[None]:
    """Hold as many slots as the session makes calls at a time, while this is entered.

    A server that goes away meanwhile costs the experiment nothing: it goes on, and the slots become
    free by themselves.

    Raises:
        TransientError: the slots were not free for as long as the settings have patience.
        InvalidSetting: the limit is no longer there, or has fewer slots now.
    """
    name = session.spec.options.concurrency_limit
    if name is None or not await asyncio.to_thread(session.has_calls_to_make):
        yield
        return
    wanted, patience = session.spec.options.concurrency, Settings().limit_patience
    get_run_logger().info("Waiting for %d slots of the limit %r.", wanted, name)
    held = concurrency(
        name,
        occupy=wanted,
        timeout_seconds=patience,
        lease_duration=LEASE_S,
        strict=True,
        raise_on_lease_renewal_failure=False,
    )
    if not await _entered(held, name, wanted, patience, session.spec.experiment_id):
        yield
        return
    get_run_logger().info("Holding %d slots of the limit %r.", wanted, name)
    try:
        yield
    finally:
        await current_line().tell(
            f"that the slots of {name!r} are free, as they are in a minute",
            held.__aexit__(None, None, None),
            in_any_case=True,  # or they would be held for ever
        )


async def _entered(held: Any, name: str, wanted: int, patience: float, experiment_id: str) -> bool:
    """Wait for slots, as long as Prefect's server is there to give them; whether they are held."""
    line = current_line()
    try:
        async with asyncio.timeout(None) as limit, _watched(limit):
            await held.__aenter__()
    except AcquireConcurrencySlotTimeoutError:
        raise TransientError(
            f"waited {patience:g} s for {wanted} slots of the limit {name!r} (PREFECT_EXPERIMENTS_LIMIT_PATIENCE); "
            f"go on with `prefect-experiments resume {experiment_id}` when they are free"
        ) from None
    except (ConcurrencySlotAcquisitionError, TimeoutError) as error:
        if not is_away(error):
            raise InvalidSetting(f"no slots of the limit {name!r} can be had: {error}") from None
        line.missed(f"the slots of {name!r}, which this experiment goes without", error)
        return False
    return True


@contextlib.asynccontextmanager
async def _watched(limit: asyncio.Timeout) -> AsyncIterator[None]:
    """End a wait for slots when Prefect's server does not answer any more: its own client would wait for minutes."""

    async def watch() -> None:
        line = current_line()
        while not line.is_down:
            await asyncio.sleep(LOOK_EVERY_S)
            async with get_client() as api:
                await line.tell("an answer", api.hello())
        limit.reschedule(0)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


class SharedPace:
    """The rate at which calls of all flows together may start, evenly, from the first second on.

    Prefect's limit is a bucket: what is put in leaks out at the rate, and what would overflow is refused. Whoever puts
    into an empty one could start as many calls at once as it holds. Here a call starts not when its slot is put in, but
    when it leaks out: the slots of all flows are in one queue, and that is what spreads their starts.

    Args:
        name: of the limit.
        rate: call starts a second.
        room: how many the bucket holds.
    """

    def __init__(self, name: str, rate: float, room: int) -> None:
        self._name, self._rate, self._room = name, rate, room
        self._most = max(1, min(room // 2, int(rate * STARTS_FOR_S)))
        self._asked_for = 0
        self._used = 0
        self._waiting = 0
        self._starts: deque[float] = deque()
        self._last = 0.0
        self._lock = asyncio.Lock()
        self._alone_until = 0.0

    async def acquire(self) -> None:
        """Wait until a call may start."""
        self._waiting += 1
        try:
            async with self._lock:
                start = self._next() or await self._asked()
        finally:
            self._waiting -= 1
        await asyncio.sleep(start - time.monotonic())

    def _next(self) -> float | None:
        """The next of the starts that there are; one that nobody has used in its time is nobody's."""
        now = time.monotonic()
        while self._starts:
            if (start := self._starts.popleft()) > now - 1 / self._rate:
                self._used += 1
                return start
        return None

    async def _asked(self) -> float:
        while True:
            # What is there ends soon: then is early enough to ask for more, and leaves most to others.
            await asyncio.sleep(self._last - AHEAD_S - time.monotonic())
            await self._put_in(self._wanted())
            if (start := self._next()) is not None:
                return start

    def _wanted(self) -> int:
        """How many starts to ask for: more, where all were used of the last that were asked for."""
        doubled = 2 * self._asked_for if self._used == self._asked_for else self._used
        self._asked_for, self._used = max(1, min(self._most, max(self._waiting, doubled))), 0
        return self._asked_for

    async def _put_in(self, slots: int) -> None:
        """Put so many slots into the bucket, and take note of when they leak out."""
        before_us = 0 if time.monotonic() < self._alone_until else await self._queued(slots)
        # Never before what was there, for a clock or a server that counts in whole slots may say so.
        first = max(time.monotonic() + before_us / self._rate, self._last + 1 / self._rate)
        self._starts.extend(first + n / self._rate for n in range(slots))
        self._last = self._starts[-1]

    async def _queued(self, slots: int) -> int:
        """Have the server put them in; how many are before them."""
        line = current_line()
        while (found := await line.tell(self._what, self._ask())) is not None:
            if not found.active or found.limit < slots:
                break  # it has been switched off, or made smaller
            if (over := found.active_slots + slots - found.limit) > 0:
                # It counts in whole slots, so look before the last has leaked out. Asking for them in vain would cost
                # everybody: Prefect counts anew from then.
                await asyncio.sleep(max(over - 0.5, 0.25) / self._rate)
                continue
            if await line.tell(self._what, self._take(slots)):
                after = await line.tell(self._what, self._ask())
                return found.active_slots if after is None else max(0, after.active_slots - slots)
            if line.is_down:
                break
        self._go_alone()
        return 0

    @property
    def _what(self) -> str:
        return f"a share of the rate limit {self._name!r}, which this experiment keeps to by itself"

    def _go_alone(self) -> None:
        if not self._alone_until:
            logger.warning("The rate limit %r is kept to by this experiment alone from now on.", self._name)
        self._alone_until = time.monotonic() + ALONE_FOR_S

    async def _ask(self) -> GlobalConcurrencyLimitResponse:
        async with get_client() as api:
            return await api.read_global_concurrency_limit_by_name(self._name)

    async def _take(self, slots: int) -> bool:
        """Whether they are put in: others may have come first."""
        # On SQLite, Prefect's server answers 503 where another request was writing, and its client waits 2 s then.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while True:
                try:
                    async with get_client() as api:
                        await api.increment_concurrency_slots([self._name], slots, "rate_limit")
                except Exception as error:
                    if isinstance(error, PrefectHTTPStatusError) and error.response.status_code == _LOCKED:
                        return False
                    if not is_away(error):
                        raise
                    await asyncio.sleep(BUSY_S)
                else:
                    return True
