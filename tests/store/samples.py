"""What the store's tests put into a store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from prefect_experiments.models import Example
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Recorder, Store, TaskRecord
from prefect_experiments.times import milliseconds

TASK = TaskRecord("answer", "f" * 64, "app:answer")
START = 1_800_000_000.0


def example(number: int, **changes: Any) -> Example:
    fields: dict[str, Any] = {
        "id": f"ex-{number}",
        "input": {"question": f"question {number}"},
        "output": {"answer": number},
        "metadata": {"topic": "odd" if number % 2 else "even"},
        "splits": ("train",) if number % 3 else ("test",),
    }
    return Example(**(fields | changes))


def examples(count: int) -> list[Example]:
    return [example(number) for number in range(count)]


def new_experiment(
    store: Store,
    count: int = 3,
    *,
    name: str = "experiment",
    dataset: str = "dataset",
    evaluators: Sequence[EvaluatorRecord] = (),
    **options: Any,
) -> ExperimentRecord:
    version = store.datasets.put(dataset, examples(count))
    return store.experiments.create(name, version, task=TASK, evaluators=evaluators, **options)


def run_row(position: int, repetition: int = 1, **changes: Any) -> RunRecord:
    fields: dict[str, Any] = {
        "position": position,
        "example_id": f"ex-{position}",
        "repetition_number": repetition,
        "output_json": f'{{"said":{position}}}',
        "error": None,
        "start_time": START + position,
        "end_time": START + position + 0.25,
        "attempts": 1,
    }
    fields |= changes
    return RunRecord(**{"latency_ms": milliseconds(fields["start_time"], fields["end_time"]) or None, **fields})


def failed_row(position: int, repetition: int = 1, error: str = "ValueError: no") -> RunRecord:
    return run_row(position, repetition, output_json=None, error=error)


def verdict(position: int, evaluator: str = "exact", repetition: int = 1, **changes: Any) -> EvaluationRecord:
    fields: dict[str, Any] = {
        "position": position,
        "repetition_number": repetition,
        "evaluator": evaluator,
        "name": evaluator,
        "annotator_kind": "CODE",
        "fingerprint": "a" * 64,
        "score": 1.0,
        "label": None,
        "explanation": None,
        "metadata_json": None,
        "error": None,
        "start_time": START,
        "end_time": START + 0.5,
    }
    return EvaluationRecord(**(fields | changes))


def record(
    store: Store,
    experiment_id: str,
    runs: Iterable[RunRecord] = (),
    verdicts: Sequence[EvaluationRecord] = (),
    *,
    replace: Sequence[str] = (),
) -> None:
    """Write through a recorder, runs first."""

    async def write() -> None:
        async with Recorder(store.database, experiment_id, replace) as recorder:
            await asyncio.gather(*(recorder.write_run(row) for row in runs))
            if verdicts:
                await recorder.write_evaluations(verdicts)

    asyncio.run(write())


def outputs(store: Store, experiment_id: str) -> list[tuple[str, int, Any, str | None]]:
    """Each run's example, repetition, output and error."""
    runs, _ = store.results.runs(experiment_id)
    return [(run.example_id, run.repetition_number, run.output, run.error) for run in runs]
