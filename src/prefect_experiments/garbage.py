"""Python's garbage collector, left out for a while."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator

_lock = threading.RLock()  # what a destructor or a signal's handler does may be within, too
_within = 0
_was_on = False


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Have no garbage collected meanwhile, whoever else leaves this; after the last one it is as it was."""
    global _within, _was_on
    with _lock:
        _within += 1
        if _within == 1:
            _was_on = gc.isenabled()
            gc.disable()
    try:
        yield
    finally:
        with _lock:
            _within = max(0, _within - 1)  # none, in a process that was forked within
            if not _within and _was_on:
                gc.enable()


def _after_fork() -> None:
    """In a forked process the other threads are gone, with what they were within."""
    global _lock, _within
    if _within and _was_on:
        gc.enable()
    _lock, _within = threading.RLock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
