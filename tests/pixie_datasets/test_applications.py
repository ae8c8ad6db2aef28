"""The application of a pixie dataset as a task: its life, its arguments, and what becomes of entries that fail."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, arun_experiment, opening
from prefect_experiments.errors import ExperimentStopped, InvalidReference, InvalidTask
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.pixie import application
from prefect_experiments.pixie.examples import Entry
from prefect_experiments.sync import run_sync
from prefect_experiments.tasks import resolve_task
from support.patience import PATIENCE_S

from .projects import APP, MY_APP, dataset, entry, log_of, processes_of, project, task_of

MESSAGES = [f"m{number}" for number in range(20)]


def run(client: Client, root: Path, examples: Any, **options: Any) -> Any:
    options = {"dry_run": False, "retries": 0, "concurrency": 50, "print_summary": False} | options
    return client.experiments.run_experiment(dataset=dataset(root, examples), **options)


def outcomes(ran: Any) -> dict[str, Any]:
    return {run.example_id: run.output if run.error is None else run.error for run in ran.task_runs}


def test_a_runnable_lives_once_around_all_entries_on_one_loop(client: Client, tmp_path: Path) -> None:
    """Its semaphore, made by ``create()``, belongs to the loop: calls on others would hang."""
    root = project(tmp_path)
    ran = run(client, root, map(entry, MESSAGES))
    assert outcomes(ran) == {message: {"reply": f"{message} for p-{message}"} for message in MESSAGES}
    log = log_of(root)
    assert log[:2] == ["create", "setup"]
    assert log[-1] == "teardown"
    assert sorted(log[2:-1]) == sorted(f"run:{message}" for message in MESSAGES)


def test_as_a_dry_run(client: Client, tmp_path: Path) -> None:
    root = project(tmp_path)
    assert len(run(client, root, map(entry, MESSAGES), dry_run=3).task_runs) == 3
    log = log_of(root)
    assert (len(log), log.count("create"), log.count("setup"), log.count("teardown")) == (6, 1, 1, 1)


@pytest.mark.thorough
def test_the_experiment_knows_it_by_its_own_name_and_goes_on_with_it(client: Client, tmp_path: Path) -> None:
    ran = run(client, project(tmp_path), [entry("a"), entry("broken")])
    experiment = client.experiments.get(experiment=ran.experiment_id)
    assert experiment.name.startswith("App-")
    assert experiment.task == "App"
    project(tmp_path, my_app=MY_APP.replace('"broken"', '"whole"'))
    again = client.experiments.resume_experiment(experiment=ran.experiment_id, print_summary=False)
    assert outcomes(again)["broken"] == {"reply": "broken for p-broken"}
    assert [line for line in log_of(tmp_path) if line.startswith("run:")] == ["run:a", "run:broken", "run:broken"]


@pytest.mark.thorough
def test_entries_that_fail_or_hang_cost_nobody_else_anything(client: Client, tmp_path: Path) -> None:
    root = project(tmp_path, APP.replace("Semaphore(1)", "Semaphore(50)"))
    examples = [*map(entry, MESSAGES), entry("broken"), entry("hanging")]
    ran = run(client, root, examples, timeout=3)
    found = outcomes(ran)
    assert found.pop("broken") == "RuntimeError: no answer today"
    assert found.pop("hanging") == "TimeoutError: no answer within timeout=3 s"
    assert found == {message: {"reply": f"{message} for p-{message}"} for message in MESSAGES}
    project(tmp_path, my_app=MY_APP.replace('"broken"', '"whole"').replace('"hanging"', '"going"'))
    again = client.experiments.resume_experiment(experiment=ran.experiment_id, print_summary=False)
    assert again.summary.n_errors == 0
    log = log_of(root)
    second = log[log.index("create", 1) :]
    assert sorted(second) == ["create", "run:broken", "run:hanging", "setup", "teardown"]


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"massage": "a"}, "message: Field required"),
        ({"message": ["a"]}, "message: Input should be a valid string"),
        ({"message": "a", "times": "many"}, "times: Input should be a valid integer"),
        ({}, "message: Field required"),
    ],
)
def test_arguments_that_do_not_fit_are_that_entrys_error_at_once(
    client: Client, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    wrong = Entry(arguments=arguments).to_example("wrong")
    ran = run(client, project(tmp_path), [wrong, entry("a")], retries=5)
    failed, fine = ran.task_runs
    assert f"the entry's arguments are not what App.run(args: Args) takes: {said}" in failed.error
    assert failed.attempts == 1
    assert fine.error is None
    assert log_of(tmp_path).count("run:a") == 1


@pytest.mark.thorough
def test_a_setup_that_fails_is_the_experiments_end_and_its_teardown_is_called(client: Client, tmp_path: Path) -> None:
    broken = APP.replace('note("setup")', 'note("setup")\n        raise ConnectionError("no database")')
    root = project(tmp_path, broken)
    with pytest.raises(ExperimentStopped, match=r"lifespan of task 'App'.*no database") as stopped:
        run(client, root, map(entry, MESSAGES))
    assert log_of(root) == ["create", "setup", "teardown"]
    project(root)
    again = client.experiments.resume_experiment(experiment=stopped.value.experiment_id, print_summary=False)
    assert again.summary.n_runs == len(MESSAGES)


def test_a_failed_setup_is_what_is_said_and_not_the_teardown_of_what_it_did_not_make(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = APP.replace('note("setup")', 'raise RuntimeError("no database")')
    broken = broken.replace('note("teardown")', "await self.client.aclose()")
    with pytest.raises(ExperimentStopped, match=r"could not be entered \(RuntimeError\)") as stopped:
        run(client, project(tmp_path, broken), map(entry, MESSAGES))
    assert stopped.value.error == "RuntimeError: no database"
    assert "AttributeError" not in str(stopped.value)
    assert "App.teardown(), called after a failed setup(), failed." in caplog.text
    assert "'App' object has no attribute 'client'" in caplog.text


def test_a_hanging_teardown_after_a_failed_setup_does_not_hide_it(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CLOSE_WITHIN_S", 0.05)
    broken = APP.replace('note("setup")', 'raise RuntimeError("no database")')
    broken = broken.replace('note("teardown")', "await asyncio.Event().wait()")
    with pytest.raises(ExperimentStopped) as stopped:
        run(client, project(tmp_path, broken), map(entry, MESSAGES))
    assert stopped.value.error == "RuntimeError: no database"


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["create", "setup", "teardown"])
def test_what_is_waited_for_is_said(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """It lasts here until the log says so: a handler of the log lets it go on."""
    monkeypatch.setattr(opening, "SAY_EVERY_S", 0.01)
    go_on = tmp_path / "go-on"

    class Seen(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if f"Waiting for App.{method}() since " in record.getMessage():
                go_on.touch()
            return True

    caplog.handler.addFilter(Seen())
    slow = f'note("{method}")\n        while not pathlib.Path({str(go_on)!r}).exists():\n            time.sleep(0.005)'
    app = APP.replace(f'note("{method}")', slow).replace("import pathlib", "import pathlib, time")
    ran = run(client, project(tmp_path, app), map(entry, MESSAGES))
    assert ran.summary.n_errors == 0
    assert go_on.exists()


def test_a_teardown_that_hangs_costs_no_result(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CLOSE_WITHIN_S", 0.05)
    hanging = APP.replace('note("teardown")', "await asyncio.Event().wait()")
    ran = run(client, project(tmp_path, hanging), map(entry, MESSAGES))
    assert (ran.summary.n_runs, ran.summary.n_errors) == (len(MESSAGES), 0)
    assert "Leaving the lifespan of task 'App' took longer than 0.05 s" in caplog.text


def test_a_teardown_that_fails_costs_no_result(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = APP.replace('note("teardown")', 'note("teardown")\n        raise ConnectionError("no database")')
    ran = run(client, project(tmp_path, broken), map(entry, MESSAGES))
    assert (ran.summary.n_runs, ran.summary.n_errors) == (len(MESSAGES), 0)
    assert "no database" in caplog.text


def test_setup_and_teardown_may_be_missing(client: Client, tmp_path: Path) -> None:
    app = """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from pydantic import BaseModel
        if TYPE_CHECKING:
            from nowhere import Result

        class Args(BaseModel):
            message: str

        class App:
            @classmethod
            def create(cls): return cls()
            async def run(self, args: Args) -> Result:
                return {"said": args.message}
    """
    assert outcomes(run(client, project(tmp_path, app), [entry("a")])) == {"a": {"output": {"said": "a"}}}


STUBBORN = """
import asyncio, pathlib
from pydantic import BaseModel

