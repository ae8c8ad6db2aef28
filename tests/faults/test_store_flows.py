"""The same through the public calls, where Prefect tries its tasks again."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sqlite3
import threading

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import ExperimentInUse, StoreUnavailable
from prefect_experiments.store import patience
from prefect_experiments.store import recorder as recorder_module
from support.on_prefect import client, on_the_server, store_url

__all__ = ["client", "on_the_server", "store_url"]

CONCURRENCY = 10
ROWS = [{"id": f"e{number}", "input": number, "output": number} for number in range(90)]


@pytest.mark.thorough
def test_prefect_does_not_begin_again_what_the_store_has_given_up(
    client: Client, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (recorder_module, patience):
        monkeypatch.setattr(module, "GIVE_UP_AFTER_S", 2.0)
    calls: list[int] = []
    path = store_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:

        async def task(input: int) -> int:
            await asyncio.sleep(0.01)
            calls.append(input)
            if len(calls) == 40:
                other.execute("BEGIN IMMEDIATE")
            return input

        with pytest.raises(StoreUnavailable):
            client.experiments.run_experiment(
                dataset=ROWS, task=task, concurrency=CONCURRENCY, batch_size=20, print_summary=False
            )
        made = len(calls)
        other.execute("ROLLBACK")
    [experiment] = client.experiments.list()
    assert made <= len(client.store.results.finished_runs(experiment.id)) + CONCURRENCY
    ran = client.experiments.resume_experiment(experiment=experiment, task=task, print_summary=False)
    assert ran.summary.n_runs == len(ROWS)
    assert len(calls) <= len(ROWS) + CONCURRENCY


def test_of_two_that_resume_at_once_one_makes_the_calls(client: Client) -> None:
    calls: list[int] = []
    under_way, go = threading.Event(), threading.Event()

    def stops(input: int) -> int:
        if input >= 30:
            raise ValueError(input)
        return input

    def task(input: int) -> int:
        calls.append(input)
        under_way.set()
        go.wait()
        return input

    ran = client.experiments.run_experiment(dataset=ROWS, task=stops, retries=0, print_summary=False)

    def resume() -> None:
        client.experiments.resume_experiment(experiment=ran, task=task, print_summary=False)

    # With Prefect's settings, which are the context's: without them a server would be started.
    first = threading.Thread(target=contextvars.copy_context().run, args=(resume,))
    first.start()
    under_way.wait()
    with pytest.raises(ExperimentInUse, match="nothing was called here"):
        resume()
    with pytest.raises(ExperimentInUse, match="nothing was called here"):
        client.experiments.evaluate_experiment(experiment=ran, evaluators="exact_match", print_summary=False)
    go.set()
    first.join()
    assert sorted(calls) == list(range(30, 90))
    resume()
    assert len(calls) == 60
