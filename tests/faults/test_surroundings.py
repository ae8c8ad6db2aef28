"""A machine that lacks something: a home, a user, a stream, the folder that an experiment was begun in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.fault_proxy import Answer, FaultProxy, Request
from support.patience import PATIENCE_S

# As for a user without an entry in /etc/passwd, whose number is all that there is (`docker run --user 54321`).
NOBODY = """
import pwd
def getpwuid(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = getpwuid
"""
COMMAND_LINE = """
import sys
from prefect_experiments.cli import main
sys.argv = ["prefect-experiments", *sys.argv[1:]]
main()
"""
APPLICATION = "def echo(input):\n    return input\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    (made / "home").mkdir(parents=True)
    (made / "app.py").write_text(APPLICATION)
    (made / "rows.csv").write_text("input,output\na,a\nb,b\n")
    return made


def command(folder: Path, *arguments: str, code: str = COMMAND_LINE, streams: Any = None, **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-c", NOBODY + code, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **(streams or {"capture_output": True}),
    )


@pytest.mark.thorough
@pytest.mark.parametrize("arguments", ["list", "run rows.csv --task app.py:echo"])
def test_no_home_and_an_unknown_user(arguments: str, folder: Path, prefect_api: str) -> None:
    ended = command(folder, *arguments.split(), PREFECT_API_URL=prefect_api)
    assert ended.returncode == 2
    said = [line for line in ended.stderr.splitlines() if "Failed to initialize plugins" not in line]  # Prefect's own
    assert len(said) == 1
    assert said[0].startswith("error: there is no home directory: HOME is not set")


@pytest.mark.parametrize("environment", [{}, {"PREFECT_HOME": "home"}], ids=["nothing", "prefect_home"])
def test_no_home_in_python(environment: dict[str, str], folder: Path) -> None:
    ended = command(folder, code="from prefect_experiments import run_experiment", **environment)
    assert ended.stderr.splitlines()[-1].startswith(
        "prefect_experiments.errors.InvalidSetting: there is no home directory: HOME is not set, and "
        "this user has none. Set HOME to a folder that can be written"
    )


@pytest.mark.thorough
def test_an_unknown_user_with_a_home(folder: Path, prefect_api: str) -> None:
    home = str(folder / "home")
    arguments = ["run", "rows.csv", "--task", "app.py:echo"]
    ended = command(folder, *arguments, PREFECT_API_URL=prefect_api, HOME=home)
    assert ended.returncode == 0, ended.stderr
    assert (folder / "home" / ".prefect" / "experiments.db").exists()


@pytest.mark.slow
def test_a_viewer_s_key_is_refused_in_a_line_before_anything_runs(
    folder: Path, prefect_api: str, phoenix_url: str
) -> None:
    def viewer(request: Request) -> Answer | None:
        return Answer(403, b'{"detail": "Viewers cannot do this"}') if request.method == "POST" else None

    with FaultProxy(phoenix_url, viewer) as proxy:
        settings = {"PREFECT_API_URL": prefect_api, "HOME": str(folder / "home")}
        settings |= {"PHOENIX_ENDPOINT": proxy.url, "PHOENIX_API_KEY": "a-viewers-key"}
        ended = command(folder, "--backend", "phoenix", "run", "rows.csv", "--task", "app.py:echo", **settings)
        script = command(folder, code=VIEWED, **settings)
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    line = lines[0]
    assert line.startswith(f"error: Phoenix at {proxy.url} refused the key (HTTP 403); set PHOENIX_API_KEY")
    assert script.stderr.splitlines() == [], script.stderr
    assert script.stdout.startswith("InvalidSetting Phoenix at")


VIEWED = """
from prefect_experiments import run_experiment
try:
    run_experiment(dataset=[{"input": 1}], task="app.py:echo", backend="phoenix")
except Exception as error:
    print(type(error).__name__, error)
"""

SCRIPT = """
import sys
from prefect_experiments import run_experiment
ran = run_experiment(dataset=[{"input": 1}], task="app.py:echo")
open("done", "w").write(ran.experiment_id)
"""


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [(1,), (2,), (0, 1, 2)], ids=str)
def test_a_script_whose_streams_are_closed(numbers: tuple[int, ...], folder: Path, prefect_api: str) -> None:
    streams = {"preexec_fn": lambda: [os.close(number) for number in numbers]}
    streams |= {name: subprocess.PIPE for n, name in enumerate(("", "stdout", "stderr")) if n and n not in numbers}
    ended = command(folder, code=SCRIPT, streams=streams, PREFECT_API_URL=prefect_api, HOME=str(folder / "home"))
    assert ended.returncode == 0, ended.stderr
    assert (folder / "done").read_text()
    assert "Traceback" not in (ended.stderr or "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_script_whose_output_is_full(folder: Path, prefect_api: str) -> None:
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": full, "stderr": subprocess.PIPE}
        ended = command(folder, code=SCRIPT, streams=streams, PREFECT_API_URL=prefect_api, HOME=str(folder / "home"))
    assert (folder / "done").exists(), ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["app.py:echo", "app:echo"])
def test_resuming_from_another_folder(reference: str, folder: Path, tmp_path: Path, prefect_api: str) -> None:
    """It says where it looked, and how to pass what it needs; and so it goes on."""
    (folder / "app.py").write_text(
        "import os\ndef echo(input):\n    return input if 'WORKS' in os.environ else 1 / 0\n"
    )
    home = {"PREFECT_API_URL": prefect_api, "HOME": str(folder / "home")}
    command(folder, "run", "rows.csv", "--task", reference, "--name", "first", "--retries", "0", **home)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    resumed = command(elsewhere, "resume", "first", **home)
    assert resumed.returncode == 2, resumed.stderr
    [line] = [line for line in resumed.stderr.splitlines() if line.startswith("error: ")]
    assert f"(current directory: {elsewhere})" in line, "where it looked"
    assert "Start it in the folder where it was begun, or pass task= (--task)" in line
    again = command(elsewhere, "resume", "first", "--task", f"{folder / 'app.py'}:echo", WORKS="1", **home)
    assert again.returncode == 0, again.stderr
