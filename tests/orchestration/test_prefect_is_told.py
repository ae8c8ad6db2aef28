"""What Prefect's server shows besides, and what is said where it does not take it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Running

from prefect_experiments.orchestration import patience, temporary_server
from prefect_experiments.orchestration.artifacts import show_report
from prefect_experiments.orchestration.killed import end_run_of_killed
from prefect_experiments.orchestration.patience import new_line
from prefect_experiments.orchestration.running import in_prefect_task
from prefect_experiments.orchestration.shared_limits import SharedPace
from prefect_experiments.orchestration.temporary_server import NotStarted, start_temporary_server
from support.flow_runs import flow_run_named

from .test_errors_seen import fresh, told_to_prefect


def test_a_report_that_nobody_can_open_over_the_network_says_where_it_is() -> None:
    name = fresh("reports")

    @flow(flow_run_name=name)
    async def reports() -> None:
        await show_report(Path("/there/report.html"), None, "questions")

    asyncio.run(reports())
    said = f"The report is in `/there/report.html` on the machine `{socket.gethostname()}`."
    assert said in told_to_prefect(flow_run_named(name))


def test_the_flow_run_of_a_process_that_is_gone_says_who_goes_on() -> None:
    async def left() -> FlowRun:
        async with get_client() as api:
            return await api.create_flow_run(goes_on, state=Running())

    @flow(flow_run_name=fresh("goes on"))
    async def goes_on(killed: UUID) -> None:
        await end_run_of_killed(cast("Any", SimpleNamespace(shown_by=lambda _: str(killed))))

    killed = asyncio.run(left())
    asyncio.run(goes_on(killed.id))
    who = goes_on.flow_run_name
    said = f"Its process is gone. Another one has gone on with the experiment: flow run {who}."
    assert said in told_to_prefect(killed)


def test_a_task_run_that_nobody_can_be_told_of_is_missing() -> None:
    done = []

    async def refused() -> None:
        raise httpx.ConnectError("refused")

    async def do() -> None:
        done.append("it")

    with new_line() as line:
        asyncio.run(in_prefect_task(refused, "score", do))
        assert (done, line.missing) == (["it"], ["the task run 'score'"])


def test_what_the_server_refuses_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        raise ValueError("no such key")

    with new_line() as line:
        asyncio.run(line.tell("the summary", refused()))
        assert caplog.messages == ["Prefect's server refused the summary (ValueError)."]


def test_a_rate_whose_limit_nobody_can_be_asked_for_is_kept_to_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patience, "KNOWN_TO_BE_AWAY_S", 0.05)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", "0.05")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), new_line() as line:
        asyncio.run(SharedPace("llm", 100.0, 10).acquire())
        assert line.missing == ["a share of the rate limit 'llm', which this experiment keeps to by itself"]
        assert "The rate limit 'llm' is kept to by this experiment alone from now on." in caplog.messages


class Ended:
    """A process that has ended."""

    def __init__(self, code: int) -> None:
        self.code = code

    def poll(self) -> int:
        return self.code


class Temporary:
    """The server that Prefect starts, or does not."""

    running = False

    def __init__(self, *, code: int | None = None, error: Exception | None = None) -> None:
        self._error = error
        self.server_process = None if code is None else Ended(code)
        self.find_available_port: Any = None

    def start(self, timeout: int) -> None:
        if self._error is not None:
            raise self._error
        while self.find_available_port is None:
            time.sleep(0.01)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Temporary(code=5), "Prefect's temporary server ended with exit code 5"),
        (Temporary(error=OSError("no port")), "Prefect's temporary server did not start: no port"),
    ],
    ids=["ended", "not started"],
)
def test_why_there_is_no_temporary_server(server: Temporary, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefect.server.api.server.SubprocessASGIServer", lambda: server)
    monkeypatch.setattr(temporary_server, "_starting", None)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "WARNING")
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(NotStarted) as failed:
        asyncio.run(start_temporary_server())
    assert str(failed.value) == said


@pytest.mark.parametrize(("words", "passes"), [("Service %r failed", False), ("Somebody else's words", True)])
def test_of_prefects_words_on_a_server_that_is_away_only_those_go_that_a_line_says(words: str, passes: bool) -> None:
    record = logging.LogRecord("prefect.events.clients", logging.WARNING, __file__, 1, words, ("it",), None)
    with new_line() as line:
        try:
            raise httpx.ConnectError("nobody is there")
        except httpx.ConnectError:
            found = logging.getLogger("prefect.events.clients").filter(record)
        assert (bool(found), line.is_down) == (passes, not passes)
