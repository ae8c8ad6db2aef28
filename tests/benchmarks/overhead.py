"""What this package costs beside a peer and beside nothing, measured in one session, as ratios.

Besides the ratios, the fixed costs: the seconds of a first call before its first and after its last call of the task,
and the whole process, from the interpreter's start to its end.

usage: python tests/benchmarks/overhead.py [REPEATS]      (`make bench`)

A Prefect server is started first and is not measured. Every measurement is a process of its own;
the systems take turns, and the medians are compared. Absolute times on a shared machine say little.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support.prefect_server import prefect_server

CONCURRENCY = "50"


def measure(script: str, n: int, task: str, env: dict[str, str]) -> dict[str, Any]:
    """One run in a fresh process: the figures of its RESULT and SPAN lines, and what the process took as a whole."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(HERE / script), str(n), task, CONCURRENCY], capture_output=True, text=True, env=env
    )
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures: dict[str, Any] = {"process_s": took, "process_cpu_s": cpu}
    for line in done.stdout.splitlines():
        if line.startswith(("RESULT ", "SPAN ")):
            figures.update(json.loads(line.split(" ", 1)[1]))
    if figures.get("scored") != n:
        raise SystemExit(f"{script} {n} {task} did not score everything:\n{done.stdout}{done.stderr}")
    if "span_s" in figures:
        figures["around_s"] = figures["wall_s"] - figures["span_s"]
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
        first = medians([(ours, 100, "noop"), (peer, 100, "noop")], repeats, env)
        small = medians([(ours, 5000, "noop"), (peer, 5000, "noop"), (floor, 5000, "noop")], repeats, env)
        slow = medians([(ours, 1000, "sleep"), (peer, 1000, "sleep")], repeats, env)
        large = medians([(ours, 100_000, "noop")], 1, env)
    here, there = small[ours, 5000, "noop"], small[peer, 5000, "noop"]
    sleep, big = slow[ours, 1000, "sleep"], large[ours, 100_000, "noop"]
    few, process = first[ours, 100, "noop"], slow[peer, 1000, "sleep"]
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
        f"| 1,000 examples, 50 ms task, whole process | {sleep['process_s']:.2f} s, {sleep['process_cpu_s']:.2f} s of "
        f"CPU | {process['process_s']:.2f} s, {process['process_cpu_s']:.2f} s of CPU | "
        f"{sleep['process_s'] / process['process_s']:.2f} |"
    )
    print(
        f"| a first call, 100 examples: before the first and after the last call of the task | {few['around_s']:.2f} s "
        f"({sleep['around_s']:.2f} s with 1,000 examples, {here['around_s']:.2f} s with 5,000) | | |"
    )
    print(
        f"| imports of the first call | {few['import_s']:.2f} s | {first[peer, 100, 'noop']['import_s']:.2f} s | "
        f"{few['import_s'] / first[peer, 100, 'noop']['import_s']:.2f} |"
    )
    print(
        f"| 100,000 examples | {big['ms_per_ex']:.2f} ms an example, {big['peak_rss_mb']:.0f} MB at most | | "
        f"{big['ms_per_ex'] / here['ms_per_ex']:.2f} of that at 5,000 |"
    )
    print(f"\nA bare asyncio loop: {small[floor, 5000, 'noop']['ms_per_ex']:.3f} ms an example. Medians of {repeats}.")


if __name__ == "__main__":
    main()
