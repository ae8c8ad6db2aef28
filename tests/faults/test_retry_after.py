"""A backend that says when to come back is believed, and found back soon."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.backends.circuit_breaker import CircuitBreaker
from prefect_experiments.backends.http import Address, Http
from prefect_experiments.errors import BackendUnavailable
from prefect_experiments.tracing import sender
from support.arize import KEY, StandIn, arize, arize_server
from support.collector import Collector
from support.fault_proxy import Answer, FaultProxy, Request
from support.on_prefect import settings_for
from tests.tracing.harness import experiment, tracer_to

__all__ = ["arize", "arize_server"]


def echo(input: Any) -> Any:
    return input


def refusing(times: int, seconds: str, *, only: str = "") -> Any:
    """A plan: so many requests in a row are refused, and told when to come back."""
    left = [times]

    def plan(request: Request) -> Answer | None:
        if not request.path.endswith(only) or (only and request.method != "POST") or left[0] <= 0:
            return None
        left[0] -= 1
        return Answer(429, b"slow down", {"retry-after": seconds})

    return plan


@pytest.mark.mostly_slow
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_one_request_is_gone_on_with_while_it_is_told_when_to_come_back(form: str) -> None:
    refused = refusing(6, "0.1")

    def plan(request: Request) -> Answer:
        said = refused(request)
        if said is None:
            return Answer(200, b"1")
        moment = email.utils.formatdate(time.time() + 0.5, usegmt=True)
        return said if form == "seconds" else Answer(503, b"", {"retry-after": moment})

    with FaultProxy("http://127.0.0.1:1", plan) as server:
        client = Http(Address("Phoenix", server.url))
        assert asyncio.run(client.patiently("GET", "/v1/things")) == 1
        assert len(server.requests) == 7


def test_what_says_nothing_is_given_up_as_before() -> None:
    with FaultProxy("http://127.0.0.1:1", lambda _: Answer(503)) as server:
        with pytest.raises(BackendUnavailable):
            asyncio.run(Http(Address("Phoenix", server.url)).patiently("GET", "/v1/things"))
        assert len(server.requests) == 3


def test_a_read_that_is_waited_for_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    refused = refusing(3, "1")
    with FaultProxy("http://127.0.0.1:1", lambda request: refused(request) or Answer(200, b"1")) as server:
        assert asyncio.run(Http(Address("Phoenix", server.url)).get("/v1/things")) == 1
        place = f"Phoenix at {server.url}"
    away, back = caplog.messages
    assert away == f"{place} is busy or away (answered HTTP 429: slow down): waiting for it, up to 120 s."
    assert back.startswith("Phoenix answers again after")


def test_what_asks_for_too_much_is_given_up_at_once() -> None:
    with FaultProxy("http://127.0.0.1:1", refusing(9, "3600")) as server:
        with pytest.raises(BackendUnavailable, match="asks to be left alone for 3600 s"):
            asyncio.run(Http(Address("Phoenix", server.url)).get("/v1/things"))
        assert len(server.requests) == 1


def test_pauses_do_not_grow_beyond_what_was_asked_for() -> None:
    breaker = CircuitBreaker()
    pauses = []
    for _ in range(18):
        now = time.monotonic()
        breaker.failed(BackendUnavailable("busy", retry_after=1.0), now)
        pauses.append(breaker.again_at - now)
    assert max(pauses) < 1.5
    assert min(pauses) >= 0.99


def test_a_collector_s_date_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_senders", {})
    monkeypatch.setattr(sender, "LINGER_S", 0.05)
    monkeypatch.setattr(sender, "FIRST_BACKOFF_S", 0.02)
    with Collector() as collector:
        collector.status = 503
        collector.headers = {"Retry-After": email.utils.formatdate(time.time() + 3, usegmt=True)}
        tracer = tracer_to(collector)
        experiment(lambda given: given, [1], tracer=tracer)
        collector.wait_for_requests(1)
        collector.status = 200
        collector.wait_for(1)
        first, second = collector.requests
        assert second.at - first.at > 0.9


@pytest.mark.slow
def test_nine_refusals_cost_ax_s_push_nine_seconds(arize: StandIn, tmp_path: Path) -> None:
    where = {"api_host": arize.host, "api_port": arize.port, "api_scheme": "http"}
    store = f"sqlite:///{tmp_path / 'store.db'}"
    local = Client(backend="local", store_url=store)
    client = Client(backend="arize", api_key=KEY, space="default", store_url=store, **where)
    rows = [{"id": f"e{n}", "input": n, "output": n} for n in range(30)]
    client.datasets.create_dataset(name="nine", examples=rows)
    local.datasets.create_dataset(name="nine", examples=rows)
    runs = [{"example_id": f"e{n}", "output": n} for n in range(30)]
    made = local.experiments.create(name="nine", dataset="nine", experiment_runs=runs)
    arize.fail({"times": 9, "status": 429, "headers": {"Retry-After": "1"}})
    began = time.monotonic()
    assert client.experiments.push(experiment=made.id).waiting == 0
    assert time.monotonic() - began >= 9
    assert len(arize.experiment("nine")["runs"]) == 30


@pytest.fixture
def prefect(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    with settings_for(prefect_api):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize("only", ["", "/runs"], ids=["from the start", "while results are pushed"])
def test_eighteen_refusals_in_a_row_are_waited_for(only: str, phoenix_url: str, tmp_path: Path) -> None:
    with FaultProxy(phoenix_url, refusing(18, "1", only=only)) as proxy:
        client = Client(backend="phoenix", base_url=proxy.url, store_url=f"sqlite:///{tmp_path / 'store.db'}")
        ran = client.experiments.run_experiment(
            dataset=[{"input": n} for n in range(5)], task=echo, print_summary=False
        )
        assert proxy.faults["429"] == 18
        assert ran.waiting == 0
        assert len(client.experiments.get_results(experiment=ran.experiment_id).task_runs) == 5
