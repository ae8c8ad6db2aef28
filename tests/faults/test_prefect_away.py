"""Prefect away costs the page and nothing else: hanging, refusing, failing; at the start, in the middle, at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, get_run_logger, tags
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from prefect_experiments import Client, log_experiment, run_experiment
from prefect_experiments.errors import ExperimentStopped, InvalidSetting, TransientError
from prefect_experiments.orchestration import delivery
from support.environment import without_prefect
from support.patience import PATIENCE_S
from support.prefect_gate import Gate, Mode

WAITS_S = 2.0
MOST_ASKED = 12  # one to six as it is; each of 40 calls may not ask
ROWS = [{"id": f"e{n}", "input": n} for n in range(40)]
FAULTS: list[Mode] = ["hang", "refuse", 500, 503]

quiet: dict[str, Any] = {"print_summary": False}


@pytest.fixture
def client(tmp_path: Any) -> Client:
    return Client(store_url=f"sqlite:///{tmp_path / 'experiments.db'}")


@pytest.fixture
def gate(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", str(WAITS_S))
    with Gate(prefect_api) as gate:
        monkeypatch.setenv("PREFECT_API_URL", gate.api)
        with temporary_settings({PREFECT_API_URL: gate.api, PREFECT_LOGGING_LEVEL: "ERROR"}):
            yield gate
            gate.set("pass")


class Calls:
    """A task that breaks Prefect at one of its calls, and says get_run_logger() at each."""

    def __init__(self, gate: Gate, mode: Mode, at: int) -> None:
        self.gate, self.mode, self.at = gate, mode, at
        self.made: list[int] = []

    async def __call__(self, input: int) -> int:
        self.made.append(input)
        if len(self.made) == self.at:
            await asyncio.to_thread(self.gate.set, self.mode)
        get_run_logger().debug("called")
        return input * 2


def assert_asked_little(gate: Gate) -> None:
    """In vain, by what waits for the answer: it costs as long as Prefect is waited for, and all of it was minutes."""
    beside = ("/api/events/", "/api/logs/")  # Prefect sends these from threads of its own
    asked = [path for mode, _, path in gate.requests if mode != "pass" and not path.startswith(beside)]
    assert len(asked) <= MOST_ASKED, asked


def delivering() -> list[str]:
    """What of Prefect's is still at work on events and log lines. It has no public name for that."""
    services: list[Any] = list(EventsWorker._instances.values())  # type: ignore[misc]
    return [type(each).__name__ for each in services if each._task is not None and not each._task.done()]


def same(input: int) -> int:
    return input


