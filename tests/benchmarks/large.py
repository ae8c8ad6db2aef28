"""A large experiment: how many examples a second, the peak of each process, and what the store takes.

usage: large.py EXAMPLES [STORE_URL] [--workers N] [--read]

The task returns at once, so that what is measured is this package: each example costs one call and two evaluations.
`--read` runs it again, compares both, and writes its report and an export, each in a process of its
own. Without STORE_URL the store is an SQLite file; both are in a folder that is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from prefect_experiments import Client
from prefect_experiments.store.urls import parse_url

CONCURRENCY = 20
TEXT = "Where is my parcel, which should have come on Monday? " * 6


def answer(input: dict[str, Any]) -> dict[str, Any]:
    return {"n": input["n"], "intent": "shipping" if input["n"] % 3 else "billing"}


def right(output: dict[str, Any], expected: dict[str, Any]) -> bool:
    return bool(output["n"] == expected["n"])


def intent(output: dict[str, Any]) -> dict[str, Any]:
    return {"label": output["intent"], "score": float(len(output["intent"]) % 2)}


class Peaks:
    """The most memory that each process of a family has held, in MB, while this is entered."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._over = process, threading.Event()
        self.of: dict[str, float] = {}
        self.connections = 0
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.3):
            self.connections = max(self.connections, connections())
            for process in self._family():
                try:
                    words = process.cmdline()
                    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                except (psutil.Error, OSError):
                    continue
                peak = next((line for line in lines if line.startswith("VmHWM")), None)
                if peak is not None:
                    self.of[f"{process.pid} {_named(words)}"] = int(peak.split()[1]) / 1024

    def _family(self) -> Iterator[psutil.Process]:
        try:
            yield self._process
            yield from self._process.children(recursive=True)
        except psutil.Error:
            return


def connections() -> int:
    """How many connections PostgreSQL has to the store, where it is there."""
    url = os.environ.get("LARGE_STORE_URL", "")
    if not url.startswith("postgresql"):
        return 0
    import psycopg

    with psycopg.connect(url) as connection:
        query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
        return int((connection.execute(query).fetchone() or [0])[0])


def _named(words: list[str]) -> str:
    said = " ".join(words)
    if "uvicorn" in said:
        return "Prefect's temporary server"
    return "worker" if "multiprocessing" in said or "spawn_main" in said else "experiment"


def measured(what: str, command: list[str], environment: dict[str, str]) -> None:
    """Run a command in a process of its own; print what it took."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        with Peaks(psutil.Process(process.pid)) as peaks:
            said, _ = process.communicate()
        if process.returncode:
            log.seek(0)
            raise SystemExit(f"{what} ended with {process.returncode}: {log.read()[-2000:]}")
    seconds = time.perf_counter() - began
    shown = ", ".join(f"{name.partition(' ')[2]} {peak:,.0f} MB" for name, peak in sorted(peaks.of.items()))
    more = f"; connections: {peaks.connections}" if peaks.connections else ""
    print(f"{what}: {seconds:,.1f} s; peaks: {shown}{more}", flush=True)
    for line in said.splitlines():
        if line.startswith("="):
            print(f"  {line}", flush=True)


def write_rows(path: Path, examples: int) -> None:
    with path.open("w") as file:
        for n in range(examples):
            row = {"id": f"e{n}", "input": {"n": n, "text": TEXT}, "output": {"n": n}, "metadata": {"group": n % 7}}
            file.write(json.dumps(row) + "\n")


def run_one(name: str, workers: int) -> None:
    """What is run in a process of its own."""
    client = Client()
    began = time.perf_counter()
    ran = client.experiments.run_experiment(
        dataset="large",
        task="large:answer",
        evaluators=["large:right", "large:intent"],
        experiment_name=name,
        concurrency=CONCURRENCY,
        task_runner="processes" if workers else None,
        workers=workers or 1,
        print_summary=False,
    )
    seconds = time.perf_counter() - began
    print(f"= {ran.ran:,} runs, {ran.evaluated:,} evaluations: {ran.ran / seconds:,.0f} examples/s")


def size_of_store(url: str) -> str:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"{sum(p.stat().st_size for p in Path(str(parsed.database)).parent.glob('*.db*')) / 2**20:,.0f} MB"
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return f"{(row or [0])[0] / 2**20:,.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", type=int)
    parser.add_argument("store_url", nargs="?")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--read", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(given.one, given.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = given.store_url or f"sqlite:///{folder}/large.db"
        os.environ["LARGE_STORE_URL"] = url
        here = str(Path(__file__).parent)
        environment = {
            **os.environ,
            "PREFECT_EXPERIMENTS_STORE_URL": url,
            "PREFECT_HOME": f"{folder}/prefect",
            "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        rows = Path(folder, "rows.jsonl")
        write_rows(rows, given.examples)
        tool = [sys.executable, "-m", "prefect_experiments.cli"]
        measured("create the dataset", [*tool, "datasets", "create", "large", str(rows)], environment)
        one = [sys.executable, __file__, str(given.examples), "--workers", str(given.workers), "--one"]
        measured("run", [*one, "first"], environment)
        print(f"  = the store takes {size_of_store(url)}", flush=True)
        if given.read:
            measured("run again", [*one, "second"], environment)
            measured("compare", [*tool, "compare", "first", "second", "--dataset", "large"], environment)
            report = ["report", "second", "--dataset", "large", "--report", f"{folder}/report.html"]
            measured("report of one", [*tool, *report], environment)
            measured("report of both", [*tool, *report, "--baseline", "first"], environment)
            measured("export", [*tool, "export", "second", f"{folder}/runs.csv", "--dataset", "large"], environment)


if __name__ == "__main__":
    main()
