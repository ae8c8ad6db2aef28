"""Large experiments, made directly in a store: long texts, a metric, labels, some errors, some results missing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from prefect_experiments.models import Example
from prefect_experiments.records import EvaluatedRun, EvaluationRecord, RunRecord, json_text
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Store, TaskRecord
from prefect_experiments.store.rows import evaluation_values, run_values
from prefect_experiments.store.tables import evaluations, experiment_runs

BEGAN = 1_700_000_000.0
LABELS = ("polite", "plain", "rude")
_WORDS = ("quick", "brown", "foxes", "jump", "over", "lazy", "dogs", "and", "ask", "why", "nobody", "sleeps")
_AT_ONCE = 5_000


def large_dataset(store: Store, name: str, n: int, *, length: int = 500) -> Any:
    """A dataset of `n` examples with inputs of about so many characters."""
    draw = random.Random(17)
    content = [
        Example(id=f"example-{i:07d}", input={"q": f"{i} {_text(draw, length)}"}, output={"a": str(i % 7)})
        for i in range(n)
    ]
    return store.datasets.put(name, content)


def large_experiment(
    store: Store,
    name: str,
    version: Any,
    *,
    repetitions: int = 1,
    seed: int = 1,
    quality: float = 0.7,
    length: int = 300,
) -> ExperimentRecord:
    """An experiment on a dataset's version: about 2 % of the tasks fail, 1 % of the evaluators, 1 % is missing."""
    record = store.experiments.create(
        name,
        version,
        task=TaskRecord("task", "f" * 64, None),
        evaluators=[EvaluatorRecord("grade", "CODE", "1" * 64), EvaluatorRecord("tone", "LLM", "2" * 64)],
        repetitions=repetitions,
    )
    outline = [(position, name) for position, name, _ in store.datasets.outline(version)]
    draw = random.Random(seed)
    runs = _runs(outline, repetitions, draw, quality, length)
    database, experiment_id = store.database, record.experiment.id
    while chunk := [run for _, run in zip(range(_AT_ONCE), runs, strict=False)]:
        with database.write() as connection:
            given = [evaluation_values(experiment_id, one) for run in chunk for one in run.evaluations]
            made = [run_values(experiment_id, each.run) for each in chunk]
            database.write_many(connection, database.upsert(experiment_runs), made)
            database.write_many(connection, database.upsert(evaluations), given)
    return record


def _runs(
    outline: list[tuple[int, str]], repetitions: int, draw: random.Random, quality: float, length: int
) -> Iterator[EvaluatedRun]:
    for position, example_id in outline:
        for repetition in range(1, repetitions + 1):
            chance = draw.random()
            if chance < 0.01:  # not run
                continue
            error = "TimeoutError: no answer" if chance < 0.03 else None
            run = RunRecord(
                position,
                repetition,
                example_id,
                None if error else f'"{_text(draw, length)}"',
                error,
                BEGAN,
                BEGAN + 1,
                token_count=draw.randrange(50, 500),
                total_cost=draw.randrange(100) / 1e5,
                latency_ms=draw.lognormvariate(6, 0.5),
            )
            yield EvaluatedRun(run, () if error else tuple(_evaluations(position, repetition, draw, quality, length)))


def _evaluations(
    position: int, repetition: int, draw: random.Random, quality: float, length: int
) -> Iterator[EvaluationRecord]:
    score = min(1.0, max(0.0, round(draw.gauss(quality, 0.2), 3)))
    failed = draw.random() < 0.01
    yield EvaluationRecord(
        position,
        repetition,
        "grade",
        "grade",
        "CODE",
        "1" * 64,
        score=None if failed else score,
        explanation=None if failed else _text(draw, length),
        error="ValueError: no number" if failed else None,
        start_time=BEGAN,
        end_time=BEGAN + 1,
    )
    if draw.random() < 0.99:
        yield EvaluationRecord(
            position,
            repetition,
            "tone",
            "tone",
            "LLM",
            "2" * 64,
            label=draw.choices(LABELS, [quality, 0.5, 1 - quality])[0],
            explanation=_text(draw, length),
            metadata_json=json_text({"reason": _text(draw, 80)}),
            start_time=BEGAN,
            end_time=BEGAN + 1,
        )


def _text(draw: random.Random, length: int) -> str:
    start = draw.randrange(1_000_000)
    words = [_WORDS[(start * 7 + i * i) % len(_WORDS)] for i in range(length // 5)]
    return f"{start} {' '.join(words)}"[:length]
