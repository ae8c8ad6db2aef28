"""Whoever interrupts, and wherever it lands: the calls stop, the flow run ends, and resuming makes the rest."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prefect import flow, task

from prefect_experiments import Client
from prefect_experiments.interruptions import CalledOff, ended_flow, interruptible
from support.flow_runs import flow_run_named, flow_run_of
from support.patience import PATIENCE_S

from .interrupted import AT, CONCURRENCY, EXAMPLES

SCRIPT = Path(__file__).with_name("interrupted.py")

# By way: what the call raises, what the process ends with, and how the flow around it ends.
ENDS = {
    "sigterm": ("", -signal.SIGTERM, None),
    "sighup": ("", -signal.SIGHUP, None),
    "exit": ("SystemExit", 7, None),
    "soft-limit": ("SoftLimit", 1, None),
    "thread": ("SoftLimit", 0, None),
    "flow-sigterm": ("", -signal.SIGTERM, "Crashed"),
    "flow-timeout": ("FlowRunTimeoutError", 1, "TimedOut"),
    "ctrl-c": ("KeyboardInterrupt", -signal.SIGINT, None),
    "terminal-closed": ("", -signal.SIGHUP, None),
    "ctrl-c-twice": ("KeyboardInterrupt", -signal.SIGINT, None),
    "in-loop-ctrl-c": ("KeyboardInterrupt", -signal.SIGINT, None),
    "submitted-sigterm": ("", -signal.SIGTERM, "Crashed"),
    "async-submitted-sigterm": ("", -signal.SIGTERM, "Crashed"),
    "async-ctrl-c-twice": ("KeyboardInterrupt", -signal.SIGINT, None),
    "async-sigterm": ("", -signal.SIGTERM, None),
    "async-exit": ("SystemExit", 7, None),
    "async-soft-limit": ("SoftLimit", 1, None),
    "async-flow-sigterm": ("", -signal.SIGTERM, "Crashed"),
}


IN_THE_QUICK_SUITE = {"sigterm", "soft-limit", "flow-timeout", "async-flow-sigterm"}


def done(input: int) -> str:
    return f"done {input}"


def interrupted(way: str, name: str, store_url: str, log: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), way, name, store_url, str(log)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize(
    "way", [way if way in IN_THE_QUICK_SUITE else pytest.param(way, marks=pytest.mark.slow) for way in ENDS]
)
def test_the_calls_stop(way: str, store_url: str, client: Client, tmp_path: Path) -> None:
    log, name = tmp_path / "log", f"interrupted {way} {tmp_path.name}"
    ended = interrupted(way, name, store_url, log)
    raised, code, outer = ENDS[way]
    lines = log.read_text().splitlines()
    after = lines[lines.index("interrupted") + 1 :]
    assert ended.returncode == code, ended.stderr
    assert [line.split()[1] for line in after if line.startswith("raised")] == ([raised] if raised else [])
    # Prefect's flow has to come to its end before a task that it has submitted hears of it.
    most = (4 if "submitted" in way else 1) * CONCURRENCY
    assert after.count("call") <= most, "calls went on"
    assert flow_run_of(name).state_name == ("Failed" if way == "async-soft-limit" else "Crashed")
    if outer is not None:
        assert flow_run_named(f"outer {name}").state_name == outer
    finished = sum(run.error is None for run in client.experiments.list_runs(experiment=name, all=True))
    ran = client.experiments.resume_experiment(experiment=name, task=done, print_summary=False)
    assert ran.reused == finished <= AT + most
    assert ran.reused + ran.ran == EXAMPLES


def test_a_flow_that_ends_calls_off_what_it_has_submitted() -> None:
    begun, said = threading.Event(), list[str]()

    @task
    async def waiting() -> None:
        begun.set()
        try:
            await interruptible(asyncio.Event().wait(), ended_flow())
        except CalledOff as off:
            said.append(str(off))

    @flow
    def ending() -> None:
        waiting.submit()
        assert begun.wait(PATIENCE_S)
        raise ValueError("no more of it")

    with pytest.raises(ValueError, match="no more of it"):
        ending()
    assert said == ["the flow run that has submitted this task has ended"]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["sigterm", "ctrl-c"])
def test_the_temporary_server_ends_with_the_process(way: str, store_url: str, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    ended = interrupted(way, way, store_url, tmp_path / "log", PREFECT_HOME=home, PREFECT_API_URL="")
    assert ended.returncode == ENDS[way][1], ended.stderr
    assert "Crashed" in ended.stderr
    assert processes_with(f"PREFECT_HOME={home}") == []


def processes_with(variable: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"\0{variable}\0".encode() in b"\0" + (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
    return found
