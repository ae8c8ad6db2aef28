"""A stream that a task gives is read to its end, inside the call: its timeout, its thread, its context."""

from __future__ import annotations

import asyncio
import contextvars
import io
import itertools
import json
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import httpx
import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_experiments.engine import streams
from prefect_experiments.jsonable import NotJson
from support.patience import PATIENCE_S

from .harness import evaluate, run

TOO_LONG = "TimeoutError: no answer within timeout=0.2 s"
TEXT = ["Pa", "ri", "s ", "é漢"]


def sync_chunks(chunks):
    yield from chunks


async def async_chunks(chunks):
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


class OwnStream:
    """As client libraries write theirs."""

    def __init__(self, chunks):
        self.chunks = chunks
        self.closed = False

    def __iter__(self):
        yield from self.chunks

    def close(self):
        self.closed = True


class OwnAsyncStream:
    def __init__(self, chunks):
        self.chunks = chunks
        self.closed = False

    async def __aiter__(self):
        for chunk in self.chunks:
            yield chunk

    async def close(self):
        self.closed = True


def generator(chunks):
    def task(input):
        yield from chunks

    return task


def async_generator(chunks):
    async def task(input):
        for chunk in chunks:
            await asyncio.sleep(0)
            yield chunk

    return task


class CallableObject:
    def __init__(self, chunks):
        self.chunks = chunks

    async def __call__(self, input):
        for chunk in self.chunks:
            yield chunk


def from_async(make):
    def of(chunks):
        async def task(input):
            return make(chunks)

        return task

    return of


def from_sync(make):
    return lambda chunks: lambda x: make(chunks)


async def coroutine_of(value):
    return value


FORMS = {
    "generator function": generator,
    "async generator function": async_generator,
    "callable object": CallableObject,
    **{
        f"{name} of {how.__name__}": how(make)
        for name, make in {
            "generator": sync_chunks,
            "async generator": async_chunks,
            "stream": OwnStream,
            "async stream": OwnAsyncStream,
            "iterator": iter,
            "map": lambda chunks: map(str, chunks),
            "coroutine of a coroutine": lambda chunks: coroutine_of(coroutine_of(chunks and "".join(chunks))),
            "coroutine of a generator": lambda chunks: coroutine_of(sync_chunks(chunks)),
            "coroutine of an async generator": lambda chunks: coroutine_of(async_chunks(chunks)),
        }.items()
        for how in (from_sync, from_async)
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_text_is_joined(form, caplog):
    results = run(form(TEXT), range(3))
    assert results.errors() == []
    assert results.outputs() == ["Paris é漢"] * 3
    assert not caplog.records


@pytest.mark.parametrize("form", [generator, async_generator, from_async(sync_chunks), from_sync(async_chunks)])
def test_other_chunks_are_a_list(form):
    assert run(form([{"a": 1}, {"b": None}])).output() == [{"a": 1}, {"b": None}]
    assert run(form(["text", 1])).output() == ["text", 1]
    assert run(form([1])).output() == [1]
    assert run(form([])).output() == ""


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text() | st.integers(-9, 9)), st.sampled_from([generator, async_generator]))
def test_nothing_of_a_stream_is_lost(chunks, form):
    all_text = all(isinstance(chunk, str) for chunk in chunks)
    assert run(form(chunks)).output() == ("".join(chunks) if all_text else chunks)


@pytest.mark.parametrize(
    "value",
    [{"a": 1}, ["a", "b"], "text", ("a", "b"), {"a"}, range(2), {"k": "v"}.keys(), None, 3],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_stream_stays_what_it_is(value):
    async def task(input):
        return value

    kept = run(lambda x: value).output()
    assert kept == run(task).output()
    assert kept == (value if isinstance(value, dict | str | int | None) else list(value))


# --- clients of LLMs --------------------------------------------------------------------------


def sse(library, events):
    """The events as a server sends them, each with its name where it has one."""
    heads = [f"event: {event['type']}\n" if "type" in event else "" for event in events]
    lines = [f"{head}data: {json.dumps(event)}\n\n" for head, event in zip(heads, events, strict=True)]
    text = "".join([*lines, "data: [DONE]\n\n"])
    return library.Response(200, headers={"content-type": "text/event-stream"}, text=text)


def openai_chunk(delta, **more):
    choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        **more,
    }


OPENAI = [
    openai_chunk({"role": "assistant", "content": ""}),
    openai_chunk({"content": "Pa"}),
    openai_chunk({"content": "ris"}),
    openai_chunk({}),
    openai_chunk({}, choices=[], usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
]
TOOL = [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
USAGE = {"input_tokens": 1, "output_tokens": 1}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": USAGE,
}
ANTHROPIC = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Pa"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ris"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE},
    {"type": "message_stop"},
]


