"""Flow runs that Prefect runs again, and events that come twice: with flow runs and states made up, and no server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from prefect_experiments import Client, Gate
from prefect_experiments.analysis.verdicts import Verdict
from prefect_experiments.errors import AlreadyExists, AmbiguousName, ExperimentsError, NotFound
from prefect_experiments.experiment.compare import judging
from prefect_experiments.flows import deployment_evaluation as flow_module
from prefect_experiments.flows.deployment_evaluation import QUICK
from prefect_experiments.orchestration.deployed import recovery
from prefect_experiments.orchestration.deployed.recovery import MOST_LIVES, arun_for_flow_run, what_became_of
from tests.store.samples import new_experiment


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")


class Killed(BaseException):
    """What ends a life of a flow run."""


@flow
def evaluation() -> None:
    """What the flow runs are of."""


class Calls:
    """What a flow run asks for: one that is new is made in the store, and killed at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
        self.client = client
        self.run_id = uuid4()
        self.resumed: list[dict[str, Any]] = []
        monkeypatch.setattr(recovery, "arun_experiment", self._begin)
        monkeypatch.setattr(recovery, "aresume_experiment", self._resume)

    async def _begin(self, *, experiment_metadata: dict[str, Any], **_: Any) -> Any:
        new_experiment(self.client.store, name="under way", metadata=experiment_metadata)
        raise Killed

    async def _resume(self, **given: Any) -> Any:
        self.resumed.append(given)
        return "done"

    def live(self, number: int, **arguments: Any) -> Any:
        """The flow run's life of this number."""
        run = FlowRun.model_construct(id=self.run_id, name="run", flow_id=uuid4(), run_count=number, tags=[])

        async def lived() -> Any:
            with (
                temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
                FlowRunContext.model_construct(flow=evaluation, flow_run=run),
            ):
                return await arun_for_flow_run(dataset="dataset", client=self.client, **arguments)

        return asyncio.run(lived())


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, client: Client) -> Calls:
    return Calls(monkeypatch, client)


def begun(calls: Calls, **arguments: Any) -> None:
    """The flow run's first life, which ends by a kill."""
    with pytest.raises(Killed):
        calls.live(1, **arguments)


def test_a_second_life_is_compared_with_what_the_first_was(calls: Calls, client: Client) -> None:
    """What is the latest by then is another experiment, or the very one that is compared."""
    baseline = new_experiment(client.store, name="baseline").experiment.id
    begun(calls, baseline="latest")
    new_experiment(client.store, name="later")
    calls.live(2, baseline="latest")
    [resumed] = calls.resumed
    assert client.experiments.get(experiment=resumed["experiment"]).name == "under way"
    assert resumed["baseline"] == baseline


def test_a_flow_run_has_its_last_life_before_it_is_given_up(calls: Calls, said_in_flows: list[str]) -> None:
    begun(calls)
    assert calls.live(MOST_LIVES) == "done"
    going_on = f"Going on with experiment {calls.resumed[0]['experiment']}, which this flow run has begun before."
    assert said_in_flows == [going_on]
    with pytest.raises(ExperimentsError, match=rf"started {MOST_LIVES + 1} times .* not tried again"):
        calls.live(MOST_LIVES + 1)


@pytest.mark.parametrize(
    ("named", "found", "pooled"),
    [
        (None, None, 1),
        ("latest", None, 5),
        ("tag:best", None, 5),
        ("nights/last.csv", "nights/last.csv", 1),
        ("night", "{}", 5),
    ],
)
@pytest.mark.thorough
def test_what_a_baseline_leads_to_at_first_is_kept_to(
    calls: Calls, client: Client, named: str | None, found: str | None, pooled: int
) -> None:
    """A tag, or the latest, may lead nowhere yet; later it may lead to the very experiment that is compared."""
    baseline = "" if named == "latest" else new_experiment(client.store, name="night").experiment.id
    begun(calls, baseline=named, pooled=pooled)
    client.experiments.tag(experiment="under way", tag="best")
    calls.live(2, baseline=named, pooled=pooled)
    [resumed] = calls.resumed
    assert resumed["baseline"] == (found and found.format(baseline))
    assert resumed["pooled"] == (pooled if found else 1)
    assert resumed.get("first_run", False) == (named is not None and found is None)


