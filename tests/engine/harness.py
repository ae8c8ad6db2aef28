"""The engine with results in lists, and tasks that note what happens to them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from typing import Any

from prefect_experiments.engine import CallPolicy, Engine, EvaluationItem, RunItem
from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.tasks import resolve_task
from support.patience import PATIENCE_S


class ListSink:
    """Durable at once."""

    def __init__(self) -> None:
        self.runs: list[RunRecord] = []
        self.evaluations: list[EvaluationRecord] = []

    async def write_run(self, row: RunRecord) -> None:
        self.runs.append(row)

    async def write_evaluations(self, rows: Sequence[EvaluationRecord]) -> None:
        self.evaluations.extend(rows)

    async def flush(self) -> None:
        pass

    def run(self, position: int = 0) -> RunRecord:
        [row] = [row for row in self.runs if row.position == position]
        return row

    def evaluation(self, position: int = 0, name: str | None = None) -> EvaluationRecord:
        [row] = [row for row in self.evaluations if row.position == position and name in (None, row.name)]
        return row

    def output(self, position: int = 0) -> Any:
        return json.loads(self.run(position).output_json)

    def outputs(self) -> list[Any]:
        return [self.output(row.position) for row in sorted(self.runs, key=lambda row: row.position)]

    def errors(self) -> list[str]:
        return [row.error for row in sorted(self.runs, key=lambda row: row.position) if row.error is not None]


def run_items(
    inputs: Iterable[Any], *, expected: Any = None, metadata: Any = None, repetitions: int = 1
) -> list[RunItem]:
    return [
        RunItem(
            position,
            f"ex-{position}",
            repetition,
            json.dumps(input_),
            None if expected is None else json.dumps(expected),
            json.dumps(metadata or {}),
        )
        for position, input_ in enumerate(inputs)
        for repetition in range(1, repetitions + 1)
    ]


def evaluation_items(outputs: Iterable[Any], evaluators: Sequence[str], **fields: Any) -> list[EvaluationItem]:
    outputs = list(outputs)
    items = run_items(({"q": n} for n in range(len(outputs))), **fields)
    return [
        EvaluationItem(item, json.dumps(output), None, evaluators) for item, output in zip(items, outputs, strict=True)
    ]


def engine_of(
    task: Any = None,
    evaluators: Any = None,
    sink: Any = None,
    *,
    concurrency: int = 10,
    exit_on_error: bool = False,
    **policy: Any,
) -> tuple[Engine, Any]:
    sink = sink or ListSink()
    engine = Engine(
        resolve_task(task) if task else None,
        resolve_evaluators(evaluators),
        sink=sink,
        concurrency=concurrency,
        policy=CallPolicy(**policy),
        exit_on_error=exit_on_error,
    )
    return engine, sink


def run(
    task: Any,
    inputs: Iterable[Any] = (1,),
    *,
    sink: Any = None,
    repetitions: int = 1,
    expected: Any = None,
    **options: Any,
) -> Any:
    """Run a task over inputs; the sink with what came out."""

    async def main() -> Any:
        engine, results = engine_of(task, sink=sink, **options)
        await engine.run(run_items(inputs, repetitions=repetitions, expected=expected))
        return results

    return asyncio.run(main())


def evaluate(evaluators: Any, outputs: Iterable[Any] = ("out",), *, expected: Any = None, **options: Any) -> Any:
    """Evaluate outputs; the sink with what came out."""

    async def main() -> Any:
        engine, results = engine_of(None, evaluators, **options)
        names = [evaluator.name for evaluator in engine.evaluators]
        await engine.evaluate(evaluation_items(outputs, names, expected=expected))
        return results

    return asyncio.run(main())


def python(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script that may import from the tests, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # in whatever folder we are
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class InFlight:
    """How many calls are under way, and when each began."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.starts: list[float] = []
        self._lock = threading.Lock()

    @contextmanager
    def call(self):
        with self._lock:
            self.starts.append(time.monotonic())
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1

    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.starts, self.starts[1:], strict=False)]


class Timer:
    def __enter__(self) -> Timer:
        self.began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self.began


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing to do: hours pass in no time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0]._when)
        super()._run_once()


def in_virtual_time(function: Any) -> Any:
    """Run ``async def function(clock)`` in a loop of virtual time."""
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(function(loop.time))
    finally:
        loop.close()
