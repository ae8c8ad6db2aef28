"""Running a coroutine from synchronous code, wherever that code runs."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from prefect.context import AsyncClientContext

T = TypeVar("T")


def run_sync(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end and return the result; works inside a running event loop (notebooks) as well.

    There a thread with a loop of its own does the work, in a copy of the caller's context, so
    that a Prefect flow that is under way stays the parent.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(function())
    outcome: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        # Prefect's client belongs to the loop that waits for us; this loop makes its own.
        AsyncClientContext.__var__.set(None)  # type: ignore[arg-type]
        try:
            outcome.append(asyncio.run(function()))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="run-experiment")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]
