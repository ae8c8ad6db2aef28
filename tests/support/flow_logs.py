"""What flow runs write into their logs, read where Prefect's logger hands it to its handlers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

T = TypeVar("T")


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


@flow
def _made_up() -> None:
    """What the flow run is of."""


def in_a_flow(do: Coroutine[Any, Any, T]) -> T:
    """What comes of something that is done in a flow run that no server knows of."""
    run = FlowRun.model_construct(id=uuid4(), name="run", flow_id=uuid4(), run_count=1, tags=[])

    async def within() -> T:
        with (
            temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
            FlowRunContext.model_construct(flow=_made_up, flow_run=run),
        ):
            return await do

    return asyncio.run(within())
