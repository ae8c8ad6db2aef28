"""`kill -9` at any moment: nothing finished is lost or made twice; only what was in flight runs again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prefect_experiments import Client
from support.patience import PATIENCE_S

CONCURRENCY = 5
SCRIPT = Path(__file__).with_name("killed.py")


class Runner:
    def __init__(self, store_url: str, folder: Path, examples: int, kind: str) -> None:
        self.log = folder / "calls.log"
        self.arguments = [store_url, str(self.log), str(examples), str(CONCURRENCY), kind]
        self.errors = folder / "errors.txt"

    def start(self) -> subprocess.Popen[bytes]:
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, str(SCRIPT), *self.arguments], stdout=errors, stderr=errors, env=os.environ
            )

    def lives(self) -> list[list[str]]:
        """The examples each life of the process called the task for."""
        lives = self.log.read_text().split("start\n")[1:] if self.log.exists() else []
        return [[line.split()[1] for line in life.splitlines() if line.startswith("call")] for life in lives]

    def kill_at_random(self, rng: random.Random) -> None:
        """Start, wait for the first call, and kill within the time the next 150 calls may take."""
        before = len(self.lives())
        process = self.start()
        deadline = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline:
            lives = self.lives()
            if len(lives) > before and lives[-1]:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()


def finished(store_url: str) -> set[str]:
    client = Client(store_url=store_url)
    if not len(client.experiments.list()):
        return set()
    runs = client.experiments.list_runs(experiment="latest", all=True)
    assert len({run.id for run in runs}) == len(runs)
    return {run.example_id.removeprefix("e") for run in runs if run.status == "ok"}


def check_kills(store_url: str, tmp_path: Path, *, kills: int, examples: int, kind: str, seed: int) -> None:
    rng = random.Random(seed)
    runner = Runner(store_url, tmp_path, examples, kind)
    done: set[str] = set()
    for _ in range(kills):
        lives_before = len(runner.lives())
        runner.kill_at_random(rng)
        for life in runner.lives()[lives_before:]:
            assert not set(life) & done, "a finished output was made again"
            assert len(life) == len(set(life)), "called twice in one life"
            now = finished(store_url)
            assert done <= now, "a finished output was lost"
            lost = set(life) - now
            assert len(lost) <= CONCURRENCY, f"{len(lost)} calls must run again"
            done = now
    assert runner.start().wait(timeout=PATIENCE_S) == 0, runner.errors.read_text()
    client = Client(store_url=store_url)
    ran = client.experiments.get_results(experiment="latest")
    assert [run.output for run in ran.task_runs] == [2 * n for n in range(examples)]
    verdicts = sorted((v.run_id, v.name) for v in ran.evaluation_runs)
    assert verdicts == sorted((run.id, name) for run in ran.task_runs for name in ("doubled", "large"))
    assert ran.summary.metrics["doubled"].mean == 1.0
    calls = sum(len(life) for life in runner.lives())
    assert calls <= examples + kills * CONCURRENCY


def test_three_kills(store_url: str, tmp_path: Path) -> None:
    check_kills(store_url, tmp_path, kills=3, examples=150, kind="async", seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_twenty_kills_at_random_moments(store_url: str, tmp_path: Path, kind: str) -> None:
    check_kills(store_url, tmp_path, kills=20, examples=800, kind=kind, seed=20)
