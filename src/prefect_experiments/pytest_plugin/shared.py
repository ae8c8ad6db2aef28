"""What the processes of a pytest run share: a folder, and in it a Prefect server."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from prefect_experiments.pytest_plugin.known import RUN


def is_worker(config: pytest.Config) -> bool:
    """Whether pytest-xdist has started this process."""
    return hasattr(config, "workerinput")


def folder_of(config: pytest.Config) -> Path:
    """The folder that the processes of a run share; it need not be there."""
    name = f"experiments-{_run_of(config)}"
    if config.pluginmanager.has_plugin("cacheprovider"):
        return Path(config.rootpath, config.getini("cache_dir"), "d", name)
    return Path(tempfile.gettempdir(), f"prefect-{name}")


def make_folder(config: pytest.Config) -> Path:
    """`folder_of`, made."""
    folder = folder_of(config)
    if config.pluginmanager.has_plugin("cacheprovider") and config.cache is not None:
        config.cache.mkdir(folder.name)  # which keeps it out of version control
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _run_of(config: pytest.Config) -> str:
    if is_worker(config):
        return str(config.workerinput["experiments"]["run"])  # type: ignore[attr-defined]
    return str(config.stash.setdefault(RUN, uuid.uuid4().hex))


def has_leftovers(config: pytest.Config) -> bool:
    """Whether cases have run that no process has logged."""
    return not is_worker(config) and any(folder_of(config).glob("*.json"))


def end(config: pytest.Config) -> None:
    """End what the processes of a run shared."""
    folder = folder_of(config)
    if is_worker(config) or not folder.is_dir():
        return
    from prefect_experiments.orchestration.shared_server import end_server

    end_server(folder)
    if not has_leftovers(config):
        shutil.rmtree(folder, ignore_errors=True)
