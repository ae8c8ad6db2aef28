"""Values that a database, JSON or UTF-8 refuses are that row's error, or kept as they are; never the experiment's."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from prefect_experiments import Client, Dataset, Example, run_experiment
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.store import Recorder, Store, TaskRecord

SURROGATE, NUL = "half \ud83d", "a\x00b"

OUTPUTS: dict[str, Callable[[], Any]] = {
    "fine": lambda: "fine",
    "nan": lambda: math.nan,
    "inf": lambda: {"x": [math.inf, -math.inf]},
    "huge integer": lambda: 10**400,
    "integer beyond 64 bits": lambda: {"n": 2**64},
    "large integer": lambda: 2**63 - 1,
    "nul": lambda: NUL,
    "nul in a key": lambda: {NUL: NUL},
    "lone surrogate": lambda: SURROGATE,
    "lone surrogate in a key": lambda: {SURROGATE: 1},
    "bytes": lambda: b"\x00\xff",
    "a megabyte of nul": lambda: "\x00" * 1_000_000,
}
ERRORS: dict[str, str] = {"error with nul": NUL, "error with a surrogate": SURROGATE}
EVALUATIONS: dict[str, Any] = {
    "fine": 1.0,
    "nan": math.nan,
    "inf": math.inf,
    "huge": 10**400,
    "nul": NUL,
    "surrogate": SURROGATE,
    "explained": {"score": 1, "explanation": NUL + SURROGATE, "metadata": {NUL: SURROGATE, "n": 10**30, "x": math.nan}},
    "named nul": [{"name": NUL, "score": 1}, {"name": "other", "score": 0}],
    "large": 1e308,
    "tiny": 5e-324,
}


def task(input: str) -> Any:
    if input in ERRORS:
        raise ValueError(ERRORS[input])
    return OUTPUTS.get(input, OUTPUTS["fine"])()


def judged(input: str) -> Any:
    return EVALUATIONS.get(input, 1.0)


@pytest.mark.thorough
def test_an_experiment_of_nothing_but_such_values(any_store_url: str) -> None:
    inputs = list(dict.fromkeys([*OUTPUTS, *ERRORS, *EVALUATIONS]))
    client = Client(store_url=any_store_url)
    ran = run_experiment(
        dataset=Dataset(name="values", examples=tuple(Example(id=name, input=name) for name in inputs)),
        task=task,
        evaluators={"judged": judged, "fine": lambda output: 1.0},
        experiment_name="values",
        experiment_metadata={"nul": NUL},
        experiment_description=NUL + SURROGATE,
        retries=0,
        client=client,
        print_summary=False,
    )
    runs = {run["example_id"]: run for run in ran["task_runs"]}
    assert sorted(runs) == sorted(inputs)
    frame = client.experiments.list_runs(experiment=ran.experiment_id, all=True).to_df().set_index("example_id")
    for name in inputs:
        failed = frame.loc[name, "status"] == "error"
        assert failed == (name in ERRORS), name
        assert failed or frame.loc[name, "eval.fine.score"] == 1.0, name
    assert frame.loc["large integer", "output"] == 2**63 - 1
    assert frame.loc["nul", "output"] == NUL
    assert frame.loc["nul in a key", "output"] == {NUL: NUL}
    for name in ("nan", "inf", "huge", "named nul"):
        assert frame.loc[name, "eval.judged.error"], name
    for name in ("fine", "explained", "large", "tiny"):
        assert frame.loc[name, "eval.judged.score"] == (EVALUATIONS[name] if name in ("large", "tiny") else 1.0), name
    client.store.close()


def run_row(position: int, **changes: Any) -> RunRecord:
    return RunRecord(position, 1, f"ex-{position}", '"said"', None, 1.8e9, 1.8e9 + 1)._replace(**changes)


def evaluation(position: int, **changes: Any) -> EvaluationRecord:
    made = EvaluationRecord(position, 1, "judged", "judged", "CODE", "a" * 64, 1.0)
    return made._replace(start_time=1.8e9, end_time=1.8e9, **changes)


REFUSED: list[dict[str, Any]] = [
    {"token_count": 2**40},
    {"token_count": 2**80},
    {"token_count": -(2**80), "total_cost": math.inf},
    {"trace_id": "x" * 100},
    {"trace_id": NUL},
]


@pytest.mark.parametrize("changes", REFUSED, ids=str)
def test_a_row_that_the_database_refuses_takes_no_other_with_it(any_store: Store, changes: dict[str, Any]) -> None:
    version = any_store.datasets.put("dataset", [Example(id=f"ex-{n}", input=n) for n in range(20)])
    made = any_store.experiments.create("refused", version, task=TaskRecord("answer", "f" * 64, None))
    experiment_id = made.experiment.id

    async def main() -> None:
        async with Recorder(any_store.database, experiment_id) as recorder:
            rows = [run_row(n, **(changes if n == 7 else {})) for n in range(20)]
            await asyncio.gather(*(recorder.write_run(row) for row in rows))
            odd = {"trace_id": "x" * 100, "score": 0.5}
            await recorder.write_evaluations([evaluation(n, **(odd if n == 7 else {})) for n in range(20)])

    asyncio.run(main())
    runs = {run.example_id: run for run in any_store.results.runs(experiment_id)[0]}
    assert len(runs) == 20
    for name, run in runs.items():
        assert (run.output, run.error) == ("said", None), name  # what was paid for is there, also where a figure is not
    odd = runs["ex-7"]
    for name, value in changes.items():
        kept = getattr(odd, name)
        assert kept == value or name in odd.metadata, name  # as it was, or beside
    given = {each.key: each for each in any_store.results.evaluations(experiment_id)}
    assert len(given) == 20
    assert all(each.score == 1.0 for key, each in given.items() if key != (7, 1))
    assert given[7, 1].score == 0.5 or "cannot hold" in str(given[7, 1].error)
