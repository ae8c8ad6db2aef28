"""A process that runs an experiment, is ended, and is started again to go on: `killed.py`, and what it left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from prefect_experiments import Client
from support.patience import PATIENCE_S

CONCURRENCY = 5
MOST_CALLS = 60  # that are waited for before a signal is sent
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

    def end_at_random(self, rng: random.Random, number: int = signal.SIGKILL) -> int:
        """Start, wait for some of `MOST_CALLS` calls, send a signal between any two, and give how it ended."""
        before, calls = len(self.lives()), rng.randrange(1, MOST_CALLS)
        process = self.start()
        deadline = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline:
            lives = self.lives()
            if len(lives) > before and len(lives[-1]) >= calls:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.02))
        process.send_signal(number)
        return process.wait(PATIENCE_S)


def finished(store_url: str) -> set[str]:
    client = Client(store_url=store_url)
    if not len(client.experiments.list()):
        return set()
    runs = client.experiments.list_runs(experiment="latest", all=True)
    assert len({run.id for run in runs}) == len(runs)
    return {run.example_id.removeprefix("e") for run in runs if run.status == "ok"}
