"""A copy of the SQLite file alone has everything: after each experiment, and after each end of a process."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from prefect_experiments import Client
from prefect_experiments.orchestration.deployed.reporting import report_on
from support.on_prefect import client, on_the_server, store_url
from support.patience import PATIENCE_S

__all__ = ["client", "on_the_server", "store_url"]

EXAMPLES = 40
SCRIPT = """
import asyncio, os, signal, subprocess, sys, threading, time
from prefect_experiments import AsyncClient, Client, run_experiment

url, way = sys.argv[1:]
rows = [{"id": f"e{n}", "input": n, "output": n} for n in range(40)]
options = dict(dataset=rows, evaluators="exact_match", concurrency=4, retries=0, print_summary=False)

def same(input):
    if way == "terminated" and input == 20:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.01)
    return input

async def asame(input):
    await asyncio.sleep(0.01)
    return input

if way == "async":
    asyncio.run(AsyncClient(store_url=url).experiments.run_experiment(task=asame, **options))
elif way == "several":
    def one():
        Client(store_url=url).experiments.run_experiment(task=same, **options)
    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
elif way == "in an exit":
    Client(store_url=url).experiments.run_experiment(task=same, **options)
    sys.exit(3)
else:
    Client(store_url=url).experiments.run_experiment(task=same, **options)
subprocess.run(["cp", url.removeprefix("sqlite:///"), "while open.db"], check=True)
if way == "killed after":
    os.kill(os.getpid(), signal.SIGKILL)
"""
READS = """
import sys, time
from prefect_experiments.store import Store
store = Store(sys.argv[1])
while True:
    store.experiments.page()
    with store.database.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM experiment_runs").scalar()
        time.sleep(0.05)
"""


def rows(path: Path) -> dict[str, list[Any]]:
    """All that a file holds, but who works on what just now."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for name in names} | {
            "leases": []
        }


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("sync", 0),
        ("async", 0),
        ("several", 0),
        ("in an exit", 3),
        ("terminated", -signal.SIGTERM),
        ("killed after", -signal.SIGKILL),
    ],
)
@pytest.mark.parametrize("read", [False, True], ids=["alone", "while another process reads"])
def test_the_file_alone_has_everything(tmp_path: Path, store_url: str, way: str, code: int, read: bool) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    reader = subprocess.Popen([sys.executable, "-c", READS, store_url]) if read else None
    try:
        done = subprocess.run(
            [sys.executable, "script.py", store_url, way],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        path = Path(store_url.removeprefix("sqlite:///"))
        subprocess.run(["cp", path, tmp_path / "copy.db"], check=True)
    finally:
        if reader is not None:
            reader.kill()
            reader.wait()
    assert done.returncode == code, done.stderr
    copied = rows(tmp_path / "copy.db")
    whole = rows(path)  # with what may lie beside it
    assert copied == whole
    wanted = EXAMPLES * (3 if way == "several" else 1)
    if way == "terminated":
        assert 0 < len(copied["experiment_runs"]) < wanted
    else:
        assert len(copied["experiment_runs"]) == len(copied["evaluations"]) == wanted
    if (early := tmp_path / "while open.db").exists():
        assert rows(early) == whole
    else:
        assert code in (3, -signal.SIGTERM)
    if not read and way != "killed after":
        assert not Path(f"{path}-wal").exists()


@pytest.mark.slow
def test_the_file_alone_has_what_the_command_line_has_made(tmp_path: Path, store_url: str) -> None:
    (tmp_path / "rows.csv").write_text("id,input,output\n" + "".join(f"e{n},{n},{n}\n" for n in range(EXAMPLES)))
    (tmp_path / "my_app.py").write_text("def answer(input):\n    return str(input)\n")
    command = ["run", "rows.csv", "--task", "my_app:answer", "--evaluator", "exact_match", "--store-url", store_url]
    done = subprocess.run(
        [sys.executable, "-m", "prefect_experiments.cli", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([*sys.path, str(tmp_path)])),
    )
    assert done.returncode == 0, done.stderr
    path = Path(store_url.removeprefix("sqlite:///"))
    assert not Path(f"{path}-wal").exists()
    assert len(rows(path)["experiment_runs"]) == EXAMPLES


def test_a_report_in_a_temporary_clone_is_warned_of(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ran = client.experiments.run_experiment(
        dataset=[{"id": "a", "input": 1}], task=lambda example: example.input, print_summary=False
    )
    clone = tmp_path / "tmpabcprefect" / "project-main"
    clone.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "00000000-0000-0000-0000-000000000000")
    monkeypatch.chdir(clone)

    @flow
    async def report(where: str) -> Path:
        return await report_on(ran, where)

    assert asyncio.run(report("reports")).is_relative_to(clone)
    assert "tmpabcprefect, which is deleted after this flow run" in caplog.text
    caplog.clear()
    asyncio.run(report(str(tmp_path / "reports")))
    assert "is deleted after" not in caplog.text
