"""What a call is refused for before anything is run: one sentence says what is wrong and what to give instead."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments import Client, Dataset, Example
from prefect_experiments.errors import AlreadyExists, ExperimentsError

EXAMPLES = [{"input": 1, "id": "a"}]


def only(given: Any) -> Dataset:
    return Dataset(name="x", examples=(Example(input=1, id="a"),), only_evaluators=given)


@pytest.fixture
def with_dataset(client: Client) -> Client:
    client.datasets.create_dataset(name="d", examples=EXAMPLES)
    return client


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"experiment_name": "latest"},
            "that word leads to the newest experiment, whatever it is called; choose anoth",
        ),
        (
            {"experiment_name": "tag:x"},
            "what begins with 'tag:' leads to the experiment that has a tag; choose another",
        ),
        ({"pooled": 3}, "pooled=3 (--pooled 3) pools a baseline, and none is named: give one, such as baseline="),
        ({"dataset": EXAMPLES, "dataset_version": "1"}, "dataset_version='1': only kept datasets have versions"),
        ({"concurrency_limit": ""}, "concurrency_limit must be the name of a global concurrency limit, got ''"),
        ({"task_runner": 5}, "deployment:NAME or a task runner of Prefect's, got 5"),
        (
            {"evaluators": [lambda output: 1, lambda output: 2]},
            "several evaluators have the name 'lambda'; names must d",
        ),
        ({"dataset": only(3)}, "only_evaluators must be a mapping of example ids to names, got int"),
        ({"dataset": only({"b": ()})}, "only_evaluators: there is no example with the id 'b'"),
        ({"dataset": only({"a": 3})}, "only_evaluators['a'] must be a list of evaluators' names, got 3"),
    ],
)
def test_an_experiment_that_cannot_begin(with_dataset: Client, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ExperimentsError) as refused:
        with_dataset.experiments.run_experiment(
            **{"dataset": "d", "task": lambda given: 1, "print_summary": False, "dry_run": 1, **given}
        )
    assert said in str(refused.value)


def test_a_dataset_is_made_of_one_thing(client: Client) -> None:
    for given in ({}, {"examples": EXAMPLES, "inputs": [1]}):
        with pytest.raises(ExperimentsError) as refused:
            client.datasets.create_dataset(name="x", **given)  # type: ignore[arg-type]
        said = f"give exactly one of examples=, inputs=, dataframe= and file=; got {len(given)}"
        assert str(refused.value) == said


def test_a_dataset_that_is_there_with_others(with_dataset: Client) -> None:
    other = [{"input": 2, "id": "a"}]
    with pytest.raises(AlreadyExists) as refused:
        with_dataset.datasets.create_dataset(name="d", examples=other, if_exists="reuse")
    assert ", with other examples: " in str(refused.value)
    assert "if_exists='new_version' (--if-exists new_version) makes a version with those given" in str(refused.value)


def test_what_names_no_dataset_and_no_experiment(with_dataset: Client) -> None:
    with pytest.raises(ExperimentsError, match="dataset must be a name, an id or a Dataset, got 7"):
        with_dataset.datasets.get_dataset(dataset=7)  # type: ignore[arg-type]
    with pytest.raises(
        ExperimentsError, match="experiment must be an id, a name, 'tag:NAME', 'latest', 'latest:NAME', an"
    ):
        with_dataset.experiments.get_results(experiment=7)  # type: ignore[arg-type]


def test_experiments_that_cannot_be_compared(with_dataset: Client) -> None:
    made = with_dataset.experiments.create(name="m", dataset="d", experiment_runs=[{"example_id": "a", "output": 1}])
    with pytest.raises(ExperimentsError, match="would be compared with itself; name its baseline by another id"):
        with_dataset.experiments.resume_experiment(experiment=made.id, baseline=made.id)
    with pytest.raises(ExperimentsError, match="pooled=2 takes one candidate, and here are 2: compare them one by one"):
        with_dataset.experiments.compare(candidate=["a", "b"], baseline="b", pooled=2)
