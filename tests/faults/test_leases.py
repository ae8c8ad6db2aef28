"""One experiment has one holder: of two processes that go on with it at once, one makes the calls."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import AlreadyExists, ExperimentInUse
from prefect_experiments.experiment import work as work_module
from prefect_experiments.experiment.arguments import EvaluateArguments, ResumeArguments, RunArguments
from prefect_experiments.experiment.request import plan_continued, plan_new
from prefect_experiments.experiment.steps import Steps, drive
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.store import experiments as experiments_module
from support.patience import PATIENCE_S, wait_for

AT_WORK = Path(__file__).with_name("at_work.py")
EXAMPLES, CONCURRENCY = 40, 4
ROWS = [{"id": f"e{number}", "input": number, "output": number} for number in range(EXAMPLES)]

APP = """
import os, pathlib, time
HERE = pathlib.Path(__file__).parent

def wait(input):
    with (HERE / "calls").open("a") as calls:
        calls.write(f"{os.getpid()} {input}\\n")
    while input >= 2 and not ((HERE / "go").exists() or (HERE / f"go {os.getpid()}").exists()):
        time.sleep(0.01)
    return input
"""


class Experiment:
    """An experiment that is begun, of which no call is made; its first two calls return, the others wait for `go`."""

    def __init__(self, store_url: str, folder: Path) -> None:
        (folder / "its_waiting_app.py").write_text(APP)
        self.store_url, self.folder, self.processes = store_url, folder, contextlib.ExitStack()
        self.client = Client(store_url=store_url)
        plan = plan_new(
            RunArguments(dataset=ROWS, task="its_waiting_app:wait", concurrency=CONCURRENCY, timeout=None), self.client
        )
        work = RunWork(plan)
        work.load_dataset()
        self.spec, self.id = work.session.spec.to_json(), work.record.experiment.id

    def start(self, *machine: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.folder), *sys.path]),
            "PREFECT_EXPERIMENTS_STORE_URL": self.store_url,  # with the password, which does not travel
        }
        process = subprocess.Popen(
            [sys.executable, str(AT_WORK), *machine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self.processes.callback(self.end, process)
        assert process.stdin
        process.stdin.write(self.spec)
        process.stdin.close()
        process.stdin = None
        return process

    @staticmethod
    def end(process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()

    def calls(self) -> list[tuple[int, int]]:
        """By which process, and for which example."""
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(int(process), int(example)) for process, example in map(str.split, lines)]

    def calls_of(self, process: subprocess.Popen[str]) -> int:
        return Counter(pid for pid, _ in self.calls())[process.pid]

    def started(self, *machine: str) -> subprocess.Popen[str]:
        """A process that has as many calls under way as it may."""
        process = self.start(*machine)
        wait_for(lambda: self.calls_of(process) == 2 + CONCURRENCY or process.poll() is not None, "its calls")
        assert process.poll() is None, process.communicate()
        return process

    def go(self, process: subprocess.Popen[str] | None = None) -> None:
        """Let the calls return that wait, those of all processes or of one."""
        (self.folder / (f"go {process.pid}" if process else "go")).touch()

    def finished(self) -> list[int]:
        runs, _ = Client(store_url=self.store_url).store.results.runs(self.id)
        return [int(run.output) for run in runs]


def said(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=PATIENCE_S)[0].strip()


@pytest.fixture
def experiment(any_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Experiment]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "its_waiting_app", raising=False)
    made = Experiment(any_store_url, tmp_path)
    with made.processes:
        yield made


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("machine", [[], ["another machine"]], ids=["here", "elsewhere"])
def test_two_processes_on_one_spec(experiment: Experiment, machine: list[str]) -> None:
    first = experiment.started(*machine)
    second = said(experiment.start())
    assert f"experiment {experiment.id} is held by process {first.pid} on " in second
    assert second.splitlines()[-1].startswith("ExperimentInUse: ")
    assert f"go on with `prefect-experiments resume {experiment.id}`" in second
    experiment.go()
    assert said(first) == f"done: {EXAMPLES} runs, 0 evaluations"
    assert said(experiment.start()) == "done: 0 runs, 0 evaluations"
    assert sorted(example for _, example in experiment.calls()) == list(range(EXAMPLES))


@pytest.mark.mostly_slow
def test_a_killed_holder_of_the_same_machine_is_followed_at_once(experiment: Experiment) -> None:
    first = experiment.started()
    first.send_signal(signal.SIGKILL)  # and it is not waited for: a zombie is no holder either
    second = experiment.start()
    experiment.go()
    assert said(second) == f"done: {EXAMPLES - 2} runs, 0 evaluations"  # no word of waiting
    assert len(experiment.calls()) == EXAMPLES + CONCURRENCY
    assert experiment.finished() == list(range(EXAMPLES))


@pytest.mark.thorough
@pytest.mark.mostly_slow
def test_a_killed_holder_of_another_machine_is_followed_after_a_time(experiment: Experiment) -> None:
    first = experiment.started("another machine")
    first.kill()
    second = experiment.start()
    experiment.go()
    told = said(second).splitlines()
    assert "of which it is not known whether it is alive: waiting for a sign of it" in told[0]
    assert told[1:] == [f"done: {EXAMPLES - 2} runs, 0 evaluations"]
    assert len(experiment.calls()) == EXAMPLES + CONCURRENCY


@pytest.mark.thorough
@pytest.mark.mostly_slow
def test_a_holder_that_stood_still_begins_nothing_more(experiment: Experiment) -> None:
    """As a laptop does whose lid is closed."""
    first = experiment.started()
    first.send_signal(signal.SIGSTOP)
    second = experiment.start()
    wait_for(lambda: experiment.calls_of(second) == CONCURRENCY or second.poll() is not None, "the second's calls")
    before = experiment.calls_of(first)
    experiment.go(first)
    first.send_signal(signal.SIGCONT)
    # The second is at its calls until the first has spoken: it would be "another process" once it has ended.
    told = said(first)
    experiment.go()
    # After what it may have said of a connection that stood still with it.
    assert f"\nExperimentInUse: experiment {experiment.id} was taken over by process {second.pid} " in f"\n{told}"
    assert experiment.calls_of(first) == before
    assert f"done: {EXAMPLES - 2} runs" in said(second)
    assert experiment.finished() == list(range(EXAMPLES))


@pytest.mark.thorough
@pytest.mark.mostly_slow
def test_a_holder_that_stood_still_finds_that_another_has_done_the_rest(experiment: Experiment) -> None:
    first = experiment.started()
    first.send_signal(signal.SIGSTOP)
    second = experiment.start()
    experiment.go()
    assert f"done: {EXAMPLES - 2} runs" in said(second)
    before = experiment.calls_of(first)
    first.send_signal(signal.SIGCONT)
    assert f"\nExperimentInUse: experiment {experiment.id} was taken over by another process " in f"\n{said(first)}"
    assert experiment.calls_of(first) == before
    assert experiment.finished() == list(range(EXAMPLES))


@pytest.mark.thorough
@pytest.mark.mostly_slow
def test_a_holder_that_stood_still_and_was_not_followed_goes_on(experiment: Experiment) -> None:
    first = experiment.started()
    first.send_signal(signal.SIGSTOP)
    asyncio.run(asyncio.sleep(1.5))  # longer than it is sure of its lease
    first.send_signal(signal.SIGCONT)
    experiment.go()
    # A database that was busy in between is mentioned.
    assert said(first).endswith(f"done: {EXAMPLES} runs, 0 evaluations")
    assert len(experiment.calls()) == EXAMPLES


@pytest.mark.thorough
@pytest.mark.mostly_slow
def test_the_experiment_is_deleted_while_a_holder_waits(experiment: Experiment) -> None:
    first = experiment.started()
    experiment.client.store.experiments.delete(experiment.id)
    first.send_signal(signal.SIGSTOP)
    asyncio.run(asyncio.sleep(1.5))
    first.send_signal(signal.SIGCONT)
    experiment.go()
    told = said(first).splitlines()[-1]
    assert told == f"NotFound: experiment {experiment.id} was deleted from the store while it ran"
    assert len(experiment.calls()) == 2 + CONCURRENCY


# Within one process, without Prefect


def as_it_is(input: int) -> int:
    return input


async def done(work: RunWork, key: str | None = None) -> RunWork:
    async with work.held(key):
        await drive(Steps(work))
    return work


def new_work(client: Client, task: Callable[..., object] = as_it_is, **given: object) -> RunWork:
    return RunWork(plan_new(RunArguments(dataset=ROWS, task=task, **given), client))  # type: ignore[arg-type]


@pytest.mark.parametrize("evaluates", [False, True], ids=["resumed", "evaluated"])
def test_two_at_once_in_one_process(any_store_url: str, evaluates: bool) -> None:
    client = Client(store_url=any_store_url)
    under_way, go, calls = asyncio.Event(), asyncio.Event(), []

    async def wait(input: int) -> int:
        calls.append(input)
        under_way.set()
        await go.wait()
        return input

    async def main() -> None:
        first = asyncio.create_task(done(new_work(client, wait)))
        await under_way.wait()
        [experiment] = client.experiments.list()
        arguments = (
            EvaluateArguments(experiment=experiment.id, evaluators=["exact_match"])
            if evaluates
            else ResumeArguments(experiment=experiment.id, task=wait)
        )
        with pytest.raises(ExperimentInUse, match=f"held by process {os.getpid()} on .* is alive: nothing was") as told:
            await done(RunWork(await asyncio.to_thread(plan_continued, arguments, client)))
        assert told.value.experiment_id == experiment.id
        go.set()
        await first
        await done(RunWork(await asyncio.to_thread(plan_continued, arguments, client)))

    asyncio.run(main())
    assert len(calls) == EXAMPLES


def test_a_lease_is_let_go_of_however_the_experiment_ends(any_store_url: str) -> None:
    client = Client(store_url=any_store_url)

    def fail(input: int) -> int:
        raise ValueError(input)

    with pytest.raises(Exception, match="exit_on_error"):
        asyncio.run(done(new_work(client, fail, exit_on_error=True, retries=0)))
    [experiment] = client.experiments.list()
    arguments = ResumeArguments(experiment=experiment.id, task=as_it_is)
    asyncio.run(done(RunWork(plan_continued(arguments, client))))
    assert len(client.store.results.finished_runs(experiment.id)) == EXAMPLES


def test_begun_and_claimed_at_once_or_not_at_all(any_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between the two left an experiment that nobody had asked for by that key."""
    client = Client(store_url=any_store_url)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(work_module, "claim", killed)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(done(new_work(client), "key"))
    assert len(client.experiments.list()) == 0
    monkeypatch.undo()
    asyncio.run(done(new_work(client), "key"))
    with pytest.raises(AlreadyExists):
        asyncio.run(done(new_work(client), "key"))
    assert len(client.experiments.list()) == 1


