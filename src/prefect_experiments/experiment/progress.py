"""Telling whoever started an experiment how far it is, while it runs.

Within ``with heard_by(show):`` a run calls ``show(progress)`` twice a second, and once at its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Iterator

from prefect_experiments.experiment.counts import Progress
from prefect_experiments.experiment.in_notebook import NotebookBar, in_notebook
from prefect_experiments.experiment.work import RunWork

Listener = Callable[[Progress], None]

TELL_EVERY_S = 0.5

logger = logging.getLogger("prefect_experiments")
_listener: contextvars.ContextVar[Listener | None] = contextvars.ContextVar("prefect_experiments_told", default=None)


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


@contextlib.contextmanager
def shown_in_notebook(name: str, *, wanted: bool) -> Iterator[None]:
    """Where nobody listens and this is a notebook, show the progress below the cell."""
    if wanted and _listener.get() is None and in_notebook():
        with heard_by(NotebookBar(name)):
            yield
    else:
        yield


def _nobody(progress: Progress) -> None:
    """Who listens to an experiment that the user's task starts: it is nobody's business."""


@contextlib.asynccontextmanager
async def telling(work: RunWork) -> AsyncIterator[None]:
    """Tell the listener, if there is one, while this is entered, and how it ended."""
    listener = _listener.get()
    if listener in (None, _nobody):
        yield
        return
    token = _listener.set(_nobody)
    teller = asyncio.create_task(_keep_telling(work, listener))
    try:
        yield
    finally:
        _listener.reset(token)
        if teller.cancel():  # else the listener has failed
            _tell(work, listener)


async def _keep_telling(work: RunWork, listener: Listener) -> None:
    while True:
        if not _tell(work, listener):
            return
        await asyncio.sleep(TELL_EVERY_S)


def _tell(work: RunWork, listener: Listener) -> bool:
    """Whether the listener took it."""
    try:
        listener(work.progress())
    except Exception as error:  # noqa: BLE001 - what watches an experiment must not end it
        logger.warning("No more progress is shown (%s: %s).", type(error).__name__, error)
        return False
    return True
