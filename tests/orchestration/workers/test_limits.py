"""What holds for all workers together, and what goes on where something that they need is away."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client
from prefect_experiments.errors import BudgetSpent, InvalidSetting
from support.environment import without_prefect
from support.patience import wait_for
from support.postgres import PASSWORD, PostgresServer, database_name
from support.prefect_gate import Gate
from tests.orchestration.workers.harness import App, Driver, Running, called, children, gone, rows, runs_in_prefect
from tests.pixie_datasets.projects import dataset as pixie_dataset
from tests.pixie_datasets.projects import entry, log_of, processes_of, project

EXAMPLES = 40
SHARED: dict[str, Any] = {
    "task": "its_shared_app:double",
    "evaluators": ["its_shared_app:right"],
    "task_runner": "processes",
    "workers": 2,
    "concurrency": 4,
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "its_shared_app", raising=False)
    monkeypatch.setenv("DRIVER", str(os.getpid()))
    return App(tmp_path)


@pytest.mark.slow
def test_a_budget_holds_for_both(client: Client, app: App) -> None:
    """Each tells the other what it has spent once a second."""
    app.tell(seconds=0.3, cost=0.01)
    with pytest.raises(BudgetSpent, match="budget") as spent:
        Running(
            client.experiments.run_experiment,
            dataset=rows(200),
            budget=0.5,
            experiment_name=called("paid"),
            **SHARED,
        ).result()
    assert f"resume {spent.value.experiment_id} --budget DOLLARS" in str(spent.value)
    made = len(app.log("begin"))
    assert 50 <= made <= 50 + 4 + 4 * 5  # what is under way, and what begins in the second
    kept = client.experiments.get_results(experiment=spent.value.experiment_id)
    assert kept.summary.total_cost == pytest.approx(made * 0.01)
    flow, tasks = runs_in_prefect(called("paid"))
    assert flow.state_name == "Failed"
    assert "BudgetSpent" in {run.state_name for run in tasks if run.name.startswith("worker ")}
    assert "Failed" not in {run.state_name for run in tasks}
    gone(app.pids())


REFUSING = """
import os, pathlib, time
HERE = pathlib.Path(__file__).parent
PAUSE_S = 20.0

class RateLimitError(Exception):
    retry_after = PAUSE_S

def answer(input):
    with (HERE / "calls").open("a") as calls:
        calls.write(f"{os.getpid()} {time.monotonic()}\\n")
    time.sleep(0.1)
    pids = {line.split()[0] for line in (HERE / "calls").read_text().splitlines()}
    if len(pids) == 2 and not (HERE / "refused").exists():  # both are at work
        try:
            with (HERE / "refused").open("x") as refused:
                refused.write(str(time.monotonic()))
        except FileExistsError:
            pass
        else:
            raise RateLimitError("slow down")
    return input
"""


@pytest.mark.slow
def test_what_one_is_told_to_wait_all_wait(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call of one worker is refused; the other worker, whose calls were not, starts none within the pause."""
    (tmp_path / "its_refusing_app.py").write_text(REFUSING)
    monkeypatch.syspath_prepend(str(tmp_path))
    ran = client.experiments.run_experiment(
        dataset=rows(600),
        task="its_refusing_app:answer",
        task_runner="processes",
        concurrency=4,
        print_summary=False,
    )
    assert not ran.summary.n_errors
    refused = float((tmp_path / "refused").read_text())
    began = [float(line.split()[1]) - refused for line in (tmp_path / "calls").read_text().splitlines()]
    assert any(moment > 20 for moment in began)
    # It is heard of within two rounds of a second; on a busy machine it may take longer.
    assert not [moment for moment in began if 10 < moment < 19.5]