def transport(library, events):
    return library.MockTransport(lambda request: sse(library, events))


def with_openai(events, is_async=False):
    kind, http = (openai.AsyncOpenAI, httpx.AsyncClient) if is_async else (openai.OpenAI, httpx.Client)

    def task(input):
        client = kind(api_key="none", http_client=http(transport=transport(httpx, events)))
        return client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": str(input)}], stream=True
        )

    return task


def with_anthropic(events, is_async=False):
    import anthropic  # takes a second and a half, which each process of the tests would need to read this module

    kind, http = (anthropic.AsyncAnthropic, httpx2.AsyncClient) if is_async else (anthropic.Anthropic, httpx2.Client)

    def task(input):
        client = kind(api_key="none", http_client=http(transport=transport(httpx2, events)))
        return client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": str(input)}], stream=True
        )

    return task


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("client", "events"), [(with_openai, OPENAI), (with_anthropic, ANTHROPIC)])
def test_the_text_of_a_clients_stream(client, events, is_async):
    assert run(client(events, is_async), retries=0).output() == "Paris"


def test_the_text_of_openais_responses_and_of_chunks_that_are_dicts():
    events = [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.added", "item": {"type": "reasoning"}},
        {"type": "response.output_text.delta", "delta": "Pa"},
        {"type": "response.output_text.delta", "delta": "ris"},
        {"type": "response.output_text.done", "text": "Paris"},
        {"type": "response.completed", "response": {"id": "r"}},
    ]
    assert run(generator(events)).output() == "Paris"
    assert run(async_generator(OPENAI)).output() == "Paris"
    more = [*events, {"type": "response.function_call_arguments.delta", "delta": "{}"}]
    assert run(generator(more)).output() == more
    refused = [*OPENAI, openai_chunk({"refusal": "I cannot"})]
    assert run(generator(refused)).output() == refused


