"""Processes of ours that are killed, interrupted, or several at once: nothing is lost, nothing doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client
from support.fault_proxy import FaultProxy, Hang, Pass, Request
from support.patience import PATIENCE_S, wait_for

from .pushes import assert_whole, is_push, options, phoenix, rows

SCRIPT = Path(__file__).with_name("pushed.py")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(store_url: str, tmp_path: Path) -> Start:
    def start(url: str, what: str, which: str, examples: int = 60) -> subprocess.Popen[str]:
        with (tmp_path / "errors").open("a") as errors:
            return subprocess.Popen(
                [sys.executable, str(SCRIPT), url, store_url, str(examples), what, which],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PREFECT_LOGGING_LEVEL": "WARNING"},
            )

    return start


def pushed(proxy: FaultProxy) -> int:
    return sum(map(is_push, proxy.requests))


def wait_for_pushes(proxy: FaultProxy, count: int, process: subprocess.Popen[str]) -> None:
    wait_for(lambda: pushed(proxy) >= count or process.poll() is not None, f"{count} results", every=0.005)
    assert process.poll() is None, "it has ended before"


def experiments_named(client: Client, name: str) -> int:
    found = client.experiments.list(dataset=client.experiments.get(experiment=name).dataset_id, limit=1000)
    return sum(experiment.name == name for experiment in found)


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("killed", [("run",), ("run", "resume", "push")], ids=["once", "three times"])
def test_killed_in_mid_push_and_gone_on_with(
    phoenix_url: str, store_url: str, name: str, start: Start, official: PhoenixClient, killed: tuple[str, ...]
) -> None:
    rng = random.Random(5)
    with FaultProxy(phoenix_url) as proxy:
        for what in killed:
            process = start(proxy.url, what, name)
            wait_for_pushes(proxy, pushed(proxy) + rng.randrange(5, 50), process)
            process.kill()
            process.wait()
        assert 0 < pushed(proxy) < 60 + 2 * 59, "it was killed too late to prove anything"
        process = start(proxy.url, "resume", name)
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert said.split()[1] == "0"
        # What was under way when it was killed, and what was taken in the last third of a second, comes again.
        assert pushed(proxy) < (60 + 2 * 59) * 2
    client = phoenix(phoenix_url, store_url)
    assert_whole(official, client.experiments.get_results(experiment=name), 60)
    assert experiments_named(client, name) == 1


@pytest.mark.slow
def test_two_processes_push_one_experiment_at_once(
    phoenix_url: str, store_url: str, name: str, start: Start, official: PhoenixClient
) -> None:
    """Neither knows of the other, and Phoenix has nothing of it yet, the dataset neither."""
    local = Client(backend="local", store_url=store_url)
    local.datasets.create_dataset(name=name, examples=rows(60))
    local.experiments.run_experiment(dataset=name, experiment_name=name, **options)
    with FaultProxy(phoenix_url) as proxy:
        # So late that both see that there is nothing, and both make it.
        proxy.plan = lambda request: Pass(delay=4) if is_beginning(request) else None
        processes = [start(proxy.url, "push", name) for _ in range(2)]
        said = [process.communicate(timeout=PATIENCE_S)[0].split() for process in processes]
        assert proxy.count("POST", "/v1/datasets/upload?sync=true") == 2
        assert proxy.count("POST", "/experiments") == 2
    assert [process.returncode for process in processes] == [0, 0]
    assert said[0] == said[1], "both have pushed to one experiment"
    client = phoenix(phoenix_url, store_url)
    ran = client.experiments.get_results(experiment=said[0][0])
    assert_whole(official, ran, 60)
    assert len(client.experiments.list(dataset=ran.dataset_id)) == 1


def is_beginning(request: Request) -> bool:
    return request.path.startswith("/v1/datasets?") or request.path.endswith("/experiments")


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [Hang(), Pass(delay=0.5)], ids=["hangs", "is slow"])
def test_interrupted_while_phoenix_takes_its_time(
    phoenix_url: str, store_url: str, name: str, start: Start, official: PhoenixClient, trouble: Hang | Pass
) -> None:
    """Ctrl-C ends it at once; what was made is kept, and pushed later."""
    with FaultProxy(phoenix_url) as proxy:
        proxy.plan = lambda request: trouble if is_push(request) else None
        process = start(proxy.url, "run", name, 30)
        wait_for_pushes(proxy, 4, process)
        local = Client(backend="local", store_url=store_url)
        wait_for(lambda: len(local.experiments.list_runs(experiment="latest", all=True)) == 30, "all runs")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode != 0
        proxy.plan = lambda _: None
        ran = phoenix(proxy.url, store_url).experiments.resume_experiment(experiment=name, **options)
        assert ran.summary.n_runs == 30
        assert_whole(official, ran, 30)
