"""What has yet to be asked for what it holds: streams, awaitables, files, resources; and what only looks so."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any
from unittest.mock import MagicMock, Mock, NonCallableMock

import pytest

from prefect_experiments.engine.streams import belongs_in_a_loop, has_to_be_read
from prefect_experiments.unread import is_async_stream, is_awaitable, is_file, is_stream, why_unread

NOT_READ = "was not read; return its chunks as a list or a text, or the stream by itself"
FILE = "is an open file; return what is in it"
FUTURE = "is a future; return its result"
RESOURCE = "is a resource to be used with `with`, and no data; return what it gives"


def kind(*names: str, base: type = object, **more: Any) -> Any:
    """An object whose class has methods of these names."""
    return type("Made", (base,), {**dict.fromkeys(names, lambda *_: iter(())), **more})()


async def chunks() -> AsyncIterator[int]:
    yield 1


async def answer() -> int:
    return 1


class Many(type):
    """Classes that can be gone through."""

    def __iter__(cls) -> Iterator[int]:
        return iter(())


class Listed(metaclass=Many):
    pass


def standing_for(kind_: Any, *names: str) -> Any:
    """A proxy: its own class has methods of every sort, and it says that it is of another class."""
    return kind(*names, __class__=property(lambda self: kind_))


def nobody() -> Any:
    def fails(self: Any) -> Any:
        raise RuntimeError("it stands for nothing yet")

    return kind("__len__", __class__=property(fails))


@pytest.mark.parametrize(
    ("make", "is_one"),
    [
        (lambda: (n for n in ()), True),
        (lambda: iter([1]), True),
        (lambda: kind("__iter__", "__next__"), True),
        (lambda: kind("__iter__", "__next__", "__len__"), True),
        (lambda: kind("__iter__"), True),
        (lambda: kind("__iter__", "__len__"), False),
        (lambda: kind("__iter__", "__getitem__"), False),
        (lambda: kind("__iter__", "__contains__"), False),
        (lambda: kind("__iter__", "readline"), False),
        (lambda: kind("__next__", "__iter__", "readline"), False),
        (lambda: io.StringIO("x"), False),
        (object, False),
        (lambda: [1], False),
        (lambda: "text", False),
        (lambda: Listed, False),
        (MagicMock, False),
        (Mock, False),
        (lambda: kind("__next__", base=NonCallableMock), False),
        (lambda: standing_for(list, "__iter__", "__next__"), False),
        (lambda: standing_for(type(iter([])), "__len__"), True),
        (nobody, False),
        (chunks, False),
    ],
)
def test_what_gives_its_chunks_once(make: Any, is_one: bool) -> None:
    assert is_stream(make()) is is_one


@pytest.mark.parametrize(
    ("make", "is_one"),
    [
        (chunks, True),
        (lambda: kind("__aiter__"), True),
        (lambda: kind("__iter__"), False),
        (MagicMock, False),
        (lambda: standing_for(list, "__aiter__"), False),
        (lambda: standing_for(type(chunks()), "__aiter__"), True),
        (lambda: standing_for(type(chunks())), False),
    ],
)
def test_what_gives_them_to_async_for(make: Any, is_one: bool) -> None:
    value = make()
    assert is_async_stream(value) is is_one
    assert belongs_in_a_loop(value) is is_one
    if is_one:
        assert has_to_be_read(value)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: kind("__await__"), "was not awaited"),
        (lambda: kind("__await__", "__iter__", "result", "done"), "was not awaited"),
        (lambda: io.BytesIO(b"x"), FILE),
        (lambda: kind("__iter__", "readline"), FILE),
        (lambda: kind("readline"), None),
        (lambda: iter([1]), NOT_READ),
        (chunks, NOT_READ),
        (Future, FUTURE),
        (lambda: kind("result", "done"), FUTURE),
        (lambda: kind("result", "wait"), FUTURE),
        (lambda: kind("done", "wait"), None),
        (lambda: kind("result"), None),
        (lambda: kind("result", "__enter__"), RESOURCE),
        (lambda: contextlib.nullcontext(), RESOURCE),
        (lambda: kind("__enter__"), RESOURCE),
        (lambda: kind("__aenter__"), RESOURCE),
        (lambda: kind("__exit__"), None),
        (lambda: contextlib.nullcontext, None),
        (lambda: Listed, None),
        (MagicMock, None),
        (object, None),
        (lambda: {"a": 1}, None),
    ],
)
def test_why_it_is_no_data(make: Any, why: str | None) -> None:
    assert why_unread(make()) == why


def test_what_is_awaited() -> None:
    coroutine = answer()
    assert is_awaitable(coroutine)
    assert belongs_in_a_loop(coroutine)
    assert not is_awaitable(answer)
    assert asyncio.run(coroutine) == 1
    assert not is_file(object())
    assert [has_to_be_read(value) for value in ("text", [1], {}, 5, None, (1,), iter("a"))] == [False] * 6 + [True]
