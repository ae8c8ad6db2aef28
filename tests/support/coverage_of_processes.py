"""With `make coverage`, the lines that a process of a test's runs are that test's, as those that it runs itself.

coverage measures such processes (`patch = ["subprocess"]`), by settings that they find in their environment.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

SETTINGS = "COVERAGE_PROCESS_CONFIG"


@contextlib.contextmanager
def named(test: str) -> Iterator[None]:
    """Have the processes that start meanwhile say whose they are."""
    if (before := os.environ.get(SETTINGS)) is None:
        yield
        return
    from coverage.config import CoverageConfig

    settings = CoverageConfig.deserialize(before)
    settings.context = test
    os.environ[SETTINGS] = settings.serialize()
    yield
    os.environ[SETTINGS] = before


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that runs nothing of ours: it takes twice as long when it is measured."""
    return {name: value for name, value in environment.items() if name != SETTINGS}
