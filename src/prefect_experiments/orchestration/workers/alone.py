"""What a worker's process is like that was started for it alone."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.process import BaseProcess

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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever leads starts another one
    _end_with(parent)


@functools.cache
def _end_with(parent: BaseProcess) -> None:
    def watch() -> None:
        parent.join()
        time.sleep(ENDS_WITHIN_S)
        os._exit(1)

    threading.Thread(target=watch, name="experiment-parent", daemon=True).start()
