"""One store, several processes: at once, and one after the other on "another machine"."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prefect_experiments import Client
from support.lives import SCRIPT
from support.patience import PATIENCE_S, wait_for


def start(store_url: str, log: Path, kind: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), store_url, str(log), "200", "5", kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_on_one_store_at_once(store_url: str, tmp_path: Path) -> None:
    processes = [start(store_url, tmp_path / f"{n}.log", kind) for n, kind in enumerate(("sync", "async"))]
    for process in processes:
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, output
    client = Client(store_url=store_url)
    for experiment in client.experiments.list():
        ran = client.experiments.get_results(experiment=experiment)
        assert [run.output for run in ran.task_runs] == [2 * n for n in range(200)]
        assert len(ran.evaluation_runs) == 400


@pytest.mark.thorough
def test_resumed_elsewhere_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    """The second process knows nothing of the first but the URL of the store."""
    first = start(postgres_url, tmp_path / "first.log", "async")
    log = tmp_path / "first.log"
    wait_for(
        lambda: first.poll() is not None or (log.exists() and log.read_text().count("call") >= 60),
        "60 calls",
        every=0.005,
    )
    first.kill()
    first.wait()
    second = start(postgres_url, tmp_path / "second.log", "async")
    output, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0, output
    client = Client(store_url=postgres_url)
    ran = client.experiments.get_results(experiment="latest")
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(200)]
    assert len(ran.evaluation_runs) == 400
    called = {line for name in ("first", "second") for line in (tmp_path / f"{name}.log").read_text().split("\n")}
    repeated = (log.read_text() + (tmp_path / "second.log").read_text()).count("call") - 200
    assert len([line for line in called if line.startswith("call")]) == 200
    assert repeated <= 5