def test_what_a_kill_has_left_empty_is_not_the_latest(any_store_url: str) -> None:
    client = Client(store_url=any_store_url)
    new_work(client, experiment_name="empty").load_dataset()
    assert client.store.experiments.get("latest").experiment.name == "empty"  # there is no other
    asyncio.run(done(new_work(client, experiment_name="whole")))
    new_work(client, experiment_name="left").load_dataset()
    assert client.store.experiments.get("latest").experiment.name == "whole"
    left = plan_continued(ResumeArguments(experiment="latest", task=as_it_is), client)
    assert left.name == "left"  # whose runs are to be made
    asyncio.run(done(RunWork(left)))
    assert client.store.experiments.get("latest").experiment.name == "left"


def test_the_latest_is_the_one_that_was_made_last(any_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock says: it is set, and that of another machine differs."""
    client = Client(store_url=any_store_url)
    for number, moment in enumerate((2_000_000_000.0, 1_000_000_000.0, 1_500_000_000.0)):
        with monkeypatch.context() as patch:
            patch.setattr(experiments_module.time, "time", lambda moment=moment: moment)
            new_work(client, experiment_name=f"number {number}").load_dataset()
        assert client.store.experiments.get("latest").experiment.name == f"number {number}"
    names, cursor = [], None
    while True:
        found = client.experiments.list(limit=1, cursor=cursor)
        names += [experiment.name for experiment in found]
        cursor = found.pagination.next_cursor
        if cursor is None:
            break
    assert names == ["number 2", "number 1", "number 0"]
