"""How the flow run of a worker ends, by what it met: in this process, on the store that says what it is to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import (
    BudgetSpent,
    ExperimentInUse,
    ExperimentsError,
    InvalidReference,
    NotFound,
    WorkCalledOff,
)
from prefect_experiments.experiment.sharing import Part, do_part
from prefect_experiments.experiment.worker_errors import from_text
from prefect_experiments.orchestration.workers import deployed
from prefect_experiments.orchestration.workers.deployed import do_deployed
from support.flow_logs import in_a_flow

from .test_said_by_workers import Begun, even


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.fixture
def begun(client: Client, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begun]:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    made = Begun(client, evaluators=[even])
    yield made.written()
    made.session.lease.release()  # type: ignore[union-attr]


def test_what_it_has_done_stands_in_its_state(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployed, "do_part_here", do_part)  # without a Prefect task for each batch
    ended = in_a_flow(do_deployed(begun.id, 2))
    said = "Made 4 calls of the task and 4 of evaluators"
    assert (ended.name, ended.message) == ("Completed", said)
    assert [run.output for run in begun.store.results.runs(begun.id)[0]] == [0, 2, 4, 6]
    nothing = f"There is nothing to do any more for experiment {begun.id}: others have done everything"
    again = in_a_flow(do_deployed(begun.id, 1))
    assert (again.name, again.message) == ("Completed", nothing)


def test_the_part_is_the_workers_and_leads_to_the_store_as_it_is_called_here(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Part] = []

    async def do(part: Part) -> Any:
        found.append(part)
        raise WorkCalledOff("seen enough")

    monkeypatch.setattr(deployed, "do_part_here", do)
    begun.parts[1] = begun.parts[1].model_copy(
        update={"spec": begun.parts[1].spec.model_copy(update={"store": "sqlite:////elsewhere/store.db"})}
    )
    begun.written()
    in_a_flow(do_deployed(begun.id, 2))
    assert [(part.worker, part.workers, part.spec.store) for part in found] == [(2, 2, begun.store.portable_url)]


@pytest.mark.parametrize("why", [None, "it was interrupted"])
def test_work_that_has_been_stopped_is_not_begun(begun: Begun, why: str | None) -> None:
    if why is None:
        begun.store.experiments.delete(begun.id)
        with pytest.raises(NotFound) as refused:
            in_a_flow(do_deployed(begun.id, 1))
        assert str(refused.value) == (
            f"experiment {begun.id} is not in the store at {begun.store.shown_url}, which this worker uses: give it "
            "the PREFECT_EXPERIMENTS_STORE_URL of the process that runs the experiment"
        )
        return
    begun.store.shared_work.stop(begun.id, begun.parts[0].leader, why)
    ended = in_a_flow(do_deployed(begun.id, 1))
    said = f"There is nothing to do any more for experiment {begun.id}: it has been stopped ({why})"
    assert (ended.name, ended.message) == ("Completed", said)


@pytest.mark.parametrize(
    ("met", "is_told"),
    [
        (WorkCalledOff("it has stopped"), False),
        (ExperimentInUse("another leads"), False),
        (BudgetSpent("5 of 5 dollars"), True),
        (InvalidReference("there is no module 'app'"), True),
    ],
)
def test_what_it_met_is_told_to_who_leads_unless_it_was_called_off(
    begun: Begun, met: ExperimentsError, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_: Part) -> None:
        raise met

    monkeypatch.setattr(deployed, "do_part_here", breaks)
    if is_told:
        with pytest.raises(type(met)):
            in_a_flow(do_deployed(begun.id, 1))
        [(worker, text)] = begun.store.shared_work.errors(begun.id).items()
        told = from_text(text)
        assert (worker, type(told), str(told)) == (1, type(met), str(met))
    else:
        ended = in_a_flow(do_deployed(begun.id, 1))
        assert (ended.name, ended.message) == ("Cancelled", str(met))
        assert begun.store.shared_work.errors(begun.id) == {}
