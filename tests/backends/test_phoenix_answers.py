"""What is made of Phoenix's answers that it should not give: with a Phoenix that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from prefect_experiments.backends.http import Address, Http
from prefect_experiments.backends.phoenix.api import PhoenixApi
from prefect_experiments.backends.phoenix.pushing import PhoenixPusher
from prefect_experiments.errors import AlreadyExists, BackendRefused, InvalidInput, InvalidSetting
from prefect_experiments.store import Store
from support.fault_proxy import Answer, FaultProxy

from .phoenix.filled import Filled

Ask = Callable[[PhoenixApi], Coroutine[Any, Any, Any]]


@pytest.mark.parametrize(
    ("ask", "answer", "error", "said"),
    [
        (
            lambda api: api.datasets(),
            Answer(200, orjson.dumps([1, 2])),
            InvalidSetting,
            "{} gave an answer that is not one of Phoenix's (list without 'data'); set base_url=, or upgrade Phoenix",
        ),
        (
            lambda api: api.datasets(),
            Answer(200, orjson.dumps({"data": ["x"]})),
            InvalidSetting,
            "{} gave an answer that is not one of Phoenix's (no objects where there should be some); set base_url=, "
            "or upgrade Phoenix",
        ),
        (
            lambda api: api.datasets(cursor="far"),
            Answer(422, orjson.dumps({"detail": "what is that"})),
            InvalidInput,
            "'far' is not a cursor that a list gave: {} refused the request (HTTP 422): what is that",
        ),
    ],
    ids=["no rows", "no objects", "no cursor"],
)
def test_what_phoenix_would_not_say(ask: Ask, answer: Answer, error: type[Exception], said: str) -> None:
    with FaultProxy("http://127.0.0.1:1", lambda _: answer) as server:
        api = PhoenixApi(Http(Address("Phoenix", server.url)))
        with pytest.raises(error) as refused:
            asyncio.run(ask(api))
    assert str(refused.value) == said.format(api.http.address)


class Phoenix:
    """Has one example, and says that it has every run, without a word on which it is."""

    async def examples(self, dataset_id: str, version_id: str) -> dict[str, Any]:
        return {"examples": [{"id": "e0", "node_id": "node"}]}

    async def create_run(self, experiment_id: str, body: dict[str, Any]) -> str:
        raise AlreadyExists("it is there")

    async def runs(self, experiment_id: str) -> list[dict[str, Any]]:
        return []


def test_runs_that_phoenix_has_no_place_for(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    filled = Filled(store, 2)
    pusher = PhoenixPusher(cast("PhoenixApi", cast("Any", Phoenix())), store, filled.link)
    said = []
    for run in store.outbox.waiting_runs(filled.link, 10):
        with pytest.raises(BackendRefused) as refused:
            asyncio.run(pusher.push_run(run))
        said.append(str(refused.value))
    store.close()
    assert said == [
        "Phoenix says that it has this run, and does not list it",
        "example 'e1' is not in version V of the dataset in Phoenix",
    ]
