"""Telling whoever started an experiment how far it is, while it runs.

    with heard_by(show):
        run_experiment(...)   # calls show(progress) twice a second, and once at the end
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Iterator

from prefect_experiments.orchestration.session import Progress, Session

Listener = Callable[[Progress], None]

TELL_EVERY_S = 0.5

logger = logging.getLogger("prefect_experiments")
_listener: contextvars.ContextVar[Listener | None] = contextvars.ContextVar("prefect_experiments_listener", default=None)


@contextlib.contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Tell a listener of the experiment that is run within this.

    It is called in the experiment's event loop, so it should be quick; one that fails is not
    called again.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextlib.asynccontextmanager
async def telling(session: Session) -> AsyncIterator[None]:
    """Tell the listener, if there is one, while this is entered, and how it ended."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    token = _listener.set(None)  # an experiment that the user's task starts is none of its business
    teller = asyncio.create_task(_tell(session, listener))
    try:
        yield
    finally:
        _listener.reset(token)
        teller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            if await teller:
                listener(session.progress())


async def _tell(session: Session, listener: Listener) -> None:
    try:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            listener(session.progress())
    except Exception as error:  # noqa: BLE001 - what watches an experiment must not end it
        logger.warning("No more progress is shown (%s: %s).", type(error).__name__, error)
