"""A Prefect server and a process worker of the tests' own, with everything deployed from a copy of the working tree."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_fixed

from prefect_experiments import Client
from support.environment import without_prefect
from support.patience import PATIENCE_S
from support.prefect_server import prefect_server
from support.servers import Server, free_port, running

ROOT = Path(__file__).resolve().parents[2]
PREFECT = [str(Path(sys.executable).with_name("prefect")), "--no-prompt"]
FINISHES_WITHIN_S = 2 * PATIENCE_S  # several processes that import everything, on a machine that others use as well
HEARTBEAT_S = 30  # the least that Prefect takes
TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def _is_busy(error: BaseException) -> bool:
    """Whether Prefect's server did not get at its database within ten seconds."""
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 503


class Stack:
    """What there is: the server's API, the project's folder, the store that the worker writes to."""

    def __init__(self, api: str, folder: Path) -> None:
        self.api = api
        self.tree = folder / "project"
        self.home = folder / "home"
        self.log = folder / "worker.log"
        self.at_work: Server
        self.environment = {
            **without_prefect(os.environ),
            "PREFECT_API_URL": api,  # the one thing that says where everything is
            "PREFECT_HOME": str(self.home),
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": f"{HEARTBEAT_S}",
            "PREFECT_EXPERIMENTS_PREFECT_PATIENCE": str(PATIENCE_S),
        }
        self._http = httpx.Client(base_url=f"{api}/", timeout=PATIENCE_S, trust_env=False)

    def copy_project(self) -> None:
        """The folders that a project has, as they are now."""
        for name in ("flows", "deployments"):
            shutil.copytree(ROOT / name, self.tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.tree)

    def prefect(self, *arguments: str, **environment: str) -> str:
        """Run Prefect's command in the project's folder; what it said."""
        return self._run([*PREFECT, *arguments], environment)

    def python(self, *arguments: str, **environment: str) -> str:
        """Run a script in the project's folder."""
        return self._run([sys.executable, *arguments], environment)

    def shell(self, script: str, *, code: int = 0, **environment: str) -> str:
        """Run a script in the project's folder, where ours and Prefect's commands are on the path."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return self._run(["bash", "-e", "-c", script], {"PATH": path, **environment}, code)

    def _run(self, command: list[str], environment: dict[str, str], code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.tree,
            env={name: value for name, value in {**self.environment, **environment}.items() if value},
            capture_output=True,
            text=True,
            check=False,
            timeout=FINISHES_WITHIN_S,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def worker(self, **environment: str) -> Server:
        """A process worker on the pool; starting it makes the pool where there is none."""
        port = free_port()
        return Server(
            [*PREFECT, "worker", "start", "--pool", "evals", "--type", "process", "--with-healthcheck"],
            {**self.environment, "PREFECT_WORKER_WEBSERVER_PORT": str(port), **environment},
            f"http://127.0.0.1:{port}/health",
            self.log,
        )

    @property
    def client(self) -> Client:
        """A client of the store that the worker writes to."""
        return Client(store_url=f"sqlite:///{self.home / 'experiments.db'}")

    def post(self, path: str, **json: Any) -> Any:
        """Ask the server's API."""
        answer = self._ask("POST", path, json=json)
        return answer.json() if answer.content else None

    @retry(
        retry=retry_if_exception(_is_busy),
        wait=wait_fixed(1),
        stop=stop_after_attempt(20),
        reraise=True,
    )
    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """As Prefect's own client asks: again, where the server is busy."""
        return self._http.request(method, path, **arguments).raise_for_status()

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment by ``flow/name``."""
        return dict(self._ask("GET", f"deployments/name/{name}").json())

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a deployment; the flow run's id."""
        found = self.deployment(deployment)["id"]
        return str(self.post(f"deployments/{found}/create_flow_run", parameters=parameters)["id"])

    def emit(self, event: str, payload: dict[str, Any], resource: str = "anything.at-all") -> None:
        """Emit an event, as somebody who knows of no flow would."""
        said = {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": event,
            "resource": {"prefect.resource.id": resource},
            "payload": payload,
        }
        self._ask("POST", "events", json=[said])

    def flow_run(self, run_id: str) -> dict[str, Any]:
        """A flow run by its id."""
        return dict(self._ask("GET", f"flow_runs/{run_id}").json())

    def states(self, run_id: str) -> list[dict[str, Any]]:
        """The states that a flow run went through, in order."""
        found = self._ask("GET", "flow_run_states/", params={"flow_run_id": run_id}).json()
        return sorted(found, key=lambda state: state["timestamp"])

    def flow_runs(self, deployment: str, since: datetime, *, auto: bool = False) -> list[dict[str, Any]]:
        """The flow runs of a deployment, oldest first.

        Args:
            deployment: as ``flow/name``.
            since: when they were made, at the earliest.
            auto: those of a schedule, and not those that somebody or something has started.
        """
        found = self.post(
            "flow_runs/filter",
            flow_runs={"deployment_id": {"any_": [self.deployment(deployment)["id"]]}},
            sort="EXPECTED_START_TIME_ASC",
        )
        return [r for r in found if r["auto_scheduled"] is auto and datetime.fromisoformat(r["created"]) >= since]

    def finished(self, deployment: str, since: datetime, count: int) -> list[dict[str, Any]]:
        """So many runs of a deployment, when they have ended."""

        def ended() -> list[dict[str, Any]]:
            runs = self.flow_runs(deployment, since)
            return runs if len(runs) >= count and all(r["state_type"] in TERMINAL for r in runs) else []

        return self.wait_for(ended, f"{count} runs of {deployment}")

    def final(self, run_id: str) -> dict[str, Any]:
        """A flow run, when it has ended."""

        def ended() -> dict[str, Any] | None:
            run = self.flow_run(run_id)
            return run if run["state_type"] in TERMINAL else None

        return self.wait_for(ended, f"flow run {run_id}")

    def wait_for(self, look: Callable[[], Any], what: str) -> Any:
        """Look again and again until there is something."""
        deadline = time.monotonic() + FINISHES_WITHIN_S
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.3)
        raise AssertionError(f"waited in vain for {what}; the worker said:\n{self.log.read_text()[-5000:]}")


@contextlib.contextmanager
def deployed(folder: Path) -> Iterator[Stack]:
    """Start a server, and a worker; deploy everything with the one command."""
    with prefect_server(
        PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS="2",  # 30 by default
        PREFECT_SERVER_UI_ENABLED="false",
    ) as api:
        stack = Stack(api, folder)
        stack.home.mkdir(parents=True)
        stack.copy_project()
        with running(stack.worker()) as stack.at_work:
            stack.prefect("deploy", "--prefect-file", "deployments/prefect.yaml", "--all")
            yield stack
