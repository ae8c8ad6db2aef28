"""Whoever interrupts, and wherever it lands: the calls stop, the flow run ends, and resuming makes the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_experiments import Client
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
    "async-sigterm": ("", -signal.SIGTERM, None),
    "async-exit": ("SystemExit", 7, None),
    "async-soft-limit": ("SoftLimit", 1, None),
    "async-flow-sigterm": ("", -signal.SIGTERM, "Crashed"),
}


IN_THE_QUICK_SUITE = {"sigterm", "soft-limit", "flow-timeout", "async-flow-sigterm"}


def done(input: int) -> str:
    return f"done {input}"


@pytest.mark.parametrize(
    "way", [way if way in IN_THE_QUICK_SUITE else pytest.param(way, marks=pytest.mark.slow) for way in ENDS]
)
def test_the_calls_stop(way: str, store_url: str, client: Client, tmp_path: Path) -> None:
    log, name = tmp_path / "log", f"interrupted {way} {tmp_path.name}"
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), way, name, store_url, str(log)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    raised, code, outer = ENDS[way]
    lines = log.read_text().splitlines()
    after = lines[lines.index("interrupted") + 1 :]
    assert ended.returncode == code, ended.stderr
    assert [line.split()[1] for line in after if line.startswith("raised")] == ([raised] if raised else [])
    assert after.count("call") <= CONCURRENCY, "calls went on"
    assert flow_run_of(name).state_name == ("Failed" if way == "async-soft-limit" else "Crashed")
    if outer is not None:
        assert flow_run_named(f"outer {name}").state_name == outer
    finished = sum(run.error is None for run in client.experiments.list_runs(experiment=name, all=True))
    ran = client.experiments.resume_experiment(experiment=name, task=done, print_summary=False)
    assert ran.reused == finished <= AT + CONCURRENCY
    assert ran.reused + ran.ran == EXAMPLES
