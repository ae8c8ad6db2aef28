"""What is refused before anything is spent, because workers could not do it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import PrefectTaskRunner, TaskRunner, ThreadPoolTaskRunner

from prefect_experiments import Client
from prefect_experiments.errors import InvalidEvaluator, InvalidInput, InvalidSetting, InvalidTask
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.orchestration.workers.checks import check_workers

ROWS = [{"id": f"e{n}", "input": n} for n in range(4)]
calls: list[int] = []


def double(input: int) -> int:
    calls.append(input)
    return 2 * input


def right(input: int, output: int) -> bool:
    return output == 2 * input


class Elsewhere(TaskRunner[Any]):
    """A task runner of which it is not known where its workers are."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is to be submitted")

    def duplicate(self) -> Elsewhere:
        return self


def dask_with_address() -> Any:
    found = pytest.importorskip("prefect_dask", reason="the extra dask is not installed")
    return found.DaskTaskRunner(address="tcp://10.0.0.1:8786")


def ray_with_address() -> Any:
    found = pytest.importorskip("prefect_ray", reason="the extra ray is not installed")
    return found.RayTaskRunner(address="ray://10.0.0.1:10001")


ELSEWHERE = {"dask": dask_with_address, "ray": ray_with_address, "another": Elsewhere}


@pytest.fixture(autouse=True)
def nothing_is_called() -> Iterator[None]:
    calls.clear()
    yield
    assert not calls


def run(client: Client, **more: Any) -> None:
    given = {"dataset": ROWS, "task": double, "evaluators": [right], "print_summary": False, **more}
    client.experiments.run_experiment(**given)


@pytest.mark.parametrize("runner", ELSEWHERE)
def test_sqlite_where_workers_may_be_on_other_machines(client: Client, runner: str) -> None:
    with pytest.raises(InvalidSetting, match=r"PREFECT_EXPERIMENTS_STORE_URL.*PostgreSQL") as refused:
        run(client, task_runner=ELSEWHERE[runner]())
    assert "experiments.db" in str(refused.value)
    assert not client.experiments.list()


def test_it_is_refused_to_go_on_so_and_to_evaluate_so(client: Client) -> None:
    client.experiments.run_experiment(dataset=ROWS, task=double, print_summary=False)
    calls.clear()
    for call, more in ((client.experiments.resume_experiment, {}),
                       (client.experiments.evaluate_experiment, {"evaluators": [right]})):  # fmt: skip
        with pytest.raises(InvalidSetting, match="SQLite"):
            call(experiment="latest", task_runner=Elsewhere(), print_summary=False, **more)
    assert not client.experiments.get_results(experiment="latest").evaluation_runs


@pytest.mark.parametrize("runner", ["processes", ThreadPoolTaskRunner()])
def test_a_store_in_memory(runner: Any) -> None:
    with pytest.raises(InvalidSetting, match="in the memory of this process"):
        run(Client(store_url="sqlite://"), task_runner=runner)


def test_the_queue_of_prefect(client: Client) -> None:
    with pytest.raises(InvalidSetting, match=r"PrefectTaskRunner\(\) cannot be used.*not delivered"):
        run(client, task_runner=PrefectTaskRunner())


@pytest.fixture
def team(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", postgres_url)
    return Client()


def test_what_has_no_reference_where_workers_may_be_on_other_machines(team: Client) -> None:
    with pytest.raises(InvalidTask, match=r"has no reference.*'package.module:name'"):
        run(team, task=lambda number: number, task_runner=Elsewhere())
    with pytest.raises(InvalidEvaluator, match="'judge' has no reference"):
        run(team, evaluators={"judge": lambda output: True}, task_runner=Elsewhere())
    assert not team.experiments.list()


def test_a_temporary_server_where_workers_may_be_on_other_machines(
    team: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL")
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(InvalidSetting) as refused,
    ):
        run(team, task_runner=Elsewhere())
    assert "() may have workers on other machines, which do not reach the temporary Prefect server that " in str(
        refused.value
    )
    assert "; set PREFECT_API_URL, here and for every worker, to a server that all of them reach" in str(refused.value)


def test_a_backend_whose_settings_are_not_the_workers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARIZE_API_KEY", raising=False)
    plan = plan_new(RunArguments(dataset=ROWS, task=double, evaluators=[right], task_runner="processes"), client)
    backend = Client(backend="arize", api_key="k", store_url="sqlite://")
    with pytest.raises(InvalidSetting) as refused:
        check_workers(replace(plan, backend="arize", remote=backend.remote))
    told = "workers find the backend by this process's settings, and not by what was passed to a client: Arize AX needs"
    assert str(refused.value).startswith(told)


def test_a_password_that_only_this_process_knows(postgres_url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"not told the password.*PREFECT_EXPERIMENTS_STORE_URL") as refused:
        run(Client(store_url=postgres_url), task_runner="processes")
    assert "s3cret" not in str(refused.value)


def test_what_cannot_be_sent(client: Client) -> None:
    lock = threading.Lock()

    def locked(input: int) -> int:
        with lock:
            return double(input)

    with pytest.raises(InvalidInput, match="'locked' cannot be sent to another process"):
        run(client, task=locked, task_runner="processes")
    assert not client.experiments.list()


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("extra", ["dask", "ray"])
def test_an_extra_that_is_not_installed(extra: str, store_url: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules['prefect_{extra}'] = None\n"
        "from prefect_experiments import run_experiment\n"
        f"run_experiment(dataset=[{{'input': 1}}], task=print, task_runner='{extra}')\n"
    )
    environment = {**os.environ, "PREFECT_EXPERIMENTS_STORE_URL": store_url}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    said = f"task_runner='{extra}' needs prefect-{extra}: pip install 'prefect-experiments[{extra}]'"
    assert said in done.stderr
    assert done.returncode
