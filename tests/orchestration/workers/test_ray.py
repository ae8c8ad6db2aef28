"""Ray as the engine: a cluster of this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_experiments import Client
from tests.orchestration.workers.engines import (
    check_that_a_worker_is_killed,
    check_that_the_driver_is_killed,
    check_what_is_defined_in_the_script,
)
from tests.orchestration.workers.harness import App

pytest.importorskip("prefect_ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "its_shared_app", raising=False)
    monkeypatch.setenv("DRIVER", str(os.getpid()))
    return App(tmp_path)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing is left in the home, nor among temporary files."""
    home, temporary = tmp_path / "home", Path("/tmp") / f"r{os.getpid()}"  # short: sockets are made in it
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RAY_TMPDIR", str(temporary))
    yield home
    assert not (home / ".ray").exists()
    left = list(temporary.iterdir())
    shutil.rmtree(temporary)
    assert not left


def test_a_worker_is_killed(client: Client, app: App) -> None:
    check_that_a_worker_is_killed("ray", client, app, "killed-on-ray")


def test_the_driver_is_killed(store_url: str, client: Client, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR")  # who is killed leaves its folder
    check_that_the_driver_is_killed("ray", store_url, client, app)


def test_what_is_defined_in_the_script(store_url: str, tmp_path: Path) -> None:
    check_what_is_defined_in_the_script("ray", store_url, tmp_path)
