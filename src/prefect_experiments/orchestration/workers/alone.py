"""What a worker's process is like that was started for it alone."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from types import FrameType

ENDS_WITHIN_S = 10.0
"""So long after the process that has started it is gone, a worker may still keep what it has done."""


def in_its_own_process() -> None:
    """In a process of a pool: end with the one that has started it, and leave it to that one to hear Ctrl-C.

    A terminal sends Ctrl-C to all processes that run in it. A process of a pool waits for more to do, and never finds
    out that nobody is there any more to say so.
    """
    parent = multiprocessing.parent_process()
    if parent is None or threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGINT, _not_for_us)  # not SIG_IGN, which processes that the user's code starts would inherit
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever leads starts another one
    _end_with(parent)


def _not_for_us(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-C is for whoever leads."""


@contextlib.contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """What this thread starts hears nothing of Ctrl-C before it is in `in_its_own_process`.

    Else a worker that is about to start dies with a traceback, or not at all: Prefect waits for it for ever.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@functools.cache
def _end_with(parent: BaseProcess) -> None:
    def watch() -> None:
        parent.join()
        time.sleep(ENDS_WITHIN_S)
        os._exit(1)

    threading.Thread(target=watch, name="experiment-parent", daemon=True).start()
