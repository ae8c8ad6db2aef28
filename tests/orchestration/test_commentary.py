"""What of Prefect's running commentary stands beside what a person reads, and what does not."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import prefect.main  # noqa: F401 - which sets the handlers up that there are
import pytest

from prefect_experiments.errors import ExperimentStopped
from prefect_experiments.orchestration import commentary
from prefect_experiments.orchestration.commentary import filtered, is_no_commentary, quiet_prefect


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


class Heard(logging.Handler):
    """What a terminal is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def record(path: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("some", level, path, 1, path, None, None)


OURS = "/lib/prefect_experiments/orchestration/running.py"
OF_ENGINE = ["/lib/prefect/flow_engine.py", "/lib/prefect/task_engine.py", r"C:\lib\prefect\flow_engine.py"]
OF_QUEUE = "/lib/prefect/_internal/concurrency/services.py"
OTHERS = ["/app/main.py", "/lib/prefect/flows.py", "/lib/prefect_experiments/experiment/work.py"]


def all_said(handler: Heard) -> list[str]:
    handler.lines.clear()
    for path in [*OF_ENGINE, OF_QUEUE, OURS, *OTHERS]:
        handler.handle(record(path))
    for path in [OURS, OF_QUEUE]:
        handler.handle(record(path, logging.WARNING))
    return handler.lines


EVERYTHING = [*OF_ENGINE, OF_QUEUE, OURS, *OTHERS, OURS, OF_QUEUE]


def test_while_it_is_quiet_only_what_is_for_people_comes_and_afterwards_all_again(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PREFECT_LOGGING_LEVEL" not in os.environ
    with quiet_prefect():
        assert all_said(heard) == [*OTHERS, OURS]
    assert all_said(heard) == EVERYTHING
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "INFO")
    with quiet_prefect():
        assert all_said(heard) == EVERYTHING, "somebody has said what to log"


def test_handlers_get_what_is_wanted_until_it_is_left(heard: Heard) -> None:
    with pytest.raises(KeyError), filtered(iter([heard]), is_no_commentary):
        assert all_said(heard) == [OURS, *OTHERS, OURS]
        raise KeyError
    assert all_said(heard) == EVERYTHING


@pytest.fixture
def of_run() -> Iterator[Heard]:
    logger, handler = logging.getLogger("prefect.task_runs"), Heard()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.parametrize("name", ["prefect.flow_runs", "prefect.task_runs"])
def test_what_the_engine_says_of_an_end_that_a_line_of_ours_tells_of_is_left_out(name: str) -> None:
    logger, handler = logging.getLogger(name), Heard()
    logger.addHandler(handler)
    ends = ["Crash detected! it is away", "Encountered exception during execution: x", "Finished in state Running()"]
    others = ["Finished in state Completed()", "It said: Crash detected!"]
    try:
        for done in (False, True):
            token = commentary.is_done.set(done)
            for said in [*ends, *others]:
                logger.error(said)
            commentary.is_done.reset(token)
    finally:
        logger.removeHandler(handler)
    assert handler.lines == [*ends, *others, *others]


@pytest.mark.parametrize(("error", "is_said"), [(ExperimentStopped("at its budget"), False), (KeyError("x"), True)])
def test_an_experiment_that_was_to_stop_has_not_crashed(of_run: Heard, error: Exception, is_said: bool) -> None:
    logger = logging.getLogger("prefect.task_runs")
    try:
        raise error
    except Exception:
        facts: Any = sys.exc_info()
    logger.error("it ended", exc_info=facts)
    logger.error("without one")
    assert of_run.lines == ["it ended"] * is_said + ["without one"]