@pytest.mark.slow
def test_a_pixie_dataset_is_set_up_once_a_worker(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXIE_NO_TELEMETRY", "1")
    root, messages = project(tmp_path), [f"m{number}" for number in range(24)]
    ran = client.experiments.run_experiment(
        dataset=pixie_dataset(root, map(entry, messages)),
        concurrency=6,
        batch_size=3,
        task_runner="processes",
        print_summary=False,
    )
    assert {run.example_id: run.output for run in ran.task_runs} == {
        message: {"reply": f"{message} for p-{message}"} for message in messages
    }
    log = Counter(log_of(root))
    # On a busy machine one may come when the other has done everything.
    used = len(processes_of(root))
    assert used in (1, 2)
    assert [log[what] for what in ("create", "setup", "teardown")] == [used] * 3
    assert str(os.getpid()) not in processes_of(root)
    assert {what: times for what, times in log.items() if what.startswith("run:")} == {f"run:{m}": 1 for m in messages}


@pytest.mark.slow
def test_every_run_has_its_trace(app: App, phoenix_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PHOENIX_COLLECTOR_ENDPOINT", phoenix_url)
    client = Client(store_url=f"sqlite:///{tmp_path / 'traced.db'}", backend="phoenix")
    app.tell(cost=0.01)
    name = f"traced-{os.getpid()}-{int(time.time())}"
    dataset = client.datasets.create(name=name, examples=rows(EXAMPLES))
    arguments: dict[str, Any] = {"dataset": dataset, "print_summary": False, **SHARED}
    alone = client.experiments.run_experiment(**arguments | {"task_runner": None})
    ran = client.experiments.run_experiment(**arguments)
    assert not alone.summary.n_errors, [run.error for run in alone.task_runs][:2]
    traces = {run.trace_id for run in ran.task_runs}
    assert None not in traces
    assert len(traces) == EXAMPLES
    assert ran.summary.total_cost == alone.summary.total_cost is not None
    project_name = client.store.links.of_remote(ran.experiment.id)
    assert project_name is not None
    assert project_name.project_name is not None

    def spans() -> set[str]:
        found = PhoenixClient(base_url=phoenix_url).spans.get_spans(
            project_identifier=str(project_name.project_name), limit=1000
        )
        return {span["context"]["trace_id"] for span in found}

    wait_for(lambda: traces <= spans(), "every trace in Phoenix")


@contextlib.contextmanager
def sqlite_away(path: str) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_store_is_away_for_a_while(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: contextlib.AbstractContextManager[None]
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'away.db'}"
        away = sqlite_away(str(tmp_path / "away.db"))
    else:
        url = request.getfixturevalue("postgres_url")
        away = postgres_away(request.getfixturevalue("postgres_server"), url)
    app.tell(wait=20)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", url)
    client = Client(store_url=url)
    running = Running(
        client.experiments.run_experiment, dataset=rows(EXAMPLES), experiment_name=called(f"away {kind}"), **SHARED
    )
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == 4, "as many calls as there may be")
    with away:
        app.go()
        time.sleep(12)
    ran = running.result()
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(EXAMPLES)]
    assert set(app.calls().values()) == {1}
    flow, tasks = runs_in_prefect(called(f"away {kind}"))
    assert {flow.state_name, *(run.state_name for run in tasks)} == {"Completed"}


@contextlib.contextmanager
def postgres_away(server: PostgresServer, url: str) -> Iterator[None]:
    server.execute(f"ALTER DATABASE {database_name(url)} ALLOW_CONNECTIONS false")
    server.disconnect_all(url)
    yield
    server.execute(f"ALTER DATABASE {database_name(url)} ALLOW_CONNECTIONS true")


def test_a_password_that_workers_would_not_find(postgres_url: str, app: App) -> None:
    with pytest.raises(InvalidSetting, match="Set PREFECT_EXPERIMENTS_STORE_URL to the URL that") as refused:
        Client(store_url=postgres_url).experiments.run_experiment(dataset=rows(3), print_summary=False, **SHARED)
    assert PASSWORD not in str(refused.value)
    assert not app.log("begin")


def test_a_store_in_memory_is_this_processs_alone(app: App) -> None:
    with pytest.raises(InvalidSetting, match="in the memory of this process"):
        Client(store_url="sqlite://").experiments.run_experiment(dataset=rows(3), print_summary=False, **SHARED)
    assert not app.log("begin")


@pytest.mark.slow
def test_no_secret_travels(postgres_url: str, app: App) -> None:
    """The password of the store is in the environment alone: not on a command line, nor in what Prefect is told."""
    app.tell(wait=10)
    driver = Driver(postgres_url, app, dataset=rows(20), experiment_name=called("secret"), **SHARED)
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == 4, "as many calls as there may be")
    family = [psutil.Process(driver.process.pid), *psutil.Process(driver.process.pid).children(recursive=True)]
    commands = "\n".join(" ".join(process.cmdline()) for process in family)
    app.go()
    assert driver.wait() == 0, driver.said()
    _, tasks = runs_in_prefect(called("secret"))
    told = "\n".join(run.model_dump_json() for run in tasks)
    for text in (commands, told, driver.said()):
        assert PASSWORD not in text
        assert "s3cret-pa" not in text