def doubled(input: int, output: int) -> bool:
    return output == 2 * input


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize("at", ["start", "middle", "end"])
@pytest.mark.parametrize("mode", FAULTS)
def test_nothing_but_the_page_is_lost(
    mode: Mode,
    at: str,
    gate: Gate,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(delivery, "_CANCELLED_WITHIN_S", PATIENCE_S)
    calls = Calls(gate, mode, {"start": 0, "middle": 20, "end": len(ROWS)}[at])
    if at == "start":
        gate.set(mode)
    with caplog.at_level(logging.WARNING, "prefect_experiments"):
        ran = run_experiment(
            dataset=ROWS, task=calls, evaluators=[doubled], batch_size=10, concurrency=4, client=client, **quiet
        )
    assert sorted(calls.made) == list(range(40)), "every call is made, and once"
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(40)]
    assert len(ran.evaluation_runs) == 40
    assert ran.summary.n_errors == 0
    assert_asked_little(gate)
    assert not delivering(), "what such a server does not take is given up with the experiment"
    *first, said = [record.getMessage() for record in caplog.records if record.name == "prefect_experiments"]
    assert re.search("Prefect's server at http://127.0.0.1.* missing there: .*flow run", said), caplog.text
    assert first or at != "start", caplog.text
    assert all("going on without it, to the end without a page there" in line for line in first), caplog.text
    told = capfd.readouterr().err
    assert not re.search("EventsWorker|APILogWorker|Error logging to API", told), told


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("mode", ["refuse", 500, 503])
def test_what_cannot_be_delivered_after_the_end_is_a_line(
    mode: Mode, gate: Gate, client: Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Prefect sends log lines every two seconds: the last of them, or what comes later, when the experiment is over."""
    with caplog.at_level(logging.WARNING, "prefect_experiments"):
        run_experiment(dataset=ROWS[:2], task=same, client=client, **quiet)
        gate.set(mode)
        of_a_run = {"flow_run_id": str(uuid.uuid4()), "flow_run_name": "later", "flow_name": "later"}
        logging.getLogger("prefect.flow_runs").warning("a line after the end", extra=of_a_run)
        emit_event("after.the.end", {"prefect.resource.id": "tests.later"})
        until = time.monotonic() + PATIENCE_S
        while not (said := [line for line in caplog.messages if "did not answer" in line]):
            assert time.monotonic() < until, capfd.readouterr().err
            time.sleep(0.05)
    assert len(said) == 1, caplog.text
    assert said[0].endswith("; missing there: events and log lines.")
    told = capfd.readouterr().err
    assert not re.search("EventsWorker|APILogWorker|Error logging to API|Traceback", told), told


def not_prefect(how: str, api: str) -> str:
    return api.removesuffix("/api") if how == "no /api" else api


@pytest.mark.parametrize("how", ["html", "json", "no /api"])
def test_what_answers_is_no_api_of_prefects(
    how: str, gate: Gate, client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how != "no /api":
        gate.set(how)
    calls, url = Calls(gate, "pass", 0), not_prefect(how, gate.api)
    with temporary_settings({PREFECT_API_URL: url}), caplog.at_level(logging.WARNING, "prefect_experiments"):
        ran = run_experiment(dataset=ROWS, task=calls, evaluators=[doubled], client=client, **quiet)
        assert sorted(calls.made) == list(range(40))
        assert len(ran.evaluation_runs) == 40
        assert "to the end without a page there" in caplog.text
        assert caplog.text.count("missing there") == 1
        assert "it answers with HTML" in caplog.text or how != "html"
        assert "which no API of Prefect does: check PREFECT_API_URL" in caplog.text
        with pytest.raises(TransientError, match="check PREFECT_API_URL"):
            run_experiment(dataset=ROWS, task=calls, client=client, rate_limit="shared", **quiet)
    assert len(calls.made) == 40


@pytest.mark.mostly_slow
@pytest.mark.parametrize("mode", ["hang", 503])
def test_what_broke_the_experiment_is_what_the_caller_is_told(mode: Mode, gate: Gate, client: Client) -> None:
    calls = Calls(gate, mode, 10)

    async def breaks(input: int) -> int:
        await calls(input)
        if len(calls.made) > 10:
            raise ValueError("broken")
        return input

    with pytest.raises(ExperimentStopped, match="the task raised ValueError"):
        run_experiment(dataset=ROWS, task=breaks, retries=0, exit_on_error=True, concurrency=1, client=client, **quiet)
    assert_asked_little(gate)
    assert len(client.experiments.get_results(experiment="latest").task_runs) == 11


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("mode", ["hang", "refuse"])
def test_inside_a_flow_of_the_users(mode: Mode, gate: Gate, client: Client) -> None:
    """Prefect goes away for a moment in the midst of a user's flow, and is back when that ends."""

    @flow
    def nightly() -> int:
        gate.set(mode)
        with tags("nightly"):
            ran = run_experiment(dataset=ROWS, task=same, client=client, batch_size=20, **quiet)
        gate.set("pass")
        return len(ran.task_runs)

    assert nightly() == 40


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("mode", ["hang", 503])
def test_tags_need_limits_that_nobody_tells(mode: Mode, gate: Gate, client: Client) -> None:
    calls = Calls(gate, mode, 5)
    with tags("nightly"):
        ran = run_experiment(dataset=ROWS, task=calls, batch_size=10, concurrency=1, client=client, **quiet)
    assert sorted(calls.made) == list(range(40))
    assert ran.summary.n_errors == 0
    assert_asked_little(gate)


@pytest.mark.mostly_slow
@pytest.mark.parametrize("mode", ["hang", "refuse"])
def test_logging_needs_no_prefect(mode: Mode, gate: Gate, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    gate.set(mode)
    runs = [{"example_id": f"e{n}", "output": n} for n in range(40)]
    client.datasets.create_dataset(name="logged", examples=ROWS)
    logged = log_experiment(name="elsewhere", dataset="logged", experiment_runs=runs, client=client, **quiet)
    assert len(logged.task_runs) == 40
    assert_asked_little(gate)
    assert "missing there: the flow run" in caplog.text


@pytest.mark.mostly_slow
@pytest.mark.parametrize("mode", ["hang", 503])
def test_a_limit_that_nobody_can_be_asked_for_is_an_error_before_anything(
    mode: Mode, gate: Gate, client: Client
) -> None:
    calls = Calls(gate, mode, 0)
    gate.set(mode)
    for option in ("concurrency_limit", "rate_limit"):
        said = f"the limit 'shared' cannot be kept to, and nothing was run: .*{gate.api} does not answer"
        with pytest.raises(TransientError, match=said):
            run_experiment(dataset=ROWS, task=calls, client=client, **{option: "shared"}, **quiet)
    assert_asked_little(gate)
    assert not calls.made


EXITS = """
import sys
from prefect_experiments import Client, run_experiment

made = 0

async def task(input):
    global made
    made += 1
    if made == int(sys.argv[1]):
        print("break", flush=True)
        sys.stdin.readline()
    return input

ran = run_experiment(dataset=[{"input": n} for n in range(40)], task=task, client=Client(store_url=sys.argv[2]),
                     print_summary=False)
print("ran", len(ran.task_runs), flush=True)
if int(sys.argv[1]) > 40:
    print("break", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.thorough
@pytest.mark.parametrize("at", [pytest.param(20, marks=pytest.mark.slow), 41])
@pytest.mark.parametrize("mode", ["hang", pytest.param("refuse", marks=pytest.mark.slow)])
def test_the_interpreter_ends(mode: Mode, at: int, gate: Gate, tmp_path: Path) -> None:
    command = [sys.executable, "-c", EXITS, str(at), f"sqlite:///{tmp_path / 'store.db'}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if said[-1] == "break":
                gate.set(mode)
                process.stdin.write("\n")
                process.stdin.flush()
        assert process.wait(PATIENCE_S) == 0
    assert_asked_little(gate)
    assert sorted(said) == ["break", "ran 40"]


def test_a_server_that_wants_a_login_is_an_error_before_anything(gate: Gate, client: Client) -> None:
    calls = Calls(gate, 401, 0)
    gate.set(401)
    for options in ({}, {"rate_limit": "shared"}):
        with pytest.raises(InvalidSetting, match=r"wants a login .*PREFECT_API_AUTH_STRING.*PREFECT_API_KEY"):
            run_experiment(dataset=ROWS, task=calls, client=client, **options, **quiet)
    assert not calls.made


@pytest.mark.thorough
@pytest.mark.parametrize("mode", [401, 403])
def test_a_login_that_is_refused_in_mid_run_is_told_of_once(
    mode: Mode, gate: Gate, client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", str(PATIENCE_S))  # it answers, however late
    calls = Calls(gate, mode, 20)
    ran = run_experiment(dataset=ROWS, task=calls, batch_size=10, concurrency=4, client=client, **quiet)
    assert sorted(calls.made) == list(range(40))
    assert len(ran.task_runs) == 40
    said = [record.getMessage() for record in caplog.records if record.name == "prefect_experiments"]
    # Where a connection was open that it has closed, it was away as well.
    [refused] = [text for text in said if " was away (" not in text]
    assert len(said) <= 2, caplog.text
    assert "does not let us in any more" in refused
    assert "PREFECT_API_AUTH_STRING, or PREFECT_API_KEY" in refused
    assert all("Nothing else is lost" in text for text in said)


TEMPORARY = """
import sys
from prefect_experiments import Client, run_experiment

def same(input):
    return input

ran = run_experiment(dataset=[{"input": n} for n in range(5)], task=same, client=Client(store_url=sys.argv[1]))
print("ran", len(ran.task_runs), flush=True)
"""


@pytest.mark.slow
def test_a_temporary_server_that_cannot_start(tmp_path: Path) -> None:
    """Prefect takes it for a port in use, and would try for ever."""
    broken = f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'prefect.db'}"
    ended = subprocess.run(
        [sys.executable, "-c", TEMPORARY, f"sqlite:///{tmp_path / 'store.db'}"],
        env={
            **without_prefect(os.environ),
            "PREFECT_HOME": str(tmp_path),
            "PREFECT_API_DATABASE_CONNECTION_URL": broken,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "ran 5" in ended.stdout
    assert "missing there: the flow run" in ended.stderr
    assert "Traceback" not in ended.stderr, "what the server writes is not the user's"
