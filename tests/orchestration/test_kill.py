"""`kill -9` at any moment: nothing finished is lost or made twice; only what was in flight runs again."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from prefect_experiments import Client
from support.lives import CONCURRENCY, MOST_CALLS, Runner, finished
from support.patience import PATIENCE_S


def check_kills(store_url: str, tmp_path: Path, *, kills: int, kind: str, seed: int) -> None:
    rng = random.Random(seed)
    examples = (kills + 1) * MOST_CALLS
    runner = Runner(store_url, tmp_path, examples, kind)
    done: set[str] = set()
    for _ in range(kills):
        lives_before = len(runner.lives())
        assert runner.end_at_random(rng) == -signal.SIGKILL, runner.errors.read_text()
        for life in runner.lives()[lives_before:]:
            assert not set(life) & done, "a finished output was made again"
            assert len(life) == len(set(life)), "called twice in one life"
            now = finished(store_url)
            assert done <= now, "a finished output was lost"
            lost = set(life) - now
            assert len(lost) <= CONCURRENCY, f"{len(lost)} calls must run again"
            done = now
        assert len(done) < examples, "this kill has interrupted nothing"
    assert runner.start().wait(timeout=PATIENCE_S) == 0, runner.errors.read_text()
    client = Client(store_url=store_url)
    ran = client.experiments.get_results(experiment="latest")
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(examples)]
    verdicts = sorted((v.run_id, v.name) for v in ran.evaluation_runs)
    assert verdicts == sorted((run.id, name) for run in ran.task_runs for name in ("doubled", "large"))
    assert ran.summary.metrics["doubled"].mean == 1.0
    calls = sum(len(life) for life in runner.lives())
    assert calls <= examples + kills * CONCURRENCY


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("kills", [1, 2])
def test_two_kills(store_url: str, tmp_path: Path, kills: int) -> None:
    check_kills(store_url, tmp_path, kills=kills, kind="async", seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_twenty_kills_at_random_moments(store_url: str, tmp_path: Path, kind: str) -> None:
    check_kills(store_url, tmp_path, kills=20, kind=kind, seed=20)
