"""Several hosts, each with its own network, name and process numbers, share an experiment in one PostgreSQL store."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_experiments import Client
from support.hosts import BRIDGE, Host, hosts
from support.patience import PATIENCE_S, wait_for
from support.postgres import PostgresServer, server_binaries
from support.prefect_server import prefect_server
from support.servers import free_port
from tests.orchestration.workers.engines import Running
from tests.orchestration.workers.harness import runs_in_prefect

prefect_dask = pytest.importorskip("prefect_dask", reason="the extra dask is not installed")
pytestmark = pytest.mark.slow

EXAMPLES, CONCURRENCY = 90, 6


class Cluster:
    """A scheduler of Dask's here, and a worker on each host."""

    def __init__(self, found: list[Host], folder: Path, stack: contextlib.ExitStack) -> None:
        self.hosts, self._folder, self._stack = found, folder, stack
        self.address = f"tcp://{BRIDGE}:{free_port()}"
        port = self.address.rpartition(":")[2]
        where = ["--host", BRIDGE, "--port", port, "--dashboard-address", f"{BRIDGE}:0"]
        with (folder / "scheduler.log").open("ab") as log:
            scheduler = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_scheduler", *where], stdout=log, stderr=log, cwd=folder
            )
        stack.callback(scheduler.wait)
        stack.callback(scheduler.kill)

    def start(self, environment: dict[str, str]) -> None:
        from distributed import Client as DaskClient

        self.processes = {
            host.name: self._stack.enter_context(
                host.running(
                    [
                        *(sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--no-nanny"),
                        *("--nthreads", "1", "--no-dashboard", "--host", host.address),
                    ],
                    environment,
                    self._folder,
                )
            )
            for host in self.hosts
        }
        with DaskClient(self.address, set_as_default=False, timeout=PATIENCE_S) as seen:
            seen.wait_for_workers(len(self.hosts), timeout=PATIENCE_S)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Three hosts with a worker each; Prefect's server and PostgreSQL at the bridge's address; all by URLs."""
    if (binaries := server_binaries()) is None:
        pytest.skip("no PostgreSQL server binaries")
    shutil.copy(Path(__file__).parent / "hosts_app.py", tmp_path / "its_hosts_app.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "its_hosts_app", raising=False)
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(hosts(3))
        server = PostgresServer(binaries, BRIDGE)
        stack.callback(server.stop)
        server.start()
        monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", server.create_database())
        api = stack.enter_context(prefect_server(host=BRIDGE))
        monkeypatch.setenv("PREFECT_API_URL", api)
        stack.enter_context(temporary_settings({PREFECT_API_URL: api}))
        made = Cluster(found, tmp_path, stack)
        made.start({**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])})
        yield made


def called(folder: Path, what: str = "begin") -> list[tuple[str, int]]:
    """The host and the example of each call."""
    file = folder / "log"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(host, int(number)) for said, host, number in map(str.split, lines) if said == what]


def run(cluster: Cluster, experiment: str) -> Running:
    return Running(
        Client().experiments.run_experiment,
        dataset=[{"id": f"e{n}", "input": n} for n in range(EXAMPLES)],
        task="its_hosts_app:double",
        evaluators=["its_hosts_app:right"],
        experiment_name=experiment,
        task_runner=prefect_dask.DaskTaskRunner(address=cluster.address),
        workers=3,
        concurrency=CONCURRENCY,
    )


def kept(client: Client) -> dict[int, Any]:
    """By example, the one run that is kept, and which it is."""
    runs = client.experiments.list_runs(experiment="latest", all=True)
    assert max(Counter(run.example_id for run in runs).values(), default=0) <= 1
    return {int(run.example_id[1:]): (run.id, run.output) for run in runs if run.error is None}


@pytest.mark.timeout(1500)
def test_one_is_cut_off_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    client, running = Client(), run(cluster, "hosts")
    wait_for(
        lambda: not running.is_alive() or len(called(tmp_path)) - len(called(tmp_path, "end")) == CONCURRENCY,
        "as many calls as there may be",
    )
    if not running.is_alive():
        running.result()
    assert {host for host, _ in called(tmp_path)} == {host.name for host in cluster.hosts}
    off = cluster.hosts[1]
    wait_for(lambda: len(kept(client)) == len(called(tmp_path, "end")), "all that has returned to be kept")
    before = kept(client)
    off.cut()
    (tmp_path / "go").touch()
    whole = wait_for(lambda: found if len(found := kept(client)) == EXAMPLES else None, "the others to do all of it")
    off.mend()
    ran = running.result()
    # What was kept before is kept; what the cut one had under way was made by others.
    assert {number: whole[number] for number in before} == before
    assert all(output["double"] == 2 * number for number, (_, output) in whole.items())
    made_by = Counter(output["host"] for _, output in whole.values())
    assert made_by[off.name] == len([1 for _, output in before.values() if output["host"] == off.name])
    times = Counter(number for _, number in called(tmp_path))
    its = {number for host, number in called(tmp_path) if host == off.name} - before.keys()
    again = {number for number, count in times.items() if count > 1}
    assert again == its
    assert max(times.values()) == 2
    assert len(its) <= EXAMPLES // 3
    assert len(ran.task_runs) == EXAMPLES
    evaluations = Counter((e.run_id, e.name) for e in ran.evaluation_runs)
    assert evaluations == {(run_id, "right"): 1 for run_id, _ in whole.values()}
    flow, _ = runs_in_prefect("hosts")
    assert flow.state_name == "Completed"
    # And when it has had its time: its process has found out, and nothing has changed.
    wait_for(lambda: not under_way(tmp_path, off.name), "the end of its calls")
    end(cluster.processes[off.name])
    assert kept(client) == whole
    assert {e.id for e in client.experiments.get_results(experiment="latest").evaluation_runs} == {
        e.id for e in ran.evaluation_runs
    }


def end(host: subprocess.Popen[bytes]) -> None:
    """Ask a host's worker to end; `unshare`, which has started it, is not to be asked: it ignores that."""
    worker = int(Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text())
    os.kill(worker, signal.SIGTERM)
    host.wait()


def under_way(folder: Path, host: str) -> Counter[int]:
    begun = Counter(number for where, number in called(folder) if where == host)
    return begun - Counter(number for where, number in called(folder, "end") if where == host)
