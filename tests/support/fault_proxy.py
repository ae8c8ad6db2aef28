"""A reverse proxy that goes wrong as it is told: in front of a real server, for what that does not do on demand.

    with FaultProxy(phoenix_url) as proxy:
        proxy.plan = lambda request: Answer(503) if request.path.endswith("/runs") else None
        ...                                       # what is under test calls proxy.url
        assert proxy.count("POST", "/runs") == 5

A plan says of each request what is to become of it; ``None`` passes it on. It runs in the proxy's
thread, and can be changed at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11
import orjson

from support.patience import PATIENCE_S

HTML = b"<!doctype html><html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>"


@dataclass(frozen=True)
class Request:
    """A request that came in."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Pass:
    """Pass it on; the answer comes later by so many seconds."""

    delay: float = 0.0


@dataclass(frozen=True)
class Answer:
    """Answer in the server's place, which never sees the request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """Close the connection; `after` the server has done what was asked, so that nobody knows that it has."""

    after: bool = False


@dataclass(frozen=True)
class Hang:
    """Never answer."""


Action = Pass | Answer | Cut | Hang | None
Plan = Callable[[Request], Action]

TOO_MANY = Answer(429, b"slow down", {"retry-after": "0.2"})
GARBAGE = Answer(200, b'{"data": {"id": "RXhwZX', {"content-type": "application/json"})
EMPTY = Answer(200)
FOREIGN = Answer(200, b'{"status": "ok"}', {"content-type": "application/json"})
PAGE = Answer(200, HTML, {"content-type": "text/html"})
BAD_GATEWAY = Answer(502, HTML, {"content-type": "text/html"})
STORM: Sequence[Action] = (
    *(TOO_MANY, Answer(500, b"Internal Server Error"), BAD_GATEWAY, Answer(503), Cut(), Cut(after=True), Hang()),
    *(GARBAGE, EMPTY, FOREIGN, PAGE),
)


def storm(seed: int, share: float, faults: Sequence[Action] = STORM, *, only: Callable[[Request], bool]) -> Plan:
    """Something goes wrong with a share of the requests, at random."""
    rng = random.Random(seed)
    return lambda request: rng.choice(faults) if only(request) and rng.random() < share else None


class FaultProxy:
    """The proxy: runs while it is entered.

    Attributes:
        upstream: the URL of the server behind it.
        plan: what becomes of the requests.
        requests: all that have come in.
        faults: how many went wrong, by kind.
        passed: those that the server has answered with success.
        connections, open_connections: how many there were, and how many there are.
    """

    def __init__(self, upstream: str, plan: Plan = lambda _: None) -> None:
        self.upstream = upstream
        self.plan = plan
        self.requests: list[Request] = []
        self.faults: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._serving: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.passed: list[Request] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def open_connections(self) -> int:
        return len(self._serving)

    def count(self, method: str, ending: str) -> int:
        """How many requests there were of a method to paths with an ending."""
        return sum(r.method == method and r.path.endswith(ending) for r in self.requests)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(PATIENCE_S)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    async def _open(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def _close(self) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        client, server = _Connection(h11.SERVER, reader, writer), _Upstream()
        try:
            while await self._one(client, server):
                pass
        except (OSError, EOFError, h11.ProtocolError, asyncio.CancelledError):
            pass  # either side has gone, or the tests are over
        finally:
            self._serving.discard(task)
            server.close()
            client.close()

    async def _one(self, client: _Connection, server: _Upstream) -> bool:
        """One request; whether the connection goes on."""
        head, body = await client.message()
        method, path = head.method.decode(), head.target.decode()
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        request = Request(len(self.requests) + 1, method, path, headers, body, time.monotonic())
        self.requests.append(request)
        action = self.plan(request)
        if action is not None and not isinstance(action, Pass):
            self.faults[_kind(action)] += 1
        match action:
            case Hang():
                await client.reader.read()  # until whoever waits gives up
                return False
            case Cut(after=False):
                return False
            case Answer(status, content, more):
                await client.answer(status, [(name.encode(), value.encode()) for name, value in more.items()], content)
                return True
        status, answer_headers, content = await server.ask(self.upstream, head, body)
        if status < 400:
            self.passed.append(request)
        if isinstance(action, Cut):
            return False
        if isinstance(action, Pass) and action.delay:
            await asyncio.sleep(action.delay)
        await client.answer(status, answer_headers, content)
        return True


def _kind(action: Action) -> str:
    match action:
        case Answer(status, _, _) if status != 200:
            return str(status)
        case Cut(after):
            return "cut after" if after else "cut before"
        case Hang():
            return "hang"
    return "garbage"


class _Connection:
    """One side of a connection, as whole messages."""

    def __init__(self, role: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self._state = h11.Connection(role)

    async def message(self) -> tuple[Any, bytes]:
        """The next head and its body."""
        head, parts = None, []
        while True:
            event = self._state.next_event()
            if event is h11.NEED_DATA:
                self._state.receive_data(await self.reader.read(65536))
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                if self._state.our_role is h11.CLIENT:
                    self._state.start_next_cycle()
                return head, b"".join(parts)
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError
            else:
                head = event

    async def send(self, head: Any, body: bytes) -> None:
        data = self._state.send(head) or b""
        data += self._state.send(h11.Data(data=body)) or b"" if body else b""
        self._writer.write(data + (self._state.send(h11.EndOfMessage()) or b""))
        await self._writer.drain()

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        ours = {b"content-length", b"transfer-encoding", b"connection"}
        kept = [(name, value) for name, value in headers if name.lower() not in ours]
        length = [] if status in (204, 304) else [(b"content-length", str(len(body)).encode())]
        await self.send(h11.Response(status_code=status, headers=[*kept, *length]), body)
        self._state.start_next_cycle()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._writer.close()


class _Upstream:
    """The connection to the server behind the proxy; one for each that comes in."""

    def __init__(self) -> None:
        self._connection: _Connection | None = None

    async def ask(self, url: str, head: Any, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        for is_new in (self._connection is None, True):
            try:
                if self._connection is None:
                    place = urlsplit(url)
                    streams = await asyncio.open_connection(place.hostname, place.port)
                    self._connection = _Connection(h11.CLIENT, *streams)
                request = h11.Request(method=head.method, target=head.target, headers=head.headers)
                await self._connection.send(request, body)
                answer, content = await self._connection.message()
            except (OSError, EOFError, h11.ProtocolError):
                self.close()
                if is_new:  # else it may just have been closed for being idle
                    raise
            else:
                return answer.status_code, list(answer.headers), content
        raise EOFError

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
