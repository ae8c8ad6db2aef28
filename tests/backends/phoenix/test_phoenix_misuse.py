"""Wrong keys, wrong addresses, other servers, old ones: one clear line, before anything is spent, and no secrets."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.sorting import FlowRunSort

from prefect_experiments import AsyncClient, Client
from prefect_experiments.cli.app import run as run_command
from prefect_experiments.errors import BackendUnavailable, ExperimentsError, InvalidSetting
from support.fault_proxy import Answer, FaultProxy, Request
from support.patience import http
from support.phoenix_server import phoenix_server
from support.servers import free_port

SECRET = "sk-hidden-word-71c4"
ADMIN = "admin-secret-0123456789-abcdefghijklmnop"
NEVER = f"never-{uuid.uuid4().hex}"  # the name of experiments that must not begin
OLD = {"x-phoenix-server-version": "4.0", "content-type": "application/json"}
NOT_FOUND = b'{"detail":"Not Found"}'
calls: list[Any] = []


def task(input: Any) -> Any:
    calls.append(input)
    return input


@pytest.fixture(autouse=True)
def _nothing_called_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    calls.clear()
    monkeypatch.setattr("prefect_experiments.backends.patience.FIRST_PAUSE_S", 0.01)


def flow_runs(name: str) -> list[dict[str, Any]]:
    """What Prefect has of an experiment's flow runs, with everything that it shows of them."""

    async def read() -> list[dict[str, Any]]:
        async with get_client() as api:
            found = []
            named = FlowRunFilter(name=FlowRunFilterName(like_=name))
            for run in await api.read_flow_runs(flow_run_filter=named, sort=FlowRunSort.START_TIME_DESC, limit=5):
                mine = {"flow_runs": {"id": {"any_": [str(run.id)]}}}
                said = [
                    (await api.request("POST", f"/{what}/filter", json=mine)).json() for what in ("task_runs", "logs")
                ]
                found.append({"run": run.model_dump(mode="json"), "said": said})
            return found

    return asyncio.run(read())


def refused(act: Callable[[], Any], kind: type[ExperimentsError] = InvalidSetting) -> str:
    """The one line of an error."""
    with pytest.raises(kind) as caught:
        act()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    assert SECRET not in text + repr(caught.value)
    assert calls == []
    return text


def every_way(url: str, store_url: str, **options: Any) -> list[Callable[[], Any]]:
    """Calls that meet the server first."""

    def client() -> Client:
        return Client(backend="phoenix", base_url=url, store_url=store_url, **options)

    begin: dict[str, Any] = {"dataset": [{"input": 1}], "task": task, "experiment_name": NEVER, "print_summary": False}

    async def awaited() -> Any:
        made = AsyncClient(backend="phoenix", base_url=url, store_url=store_url, **options)
        return await made.experiments.run_experiment(**begin)

    return [
        lambda: client().datasets.list_datasets(),
        lambda: client().datasets.get_dataset(dataset="d"),
        lambda: client().experiments.list(),
        lambda: client().spans.get_spans_dataframe(),
        lambda: client().experiments.run_experiment(**begin),
        lambda: asyncio.run(awaited()),
    ]


