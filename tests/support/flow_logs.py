"""What flow runs write into their logs, read where Prefect's logger hands it to its handlers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


class _Said(logging.Handler):
    """What is written into a log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def said_in_flows(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What has been written into the logs of flow runs, line by line."""
    logger, said = logging.getLogger("prefect.flow_runs"), _Said()
    caplog.set_level(logging.INFO, logger.name)
    logger.addHandler(said)
    yield said.lines
    logger.removeHandler(said)
