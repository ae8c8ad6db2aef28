"""Prefect away costs the page and nothing else: hanging, refusing, failing; at the start, in the middle, at the end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import get_run_logger
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from prefect_experiments import Client, run_experiment
from support.prefect_gate import Gate, Mode

WAITS_S = 2.0
SHORT_S = 30.0  # what took 60 s to nine minutes takes a few seconds; the machine may be busy
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
        self.last = 0.0

    async def __call__(self, input: int) -> int:
        self.made.append(input)
        if len(self.made) == self.at:
            await asyncio.to_thread(self.gate.set, self.mode)
        get_run_logger().debug("called")
        self.last = time.monotonic()
        return input * 2


def doubled(input: int, output: int) -> bool:
    return output == 2 * input


@pytest.mark.parametrize("at", ["start", "middle", "end"])
@pytest.mark.parametrize("mode", FAULTS)
def test_nothing_but_the_page_is_lost(
    mode: Mode, at: str, gate: Gate, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Calls(gate, mode, {"start": 0, "middle": 20, "end": len(ROWS)}[at])
    if at == "start":
        gate.set(mode)
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, "prefect_experiments"):
        ran = run_experiment(
            dataset=ROWS, task=calls, evaluators=[doubled], batch_size=10, concurrency=4, client=client, **quiet
        )
    ended = time.monotonic()
    assert sorted(calls.made) == list(range(40)), "every call is made, and once"
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(40)]
    assert len(ran.evaluation_runs) == 40
    assert ran.summary.n_errors == 0
    assert ended - calls.last < SHORT_S
    assert ended - began < 2 * SHORT_S
    said = [record.getMessage() for record in caplog.records if "missing there" in record.getMessage()]
    assert len(said) == 1, caplog.text
    assert "Prefect's server at http://127.0.0.1" in said[0]
    assert "flow run" in said[0]
