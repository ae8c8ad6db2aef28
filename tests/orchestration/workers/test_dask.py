"""Dask as the engine: clusters of this machine, and such as have an address."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import InvalidReference, WorkersLost
from support.patience import PATIENCE_S
from support.servers import free_port
from tests.orchestration.workers.engines import (
    EXAMPLES,
    Running,
    check_that_a_worker_is_killed,
    check_that_the_driver_is_killed,
    check_what_is_defined_in_the_script,
    is_whole,
    shared,
)
from tests.orchestration.workers.harness import App, rows, runs_in_prefect

prefect_dask = pytest.importorskip("prefect_dask", reason="the extra dask is not installed")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "its_shared_app", raising=False)
    monkeypatch.setenv("DRIVER", str(os.getpid()))
    return App(tmp_path)


@contextmanager
def process(*command: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dask's."""
    path = os.pathsep.join(filter(None, [environment.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]))
    everything = {**os.environ, **environment, "PYTHONPATH": path}
    with (folder / "dask.log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]],
            stdout=log, stderr=log, env=everything, cwd=folder,
        )  # fmt: skip
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@contextmanager
def cluster(folder: Path, *workers: dict[str, str]) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler, and workers without a nanny, each with its environment; the address, and the workers."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        where = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
        stack.enter_context(process("scheduler", *where, folder=folder))
        started = [
            stack.enter_context(
                process("worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard", folder=folder, **more)
            )
            for more in workers
        ]
        from distributed import Client as DaskClient

        with DaskClient(address, set_as_default=False, timeout=PATIENCE_S) as seen:
            seen.wait_for_workers(len(workers), timeout=PATIENCE_S)
        yield address, started


@pytest.mark.slow
def test_a_worker_is_killed(client: Client, app: App) -> None:
    check_that_a_worker_is_killed("dask", client, app, "killed-on-dask")


@pytest.mark.slow
def test_the_driver_is_killed(store_url: str, client: Client, app: App) -> None:
    check_that_the_driver_is_killed("dask", store_url, client, app)


@pytest.mark.slow
def test_what_is_defined_in_the_script(store_url: str, tmp_path: Path) -> None:
    check_what_is_defined_in_the_script("dask", store_url, tmp_path)


@pytest.mark.slow
def test_a_cluster_of_the_callers_own_is_used(client: Client, app: App) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as there:
        pids = {worker.process.pid for worker in there.workers.values()}
        ran = client.experiments.run_experiment(
            dataset=rows(EXAMPLES), print_summary=False, **shared(prefect_dask.DaskTaskRunner(cluster=there))
        )
        is_whole(ran)
        assert app.pids() <= pids
        assert there.status.name == "running"


@pytest.mark.slow
def test_a_worker_of_a_cluster_with_an_address_is_killed(
    postgres_url: str, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", postgres_url)
    path = {"PYTHONPATH": str(app.folder)}
    with cluster(app.folder, path, path) as (address, _):
        runner = prefect_dask.DaskTaskRunner(address=address)
        check_that_a_worker_is_killed(runner, Client(), app, "killed-of-a-cluster")


@pytest.mark.slow
def test_a_module_that_a_worker_lacks(
    postgres_url: str, app: App, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The others stop, and the run fails with it."""
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", postgres_url)
    app.tell(seconds=0.2)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with cluster(elsewhere, {"PYTHONPATH": str(app.folder)}, {}) as (address, workers):
        runner = prefect_dask.DaskTaskRunner(address=address)
        call = Client().experiments.run_experiment
        running = Running(call, dataset=rows(600), experiment_name="lacks-a-module", **shared(runner))
        with pytest.raises(InvalidReference) as refused:
            running.result()
        assert f"on {socket.gethostname()}" in str(refused.value)
        assert "there is no module 'its_shared_app'" in str(refused.value)
        assert f"current directory is {elsewhere}" in str(refused.value) or str(elsewhere) in str(refused.value)
        calls = len(app.log("begin"))
        assert calls < 600
        flow, _ = runs_in_prefect("lacks-a-module")
        assert flow.state_name == "Failed"
        assert all(worker.poll() is None for worker in workers)  # the cluster is another's
    assert len(app.log("begin")) == calls


@pytest.mark.slow
def test_nobody_is_at_the_address(postgres_url: str, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", postgres_url)
    address = f"tcp://127.0.0.1:{free_port()}"
    runner = prefect_dask.DaskTaskRunner(address=address, client_kwargs={"timeout": 2})
    with pytest.raises(WorkersLost, match="does not start") as lost:
        Client().experiments.run_experiment(dataset=rows(3), print_summary=False, **shared(runner))
    assert address in str(lost.value)
    assert not app.log("begin")
