"""Prefect's clients of one flow run, made while the experiment is planned.

Each reads the certificates of all authorities first, which takes as long as several requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from prefect.context import AsyncClientContext, SyncClientContext
from prefect.settings import PREFECT_API_URL

_Contexts = tuple[AsyncClientContext, SyncClientContext]


class Clients:
    """The clients of a flow run that is about to begin. Making one starts making them, in threads."""

    def __init__(self) -> None:
        # Inside another run they are there; and a temporary server has to be started first.
        is_wanted = AsyncClientContext.get() is None and SyncClientContext.get() is None and PREFECT_API_URL.value()
        self._made = asyncio.create_task(_made()) if is_wanted else None

    @contextlib.asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Have all that Prefect does while this is entered use them; they are closed at the end.

        Prefect's engine of async flows makes a synchronous client as well, anew for each thing that it wants of one.
        """
        made = None if self._made is None else await self._made
        if made is None:
            async with AsyncClientContext.get_or_create():
                with SyncClientContext.get_or_create():
                    yield
            return
        asynchronous, synchronous = made
        async with asynchronous:
            with synchronous:
                yield


async def _made() -> _Contexts | None:
    """Both; ``None`` where they cannot be made: then the flow run finds out, and says why."""
    try:
        return await asyncio.gather(asyncio.to_thread(AsyncClientContext), asyncio.to_thread(SyncClientContext))
    except Exception:  # noqa: BLE001 - as above
        return None
