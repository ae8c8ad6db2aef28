"""The clients that a flow run gets before it begins: made early, once, and only where there are none."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_experiments.orchestration.clients import Clients

# Nothing is asked of it: a client is made without a word to its server.
SOME_SERVER = {PREFECT_API_URL: "http://127.0.0.1:9/api"}


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


def seen_within() -> tuple[bool, Any, Any]:
    """Whether clients were being made as soon as they were asked for, and what is there then."""

    async def main() -> tuple[bool, Any, Any]:
        before = asyncio.all_tasks()
        clients = Clients()
        is_making = bool(asyncio.all_tasks() - before)
        async with clients.entered():
            seen = AsyncClientContext.get(), SyncClientContext.get()
        assert (AsyncClientContext.get(), SyncClientContext.get()) == outer
        return is_making, *seen

    outer = AsyncClientContext.get(), SyncClientContext.get()
    return asyncio.run(main())


def test_both_are_made_at_once_where_there_are_none() -> None:
    with temporary_settings(SOME_SERVER):
        is_making, asynchronous, synchronous = seen_within()
    assert is_making
    assert isinstance(asynchronous, AsyncClientContext)
    assert isinstance(synchronous, SyncClientContext)


@pytest.mark.parametrize("kind", [AsyncClientContext, SyncClientContext])
def test_those_of_a_flow_run_around_are_used_on(kind: type[Any]) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            if kind is AsyncClientContext:
                around: Any = await stack.enter_async_context(AsyncClientContext())
            else:
                around = stack.enter_context(SyncClientContext())
            before = asyncio.all_tasks()
            clients = Clients()
            assert asyncio.all_tasks() == before
            async with clients.entered():
                assert kind.get() is around
                assert AsyncClientContext.get() is not None
                assert SyncClientContext.get() is not None

    with temporary_settings(SOME_SERVER):
        asyncio.run(main())


def test_without_a_server_none_is_made_early() -> None:
    """A temporary one has to be started first."""

    async def main() -> None:
        before = asyncio.all_tasks()
        Clients()
        assert asyncio.all_tasks() == before

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        asyncio.run(main())


def test_those_that_cannot_be_made_are_left_to_the_flow_run(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    really = AsyncClientContext.__init__

    def first_fails(self: AsyncClientContext, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        if len(made) == 1:
            raise OSError("no certificates")
        really(self, *args, **kwargs)

    monkeypatch.setattr(AsyncClientContext, "__init__", first_fails)
    with temporary_settings(SOME_SERVER):
        is_making, asynchronous, synchronous = seen_within()
    assert is_making
    assert asynchronous is made[1]
    assert isinstance(synchronous, SyncClientContext)