def at_the_command_line(
    url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[tuple[int, str]]:
    """The exit code and the only line of two commands."""
    monkeypatch.setenv("PHOENIX_BASE_URL", url)
    rows = tmp_path / "rows.csv"
    rows.write_text("input\n1\n")
    ended = []
    for command in (["list"], ["run", str(rows), "--task", "os.path:basename"], ["datasets", "list"]):
        capfd.readouterr()
        code = run_command([*command, "--backend", "phoenix"])
        out, err = capfd.readouterr()
        assert not out
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1 and lines[0].startswith("error: "), f"{command}: {err}"  # noqa: PT018 - all of them
        assert SECRET not in err
        ended.append((code, lines[0]))
    return ended


def test_nothing_listens(
    store_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for act in every_way(url, store_url):
        text = refused(act, BackendUnavailable)
        assert text.startswith(f"Phoenix at {url} does not answer (")
        assert "is it running, and is PHOENIX_ENDPOINT or base_url= right?" in text
    for code, line in at_the_command_line(url, capfd, monkeypatch, tmp_path):
        assert code == 3
        assert f"Phoenix at {url} does not answer" in line
    assert flow_runs(NEVER) == []


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    """What ``python -m http.server`` runs."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.thorough
def test_another_web_server(
    web_server: str,
    prefect_api: str,
    store_url: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for url in (web_server, prefect_api, prefect_api.removesuffix("/api")):
        for act in every_way(url, store_url):
            text = refused(act)
            assert f"what answers at {url} is not Phoenix: GET /" in text
            assert "set PHOENIX_ENDPOINT or base_url=" in text
        for code, line in at_the_command_line(url, capfd, monkeypatch, tmp_path):
            assert code == 2
            assert f"what answers at {url} is not Phoenix" in line
    assert flow_runs(NEVER) == []


@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1:6006",
        f"https://{SECRET}@phoenix.example",
        f"http://127.0.0.1:6006/?api_key={SECRET}",
        f"phoenix://{SECRET}@host",
        "localhost:6006",
        "http://",
        "",
    ],
)
def test_addresses_that_are_none(
    url: str, store_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PHOENIX_BASE_URL", url)
    if not url:  # as if it were not set: the default, where nothing of ours listens
        assert Client(backend="phoenix", store_url=store_url).remote is not None
        return
    for act in (
        lambda: Client(backend="phoenix", base_url=url, store_url=store_url),
        lambda: Client(backend="phoenix", store_url=store_url),
        lambda: Client(store_url=store_url).experiments.run_experiment(
            dataset=[{"input": 1}], task=task, backend="phoenix", print_summary=False
        ),
    ):
        assert refused(act).startswith("Phoenix's address must")
    assert run_command(["list", "--backend", "phoenix"]) == 2
    err = capfd.readouterr().err
    assert err.startswith("error: Phoenix's address must")
    assert SECRET not in err


def test_keys_that_no_header_can_hold(store_url: str, phoenix_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (
        f"{SECRET}\nx",
        f"{SECRET}日本",
    ):  # at its end, a variable's line end is dropped, as by Phoenix's client
        with_key = functools.partial(Client, backend="phoenix", base_url=phoenix_url, store_url=store_url)
        assert "cannot be sent" in refused(functools.partial(with_key, api_key=key))
        monkeypatch.setenv("PHOENIX_API_KEY", key)
        assert "cannot be sent" in refused(with_key)
    said = refused(functools.partial(with_key, api_key=f"{SECRET}\n"))
    assert said.startswith("Phoenix's api_key or headers hold text that cannot be sent; is there a line end in them?")
    monkeypatch.setenv("PHOENIX_API_KEY", "")
    monkeypatch.setenv("PHOENIX_CLIENT_HEADERS", SECRET)
    assert "PHOENIX_CLIENT_HEADERS must be name=value" in refused(with_key)


def test_options_that_are_not_for_the_backend(store_url: str, phoenix_url: str) -> None:
    assert "'local' takes no api_key, base_url" in refused(
        lambda: Client(backend="local", base_url=phoenix_url, api_key=SECRET, store_url=store_url)
    )
    assert "did you mean 'phoenix'" in refused(lambda: Client(backend="phenix", store_url=store_url))


@pytest.mark.thorough
@pytest.mark.parametrize("status", [404, 405])
def test_a_phoenix_that_is_too_old(
    status: int,
    phoenix_url: str,
    store_url: str,
    name: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with FaultProxy(phoenix_url, lambda _: Answer(status, NOT_FOUND, OLD)) as proxy:
        for act in every_way(proxy.url, store_url):
            text = refused(act)
            assert text.startswith(f"Phoenix at {proxy.url} is version 4.0, which has no GET /v1/")
            assert text.endswith("; upgrade Phoenix")
        for code, line in at_the_command_line(proxy.url, capfd, monkeypatch, tmp_path):
            assert (code, "is version 4.0, which has no GET /v1/" in line) == (2, True)

        # One that has all but what an experiment is made with.
        def plan(request: Request) -> Answer | None:
            wanted = request.method == "POST" and request.path.endswith("/experiments")
            return Answer(status, NOT_FOUND, OLD) if wanted else None

        proxy.plan = plan
        client = Client(backend="phoenix", base_url=proxy.url, store_url=store_url)
        client.datasets.create_dataset(name=name, examples=[{"input": {"n": 1}}])
        text = refused(lambda: client.experiments.run_experiment(dataset=name, task=task, print_summary=False))
        assert "is version 4.0, which has no POST /v1/datasets/" in text
        assert proxy.count("POST", "/experiments") == 1


NOT_PHOENIX = {b'{"status": "ok"}': "dict without 'data'", b'{"data": 7}': "no objects where there should be some",
    b'{"data": [{"foo": 1}]}': "where one is expected: what answers is no Phoenix, or of a version"}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=3)
@pytest.mark.parametrize(
    "body",
    [
        *NOT_PHOENIX,
        b"",
        b'{"data": [{"id": ',
        b"null",
        b"[1, 2]",
        b'{"data": ["x"]}',
        b"\xff\xfe\x00",
    ],
    ids=str,
)
def test_answers_that_make_no_sense(
    body: bytes,
    phoenix_url: str,
    store_url: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for headers in ({"content-type": "application/json"}, {**OLD, "x-phoenix-server-version": "20.0"}):
        with FaultProxy(phoenix_url, lambda _, headers=headers: Answer(200, body, headers)) as proxy:  # type: ignore[misc]
            texts = [refused(act) for act in every_way(proxy.url, store_url)]
            assert all("hoenix" in text for text in texts)
            assert NOT_PHOENIX.get(body, "") in "".join(texts)
            for code, line in at_the_command_line(proxy.url, capfd, monkeypatch, tmp_path):
                assert (code, "hoenix" in line) == (2, True)
                assert "Error" not in line


# A Phoenix that asks for a key


@pytest.fixture(scope="module")
def locked() -> Iterator[tuple[str, str]]:
    """The URL of a Phoenix that lets nobody in without a key, and a key."""
    settings = {
        "PHOENIX_ENABLE_AUTH": "true",
        "PHOENIX_SECRET": "a-secret-of-its-own-0123456789-abcdefgh",
        "PHOENIX_ADMIN_SECRET": ADMIN,
    }
    with phoenix_server(**settings) as (url, _):
        answer = http.post(
            f"{url}/v1/system/api_keys",
            json={"data": {"name": "tests", "description": None, "expires_at": None}},
            headers={"Authorization": f"Bearer {ADMIN}"},
        )
        yield url, str(answer.raise_for_status().json()["data"]["key"])


@pytest.fixture
def door(request: pytest.FixtureRequest, phoenix_url: str) -> Iterator[tuple[str, str]]:
    """A URL at which nobody gets to a Phoenix without a key, and the key.

    Slow tests have a Phoenix that asks for it itself. Starting one takes as long as a hundred tests: the others have
    something in front of the Phoenix that all tests share, which asks for it in its place.
    """
    if request.node.get_closest_marker("slow") is not None:
        yield request.getfixturevalue("locked")
        return
    key = f"key-{uuid.uuid4().hex}"

    def plan(asked: Request) -> Answer | None:
        return None if asked.headers.get("authorization") == f"Bearer {key}" else Answer(401, b"Unauthorized")

    with FaultProxy(phoenix_url, plan) as proxy:
        yield proxy.url, key


@pytest.mark.slow
def test_a_wrong_key(
    locked: tuple[str, str],
    store_url: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, _ = locked
    with caplog.at_level(logging.DEBUG):
        for options in ({"api_key": SECRET}, {}, {"headers": {"authorization": f"Bearer {SECRET}"}}):
            for act in every_way(url, store_url, **options):
                text = refused(act)
                assert text.startswith(f"Phoenix at {url} refused the key (HTTP 401); set PHOENIX_API_KEY or api_key=")
    monkeypatch.setenv("PHOENIX_API_KEY", SECRET)
    for code, line in at_the_command_line(url, capfd, monkeypatch, tmp_path):
        assert (code, "refused the key" in line) == (2, True)
    client = Client(backend="phoenix", base_url=url, api_key=SECRET, store_url=store_url)
    assert SECRET not in repr(client) + repr(client.remote) + repr(vars(client.remote))
    assert SECRET not in caplog.text
    assert SECRET not in "".join(capfd.readouterr())
    assert not [path for path in tmp_path.glob("experiments.db*") if SECRET.encode() in path.read_bytes()]
    assert flow_runs(NEVER) == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    "way", ["api_key", *(pytest.param(way, marks=pytest.mark.slow) for way in ("environment", "headers"))]
)
def test_the_right_key_is_nowhere_to_be_seen(
    door: tuple[str, str],
    way: str,
    store_url: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    url, key = door
    options: dict[str, Any] = {}
    if way == "environment":
        monkeypatch.setenv("PHOENIX_API_KEY", key)
        monkeypatch.setenv("PHOENIX_COLLECTOR_ENDPOINT", f"{url}/v1/traces")
    elif way == "headers":
        monkeypatch.setenv("PHOENIX_CLIENT_HEADERS", f"Authorization=Bearer%20{key}")
        options = {"base_url": url}
    else:
        options = {"base_url": url, "api_key": key}
    with caplog.at_level(logging.DEBUG):
        client = Client(backend="phoenix", store_url=store_url, **options)
        ran = client.experiments.run_experiment(
            dataset=[{"input": {"n": 1}, "output": {"n": 1}}],
            task=task,
            evaluators="exact_match",
            experiment_name=name,
        )
    assert (ran.waiting, len(calls)) == (0, 1)
    assert http.get(f"{url}/v1/experiments/{ran.experiment_id}").status_code == 401
    assert client.experiments.get(experiment=name).id == ran.experiment_id
    shown = [repr(client), repr(client.remote), repr(ran), json.dumps(ran.to_dict(), default=str), caplog.text]
    assert flow_runs(name)
    shown += ["".join(capfd.readouterr()), json.dumps(flow_runs(name)), repr(sys.modules["prefect_experiments"])]
    assert not [text for text in shown if key in text]
    assert not [path for path in tmp_path.glob("experiments.db*") if key.encode() in path.read_bytes()]
