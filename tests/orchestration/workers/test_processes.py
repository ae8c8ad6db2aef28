"""Experiments that several processes share give what one process gives, and are shown as well."""

from __future__ import annotations

import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from prefect_experiments import Client, Sample
from prefect_experiments.errors import ExperimentStopped, InvalidInput
from prefect_experiments.experiment.counts import Progress
from prefect_experiments.experiment.progress import heard_by
from tests.orchestration.workers.harness import App, called, children, gone, rows, runs_in_prefect

EXAMPLES, REPETITIONS, FAIL = 40, 2, [7, 8, 33]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("app")
        patch.syspath_prepend(str(folder))
        patch.delitem(sys.modules, "its_shared_app", raising=False)
        patch.setenv("DRIVER", str(os.getpid()))
        yield App(folder)


@pytest.fixture
def fresh(app: App) -> App:
    """The same, with nothing logged or told."""
    for file in app.folder.glob("*"):
        if file.is_file() and file.suffix != ".py":
            file.unlink()
    return app


class Both:
    """One experiment, made by one process and by three workers."""

    def __init__(self, app: App, store_url: str) -> None:
        app.tell(fail=FAIL)
        self.name = f"shared-{uuid.uuid4().hex[:8]}"
        self.client = Client(store_url=store_url)
        dataset = self.client.datasets.create(
            name="numbers",
            examples=[{**row, "splits": ["odd" if row["input"] % 2 else "even"]} for row in rows(EXAMPLES)],
        )
        common: dict[str, Any] = {
            "dataset": dataset,
            "task": "its_shared_app:double",
            "evaluators": ["its_shared_app:right", "its_shared_app:half", "exact_match"],
            "repetitions": REPETITIONS,
            "concurrency": 4,
            "retries": 0,
            "print_summary": False,
        }
        self.alone = self.client.experiments.run_experiment(**common)
        (app.folder / "log").unlink()
        self.heard: list[Progress] = []
        with heard_by(self.heard.append):
            self.shared = self.client.experiments.run_experiment(
                task_runner="processes", workers=3, experiment_name=self.name, **common
            )
        self.most = app.most_at_once(""), app.most_at_once("-right")
        self.calls, self.pids, self.log = app.calls(), app.pids(), app.log("begin-right")


@pytest.fixture(scope="module")
def both(app: App, prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Both:
    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_LOGGING_LEVEL: "WARNING"}):
        return Both(app, f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}")


def outcomes(ran: Any) -> list[Any]:
    """All that does not depend on the clock, or on chance."""
    runs = [(run.example_id, run.repetition_number, run.output, run.error) for run in ran.task_runs]
    by_run = {run.id: (run.example_id, run.repetition_number) for run in ran.task_runs}
    evaluations = sorted(
        (*by_run[e.run_id], e.name, str(e.score), str(e.label), str(e.error), e.explanation or "")
        for e in ran.evaluation_runs
    )
    return [runs, evaluations]


def test_it_gives_what_one_process_gives(both: Both) -> None:
    assert outcomes(both.shared) == outcomes(both.alone)
    assert both.shared.summary.n_errors == both.alone.summary.n_errors == len(FAIL) * REPETITIONS
    kinds = [{name: (m.mean, m.n) for name, m in ran.summary.metrics.items()} for ran in (both.alone, both.shared)]
    assert kinds[0] == kinds[1]


def test_each_call_is_made_once_and_by_workers(both: Both) -> None:
    assert both.calls == Counter(dict.fromkeys(range(EXAMPLES), REPETITIONS))
    assert Counter(call.example for call in both.log) == Counter(
        {n: REPETITIONS for n in range(EXAMPLES) if n not in FAIL}
    )
    assert len(both.pids) in (1, 2, 3)  # on a busy machine the last may find nothing left to do
    assert os.getpid() not in both.pids


def test_no_more_calls_at_once_than_were_allowed(both: Both) -> None:
    task, evaluator = both.most
    assert task <= 4
    assert evaluator <= 4


