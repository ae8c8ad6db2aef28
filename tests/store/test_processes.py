"""Several processes on one store, and processes that are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.records import RunRecord
from prefect_experiments.store import Store, open_store
from support.patience import PATIENCE_S
from support.postgres import PostgresServer

from .samples import new_experiment, record

WORKER = Path(__file__).with_name("worker.py")
RUNS = 2_000


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WORKER), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> None:
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, ""), output + errors


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize("same", [False, True], ids=["own experiments", "the same experiment"])
def test_two_processes_record_at_once(store_url: str, store: Store, same: bool) -> None:
    first = new_experiment(store, RUNS, name="first").experiment.id
    second = first if same else new_experiment(store, RUNS, name="second").experiment.id
    workers = [start("record", store_url, experiment_id, str(RUNS)) for experiment_id in (first, second)]
    assert [hear(worker) for worker in workers] == ["ready", "ready"]
    for worker in workers:
        say(worker, "go")
    for worker in workers:
        finish(worker)
    for experiment_id in {first, second}:
        runs, _ = store.results.runs(experiment_id)
        assert [(run.example_id, run.output) for run in runs] == [(f"ex-{n}", str(n)) for n in range(RUNS)]
        verdicts = store.results.evaluations(experiment_id)
        assert [(e.key, e.score) for e in verdicts] == [(run.key, n / RUNS) for n, run in enumerate(runs)]
        items = store.results.evaluation_items(
            experiment_id, store.experiments.get(experiment_id).version, range(RUNS), {"exact": "a" * 64}
        )
        assert items == []


@pytest.mark.thorough
def test_two_processes_open_a_new_store_at_once(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> None:
    """Who comes first makes the schema, and the other one waits for it."""
    urls = [f"sqlite:///{tmp_path / f'new-{number}' / 'store.db'}" for number in range(5)]
    server: PostgresServer | None = None
    if not store_url.startswith("sqlite"):
        server = request.getfixturevalue("postgres_server")
        urls = [server.create_database() for _ in range(5)]
    workers = [start("open"), start("open")]
    for url in urls:
        for worker in workers:
            say(worker, url)
        assert [hear(worker) for worker in workers] == ["opened, 0 datasets"] * 2
    for worker in workers:
        finish(worker)
    for url in urls:
        store = Store(url)
        assert store.experiments.page()[0] == []
        store.close()
        if server is not None:
            server.drop_database(url)


@pytest.mark.thorough
def test_a_process_that_writes_is_killed(
    store_url: str, open_another: Callable[[], Store], request: pytest.FixtureRequest
) -> None:
    store = open_another()
    experiment_id = new_experiment(store, 5_000).experiment.id
    worker = start("record-slowly", store_url, experiment_id, str(5_000))
    assert hear(worker) == "ready"
    say(worker, "go")
    acknowledged = [hear(worker) for _ in range(300)]
    worker.send_signal(signal.SIGKILL)
    output, _ = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == -signal.SIGKILL
    complete, _, _ = output.rpartition("\n")
    acknowledged += complete.split()

    again = open_another()
    finished = again.results.finished_runs(experiment_id)
    assert {(int(position), 1) for position in acknowledged} <= finished
    assert len(finished) <= len(acknowledged) + 2 * 20  # the rest was in flight
    runs = {run.key for run in again.results.runs(experiment_id)[0]}
    assert {e.key for e in again.results.evaluations(experiment_id)} <= runs
    if again.database.is_sqlite:
        with sqlite3.connect(str(again.database.url.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    missing = {(position, 1) for position in range(350)} - finished
    rows = [RunRecord(position, 1, f"ex-{position}", '"again"', None, 1.0, 2.0, 1) for position, _ in missing]
    record(again, experiment_id, rows)
    assert {(position, 1) for position in range(350)} <= again.results.finished_runs(experiment_id)


def test_one_store_for_each_url(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(store_url)
    assert open_store(store_url) is store
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    assert open_store() is store
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert open_store(other) is not store
    monkeypatch.chdir(tmp_path)
    assert open_store("sqlite:///other.db") is open_store(other)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert open_store("sqlite:///other.db") is not open_store(other)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("sqlite:///~/other.db") is open_store(other)
    for url in (store_url, other, "sqlite:///other.db"):
        open_store(url).close()


def test_a_store_follows_its_file_and_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("sqlite:///store.db")
    new_experiment(store)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.close()  # so that new connections are opened
    assert len(store.experiments.page()[0]) == 1
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_connections_of_its_own(store_url: str) -> None:
    """Those of its parent are left alone: used by two, they would mix up what both say."""
    store = open_store(store_url)
    experiment_id = new_experiment(store).experiment.id

    def child(queue: Any) -> None:
        own = open_store(store_url)
        record(own, experiment_id, [RunRecord(0, 1, "ex-0", '"child"', None, 1.0, 2.0, 1)])
        queue.put(own is not store)
        own.close()

    context: Any = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert queue.get(timeout=PATIENCE_S) is True
    process.join(PATIENCE_S)  # how it exits says nothing: it has the threads' locks of all the tests before this one
    record(store, experiment_id, [RunRecord(1, 1, "ex-1", '"parent"', None, 1.0, 2.0, 1)])
    assert [run.output for run in store.results.runs(experiment_id)[0]] == ["child", "parent"]
    store.close()
