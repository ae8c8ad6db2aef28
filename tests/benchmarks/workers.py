"""A CPU-bound task on two workers: seconds beside those of one process, and of two bare ones, in one run.

    python tests/benchmarks/workers.py processes [EXAMPLES]
    python tests/benchmarks/workers.py dask
    python tests/benchmarks/workers.py ray

Each call is 20 ms of pure Python. What starting and ending the engine costs stands by itself: it is what is neither
between the first call's start and the last one's end, nor what the same experiment takes around its calls in one
process. Below a factor of 1.8 of the bare processes the machine is busy, and the other figures say little.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS = 0.02
MOMENTS = "PREFECT_EXPERIMENTS_BENCHMARK_MOMENTS"


def spin(input: int) -> int:
    """20 ms of pure Python's, whoever else is at work."""
    began = time.time()
    end, found = time.thread_time() + SECONDS, input
    while time.thread_time() < end:
        found = (found * 1_103_515_245 + 12_345) % 2**31
    with Path(os.environ[MOMENTS]).open("a") as file:
        file.write(f"{began} {time.time()}\n")
    return 2 * input


def right(input: int, output: int) -> bool:
    """Is it right?"""
    return output == 2 * input


def _bare(numbers: range) -> list[int]:
    return [spin(number) for number in numbers]


def _span(moments: Path) -> float:
    """From the first call's start to the last one's end."""
    lines = [tuple(map(float, line.split())) for line in moments.read_text().splitlines()]
    return max(end for _, end in lines) - min(begin for begin, _ in lines)


class Measured:
    """One way of making the calls."""

    def __init__(self, folder: Path, name: str, examples: int) -> None:
        self.examples, self.name = examples, name
        self._moments = folder / f"{name}.moments"
        os.environ[MOMENTS] = str(self._moments)

    def of(self, outputs: list[Any], seconds: float) -> Measured:
        """Take it down."""
        assert outputs == [2 * n for n in range(self.examples)], f"{self.name} gives something else"
        assert len(self._moments.read_text().splitlines()) == self.examples, "each is called once"
        self.calls, self.around = _span(self._moments), seconds - _span(self._moments)
        return self


def _bare_processes(folder: Path, examples: int, processes: int) -> Measured:
    measured, step = Measured(folder, f"bare-{processes}", examples), -(-examples // processes)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(_bare, [range(0)] * processes, 1)  # they are there
        began = time.perf_counter()
        parts = [range(first, min(first + step, examples)) for first in range(0, examples, step)]
        outputs = [output for part in pool.map(_bare, parts, 1) for output in part]
        return measured.of(outputs, time.perf_counter() - began)


def _experiment(folder: Path, examples: int, engine: str | None) -> Measured:
    from prefect_experiments import run_experiment

    measured = Measured(folder, engine or "one", examples)
    began = time.perf_counter()
    ran = run_experiment(
        dataset=[{"id": f"e{n}", "input": n} for n in range(examples)],
        task="workers:spin",
        evaluators=["workers:right"],
        task_runner=engine,
        workers=2,
        print_summary=False,
    )
    return measured.of([run.output for run in ran.task_runs], time.perf_counter() - began)


def main() -> None:
    """Print the figures."""
    engine, examples = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PREFECT_EXPERIMENTS_STORE_URL"] = f"sqlite:///{folder / 'store.db'}"
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
        sys.path.insert(0, str(HERE))
        _experiment(folder, 4, None)  # what is imported, and the server, are there
        Path(os.environ[MOMENTS]).unlink()
        one_bare, two_bare = _bare_processes(folder, examples, 1), _bare_processes(folder, examples, 2)
        one, two = _experiment(folder, examples, None), _experiment(folder, examples, engine)
    print(f"{examples:,} calls of {SECONDS * 1000:.0f} ms, in seconds; load {os.getloadavg()[0]:.1f}")
    print(
        f"bare processes:  one {one_bare.calls:7.2f}  two {two_bare.calls:7.2f}  {one_bare.calls / two_bare.calls:.2f}"
    )
    print(f"experiments:     one {one.calls:7.2f}  two {two.calls:7.2f}  {one.calls / two.calls:.2f}  on {engine}")
    print(f"of what two bare processes gain: {one.calls / two.calls / (one_bare.calls / two_bare.calls):.0%}")
    print(f"around the calls: one {one.around:.2f}, {engine} {two.around:.2f}, so starting and ending takes ", end="")
    print(f"{two.around - one.around:.2f}")


if __name__ == "__main__":
    main()
