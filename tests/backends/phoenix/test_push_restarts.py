"""Phoenix is killed: and comes back, or does not while the experiment runs."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from phoenix.client import Client as PhoenixClient

from cli.harness import CommandLine
from prefect_experiments import Client
from support.fault_proxy import Cut, FaultProxy
from support.flow_runs import flow_run_of
from support.patience import wait_for
from support.phoenix_server import phoenix_server
from support.servers import Server

from .pushes import assert_whole, double, is_push, logs_of, options, phoenix, rows


@pytest.fixture(scope="module")
def mortal() -> Iterator[tuple[str, Server]]:
    """A Phoenix that may be killed, as long as it is started again."""
    with phoenix_server() as (url, server):
        yield url, server


@pytest.fixture
def referee(mortal: tuple[str, Server]) -> PhoenixClient:
    return PhoenixClient(base_url=mortal[0])


def pushed(proxy: FaultProxy) -> int:
    """How many results Phoenix has taken."""
    return sum(map(is_push, proxy.passed))


@pytest.mark.slow
def test_killed_and_started_again_twice_in_mid_run(
    mortal: tuple[str, Server], store_url: str, name: str, referee: PhoenixClient
) -> None:
    url, server = mortal
    ended = threading.Event()

    async def slowly(input: Any) -> Any:
        output = await double(input)
        await asyncio.sleep(0.1)
        return output

    with FaultProxy(url) as proxy:  # it counts

        def kill_twice() -> None:
            for passed in (20, 150):
                wait_for(lambda passed=passed: pushed(proxy) >= passed)
                server.kill()
                server.start()
            ended.set()

        killer = threading.Thread(target=kill_twice)
        killer.start()
        try:
            client = phoenix(proxy.url, store_url)
            ran = client.experiments.run_experiment(
                dataset=rows(120), experiment_name=name, **{**options, "task": slowly, "concurrency": 5}
            )
        finally:
            killer.join()
        assert ended.is_set()
    assert_whole(referee, ran, 120)
    run = flow_run_of(name)
    said = logs_of(run, "answers again")
    told = [line for line in said if "does not answer" in line and "results wait in the store; trying again" in line]
    assert len(told) >= 2, said
    assert sum("phoenix answers again after" in line for line in said) == 2
    assert run.state is not None
    assert run.state.is_completed()
    assert re.search(r"The push waited \d\d s for phoenix \(.* does not answer", str(run.state.message))


@pytest.mark.slow
def test_gone_for_good_and_pushed_later(
    mortal: tuple[str, Server],
    store_url: str,
    name: str,
    referee: PhoenixClient,
    tmp_path: Path,
    prefect_api: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PUSH_PATIENCE", "2")
    url, server = mortal
    with FaultProxy(url) as proxy:
        client = phoenix(proxy.url, store_url)

        async def deadly(input: Any) -> Any:
            if input["n"] == 20:
                await asyncio.to_thread(wait_for, lambda: pushed(proxy) > 5)
                await asyncio.to_thread(server.kill)
            return await double(input)

        try:
            ran = client.experiments.run_experiment(
                dataset=rows(40), experiment_name=name, **{**options, "task": deadly, "concurrency": 4}
            )
            assert 0 < ran.waiting < 40 + 2 * 39
            assert len(ran.task_runs) == 40
            [here] = Client(backend="local", store_url=store_url).experiments.list()
            state = flow_run_of(name).state
            assert state is not None
            assert state.is_completed()
            message = str(state.message)
            advice = f"`prefect-experiments push {here.id} --to phoenix`"
            assert f"{ran.waiting} results wait for phoenix (Phoenix at {proxy.url} does not answer" in message
            assert advice in message

            command = CommandLine(tmp_path, prefect_api, {"PREFECT_EXPERIMENTS_PUSH_PATIENCE": "1"})
            command.extra.update(PREFECT_EXPERIMENTS_STORE_URL=store_url, PHOENIX_BASE_URL=proxy.url)
            failed = command("push", here.id, "--to", "phoenix")
            assert failed.code == 3
            [line] = failed.err.splitlines()
            assert line.startswith(f"error: Phoenix at {proxy.url} does not answer")
        finally:
            server.start()
        done = command("push", here.id, "--to", "phoenix", "--json")
        assert (done.code, json.loads(done.out)["waiting"], done.err) == (0, 0, "")
        assert_whole(referee, client.experiments.get_results(experiment=here.id), 40)
        before = len(proxy.requests)
        again = client.experiments.push(experiment=here.id)
        assert again.waiting == 0
        assert not [r for r in proxy.requests[before:] if r.method != "GET"], "there was nothing to push"
        assert_whole(referee, again, 40)


@pytest.mark.slow
def test_the_command_line_when_it_is_gone(
    mortal: tuple[str, Server], tmp_path: Path, prefect_api: str, referee: PhoenixClient
) -> None:
    """The experiment is done, so the exit code is 0; what waits and how to push it is said on stderr."""
    url, _ = mortal
    (tmp_path / "app.py").write_text(
        "def answer(input): return {'n': 2 * input['n']}\ndef right(output): return True\n"
    )
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(5)))
    with FaultProxy(url) as proxy:
        proxy.plan = lambda request: Cut() if is_push(request) else None
        extra = {"PREFECT_EXPERIMENTS_PUSH_PATIENCE": "1", "PHOENIX_BASE_URL": proxy.url}
        command = CommandLine(tmp_path, prefect_api, extra)
        done = command("--backend", "phoenix", "run", "rows.jsonl", "--task", "app:answer", "--evaluator", "app:right")
        assert done.code == 0, done.err
        [said] = [line for line in done.err.splitlines() if "push them with" in line]
        assert "10 results wait for phoenix" in said
        assert "Traceback" not in done.err
        proxy.plan = lambda _: None
        [experiment_id] = [word.removesuffix("`") for word in said.split() if word.startswith("exp-")]
        assert command("push", experiment_id, "--to", "phoenix").code == 0
        found = Client(backend="phoenix", base_url=url, store_url=command.store_url).experiments.get(
            experiment="latest"
        )
        assert len(referee.experiments.get_experiment(experiment_id=found.id)["evaluation_runs"]) == 5
