"""What ends a call from outside: signals, and whatever their handlers raise.

Python runs a signal's handler in the midst of whatever the main thread is doing. What it raises there (Ctrl-C,
Prefect's cancellation, a scheduler's timeout, ``sys.exit``) may land in a callback of asyncio's, which logs it and goes
on, or in code of the user's that takes it for an error of its own. Here it ends the work in good order, and is raised
then.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from types import CodeType, FrameType
from typing import Any, TypeVar

T = TypeVar("T")
_Handler = Callable[[int, FrameType | None], Any]

# Without a handler these end the process at once: no flow run would ever hear of it.
_ENDING = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]


class Terminated(BaseException):
    """The process was asked to end: by its supervisor, or because its terminal was closed."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


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
    """`raising_terminated`; afterwards the process ends by that signal, as it would have at once."""
    try:
        with raising_terminated():
            yield
    except Terminated as terminated:
        if signal.getsignal(terminated.number) is signal.SIG_DFL:
            os.kill(os.getpid(), terminated.number)
        raise


def _raise_terminated(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)


async def interruptible(work: Awaitable[T]) -> T:
    """Do the work; what a signal's handler raises meanwhile cancels it, and is raised when it has cleaned up.

    A second signal of a kind raises at once. Outside the main thread no handler ever runs.

    Raises:
        BaseException: what the work or the first of the handlers has raised.
    """
    if threading.current_thread() is not threading.main_thread():
        return await work
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    raised: list[BaseException] = []

    def interrupt(error: BaseException) -> None:
        raised.append(error)
        task.cancel()
        loop.call_soon_threadsafe(lambda: None)  # wakes the loop, which may be waiting for a socket

    with _deferring(interrupt):
        try:
            result = await task
        except asyncio.CancelledError:
            if not raised:
                raise
        except BaseException:
            if not raised:
                raise
    if raised:
        raise raised[0]
    return result


@contextlib.contextmanager
def _deferring(interrupt: Callable[[BaseException], None]) -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    deferring = {
        number: _Deferring(handler, interrupt)
        for number, handler in handlers.items()
        # asyncio's own handler raises nothing.
        if callable(handler) and getattr(handler, "__name__", None) != "_sighandler_noop"
    }
    for number, ours in deferring.items():
        _replace(number, ours.handler, ours)
    try:
        yield
    finally:
        for number, ours in deferring.items():
            present = signal.getsignal(number)
            if isinstance(present, _Deferring) and present is ours:  # else somebody has one of their own by now
                _replace(number, present, present.handler)


def _replace(number: int, present: _Handler, new: _Handler) -> None:
    signal.signal(number, new)
    # Prefect takes a cancellation from its page for one only where the handler is the very one that it knows.
    prefects = sys.modules.get("prefect.utilities.engine")
    if getattr(prefects, "_prefect_sigterm_handler", None) is present:
        prefects._prefect_sigterm_handler = new  # type: ignore[union-attr]


class _Deferring:
    """A signal's handler whose first exception is not raised where it lands."""

    def __init__(self, handler: _Handler, interrupt: Callable[[BaseException], None]) -> None:
        self.handler = handler
        self._interrupt = interrupt
        self._calls = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._calls += 1
        try:
            self.handler(number, frame)
        except BaseException as error:
            if self._calls > 1:
                raise
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
