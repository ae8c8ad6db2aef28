"""The clients of a flow run: made before it begins, in threads, and only where there are none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prefect.context import AsyncClientContext, ContextModel, SyncClientContext
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_experiments.orchestration.clients import Clients

# Nothing is asked of it: a client is made without a word to its server.
SOME_SERVER = {PREFECT_API_URL: "http://127.0.0.1:9/api"}


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


def made(around: ContextModel | None = None) -> list[Any]:
    """What is made as soon as a flow run is about to begin, inside another flow run that has this client."""

    async def main() -> list[Any]:
        before = asyncio.all_tasks()
        if around is not None:
            ContextModel.__enter__(around)  # but not the client, which would ask the server
        try:
            _clients = Clients()
        finally:
            if around is not None:
                ContextModel.__exit__(around)
        return await asyncio.gather(*(asyncio.all_tasks() - before))

    return asyncio.run(main())


def test_both_are_made_at_once_where_there_are_none() -> None:
    with temporary_settings(SOME_SERVER):
        [(asynchronous, synchronous)] = made()
    assert isinstance(asynchronous, AsyncClientContext)
    assert isinstance(synchronous, SyncClientContext)


@pytest.mark.parametrize("kind", [AsyncClientContext, SyncClientContext])
def test_inside_another_flow_run_none_is_made(kind: type[ContextModel]) -> None:
    with temporary_settings(SOME_SERVER):
        assert made(kind()) == []


def test_without_a_server_none_is_made() -> None:
    """A temporary one has to be started first."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert made() == []


def test_where_one_cannot_be_made_the_flow_run_has_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no certificates")

    monkeypatch.setattr(SyncClientContext, "__init__", fails)
    with temporary_settings(SOME_SERVER):
        assert made() == [None]
