"""What this package costs beside a peer and beside nothing, measured in one session, as ratios.

usage: python tests/benchmarks/overhead.py [REPEATS]      (`make bench`)

A Prefect server is started first and is not measured. Every measurement is a process of its own;
the systems take turns, and the medians are compared. Absolute times on a shared machine say little.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support.prefect_server import prefect_server

CONCURRENCY = "50"


def measure(script: str, n: int, task: str, env: dict[str, str]) -> dict[str, Any]:
    """One run in a fresh process: the figures of its RESULT and SPAN lines."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), str(n), task, CONCURRENCY], capture_output=True, text=True, env=env
    )
    figures: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        if line.startswith(("RESULT ", "SPAN ")):
            figures.update(json.loads(line.split(" ", 1)[1]))
    if figures.get("scored") != n:
        raise SystemExit(f"{script} {n} {task} did not score everything:\n{done.stdout}{done.stderr}")
    return figures


def medians(plan: list[tuple[str, int, str]], repeats: int, env: dict[str, str]) -> dict[tuple[str, int, str], Any]:
    """The plan's measurements in turns; for each the median of every figure."""
    seen: dict[tuple[str, int, str], list[dict[str, Any]]] = {step: [] for step in plan}
    for _ in range(repeats):
        for step in plan:
            seen[step].append(measure(*step, env))
    return {
        step: {name: statistics.median(run[name] for run in runs) for name in runs[0] if name not in ("system", "task")}
        for step, runs in seen.items()
    }


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ours, peer, floor = "b_prefect_experiments.py", "b_pydantic_evals.py", "b_floor.py"
    with prefect_server() as api_url:
        env = {**os.environ, "PREFECT_API_URL": api_url, "PYTHONPATH": str(HERE)}
        small = medians([(ours, 5000, "noop"), (peer, 5000, "noop"), (floor, 5000, "noop")], repeats, env)
        slow = medians([(ours, 1000, "sleep"), (peer, 1000, "sleep")], repeats, env)
        large = medians([(ours, 100_000, "noop")], 1, env)
    here, there = small[ours, 5000, "noop"], small[peer, 5000, "noop"]
    sleep, big = slow[ours, 1000, "sleep"], large[ours, 100_000, "noop"]
    print("| what | here | pydantic-evals, in memory | ratio |")
    print("|---|---|---|---|")
    print(
        f"| 5,000 examples, task returns at once, whole call | {here['wall_s']:.2f} s, {here['ms_per_ex']:.2f} ms an "
        f"example | {there['wall_s']:.2f} s, {there['ms_per_ex']:.2f} ms | {here['wall_s'] / there['wall_s']:.2f} |"
    )
    print(
        f"| 1,000 examples, 50 ms task, first call to last (ideal 1.0 s) | {sleep['span_s']:.2f} s | "
        f"{slow[peer, 1000, 'sleep']['wall_s']:.2f} s (whole call) | {sleep['span_s']:.2f} of the ideal |"
    )
    print(
        f"| 100,000 examples | {big['ms_per_ex']:.2f} ms an example, {big['peak_rss_mb']:.0f} MB at most | | "
        f"{big['ms_per_ex'] / here['ms_per_ex']:.2f} of that at 5,000 |"
    )
    print(f"\nA bare asyncio loop: {small[floor, 5000, 'noop']['ms_per_ex']:.3f} ms an example. Medians of {repeats}.")


if __name__ == "__main__":
    main()
