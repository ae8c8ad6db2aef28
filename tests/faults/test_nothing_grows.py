"""Many experiments in one process: its threads, descriptors and memory stay what they were."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.patience import PATIENCE_S

SCRIPT = """
import gc, json, os, re, threading, time
from prefect_experiments import Client

def seen():
    while any(re.fullmatch(r"experiment-\\d+", thread.name) for thread in threading.enumerate()):
        time.sleep(0.1)  # those that have nothing to do end by themselves
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return threading.active_count(), len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGE_SIZE")

async def answer(input):
    return input

def sync(input):
    return input

rows = [{"id": f"e{n}", "input": n} for n in range(200)]
for n in range(20):
    client = Client(store_url=os.environ["STORE"])
    task = sync if n % 2 else answer
    ran = client.experiments.run_experiment(dataset=rows, task=task, evaluators=["json_valid"], print_summary=False)
    assert ran.summary.n_runs == 200
    print(json.dumps(seen()), flush=True)
"""


@pytest.mark.slow
def test_twenty_experiments(store_url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "STORE": store_url, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    threads, descriptors, memory = zip(*(json.loads(line) for line in ended.stdout.splitlines()), strict=True)
    assert len(threads) == 20
    # By the sixth, caches are filled.
    assert max(threads[-5:]) <= max(threads[5:10])
    assert max(descriptors[-5:]) <= max(descriptors[5:10])
    assert max(memory[-5:]) <= 1.1 * max(memory[5:10])
