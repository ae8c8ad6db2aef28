"""Where the workers of a task runner are, and whether they are new processes."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

from prefect_experiments.orchestration.workers.engines import is_on_this_machine, starts_processes

from .test_refused import Elsewhere


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.mark.parametrize(
    ("runner", "is_here", "are_new"),
    [
        ("processes", True, True),
        (ProcessPoolTaskRunner(), True, True),
        (ThreadPoolTaskRunner(), True, False),
        ("deployment:crew", False, False),
        (Elsewhere(), False, False),
    ],
    ids=["processes", "a process pool", "threads", "a deployment", "another"],
)
def test_of_prefects_own(runner: Any, is_here: bool, are_new: bool) -> None:
    assert (is_on_this_machine(runner), starts_processes(runner)) == (is_here, are_new)


@pytest.mark.thorough
def test_of_dask() -> None:
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    runner = pytest.importorskip("prefect_dask", reason="the extra dask is not installed").DaskTaskRunner

    class Own(distributed.LocalCluster):  # type: ignore[misc]
        """Somebody's own, on this machine."""

    found = {
        "its name": "dask",
        "plain": runner(),
        "local": runner(cluster_class=distributed.LocalCluster),
        "like it": runner(cluster_class=Own),
        "elsewhere": runner(cluster_class=distributed.SSHCluster),
        "by address": runner(address="tcp://10.0.0.1:8786"),
    }
    here = {name: is_on_this_machine(one) for name, one in found.items()}
    assert here == {**dict.fromkeys(found, True), "elsewhere": False, "by address": False}
    assert {name: starts_processes(one) for name, one in found.items()} == here


@pytest.mark.thorough
def test_of_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = pytest.importorskip("prefect_ray", reason="the extra ray is not installed").RayTaskRunner
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    found = {
        "its name": "ray",
        "plain": runner(),
        "local": runner(address="local"),
        "local, too": runner(init_kwargs={"address": "local"}),
        "by address": runner(address="ray://10.0.0.1:10001"),
        "whatever runs": runner(init_kwargs={"address": "auto"}),
    }
    here = {**dict.fromkeys(found, True), "by address": False, "whatever runs": False}
    assert {name: is_on_this_machine(one) for name, one in found.items()} == here
    assert not any(map(starts_processes, found.values()))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert not is_on_this_machine(runner())
    assert is_on_this_machine(runner(address="local"))