LOG = pathlib.Path(__file__).with_name("log")

class Args(BaseModel):
    message: str

class App:
    in_flight = 0

    @classmethod
    def create(cls): return cls()

    async def run(self, args: Args):
        self.in_flight += 1
        try:
            for _ in range(args.message == "stubborn" and {times}):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass
        finally:
            self.in_flight -= 1

    async def teardown(self):
        LOG.write_text(f"{{self.in_flight}} in-flight")
"""


def test_a_call_that_outlives_its_timeout_is_waited_for_before_the_teardown(client: Client, tmp_path: Path) -> None:
    root = project(tmp_path, STUBBORN.format(times=2))
    ran = run(client, root, [entry("stubborn"), entry("a")], timeout=0.2)
    assert outcomes(ran)["stubborn"].startswith("TimeoutError")
    assert (root / "pixie_qa/scripts/log").read_text() == "0 in-flight"


@pytest.mark.thorough
def test_there_is_no_teardown_beside_a_call_that_cannot_be_ended(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("prefect_experiments.pixie.applications.STRAGGLERS_S", 0.1)
    root = project(tmp_path, STUBBORN.format(times=100))
    run(client, root, [entry("stubborn"), entry("a")], timeout=0.2)
    assert not (root / "pixie_qa/scripts/log").exists()
    assert "App.teardown() is not called: 1 calls of run() go on" in caplog.text


FUNCTIONS = """
import asyncio, contextvars, functools, threading

