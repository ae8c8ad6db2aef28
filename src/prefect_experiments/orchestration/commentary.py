"""Prefect's running commentary, kept out of where a person reads something else. Its server gets it all the same."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator

from prefect_experiments.errors import ExperimentStopped

_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"
# What Prefect's engine says of the states that runs go through, and its event queue of being emptied.
_COMMENTARY = ("prefect/flow_engine.py", "prefect/task_engine.py", "prefect/_internal/concurrency/services.py")

# What it says of a run whose end it cannot tell its server.
_OF_ENDS = ("Crash detected!", "Encountered exception during execution", "Finished in state Running")
is_done: contextvars.ContextVar[bool] = contextvars.ContextVar("prefect_experiments_is_done", default=False)
"""Whether what the present run of Prefect's is made around has been done."""


@contextlib.contextmanager
def quiet_prefect() -> Iterator[None]:
    """Within this, the handlers that are there now leave it out; Prefect's own as well, if it is imported here first.

    Nothing is left out where somebody has said what to log.
    """
    if "PREFECT_LOGGING_LEVEL" in os.environ:
        yield
        return
    if "prefect.main" not in sys.modules and _LEVEL not in os.environ:
        os.environ[_LEVEL] = "CRITICAL"
        try:
            import prefect.main  # noqa: F401
        finally:
            del os.environ[_LEVEL]
    with filtered(logging.getLogger().handlers, _is_for_people):
        yield


@contextlib.contextmanager
def filtered(handlers: Iterable[logging.Handler], wanted: Callable[[logging.LogRecord], bool]) -> Iterator[None]:
    """Within this, these handlers get only what is wanted: they may be another's, who wants all again afterwards."""
    handlers = list(handlers)
    for handler in handlers:
        handler.addFilter(wanted)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(wanted)


def is_no_commentary(record: logging.LogRecord) -> bool:
    """Whether it is not said by Prefect's engine of the states that it goes through."""
    return not _path_of(record).endswith(_COMMENTARY)


def _is_for_people(record: logging.LogRecord) -> bool:
    told_by_us = "/prefect_experiments/orchestration/" in _path_of(record) and record.levelno < logging.WARNING
    return is_no_commentary(record) and not told_by_us


def _is_told_nowhere_else(record: logging.LogRecord) -> bool:
    """Whether no other line says what Prefect's engine says here, at length, of a run's end.

    Of a run whose end it could not tell its server, a line of ours does; of an experiment that has stopped where it was
    told to, at its budget, say, the state that the run ends in, which is logged as well. Nothing has crashed there.
    """
    if is_done.get() and str(record.msg).startswith(_OF_ENDS):
        return False
    return not (record.exc_info and isinstance(record.exc_info[1], ExperimentStopped))


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_is_told_nowhere_else)


def _path_of(record: logging.LogRecord) -> str:
    return record.pathname.replace("\\", "/")
