"""AX's own spelling, with the import and the line that makes the client changed, on a stand-in for AX."""

from __future__ import annotations

import asyncio
from typing import Any

import pandas as pd
import pytest

from prefect_experiments import (
    AnnotateRecordInput,
    AnnotationInput,
    AsyncClient,
    EvaluationResult,
    EvaluationResultFieldNames,
    Evaluator,
    ExperimentTaskFieldNames,
)
from prefect_experiments.errors import InvalidInput, NotFound
from support.arize import Official, StandIn

from .conftest import ours

INVENTIONS = pd.DataFrame(
    {
        "attributes.input.value": ["Telephone", "Light Bulb", "Phonograph"],
        "attributes.output.value": ["Alexander Graham Bell", "Thomas Edison", "Thomas Edison"],
    }
)


@pytest.mark.usefixtures("prefect")
def test_the_documentations_experiment(arize: StandIn, official: Official, store_url: str) -> None:
    arize.add_space("another")
    client = ours(arize, space=None, store_url=store_url)

    dataset = client.datasets.create(space="default", name="inventions", examples=INVENTIONS)

    def answer_question(dataset_row: Any) -> str:
        invention = dataset_row["attributes.input.value"]
        return f"Thomas Edison invented the {invention}"

    def is_correct(output: Any, dataset_row: Any) -> bool:
        return bool(dataset_row.get("attributes.output.value") in output)

    class Length(Evaluator):
        name = "length"

        def evaluate(self, output: Any, **kwargs: Any) -> EvaluationResult:
            return EvaluationResult(score=float(len(output)), label="short", explanation="counted")

    experiment, results = client.experiments.run(
        space="default",
        name="basic-experiment",
        dataset="inventions",
        task=answer_question,
        evaluators=[is_correct, Length()],
        concurrency=10,
        exit_on_error=False,
    )
    assert experiment is not None
    assert results["eval.is_correct.label"].value_counts().to_dict() == {"True": 2, "False": 1}
    assert set(results["execution_status"]) == {"COMPLETED"}
    # The official client finds it, by the same names.
    theirs = official(
        "result = client.experiments.get(experiment='basic-experiment', dataset='inventions', space='default')"
    )
    assert theirs["id"] == experiment.id
    read = {run["example_id"]: run for run in official.runs(experiment.id)}
    assert read.keys() == set(results["example_id"])
    for row in results.to_dict(orient="records"):
        run = read[row["example_id"]]
        assert (run["output"], run["eval.is_correct.label"]) == (row["output"], row["eval.is_correct.label"])
        assert (run["eval.length.score"], run["eval.length.explanation"]) == (len(row["output"]), "counted")
    dry, tried = client.experiments.run(
        space="default", name="dry", dataset=dataset.id, task=answer_question, dry_run=True, dry_run_count=2
    )
    assert (dry, len(tried)) == (None, 2)
    assert [one["name"] for one in arize.state()["experiments"]] == ["basic-experiment"]


def test_the_documentations_management(arize: StandIn, official: Official, store_url: str) -> None:
    other = arize.add_space("another")
    client = ours(arize, space=None, store_url=store_url)
    for space in ("default", other):
        client.datasets.create(name="inventions", examples=INVENTIONS.to_dict(orient="records"), space=space)
    official(
        "client.datasets.create(name='theirs', space='default', examples=rows)", rows=INVENTIONS.to_dict("records")
    )
    ours_, _, theirs = arize.bodies("/v2/datasets$")
    assert ours_["examples"] == theirs["examples"]
    assert [found.name for found in client.datasets.list(space="another")] == ["inventions"]
    dataset = client.datasets.get(dataset="inventions", space="another")
    assert dataset.id != client.datasets.get(dataset="inventions", space="default").id
    runs = pd.DataFrame(
        {
            "example": [example.id for example in dataset.examples],
            "said": ["a", "b", "c"],
            "score": [1.0, 0.0, 1.0],
            "model": ["x", "y", "z"],
        }
    )
    experiment = client.experiments.create(
        name="logged",
        dataset="inventions",
        space="another",
        experiment_runs=runs,
        task_fields=ExperimentTaskFieldNames(example_id="example", output="said"),
        evaluator_columns={"right": EvaluationResultFieldNames(score="score")},
    )
    assert [one.id for one in client.experiments.list(dataset="inventions", space="another")] == [experiment.id]
    assert len(client.experiments.list(space="default")) == 0
    listed = client.experiments.list_runs(experiment="logged", dataset="inventions", space="another", limit=2)
    assert (len(listed), listed.pagination.has_more) == (2, True)
    arize.allow_annotation("quality", other)
    note = AnnotateRecordInput(
        record_id=listed[0].id, values=[AnnotationInput(name="quality", score=0.5, text="so so")]
    )
    client.experiments.annotate_runs(experiment="logged", dataset="inventions", space="another", annotations=[note])
    noted = next(run for run in official.runs(experiment.id) if run["id"] == listed[0].id)
    assert [(n["name"], n["score"], n["text"]) for n in noted["annotations"]] == [("quality", 0.5, "so so")]
    with pytest.raises(NotFound, match="unknown space 'annother'; did you mean 'another'"):
        client.datasets.list(space="annother")
    with pytest.raises(InvalidInput, match="space must be the name or the id"):
        client.datasets.list(space=7)  # type: ignore[arg-type]
    client.experiments.delete(experiment="logged", dataset="inventions", space="another")
    client.datasets.delete(dataset="inventions", space="another")
    assert len(client.datasets.list(space="another")) == 0
    assert len(client.datasets.list(space="default")) == 2


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_awaited(arize: StandIn, store_url: str) -> None:
    client = AsyncClient(backend="arize", api_key="test-key", base_url=arize.url, space="default", store_url=store_url)

    async def whole() -> tuple[Any, Any]:
        await client.datasets.create(name="inventions", examples=INVENTIONS)
        return await client.experiments.run(  # type: ignore[no-any-return]
            name="awaited", dataset="inventions", task=lambda dataset_row: dataset_row["attributes.input.value"]
        )

    experiment, frame = asyncio.run(whole())
    assert (len(frame), experiment.id) == (3, arize.experiment("awaited")["id"])
    other = arize.add_space("another")

    async def elsewhere() -> Any:
        await client.datasets.create(name="inventions", examples=INVENTIONS[:2], space="another")
        return await client.experiments.run(
            name="there", dataset="inventions", task=lambda dataset_row: "x", space="another"
        )

    experiment, frame = asyncio.run(elsewhere())
    assert (len(frame), arize.experiment("there")["space_id"]) == (2, other)
