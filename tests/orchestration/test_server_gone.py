"""The Prefect server goes away in mid-run: the experiment goes on, and is whole in the store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_experiments import Client
from support.lives import SCRIPT
from support.patience import PATIENCE_S, wait_for
from support.prefect_server import prefect_server


@pytest.mark.slow  # a server of its own takes a while to start
def test_the_experiment_goes_on(store_url: str, tmp_path: Path) -> None:
    log, go = tmp_path / "calls.log", tmp_path / "go"
    with prefect_server() as api_url:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), store_url, str(log), "400", "4", "async", str(go)],
            env={**os.environ, "PREFECT_API_URL": api_url},
            stdout=subprocess.DEVNULL,
            stderr=(tmp_path / "errors").open("w"),
        )
        wait_for(lambda: log.exists() and log.read_text().count("call") > 20, "calls")
    assert log.read_text().count("call") < 400
    go.touch()  # the server is gone
    assert process.wait(PATIENCE_S) == 0
    errors = (tmp_path / "errors").read_text()
    assert "end" in log.read_text(), errors
    ran = Client(store_url=store_url).experiments.get_results(experiment="latest")
    assert len(ran.task_runs) == 400
    assert len(ran.evaluation_runs) == 800
    assert "missing there:" in errors
    assert "the end of the flow run" in errors
