"""Code of the user's that ends what it runs in: that run fails or finishes, the others finish, and nothing hangs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from prefect_experiments import EvaluationResult, RanExperiment, run_experiment

BAD, EXAMPLES = 2, 5


class Exiting:
    """Whatever looks at it exits."""

    def __repr__(self) -> str:
        sys.exit(3)

    __str__ = __repr__


class ExitingModel(BaseModel):
    def model_dump(self, **_: Any) -> Any:
        sys.exit(3)


class ExitingError(Exception):
    def __str__(self) -> str:
        sys.exit(3)


class ExitingStatus(Exception):
    @property
    def status_code(self) -> int:
        sys.exit(3)


async def _exit() -> None:
    sys.exit(3)


async def awaited_subtask() -> None:
    await asyncio.create_task(_exit())


async def exits() -> None:
    sys.exit(3)


async def interrupts() -> None:
    raise KeyboardInterrupt


async def closes() -> None:
    raise GeneratorExit


async def raises_an_exiting_error() -> None:
    raise ExitingError


async def raises_an_exiting_status() -> None:
    raise ExitingStatus


async def gives_an_exiting_model() -> Any:
    return ExitingModel()


def tried(task: Callable[..., Any], **arguments: Any) -> RanExperiment:
    """A dry run over five examples."""
    examples = [{"id": f"e{n}", "input": n} for n in range(EXAMPLES)]
    return run_experiment(dataset=examples, task=task, dry_run=EXAMPLES, retries=0, print_summary=False, **arguments)


def same(input: int) -> int:
    return input


def errors(ran: RanExperiment) -> dict[int, str]:
    return {int(run.example_id[1:]): run.error for run in ran.task_runs if run.error is not None}


FAILING = [
    awaited_subtask,
    exits,
    interrupts,
    closes,
    raises_an_exiting_error,
    raises_an_exiting_status,
    gives_an_exiting_model,
]


@pytest.mark.parametrize("bad", FAILING, ids=lambda bad: bad.__name__)
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_it_is_the_runs_own_error(bad: Callable[[], Any], kind: str) -> None:
    async def task(input: int) -> Any:
        return await bad() if input == BAD else input

    def in_thread(input: int) -> Any:
        return asyncio.run(bad()) if input == BAD else input

    ran = tried(task if kind == "async" else in_thread)
    assert set(errors(ran)) == {BAD}
    assert len(ran.task_runs) == EXAMPLES


@pytest.mark.parametrize("bad", FAILING, ids=lambda bad: bad.__name__)
def test_it_is_the_evaluations_own_error(bad: Callable[[], Any]) -> None:
    async def evaluator(output: int) -> Any:
        return await bad() if output == BAD else 1.0

    ran = tried(same, evaluators=[evaluator])
    failed = [e for e in ran.evaluation_runs if e.error is not None]
    assert len(ran.evaluation_runs) == EXAMPLES
    assert len(failed) == 1


def test_metadata_that_exit_when_they_are_read() -> None:
    def evaluator(output: int) -> Any:
        return EvaluationResult(score=1.0, metadata={"of": Exiting() if output == BAD else "this"})

    ran = tried(same, evaluators=[evaluator])
    assert len([e for e in ran.evaluation_runs if e.error is not None]) == 1


def test_a_loop_that_is_stopped_and_tasks_that_nobody_awaits_cost_nothing() -> None:
    forgotten = []

    async def task(input: int) -> int:
        if input == BAD:
            asyncio.get_running_loop().stop()
        forgotten.append(asyncio.create_task(_exit()))
        await asyncio.sleep(0.01)
        return input

    ran = tried(task)
    assert not errors(ran)
    assert sorted(run.output for run in ran.task_runs) == list(range(EXAMPLES))


def test_an_executor_that_is_shut_down_costs_nothing_now_or_later() -> None:
    async def task(input: int) -> int:
        if input == BAD:
            await asyncio.get_running_loop().shutdown_default_executor()
        return input

    for _ in range(2):
        assert not errors(tried(task))


def test_who_cancels_all_tasks_is_told_what_that_does() -> None:
    async def task(input: int) -> int:
        if input == BAD:
            for other in asyncio.all_tasks():
                other.cancel()
        return input

    with pytest.raises(concurrent.futures.CancelledError, match=r"cancels all tasks of its event loop.*resuming"):
        tried(task)


def test_a_coroutine_that_swallows_its_cancellation_is_left_alone() -> None:
    let_go = threading.Event()

    async def task(input: int) -> int:
        while input == BAD and not let_go.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        return input

    try:
        ran = tried(task, timeout=0.1)
    finally:
        let_go.set()
    assert errors(ran) == {BAD: "TimeoutError: no answer within timeout=0.1 s"}


def test_an_exception_reaches_a_call_whose_task_swallows_its_cancellation() -> None:
    let_go, begun = threading.Event(), threading.Event()

    async def task(input: int) -> int:
        while not let_go.is_set():
            begun.set()
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        return input

    raised: list[BaseException] = []

    def call() -> None:
        try:
            tried(task, timeout=None)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        begun.wait()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(TimeoutError))
        thread.join()
    finally:
        let_go.set()
    assert [type(error) for error in raised] == [TimeoutError]


@pytest.mark.thorough
def test_a_job_whose_thread_cannot_be_started_is_called_once_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    start, lock, calls, refused = threading.Thread.start, threading.Lock(), [], []
    worker = re.compile(r"experiment-\d+")

    def start_some(thread: threading.Thread) -> None:
        there_are = sum(bool(worker.fullmatch(other.name)) for other in threading.enumerate())
        if worker.fullmatch(thread.name) and there_are >= 3:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)

    def task(input: int) -> int:
        with lock:
            calls.append(input)
        time.sleep(0.02)
        return input

    examples = [{"id": f"e{n}", "input": n} for n in range(60)]
    ran = run_experiment(dataset=examples, task=task, dry_run=60, concurrency=20, print_summary=False)
    assert refused
    assert not errors(ran)
    assert sorted(calls) == list(range(60))
