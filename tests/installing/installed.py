"""An environment with the package as a user installs it, and what its commands and a server of it say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import httpx

from support.environment import without_prefect

ROOT = Path(__file__).resolve().parents[2]
SCHEDULED_WITHIN_S = 120


def built(source: Path, folder: Path) -> Path:
    """The wheel of a source tree."""
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    said(*build, str(source))
    (found,) = folder.glob("*.whl")
    return found


def said(*command: str, cwd: Path | None = None, code: int = 0, **environment: str) -> str:
    """What a command prints, without the developer's settings and packages; it has to end with the exit code."""
    clean = {name: value for name, value in without_prefect(os.environ).items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def install(installer: str, wheel: Path, folder: Path) -> Path:
    """A new environment with the wheel and what the installer resolves beside it; its folder of commands.

    Args:
        installer: pip, uv, or lowest: uv, with the lowest versions that pyproject.toml allows and that have wheels.
        wheel: what is installed.
        folder: where the environment is made.
    """
    if installer in ("uv", "lowest"):
        said(sys.executable, "-m", "uv", "venv", "--python", sys.executable, str(folder))
        python = str(folder / "bin" / "python")
        lowest = ("--resolution", "lowest-direct", "--only-binary", ":all:", "-r", str(ROOT / "pyproject.toml"))
        which = lowest if installer == "lowest" else ()
        said(
            sys.executable, "-m", "uv", "pip", "install", "--python", python, *which, str(wheel), UV_SYSTEM_CERTS="true"
        )
    else:
        venv.create(folder, with_pip=True)
        said(str(folder / "bin" / "python"), "-m", "pip", "install", str(wheel))
    return folder / "bin"


def posted(http: httpx.Client, path: str) -> list[dict[str, str]]:
    """What the server lists."""
    answer = http.post(path, json={}).raise_for_status()
    return list(answer.json())


def wait_until_scheduled(http: httpx.Client, deployments: dict[str, str]) -> None:
    """Wait until the server's scheduler has made runs of each deployment."""
    deadline = time.monotonic() + SCHEDULED_WITHIN_S
    waiting = set(deployments)
    while waiting:
        assert time.monotonic() < deadline, f"no scheduled runs of {[deployments[key] for key in waiting]}"
        waiting -= {
            run["deployment_id"] for run in posted(http, "flow_runs/filter") if run["state_type"] == "SCHEDULED"
        }
        time.sleep(0.5)
