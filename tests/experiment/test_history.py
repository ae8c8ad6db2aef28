"""What experiments leave for the history of their dataset: verdicts, tags, and an artifact in Prefect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prefect import flow
from prefect.artifacts import Artifact

from prefect_experiments import AsyncClient, Client, EvaluationResultFieldNames, RanExperiment
from prefect_experiments.errors import NotFound, StoreUnavailable
from prefect_experiments.orchestration import artifacts
from prefect_experiments.orchestration.artifacts import show_history

ROWS = [{"id": f"e{n}", "input": n, "output": n} for n in range(40)]


def same(input: int) -> int:
    return input


def worse(input: int) -> int:
    return input if input % 2 else -1


def right(output: int, expected: int) -> bool:
    return output == expected


@flow
async def nightly(ran: RanExperiment) -> None:
    await show_history(ran)


def test_nights_leave_their_verdicts_and_their_tags(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.datasets.create_dataset(name="history-of-nights", examples=ROWS)
    common: dict[str, Any] = {"dataset": "history-of-nights", "evaluators": [right], "print_summary": False}
    gate = {"metrics": {"right": {"min": 0.9}}}
    run = client.experiments.run_experiment
    first = run(task=same, baseline="tag:baseline", gate=gate, **common)
    client.experiments.tag(experiment=first, tag="baseline")
    second = run(task=worse, baseline="tag:baseline", gate=gate, **common)
    history = client.experiments.history(dataset="history-of-nights", metrics="right")
    one, two = history.entries
    assert (one.gate, one.promoted, one.baseline) == ("passed", True, None)
    assert first.verdict is not None
    assert one.reasons == first.verdict.reasons
    assert one.checks == first.verdict.checks
    assert second.verdict is not None
    assert (two.gate, two.exit_code, two.reasons) == ("failed", 1, second.verdict.reasons)
    assert two.baseline is not None
    assert (two.baseline.id, two.baseline.means) == (first.experiment_id, {"right": 1.0})
    point = two.metrics["right"]
    assert (point.mean, point.check, point.moved) == (0.5, "failed", "regressed")
    assert two.flow_run_url == second.flow_run_url
    awaited = AsyncClient(store_url=client.store.portable_url).experiments
    assert asyncio.run(awaited.history(dataset="history-of-nights", metrics="right")) == history
    with pytest.raises(NotFound, match="unknown dataset"):
        client.experiments.history(dataset="history-of-night")

    asyncio.run(nightly(second))
    artifact = Artifact.get(key="history-history-of-nights")
    assert artifact is not None
    assert "- right `█▁` 0.50 to 1.00, last 0.50" in artifact.data
    assert "✗ failed: right" in artifact.data
    assert "★ baseline" in artifact.data

    monkeypatch.setattr(artifacts, "MOST_RESULTS_OF_HISTORY", 100)  # of a large dataset fewer are read
    asyncio.run(nightly(second))
    again = Artifact.get(key="history-history-of-nights")
    assert again is not None
    assert "1 experiment, 1 judged" in again.data


@pytest.mark.thorough
def test_a_history_tells_what_was_compared_with_where_the_baseline_was_pooled(client: Client) -> None:
    client.datasets.create_dataset(name="pooled-nights", examples=ROWS)
    wrong = iter([0, 2, 2, 0])
    for night in range(4):
        left_out = next(wrong)
        scores = [{"example_id": f"e{n}", "output": n, "right": float(n >= left_out)} for n in range(40)]
        client.experiments.log_experiment(
            name=f"night {night}",
            experiment_runs=scores,
            dataset="pooled-nights",
            evaluator_columns={"right": EvaluationResultFieldNames(score="right")},
            baseline="tag:baseline",
            gate={},
            pooled=3,
            print_summary=False,
        )
        if not night:
            client.experiments.tag(experiment="night 0", tag="baseline")
    found = [one.baseline for one in client.experiments.history(dataset="pooled-nights").entries]
    assert [
        one and (one.name, one.pooled and one.pooled.runs, {name: round(mean, 6) for name, mean in one.means.items()})
        for one in found
    ] == [
        None,
        ("night 0", (), {"right": 1.0}),
        ("night 0", ("night 1",), {"right": 0.975}),
        ("night 0", ("night 1", "night 2"), {"right": 0.966667}),
    ]
    assert [one and one.pooled and one.pooled.asked for one in found] == [None, 3, 3, 3]


@pytest.mark.thorough
def test_a_history_that_cannot_be_read_costs_the_flow_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ran = client.experiments.run_experiment(
        dataset=ROWS[:2], task=same, evaluators=[right], print_summary=False, experiment_name="once"
    )

    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the store is away")

    monkeypatch.setattr(artifacts, "history_of", away)
    with caplog.at_level("WARNING"):
        asyncio.run(nightly(ran))
    assert "is not shown: the store is away" in caplog.text
    assert "The history of" in caplog.text
