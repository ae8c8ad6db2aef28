"""The tests depend neither on what a developer has set, nor on the folder that they are started in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.patience import PATIENCE_S

TESTS = Path(__file__).resolve().parent
FOREIGN = {
    "PREFECT_HOME": "/nonexistent",
    "PREFECT_PROFILE": "nobody",
    "PREFECT_API_URL": "nonsense",
    "PREFECT_LOGGING_LEVEL": "nonsense",
    "PREFECT_EXPERIMENTS_STORE_URL": "nonsense",
    "PHOENIX_ENDPOINT": "nonsense",
    "ARIZE_API_KEY": "foreign",
    "OPENAI_API_KEY": "foreign",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense",
    "COLUMNS": "40",
    "FORCE_COLOR": "1",
    "TERM": "dumb",
    "LANG": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "PYTHONWARNINGS": "error",
}
SOME = [  # one opens a store where none is named, one reads what a command shows a terminal, one starts Python
    "cli/test_progress.py::test_an_experiment_within_the_task_is_not_heard_of",
    "cli/test_starting.py::test_every_command_has_help",
    "engine/test_timeouts.py::test_the_process_can_end_although_a_thread_hangs",
]


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("how", [(), ("--numprocesses", "1")], ids=["one process", "several"])
def test_what_is_set_elsewhere_has_no_say_and_what_is_kept_elsewhere_is_not_opened(
    tmp_path: Path, how: tuple[str, ...]
) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not served", *how]
    done = subprocess.run(
        [*command, *(f"{TESTS}/{test}" for test in SOME)],
        cwd=tmp_path,
        env={**ours, **FOREIGN, "HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    assert list(home.iterdir()) == []
    assert list(temporary.glob("prefect-home-*")) == []
