"""The store is busy, away, or has given up: it is said, it is waited for, and no money is spent meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, create_evaluator
from prefect_experiments.errors import StoreUnavailable
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.steps import Steps, drive
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.store import Store, patience
from prefect_experiments.store import recorder as recorder_module
from support.patience import wait_for
from support.postgres import PostgresServer, database_name

CONCURRENCY = 10
ROWS = [{"id": f"e{number}", "input": number} for number in range(200)]


@contextlib.contextmanager
def sqlite_away(url: str) -> Iterator[None]:
    """Another process keeps the file to itself."""
    with contextlib.closing(
        sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def postgres_away(server: PostgresServer, url: str) -> Iterator[None]:
    """It lets nobody in, as while it starts."""
    server.execute(f"ALTER DATABASE {database_name(url)} ALLOW_CONNECTIONS false")
    server.disconnect_all(url)
    yield
    server.execute(f"ALTER DATABASE {database_name(url)} ALLOW_CONNECTIONS true")


Away = Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture
def away(any_store_url: str, request: pytest.FixtureRequest) -> Away:
    """What is entered while the store cannot be written to."""
    if any_store_url.startswith("sqlite"):
        return lambda: sqlite_away(any_store_url)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return lambda: postgres_away(server, any_store_url)


def new_work(url: str, task: Callable[..., Any], **given: Any) -> RunWork:
    arguments = RunArguments(dataset=ROWS, task=task, concurrency=CONCURRENCY, **given)
    return RunWork(plan_new(arguments, Client(store_url=url)))


async def done(work: RunWork) -> RunWork:
    async with work.held():
        await drive(Steps(work))
    return work


def kept(work: RunWork) -> int:
    return len(work.store.results.finished_runs(work.record.experiment.id))


def gives_up_after(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "GIVE_UP_AFTER_S", seconds)
    monkeypatch.setattr(patience, "GIVE_UP_AFTER_S", seconds)


@pytest.mark.mostly_slow
def test_no_call_begins_when_the_store_has_given_up(
    any_store_url: str, away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    gives_up_after(2.0, monkeypatch)
    calls: list[int] = []
    left: list[bool] = []
    gone = contextlib.ExitStack()

    async def task(input: int) -> int:
        await asyncio.sleep(0.005)
        if len(calls) >= 60 and not left:
            left.append(True)
            await asyncio.to_thread(gone.enter_context, away())
        calls.append(input)
        return input

    work = new_work(any_store_url, task, batch_size=25)
    with pytest.raises(StoreUnavailable, match="What it had confirmed is kept"):
        asyncio.run(done(work))
    made = len(calls)
    gone.close()
    assert 60 < made <= kept(work) + CONCURRENCY
    time.sleep(0.3)
    assert len(calls) == made


@pytest.mark.mostly_slow
@pytest.mark.parametrize("kind", ["LLM", "CODE"])
def test_no_evaluation_begins_when_the_store_has_given_up(
    any_store_url: str, away: Away, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A judge is paid for as the task is."""
    gives_up_after(2.0, monkeypatch)
    calls: list[int] = []
    left: list[bool] = []
    gone = contextlib.ExitStack()

    @create_evaluator(name="judge", kind=kind)
    async def judge(output: int) -> float:
        await asyncio.sleep(0.03)
        if len(calls) >= 40 and not left:
            left.append(True)
            await asyncio.to_thread(gone.enter_context, away())
        calls.append(output)
        return 1.0

    work = new_work(any_store_url, lambda value: value, evaluators=[judge])
    with pytest.raises(StoreUnavailable):
        asyncio.run(done(work))
    made = len(calls)
    gone.close()
    evaluations = work.store.results.evaluations(work.record.experiment.id)
    assert made <= len(evaluations) + CONCURRENCY


