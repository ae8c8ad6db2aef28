"""PgBouncer in transaction mode between the store and PostgreSQL: each transaction may be in another session."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.models import Example
from prefect_experiments.store import Store, TaskRecord
from prefect_experiments.store.database import Database
from support.patience import PATIENCE_S
from support.pgbouncer import PgBouncer, pgbouncer, pooled_url
from support.postgres import PostgresServer

__all__ = ["pgbouncer", "pooled_url"]

WORKER = Path(__file__).parents[1] / "store" / "worker.py"
RUNS = 300
WAITED = r"The store at \S+ is busy or away: waiting for it, .+\nThe store answers again after \d+ s\.\n"


def new_experiment(store: Store, name: str = "pooled", count: int = RUNS) -> str:
    version = store.datasets.put("dataset", [Example(id=f"ex-{n}", input={"n": n}) for n in range(count)])
    return store.experiments.create(name, version, task=TaskRecord("answer", "f" * 64, None)).experiment.id


def begin(url: str, experiment_id: str, count: int = RUNS) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), "record", url, experiment_id, str(count)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    out, err = process.communicate("go\n", timeout=PATIENCE_S)
    assert process.returncode == 0, out + err
    # Of a database that stood still in between it is said that it was waited for, and nothing else.
    assert re.fullmatch(f"({WAITED})*", err), err


def kept(store: Store, experiment_id: str) -> list[Any]:
    return [run.output for run in store.results.runs(experiment_id)[0]]


@pytest.mark.thorough
def test_two_processes_one_after_another_and_two_at_once(pooled_url: str) -> None:
    store = Store(pooled_url)
    ids = [new_experiment(store, f"pooled {n}") for n in range(4)]
    for experiment_id in ids[:2]:
        finish(begin(pooled_url, experiment_id))
    both = [begin(pooled_url, experiment_id) for experiment_id in ids[2:]]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        finish(process)
    for experiment_id in ids:
        assert kept(store, experiment_id) == [str(n) for n in range(RUNS)]
        assert len(store.results.evaluations(experiment_id)) == RUNS
    assert [experiment.id for experiment in store.experiments.page()[0]] == ids[::-1]
    store.close()


def test_what_one_transaction_reads_is_of_one_moment(pooled_url: str) -> None:
    store, other = Store(pooled_url), Store(pooled_url)
    new_experiment(store, count=1)
    with store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM experiments").scalar() == 1
        new_experiment(other, count=1)
        assert connection.exec_driver_sql("SELECT count(*) FROM experiments").scalar() == 1
    assert len(store.experiments.page()[0]) == 2
    store.close()
    other.close()


def test_writing_alone_is_alone(pooled_url: str, pgbouncer: PgBouncer) -> None:
    """The locks are of a transaction: a lock of a session would stay behind in one that the next client gets."""
    store = Store(pooled_url)
    for _ in range(12):
        with store.database.write(alone=True) as connection:
            connection.exec_driver_sql("SELECT 1")
    with store.database.read() as connection:
        held = connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar()
    assert held == 0
    store.close()


def test_nothing_is_prepared_in_a_session(pooled_url: str) -> None:
    store = Store(pooled_url)
    experiment_id = new_experiment(store)
    for _ in range(12):
        kept(store, experiment_id)
    with store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0
    store.close()


def test_prepared_statements_that_the_url_asks_for_are_named(pooled_url: str) -> None:
    """Whoever asks for them gets them, and is told the option by which they come."""
    url = f"{pooled_url}?prepare_threshold=0"
    Store(pooled_url).close()
    first, second = Database(url), Database(url)
    with pytest.raises(InvalidSetting, match="Leave prepare_threshold out of the store's URL") as raised:
        for number, database in enumerate([first, second] * 8):
            with database.read() as connection:
                connection.execute(sa.text(f"SELECT {number}, :n"), {"n": number})
    assert "s3cret" not in str(raised.value)
    for database in (first, second):
        database.dispose()


@pytest.mark.parametrize("threshold", ["3", "none", "None"])
def test_options_arrive_with_their_types(postgres_url: str, postgres_server: PostgresServer, threshold: str) -> None:
    options = f"prepare_threshold={threshold}&connect_timeout=7&application_name=nightly&sslmode=prefer"
    database = Database(f"{postgres_url}?{options}")
    with database.read() as connection:
        driver: Any = connection.connection.driver_connection
        assert driver.prepare_threshold == (int(threshold) if threshold.isdigit() else None)
        assert connection.exec_driver_sql("SHOW application_name").scalar() == "nightly"
    database.dispose()


def test_urls_of_asyncpg_do_as_they_are(postgres_url: str) -> None:
    """As Prefect's own database has them, behind a pooler."""
    url = postgres_url.replace("postgresql:", "postgresql+asyncpg:")
    Store(f"{url}?prepared_statement_cache_size=0&statement_cache_size=0&ssl=prefer&timeout=5").close()


@pytest.mark.thorough
def test_the_pooler_is_started_again(pooled_url: str, pgbouncer: PgBouncer) -> None:
    store = Store(pooled_url)
    experiment_id = new_experiment(store)
    process = begin(pooled_url, experiment_id)
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    pgbouncer.execute("RECONNECT")
    finish(process)
    assert kept(store, experiment_id) == [str(n) for n in range(RUNS)]
    store.close()
