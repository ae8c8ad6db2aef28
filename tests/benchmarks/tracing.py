"""What tracing adds to an experiment run: the engine alone, a task and two evaluators, in memory.

usage: python tests/benchmarks/tracing.py [RUNS [REPEATS]]

The variants take turns in one process, and medians are compared: absolute times on a shared machine
say little. With export, the spans are held back while the calls are made, as they are beside a push.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent.parent))

from tests.engine.harness import ListSink, run_items

from prefect_experiments.engine import Engine, EvaluationItem
from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.tasks import resolve_task
from prefect_experiments.tracing import ExperimentTracer, TraceExport, UsageCounter
from support.collector import Collector


async def task(input):
    return {"answer": input["q"]}


def same(output, expected):
    return output == expected


def length(output):
    return float(len(output["answer"]))


async def experiment(runs: int, tracer: ExperimentTracer | UsageCounter | None) -> float:
    sink = ListSink()
    evaluators = resolve_evaluators([same, length])
    items = run_items(({"q": f"question {n}"} for n in range(runs)), expected={"answer": "question 1"})
    with tracer or contextlib.nullcontext(), tracer.hold() if tracer else contextlib.nullcontext():
        gc.collect()
        gc.freeze()  # as where experiments run: what was there before is none of theirs
        began = time.process_time()
        engine = Engine(resolve_task(task), evaluators, sink=sink, tracer=tracer)
        await engine.run(items)
        names = [evaluator.name for evaluator in evaluators]
        await engine.evaluate(
            [EvaluationItem(i, r.output_json, r.trace_id, names) for i, r in zip(items, sink.runs, strict=True)]
        )
        seconds = time.process_time() - began
        gc.unfreeze()
    assert len(sink.evaluations) == 2 * runs
    return seconds / runs * 1e6


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with Collector() as collector:
        export = TraceExport(collector.endpoint)
        variants: dict[str, Callable[[], ExperimentTracer | UsageCounter | None]] = {
            "no tracer": lambda: None,
            "tokens and cost counted": UsageCounter,
            "traced, no export": lambda: ExperimentTracer("p", metadata={"experiment_id": "e"}),
            "traced, exported": lambda: ExperimentTracer("p", export=export, metadata={"experiment_id": "e"}),
            # Last: it cannot be unset.
            "traced, no export, our global provider": lambda: ExperimentTracer("p", set_global=True),
        }
        seen: dict[str, list[float]] = {name: [] for name in variants}
        for names in (list(variants)[:-1], list(variants)[-1:]):
            for _ in range(repeats):
                for name in names:
                    tracer = variants[name]()
                    seen[name].append(asyncio.run(experiment(runs, tracer)))
                    if isinstance(tracer, ExperimentTracer):
                        tracer.flush(60)
        spans = len(collector.spans)
    plain = statistics.median(seen["no tracer"])
    for name, figures in seen.items():
        here = statistics.median(figures)
        print(f"{name:40} {here:7.1f} us a run, {here - plain:+7.1f}, ratio {here / plain:.2f}")
    print(f"{spans} spans arrived; {runs} runs, medians of {repeats}")


if __name__ == "__main__":
    main()
