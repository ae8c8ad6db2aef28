"""A process whose third call brings an interruption, in one of many ways: ``interrupted.py WAY NAME STORE_URL LOG``.

The log has a line for each call that began, and one where the interruption came.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import flow, task

from prefect_experiments import AsyncClient, Client

WAY, NAME, STORE_URL, LOG = sys.argv[1:] if __name__ == "__main__" else [""] * 4
EXAMPLES, CONCURRENCY, AT = 60, 4, 3
CALL_S = 0.3


class SoftLimit(Exception):
    """As Celery's: raised in the midst of whatever is under way."""


def log(line: str) -> None:
    with Path(LOG).open("a") as file:
        file.write(f"{line}\n")


_calls = itertools.count(1)
interrupt: Callable[[], object] = lambda: None  # noqa: E731


def slow(_x: int) -> str:
    log("call")
    if next(_calls) == AT:
        log("interrupted")
        interrupt()
    time.sleep(CALL_S)
    return "done"


async def slow_async(_x: int) -> str:
    log("call")
    if next(_calls) == AT:
        log("interrupted")
        asyncio.get_running_loop().call_soon(interrupt)  # so that it lands in one of asyncio's own callbacks
    await asyncio.sleep(CALL_S)
    return "done"


def send(*numbers: int) -> Callable[[], object]:
    return lambda: [os.kill(os.getpid(), number) for number in numbers]


def raising(number: int, error: BaseException) -> Callable[[], object]:
    """Have that signal's handler raise; gives what sends it."""

    def handler(*_: Any) -> None:
        raise error

    signal.signal(number, handler)
    return send(number)


def arguments(task: Any) -> dict[str, Any]:
    return {
        "dataset": [{"id": f"e{n}", "input": n} for n in range(EXAMPLES)],
        "task": task,
        "experiment_name": NAME,
        "concurrency": CONCURRENCY,
        "timeout": None,
        "print_summary": False,
    }


def run() -> Any:
    return Client(store_url=STORE_URL).experiments.run_experiment(**arguments(slow))


async def arun() -> Any:
    return await AsyncClient(store_url=STORE_URL).experiments.run_experiment(**arguments(slow_async))


def run_async() -> Any:
    return asyncio.run(arun())


@flow(flow_run_name="outer " + NAME, timeout_seconds=600)
def outer() -> None:
    run()


@flow(flow_run_name="outer " + NAME, timeout_seconds=600)
async def aouter() -> None:
    await arun()


@task
def submitted() -> None:
    run()


@task
async def asubmitted() -> None:
    await arun()


@flow(flow_run_name="outer " + NAME, timeout_seconds=600)
def submitting() -> None:
    submitted.submit().result()


@flow(flow_run_name="outer " + NAME, timeout_seconds=600)
def asubmitting() -> None:
    asubmitted.submit().result()


async def holding_the_loop_up() -> None:
    run()


def run_in_thread() -> None:
    thread = threading.Thread(target=told, args=(run,), name="caller")
    thread.start()
    thread.join()


def reach_the_thread() -> None:
    """As pytest-timeout and Prefect do: the exception is not delivered before the thread's next instruction."""
    [thread] = [thread for thread in threading.enumerate() if thread.name == "caller"]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SoftLimit))


# By way: what is run, and what makes the interruption.
WAYS: dict[str, tuple[Callable[[], object], Callable[[], Callable[[], object]]]] = {
    "sigterm": (run, lambda: send(signal.SIGTERM)),
    "sighup": (run, lambda: send(signal.SIGHUP)),
    "exit": (run, lambda: raising(signal.SIGTERM, SystemExit(7))),
    "soft-limit": (run, lambda: raising(signal.SIGUSR1, SoftLimit())),
    "thread": (run_in_thread, lambda: reach_the_thread),
    "flow-sigterm": (outer, lambda: send(signal.SIGTERM)),
    "flow-timeout": (outer, lambda: send(signal.SIGALRM)),  # which Prefect has sent when the time is over
    "ctrl-c": (run, lambda: send(signal.SIGINT)),
    "terminal-closed": (run, lambda: send(signal.SIGHUP, signal.SIGTERM)),
    "ctrl-c-twice": (run, lambda: send(signal.SIGINT, signal.SIGINT)),
    "in-loop-ctrl-c": (lambda: asyncio.run(holding_the_loop_up()), lambda: send(signal.SIGINT)),
    "submitted-sigterm": (submitting, lambda: send(signal.SIGTERM)),
    "async-submitted-sigterm": (asubmitting, lambda: send(signal.SIGTERM)),
    "async-ctrl-c-twice": (run_async, lambda: send(signal.SIGINT, signal.SIGINT)),
    "async-sigterm": (run_async, lambda: send(signal.SIGTERM)),
    "async-exit": (run_async, lambda: raising(signal.SIGTERM, SystemExit(7))),
    "async-soft-limit": (run_async, lambda: raising(signal.SIGUSR1, SoftLimit())),
    "async-flow-sigterm": (lambda: asyncio.run(aouter()), lambda: send(signal.SIGTERM)),
}


def told(begin: Callable[[], object]) -> None:
    """Begin, and log what it raised."""
    try:
        begin()
    except BaseException as error:
        log(f"raised {type(error).__name__}")
        raise


if __name__ == "__main__":
    begin, prepare = WAYS[WAY]
    interrupt = prepare()
    told(begin)
