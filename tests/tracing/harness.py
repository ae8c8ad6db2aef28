"""Experiments with a tracer, and the spans that a collector got of them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import prefect_experiments
from prefect_experiments.engine import CallPolicy, Engine, EvaluationItem
from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.tasks import resolve_task
from prefect_experiments.tracing import ExperimentTracer, TraceExport
from support.collector import Collector
from support.patience import PATIENCE_S
from tests.engine.harness import ListSink, run_items

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(prefect_experiments.__file__).parents[1]  # of what is tested here, whatever is installed


async def aexperiment(
    task: Any,
    inputs: Iterable[Any] = ("in",),
    evaluators: Any = None,
    *,
    tracer: ExperimentTracer,
    expected: Any = None,
    repetitions: int = 1,
    concurrency: int = 10,
    **policy: Any,
) -> ListSink:
    """Run a task and evaluate what it gave."""
    sink = ListSink()
    bound = resolve_evaluators(evaluators)
    with tracer:
        engine = Engine(
            resolve_task(task),
            bound,
            sink=sink,
            concurrency=concurrency,
            policy=CallPolicy(**{"retries": 0, **policy}),
            tracer=tracer,
        )
        items = run_items(inputs, repetitions=repetitions, expected=expected)
        await engine.run(items)
        by_key = {(run.position, run.repetition_number): run for run in sink.runs}
        runs = [(item, by_key[item.position, item.repetition_number]) for item in items]
        names = [evaluator.name for evaluator in bound]
        await engine.evaluate(
            [EvaluationItem(item, run.output_json, run.trace_id, names) for item, run in runs if run.error is None]
        )
    return sink


def experiment(*args: Any, **options: Any) -> ListSink:
    """The same, from synchronous code."""
    return asyncio.run(aexperiment(*args, **options))


def tracer_to(collector: Collector, project: str = "project", **options: Any) -> ExperimentTracer:
    return ExperimentTracer(project, export=TraceExport(collector.endpoint), **options)


def exported(collector: Collector, *args: Any, tracer: dict[str, Any] | None = None, **options: Any) -> ListSink:
    """Run an experiment and wait until its spans have arrived."""
    traced = tracer_to(collector, **(tracer or {}))
    sink = experiment(*args, tracer=traced, **options)
    assert traced.flush(PATIENCE_S)
    return sink


def script(code: str, *args: str, timeout: float = PATIENCE_S, **env: str) -> dict[str, Any]:
    """Run Python code in a process of its own; what it gives to ``report(...)``.

    OpenTelemetry's global provider can be set once in a process, and what happens at a process's
    end needs one as well.
    """
    opening = "import json\ndef report(**found): print('REPORT ' + json.dumps(found), flush=True)\n"
    done = subprocess.run(
        [sys.executable, "-c", opening + textwrap.dedent(code), *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SOURCE, ROOT, ROOT / "tests"))), **env},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = {"stderr": done.stderr}
    for line in done.stdout.splitlines():
        if line.startswith("REPORT "):
            found.update(json.loads(line.removeprefix("REPORT ")))
    return found
