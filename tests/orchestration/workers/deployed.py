"""A Prefect server with a work pool, a process worker on it, and a deployment of the flow `worker`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from prefect_experiments import Client
from support.patience import PATIENCE_S, wait_for
from tests.deployments.stack import TERMINAL, Stack

HERE = Path(__file__).parent
CREW = "worker/crew"
ENTRYPOINT = "prefect_experiments.flows.worker.worker"


def _deployment(name: str, pool: str, entrypoint: str = ENTRYPOINT, **variables: Any) -> dict[str, Any]:
    return {
        "name": name,
        "entrypoint": entrypoint,
        "work_pool": {"name": pool, "job_variables": variables},
        "pull": [{"prefect_experiments.orchestration.deployed.project.enter": {}}],
    }


class Crews(Stack):
    """The server, the store on PostgreSQL, the project's folder here, and another copy of it where workers are."""

    def __init__(self, api: str, folder: Path, store_url: str, another_store: str) -> None:
        super().__init__(api, folder)
        self.store_url, self.cases, workers = store_url, folder / "cases", folder / "elsewhere"
        self.environment |= {
            "PREFECT_EXPERIMENTS_STORE_URL": store_url,
            "PREFECT_EXPERIMENTS_HOME": str(workers),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "CASES": str(self.cases),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self.home.mkdir(parents=True)
        self.cases.mkdir()
        for place in (self.tree, workers):
            place.mkdir()
            shutil.copy(HERE / "deployed_app.py", place / "app.py")
        deployments = [
            _deployment("crew", "evals"),
            _deployment("lost", "evals", env={"PREFECT_EXPERIMENTS_STORE_URL": another_store}),
            _deployment("idle", "nobody"),
            _deployment("other", "evals", "prefect_experiments.flows.compare.compare"),
        ]
        (self.tree / "prefect.yaml").write_text(yaml.safe_dump({"deployments": deployments}))

    def deploy(self) -> None:
        """Deploy everything; the pool `nobody` has no worker."""
        self.prefect("work-pool", "create", "nobody", "--type", "process")
        self.prefect("deploy", "--all")

    @property
    def client(self) -> Client:
        return Client(store_url=self.store_url)

    def runs_of(self, experiment_id: str, deployment: str = CREW) -> list[dict[str, Any]]:
        """The flow runs of an experiment's workers, oldest first."""
        return [
            dict(run)
            for run in self.post(
                "flow_runs/filter",
                flow_runs={
                    "deployment_id": {"any_": [self.deployment(deployment)["id"]]},
                    "tags": {"all_": [f"experiment:{experiment_id}"]},
                },
                sort="EXPECTED_START_TIME_ASC",
            )
        ]

    def open_task_runs(self) -> list[dict[str, Any]]:
        """All task runs that have not ended, whosever they are."""
        types = ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"]
        return list(self.post("task_runs/filter", task_runs={"state": {"type": {"any_": types}}}))


class Case:
    """An experiment whose calls deployed workers make.

    Args:
        crews: where.
        name: of the dataset.
        examples: how many.
        halts: from this example on, calls wait for `let_go_on`.
        fails: the example whose call fails.
    """

    def __init__(
        self, crews: Crews, name: str, examples: int, *, halts: int = 10**9, fails: int = -1, **more: Any
    ) -> None:
        self.crews, self.name, self.examples = crews, name, examples
        self.more = {"task_runner": "deployment:crew", "workers": 2, "concurrency": 8, **more}
        rows = [
            json.dumps({"id": f"e{n}", "input": {"case": name, "n": n, "halts": halts, "fails": fails}})
            for n in range(examples)
        ]
        (crews.tree / f"{name}.jsonl").write_text("\n".join(rows))
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, how: str = "run") -> subprocess.Popen[bytes]:
        """Start the process that leads."""
        command = [sys.executable, str(HERE / "deployed_driver.py"), how, self.name, json.dumps(self.more)]
        with (self.crews.cases / f"{self.name}.out").open("ab") as output:
            process = subprocess.Popen(
                command, cwd=self.crews.tree, env=self.crews.environment, stdout=output, stderr=output
            )
        self._processes.append(process)
        return process

    def end(self) -> None:
        """Kill what is left."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE_S)

    def ended(self) -> int:
        """The exit code of the process that leads, when it has ended."""
        return self._processes[-1].wait(PATIENCE_S)

    @property
    def output(self) -> str:
        """What it has said, in one line."""
        return " ".join((self.crews.cases / f"{self.name}.out").read_text().split())

    def log(self) -> list[tuple[int, int]]:
        """The calls: process and example."""
        file = self.crews.cases / f"{self.name}.log"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(pid), int(n)) for pid, n in map(str.split, lines)]

    def pids(self) -> list[int]:
        """The processes that have made calls, in order."""
        return list(dict.fromkeys(pid for pid, _ in self.log()))

    def again(self) -> int:
        """How many calls were made beyond one for each example; each must have been made."""
        calls = Counter(n for _, n in self.log())
        assert set(calls) == set(range(self.examples))
        return sum(calls.values()) - self.examples

    def let_go_on(self) -> None:
        (self.crews.cases / f"{self.name}.go").touch()

    def wait_for_processes(self, count: int) -> None:
        """Wait until so many processes have made calls."""
        wait_for(lambda: len(self.pids()) >= count or self._processes[-1].poll() is not None, "workers at work")
        assert len(self.pids()) >= count, self.output

    @property
    def id(self) -> str:
        """The experiment's."""
        [found] = [e for e in self.crews.client.experiments.list() if e.dataset_name == self.name]
        return found.id

    def runs(self) -> list[str]:
        """The states of its workers' flow runs, when all have ended."""

        def ended() -> list[str]:
            runs = self.crews.runs_of(self.id, f"worker/{self.more['task_runner'].partition(':')[2]}")
            return [run["state_name"] for run in runs] if all(r["state_type"] in TERMINAL for r in runs) else []

        return wait_for(ended, f"the end of {self.name}'s flow runs")

    def check_results(self) -> None:
        """All there, and right."""
        ran = self.crews.client.experiments.get_results(experiment=self.id)
        assert [run.output for run in ran.task_runs] == [2 * n for n in range(self.examples)]
        scores = ran.summary.metrics["right"]
        assert (scores.mean, scores.n) == (1.0, self.examples)