@pytest.mark.slow
@pytest.mark.parametrize("at", ["before", "middle"])
def test_prefects_server_is_away(
    at: str, prefect_api: str, store_url: str, app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", "2")
    app.tell(wait=10)
    with Gate(prefect_api) as gate:
        monkeypatch.setenv("PREFECT_API_URL", gate.api)
        if at == "before":
            gate.set("refuse")
        driver = Driver(store_url, app, dataset=rows(EXAMPLES), **SHARED)
        wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == 4, "as many calls as there may be")
        gate.set("refuse")
        app.go()
        assert driver.wait() == 0, driver.said()
    ran = client.experiments.get_results(experiment="latest")
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(EXAMPLES)]
    assert set(app.calls().values()) == {1}
    if at == "before":
        assert "There are no workers without Prefect's server" in driver.said()
        assert app.pids() == {driver.process.pid}


@pytest.mark.slow
def test_workers_use_the_temporary_server_of_the_driver(
    store_url: str, app: App, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in set(os.environ) - set(without_prefect(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    app.tell(wait=10)
    driver = Driver(store_url, app, dataset=rows(EXAMPLES), **SHARED)
    wait_for(lambda: len(app.log("begin")) - len(app.log("end")) == 4, "as many calls as there may be")
    family = psutil.Process(driver.process.pid).children(recursive=True)
    commands = [" ".join(process.cmdline()) for process in family]
    assert len([command for command in commands if "prefect.server.api.server:create_app" in command]) == 1, commands
    app.go()
    assert driver.wait() == 0, driver.said()
    ran = client.experiments.get_results(experiment="latest")
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(EXAMPLES)]


UNGUARDED = """
from prefect_experiments import run_experiment

def double(input):
    open("calls", "a").write("x")
    return input * 2

def go(**more):
    return run_experiment(dataset=[{"input": n} for n in range(4)], task=double, print_summary=False, **more)

HERE
"""
IN_PROCESSES = 'go(task_runner="processes")'
GUARDED = f'if __name__ == "__main__":\n    print({IN_PROCESSES}.ran)'
POOL = "from prefect.task_runners import ProcessPoolTaskRunner\ngo(task_runner=ProcessPoolTaskRunner())"


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("here", "line", "calls"),
    [
        (IN_PROCESSES, 11, 0),
        (f"if True:\n    {IN_PROCESSES}", 12, 0),
        (POOL, 12, 0),
        (f"go()\n{GUARDED}", 11, 4),  # what a worker would do again is the one before
        pytest.param(GUARDED, None, 4, marks=pytest.mark.slow),
    ],
)
def test_a_script_that_its_workers_would_run_again(
    store_url: str, tmp_path: Path, here: str, line: int | None, calls: int
) -> None:
    script = tmp_path / "evaluate.py"
    script.write_text(UNGUARDED.replace("HERE", here))
    environment = {**os.environ, "PREFECT_EXPERIMENTS_STORE_URL": store_url}
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, cwd=tmp_path)
    made = tmp_path / "calls"
    assert len(made.read_text() if made.exists() else "") == calls, ended.stderr
    if line is None:
        assert ended.stdout.strip() == "4", ended.stderr
    else:
        assert ended.returncode == 1
        assert f"put line {line}, and what else is not to be repeated, under `if __name__ ==" in ended.stderr


@pytest.mark.slow
def test_the_command_line(store_url: str, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows(EXAMPLES)))
    app.tell(wait=30)
    command = [sys.executable, "-m", "prefect_experiments.cli", "run", "rows.jsonl", "--task", "its_shared_app:double"]
    command += ["--task-runner", "processes", "--workers", "2", "--concurrency", "4"]
    environment = {**os.environ, "PREFECT_EXPERIMENTS_STORE_URL": store_url}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: process.poll() or len(app.log("begin")) - len(app.log("end")) == 4, "its calls")
    app.go()
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert f"Ran {EXAMPLES}; 0 of {EXAMPLES} failed" in out + err
    assert len(app.pids()) == 2
    gone(app.pids())
    assert not children()
