"""What becomes of an experiment that workers share when some of them end otherwise than well: in this process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import (
    BudgetSpent,
    ExperimentsError,
    InvalidReference,
    StoreUnavailable,
    WorkCalledOff,
    WorkersLost,
)
from prefect_experiments.experiment.sharing import Part, do_part
from prefect_experiments.orchestration.workers import leading
from prefect_experiments.orchestration.workers.crew import WorkerGone
from prefect_experiments.orchestration.workers.deaths import MOST_DEATHS
from prefect_experiments.orchestration.workers.leading import lead
from prefect_experiments.store.shared_work import Done
from support.flow_logs import in_a_flow, said_in_flows
from tests.store.samples import record, run_row

from .test_said_by_workers import Begun, even

__all__ = ["said_in_flows"]

GONE, SPENT, CALLED_OFF = WorkerGone("killed"), BudgetSpent("5 of 5 dollars"), WorkCalledOff("it has stopped")
BROKEN, AWAY = InvalidReference("there is no module 'app'"), StoreUnavailable("the store is away")


class Here:
    """Workers of this process: each does its part, or first what the test says, one thing at each beginning."""

    def __init__(self, **first: list[Exception | None]) -> None:
        self.first = {int(name[-1]): list(what) for name, what in first.items()}
        self.begun: list[int] = []
        self.let_go_of = 0
        self.is_entered: list[bool] = []

    @contextlib.asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        self.is_entered.append(True)
        try:
            yield
        finally:
            self.is_entered.append(False)

    async def let_go(self) -> None:
        self.let_go_of += 1

    def told(self, part: Part) -> str | None:
        return f"for worker {part.worker}"

    async def work(self, part: Part) -> None:
        self.begun.append(part.worker)
        planned = self.first.get(part.worker, [])
        if planned and (error := planned.pop(0)) is not None:
            raise error
        await do_part(part)


@pytest.fixture
def begun(client: Client, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begun]:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    made = Begun(client, evaluators=[even])
    yield made
    made.session.lease.release()  # type: ignore[union-attr]


@pytest.fixture
def led(begun: Begun, monkeypatch: pytest.MonkeyPatch, said_in_flows: list[str]) -> Callable[[Here], str]:
    """Leads such workers to the end; gives what that raised."""

    def to_the_end(crew: Here) -> str:
        monkeypatch.setattr(leading, "crew_of", lambda runner, count: crew)
        try:
            in_a_flow(lead(begun.session, "processes", 2, {}))
        except ExperimentsError as error:
            return f"{type(error).__name__}: {error}"
        return ""

    return to_the_end


def outputs(begun: Begun) -> list[Any]:
    return [run.output for run in begun.store.results.runs(begun.id)[0]]


def test_workers_do_everything_and_what_they_have_done_is_counted(
    begun: Begun, led: Callable[[Here], str], said_in_flows: list[str]
) -> None:
    crew = Here()
    assert led(crew) == ""
    assert sorted(crew.begun) == [1, 2]
    assert (crew.let_go_of, crew.is_entered) == (0, [True, False])
    assert begun.session.by_workers == Done(runs=4, evaluations=4)
    assert outputs(begun) == [0, 2, 4, 6]
    assert begun.store.shared_work.part(begun.id, 2) == "for worker 2"
    assert begun.store.shared_work.shared_by(begun.id) == 2
    assert said_in_flows == ["Starting 2 workers, which takes some seconds."]
    assert begun.session.lease is not None
    assert not begun.session.lease.try_to_take(), "it is let go of"


def test_one_alone_is_no_plural(
    client: Client, store_url: str, led: Callable[[Here], str], begun: Begun, said_in_flows: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(leading, "parts_of", lambda *_: [begun.parts[0].model_copy(update={"workers": 1})])
    assert led(Here()) == ""
    assert said_in_flows == ["Starting 1 worker, which takes some seconds."]


def test_where_nothing_is_missing_no_worker_is_begun(begun: Begun, led: Callable[[Here], str]) -> None:
    assert led(Here()) == ""
    again = Here()
    begun.session = type(begun.session).open(begun.session.spec, begun.store.leases.of_calls(begun.id))
    assert begun.session.lease is not None
    assert begun.session.lease.try_to_take()
    assert led(again) == ""
    assert (again.begun, again.is_entered) == ([], [])


def test_a_worker_that_is_gone_is_begun_again(
    begun: Begun, led: Callable[[Here], str], caplog: pytest.LogCaptureFixture
) -> None:
    crew = Here(worker_1=[GONE, GONE], worker_2=[GONE])
    assert led(crew) == ""
    assert sorted(crew.begun) == [1, 1, 1, 2, 2]
    taken = [text for text in caplog.messages if "takes its place" in text]
    said = [f"Worker {number} is gone (killed): another one takes its place." for number in (1, 1, 2)]
    assert sorted(taken) == said
    assert outputs(begun) == [0, 2, 4, 6]
    assert begun.session.by_workers == Done(runs=4, evaluations=4)


def test_a_worker_that_is_gone_again_and_again_ends_the_experiment(begun: Begun, led: Callable[[Here], str]) -> None:
    never = [GONE] * 10
    crew = Here(worker_1=[*never], worker_2=[*never])
    said = led(crew)
    assert said.startswith(f"{WorkersLost.__name__}: worker ")
    assert f" of experiment {begun.id} ended {MOST_DEATHS} times before anything was done (killed). " in said
    assert begun.store.shared_work.stopped(begun.id) == said.partition(": ")[2]


@pytest.mark.parametrize(
    ("first", "raised", "stopped"),
    [
        ({"worker_1": [BROKEN], "worker_2": [BROKEN]}, "InvalidReference: there is no module 'app'", str(BROKEN)),
        ({"worker_1": [CALLED_OFF], "worker_2": [BROKEN]}, "InvalidReference: there is no module 'app'", str(BROKEN)),
        ({"worker_1": [BROKEN], "worker_2": [CALLED_OFF]}, "InvalidReference: there is no module 'app'", str(BROKEN)),
        ({"worker_1": [SPENT], "worker_2": [SPENT]}, "BudgetSpent: 5 of 5 dollars", None),
        ({"worker_1": [AWAY], "worker_2": [AWAY]}, "StoreUnavailable: the store is away", None),
    ],
    ids=["broken", "called off and broken", "broken and called off", "spent", "away"],
)
def test_what_a_worker_has_met_is_raised_and_the_others_are_told(
    begun: Begun, led: Callable[[Here], str], first: dict[str, Any], raised: str, stopped: str | None
) -> None:
    assert led(Here(**first)) == raised
    assert begun.store.shared_work.stopped(begun.id) == stopped
    assert outputs(begun) == []


def test_a_budget_that_was_spent_by_the_last_call_stops_nothing(begun: Begun, led: Callable[[Here], str]) -> None:
    crew = Here(worker_1=[SPENT])
    assert led(crew) == "", "the other one has done everything"
    assert outputs(begun) == [0, 2, 4, 6]


def test_what_is_there_already_is_not_made_again(begun: Begun, led: Callable[[Here], str]) -> None:
    record(begun.store, begun.id, [run_row(0, example_id="e0", output_json='"before"')])
    assert led(Here()) == ""
    assert outputs(begun) == ["before", 2, 4, 6]