@pytest.mark.parametrize("named", ["latest", "tag:baseline"])
def test_a_first_run_is_judged_alone_in_its_second_life_too(calls: Calls, client: Client, named: str) -> None:
    asked = {"baseline": named, "pooled": 5, "gate": {"metrics": {"exact_match": {"max_regression": 0.05}}}}
    begun(calls, **asked)
    calls.live(2, **asked)
    [resumed] = calls.resumed
    judged = {name: resumed[name] for name in ("baseline", "gate", "pooled", "first_run")}
    found = judging(store=client.store, remote=None, dataset="dataset", **judged)
    assert found is not None
    assert found.baseline is None


@pytest.mark.parametrize("named", ["nigth", "latest:nigth"])
def test_a_baseline_that_is_not_there_ends_a_flow_run_before_anything_is_begun(
    calls: Calls, client: Client, named: str
) -> None:
    new_experiment(client.store, name="night")
    with pytest.raises(NotFound, match="nigth"):
        calls.live(1, baseline=named)
    new_experiment(client.store, name="night")
    with pytest.raises(AmbiguousName, match="2 experiments are called 'night'"):
        calls.live(1, baseline="night")
    assert [one.name for one in client.experiments.list(dataset="dataset")] == ["night", "night"]


def test_the_parts_of_a_flow_run_are_gone_on_with_each_by_itself(calls: Calls, client: Client) -> None:
    begun(calls, part="quick", new={"experiment_metadata": {"model": "m"}})
    begun(calls, part="whole")
    [whole, quick] = client.experiments.list(dataset="dataset")
    assert quick.metadata == {"model": "m", recovery.FLOW_RUN: str(calls.run_id), "baseline_id": None, "part": "quick"}
    assert calls.live(2, part="quick") == "done"
    assert calls.live(2, part="whole") == "done"
    assert [one["experiment"] for one in calls.resumed] == [quick.id, whole.id]
    with pytest.raises(Killed):
        calls.live(2)  # which it has not begun yet
    other = Calls.__new__(Calls)
    vars(other).update(vars(calls), run_id=uuid4())
    with pytest.raises(Killed):
        other.live(2, part="quick")  # which another flow run has begun
    assert len(calls.resumed) == 2


def test_in_its_first_life_a_flow_run_begins_what_it_is_asked_for(calls: Calls, client: Client) -> None:
    """A flow that evaluates one dataset twice has two experiments."""
    begun(calls)
    begun(calls)
    assert len(client.experiments.list(dataset="dataset")) == 2
    assert calls.resumed == []


class Server:
    """Prefect's, with one flow run in a state."""

    def __init__(self, state: State[Any]) -> None:
        self.run = SimpleNamespace(id=uuid4(), name="first", state=state, deployment_id=uuid4())
        self.begun: list[UUID] = []

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Server]:
        yield self

    async def read_flow_run(self, run_id: UUID) -> Any:
        assert run_id == self.run.id
        return self.run

    async def set_flow_run_state(self, run_id: UUID, state: State[Any]) -> None:
        assert (state.is_scheduled(), state.message) == (True, "m@1 was asked for again")
        self.begun.append(run_id)


