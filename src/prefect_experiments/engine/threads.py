"""Worker threads for sync callables.

Not `concurrent.futures`: its threads are joined when the interpreter ends, so one call that
hangs would keep the whole process from ending. These are daemons, started when needed; a
thread whose caller stopped waiting goes back to work when its call returns, if it ever does.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from prefect_experiments.errors import describe

_Job = tuple[Callable[[], Any], contextvars.Context, "asyncio.Future[Any]", asyncio.AbstractEventLoop]

IDLE_S = 2.0
TRY_AGAIN_S = 0.05
PATIENCE_S = 10.0


class NoThread(Exception):
    """No further thread can be started; nothing was called."""


class Threads:
    """As many threads as there are calls under way; bounding those is the caller's business."""

    def __init__(self, name: str = "experiment") -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._started = 0

    async def submit(
        self, function: Callable[[], Any], context: contextvars.Context | None = None
    ) -> asyncio.Future[Any]:
        """Run a function in a thread, in this context or a copy of the present one.

        Where the system gives no further thread, this waits until one of those that there are is free.

        Returns:
            A future of the running loop with the function's result or exception.

        Raises:
            NoThread: none was to be had for ten seconds. The function is not run.
        """
        until = time.monotonic() + PATIENCE_S
        while (error := self._take_or_start()) is not None:
            if time.monotonic() >= until:
                raise NoThread(f"{error}: the system has no thread for this call; lower `concurrency`") from None
            await asyncio.sleep(TRY_AGAIN_S)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((function, context or contextvars.copy_context(), future, loop))
        return future

    def _take_or_start(self) -> RuntimeError | None:
        """Take an idle thread or start one, for one job; what Python says where it cannot."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                return None
            self._started += 1
        try:
            threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
        except RuntimeError as error:
            return error
        return None

    def _work(self) -> None:
        while True:
            try:
                function, context, future, loop = self._jobs.get(timeout=IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._idle > 0:  # else a job was just promised to this thread
                        self._idle -= 1
                        return
                continue
            deliver: Callable[[asyncio.Future[Any], Any], None]
            try:
                deliver, value = _set_result, context.run(function)
            except BaseException as error:  # noqa: BLE001 - or nobody would ever hear of it
                deliver, value = _set_exception, error
            with self._lock:
                self._idle += 1
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(deliver, future, value)
            del function, context, future, loop, value


def _set_result(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _set_exception(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        if isinstance(error, StopIteration) or not isinstance(
            error, Exception
        ):  # these may not travel through a future
            error = RuntimeError(describe(error))
        future.set_exception(error)
