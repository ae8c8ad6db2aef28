"""What a test leaves behind in its process would be seen by the next one, which fails then and not the one at fault."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

LOGGERS = ("", "prefect", "prefect.flow_runs", "prefect.task_runs", "prefect_experiments", "httpx")
# What other packages set at their first import is theirs; these are what tests set.
NAMES = (
    *("PREFECT_EXPERIMENTS_", "PREFECT_API", "PREFECT_HOME", "PREFECT_LOGGING_LEVEL", "PHOENIX_", "ARIZE_", "OPENAI_"),
    *("PREFECT_PROFILE", "HOME", "TZ", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "TERM", "PYTHONPATH"),
)


def state() -> dict[str, Any]:
    """What the tests of a process share, as it is now."""
    found: dict[str, Any] = {"the current directory": _cwd()}
    for name in LOGGERS:
        logger = logging.getLogger(name)
        found[f"logger {name or 'root'}"] = (logger.disabled, logger.propagate)
        # A logger's own filters are set by imports, of Prefect's modules and of ours, and are for the whole process.
        for handler in logger.handlers:
            found[f"handler {handler!r} of logger {name or 'root'}"] = tuple(
                one for one in handler.filters if not type(one).__module__.startswith("prefect.")
            )
    for name, value in os.environ.items():
        if name.startswith(NAMES):
            found[f"the environment's {name}"] = value
    return found


def left_by(before: dict[str, Any]) -> list[str]:
    """What is not as it was. Handlers come and go, pytest's and Prefect's own: of one that stays, its filters count."""
    after = state()
    return [
        f"{what}: {before.get(what, 'nothing')!r:.200} before, {after.get(what, 'nothing')!r:.200} now"
        for what in sorted({*before, *after})
        if before.get(what) != after.get(what)
        if not what.startswith("handler") or (what in before and what in after)
    ]


_kept: set[str] = set()  # the names of modules that are none of these: there are thousands


def forget_modules_of_tests() -> None:
    """Those that tests have written and imported: the next test may write another one of the same name."""
    for name in sys.modules.copy().keys() - _kept:  # other threads import meanwhile
        if "pytest-of-" in str(getattr(sys.modules.get(name), "__file__", None)):
            sys.modules.pop(name, None)
        else:
            _kept.add(name)


def _cwd() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "a folder that is gone"
