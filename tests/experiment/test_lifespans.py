"""The ``lifespan`` of a task or an evaluator: entered once around the calls of a session, on the loop of the calls."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, arun_experiment, create_evaluator, opening
from prefect_experiments.errors import ExperimentStopped
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.work import RunWork
from support.patience import PATIENCE_S

ROWS = [{"input": number, "output": number * 2} for number in range(12)]
TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


class Pool:
    """A task that needs something open, and bound to a loop, while it is called.

    Attributes:
        log: what happened, in order.
        fails: where it fails: ``enter``, ``call`` or ``leave``.
    """

    def __init__(self, fails: str = "") -> None:
        self.log: list[str] = []
        self.fails = fails
        self.in_flight = 0
        self.loops: set[int] = set()
        self.began = asyncio.Event()
        self._turns: asyncio.Semaphore | None = None

    def note(self, what: str) -> None:
        self.log.append(what)
        if self.fails == what:
            raise ConnectionError(f"{what}: postgresql://user:secret@host")

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self.loops.add(id(asyncio.get_running_loop()))
        TENANT.set("of the pool")
        self._turns = asyncio.Semaphore(2)
        self.note("enter")
        try:
            yield
        finally:
            self._turns = None
            self.log.append(f"{self.in_flight} in flight")
            self.note("leave")

    async def __call__(self, input: int) -> Any:
        assert self._turns is not None, "called outside of the lifespan"
        self.loops.add(id(asyncio.get_running_loop()))
        self.in_flight += 1
        try:
            async with self._turns:
                self.began.set()
                self.note("call")
                await asyncio.sleep(0.001)
            return [input * 2, TENANT.get()]
        finally:
            self.in_flight -= 1


def once(pool: Pool, calls: int) -> list[str]:
    return ["enter", *["call"] * calls, "0 in flight", "leave"]


@pytest.mark.parametrize("dry_run", [False, len(ROWS)])
def test_it_is_entered_once_around_all_calls_on_one_loop(client: Client, dry_run: Any) -> None:
    pool = Pool()
    ran = client.experiments.run_experiment(dataset=ROWS, task=pool, concurrency=8, batch_size=3, dry_run=dry_run)
    assert pool.log == once(pool, len(ROWS))
    assert len(pool.loops) == 1
    assert sorted(run.output for run in ran.task_runs) == [[2 * n, "of the pool"] for n in range(len(ROWS))]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["attribute", "partial", "plain", "method"])
def test_any_task_may_have_one(client: Client, kind: str) -> None:
    """A function with the attribute; a partial of one; a context manager that is not async; a bound method's object."""
    log: list[str] = []

    @contextlib.contextmanager
    def plain() -> Iterator[None]:
        log.append("enter")
        yield
        log.append("leave")

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        with plain():
            yield

    def double(input: int, times: int = 2) -> int:
        log.append("call")
        return input * times

    class Doubling:
        def __init__(self) -> None:
            self.lifespan = lifespan

        def double(self, input: int) -> int:
            return double(input)

    double.lifespan = plain if kind == "plain" else lifespan  # type: ignore[attr-defined]
    tasks: dict[str, Callable[..., int]] = {
        "partial": functools.partial(double, times=2),
        "method": Doubling().double,
    }
    ran = client.experiments.run_experiment(dataset=ROWS, task=tasks.get(kind, double))
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(len(ROWS))]
    assert log == ["enter", *["call"] * len(ROWS), "leave"]


def test_what_cannot_be_opened_ends_the_experiment_before_any_call(client: Client) -> None:
    pool = Pool(fails="enter")
    with pytest.raises(ExperimentStopped, match=r"lifespan of task 'Pool'.*ConnectionError") as stopped:
        client.experiments.run_experiment(dataset=ROWS, task=pool)
    assert pool.log == ["enter"]
    assert stopped.value.error == "ConnectionError: enter: postgresql://user:secret@host"
    assert f"prefect-experiments resume {stopped.value.experiment_id}" in str(stopped.value)
    pool.fails = ""
    pool.log.clear()
    ran = client.experiments.resume_experiment(experiment=stopped.value.experiment_id, task=pool)
    assert pool.log == once(pool, len(ROWS))
    assert ran.summary.n_runs == len(ROWS)