@pytest.mark.parametrize(
    ("state", "goes_on", "said"),
    [
        (Failed(name="GateFailed", message="worse"), False, "has done it: GateFailed. worse"),
        (Failed(name="GateInconclusive"), False, "has done it: GateInconclusive. "),
        (Completed(name="GatePassed"), False, "has done it: GatePassed. "),
        (Cancelled(), False, "did it, and was cancelled; `prefect flow-run retry {}` goes on with it."),
        (Running(), False, "does it, and is Running."),
        (Failed(), True, "broke off (Failed), and goes on now."),
        (Crashed(), True, "broke off (Crashed), and goes on now."),
    ],
    ids=["GateFailed", "GateInconclusive", "GatePassed", "Cancelled", "Running", "Failed", "Crashed"],
)
def test_only_a_first_flow_run_that_broke_off_is_started_again(
    state: State[Any], goes_on: bool, said: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(state)
    monkeypatch.setattr(recovery, "get_client", server.client)
    first = new_experiment(client.store, metadata={recovery.FLOW_RUN: str(server.run.id)}).experiment
    ended = asyncio.run(what_became_of(AlreadyExists("begun", experiment_id=first.id), "m@1", client))
    assert (ended.name, ended.is_completed()) == ("AlreadyBegun", True)
    assert ended.message == f"m@1: flow run 'first' ({server.run.id}) {said.format(server.run.id)}"
    assert server.begun == [server.run.id] * goes_on


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"deployment_id": None}, "begun. Its flow run 'first' broke off: Crashed"),
        ({"state": None}, "begun. The flow run that began it is gone"),
    ],
)
def test_a_first_flow_run_that_cannot_be_started_again_is_an_error(
    change: dict[str, Any], said: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(Crashed())
    vars(server.run).update(change)
    monkeypatch.setattr(recovery, "get_client", server.client)
    first = new_experiment(client.store, metadata={recovery.FLOW_RUN: str(server.run.id)}).experiment
    with pytest.raises(ExperimentsError) as refused:
        asyncio.run(what_became_of(AlreadyExists("begun", experiment_id=first.id), "m@1", client))
    assert (str(refused.value), server.begun) == (said, [])


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str | None]]:
    """The idempotency keys under which deployment-evaluation evaluates the sample, and the whole."""

    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")

    def asked_for(*, again: bool) -> list[str | None]:
        found: list[str | None] = []

        async def run(*, idempotency_key: str | None, gate: Gate, **_: Any) -> Any:
            found.append(idempotency_key)
            return SimpleNamespace(verdict=None)

        async def conclude(*_: Any, **__: Any) -> str:
            return "concluded"

        monkeypatch.setattr(flow_module, "arun_for_flow_run", run)
        monkeypatch.setattr(flow_module, "conclude", conclude)
        given: dict[str, Any] = {"model": "m", "version": "1", "dataset": "d", "evaluators": ["exact_match"]}
        task = "tests.deployments.slow:slow"
        ended = asyncio.run(flow_module.deployment_evaluation.fn(**given, task=task, again=again))
        assert ended == "concluded"
        return found

    return asked_for


@pytest.mark.parametrize(
    ("said", "is_over"),
    [
        (None, False),
        (Verdict(status="passed", reasons=()), False),
        (Verdict(status="failed", reasons=(), exit_code=1), True),
    ],
)
def test_only_what_a_sample_has_shown_to_be_worse_is_not_evaluated_whole(
    said: Verdict | None, is_over: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    asked: list[tuple[str, Any]] = []

    async def run(*, new: dict[str, Any], **_: Any) -> Any:
        asked.append((new["experiment_name"], new.get("sample")))
        return SimpleNamespace(verdict=said)

    async def shown(_: Any) -> None:
        asked.append(("shown", None))

    async def conclude(*_: Any, **__: Any) -> str:
        return "concluded"

    monkeypatch.setattr(flow_module, "arun_for_flow_run", run)
    monkeypatch.setattr(flow_module, "show_outcome", shown)
    monkeypatch.setattr(flow_module, "outcome", lambda _, before: before)
    monkeypatch.setattr(flow_module, "conclude", conclude)
    given: dict[str, Any] = {"model": "m", "version": "1", "dataset": "d", "evaluators": ["exact_match"]}
    ended = asyncio.run(flow_module.deployment_evaluation.fn(**given, task="tests.deployments.slow:slow"))
    sample = ("m@1 quick", QUICK)
    if is_over:
        assert (asked, ended) == ([sample, ("shown", None)], "A sample has shown enough, the rest was not run. ")
    else:
        assert (asked, ended) == ([sample, ("m@1", None)], "concluded")


def test_a_version_is_evaluated_once_and_again_where_that_is_asked_for(
    keys: Callable[..., list[str | None]],
) -> None:
    assert keys(again=False) == ["m@1 quick", "m@1"]
    assert keys(again=True) == [None, None], "of the sample as of the whole"
