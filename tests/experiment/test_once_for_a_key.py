"""An idempotency key stands for one experiment, whoever begins for it at the same moment."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from prefect_experiments import Client, RanExperiment
from prefect_experiments.errors import AlreadyExists, NotFound
from prefect_experiments.experiment import work as work_module
from prefect_experiments.experiment.arguments import RunArguments
from prefect_experiments.experiment.idempotency import given_tags
from prefect_experiments.experiment.request import plan_new
from prefect_experiments.experiment.steps import Steps, drive
from prefect_experiments.experiment.work import RunWork
from support.patience import PATIENCE_S


def test_of_two_that_begin_at_once_one_makes_the_experiment(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked, and found none for the key, before either has made its own."""
    both, look = threading.Barrier(2), work_module.claimed

    def looked(*given: Any) -> Any:
        found = look(*given)
        both.wait(PATIENCE_S)
        return found

    monkeypatch.setattr(work_module, "claimed", looked)
    client.datasets.create_dataset(name="numbers", examples=[{"input": 1}, {"input": 2}])
    calls: list[int] = []

    async def begun() -> RanExperiment:
        work = RunWork(plan_new(RunArguments(dataset="numbers", task=calls.append), client))
        async with work.held("key"):
            await drive(Steps(work))
        return work.result

    async def at_once() -> Any:
        return await asyncio.gather(begun(), begun(), return_exceptions=True)

    made, refused = sorted(asyncio.run(at_once()), key=lambda one: isinstance(one, BaseException))
    assert isinstance(made, RanExperiment)
    assert isinstance(refused, AlreadyExists)
    assert refused.experiment_id == made.experiment_id
    assert str(refused) == (
        f"experiment {made.experiment_id} was begun for 'key' before, and nothing is run twice for one key; see it "
        f"with `prefect-experiments show {made.experiment_id}`, go on with it by `prefect-experiments resume "
        f"{made.experiment_id}`"
    )
    assert [one.id for one in client.experiments.list()] == [made.experiment_id]
    assert sorted(calls) == [1, 2]


def test_a_key_is_no_tag_that_somebody_gave(client: Client) -> None:
    """Where a baseline's tag is not there, it is not taken for another tag that is: nobody has given any yet."""
    client.datasets.create_dataset(name="numbers", examples=[{"input": 1}])
    work = RunWork(plan_new(RunArguments(dataset="numbers", task=abs), client))

    async def begun() -> None:
        async with work.held("key"):
            await drive(Steps(work))

    asyncio.run(begun())
    made = client.experiments.get(experiment="tag:key", dataset="numbers")
    assert (made.tags, made.origin["begun_for"]) == (("key",), "key")
    assert client.store.experiments.tags("numbers") == ["key"]
    assert given_tags(client.store, "numbers") == []
    with_baseline = RunArguments(dataset="numbers", task=abs, baseline="tag:baseline")
    judging = plan_new(with_baseline, client).judging
    assert judging is not None
    assert judging.note == "There is no baseline 'tag:baseline' with results on numbers yet; nothing is compared."
    client.experiments.tag(experiment=made.id, tag="best")
    assert given_tags(client.store, "numbers") == ["best"]
    with pytest.raises(NotFound, match=r"unknown tag 'baseline'\. Known: best"):
        plan_new(with_baseline, client)