def test_what_cannot_be_closed_costs_no_result(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    pool = Pool(fails="leave")
    ran = client.experiments.run_experiment(dataset=ROWS, task=pool)
    assert (ran.summary.n_runs, ran.summary.n_errors) == (len(ROWS), 0)
    assert "Leaving the lifespan of task 'Pool' failed. What had finished is kept." in caplog.text
    assert "ConnectionError: leave: postgresql://user:***@host" in caplog.text
    assert not any("secret" in record.getMessage() or record.exc_info for record in caplog.records)


def test_what_failed_first_in_opening_is_said_beside_what_failed_in_cleaning_up(client: Client) -> None:
    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        try:
            raise ConnectionError("no database")
            yield
        finally:
            raise AttributeError("no client to close")

    def double(input: int) -> int:
        raise AssertionError("called")

    double.lifespan = lifespan  # type: ignore[attr-defined]
    with pytest.raises(ExperimentStopped, match=r"AttributeError, raised in handling ConnectionError") as stopped:
        client.experiments.run_experiment(dataset=ROWS, task=double)
    told = "AttributeError: no client to close, raised in handling ConnectionError: no database"
    assert stopped.value.error == told


@pytest.mark.thorough
@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("end", ["enter", "leave"])
def test_that_it_lasts_is_said(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, end: str, *, blocks: bool
) -> None:
    """Also of what holds up the event loop."""
    monkeypatch.setattr(opening, "SAY_EVERY_S", 0.01)
    said = {"enter": "Waiting for the lifespan of task 'double' to be entered since ", "leave": "Waiting for leaving "}

    async def last_until_it_is_said() -> None:
        until = time.monotonic() + PATIENCE_S
        while said[end] not in caplog.text and time.monotonic() < until:
            time.sleep(0.005) if blocks else await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        if end == "enter":
            await last_until_it_is_said()
        yield
        if end == "leave":
            await last_until_it_is_said()

    async def double(input: int) -> int:
        return input * 2

    double.lifespan = lifespan  # type: ignore[attr-defined]
    ran = client.experiments.run_experiment(dataset=ROWS, task=double)
    assert ran.summary.n_runs == len(ROWS)
    assert said[end] in caplog.text


def test_leaving_it_has_a_limit(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results are in the store before; the other lifespans are left as ever."""
    monkeypatch.setattr(opening, "CLOSE_WITHIN_S", 0.05)
    kept: list[int] = []

    class Judge(Pool):
        async def right(self, output: Any) -> bool:
            self.log.append("call")
            return True

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield
        with ThreadPoolExecutor(1) as other:  # whose work is waited for without a look at the clock
            found = other.submit(client.experiments.get_results, experiment="latest").result()
        kept.append(len(found.task_runs))
        await asyncio.Event().wait()

    async def double(input: int) -> int:
        return input * 2

    double.lifespan = lifespan  # type: ignore[attr-defined]
    judge = Judge()
    ran = client.experiments.run_experiment(dataset=ROWS, task=double, evaluators=[judge.right])
    assert (ran.summary.n_runs, ran.summary.n_errors) == (len(ROWS), 0)
    assert kept == [len(ROWS)]
    assert judge.log == once(judge, len(ROWS))
    assert "Leaving the lifespan of task 'double' took longer than 0.05 s, and was given up." in caplog.text


@pytest.mark.thorough
@pytest.mark.parametrize("given", [lambda: None, list, dict])
def test_what_is_no_lifespan_is_said(client: Client, given: Callable[[], Any]) -> None:
    def double(input: int) -> int:
        raise AssertionError("called")

    double.lifespan = lambda: given()  # type: ignore[attr-defined]
    with pytest.raises(ExperimentStopped, match="must give an async context manager"):
        client.experiments.run_experiment(dataset=ROWS, task=double)


def test_it_is_left_after_errors(client: Client) -> None:
    pool = Pool(fails="call")
    ran = client.experiments.run_experiment(dataset=ROWS, task=pool, retries=0)
    assert ran.summary.n_errors == len(ROWS)
    assert pool.log == once(pool, len(ROWS))


def test_it_is_left_when_the_experiment_stops_at_an_error(client: Client) -> None:
    pool = Pool(fails="call")
    with pytest.raises(ExperimentStopped):
        client.experiments.run_experiment(dataset=ROWS, task=pool, retries=0, exit_on_error=True)
    assert pool.log[0] == "enter"
    assert pool.log[-2:] == ["0 in flight", "leave"]
    assert pool.log.count("leave") == 1


def test_it_is_left_when_the_experiment_is_cancelled(store_url: str) -> None:
    asyncio.run(cancelled_in_calls(store_url))


async def cancelled_in_calls(store_url: str) -> None:
    pool = Pool()

    async def hang(input: int) -> None:
        pool.in_flight += 1
        try:
            pool.began.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            pool.in_flight -= 1

    hang.lifespan = pool.lifespan  # type: ignore[attr-defined]
    running = asyncio.ensure_future(arun_experiment(dataset=ROWS, task=hang, client=Client(store_url=store_url)))
    await asyncio.wait_for(pool.began.wait(), PATIENCE_S)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert pool.log == ["enter", "0 in flight", "leave"]


def test_one_that_hangs_can_be_interrupted(store_url: str) -> None:
    asyncio.run(cancelled_in_entering(store_url))


async def cancelled_in_entering(store_url: str) -> None:
    entered, calls = asyncio.Event(), []

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        entered.set()
        await asyncio.Event().wait()
        yield

    calls_of = calls.append
    task: Any = functools.partial(lambda question, note: note(question), note=calls_of)
    task.func.lifespan = lifespan
    running = asyncio.ensure_future(arun_experiment(dataset=ROWS, task=task, client=Client(store_url=store_url)))
    await asyncio.wait_for(entered.wait(), PATIENCE_S)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, PATIENCE_S)
    assert not calls


@pytest.mark.thorough
def test_where_nothing_is_called_nothing_is_opened(client: Client) -> None:
    pool, judge = Pool(), Pool()

    def right(output: Any) -> bool:
        judge.log.append("call")
        return bool(output)

    right.lifespan = judge.lifespan  # type: ignore[attr-defined]
    ran = client.experiments.run_experiment(dataset=ROWS, task=pool)
    pool.log.clear()
    client.experiments.resume_experiment(experiment=ran.experiment_id, task=pool)
    client.experiments.evaluate_experiment(experiment=ran.experiment_id, evaluators=[right])
    assert pool.log == []
    assert judge.log == once(judge, len(ROWS))
    client.experiments.evaluate_experiment(experiment=ran.experiment_id, evaluators=[right])
    assert judge.log == once(judge, len(ROWS))


def test_two_evaluators_of_one_object_share_it(client: Client) -> None:
    class Judge(Pool):
        def right(self, output: Any) -> bool:
            self.log.append("call")
            return True

        async def short(self, output: Any) -> bool:
            self.log.append("call")
            return True

    judge = Judge()
    evaluators = {"right": judge.right, "short": create_evaluator(judge.short)}
    client.experiments.run_experiment(dataset=ROWS, task=lambda question: question, evaluators=evaluators)
    assert judge.log == once(judge, 2 * len(ROWS))


APP = """
import asyncio, contextlib, os, pathlib
LOG = pathlib.Path(__file__).with_name("log")

def note(what):
    with LOG.open("a") as log:
        log.write(f"{what} {os.getpid()}\\n")

@contextlib.asynccontextmanager
async def lifespan():
    note("enter")
    if os.environ.get("HANGS"):
        await asyncio.Event().wait()
    yield
    note("leave")

async def double(input):
    note("call")
    return input * 2

double.lifespan = lifespan
"""

ELSEWHERE = """
import sys
from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.experiment.steps import run_spec
from prefect_experiments.sync import run_sync
spec = ExperimentSpec.from_json(sys.stdin.read())
run_sync(lambda: run_spec(spec))
"""


@pytest.mark.thorough
def test_a_worker_process_enters_it_once(client: Client, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    work = RunWork(plan_new(RunArguments(dataset=ROWS, task=f"{tmp_path}/app.py:double", batch_size=2), client))
    work.load_dataset()
    spec = work.session.spec.to_json()
    subprocess.run([sys.executable, "-c", ELSEWHERE], input=spec, text=True, check=True, timeout=PATIENCE_S)
    log = (tmp_path / "log").read_text().splitlines()
    assert [line.split()[0] for line in log] == ["enter", *["call"] * len(ROWS), "leave"]
    assert {line.split()[1] for line in log} != {str(os.getpid())}
    assert len({line.split()[1] for line in log}) == 1


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_hangs_in_it_ends_by_a_signal(tmp_path: Path, store_url: str, number: int) -> None:
    (tmp_path / "app.py").write_text(APP)
    script = f"""
        from prefect_experiments import Client
        client = Client(store_url={store_url!r})
        client.experiments.run_experiment(dataset={ROWS!r}, task={str(tmp_path / "app.py:double")!r})
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "HANGS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "log"
    while not log.exists() and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert log.read_text().split()[::2] == ["enter"], errors
    ran = Client(store_url=store_url).experiments.resume_experiment(experiment="latest", print_summary=False)
    assert ran.summary.n_runs == len(ROWS)
    assert re.fullmatch("(enter )(call )+(leave )", " ".join(log.read_text().split()[2::2]) + " ")
