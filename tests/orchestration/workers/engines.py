"""What the tests of Dask and Ray share: an experiment on an engine in which processes are killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect_experiments import Client
from support.patience import wait_for
from tests.orchestration.workers.harness import App, Driver, Running, gone, kill, rows, runs_in_prefect

EXAMPLES, CONCURRENCY = 60, 4


def shared(task_runner: Any) -> dict[str, Any]:
    return {
        "task": "its_shared_app:double",
        "evaluators": ["its_shared_app:right"],
        "task_runner": task_runner,
        "workers": 2,
        "concurrency": CONCURRENCY,
    }


def is_whole(ran: Any, examples: int = EXAMPLES) -> None:
    """Whether everything is there, once."""
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(examples)]
    evaluations = sorted((e.run_id, e.name) for e in ran.evaluation_runs)
    assert evaluations == sorted((run.id, "right") for run in ran.task_runs)


def until_kept(client: Client, app: App) -> None:
    """What has returned is in the store."""
    runs = client.experiments.list_runs
    wait_for(lambda: len(runs(experiment="latest", all=True)) == len(app.log("end")), "what has returned to be kept")


def ended_well(experiment: str) -> list[str]:
    """Whether an experiment's flow run is `Completed`, and every task run of it has ended; their states."""
    flow, tasks = runs_in_prefect(experiment)
    assert flow.state_name == "Completed", flow.state
    assert len([run for run in tasks if run.name.startswith("run ")]) > 1
    return sorted({run.state_name or "" for run in tasks})


def check_that_a_worker_is_killed(task_runner: Any, client: Client, app: App, experiment: str) -> None:
    app.tell(wait=20)
    experiment = f"{experiment}-{os.getpid()}"  # the server may have been there for an earlier run of the tests
    call = client.experiments.run_experiment
    running = Running(call, dataset=rows(EXAMPLES), experiment_name=experiment, **shared(task_runner))
    wait_for(lambda: not running.is_alive() or len(app.log("begin")) - len(app.log("end")) == CONCURRENCY)
    if not running.is_alive():
        running.result()
    first = app.pids()
    assert len(first) == 2
    until_kept(client, app)
    had = [call.example for call in app.log("begin") if call.pid == min(first)]
    returned = {call.example for call in app.log("end") if call.pid == min(first)}
    kill(min(first))
    app.go()
    is_whole(running.result())
    lost = set(had) - returned
    assert len(lost) == CONCURRENCY // 2
    again = {example for example, times in app.calls().items() if times > 1}
    assert again == lost, app.log("begin")
    assert sum(app.calls().values()) == EXAMPLES + len(lost)
    assert set(ended_well(experiment)) <= {"Completed", "Crashed"}
    if isinstance(task_runner, str):  # a cluster of the caller's own stays
        gone(app.pids())


def check_that_the_driver_is_killed(task_runner: str, store_url: str, client: Client, app: App) -> None:
    app.tell(wait=20)
    driver = Driver(store_url, app, dataset=rows(EXAMPLES), **shared(task_runner))
    wait_for(lambda: driver.process.poll() is not None or len(app.log("begin")) - len(app.log("end")) == CONCURRENCY)
    assert driver.process.poll() is None, driver.said()
    until_kept(client, app)
    kill(driver.process.pid)
    driver.wait()
    gone(app.pids())  # though nothing returns of what they called
    before = sum(app.calls().values())
    finished = {run.example_id for run in client.experiments.list_runs(experiment="latest", all=True)}
    assert len(finished) == before - CONCURRENCY
    app.go()
    assert Driver(store_url, app, "resume", task_runner=task_runner, workers=2).wait() == 0, driver.said()
    assert sum(app.calls().values()) == EXAMPLES + CONCURRENCY
    is_whole(client.experiments.get_results(experiment="latest"))
    gone(app.pids())


OF_THE_SCRIPT = """
import sys
from prefect_experiments import run_experiment

FACTOR = 3

def thrice(input):
    return input * FACTOR

def at_least(least):
    def judge(output):
        return output >= least
    return judge

if __name__ == "__main__":
    ran = run_experiment(
        dataset=[{"id": f"e{n}", "input": n} for n in range(30)], task=thrice, print_summary=False, workers=2,
        evaluators={"enough": at_least(0), "odd": lambda output: output % 2 == 1}, task_runner=sys.argv[1],
    )
    print("GOT", [run.output for run in ran.task_runs] == [3 * n for n in range(30)], ran.evaluated,
          ran.summary.metrics["odd"].mean, ran.summary.metrics["enough"].mean)
"""


def check_what_is_defined_in_the_script(task_runner: str, store_url: str, folder: Path) -> None:
    script = folder / "script.py"
    script.write_text(OF_THE_SCRIPT)
    environment = {**os.environ, "PREFECT_EXPERIMENTS_STORE_URL": store_url}
    said = subprocess.run(
        [sys.executable, str(script), task_runner], capture_output=True, text=True, env=environment, check=False
    )
    assert "GOT True 60 0.5 1.0" in said.stdout, said.stderr
    assert not {"distributed.worker", "distributed.scheduler", "distributed.nanny"} & set(
        re.findall(r"[\w.]+", said.stderr)
    )
    assert "authentication" not in said.stdout + said.stderr
