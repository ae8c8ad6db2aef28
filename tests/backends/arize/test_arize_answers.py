"""What is made of AX's answers while results and examples are on their way: with an AX that answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from prefect_experiments.backends.arize.api import ArizeApi, ArizeHttp, Row
from prefect_experiments.backends.arize.datasets import ArizeDatasets
from prefect_experiments.backends.arize.pushing import ArizePusher, arize_pusher
from prefect_experiments.backends.arize.spaces import Space
from prefect_experiments.backends.arize.taken import TakenRuns
from prefect_experiments.backends.http import Address
from prefect_experiments.errors import (
    AlreadyExists,
    BackendUnavailable,
    ExperimentsError,
    InvalidSetting,
    NotFound,
)
from prefect_experiments.records import EvaluatedRun
from prefect_experiments.store import Link, Store
from support.fault_proxy import Answer, FaultProxy
from tests.store.samples import new_experiment, record, run_row

SETTING = "ARIZE_API_HOST or api_host="


@contextlib.contextmanager
def ax_that_says(answer: Any) -> Iterator[ArizeApi]:
    plan = lambda _: Answer(200, orjson.dumps(answer), {"content-type": "application/json"})  # noqa: E731
    with FaultProxy("http://127.0.0.1:1", plan) as server:
        yield ArizeApi(ArizeHttp(Address("Arize AX", server.url, url_setting=SETTING)))


def test_a_list_that_goes_on_nowhere_is_no_answer_of_axs() -> None:
    with ax_that_says({"datasets": [], "pagination": {"has_more": True}}) as api:
        with pytest.raises(InvalidSetting) as refused:
            asyncio.run(api.datasets_page(None, 10, None))
        lacking = "a cursor where it says that there is more"
        odd = f"gave an answer that is not one of AX's: it lacks {lacking}; set {SETTING}"
        assert str(refused.value) == f"{api.http.address} {odd}"


def test_examples_that_are_deleted_in_part_may_be_deleted_again() -> None:
    with (
        ax_that_says({"completed": False}) as api,
        pytest.raises(BackendUnavailable, match=r"has deleted a part of the examples only$"),
    ):
        asyncio.run(api.delete_examples("dataset", "version", ["e1"]))


def test_runs_that_are_added_have_an_id_each() -> None:
    rows: list[Row] = [{"example_id": "e1"}, {"example_id": "e2"}]
    with ax_that_says({"id": "experiment", "run_ids": ["r1", "r2"]}) as api:
        assert asyncio.run(api.append_runs("experiment", rows)) == ["r1", "r2"]
        for given in (rows[:1], [*rows, *rows]):
            with pytest.raises(InvalidSetting, match="it lacks as many run_ids as runs"):
                asyncio.run(api.append_runs("experiment", given))
    with (
        ax_that_says({"id": "experiment", "run_ids": None}) as api,
        pytest.raises(InvalidSetting, match="as many run_ids"),
    ):
        asyncio.run(api.append_runs("experiment", []))


def test_where_there_is_no_space_that_is_said() -> None:
    with ax_that_says({"spaces": []}) as api, pytest.raises(InvalidSetting) as refused:
        asyncio.run(Space(api, None).required())
    assert str(refused.value) == (
        "which space of Arize AX? Pass space= or set ARIZE_SPACE_ID; there are none that the key may see"
    )


def test_a_dataset_without_a_version_has_nothing_to_read() -> None:
    head = {"id": "RGF0YXNldDoxOng=", "name": "sums", "versions": []}
    with ax_that_says(head) as api, pytest.raises(NotFound) as refused:
        ArizeDatasets(api, Space(api, None), 1_000_000).get(head["id"])  # type: ignore[arg-type]
    assert str(refused.value) == "dataset 'sums' in Arize AX has no version"


class Ax:
    """An AX with a dataset, which raises what is in `trouble` when it is asked for something of that name."""

    searches = False
    http = SimpleNamespace(address="Arize AX at http://ax")

    def __init__(self, **trouble: Exception) -> None:
        self.trouble = trouble
        self.experiments_there: list[Row] = []

    def _said(self, name: str) -> None:
        if name in self.trouble:
            raise self.trouble[name]

    async def create_experiment(self, name: str, runs: list[Row], **scope: str) -> Row:
        self._said("create_experiment")
        return {"id": f"made of {name}"}

    async def append_runs(self, experiment_id: str, runs: list[Row]) -> list[str]:
        self._said("append_runs")
        return [f"taken {place}" for place, _ in enumerate(runs)]

    async def experiments(self, name: str, **scope: str) -> list[Row]:
        dataset = scope.get("dataset_id", "")
        return [{"name": name, "dataset_id": dataset, **one} for one in self.experiments_there]

    async def runs(self, experiment_id: str) -> list[Row]:
        return [{"id": "run", "example_id": "another", "output": "theirs"}]

    async def run_pages(self, experiment_id: str, cursor: str | None) -> AsyncIterator[tuple[list[Row], str | None]]:
        yield [], None

    async def ax_ids(self, dataset_id: str, version_id: str, *, anew: bool = False) -> dict[str, str]:
        return {"ex-0": "ax-0"}

    async def required(self) -> str:
        return "space"


class Pushing:
    """One run of an experiment on its way to AX."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(f"sqlite:///{folder / 'store.db'}")
        self.id = new_experiment(self.store, 1, name="mine").experiment.id
        record(self.store, self.id, [run_row(0)])

    def link(self, *, begun: bool, dataset: str = "dataset") -> Link:
        return self.store.links.link_experiment(
            self.id,
            "arize",
            remote_id="remote" if begun else self.id,
            remote_dataset_id=dataset,
            remote_version_id="version",
            project_name=None,
            url=None,
        )

    def said(self, ax: Ax, link: Link, times: int = 1) -> list[str]:
        """What is said of the run, as often as it is pushed."""
        given = cast("Any", ax)

        async def push(pusher: ArizePusher) -> str:
            [waiting] = pusher.waiting(10, running=False)
            assert isinstance(waiting, EvaluatedRun)
            with pytest.raises(ExperimentsError) as refused:
                await pusher.push_run(waiting)
            return f"{type(refused.value).__name__}: {refused.value}"

        async def run() -> list[str]:
            async with arize_pusher(given, given, given, self.store, link, 1_000_000) as pusher:
                return [await push(pusher) for _ in range(times)]

        return asyncio.run(run())


