"""What is said of workers that are flow runs of a deployment: with a Prefect server that is made up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State, WorkerStatus
from prefect.states import Completed, Crashed, Failed, Running

from prefect_experiments import Client
from prefect_experiments.errors import ExperimentsError, TransientError
from prefect_experiments.experiment.sharing import Part
from prefect_experiments.experiment.spec import CallableSpec, ExperimentSpec
from prefect_experiments.orchestration.patience import new_line
from prefect_experiments.orchestration.workers import deployments, ended, flow_runs
from prefect_experiments.orchestration.workers.deployments import DeploymentCrew, _Seen, _Watched
from prefect_experiments.orchestration.workers.ended import end_flow_run, end_runs_left_of
from prefect_experiments.orchestration.workers.flow_runs import cancel, check_deployment, why_late
from prefect_experiments.store.processes import Process
from support.patience import FOREVER_S

RUN = FlowRun.model_construct(id=uuid4(), name="worker 1", state=Running())


class Server:
    """Prefect's; of what it has not, an answer is a failure of the test."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.told: list[tuple[UUID, str | None]] = []

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Server]:
        yield self

    def __getattr__(self, name: str) -> Any:
        answer = self.answers[name]

        async def ask(*_: Any, **__: Any) -> Any:
            return answer() if callable(answer) else answer

        return ask

    async def set_flow_run_state(self, run_id: UUID, state: State[Any], force: bool = False) -> None:
        self.told.append((run_id, state.message))

    async def set_task_run_state(self, run_id: UUID, state: State[Any], force: bool = False) -> None:
        self.told.append((run_id, state.message))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Server]:
    def by(**answers: Any) -> Server:
        server = Server(**answers)
        for module in (flow_runs, ended):
            monkeypatch.setattr(module, "get_client", server.client)
        return server

    return by


def away() -> Any:
    raise httpx.ConnectError("refused")


ONLINE, OFFLINE = (SimpleNamespace(status=status) for status in (WorkerStatus.ONLINE, WorkerStatus.OFFLINE))


@pytest.mark.parametrize(
    ("pool", "is_paused", "workers", "why"),
    [
        (None, False, [], "It has no work pool: the process that serves it is to run"),
        ("evals", True, [ONLINE], "The work pool 'evals' (queue 'night') is paused: `prefect work-pool resume evals`"),
        (
            "evals",
            False,
            [OFFLINE],
            "No Prefect worker serves the work pool 'evals' (queue 'night'): `prefect worker start --pool evals`",
        ),
        (
            "evals",
            False,
            [ONLINE],
            "The work pool 'evals' (queue 'night') is served; see whether its limits leave room, and what its workers' "
            "logs say",
        ),
    ],
)
def test_why_flow_runs_do_not_start(
    pool: str | None, is_paused: bool, workers: list[Any], why: str, served: Callable[..., Server]
) -> None:
    served(read_work_pool=SimpleNamespace(is_paused=is_paused, is_push_pool=False), read_workers_for_work_pool=workers)
    deployment: Any = SimpleNamespace(work_pool_name=pool, work_queue_name="night")
    assert asyncio.run(why_late(deployment)) == why


def test_flow_runs_that_are_cancelled_say_why(served: Callable[..., Server]) -> None:
    server = served()
    asyncio.run(cancel([RUN.id]))
    assert server.told == [(RUN.id, "Its experiment has ended, or goes on elsewhere.")]


def test_a_deployment_that_nobody_can_be_asked_for(served: Callable[..., Server]) -> None:
    served(read_deployment_by_name=away)
    with pytest.raises(TransientError, match=r"^no worker of the deployment 'crew' can be had, and nothing was run: "):
        asyncio.run(check_deployment("deployment:crew"))


def test_a_worker_that_is_gone_is_shown_to_be(served: Callable[..., Server]) -> None:
    batch: Any = SimpleNamespace(id=uuid4(), task_inputs={})
    pages = iter([[batch], []])
    server = served(read_flow_run=RUN, read_task_runs=lambda: next(pages))
    asyncio.run(end_flow_run(RUN.id, "it was killed"))
    said = "The worker is gone (it was killed). What it had finished is kept, and the rest is done by another one."
    assert server.told == [(RUN.id, said), (batch.id, said)]


