"""What workers say of an experiment, and what is said of them, in this process and without starting any."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from prefect_experiments import Client
from prefect_experiments.errors import InvalidReference, StoreUnavailable, WorkersLost
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.sharing import Part, parts_of, write_down
from prefect_experiments.experiment.spec import CallableSpec
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.orchestration.workers import deployed, leading
from prefect_experiments.orchestration.workers.body import do_part_here
from prefect_experiments.orchestration.workers.deaths import MOST_DEATHS, Deaths
from prefect_experiments.orchestration.workers.deployed import do_deployed
from prefect_experiments.orchestration.workers.leading import lead
from prefect_experiments.store.shared_work import Done, Range
from support.flow_logs import in_a_flow, said_in_flows
from tests.store.samples import failed_row, record, run_row

__all__ = ["said_in_flows"]


def double(input: int) -> int:
    return 2 * input


def even(output: int) -> bool:
    return output % 2 == 0


class Begun:
    """An experiment that two workers are to make the calls of, and that this process leads."""

    def __init__(self, client: Client, **options: Any) -> None:
        rows = [{"id": f"e{n}", "input": n} for n in range(4)]
        arguments = RunArguments(dataset=rows, task=double, batch_size=2, concurrency=2, **options)
        work = RunWork(plan_new(arguments, client))
        work.load_dataset()
        self.session, self.store = work.session, client.store
        self.id = self.session.spec.experiment_id
        lease = self.store.leases.of_calls(self.id)
        assert lease.try_to_take()
        self.session.lease = lease
        self.parts = parts_of(self.session, 2, lease.holder)

    def written(self) -> Begun:
        write_down(self.session, self.parts, [part.model_dump_json() for part in self.parts])
        return self


@pytest.fixture
def begun(client: Client) -> Any:
    made = Begun(client)
    yield made
    made.session.lease.release()  # type: ignore[union-attr]


def test_a_worker_that_has_nothing_to_do_says_why(
    begun: Begun, store_url: str, monkeypatch: pytest.MonkeyPatch, said_in_flows: list[str]
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    nothing = f"There is nothing to do for worker 1 of experiment {begun.id}. "
    by_hand = "Workers are started by an experiment with task_runner='deployment:NAME', and not by hand"
    done = f"There is nothing to do any more for experiment {begun.id}: others have done everything"

    def said() -> str | None:
        ended: State[None] = in_a_flow(do_deployed(begun.id, 1))
        assert ended.is_completed()
        assert said_in_flows[-1] == ended.message
        return ended.message

    assert said() == nothing + by_hand
    begun.written()
    monkeypatch.setattr(type(begun.store.shared_work), "is_done", lambda *_: True)
    assert said() == done


def test_a_store_that_cannot_be_told_of_an_error_is_a_line_in_the_log(
    begun: Begun, store_url: str, monkeypatch: pytest.MonkeyPatch, said_in_flows: list[str]
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    begun.written()

    async def breaks(_: Part) -> None:
        raise InvalidReference("there is no module 'app'")

    def away(*_: Any) -> None:
        raise StoreUnavailable("it is away")

    monkeypatch.setattr(deployed, "do_part_here", breaks)
    monkeypatch.setattr(type(begun.store.shared_work), "fail", away)
    with pytest.raises(InvalidReference):
        in_a_flow(do_deployed(begun.id, 1))
    assert said_in_flows == ["The store could not be told of the error."]


def test_a_worker_that_lacks_the_code_says_where_it_is_and_what_it_needs(begun: Begun) -> None:
    part = begun.written().parts[0]
    elsewhere = CallableSpec(name="double", reference="no_such_module:double", fingerprint=None)
    part = part.model_copy(update={"spec": part.spec.model_copy(update={"task": elsewhere})})
    with pytest.raises(InvalidReference) as refused:
        asyncio.run(do_part_here(part))
    said = str(refused.value)
    assert said.startswith(f"worker 1 on {socket.gethostname()}: ")
    assert said.endswith(
        ". Nothing more is called: each worker needs the code, the packages and the settings that the experiment was "
        "begun with"
    )


def test_what_ends_workers_again_and_again_is_named(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(begun.store.shared_work), "under_way", lambda *_: {Range(0, 2): 1})
    deaths = Deaths(begun.session)
    assert [deaths.another(1, "exit code 9.") for _ in range(MOST_DEATHS - 1)] == [None] * (MOST_DEATHS - 1)
    lost = deaths.another(1, "exit code 9.")
    assert isinstance(lost, WorkersLost)
    assert str(lost) == (
        f"worker 1 of experiment {begun.id} ended {MOST_DEATHS} times before anything was done (exit code 9); what it "
        "had begun, and may have ended it: e0, e1. What had finished is kept: see to the reason, which may be memory, "
        "or a module that ends its process, and resume the experiment"
    )


def test_workers_that_end_before_they_have_begun_anything_are_counted_apart_and_in_a_row(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges: dict[Range, int] = {}
    monkeypatch.setattr(type(begun.store.shared_work), "under_way", lambda *_: ranges)
    deaths = Deaths(begun.session)
    assert not deaths.any
    for worker in (1, 2, 1, 2):
        assert deaths.another(worker, "killed") is None
    assert deaths.any
    ranges[Range(0, 2)] = 1
    assert deaths.another(1, "killed") is None, "it had begun something"
    ranges[Range(0, 2)] = 2
    ranges[Range(2, 4)] = 3
    for _ in range(MOST_DEATHS - 1):
        assert deaths.another(1, "killed") is None
    lost = deaths.another(1, "killed")
    assert isinstance(lost, WorkersLost)
    assert "before anything was done (killed); what it had begun, and may have ended it: e0, e1, e2, e3. " in str(lost)
    ranges.clear()
    lost = deaths.another(2, "killed")
    assert isinstance(lost, WorkersLost)
    assert "before anything was done (killed). What had finished is kept: " in str(lost)


def test_workers_that_get_on_between_two_deaths_are_started_again(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(begun.store.shared_work), "under_way", lambda *_: {Range(0, 4): 1})
    deaths = Deaths(begun.session)
    for position in range(3):
        for _ in range(MOST_DEATHS - 1):
            assert deaths.another(1, "killed") is None
        record(begun.store, begun.id, [run_row(position)])
    assert deaths.another(1, "killed") is None
    assert deaths.another(1, "killed") is None
    lost = deaths.another(1, "killed")
    assert "ended it: e3. " in str(lost)


@pytest.mark.parametrize(
    ("is_done", "told", "found"),
    [
        (False, Done(), Done(runs=2)),
        (False, Done(runs=1, evaluations=1, spent=0.5), Done(runs=2, evaluations=1, spent=0.5)),
        (False, Done(runs=3, run_errors=1), Done(runs=3, run_errors=1)),
        (False, Done(runs=1, run_errors=1), Done(runs=3, run_errors=1)),
        (False, Done(runs=9), Done(runs=4)),
        (True, Done(runs=1), Done(runs=4, run_errors=2, evaluations=2)),
        (True, Done(runs=4, run_errors=1, evaluations=3), Done(runs=4, run_errors=2, evaluations=3)),
    ],
)
def test_what_workers_have_done_that_could_not_tell_of_it_is_what_the_store_has(
    client: Client, monkeypatch: pytest.MonkeyPatch, is_done: bool, told: Done, found: Done
) -> None:
    begun = Begun(client, evaluators=[even])
    record(begun.store, begun.id, [run_row(0), run_row(1), failed_row(2)])
    monkeypatch.setattr(type(begun.store.shared_work), "is_done", lambda *_: is_done)
    assert Deaths(begun.session).corrected(told) == found
    begun.session.lease.release()  # type: ignore[union-attr]


def test_who_leads_says_that_it_starts_workers_and_why_nothing_more_is_called(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, said_in_flows: list[str]
) -> None:
    class Interrupted:
        """Workers that are interrupted as they begin."""

        def entered(self) -> Any:
            return asyncio.timeout(None)

        def told(self, part: Part) -> str:
            return part.model_dump_json()

        async def let_go(self) -> None: ...

        async def work(self, part: Part) -> None:
            raise KeyError("interrupted")

    monkeypatch.setattr(leading, "crew_of", lambda *_: Interrupted())
    with pytest.raises(KeyError):
        in_a_flow(lead(begun.session, "processes", 2, {}))
    assert said_in_flows == ["Starting 2 workers, which takes some seconds."]
    assert begun.store.shared_work.stopped(begun.id) == "it was interrupted"
