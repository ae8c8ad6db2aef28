"""Running coroutines from synchronous code, wherever that code runs.

All synchronous calls of a process share one event loop, in a thread of its own. So they work
inside a running loop (notebooks), and a client that belongs to a loop, such as a judge's
connection pool, lives from one call to the next.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_loop_pid = 0


def run_sync(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end and return the result.

    The coroutine runs in a copy of the caller's context, so that a Prefect flow that is under
    way stays the parent. Interrupting the caller cancels it, and waits until it has cleaned up.
    """
    loop = _shared_loop()
    if _running_loop() is loop:  # called from code that this loop is running: waiting would be for ever
        return _in_new_thread(lambda: asyncio.run(function()))
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    started: list[asyncio.Task[None]] = []

    async def run() -> None:
        _leave_prefects_client()
        try:
            outcome.set_result(await function())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            outcome.set_exception(error)

    context = contextvars.copy_context()
    loop.call_soon_threadsafe(lambda: started.append(loop.create_task(run(), context=context)))
    try:
        return outcome.result()
    except KeyboardInterrupt:
        if not outcome.done():
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in started])
            concurrent.futures.wait([outcome])
        raise
    except asyncio.CancelledError:
        raise concurrent.futures.CancelledError from None


def waited(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """The same call for synchronous code, with the same parameters and the same documentation."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_sync(functools.partial(function, *args, **kwargs))

    return call


def sync_twin(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """`waited` for a public call: ``run_experiment`` of ``arun_experiment``."""
    call = waited(function)
    call.__name__ = call.__qualname__ = function.__name__.removeprefix("a")
    return call


def _shared_loop() -> asyncio.AbstractEventLoop:
    global _loop, _loop_pid
    with _lock:
        if _loop is None or _loop_pid != os.getpid():  # a fork has the loop but not its thread
            _loop, _loop_pid = asyncio.new_event_loop(), os.getpid()
            threading.Thread(target=_loop.run_forever, name="experiments-loop", daemon=True).start()
        return _loop


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _leave_prefects_client() -> None:
    """Prefect's client belongs to the loop of whoever calls; another loop makes its own."""
    if (prefect_context := sys.modules.get("prefect.context")) is not None:
        prefect_context.AsyncClientContext.__var__.set(None)


def _in_new_thread(function: Callable[[], T]) -> T:
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="nested-experiment") as pool:
        context = contextvars.copy_context()
        context.run(_leave_prefects_client)
        return pool.submit(context.run, function).result()