def test_what_a_gone_worker_has_begun_is_shown_to_be_over(
    served: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, "_TOLD_WITHIN_S", 0.0)
    monkeypatch.setattr(ended, "flow_run", SimpleNamespace(id=str(uuid4())))
    batch: Any = SimpleNamespace(id=uuid4(), task_inputs={})
    pages = iter([[batch], [], [batch], []])
    server = served(read_task_runs=lambda: next(pages))
    asyncio.run(end_runs_left_of([batch.id]))
    assert server.told == [(batch.id, "The process that had begun it is gone; what it had finished is kept.")]
    served(read_task_runs=away)
    with new_line() as line:
        asyncio.run(end_runs_left_of([batch.id]))
        assert line.missing == ["the end of what workers left that are gone"]


# What becomes of a flow run


def part_of(client: Client) -> Part:
    spec = ExperimentSpec(store=client.store.portable_url, experiment_id="exp-1", dataset_version_id="v")
    return Part(spec=spec, worker=1, workers=2, leader=Process.this().text)


def watched(client: Client, state: State[Any] | None, **facts: Any) -> _Watched:
    return _Watched(part_of(client), RUN, cast("Any", None), state=state, **facts)


NOTHING_NEW = _Seen(stopped=None, is_done=False, errors={}, at_work=set())


@pytest.mark.parametrize(
    ("state", "facts", "said"),
    [
        (Crashed(), {}, "WorkerGone: flow run 'worker 1' is Crashed: it says nothing more"),
        (
            Failed(message="no such module"),
            {},
            "WorkersLost: worker 1 of experiment exp-1 failed, and flow run 'worker 1' is Failed: no such module. What "
            "had finished is kept; go on with `prefect-experiments resume exp-1`",
        ),
        (
            Running(),
            {"has_begun": True, "left_at": 0.0},
            "WorkerGone: flow run 'worker 1' shows no sign of life",
        ),
    ],
    ids=["crashed", "failed", "silent"],
)
def test_how_a_flow_run_has_ended(state: State[Any], facts: dict[str, Any], said: str, client: Client) -> None:
    async def judged() -> BaseException | None:
        found = watched(client, state, **facts)
        found.judge(NOTHING_NEW)
        return found.ended.exception()

    error = asyncio.run(judged())
    assert f"{type(error).__name__}: {error}" == said


def asked_of(do: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], ExperimentsError | None]:
    """What Prefect's server was not told while something was done, and what that raised."""
    monkeypatch.setattr(deployments, "AGAIN_S", 0.01)

    async def run() -> ExperimentsError | None:
        try:
            await do()
        except ExperimentsError as error:
            return error
        return None

    with new_line() as line:
        error = asyncio.run(run())
        missing, line.missing = line.missing, []
    return missing, error


@pytest.fixture
def crew() -> DeploymentCrew:
    made = DeploymentCrew("crew")
    made._deployment = cast("Any", SimpleNamespace(id=uuid4(), work_pool_name="evals", work_queue_name=None))
    return made


