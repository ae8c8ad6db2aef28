"""Running coroutines from synchronous code, wherever that code runs.

All synchronous calls of a process share one event loop, in a thread of its own. So they work
inside a running loop (notebooks), and a client that belongs to a loop, such as a judge's
connection pool, lives from one call to the next.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from prefect_experiments.interruptions import LOOK_UP_S, SAME_S, calling_off, deferring, ending_in_good_order

P = ParamSpec("P")
T = TypeVar("T")

_FROM_WITHIN = (
    "something cancelled this call from within: code of yours that cancels all tasks of its event loop, say. What had "
    "finished is kept; resuming the experiment goes on"
)

_lock = threading.Lock()
_shared: _LoopThread | None = None
_shared_pid = 0


class _LoopThread:
    """An event loop in a thread of its own, which nothing that runs in it can end.

    `SystemExit` and `KeyboardInterrupt` of a task go through an event loop, and ``loop.stop()`` is anybody's to call:
    all else that the loop has to do goes on then. So is ``loop.shutdown_default_executor()``, after which no call of
    this process could use a thread.
    """

    def __init__(self, name: str) -> None:
        self._is_wanted = True
        # With a factory it does not become the event loop of the thread that is here.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.loop = self._runner.get_loop()
        with contextlib.suppress(AttributeError):  # another kind of loop, which can be told nothing
            self.loop.shutdown_default_executor = _nothing  # type: ignore[method-assign]
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        with self._runner:
            while self._is_wanted:
                with contextlib.suppress(BaseException):
                    self.loop.run_forever()
            with contextlib.suppress(AttributeError):
                del self.loop.shutdown_default_executor  # the runner ends it

    def end(self) -> None:
        """End it, with what still runs in it."""
        self._is_wanted = False
        self.loop.call_soon_threadsafe(self.loop.stop)


async def _nothing(*_: object, **__: object) -> None:
    """What does nothing."""


def run_sync(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end and return the result.

    The coroutine runs in a copy of the caller's context, so that a Prefect flow that is under
    way stays the parent. Whatever is raised in the caller meanwhile (Ctrl-C, a timeout, an exit) cancels it, and
    is raised when it has cleaned up.
    """
    loop = _shared_loop()
    if _running_loop() is not loop:
        return _run_in(loop, function)
    own = _LoopThread("nested-experiment")  # called from code that the shared loop is running: it would wait for ever
    try:
        return _run_in(own.loop, function)
    finally:
        own.end()


def _run_in(loop: asyncio.AbstractEventLoop, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    ended = threading.Event()
    started: list[asyncio.Task[None]] = []

    async def run() -> None:
        try:
            _leave_prefects_client()
            outcome.set_result(await function())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            outcome.set_exception(error)

    def start() -> None:
        started.append(loop.create_task(run(), context=context))
        started[0].add_done_callback(functools.partial(_end, outcome, ended))

    def cancel() -> None:
        for task in started:
            task.cancel()
        if not started:
            ended.set()

    def cancel_soon() -> None:
        loop.call_soon_threadsafe(cancel)

    context = contextvars.copy_context()
    with ending_in_good_order():
        with deferring(cancel_soon) as raised:
            try:
                loop.call_soon_threadsafe(start)
                _wait(ended, calling_off())
            except BaseException:
                cancel_soon()
                _wait_for_the_end(ended)
                raise
        if raised:
            raise raised[0]
    try:
        return outcome.result()
    except asyncio.CancelledError:
        raise concurrent.futures.CancelledError(_FROM_WITHIN) from None


def _end(outcome: concurrent.futures.Future[Any], ended: threading.Event, _: asyncio.Task[None]) -> None:
    if not outcome.done():  # cancelled before its first step, it has run nothing
        outcome.set_exception(asyncio.CancelledError())
    ended.set()


def _wait(event: threading.Event, off: Callable[[], BaseException | None] = lambda: None) -> None:
    # In short turns: an exception that another thread has sent this one does not end a wait.
    while not event.wait(LOOK_UP_S):
        if (error := off()) is not None:
            raise error


def _wait_for_the_end(event: threading.Event) -> None:
    until = time.monotonic() + SAME_S
    while not event.is_set():
        try:
            _wait(event)
        except BaseException:
            if time.monotonic() > until:
                raise


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
    global _shared, _shared_pid
    with _lock:
        if _shared is None or _shared_pid != os.getpid():  # a fork has the loop but not its thread
            _shared, _shared_pid = _LoopThread("experiments-loop"), os.getpid()
        return _shared.loop


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _leave_prefects_client() -> None:
    """Prefect's client belongs to the loop of whoever calls; another loop makes its own."""
    if (prefect_context := sys.modules.get("prefect.context")) is not None:
        prefect_context.AsyncClientContext.__var__.set(None)
