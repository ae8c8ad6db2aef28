"""Prefect's server, a worker and Phoenix on this machine, for people who want to look.

    python deployments/stack.py up      # start what is not running, wait until it answers
    python deployments/stack.py down    # stop it; the data stays in .stack/

Ports: ``PREFECT_PORT`` (4200) and ``PHOENIX_PORT`` (6006), ``PHOENIX_GRPC_PORT`` (4317).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent / ".stack"
PIDS = HOME / "pids.json"
BIN = Path(sys.executable).parent
WORK_POOL = "evals"
STARTS_WITHIN_S = 180

PREFECT_PORT = os.environ.get("PREFECT_PORT", "4200")
PHOENIX_PORT = os.environ.get("PHOENIX_PORT", "6006")
PREFECT_API = f"http://127.0.0.1:{PREFECT_PORT}/api"
PHOENIX = f"http://127.0.0.1:{PHOENIX_PORT}"
ENVIRONMENT = {
    **os.environ,
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_HOME": str(HOME / "prefect"),
    "PREFECT_API_URL": PREFECT_API,
    "PHOENIX_WORKING_DIR": str(HOME / "phoenix"),
    "PHOENIX_HOST": "127.0.0.1",
    "PHOENIX_PORT": PHOENIX_PORT,
    "PHOENIX_GRPC_PORT": os.environ.get("PHOENIX_GRPC_PORT", "4317"),
    "PHOENIX_TELEMETRY_ENABLED": "false",
    "PHOENIX_ENDPOINT": PHOENIX,
    "PREFECT_EXPERIMENTS_HOME": str(HOME.parent),
    "PREFECT_EXPERIMENTS_STORE_URL": f"sqlite:///{HOME / 'experiments.db'}",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # by which automations/restart-crashed.yaml sees what is gone
}
FOR_PREFECTS_SERVER = {
    **ENVIRONMENT,
    # In memory, the default, a restart of the server would leave every slot taken that was in use.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}
QUEUES = ("gate", "nightly")  # what somebody waits for goes first


def up() -> None:
    """Start everything that is not running."""
    for folder in ("prefect", "phoenix"):
        (HOME / folder).mkdir(parents=True, exist_ok=True)
    serve = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", PREFECT_PORT]
    _start("prefect", serve, FOR_PREFECTS_SERVER)
    _start("phoenix", [str(BIN / "phoenix"), "serve"])
    _wait("prefect", f"{PREFECT_API}/health")
    _wait("phoenix", f"{PHOENIX}/healthz")
    _make_work_pool()
    _start("worker", [str(BIN / "prefect"), "worker", "start", "--pool", WORK_POOL, "--type", "process"])
    print(f"Prefect  http://127.0.0.1:{PREFECT_PORT}\nPhoenix  {PHOENIX}\n\nTo use them from this shell:")
    print(f"  export PREFECT_API_URL={PREFECT_API} PHOENIX_ENDPOINT={PHOENIX}")
    print(f"  export PREFECT_EXPERIMENTS_STORE_URL={ENVIRONMENT['PREFECT_EXPERIMENTS_STORE_URL']}")


def down() -> None:
    """Stop everything that `up` has started."""
    pids = _pids()
    for name in ("worker", "phoenix", "prefect"):
        if (pid := pids.get(name)) is not None:
            _stop(pid)
    PIDS.unlink(missing_ok=True)


def _make_work_pool() -> None:
    """The pool that deployments name, and its queues in their order; those that there are stay."""
    prefect = [str(BIN / "prefect"), "--no-prompt"]
    commands = [["work-pool", "create", WORK_POOL, "--type", "process"]]
    for priority, queue in enumerate(QUEUES, start=1):
        commands.append(["work-queue", "create", queue, "--pool", WORK_POOL, "--priority", str(priority)])
    for command in commands:
        subprocess.run(
            [*prefect, *command], env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )


def _start(name: str, command: list[str], environment: dict[str, str] = ENVIRONMENT) -> None:
    pids = _pids()
    if _runs(pids.get(name)):
        return
    with (HOME / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    PIDS.write_text(json.dumps({**pids, name: process.pid}))


def _wait(name: str, url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        with contextlib.suppress(OSError), opener.open(url, timeout=5) as answer:
            if answer.status == 200:
                return
        if not _runs(_pids().get(name)) or time.monotonic() > deadline:
            sys.exit(f"{name} did not start; see {HOME / f'{name}.log'}")
        time.sleep(0.3)


def _pids() -> dict[str, int]:
    return json.loads(PIDS.read_text()) if PIDS.exists() else {}


def _runs(pid: int | None) -> bool:
    if pid is None:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours that has ended is no longer one
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _stop(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        for _ in range(50):
            if not _runs(pid):
                return
            time.sleep(0.1)


if __name__ == "__main__":
    commands = {"up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]]()
