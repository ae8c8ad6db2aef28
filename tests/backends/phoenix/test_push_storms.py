"""Phoenix is slow, busy, breaks, hangs or is answered for by others: nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from pathlib import Path
from typing import Any

import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client, arun_experiment
from support.fault_proxy import STORM, Answer, Cut, FaultProxy, storm

from .pushes import assert_whole, is_push, options, phoenix, rows


@pytest.fixture(autouse=True)
def _small_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_BACKEND_TIMEOUT", "3")


@pytest.mark.slow
def test_every_fifth_request_goes_wrong(
    phoenix_url: str, store_url: str, name: str, official: PhoenixClient, postgres_url: str
) -> None:
    """On a store of either sort: one experiment as it runs, another that was run before."""
    with FaultProxy(phoenix_url) as proxy:
        client = phoenix(proxy.url, store_url)
        proxy.plan = storm(1, 0.2, only=is_push)
        ran = client.experiments.run_experiment(dataset=rows(60), experiment_name=name, **options)
        assert_whole(official, ran, 60)
        assert len(proxy.faults) >= 7, proxy.faults

        Client(backend="local", store_url=postgres_url).experiments.run_experiment(
            dataset=rows(30), experiment_name=f"{name} pushed", **options
        )
        proxy.plan = storm(2, 0.2, only=is_push)
        pushed = phoenix(proxy.url, postgres_url).experiments.push(experiment="latest")
        assert_whole(official, pushed, 30)


@pytest.mark.slow
@pytest.mark.parametrize("fault", STORM, ids=lambda fault: str(fault)[:30])
def test_every_third_request_goes_wrong_in_one_way(
    phoenix_url: str, store_url: str, name: str, official: PhoenixClient, fault: Any
) -> None:
    with FaultProxy(phoenix_url) as proxy:
        proxy.plan = storm(3, 1 / 3, [fault], only=is_push)
        ran = phoenix(proxy.url, store_url).experiments.run_experiment(
            dataset=rows(40), experiment_name=name, **options
        )
        assert_whole(official, ran, 40)


@pytest.mark.thorough
def test_what_was_taken_without_our_knowing_is_there_once(
    phoenix_url: str, store_url: str, name: str, official: PhoenixClient
) -> None:
    """Each first request is cut after Phoenix has done it, so each second one says what is there already."""
    with FaultProxy(phoenix_url) as proxy:
        seen: set[bytes] = set()

        def first_time(body: bytes) -> bool:
            return body not in seen and not seen.add(body)  # type: ignore[func-returns-value]

        proxy.plan = lambda request: Cut(after=True) if is_push(request) and first_time(request.body) else None
        client = phoenix(proxy.url, store_url)
        ran = client.experiments.run_experiment(dataset=rows(15), experiment_name=name, **options)
        assert proxy.faults["cut after"] == 15 + 2 * 14
        assert_whole(official, ran, 15)


def test_a_phoenix_that_asks_to_be_left_alone_is(
    phoenix_url: str, store_url: str, name: str, official: PhoenixClient
) -> None:
    with FaultProxy(phoenix_url) as proxy:
        client = phoenix(proxy.url, store_url)
        busy = Answer(429, b"", {"retry-after": "2"})
        refused: list[float] = []

        def plan(request: Any) -> Any:
            if not is_push(request) or (refused and request.at > refused[0] + 1.9):
                return None
            refused.append(request.at)
            return busy

        proxy.plan = plan
        ran = client.experiments.run_experiment(dataset=rows(10), experiment_name=name, **options)
        assert len(refused) <= 4, "no more than were under way"
        assert_whole(official, ran, 10)


@pytest.mark.slow
def test_two_experiments_in_one_process(
    phoenix_url: str, store_url: str, tmp_path: Path, name: str, official: PhoenixClient
) -> None:
    """Two in one loop, through one client, and a third in another thread."""
    with FaultProxy(phoenix_url) as proxy:
        proxy.plan = storm(4, 0.1, only=is_push)
        client = phoenix(proxy.url, store_url)
        other = phoenix(proxy.url, f"sqlite:///{tmp_path / 'other.db'}")
        rans: list[Any] = []

        def in_thread() -> None:
            rans.append(other.experiments.run_experiment(dataset=rows(20), experiment_name=f"{name} other", **options))

        async def both() -> list[Any]:
            return await asyncio.gather(
                *(
                    arun_experiment(
                        dataset=rows(20), experiment_name=f"{name} {n}", client=client, backend="phoenix", **options
                    )
                    for n in range(2)
                )
            )

        thread = threading.Thread(target=contextvars.copy_context().run, args=[in_thread])
        thread.start()
        rans += asyncio.run(both())
        thread.join()
        assert len({ran.experiment_id for ran in rans}) == 3
        for ran in rans:
            assert_whole(official, ran, 20)
