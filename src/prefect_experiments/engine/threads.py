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
from collections.abc import Callable
from typing import Any

_Job = tuple[Callable[[], Any], contextvars.Context, "asyncio.Future[Any]", asyncio.AbstractEventLoop]

IDLE_S = 10.0


class Threads:
    """As many threads as there are calls under way; bounding those is the caller's business."""

    def __init__(self, name: str = "experiment") -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._started = 0

    def submit(self, function: Callable[[], Any], context: contextvars.Context | None = None) -> asyncio.Future[Any]:
        """Run a function in a thread, in this context or a copy of the present one.

        Returns:
            A future of the running loop with the function's result or exception.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                start = False
            else:
                self._started += 1
                start = True
        self._jobs.put((function, context or contextvars.copy_context(), future, loop))
        if start:
            threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
        return future

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
            error = RuntimeError(f"{type(error).__name__}: {error}")
        future.set_exception(error)