def test_nothing_is_left_of_the_workers(both: Both) -> None:
    gone(both.pids)
    assert not children()


@pytest.mark.usefixtures("on_the_server")
def test_the_flow_run_shows_all_of_it(both: Both) -> None:
    flow, tasks = runs_in_prefect(both.name)
    calls = EXAMPLES * REPETITIONS
    assert flow.state_name == "Completed"
    assert f"Ran {calls}; {len(FAIL) * REPETITIONS} of {calls} failed" in str(flow.state and flow.state.message)
    assert {run.state_name for run in tasks} == {"Completed"}
    names = Counter(run.name.split()[0] for run in tasks)
    assert names["worker"] == 3
    assert names["run"] == names["evaluate"] > 3
    assert names["load"] == names["log"] == 1


def test_whoever_watches_sees_it_move(both: Both) -> None:
    calls = EXAMPLES * REPETITIONS
    last = both.heard[-1]
    assert (last.runs, last.runs_expected, last.run_errors) == (calls, calls, len(FAIL) * REPETITIONS)
    assert last.evaluations == last.evaluations_expected
    assert [progress.runs for progress in both.heard] == sorted(progress.runs for progress in both.heard)


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_server")
def test_half_done_alone_and_gone_on_with_together(fresh: App, client: Client) -> None:
    """And then evaluated by two with something new, of which the one process that leads makes nothing."""
    fresh.tell(fail=[20])
    with pytest.raises(ExperimentStopped):
        client.experiments.run_experiment(
            dataset=rows(EXAMPLES),
            task="its_shared_app:double",
            evaluators=["its_shared_app:half"],
            exit_on_error=True,
            concurrency=2,
            retries=0,
            print_summary=False,
        )
    done = {run.example_id for run in client.experiments.list_runs(experiment="latest", all=True) if run.status == "ok"}
    assert 10 < len(done) < EXAMPLES
    before = fresh.calls()
    fresh.tell(fail=[])
    workers: dict[str, Any] = {"task_runner": "processes", "workers": 2, "print_summary": False}
    ran = client.experiments.resume_experiment(experiment="latest", exit_on_error=False, **workers)
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(EXAMPLES)]
    again = fresh.calls() - before
    assert set(again.values()) == {1}
    assert {f"e{n}" for n in again} == {row["id"] for row in rows(EXAMPLES)} - done

    ran = client.experiments.evaluate_experiment(experiment="latest", evaluators=["its_shared_app:late"], **workers)
    assert sorted(call.example for call in fresh.log("begin-late")) == list(range(EXAMPLES))
    assert {call.pid for call in fresh.log("begin-late")} - {os.getpid()} == {c.pid for c in fresh.log("begin-late")}
    assert ran.summary.metrics["late"].n == EXAMPLES

    pids = fresh.pids()
    assert client.experiments.resume_experiment(experiment="latest", **workers).summary.n_errors == 0
    assert fresh.pids() == pids  # nothing is left to do: nobody is started
    gone(pids - {os.getpid()})


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_server")
@pytest.mark.parametrize(("examples", "concurrency"), [(20, 1), (1, 8)], ids=["concurrency", "dataset"])
def test_no_more_workers_than_can_work(fresh: App, client: Client, examples: int, concurrency: int) -> None:
    ran = client.experiments.run_experiment(
        dataset=rows(examples),
        task="its_shared_app:double",
        concurrency=concurrency,
        task_runner="processes",
        workers=3,
        print_summary=False,
        experiment_name=called(f"few-{examples}-{concurrency}"),
    )
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(examples)]
    assert len({call.pid for call in fresh.log("import")} - {os.getpid()}) == 1
    _, tasks = runs_in_prefect(called(f"few-{examples}-{concurrency}"))
    assert [run.name for run in tasks if run.name.startswith("worker")] == ["worker 1 of 1"]


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_server")
def test_a_split_a_sample_and_evaluators_for_some_examples(fresh: App, client: Client, both: Both) -> None:
    common: dict[str, Any] = {
        "dataset": "numbers",
        "task": "its_shared_app:double",
        "evaluators": ["exact_match"],
        "splits": "odd",
        "sample": Sample(n=8, seed=3),
        "print_summary": False,
    }
    ran = [both.client.experiments.run_experiment(**common, **more) for more in ({}, {"task_runner": "processes"})]
    assert outcomes(ran[0]) == outcomes(ran[1])
    assert len(ran[1].task_runs) == 8


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_server")
def test_what_is_written_where_it_is_called_travels(client: Client, tmp_path: Path) -> None:
    """Functions within functions, and lambdas: with what they hold."""
    file, more = tmp_path / "pids", 3

    def task(input: int) -> int:
        with file.open("a") as pids:
            pids.write(f"{os.getpid()}\n")
        return input + more

    ran = client.experiments.run_experiment(
        dataset=rows(20),
        task=task,
        evaluators={"odd": lambda output: output % 2 == 1},
        task_runner="processes",
        print_summary=False,
    )
    assert [run.output for run in ran.task_runs] == [n + 3 for n in range(20)]
    assert ran.summary.metrics["odd"].mean == 0.5
    assert str(os.getpid()) not in (tmp_path / "pids").read_text().split()


