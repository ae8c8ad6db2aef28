"""A gate in front of a real Prefect server, of HTTP and of websockets: it lets through, or goes wrong as it is told.

    with Gate(prefect_api) as gate:
        ...                      # what is under test calls gate.api
        gate.set("hang")         # takes connections and never answers
        gate.set("refuse")       # nothing listens any more, and connections that there were are gone
        gate.set(503)            # answers so, whatever is asked
        gate.set("html")         # answers with a page, as a proxy that wants a login does
        gate.set("json")         # answers with JSON that Prefect never says
        gate.set("pass")

Unlike `fault_proxy` it knows bytes, not messages: events go over websockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from urllib.parse import urlsplit

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

from support.patience import PATIENCE_S
from support.servers import free_port

Mode = str | int
PAGES = {
    "html": (b"text/html", b"<!doctype html><title>Login</title>"),
    "json": (b"application/json", b'{"status": "ok"}'),
}

_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n")


class Gate:
    """The gate: open while it is entered.

    Args:
        api: URL of the server's API.

    Attributes:
        mode: what it does now.
        requests: method and path of all that began to come through it, in each mode, in order.
    """

    def __init__(self, api: str) -> None:
        place = urlsplit(api)
        self._upstream = (str(place.hostname), int(place.port or 80))
        self._path = place.path
        self.mode: Mode = "pass"
        self.requests: list[tuple[Mode, str, str]] = []
        self._port = free_port()  # its own while it refuses, too
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="prefect-gate", daemon=True)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._port}{self._path}"

    def set(self, mode: Mode) -> None:
        """Change what it does, for connections that there are as well."""
        asyncio.run_coroutine_threadsafe(self._set(mode), self._loop).result(PATIENCE_S)

    def __enter__(self) -> Gate:
        self._thread.start()
        self.set("pass")
        return self

    def __exit__(self, *_: object) -> None:
        # Prefect's queues of this process go on sending to where they were first made for, whatever is set later.
        self.set("refuse")  # what hangs is gone
        self.set("pass")
        for queue in (EventsWorker, APILogWorker):
            queue.drain_all(timeout=PATIENCE_S, at_exit=False)
        self.set("refuse")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    async def _set(self, mode: Mode) -> None:
        self.mode = mode
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
            connections = set(self._connections)
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
        elif mode != "refuse" and self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        back: asyncio.Task[None] | None = None
        upstream: asyncio.StreamWriter | None = None
        try:
            while data := await reader.read(65536):
                self.requests += [(self.mode, m[1].decode(), m[2].decode()) for m in _REQUEST.finditer(data)]
                if self.mode == "hang":
                    await asyncio.Event().wait()
                if isinstance(self.mode, int):
                    writer.write(
                        b"HTTP/1.1 %d Out of Order\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.mode
                    )
                    await writer.drain()
                    return
                if self.mode in PAGES:
                    kind, page = PAGES[str(self.mode)]
                    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                    writer.write(head % (kind, len(page)) + page)
                    await writer.drain()
                    return
                if upstream is None:
                    answers, upstream = await asyncio.open_connection(*self._upstream)
                    back = asyncio.create_task(self._back(answers, writer))
                upstream.write(data)
                await upstream.drain()
        except (OSError, asyncio.CancelledError):
            pass  # either side has gone, or this is to end
        finally:
            self._connections.discard(task)
            if back is not None:
                back.cancel()
            for side in (upstream, writer):
                if side is not None:
                    side.close()

    async def _back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await answers.read(65536):
                if self.mode == "hang":
                    await asyncio.Event().wait()
                writer.write(data)
                await writer.drain()
            writer.close()
