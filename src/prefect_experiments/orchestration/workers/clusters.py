"""Clusters of Dask and Ray on this machine, which live as long as an experiment and leave nothing behind."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_LEAST_OF_RAY = 80 * 1024**2
"""Bytes of shared memory, which results do not go through; Ray's least is 75 MiB."""

_LONGEST_FOLDER = 30
"""Of a folder in which Ray makes sockets: the path of one has 104 characters on macOS, 107 on Linux."""


@contextlib.contextmanager
def local_dask(workers: int) -> Iterator[Any]:
    """A task runner on a cluster of Dask's on this machine."""
    from prefect_dask import DaskTaskRunner

    with tempfile.TemporaryDirectory(prefix="dask-", ignore_cleanup_errors=True) as folder, _quiet_here_and_there():
        local = {
            "n_workers": workers,
            "threads_per_worker": 1,  # the calls of one share a process, as on the other engines
            "dashboard_address": "127.0.0.1:0",  # for nobody else's eyes, and at no port that another one has
            "memory_limit": 0,  # as on the other engines, the operating system decides
            "local_directory": folder,
        }
        with DaskTaskRunner(cluster_kwargs=local) as runner:
            _ = runner.client  # which starts the cluster
            yield runner


@contextlib.contextmanager
def quiet_dask(given: Any) -> Iterator[Any]:
    """A task runner of Dask's like another one, on the same cluster."""
    with _quiet():
        like = given.duplicate()
        like._cluster = given._cluster  # which a duplicate lacks: it would make a cluster of its own
        with like as runner:
            _ = runner.client  # which starts the cluster, or connects to it
            yield runner


@contextlib.contextmanager
def local_ray(workers: int) -> Iterator[Any]:
    """A task runner on a cluster of Ray's on this machine."""
    from prefect_ray import RayTaskRunner

    _set_once()
    with _ray_folder() as folder:
        local = {
            "address": "local",  # else it would look for a cluster that happens to run
            "num_cpus": workers,
            "include_dashboard": False,
            "object_store_memory": _LEAST_OF_RAY,
            "logging_level": logging.ERROR,
            "_temp_dir": folder,
        }
        runner = RayTaskRunner(init_kwargs=local)
        # A worker is told of the script's folder and the current one alone.
        with _environment({"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}):
            runner.__enter__()
        try:
            yield runner
        finally:
            runner.__exit__(None, None, None)


@functools.cache
def _set_once() -> None:
    """What Ray is to do in this process and those that it starts, where nobody has said so."""
    token = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    if not token & os.environ.keys() and not (Path.home() / ".ray" / "auth_token").exists():
        # Without a token, anybody on this machine could have the cluster run code; Ray would write one into the home.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # who asks for no GPU still sees those there are


@contextlib.contextmanager
def _ray_folder() -> Iterator[str]:
    """Where Ray may write its logs and sockets."""
    parent = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(parent) > _LONGEST_FOLDER and Path("/tmp").is_dir():  # noqa: S108 - a folder of its own in there
        parent = "/tmp"  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="ray-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield folder


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _quiet_here_and_there() -> Iterator[None]:
    """Also in the processes that are started."""
    with _quiet(), _environment({"DASK_LOGGING__DISTRIBUTED": "warning"}):
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dask tells of what is wrong, and not of each step."""
    import distributed  # noqa: F401 - sets its own levels when it is imported

    # It warns of each worker process that takes longer than 4 s to end, which is no concern of the experiment's.
    levels = {"distributed": logging.WARNING, "distributed.nanny": logging.ERROR}
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(max(before[name], level))
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
