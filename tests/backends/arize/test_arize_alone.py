"""Experiments in AX (a stand-in) that are on no dataset, as AX's client 8.61 makes them with ``create(space=)``."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from prefect_experiments import Client, EvaluationResultFieldNames, ExperimentTaskFieldNames
from prefect_experiments.errors import AlreadyExists, InvalidInput, InvalidSetting
from support.arize import Official, StandIn

from .conftest import ours

ROWS: list[dict[str, Any]] = [
    {"said": f"answer {n}", "right": n % 2, "why": "so", "model": "m", "input": f"question {n}"} for n in range(5)
]
COLUMNS: dict[str, Any] = {
    "task_fields": ExperimentTaskFieldNames(example_id=None, output="said"),
    "evaluator_columns": {"right": EvaluationResultFieldNames(score="right", explanation="why")},
}


@pytest.mark.thorough
def test_it_is_made_in_the_space_as_axs_client_makes_it(arize: StandIn, official: Official, client: Client) -> None:
    made = client.experiments.create(name="ours", space="default", experiment_runs=ROWS, **COLUMNS)
    theirs = official(
        "result = client.experiments.create(name='theirs', space='default', experiment_runs=rows, "
        "task_fields=field_names(output='said'), "
        "evaluator_columns={'right': result_names(score='right', explanation='why')})",
        rows=ROWS,
    )
    first, second = arize.bodies("/v2/experiments$")
    assert first.keys() == second.keys() == {"name", "space_id", "experiment_runs"}
    assert first["space_id"] == arize.space_id()
    for ours_, theirs_ in zip(first["experiment_runs"], second["experiment_runs"], strict=True):
        assert ours_.pop("example_id").startswith("ex-")  # so that a run is found again
        assert ours_ == theirs_
    assert arize.state()["datasets"] == []
    assert (made.dataset_id, theirs["dataset_id"]) == ("", None)
    assert sorted(run["output"] for run in official.runs(made.id)) == [row["said"] for row in ROWS]


def test_it_is_read_back_and_logged_once(arize: StandIn, client: Client) -> None:
    made = client.experiments.create(name="mine", experiment_runs=pd.DataFrame(ROWS), **COLUMNS)
    assert client.experiments.create(name="mine", experiment_runs=ROWS, **COLUMNS).id == made.id
    assert len(arize.state()["experiments"]) == 1
    assert len(arize.experiment("mine")["runs"]) == 5
    frame = client.experiments.list_runs(experiment="mine", all=True).to_df()
    assert frame["output"].tolist() == [row["said"] for row in ROWS]
    assert frame["eval.right.score"].tolist() == [0, 1, 0, 1, 0]
    assert set(frame["id"]) == {run["id"] for run in arize.experiment("mine")["runs"]}
    assert client.experiments.get_results(experiment=made.id).summary.metrics["right"].mean == pytest.approx(0.4)
    with pytest.raises(AlreadyExists, match="without a dataset in this space already"):
        client.experiments.create(name="mine", experiment_runs=ROWS[:2], **COLUMNS)


def test_a_space_has_to_be_known(arize: StandIn, store_url: str) -> None:
    arize.add_space("another")
    client = ours(arize, space=None, store_url=store_url)
    with pytest.raises(InvalidSetting, match="which space of Arize AX"):
        client.experiments.create(name="x", experiment_runs=ROWS, **COLUMNS)
    assert arize.state()["experiments"] == []
    client.experiments.create(name="x", space="another", experiment_runs=ROWS, **COLUMNS)
    assert arize.state()["experiments"][0]["space_id"] == arize.space_id("another")


def test_many_rows(arize: StandIn, client: Client, hasty: int) -> None:
    rows = [{"id": f"row-{n}", "output": f"answer {n}"} for n in range(hasty)]
    client.experiments.create(name="many", experiment_runs=rows)
    runs = arize.experiment("many")["runs"]
    assert sorted(run["example_id"] for run in runs) == sorted(row["id"] for row in rows)


def test_one_that_another_client_made_is_told_of(official: Official, client: Client) -> None:
    official(
        "client.experiments.create(name='theirs', space='default', experiment_runs=rows, "
        "task_fields=field_names(output='said'))",
        rows=ROWS,
    )
    with pytest.raises(InvalidInput, match="belongs to no dataset"):
        client.experiments.list_runs(experiment="theirs")


def test_what_axs_client_said_of_a_failed_run_is_shown_and_not_counted(
    official: Official, client: Client, elsewhere: Client
) -> None:
    """AX's client evaluates failed runs, too, with an output of None."""
    client.datasets.create_dataset(name="d", examples=[{"id": f"e{n}", "input": n} for n in range(3)])
    ids = official("result = client.datasets.list_examples(dataset='d', space='default', limit=9).examples")
    rows = [
        {
            "example_id": example["id"],
            "output": "" if place == 1 else "x",
            "error": "Boom" if place == 1 else None,
            "execution_status": "FAILED" if place == 1 else "COMPLETED",
            "eval.right.score": 0.0 if place == 1 else 1.0,
            "eval.right.label": "wrong" if place == 1 else "right",
        }
        for place, example in enumerate(ids)
    ]
    official(
        "client.experiments.create(name='theirs', dataset='d', space='default', experiment_runs=rows, "
        "task_fields=field_names(example_id='example_id', output='output'))",
        rows=rows,
    )
    for one in (client, elsewhere):
        ran = one.experiments.get_results(experiment="theirs")
        frame = ran.to_dataframe()
        assert frame["status"].tolist() == ["ok", "error", "ok"]
        assert frame["eval.right.score"].tolist() == [1, 0, 1]
        assert frame["eval.right.label"].tolist() == ["right", "wrong", "right"]
        metric = ran.summary.metrics["right"]
        assert (metric.n, metric.mean, metric.n_task_errors, metric.labels) == (2, 1.0, 1, {"right": 2})
