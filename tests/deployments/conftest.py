"""One server, worker and set of deployments for all tests here: to start them takes half a minute."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from .stack import Stack, deployed


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("deployed")) as found:
        yield found


@pytest.fixture(scope="package")
def baseline(stack: Stack) -> str:
    """The nightly run, once: what it makes is the baseline of what follows."""
    run = stack.final(stack.run("regression/nightly"))
    assert (run["state_name"], run["state_type"]) == ("GatePassed", "COMPLETED"), run["state"]
    return stack.client.experiments.get(experiment="tag:baseline", dataset="questions").id


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
