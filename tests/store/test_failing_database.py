"""A database that is locked, away, or has lost the experiment, while results come in."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.errors import NotFound, StoreUnavailable
from prefect_experiments.store import Recorder, Store
from prefect_experiments.store import database as database_module
from prefect_experiments.store import recorder as recorder_module
from support.postgres import PostgresServer, database_name

from .samples import new_experiment, outputs, record, run_row, verdict

HOLD_THE_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
print(time.monotonic(), flush=True)
connection.execute("COMMIT")
"""


@contextmanager
def locked_by_another_process(path: Path, seconds: float) -> Iterator[None]:
    """What is done meanwhile must wait for the lock."""
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield
        done = time.monotonic()
        assert done > float(process.stdout.readline())
    assert process.returncode == 0


@pytest.mark.mostly_slow
@pytest.mark.parametrize("busy_timeout", [30, 0.2])  # SQLite's own waiting, and the recorder's
def test_sqlite_is_locked_by_another_process_for_3_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy_timeout: float
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", busy_timeout)
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    experiment_id = new_experiment(store, 20).experiment.id
    with locked_by_another_process(tmp_path / "store.db", 3 if busy_timeout > 3 else 1.5):
        record(store, experiment_id, [run_row(position) for position in range(20)], [verdict(0)])
    assert len(store.results.finished_runs(experiment_id)) == 20
    assert len(store.results.evaluations(experiment_id)) == 1
    store.close()


def test_postgresql_connections_are_ended_again_and_again(postgres_server: PostgresServer, postgres_url: str) -> None:
    store = Store(postgres_url)
    experiment_id = new_experiment(store, 400).experiment.id
    ended: list[int] = []

    async def one(recorder: Recorder, position: int) -> None:
        for repetition in range(1, 6):
            await recorder.write_run(run_row(position, repetition))
            await recorder.write_evaluations([verdict(position, name, repetition) for name in ("a", "b")])
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            work = asyncio.gather(*(one(recorder, position) for position in range(400)))
            while not work.done():
                ended.append(await asyncio.to_thread(postgres_server.disconnect_all, postgres_url))
                await asyncio.sleep(0.15)
            await work

    asyncio.run(main())
    assert sum(ended) >= 2
    runs, _ = store.results.runs(experiment_id)
    assert [(run.example_id, run.repetition_number) for run in runs] == [
        (f"ex-{position}", repetition) for position in range(400) for repetition in range(1, 6)
    ]
    assert len(store.results.evaluations(experiment_id)) == 4000
    store.close()


@contextmanager
def sqlite_away(store: Store, request: pytest.FixtureRequest) -> Iterator[None]:
    lock = sqlite3.connect(str(store.database.url.database), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    yield
    lock.execute("ROLLBACK")
    lock.close()


@contextmanager
def postgres_away(store: Store, request: pytest.FixtureRequest) -> Iterator[None]:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = store.database.url.render_as_string(hide_password=False)
    server.execute(f"ALTER DATABASE {database_name(url)} ALLOW_CONNECTIONS false")
    server.disconnect_all(url)
    yield
    server.execute(f"ALTER DATABASE {database_name(url)} ALLOW_CONNECTIONS true")


def test_giving_up_tells_everyone_who_waits(
    store_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(recorder_module, "GIVE_UP_AFTER_S", 1.0)
    monkeypatch.setattr(recorder_module, "MOST_ROWS_A_COMMIT", 2)
    store = Store(store_url)
    experiment_id = new_experiment(store, 6).experiment.id
    away = sqlite_away if store.database.is_sqlite else postgres_away

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            await recorder.write_run(run_row(0))
            with away(store, request):
                began = time.monotonic()
                await recorder.write_evaluations([verdict(0)])
                waiting = [recorder.write_run(run_row(position)) for position in range(1, 6)] + [recorder.flush()]
                ended = await asyncio.gather(*waiting, return_exceptions=True)
                assert time.monotonic() - began >= 1
                assert [type(error) for error in ended] == [StoreUnavailable] * 6
                for write in (recorder.write_run(run_row(1)), recorder.write_evaluations([]), recorder.flush()):
                    with pytest.raises(StoreUnavailable, match="does not answer"):
                        await write

    with pytest.raises(StoreUnavailable) as raised:
        asyncio.run(main())
    text = str(raised.value)
    assert text.startswith(f"the store at {store.shown_url} does not answer: ")
    assert "What it had confirmed is kept; try again." in text
    assert "s3cret" not in text
    assert "INSERT" not in text
    assert outputs(store, experiment_id) == [("ex-0", 1, {"said": 0}, None)]
    record(store, experiment_id, [run_row(position) for position in range(6)], [verdict(0)])  # it is back
    assert len(store.results.finished_runs(experiment_id)) == 6
    store.close()


def test_the_experiment_is_deleted_while_it_runs(open_another: Callable[[], Store]) -> None:
    store, other = open_another(), open_another()
    experiment_id = new_experiment(store, 6).experiment.id

    async def main(recorder: Recorder) -> None:
        async with recorder:
            await recorder.write_run(run_row(0))
            await asyncio.to_thread(other.experiments.delete, experiment_id)
            for write in (recorder.write_run(run_row(1)), recorder.write_run(run_row(2))):
                with pytest.raises(NotFound, match=f"experiment {experiment_id} was deleted from the store while it"):
                    await write

    with pytest.raises(NotFound, match="was deleted from the store while it ran"):
        asyncio.run(main(Recorder(store.database, experiment_id)))
    assert store.results.runs(experiment_id)[0] == []


def test_verdicts_of_an_experiment_that_is_deleted(open_another: Callable[[], Store]) -> None:
    store, other = open_another(), open_another()
    experiment_id = new_experiment(store, 6).experiment.id

    async def main() -> None:
        async with Recorder(store.database, experiment_id) as recorder:
            await recorder.write_run(run_row(0))
            await asyncio.to_thread(other.datasets.delete, "dataset")
            await recorder.write_evaluations([verdict(0)])
            await recorder.flush()

    with pytest.raises(NotFound, match=f"experiment {experiment_id} was deleted from the store while it ran"):
        asyncio.run(main())


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "GIVE_UP_AFTER_S", 0.0)
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    experiment_id = new_experiment(store).experiment.id
    with store.database.engine.connect() as connection:  # the connection that the pool gives next
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreUnavailable, match="database or disk is full"):
        record(store, experiment_id, [run_row(0, output_json='"' + "x" * 100_000 + '"')])
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    record(store, experiment_id, [run_row(0)])
    assert len(store.results.finished_runs(experiment_id)) == 1
    store.close()


def test_a_connection_that_was_ended_at_work_is_a_lost_one(postgres_url: str) -> None:
    """psycopg takes it to be at its statement still, and lets nobody begin another one with it."""
    store = Store(postgres_url)
    given = store.database.engine.raw_connection()
    connection: Any = given.driver_connection
    given.close()  # back into the pool
    connection.pgconn.send_query(b"select pg_sleep(3600)")
    assert store.experiments.page(limit=1)[0] == []
    assert connection.closed
