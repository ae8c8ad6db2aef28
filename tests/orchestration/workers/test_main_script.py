"""Where the line is looked for at which a script begins an experiment."""

from __future__ import annotations

import gc
import runpy
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from prefect_experiments.orchestration.workers import main_script
from prefect_experiments.orchestration.workers.main_script import line_without_guard, note_call
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


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(main_script, "_calling", {})
    return tmp_path / "script.py"


def run(script: Path, text: str, name: str = "__main__") -> None:
    """Run a script that begins experiments."""
    script.write_text(f"from {main_script.__name__} import note_call as begin\n{dedent(text)}")
    runpy.run_path(str(script), run_name=name)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("begin()", 2),
        ("\n\nbegin()\n", 4),
        ("if __name__ == '__main__':\n    begin()", None),
        ("if __name__ == '__main__':\n    ready = 1\n    begin()", None),
        ("if (1\n    and __name__ == '__main__'): begin()", None),
        ("if __name__ == '__main__': pass\nelse: pass\nbegin()", 4),
        ("if True:\n    begin()", 3),
        ("while __name__ == '__main__':\n    begin()\n    break", 3),
        ("def main():\n    begin()\nmain()", 4),
        ("def main():\n    begin()\nif __name__ == '__main__':\n    main()", None),
        ("for _ in range(2):\n    begin()\nbegin()", 3),
        ("if __name__ == '__main__':\n    begin()\nbegin()\nbegin()", 4),
    ],
)
def test_the_first_line_that_a_process_which_imports_the_script_would_run_again(
    script: Path, text: str, line: int | None
) -> None:
    run(script, text)
    assert line_without_guard() == line


def test_where_there_is_no_script_there_is_no_line(script: Path) -> None:
    note_call()
    run(script, "begin()", name="imported")
    assert line_without_guard() is None


@pytest.mark.parametrize("change", ["", "x = 1", "def", "\x00"])
def test_a_script_that_has_changed_since_or_cannot_be_read_has_none(script: Path, change: str) -> None:
    run(script, "\nbegin()")
    assert line_without_guard() == 3
    script.write_text(change)
    assert line_without_guard() is None
    script.unlink()
    assert line_without_guard() is None
