"""A process that makes the calls of the spec on its standard input, and says how that ended.

usage: at_work.py [MACHINE]

Signs of life come ten times as often as they do, and are missed as much sooner. With MACHINE it is on another one.
"""

from __future__ import annotations

import asyncio
import sys

from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.experiment.steps import run_spec
from prefect_experiments.store import leases, processes

leases.BEAT_S, leases.SILENT_S, leases.DOUBT_S, leases.LOOK_S = 0.3, 3.0, 1.0, 0.1
if len(sys.argv) > 1:
    processes._machine = lambda: sys.argv[1]


def main() -> None:
    spec = ExperimentSpec.from_json(sys.stdin.read())
    try:
        done = asyncio.run(run_spec(spec))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    else:
        print(f"done: {done.runs} runs, {done.evaluations} evaluations")


if __name__ == "__main__":
    main()