def test_calls_of_tools_are_kept_as_they_came():
    output = run(with_openai([*OPENAI[:2], openai_chunk({"tool_calls": TOOL})]), retries=0).output()
    assert [chunk["choices"][0]["delta"].get("content") for chunk in output] == ["", "Pa", None]
    assert output[2]["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "f"
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    output = run(with_anthropic([ANTHROPIC[0], start]), retries=0).output()
    assert output[1]["content_block"]["name"] == "f"


# --- errors and time --------------------------------------------------------------------------


@pytest.mark.parametrize("form", [sync_chunks, async_chunks])
@pytest.mark.parametrize("how", [from_sync, from_async])
def test_a_stream_that_breaks_off_is_that_runs_error(form, how):
    calls = []

    def chunks():
        calls.append(1)
        yield "Pa"
        yield "ris"
        raise ConnectionError("reset by peer")

    row = run(lambda x: how(form)(chunks())(x), retries=2).run()
    assert row.error == "ConnectionError: reset by peer (the stream broke off after 2 chunks)"
    assert (row.output_json, row.attempts, len(calls)) == (None, 3, 3)


def test_an_error_that_is_raised_again_and_again_says_so_once():
    error = ConnectionError("gone")

    def task(input):
        yield input
        raise error

    assert run(task, range(3), retries=1).errors() == ["ConnectionError: gone (the stream broke off after 1 chunk)"] * 3


def test_a_refusal_in_the_middle_is_a_refusal():
    class Busy(Exception):
        status_code = 429

    calls = []

    async def task(input):
        calls.append(input)
        yield "a"
        if len(calls) == 1:
            raise Busy

    row = run(task, retries=0).run()
    assert (row.error, row.output_json, row.attempts) == (None, '"a"', 2)


def endless_sync(input):
    for number in itertools.count():
        time.sleep(0.001)
        yield number


async def endless_async(input):
    for number in itertools.count():
        await asyncio.sleep(0.001)
        yield number


async def endless_without_waiting(input):
    while True:
        time.sleep(0.001)
        yield 1


async def endless_sync_of_async(input):
    return endless_sync(input)


@pytest.mark.parametrize("task", [endless_sync, endless_async, endless_without_waiting, endless_sync_of_async])
def test_an_endless_stream_ends_by_the_timeout(task):
    assert run(task, retries=0, timeout=0.2).run().error.partition(" (")[0] == TOO_LONG


@pytest.mark.parametrize("form", [lambda f: f, from_async(lambda f: f(1))], ids=["sync", "async"])
def test_a_thread_stops_reading_what_nobody_waits_for(form):
    ended = threading.Event()

    def endless(input):
        try:
            yield from endless_sync(input)
        finally:
            ended.set()

    task = endless if form(1) == 1 else form(endless)
    assert run(task, retries=0, timeout=0.2).run().error == TOO_LONG
    assert ended.wait(PATIENCE_S)


def test_an_async_generator_cleans_up_at_the_timeout():
    cleaned = []

    async def task(input):
        try:
            yield "a"
            await asyncio.sleep(60)
        finally:
            cleaned.append(input)

    assert run(task, ["x"], retries=0, timeout=0.2).errors()
    assert cleaned == ["x"]


def test_streams_are_closed():
    opened = []

    def stream(kind):
        opened.append(kind(["a"]))
        return opened[-1]

    for kind in (OwnStream, OwnAsyncStream):
        assert run(lambda x, kind=kind: stream(kind)).output() == "a"
    assert [each.closed for each in opened] == [True, True]


def test_a_stream_of_a_million_chunks_is_kept_and_a_longer_one_is_an_error():
    assert streams.Reading().read(itertools.repeat("a", 1_000_000)) == "a" * 1_000_000
    with pytest.raises(NotJson, match="more than 1,000,000 chunks"):
        streams.Reading().read(itertools.repeat("a", 1_000_001))


def test_more_chunks_than_anybody_means(monkeypatch):
    monkeypatch.setattr(streams, "MOST_CHUNKS", 1000)
    error = "NotJson: the stream has more than 1,000 chunks; end it, or return what you need of it"
    for task in (lambda x: itertools.count(), async_generator(itertools.count())):
        row = run(task, retries=3).run()
        assert row.error.startswith(error)
        assert row.attempts == 1


def test_a_sync_stream_of_async_code_does_not_hold_up_the_others():
    """They wait for each other: read one after the other they would never end."""
    all_here = threading.Barrier(4)

    async def task(input):
        def chunks():
            all_here.wait(PATIENCE_S)
            yield "a"

        return chunks()

    assert run(task, range(4), concurrency=4, retries=0).outputs() == ["a"] * 4


@pytest.mark.parametrize("form", [from_sync, from_async])
@pytest.mark.parametrize("make", ["sync", "async"])
def test_a_stream_is_read_in_the_calls_own_context(form, make):
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    def chunks(value):
        seen.append(variable.get())
        variable.set("of the stream")
        yield value

    async def achunks(value):
        seen.append(variable.get())
        variable.set("of the stream")
        yield value

    def call(value):
        seen.append(variable.get())
        variable.set("of the call")
        return chunks("x") if make == "sync" else achunks("x")

    run(form(call)(1), range(3), concurrency=1)
    assert seen == ["unset", "of the call"] * 3


# --- what cannot be read ----------------------------------------------------------------------


async def coroutine():
    return 1


def opened():
    return Path(__file__).open()


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning", "ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: [coroutine()], "coroutine at [0] was not awaited"),
        (lambda: {"answers": [1, coroutine()]}, "coroutine at ['answers'][1] was not awaited"),
        (lambda: {"a": (x for x in "ab")}, "generator at ['a'] was not read"),
        (lambda: {"a": async_chunks("ab")}, "async_generator at ['a'] was not read"),
        (lambda: [iter([1])], "list_iterator at [0] was not read"),
        (lambda: [OwnStream(["a"])], "OwnStream at [0] was not read"),
        (lambda: sync_chunks([coroutine()]), "coroutine at [0] was not awaited"),
        (opened, "TextIOWrapper is an open file"),
        (lambda: {"file": io.BytesIO(b"x")}, "BytesIO at ['file'] is an open file"),
        (threading.Lock, "lock is a resource"),
        (lambda: {"client": httpx.Client()}, "Client at ['client'] is a resource"),
        (
            lambda: httpx.Response(200, stream=httpx.ByteStream(b"")),
            "Response was not read; read it before its client is closed",
        ),
        (lambda: [Future()], "Future at [0] is a future; return its result"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_cannot_be_read_is_that_runs_error_at_once(make, said, is_async):
    calls = []

    def task(input):
        calls.append(input)
        return make()

    async def atask(input):
        return task(input)

    results = run(atask if is_async else task, ["x", "y"], retries=3)
    assert [row.output_json for row in results.runs] == [None, None]
    assert all(error.startswith(f"NotJson: {said}") for error in results.errors())
    assert sorted(calls) == ["x", "y"]  # trying again would change nothing


def test_an_evaluator_that_streams_has_no_evaluation():
    def judge(output):
        yield 1.0

    async def ajudge(output):
        yield 1.0

    for each in (judge, ajudge):
        row = evaluate(each, retries=0).evaluation()
        assert (row.score, row.label) == (None, None)
        assert "generator" in row.error
