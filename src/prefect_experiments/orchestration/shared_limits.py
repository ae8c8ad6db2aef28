"""Limits that several flows share: Prefect's global concurrency limits, by name, held coarsely.

One experiment asks Prefect once for all the slots that it needs, and now and then for the next
call starts of a rate, never for each call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from prefect import get_client, get_run_logger
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.concurrency.asyncio import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencySlotAcquisitionError,
    concurrency,
    rate_limit,
)
from prefect.exceptions import ObjectNotFound

from prefect_experiments.errors import InvalidSetting, TransientError
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.work import RunPlan
from prefect_experiments.orchestration.patience import asked, current_line, is_away
from prefect_experiments.settings import Settings

LEASE_S = 60.0
"""How long the slots of a process that was killed stay taken; Prefect's least."""

STARTS_FOR_S = 2.0
LOOK_EVERY_S = 5.0

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
    if options.rate_limit is not None:
        found = await _read(options.rate_limit)
        rate = found.slot_decay_per_second
        if not rate:
            raise InvalidSetting(
                f"the limit {found.name!r} is no rate; `prefect gcl update {found.name} --slot-decay-per-second 10` "
                "makes it one of ten a second"
            )
        if found.active:
            pace = SharedPace(found.name, rate, max(1, min(found.limit, int(rate * STARTS_FOR_S))))
            plan = replace(plan, pace=pace)
    return plan


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
            f"that the slots of {name!r} are free, as they are in a minute", held.__aexit__(None, None, None)
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
    """The rate at which calls of all flows together may start; what comes next is asked for in advance.

    Args:
        name: of the limit.
        rate: call starts a second.
        at_once: how many are asked for together.
    """

    def __init__(self, name: str, rate: float, at_once: int) -> None:
        self._name = name
        self._rate = rate
        self._at_once = at_once
        self._left = 0
        self._lock = asyncio.Lock()
        self._alone = False

    async def acquire(self) -> None:
        """Wait until a call may start."""
        async with self._lock:
            if not self._left:
                await self._ask()
                self._left = self._at_once
            self._left -= 1

    async def _ask(self) -> None:
        try:
            await rate_limit(self._name, occupy=self._at_once, strict=True)
        except ConcurrencySlotAcquisitionError as error:
            if not self._alone:
                self._alone = True
                logger.warning("The rate limit %r is kept to by this flow alone from now on: %s.", self._name, error)
            await asyncio.sleep(self._at_once / self._rate)