@pytest.mark.mostly_slow
def test_a_store_that_is_away_is_said_to_be_and_waited_for(
    any_store_url: str, away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "prefect_experiments")
    calls: list[int] = []

    def said() -> str | None:
        return next((text for text in caplog.messages if "is busy or away" in text), None)

    def hold() -> None:
        with away():
            wait_for(said, "a word of it")  # after a minute, which is less, it is given up on
            calls_then = len(calls)
            time.sleep(0.5)
            assert len(calls) == calls_then, "calls began while the store was known to be away"

    async def task(input: int) -> int:
        calls.append(input)
        if len(calls) == 30:
            holders[0].start()
        await asyncio.sleep(0.01)
        return input

    holders = [threading.Thread(target=hold)]
    work = asyncio.run(done(new_work(any_store_url, task)))
    holders[0].join()
    assert "waiting for it, up to 60 s; no further call begins meanwhile" in str(said())
    assert [text for text in caplog.messages if text.startswith("The store answers again after")]
    assert kept(work) == len(calls) == len(ROWS)


READS: dict[str, Callable[[Store, str], Any]] = {
    "an experiment": lambda store, experiment: store.experiments.get(experiment),
    "its runs": lambda store, experiment: store.results.runs(experiment),
    "its evaluations": lambda store, experiment: store.results.evaluations(experiment),
    "a list": lambda store, _: store.experiments.page(),
    "a dataset": lambda store, _: list(store.datasets.each(store.datasets.version("dataset"))),
    "a tag": lambda store, experiment: store.experiments.tag(experiment, "new"),
    "what failed": lambda store, experiment: store.failures.errors(experiment),
}


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=3)
@pytest.mark.parametrize("what", READS)
def test_reads_are_as_patient_as_writes(postgres_server: PostgresServer, postgres_url: str, what: str) -> None:
    store = Store(postgres_url)
    version = store.datasets.put("dataset", [])
    from prefect_experiments.store import TaskRecord

    experiment = store.experiments.create("name", version, task=TaskRecord("task", None, None)).experiment.id
    back = threading.Event()

    def gone() -> None:
        with postgres_away(postgres_server, postgres_url):
            left.set()
            back.wait(1.5)

    left = threading.Event()
    thread = threading.Thread(target=gone)
    thread.start()
    left.wait()
    READS[what](store, experiment)
    thread.join()
    store.close()


def terminated(server: PostgresServer, url: str, over: threading.Event, every: float) -> int:
    ended = 0
    while not over.wait(every):
        ended += server.disconnect_all(url)
    return ended


@pytest.mark.mostly_slow
@pytest.mark.parametrize("every", [0.2, 0.03])
def test_connections_are_ended_at_any_moment(
    postgres_server: PostgresServer, postgres_url: str, every: float, caplog: pytest.LogCaptureFixture
) -> None:
    """From the first moment of an experiment to its last, the summary included."""
    over, client = threading.Event(), Client(store_url=postgres_url)
    calls: list[int] = []

    async def task(input: int) -> int:
        calls.append(input)
        await asyncio.sleep(0.01)
        return input

    async def main() -> None:
        ending = asyncio.create_task(asyncio.to_thread(terminated, postgres_server, postgres_url, over, every))
        try:
            for _ in range(4):
                plan = await asyncio.to_thread(
                    plan_new, RunArguments(dataset=ROWS, task=task, evaluators=[lambda output: True]), client
                )
                work = await done(RunWork(plan))
                ran = await asyncio.to_thread(work.conclude)
                assert ran.summary.n_runs == len(ROWS)
                assert len(ran.evaluation_runs) == len(ROWS)
        finally:
            over.set()
        assert await ending > 3

    asyncio.run(main())
    assert len(calls) == 4 * len(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [8, 25])
def test_postgresql_is_away_for_long(
    postgres_server: PostgresServer, postgres_url: str, seconds: float, tmp_path: Path
) -> None:
    calls: list[int] = []

    async def task(input: int) -> int:
        calls.append(input)
        await asyncio.sleep(0.05)
        return input

    async def main() -> None:
        works = [new_work(postgres_url, task) for _ in range(3)]
        under_way = asyncio.gather(*(done(work) for work in works))
        while len(calls) < 200:
            await asyncio.sleep(0.01)
        with postgres_away(postgres_server, postgres_url):
            await asyncio.sleep(seconds)
            then = len(calls)
        await under_way
        assert then <= 200 + 3 * 2 * CONCURRENCY
        assert [kept(work) for work in works] == [len(ROWS)] * 3

    asyncio.run(main())
    assert len(calls) == 3 * len(ROWS)