def test_workers_that_cannot_be_looked_at_are_late_for_reasons_that_nobody_knows(
    crew: DeploymentCrew,
    client: Client,
    served: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    served(read_flow_runs=away, read_work_pool=away)
    monkeypatch.setattr(deployments, "LATE_S", -1.0)
    monkeypatch.setattr("prefect_experiments.orchestration.patience._ASKED_EVERY_S", 0.0)
    lease: Any = SimpleNamespace(is_left=lambda _: True)

    async def look() -> None:
        crew._watched[RUN.id] = _Watched(part_of(client), RUN, lease)
        await crew._look()
        monkeypatch.setattr(deployments, "ENDS_WITHIN_S", 0.0)
        await crew.let_go()

    served_by = served(read_flow_runs=away, read_work_pool=away)
    monkeypatch.setattr(served_by, "set_flow_run_state", lambda *_, **__: away())
    with caplog.at_level(logging.WARNING, "prefect_experiments"):
        missing, _ = asked_of(look, monkeypatch)
    assert missing == [
        "a look at the workers' flow runs",
        "why workers are late",
        "the end of workers' flow runs",
    ]
    assert caplog.messages == [
        "1 worker has not started for -1 s: waiting for flow runs 'worker 1' of the deployment 'crew'. "
        "it is not known why."
    ]


def test_flow_runs_that_end_by_themselves_are_not_cancelled(
    crew: DeploymentCrew, client: Client, served: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = served()
    monkeypatch.setattr(deployments, "ENDS_WITHIN_S", FOREVER_S)
    monkeypatch.setattr(deployments, "LOOK_S", 0.0)

    async def let_go() -> None:
        working = crew._watched[RUN.id] = watched(client, Running(), has_begun=True)
        letting = asyncio.create_task(crew.let_go())
        for _ in range(10):
            await asyncio.sleep(0)
        working.state = Completed()
        await letting

    assert asked_of(let_go, monkeypatch) == ([], None)
    assert server.told == []


def test_files_are_named_as_another_copy_of_the_folder_finds_them(
    crew: DeploymentCrew, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    part = part_of(client)
    references = (str(tmp_path / "app.py:answer"), "app.tasks:answer", None)
    for reference, there in zip(references, ("app.py:answer", "app.tasks:answer", None), strict=True):
        named = CallableSpec(name="answer", reference=reference, fingerprint=None)
        spec = part.spec.model_copy(update={"task": named, "evaluators": (named,)})
        told = Part.model_validate_json(crew.told(part.model_copy(update={"spec": spec})))
        assert told.spec.task is not None
        assert [one.reference for one in (told.spec.task, *told.spec.evaluators)] == [there, there]


def test_a_flow_run_that_cannot_be_made_is_asked_for_again(
    crew: DeploymentCrew, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def make(*_: Any, flow_run_name: str, **__: Any) -> FlowRun:
        asked.append(flow_run_name)
        return away() if len(asked) == 1 else RUN

    monkeypatch.setattr(deployments, "arun_deployment", make)
    missing, error = asked_of(lambda: crew._start(part_of(client), client.store), monkeypatch)
    assert (missing, error) == (["the flow run of worker 1"], None)
    assert asked == ["worker 1 of 2 of exp-1"] * 2


def test_a_worker_is_at_work_until_its_flow_run_has_ended(
    crew: DeploymentCrew, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make(*_: Any, **__: Any) -> FlowRun:
        return RUN

    async def work() -> None:
        working = asyncio.create_task(crew.work(part_of(client)))
        while RUN.id not in crew._watched:
            assert not working.done()
            await asyncio.sleep(0.01)
        crew._watched[RUN.id].ended.set_result(None)
        await working

    monkeypatch.setattr(deployments, "arun_deployment", make)
    assert asked_of(work, monkeypatch) == ([], None)


def test_flow_runs_of_an_earlier_leader_are_ended(
    crew: DeploymentCrew,
    client: Client,
    served: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found: Any = SimpleNamespace(id=uuid4(), parameter_openapi_schema={"properties": {"experiment": 1, "worker": 1}})
    server = served(read_deployment_by_name=found, read_flow_runs=[RUN])
    with caplog.at_level(logging.INFO, "prefect_experiments"):
        missing, error = asked_of(lambda: crew._begin(part_of(client)), monkeypatch)
    assert (missing, error, len(server.told)) == ([], None, 1)
    assert caplog.messages == ["Cancelling 1 flow run of workers that were started for this experiment before."]
    served(read_deployment_by_name=found, read_flow_runs=away)
    missing, _ = asked_of(lambda: crew._begin(part_of(client)), monkeypatch)
    assert missing == ["the end of flow runs that were workers of this experiment before"]
    served(read_deployment_by_name=away)
    _, error = asked_of(lambda: crew._begin(part_of(client)), monkeypatch)
    assert str(error).startswith("no worker of the deployment 'crew' can be had: Prefect's server at ")
