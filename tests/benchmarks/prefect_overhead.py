"""What Prefect costs an experiment: task runs and events of a large one, time of one whose task takes a second.

usage: python tests/benchmarks/prefect_overhead.py [REPEATS]

A Prefect server is started first and is not measured. The engine without Prefect and the flows take turns
in one process, on one store each, and the medians are compared: absolute times on a shared machine say little.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FLOWS = HERE.parents[1] / "flows"
sys.path[:0] = [str(HERE.parent), str(FLOWS)]

import httpx

from support.prefect_server import prefect_server

MOST_TASK_RUNS = 150
MOST_EVENTS = 1000
MOST_OVERHEAD = 0.10

EXAMPLES = 200
CONCURRENCY = 20
TASK_S = 1.0
IDEAL_S = EXAMPLES / CONCURRENCY * TASK_S

TASK = f"{Path(__file__)}:a_second"
AT_ONCE = f"{Path(__file__)}:at_once"
EVALUATORS = [f"{Path(__file__)}:equal", f"{Path(__file__)}:length"]


async def a_second(input: str) -> str:
    await asyncio.sleep(TASK_S)
    return input


def at_once(input: str) -> str:
    return input


def equal(output: str, expected: str) -> bool:
    return output == expected


def length(output: str) -> float:
    return float(len(output))


def dataset_of(count: int) -> Any:
    from prefect_experiments.datasets import load
    from prefect_experiments.models import Dataset

    rows = [{"id": f"e{n}", "input": f"question {n}", "output": f"question {n}"} for n in range(count)]
    return Dataset(name="questions", examples=load(rows))


@contextmanager
def fresh_store(dataset: int) -> Iterator[str]:
    """The URL of a store with the dataset ``questions`` in it, and the one that flows use."""
    from prefect_experiments import Client

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        url = f"sqlite:///{folder}/experiments.db"
        os.environ["PREFECT_EXPERIMENTS_STORE_URL"] = url
        Client(store_url=url).datasets.create_dataset(name="questions", examples=dataset_of(dataset).examples)
        yield url


def regression(task: str, limits: dict[str, Any] | None = None, **parameters: Any) -> Any:
    """The flow of ``flows/regression.py``, in this process; its final state."""
    from regression import regression as flow

    call: Any = flow
    return asyncio.run(
        call(
            dataset="questions",
            task=task,
            evaluators=EVALUATORS,
            limits={"concurrency": CONCURRENCY, **(limits or {})},
            return_state=True,
            **parameters,
        )
    )


def counted(api: str, since: datetime) -> tuple[int, int]:
    """Prefect task runs and events on a server since then, when no more of them come."""
    with httpx.Client(base_url=f"{api}/", timeout=60, trust_env=False) as http:

        def look() -> tuple[int, int]:
            after = {"after_": since.isoformat()}
            runs = http.post("task_runs/count", json={"flow_runs": {"start_time": after}}).raise_for_status().json()
            wanted = {"filter": {"occurred": {"since": since.isoformat()}}, "limit": 1}
            return int(runs), int(http.post("events/filter", json=wanted).raise_for_status().json()["total"])

        before = look()
        while True:  # they arrive a little later
            time.sleep(3)
            if (now := look()) == before:
                return now
            before = now


def count_large(api: str, examples: int = 2000) -> tuple[int, int]:
    """Task runs and events of a regression with a baseline: a first one makes it."""
    with fresh_store(examples):
        assert regression(AT_ONCE, promote=True).name == "GatePassed"
        counted(api, datetime.now(UTC))
        began = datetime.now(UTC)
        assert regression(AT_ONCE).name == "GatePassed"
        return counted(api, began)


def engine_alone() -> float:
    """The same experiment on the same sort of store without Prefect; the seconds it takes."""
    from prefect_experiments import Client
    from prefect_experiments.experiment.arguments import RunArguments
    from prefect_experiments.experiment.request import plan_new
    from prefect_experiments.experiment.steps import Steps, drive
    from prefect_experiments.experiment.work import RunWork

    with fresh_store(EXAMPLES) as url:
        began = time.perf_counter()
        arguments = RunArguments(dataset="questions", task=TASK, evaluators=EVALUATORS, concurrency=CONCURRENCY)
        client = Client(store_url=url)

        async def through() -> int:
            work = RunWork(plan_new(arguments, client))
            await drive(Steps(work))
            return len(work.result.task_runs)

        assert asyncio.run(through()) == EXAMPLES
        return time.perf_counter() - began


def experiment_alone() -> float:
    """`run_experiment`, outside any other flow."""
    from prefect_experiments import Client, run_experiment

    with fresh_store(EXAMPLES) as url:
        began = time.perf_counter()
        ran = run_experiment(
            dataset="questions",
            task=TASK,
            evaluators=EVALUATORS,
            concurrency=CONCURRENCY,
            print_summary=False,
            client=Client(store_url=url),
        )
        assert ran.summary.n_runs == EXAMPLES
        return time.perf_counter() - began


def whole_regression() -> float:
    """The flow of a deployment, with its gate and its artifacts."""
    with fresh_store(EXAMPLES):
        began = time.perf_counter()
        assert regression(TASK).name == "GatePassed"
        return time.perf_counter() - began


def overheads(repeats: int) -> dict[str, float]:
    """Medians of the seconds that each takes; they take turns."""
    systems = {"engine": engine_alone, "run_experiment": experiment_alone, "regression": whole_regression}
    seen: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(repeats):
        for name, measure in systems.items():
            seen[name].append(measure())
    return {name: statistics.median(seconds) for name, seconds in seen.items()}


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    with prefect_server() as api:
        os.environ["PREFECT_API_URL"] = api
        task_runs, events = count_large(api)  # and what a process imports once is imported
        took = overheads(repeats)
    print("2,000 examples, two evaluators, with a baseline and a gate:")
    print(f"  Prefect task runs  {task_runs:5}   (fewer than {MOST_TASK_RUNS})")
    print(f"  events             {events:5}   (fewer than {MOST_EVENTS})")
    print(f"{EXAMPLES} examples of a task of {TASK_S:g} s, {CONCURRENCY} at a time, medians of {repeats}:")
    for name, seconds in took.items():
        more = "" if name == "engine" else f"   {100 * (seconds / took['engine'] - 1):+.1f} % beside the engine alone"
        print(f"  {name:15}  {seconds:6.2f} s, the least is {IDEAL_S:g} s{more}")
    kept = task_runs < MOST_TASK_RUNS and events < MOST_EVENTS
    if not kept or took["regression"] > took["engine"] * (1 + MOST_OVERHEAD):
        sys.exit("more than it may be")


if __name__ == "__main__":
    main()