@pytest.fixture
def pushing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pushing]:
    monkeypatch.setattr("prefect_experiments.backends.arize.pushing.LINGER_S", 0.01)
    made = Pushing(tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no such luck"), "BackendUnavailable: Arize AX cannot be used (RuntimeError)"),
        (
            NotFound("gone"),
            "BackendRefused: the experiment is no longer in Arize AX (gone); push it again to begin it anew",
        ),
    ],
)
def test_why_a_run_is_not_added(error: Exception, said: str, pushing: Pushing) -> None:
    assert pushing.said(Ax(append_runs=error), pushing.link(begun=True)) == [said]


def test_a_run_that_may_have_been_taken_is_not_sent_again_for_a_while(pushing: Pushing) -> None:
    ax = Ax(append_runs=BackendUnavailable("no answer"))
    assert pushing.said(ax, pushing.link(begun=True), times=2) == [
        "BackendUnavailable: no answer",
        "BackendUnavailable: Arize AX at http://ax has not said whether it took the last results",
    ]


def test_it_is_doubted_the_longer_the_longer_ax_was_waited_for(
    pushing: Pushing, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    clock = itertools.count(1000.0, 7.0)
    monkeypatch.setattr(TakenRuns, "doubt", lambda _, rows, waited: waits.append(waited))
    ticking = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("prefect_experiments.backends.arize.pushing.time", ticking)
    pushing.said(Ax(append_runs=BackendUnavailable("no answer")), pushing.link(begun=True))
    assert len(waits) == 1
    assert 0 < waits[0] < 1000


@pytest.mark.parametrize(
    ("error", "there", "dataset", "said"),
    [
        (NotFound("gone"), [], "dataset", "BackendRefused: the dataset is no longer in Arize AX (gone)"),
        (
            AlreadyExists("taken"),
            [{"id": "theirs"}],
            "dataset",
            "BackendRefused: experiments called 'mine' are on the dataset in Arize AX already",
        ),
        (
            AlreadyExists("taken"),
            [{"id": "theirs"}],
            "",
            "BackendRefused: experiments called 'mine' are in the space in Arize AX already",
        ),
        (
            AlreadyExists("taken"),
            [],
            "dataset",
            "BackendUnavailable: Arize AX at http://ax says that it has an experiment, and does not list it",
        ),
    ],
    ids=["no dataset", "another's on the dataset", "another's in the space", "not listed"],
)
def test_why_an_experiment_is_not_begun(
    error: Exception, there: list[Row], dataset: str, said: str, pushing: Pushing
) -> None:
    ax = Ax(create_experiment=error)
    ax.experiments_there = there
    assert pushing.said(ax, pushing.link(begun=False, dataset=dataset)) == [said]