@pytest.mark.usefixtures("on_the_server")
def test_what_cannot_travel_is_said_before_anything_is_called(client: Client) -> None:
    import threading

    lock, calls = threading.Lock(), []

    def task(input: int) -> bool:
        calls.append(input)
        return lock.locked()

    with pytest.raises(InvalidInput, match=r"'task' cannot be sent to another process.*'package.module:name'"):
        client.experiments.run_experiment(
            dataset=rows(3),
            task=task,
            task_runner="processes",
            experiment_name=called("no pickle"),
            print_summary=False,
        )
    assert not calls
    assert not len(client.experiments.list())


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_server")
def test_a_file_as_a_reference(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "beside.py").write_text("MORE = 5\n")
    (folder / "mine.py").write_text("from beside import MORE\n\ndef task(input):\n    return input + MORE\n")
    ran = client.experiments.run_experiment(
        dataset=rows(12), task=f"{folder / 'mine.py'}:task", task_runner="processes", print_summary=False
    )
    assert [run.output for run in ran.task_runs] == [n + 5 for n in range(12)]


MISBEHAVING = """
import multiprocessing, os, subprocess, sys, logging

def square(x):
    return x * x

def task(input):
    kind = input % 6
    if kind == 0:
        print("printed by", input)
        print("and as an error", file=sys.stderr)
    elif kind == 1:
        logging.getLogger("its").warning("logged by %s", input)
    elif kind == 2:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    elif kind == 3:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(square, [input])[0] ** 0 * input
    elif kind == 4:
        os.chdir("/")
        os.environ["PREFECT_EXPERIMENTS_STORE_URL"] = "sqlite:////nowhere/at/all.db"
        os.environ.pop("PREFECT_API_URL", None)
    elif kind == 5:
        subprocess.run([sys.executable, "-c", "print(1)"], check=True, stdout=subprocess.DEVNULL)
    return input
"""


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_server")
def test_tasks_that_do_as_they_like(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "as_it_likes.py").write_text(MISBEHAVING)
    monkeypatch.syspath_prepend(str(tmp_path))
    ran = client.experiments.run_experiment(
        dataset=rows(36),
        task="as_it_likes:task",
        task_runner="processes",
        concurrency=4,
        print_summary=False,
        experiment_name=called("as they like"),
    )
    assert [(run.output, run.error) for run in ran.task_runs] == [(n, None) for n in range(36)]
    flow, tasks = runs_in_prefect(called("as they like"))
    assert {flow.state_name, *(run.state_name for run in tasks)} == {"Completed"}


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_server")
def test_code_that_is_limited_is_not_taken_pickled(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_REFERENCES", "its_shared_app")
    with pytest.raises(InvalidInput, match="pickled"):
        client.experiments.run_experiment(
            dataset=rows(3), task=lambda x: x, task_runner="processes", print_summary=False
        )
