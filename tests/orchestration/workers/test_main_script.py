"""Where the line is looked for at which a script begins an experiment."""

from __future__ import annotations

import gc
import sys

import pytest

from prefect_experiments.orchestration.workers.main_script import note_call


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