async def coroutine(arguments):
    await asyncio.sleep(0)
    return {"said": arguments["message"], "thread": threading.current_thread().name}

def plain(arguments):
    return {"said": arguments["message"], "thread": threading.current_thread().name}

around = lambda arguments: coroutine(arguments)

partial = functools.partial(lambda more, arguments: {"said": arguments["message"]}, None)

class Callable:
    def __init__(self, arguments=None):
        self.arguments = arguments
    def __call__(self, arguments):
        return {"said": arguments["message"]}
    async def method(self, arguments):
        return {"said": arguments["message"]}

instance = Callable()
NOTHING = 3
"""


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=3)
@pytest.mark.parametrize("name", ["coroutine", "instance", "partial", "plain", "around", "instance.method"])
def test_any_function_of_the_arguments(client: Client, tmp_path: Path, name: str) -> None:
    """None of them imports pixie."""
    root = project(tmp_path, FUNCTIONS)
    data = dataset(root, map(entry, MESSAGES), f"pixie_qa/scripts/run_app.py:{name}")
    ran = client.experiments.run_experiment(dataset=data, print_summary=False)
    outputs = [run.output["output"] for run in ran.task_runs]
    assert [output["said"] for output in outputs] == MESSAGES
    threads = {output.get("thread") for output in outputs}
    if name == "plain":
        assert threading.current_thread().name not in threads
        assert not any("loop" in thread for thread in threads)


BAD = """
from pydantic import BaseModel
class Args(BaseModel): ...
class Base:
    @classmethod
    def create(cls): return cls()
class Bare(Base):
    async def run(self, args): ...
class Other(Base):
    async def run(self, arguments: Args): ...
class Number(Base):
    async def run(self, args: int): ...
class Unknown(Base):
    async def run(self, args: "Nowhere"): ...
NOTHING = 3
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Bare", r"Bare\.run\(\) must have a type-annotated 'args' parameter"),
        ("Other", "must have a type-annotated 'args' parameter"),
        ("Number", "'args' must be a BaseModel subclass, got <class 'int'>"),
        ("Unknown", "its annotation args: 'Nowhere' cannot be read: name 'Nowhere' is not defined"),
        ("NOTHING", "runnable .* leads to a int, which cannot be called"),
    ],
)
def test_what_cannot_be_called_is_refused_before_anything_is_run(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InvalidTask, match=said):
        application(f"pixie_qa/scripts/run_app.py:{name}", str(project(tmp_path, BAD)))


def test_outside_an_experiment_it_lives_for_one_call(tmp_path: Path) -> None:
    task: Any = application("pixie_qa/scripts/run_app.py:App", str(project(tmp_path)))
    assert run_sync(lambda: task(entry("a"))) == {"reply": "a for p-a"}
    assert log_of(tmp_path) == ["create", "setup", "run:a", "teardown"]


