"""Fifty ends of one experiment's process, by chance and by a seed: nothing lost, nothing doubled, nothing left over."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import psutil
import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

from prefect_experiments import Client
from support.lives import CONCURRENCY, MOST_CALLS, SCRIPT, Runner, finished
from support.patience import PATIENCE_S, wait_for

SEED, ENDS = 20261128, 50
EXAMPLES = (ENDS + 1) * MOST_CALLS
SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def states_of_flow_runs(experiment: str) -> list[str]:
    async def read() -> list[str]:
        async with get_client() as api:
            named = FlowRunFilter(name=FlowRunFilterName(like_=f"{experiment} on"))
            return [run.state_name or "" for run in await api.read_flow_runs(flow_run_filter=named)]

    return asyncio.run(read())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_fifty_ends(store_url: str, tmp_path: Path, kind: str) -> None:
    print(f"seed {SEED}")
    rng, runner = random.Random(SEED), Runner(store_url, tmp_path, EXAMPLES, kind)
    done: set[str] = set()
    for _ in range(ENDS):
        before = len(runner.lives())
        runner.end_at_random(rng, rng.choice(SIGNALS))
        for life in runner.lives()[before:]:
            assert not set(life) & done, "a finished output was made again"
            assert len(life) == len(set(life)), "called twice in one life"
            now = finished(store_url)
            assert done <= now, "a finished output was lost"
            assert len(set(life) - now) <= CONCURRENCY, "more calls must be made again than were in flight"
            done = now
    assert runner.start().wait(PATIENCE_S) == 0, runner.errors.read_text()
    client = Client(store_url=store_url)
    ran = client.experiments.get_results(experiment="latest")
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(EXAMPLES)]
    evaluations = sorted((e.run_id, e.name) for e in ran.evaluation_runs)
    assert evaluations == sorted((run.id, name) for run in ran.task_runs for name in ("doubled", "large"))
    assert sum(len(life) for life in runner.lives()) <= EXAMPLES + ENDS * CONCURRENCY
    assert not [p for p in psutil.process_iter(["cmdline"]) if {str(SCRIPT), store_url} <= set(p.info["cmdline"] or ())]
    wait_for(lambda: "Running" not in states_of_flow_runs(ran.experiment.name), "no flow run that goes on")
