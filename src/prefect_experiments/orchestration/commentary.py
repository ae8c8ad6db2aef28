"""Prefect's running commentary, kept out of where a person reads something else. Its server gets it all the same."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"
# What Prefect's engine says of the states that runs go through, and its event queue of being emptied.
_COMMENTARY = ("prefect/flow_engine.py", "prefect/task_engine.py", "prefect/_internal/concurrency/services.py")


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
    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(_is_for_people)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_for_people)


def is_no_commentary(record: logging.LogRecord) -> bool:
    """Whether it is not said by Prefect's engine of the states that it goes through."""
    return not _path_of(record).endswith(_COMMENTARY)


def _is_for_people(record: logging.LogRecord) -> bool:
    told_by_us = "/prefect_experiments/orchestration/" in _path_of(record) and record.levelno < logging.WARNING
    return is_no_commentary(record) and not told_by_us


def _path_of(record: logging.LogRecord) -> str:
    return record.pathname.replace("\\", "/")
