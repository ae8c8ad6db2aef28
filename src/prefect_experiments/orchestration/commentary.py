"""Prefect's running commentary, kept out of where a person reads something else. Its server gets it all the same."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"
# What says how Prefect's runs go through their states.
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
        handler.addFilter(_is_no_commentary)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_no_commentary)


def _is_no_commentary(record: logging.LogRecord) -> bool:
    path = record.pathname.replace("\\", "/")
    told_by_us = "/prefect_experiments/orchestration/" in path and record.levelno < logging.WARNING
    return not (path.endswith(_COMMENTARY) or told_by_us)