@pytest.mark.thorough
def test_two_experiments_at_once_have_one_object_each(tmp_path: Path) -> None:
    import asyncio

    root = project(tmp_path)
    task = application("pixie_qa/scripts/run_app.py:App", str(root))
    examples = dataset(root, map(entry, MESSAGES)).examples

    async def both() -> Any:
        clients = [Client(store_url=f"sqlite:///{tmp_path / name}") for name in ("one.db", "two.db")]
        return await asyncio.gather(
            *(
                arun_experiment(dataset=examples, task=task, client=client, print_summary=False)  # type: ignore[arg-type]
                for client in clients
            )
        )

    assert [ran.summary.n_errors for ran in run_sync(both)] == [0, 0]
    log = log_of(root)
    assert [log.count(what) for what in ("create", "setup", "teardown")] == [2, 2, 2]


def test_the_reference_travels_as_json_and_pickled(tmp_path: Path) -> None:
    import pickle

    root = project(tmp_path / 'it\'s a "folder" (1): x.py')
    task = application("pixie_qa/scripts/run_app.py:App", str(root))
    found = resolve_task(task)
    assert found.reference == task_of(root)
    again = resolve_task(json.loads(json.dumps(found.reference)))
    assert (again.name, again.fingerprint) == (found.name, found.fingerprint)
    assert resolve_task(pickle.loads(pickle.dumps(task))).fingerprint == found.fingerprint


def test_what_the_project_lacks_is_said_when_a_travelled_reference_is_followed(tmp_path: Path) -> None:
    reference = task_of(project(tmp_path))
    (tmp_path / "pixie_qa/scripts/run_app.py").unlink()
    with pytest.raises(InvalidReference, match=r"there is no file .*run_app\.py"):
        resolve_task(reference)


ELSEWHERE = """
import sys
from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.experiment.steps import run_spec
from prefect_experiments.sync import run_sync
spec = ExperimentSpec.from_json(sys.stdin.read())
print(run_sync(lambda: run_spec(spec)).runs)
"""


@pytest.mark.thorough
def test_a_worker_process_has_an_object_of_its_own(client: Client, tmp_path: Path) -> None:
    root = project(tmp_path)
    work = RunWork(plan_new(RunArguments(dataset=dataset(root, map(entry, MESSAGES)), batch_size=3), client))
    work.load_dataset()
    spec = work.session.spec.to_json()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=spec, text=True, capture_output=True, cwd=elsewhere, timeout=PATIENCE_S
    )
    assert done.stdout.strip() == str(len(MESSAGES)), done.stderr
    log = log_of(root)
    assert [log.count(what) for what in ("create", "setup", "teardown")] == [1, 1, 1]
    assert len(log) == len(MESSAGES) + 3
    assert len(processes_of(root)) == 1
    assert str(os.getpid()) not in processes_of(root)


@pytest.mark.thorough
def test_killed_and_resumed(client: Client, store_url: str, tmp_path: Path) -> None:
    """Nothing that had finished runs again, and the object is set up once more."""
    halting = MY_APP.replace('"hanging"', '"m12"').replace("await asyncio.Event().wait()", "await asyncio.sleep(600)")
    root = project(tmp_path, my_app=halting)
    script = f"""
        from prefect_experiments import Client
        from pixie_datasets.projects import dataset, entry
        from pathlib import Path
        client = Client(store_url={store_url!r})
        examples = map(entry, {MESSAGES!r})
        data = dataset(Path({str(root)!r}), examples)
        client.experiments.run_experiment(dataset=data, concurrency=1, timeout=700, print_summary=False)
    """
    tests = Path(__file__).parents[1]
    path = os.pathsep.join(filter(None, [str(tests), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    log = root / "pixie_qa/scripts/log"
    while process.poll() is None and (not log.exists() or "run:m12" not in log.read_text()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL, errors
    project(root)
    ran = client.experiments.resume_experiment(experiment="latest", print_summary=False)
    assert outcomes(ran) == {message: {"reply": f"{message} for p-{message}"} for message in MESSAGES}
    log_ = log_of(root)
    second = log_[log_.index("create", 1) :]
    assert log_.count("teardown") == 1
    assert second[:2] + second[-1:] == ["create", "setup", "teardown"]
    assert [f"run:{message}" for message in MESSAGES[:12]] == log_[2:14]
    assert set(second[2:-1]) == {f"run:{message}" for message in MESSAGES[12:]}
