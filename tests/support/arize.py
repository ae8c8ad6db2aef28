"""A stand-in for Arize AX, and AX's official client, both in a virtualenv of their own.

    def test_something(arize: StandIn, official: Official): ...

The official package `arize` needs pandas 2, so it lives in `.venv-arize` (`make setup`), an older version of it in
`.venv-arize-old`. The stand-in needs it too: it validates requests with its models.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.environment import without_prefect
from support.patience import PATIENCE_S
from support.servers import Server, free_port, running

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV, OLD_VENV = ROOT / ".venv-arize", ROOT / ".venv-arize-old"
KEY = "test-key"


class StandIn:
    """The stand-in, as tests see it: where it is, what it has, what it was asked, and what goes wrong in it."""

    def __init__(self, port: int, otlp_grpc_port: int) -> None:
        self.host, self.port, self.otlp_grpc_port = "127.0.0.1", port, otlp_grpc_port
        self.url = f"http://{self.host}:{port}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def set(self, **settings: Any) -> None:
        """See `DEFAULTS` in `arize_stand_in/server.py`."""
        self._ask("PUT", "settings", settings)

    def fail(self, *rules: dict[str, Any]) -> None:
        """What goes wrong from now on (`arize_stand_in/faults.py`); without rules, nothing."""
        self._ask("PUT", "faults", list(rules))

    def add_space(self, name: str) -> str:
        """A further space; its id."""
        return str(self._ask("POST", "spaces", {"name": name})["id"])

    def allow_annotation(self, name: str, space: str | None = None) -> None:
        """An annotation config."""
        self._ask("POST", "annotation-configs", {"name": name, "space_id": space or self.space_id()})

    def space_id(self, name: str = "default") -> str:
        return next(space["id"] for space in self.state()["spaces"] if space["name"] == name)

    def state(self) -> dict[str, Any]:
        """Everything that it has."""
        return dict(self._ask("GET", "state"))

    def requests(self, path: str = "", method: str | None = None) -> list[dict[str, Any]]:
        """What it was asked, in order."""
        found = self._ask("GET", f"requests?path={urllib.request.quote(path)}")  # type: ignore[attr-defined]
        return [request for request in found if method in (None, request["method"])]

    def forget_requests(self) -> None:
        self._ask("DELETE", "requests")

    def bodies(self, path: str, method: str = "POST") -> list[Any]:
        """The JSON of what it was sent."""
        return [json.loads(request["raw"]) for request in self.requests(path, method) if request["raw"]]

    def experiment(self, name: str) -> dict[str, Any]:
        """The only experiment of a name, with its runs."""
        (found,) = [one for one in self.state()["experiments"] if one["name"] == name]
        return dict(found)

    def spans(self) -> dict[str, Any]:
        return dict(self._ask("GET", "spans"))

    def reset(self) -> None:
        self._ask("POST", "reset")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/control/{path}", data, method=method)
        with self._opener.open(request, timeout=PATIENCE_S) as answer:
            return json.loads(answer.read())


class OfficialError(Exception):
    """What the official client raised: its type, the HTTP status if any, and the text."""

    def __init__(self, kind: str, status: int | None, text: str) -> None:
        super().__init__(f"{kind} {status or ''}: {text}")
        self.kind, self.status = kind, status


class Official:
    """The official client. Code that is given to it leaves what it has to say in ``result``."""

    def __init__(self, venv: Path, stand_in: StandIn, folder: Path) -> None:
        options = {
            "api_key": KEY,
            "api_host": stand_in.host,
            "api_port": stand_in.port,
            "api_scheme": "http",
            "otlp_host": stand_in.host,
            "otlp_port": stand_in.otlp_grpc_port,
            "otlp_scheme": "http",
            "arize_directory": str(folder),
        }
        if venv == OLD_VENV:  # it has no api_port
            options["api_host"] = f"{stand_in.host}:{options.pop('api_port')}"
            options["otlp_host"] = f"{stand_in.host}:{options.pop('otlp_port')}"
        self._log = (folder / "official.log").open("wb")
        self._process = subprocess.Popen(
            [_python(venv), str(HERE / "arize_stand_in" / "official.py"), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**without_prefect(os.environ), "ARIZE_LOG_ENABLE": "false"},
        )

    def __call__(self, code: str, **values: Any) -> Any:
        """Run code; what it left in ``result``, as JSON.

        Raises:
            OfficialError: what it raised.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "values": values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the official client ended; see {self._log.name}"
        answer = json.loads(line)
        if "error" in answer:
            raise OfficialError(*answer["error"])
        return answer["result"]

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """All runs, as the official client reads them page by page."""
        code = """
result, cursor = [], None
while True:
    page = client.experiments.list_runs(experiment=experiment, limit=500, cursor=cursor)
    result += page.experiment_runs
    cursor = page.pagination.next_cursor
    if not page.pagination.has_more:
        break
"""
        return list(self(code, experiment=experiment))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._log.close()


def _python(venv: Path) -> str:
    python = venv / "bin" / "python"
    if not python.exists():
        raise RuntimeError(f"there is no {venv.name} with the official package arize; `make setup` makes it")
    return str(python)


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    """Start a stand-in."""
    with tempfile.TemporaryDirectory(prefix="arize-", ignore_cleanup_errors=True) as folder:
        started = StandIn(free_port(), free_port())
        command = [_python(VENV), str(HERE / "arize_stand_in"), "--port", str(started.port)]
        command += ["--otlp-grpc-port", str(started.otlp_grpc_port)]
        log = Path(folder, "server.log")
        with running(Server(command, without_prefect(os.environ), f"{started.url}/control/health", log)):
            yield started


@pytest.fixture(scope="session")
def arize_server() -> Iterator[StandIn]:
    """The stand-in that all tests share."""
    with stand_in() as started:
        yield started


@pytest.fixture
def arize(arize_server: StandIn) -> StandIn:
    """The stand-in with nothing in it but the space ``default``."""
    arize_server.reset()
    return arize_server


@pytest.fixture
def arize_url(arize: StandIn) -> str:
    """Where the stand-in is."""
    return arize.url


@contextlib.contextmanager
def official_client(venv: Path, stand_in: StandIn) -> Iterator[Official]:
    """The official client of a virtualenv."""
    with tempfile.TemporaryDirectory(prefix="arize-official-", ignore_cleanup_errors=True) as folder:
        client = Official(venv, stand_in, Path(folder))
        try:
            yield client
        finally:
            client.close()


@pytest.fixture(scope="session")
def official(arize_server: StandIn) -> Iterator[Official]:
    """The official client, 8.61."""
    with official_client(VENV, arize_server) as client:
        yield client


@pytest.fixture(scope="session")
def official_old(arize_server: StandIn) -> Iterator[Official]:
    """The official client, 8.42; in slow tests only."""
    with official_client(OLD_VENV, arize_server) as client:
        yield client
