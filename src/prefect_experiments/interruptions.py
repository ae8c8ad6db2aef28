"""What ends a call from outside: signals, and whatever their handlers raise.

Python runs a signal's handler in the midst of whatever the main thread is doing. What it raises there (Ctrl-C,
Prefect's cancellation, a scheduler's timeout, ``sys.exit``) may land in a callback of asyncio's, which logs it and goes
on, or in code of the user's that takes it for an error of its own. Here it ends the work in good order, and is raised
then.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from types import CodeType, FrameType
from typing import Any, TypeVar

T = TypeVar("T")

LOOK_UP_S = 0.1  # how soon work that is waited for is seen to be wanted no more
LEFT_S = 5.0  # for what a thread still does when nobody wants it any more
SAME_S = 2.0  # within so long of an interruption, further ones mean the same
_Handler = Callable[[int, FrameType | None], Any]
Asked = Callable[[], BaseException | None]  # gives what is to be raised, where the work is not wanted any more

# Without a handler these end the process at once: no flow run would ever hear of it.
_ENDING = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]


class Terminated(BaseException):
    """The process was asked to end: by its supervisor, or because its terminal was closed."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class CalledOff(BaseException):
    """Whoever wanted the work has ended."""


@contextlib.contextmanager
def raising_terminated() -> Iterator[None]:
    """While this is entered, what would end the process at once raises `Terminated` in the main thread.

    Only where nobody has said yet what is to happen then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _raise_terminated)
    try:
        yield
    finally:
        for number in ours:
            if signal.getsignal(number) is _raise_terminated:
                signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def ending_in_good_order() -> Iterator[None]:
    """`raising_terminated`; afterwards the process ends by that signal, as it would have at once.

    But for what is registered for its end, which that would leave out: Prefect's temporary server is stopped there.
    """
    try:
        with raising_terminated():
            yield
    except Terminated as terminated:
        if signal.getsignal(terminated.number) is signal.SIG_DFL:
            atexit._run_exitfuncs()
            os.kill(os.getpid(), terminated.number)
        raise


def _raise_terminated(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)


async def interruptible(work: Awaitable[T], off: Asked | None = None) -> T:
    """Do the work; what interrupts it meanwhile cancels it, and is raised when it has cleaned up.

    Args:
        work: what is to be done.
        off: is asked again and again whether the work is wanted still.

    Raises:
        BaseException: what the work or the first of the handlers of signals has raised.
        CalledOff: nobody wants the work any more.
    """
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

    def cancel() -> None:
        task.cancel()
        loop.call_soon_threadsafe(lambda: None)  # wakes the loop, which may be waiting for a socket

    with deferring(cancel) as raised:
        asking = None if off is None else asyncio.ensure_future(_ask(off, raised.append, cancel))
        try:
            result = await task
        except BaseException:
            if not raised:
                raise
        finally:
            if asking is not None:
                asking.cancel()
    if raised:
        raise raised[0]
    return result


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """What a function gives in a thread. A thread cannot be ended: a cancellation waits a while for what it does."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work}, timeout=LEFT_S)
        raise


async def _ask(off: Asked, tell: Callable[[BaseException], None], cancel: Callable[[], None]) -> None:
    while (error := off()) is None:  # noqa: ASYNC110 - a flag of a thread's
        await asyncio.sleep(LOOK_UP_S)
    tell(error)
    cancel()


@contextlib.contextmanager
def deferring(cancel: Callable[[], None]) -> Iterator[list[BaseException]]:
    """While this is entered, the first exception of a signal's handler is not raised where it lands.

    It is put into the list that this gives, and the work is cancelled. What comes right behind it means the same: a
    terminal that is closed sends two signals, and people press Ctrl-C twice. Later ones are raised at once. Outside the
    main thread no handler ever runs.
    """
    raised: list[BaseException] = []
    if threading.current_thread() is not threading.main_thread():
        yield raised
        return
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    until: list[float] = []

    def interrupt(error: BaseException) -> None:
        if until and time.monotonic() > until[0]:
            raise error
        if not until:
            until.append(time.monotonic() + SAME_S)
            raised.append(error)
            cancel()

    deferred = {
        number: _Deferring(handler, interrupt)
        for number, handler in handlers.items()
        # asyncio's own handler raises nothing.
        if callable(handler) and getattr(handler, "__name__", None) != "_sighandler_noop"
    }
    for number, ours in deferred.items():
        _replace(number, ours.handler, ours)
    try:
        yield raised
    finally:
        for number, ours in deferred.items():
            present = signal.getsignal(number)
            if isinstance(present, _Deferring) and present is ours:  # else somebody has one of their own by now
                _replace(number, present, present.handler)


def calling_off() -> Asked:
    """What is to be asked whether the work that synchronous code waits for is wanted still.

    Not everything that ends work reaches the thread that waits for it as an exception. Ctrl-C cancels the tasks of an
    event loop, which do not hear of it while synchronous code holds the loop up; and a flow that ends only sets a flag
    for the tasks that it has submitted to other threads.
    """
    flags = [flag for flag in (_cancelled_tasks(), ended_flow()) if flag is not None]

    def off() -> BaseException | None:
        return next((error for flag in flags if (error := flag()) is not None), None)

    return off


def _cancelled_tasks() -> Asked | None:
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no event loop in this thread
        return None
    if asyncio.current_task() is None:
        return None
    before = {task: task.cancelling() for task in tasks}

    def off() -> BaseException | None:
        grown = any(task.cancelling() > count for task, count in before.items())
        return asyncio.CancelledError() if grown else None

    return off


def ended_flow() -> Asked | None:
    """What knows whether the flow run has ended that has submitted the Prefect task which is under way here."""
    context = sys.modules.get("prefect.context")
    if not hasattr(context, "TaskRunContext"):  # it is not imported, or another thread is about to
        return None
    assert context is not None
    flow, task = context.FlowRunContext.get(), context.TaskRunContext.get()
    if flow is None or task is None:
        return None
    submitted = getattr(flow.task_runner, "_cancel_events", {})
    if not isinstance(flag := submitted.get(task.task_run.id), threading.Event):
        return None
    return lambda: CalledOff("the flow run that has submitted this task has ended") if flag.is_set() else None


def _replace(number: int, present: _Handler, new: _Handler) -> None:
    signal.signal(number, new)
    # Prefect takes a cancellation from its page for one only where the handler is the very one that it knows.
    prefects = sys.modules.get("prefect.utilities.engine")
    if getattr(prefects, "_prefect_sigterm_handler", None) is present:
        prefects._prefect_sigterm_handler = new  # type: ignore[union-attr]


class _Deferring:
    """A signal's handler whose exceptions go elsewhere first."""

    def __init__(self, handler: _Handler, interrupt: Callable[[BaseException], None]) -> None:
        self.handler = handler
        self._interrupt = interrupt

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            self.handler(number, frame)
        except BaseException as error:  # noqa: BLE001 - it is raised elsewhere
            self._interrupt(error)


def is_for_the_process(error: BaseException) -> bool:
    """Whether it was raised by a signal's handler, and not by the code that it came out of."""
    if threading.current_thread() is not threading.main_thread():
        return False
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    if isinstance(error, KeyboardInterrupt) and signal.default_int_handler in handlers:
        return True  # that handler is no Python code: it leaves no trace
    codes = {_code_of(handler) for handler in handlers} - {None}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def _code_of(handler: Any) -> CodeType | None:
    while isinstance(handler, functools.partial):
        handler = handler.func
    if isinstance(handler, _Deferring):
        handler = _Deferring.__call__
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    return code if isinstance(code, CodeType) else None
