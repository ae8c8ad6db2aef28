"""What the tests of workers share: the code whose calls they make, what it logged, and what is left of processes."""

from __future__ import annotations

import contextvars
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from prefect.client.schemas.objects import FlowRun, TaskRun

from prefect_experiments.experiment.counts import Progress
from prefect_experiments.experiment.progress import heard_by
from support.flow_runs import flow_run_of, task_runs_of
from support.patience import PATIENCE_S, wait_for

HERE = Path(__file__).parent
DRIVER = HERE / "driver.py"


_HERE = uuid.uuid4().hex[:8]


def called(name: str) -> str:
    """A name that no other run of these tests gives to an experiment."""
    return f"{name}-{_HERE}"


class Call(NamedTuple):
    """One line of the log: what happened, in which process, to which example, and when."""

    what: str
    pid: int
    example: int
    at: float


class App:
    """The user's code, in a folder, as the module `its_shared_app`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(HERE / "app.py", folder / "its_shared_app.py")

    def tell(self, **what: Any) -> None:
        """What it is to do: see there."""
        for name, value in what.items():
            (self.folder / name).write_text(json.dumps(value))

    def go(self) -> None:
        """Let the calls return that wait."""
        (self.folder / "go").touch()

    def log(self, *whats: str) -> list[Call]:
        file = self.folder / "log"
        lines = file.read_text().splitlines() if file.exists() else []
        calls = [Call(what, int(pid), int(example), float(at)) for what, pid, example, at in map(str.split, lines)]
        return [call for call in calls if call.what in whats]

    def pids(self) -> set[int]:
        """The processes that have made calls."""
        return {call.pid for call in self.log("begin", "begin-right", "begin-late")}

    def calls(self) -> Counter[int]:
        """How often the task was called, by example."""
        return Counter(call.example for call in self.log("begin"))

    def most_at_once(self, what: str) -> int:
        """How many calls were under way together at most, over all processes: they have one clock."""
        calls = sorted(self.log(f"begin{what}", f"end{what}"), key=lambda call: call.at)
        now = most = 0
        for call in calls:
            now += 1 if call.what.startswith("begin") else -1
            most = max(most, now)
        return most


def rows(examples: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"e{n}", "input": n, "output": 2 * n, **more} for n in range(examples)]


class Running(threading.Thread):
    """A call of the client's in a thread, beside which the test looks on.

    Attributes:
        error: what it raised.
        heard: how far it said that it was.
    """

    def __init__(self, function: Any, **arguments: Any) -> None:
        super().__init__(daemon=True)
        self._here = contextvars.copy_context()  # with the settings of Prefect's that the test has
        self._function, self._arguments = function, arguments
        self._given: Any = None
        self.error: BaseException | None = None
        self.heard: list[Progress] = []
        self.start()

    def run(self) -> None:
        self._here.run(self._run)

    def _run(self) -> None:
        try:
            with heard_by(self.heard.append):
                self._given = self._function(print_summary=False, **self._arguments)
        except BaseException as error:
            self.error = error

    def result(self) -> Any:
        self.join(PATIENCE_S)
        assert not self.is_alive(), "it hangs"
        if self.error is not None:
            raise self.error
        return self._given


class Driver:
    """A process that runs or resumes an experiment on workers."""

    def __init__(self, store_url: str, app: App, *how: str, **arguments: Any) -> None:
        self.output = app.folder / "output"
        environment = {
            **os.environ,
            "PREFECT_EXPERIMENTS_STORE_URL": store_url,
            "PYTHONPATH": os.pathsep.join([str(app.folder), *filter(None, sys.path)]),
        }
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(DRIVER), json.dumps(arguments), *how],
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def said(self) -> str:
        return self.output.read_text()


def living(pids: set[int]) -> set[int]:
    """Those of the processes that are there, zombies among them."""
    return {pid for pid in pids if psutil.pid_exists(pid)}


def children() -> set[int]:
    """The processes that this one has started, but for those that servers of tests run in."""
    found = psutil.Process().children(recursive=True)
    return {child.pid for child in found if "spawn_main" in " ".join(_command(child))}


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def gone(pids: set[int]) -> None:
    wait_for(lambda: not living(pids), "the end of the workers' processes")


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)


def runs_in_prefect(experiment: str) -> tuple[FlowRun, list[TaskRun]]:
    """The flow run of an experiment, and its task runs, once all of them have been told of."""
    flow = flow_run_of(experiment)

    def all_ended() -> list[TaskRun]:
        runs = task_runs_of(flow.id)
        return runs if all(run.state is not None and run.state.is_final() for run in runs) else []

    found = wait_for(all_ended, "the end of every task run")
    return flow_run_of(experiment), found
