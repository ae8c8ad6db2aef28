"""Processes that are killed while they share an experiment: nothing lost, at most what was under way is made again."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import ExperimentStopped, WorkersLost
from support.patience import wait_for
from tests.orchestration.workers.harness import (
    App,
    Driver,
    Running,
    called,
    children,
    gone,
    kill,
    living,
    rows,
    runs_in_prefect,
)

EXAMPLES, CONCURRENCY = 60, 4
SHARED = {
    "task": "its_shared_app:double",
    "evaluators": ["its_shared_app:right"],
    "task_runner": "processes",
    "workers": 2,
    "concurrency": CONCURRENCY,
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "its_shared_app", raising=False)
    monkeypatch.setenv("DRIVER", str(os.getpid()))
    return App(tmp_path)


def is_whole(ran: Any, examples: int = EXAMPLES) -> None:
    """Whether everything is there, once."""
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(examples)]
    evaluations = sorted((e.run_id, e.name) for e in ran.evaluation_runs)
    assert evaluations == sorted((run.id, "right") for run in ran.task_runs)


@pytest.mark.slow
def test_a_worker_is_killed_and_then_all_of_them(client: Client, app: App) -> None:
    app.tell(wait=20)
    running = Running(
        client.experiments.run_experiment, dataset=rows(EXAMPLES), experiment_name=called("killed"), **SHARED
    )
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == CONCURRENCY, "as many calls as there may be")
    first = app.pids()
    assert len(first) == 2
    wait_for(lambda: any(0 < progress.runs < EXAMPLES for progress in running.heard), "how far they are")
    kill(min(first))
    wait_for(lambda: len(app.pids()) == 3 or not running.is_alive(), "the one that takes its place")
    for pid in living(app.pids()):
        kill(pid)
    app.go()
    ran = running.result()
    is_whole(ran)
    assert len(app.pids()) == 5
    assert sum(app.calls().values()) <= EXAMPLES + 2 * CONCURRENCY
    assert max(app.calls().values()) <= 3
    last = running.heard[-1]
    assert (last.runs, last.run_errors, last.evaluations) == (EXAMPLES, 0, EXAMPLES)
    flow, tasks = runs_in_prefect(called("killed"))
    assert flow.state_name == "Completed"
    assert f"Ran {EXAMPLES}; 0 of {EXAMPLES} failed" in str(flow.state and flow.state.message)
    states = sorted(run.state_name or "" for run in tasks if run.name.startswith("worker"))
    assert states == ["Completed", "Completed", "Crashed", "Crashed", "Crashed"]
    gone(app.pids())
    assert not children()


@pytest.mark.slow
def test_the_driver_is_killed(store_url: str, client: Client, app: App) -> None:
    app.tell(wait=20)
    driver = Driver(store_url, app, dataset=rows(EXAMPLES), **SHARED)
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == CONCURRENCY, "as many calls as there may be")
    kill(driver.process.pid)
    driver.wait()
    gone(app.pids())  # though nothing returns of what they called
    finished = {run.example_id for run in client.experiments.list_runs(experiment="latest", all=True)}
    before = sum(app.calls().values())
    assert len(finished) == before - CONCURRENCY
    app.go()
    assert Driver(store_url, app, "resume", task_runner="processes", workers=2).wait() == 0, driver.said()
    assert sum(app.calls().values()) == EXAMPLES + CONCURRENCY
    is_whole(client.experiments.get_results(experiment="latest"))
    gone(app.pids())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_is_asked_to_end(client: Client, app: App, number: int) -> None:
    app.tell(wait=20)
    running = Running(client.experiments.run_experiment, dataset=rows(EXAMPLES), **SHARED)
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == CONCURRENCY, "as many calls as there may be")
    kill(min(app.pids()), number)
    app.go()
    is_whole(running.result())
    assert sum(app.calls().values()) <= EXAMPLES + CONCURRENCY
    gone(app.pids())


@pytest.mark.slow
def test_a_worker_stands_still_for_longer_than_its_lease(client: Client, app: App) -> None:
    app.tell(wait=20)
    running = Running(client.experiments.run_experiment, dataset=rows(EXAMPLES), **SHARED)
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == CONCURRENCY, "as many calls as there may be")
    still, other = sorted(app.pids())
    had = {call.example for call in app.log("begin") if call.pid == still}
    had -= {call.example for call in app.log("end")}
    kill(still, signal.SIGSTOP)
    app.go()
    wait_for(lambda: had <= {call.example for call in app.log("begin") if call.pid == other}, "the other one")
    kill(still, signal.SIGCONT)
    is_whole(running.result())
    assert sum(app.calls().values()) == EXAMPLES + len(had)
    gone(app.pids())


@pytest.mark.slow
def test_a_worker_that_stands_still_for_ever_is_not_waited_for(client: Client, app: App) -> None:
    app.tell(wait=20)
    running = Running(
        client.experiments.run_experiment, dataset=rows(EXAMPLES), experiment_name=called("still"), **SHARED
    )
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == CONCURRENCY, "as many calls as there may be")
    kill(min(app.pids()), signal.SIGSTOP)
    app.go()
    is_whole(running.result())
    gone(app.pids())
    flow, tasks = runs_in_prefect(called("still"))
    assert flow.state_name == "Completed"
    assert [run.state_name for run in tasks if run.name.startswith("worker")].count("Crashed") == 1


@pytest.mark.slow
def test_workers_that_die_when_they_start(client: Client, app: App) -> None:
    app.tell(dies=True)
    with pytest.raises(WorkersLost) as lost:
        Running(
            client.experiments.run_experiment, dataset=rows(EXAMPLES), experiment_name=called("dies"), **SHARED
        ).result()
    assert "ended 3 times before anything was done" in str(lost.value)
    assert "and resume the experiment" in str(lost.value)
    assert not app.log("begin")
    flow, _ = runs_in_prefect(called("dies"))
    assert flow.state_name == "Failed"
    assert not children()


@pytest.mark.slow
def test_an_example_that_kills_its_process(client: Client, app: App) -> None:
    app.tell(poison=33)
    with pytest.raises(WorkersLost) as lost:
        Running(
            client.experiments.run_experiment, dataset=rows(EXAMPLES), experiment_name=called("poison"), **SHARED
        ).result()
    assert "e33" in str(lost.value)  # which it may have been
    assert app.calls()[33] <= 4
    finished = client.experiments.list_runs(experiment="latest", all=True)
    assert len(finished) > EXAMPLES // 2
    assert "e33" not in {run.example_id for run in finished}
    flow, _ = runs_in_prefect(called("poison"))
    assert flow.state_name == "Failed"
    assert not children()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_driver_is_interrupted(store_url: str, client: Client, app: App, number: int) -> None:
    app.tell(wait=20)
    driver = Driver(store_url, app, dataset=rows(EXAMPLES), experiment_name=called(f"off{number}"), **SHARED)
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == CONCURRENCY, "as many calls as there may be")
    driver.process.send_signal(number)
    assert driver.wait() != 0
    gone(app.pids())
    flow, _ = runs_in_prefect(called(f"off{number}"))
    assert flow.state_name in ("Crashed", "Cancelled", "Failed")
    app.go()
    assert Driver(store_url, app, "resume", task_runner="processes", workers=2).wait() == 0
    is_whole(client.experiments.get_results(experiment="latest"))
    assert sum(app.calls().values()) == EXAMPLES + CONCURRENCY


@pytest.mark.slow
def test_all_processes_of_a_terminal_are_interrupted(store_url: str, client: Client, app: App) -> None:
    app.tell(wait=20)
    driver = Driver(store_url, app, dataset=rows(EXAMPLES), experiment_name=called("ctrl-c"), **SHARED)
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == CONCURRENCY, "as many calls as there may be")
    os.killpg(driver.process.pid, signal.SIGINT)
    assert driver.wait() != 0
    gone(app.pids())
    said = driver.said()
    assert "KeyboardInterrupt" in said
    assert said.count("Traceback") <= 1
    runs_in_prefect(called("ctrl-c"))


@pytest.mark.slow
def test_the_first_error_stops_all_workers(client: Client, app: App) -> None:
    app.tell(fail=[25], seconds=0.1)
    with pytest.raises(ExperimentStopped) as stopped:
        Running(
            client.experiments.run_experiment,
            dataset=rows(200),
            experiment_name=called("first error"),
            exit_on_error=True,
            retries=0,
            **SHARED,
        ).result()
    assert "e25" in str(stopped.value)
    assert "not 25" in str(stopped.value)
    calls = len(app.log("begin"))
    assert calls < 200
    flow, _ = runs_in_prefect(called("first error"))
    assert flow.state_name == "Failed"
    gone(app.pids())
    assert len(app.log("begin")) == calls
