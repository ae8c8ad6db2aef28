"""Where the line is looked for at which a script begins an experiment."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from prefect_experiments.orchestration.workers.main_script import note_call
from support.patience import PATIENCE_S

# Whose end lets another thread run: the collector meets it while Python says where its threads are.
THREADS_END_MEANWHILE = """
import gc, threading, time
from prefect_experiments.orchestration.workers.main_script import note_call

class Ending:
    def __init__(self):
        self.itself = self
    def __del__(self):
        time.sleep(0)

def come_and_go():
    while True:
        one = threading.Thread(target=lambda: None)
        one.start()
        one.join()

for _ in range(4):
    threading.Thread(target=come_and_go, daemon=True).start()
gc.set_threshold(5)
for _ in range(300):
    for _ in range(3):
        Ending()
    note_call()
print("through", flush=True)
"""


@pytest.mark.parametrize("is_on", [True, False])
def test_no_garbage_is_collected_while_threads_are_looked_at(is_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is collected may end a thread, which waits for a lock that is held meanwhile: the process would hang."""
    frames, seen = sys._current_frames, []

    def look() -> object:
        seen.append(gc.isenabled())
        return frames()

    monkeypatch.setattr(sys, "_current_frames", look)
    was = gc.isenabled()
    try:
        (gc.enable if is_on else gc.disable)()
        note_call()
        assert (seen, gc.isenabled()) == ([False], is_on)
    finally:
        (gc.enable if was else gc.disable)()


def test_threads_that_end_meanwhile_stop_nothing() -> None:
    said = subprocess.run(
        [sys.executable, "-c", THREADS_END_MEANWHILE], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert said.stdout == "through\n"
