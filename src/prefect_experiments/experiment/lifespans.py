"""What a task, or an evaluator, opens once for all of its calls: a pool, a model, a server of its own.

A task says so by an attribute ``lifespan`` that gives an async context manager, as an ASGI application has::

    class Answer:
        @contextlib.asynccontextmanager
        async def lifespan(self):
            async with httpx.AsyncClient() as self.client:
                yield

        async def __call__(self, input):
            return (await self.client.get("/answer", params=input)).json()

It is entered before the first call, on the event loop that makes the calls, and left when the last has ended, however
that comes. Each process that makes calls of an experiment enters it once; where no call is to be made, it is not.

Entering it may take as long as it does: a call's ``timeout`` does not count for it. Leaving it has a limit, see
`opening.CLOSE_WITHIN_S`. The log says every minute that either is waited for.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, cast

from prefect_experiments.errors import ExperimentStopped, describe
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.opening import closing, waiting_for
from prefect_experiments.tasks import Task

Lifespan = Callable[[], AbstractAsyncContextManager[Any] | AbstractContextManager[Any]]


@contextlib.asynccontextmanager
async def lifespans(targets: Iterable[Task | BoundEvaluator]) -> AsyncIterator[None]:
    """Enter the lifespans of what is going to be called, each once; leave them in reverse order.

    What leaving one raises, and that it takes too long, is said in the log: the results are there.

    Raises:
        ExperimentStopped: one could not be entered; nothing is called.
    """
    seen: set[Any] = set()
    async with contextlib.AsyncExitStack() as entered:
        for target in targets:
            found = lifespan_of(target.function)
            if found is None or _identity(found) in seen:
                continue
            seen.add(_identity(found))
            what = f"{'task' if isinstance(target, Task) else 'evaluator'} {target.name!r}"
            entered.push_async_callback(_leave, await _enter(found, what), what)
        yield


def lifespan_of(function: Any) -> Lifespan | None:
    """What opens what a callable needs: of its own, of the object whose method it is, or of what a partial fills."""
    while isinstance(function, functools.partial):
        function = function.func
    owner = function.__self__ if inspect.ismethod(function) else None
    for each in (function, owner):
        found = getattr(each, "lifespan", None)
        if callable(found) and not isinstance(each, type):
            return cast("Lifespan", found)
    return None


def _identity(lifespan: Lifespan) -> Any:
    """Several evaluators may be methods of one object: a bound method is made anew at each look at it."""
    return (id(lifespan.__self__), lifespan.__func__) if inspect.ismethod(lifespan) else id(lifespan)


async def _enter(lifespan: Lifespan, what: str) -> AbstractAsyncContextManager[Any]:
    try:
        with waiting_for(f"the lifespan of {what} to be entered"):
            manager = _as_async(lifespan())
            await manager.__aenter__()
    except (Exception, SystemExit) as error:
        raised = [error, *_before(error)]
        # Its text may hold anything, a password in a URL too, and what `ExperimentStopped` says reaches Prefect.
        kinds = ", raised in handling ".join(type(each).__name__ for each in raised)
        raise ExperimentStopped(
            f"the lifespan of {what} could not be entered ({kinds}); nothing was called",
            error=", raised in handling ".join(map(describe, raised)),
        ) from error
    return manager


def _before(error: BaseException) -> list[Exception]:
    """What went wrong first, where an error is of cleaning up behind that: the cause is there."""
    first = None if error.__suppress_context__ else error.__context__
    return [first, *_before(first)] if isinstance(first, Exception) else []


def _as_async(manager: Any) -> AbstractAsyncContextManager[Any]:
    if hasattr(manager, "__aenter__"):
        return cast("AbstractAsyncContextManager[Any]", manager)
    if hasattr(manager, "__enter__"):
        return _Awaited(manager)
    raise TypeError(
        f"lifespan() gave {type(manager).__name__!r}, and must give an async context manager, as a function that is "
        "decorated with contextlib.asynccontextmanager does"
    )


async def _leave(manager: AbstractAsyncContextManager[Any], what: str) -> None:
    # What the experiment ended with is its own: it is never thrown into the user's code, which could swallow it.
    async with closing(f"leaving the lifespan of {what}"):
        await manager.__aexit__(None, None, None)


class _Awaited(AbstractAsyncContextManager[Any]):
    """A plain context manager as an async one."""

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        return self._manager.__enter__()

    async def __aexit__(self, *error: Any) -> bool | None:
        return self._manager.__exit__(*error)
