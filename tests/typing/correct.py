"""Calls that are right: no type checker may find anything here. Checked by `tests/test_typing.py`, never run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_type

import pandas as pd
import polars as pl

from prefect_experiments import (
    AnnotateRecordInput,
    AnnotationInput,
    AsyncClient,
    Client,
    Comparison,
    Dataset,
    EvaluationResult,
    EvaluationResultFieldNames,
    Evaluator,
    Experiment,
    ExperimentTaskFieldNames,
    Gate,
    RanExperiment,
    Sample,
    acompare_experiments,
    aevaluate_experiment,
    alog_experiment,
    aresume_experiment,
    arun_experiment,
    compare_experiments,
    evaluate_experiment,
    log_experiment,
    resume_experiment,
    run_experiment,
)
from prefect_experiments.backends import Remote
from prefect_experiments.pages import DatasetList, ExampleList, ExperimentList, ExperimentRunList

questions = [{"input": "What is 2 + 3?", "output": "5"}, {"input": "What is 4 * 5?", "output": "20"}]


def answer(input: str) -> str:
    return input


async def slowly(input: str) -> str:
    return input


def short(output: str) -> bool:
    return len(output) < 10


class Length(Evaluator):
    def evaluate(self, *, output: str = "", **kwargs: Any) -> EvaluationResult:
        return EvaluationResult(score=len(output))


class Judge:
    def evaluate(self, output: str) -> float:
        return 1.0


def functions(ran: RanExperiment, frame: pd.DataFrame) -> None:
    assert_type(
        run_experiment(dataset=questions, task=answer, evaluators=["exact_match", short], experiment_name="calculator"),
        RanExperiment,
    )
    run_experiment(dataset="capitals", task="my_app:answer", evaluators={"same": "exact_match", "long": Length()})
    run_experiment(dataset=Path("questions.csv"), task=slowly, evaluators=Judge(), dry_run=5, types={"price": "number"})
    run_experiment(dataset=frame, task=lambda row: row, sample=Sample(n=100, method="stratified", by="region"))
    run_experiment(
        dataset=pl.DataFrame(), task=answer, splits=["a", "b"], gate={"metrics": {}}, baseline="tag:baseline"
    )
    run_experiment(
        dataset=Dataset(name="d", examples=()),
        task=answer,
        evaluators=short,
        concurrency=2,
        timeout=None,
        retries=0,
        rate_limit_errors=[ConnectionError, "openai:RateLimitError"],
        exit_on_error=True,
        repetitions=3,
        batch_size=10,
        baseline=ran,
        gate=Gate(),
        client=Client(),
    )
    assert_type(resume_experiment(experiment="latest", task=answer, evaluators=[Length()]), RanExperiment)
    assert_type(evaluate_experiment(experiment=ran, evaluators="exact_match", concurrency=3), RanExperiment)
    logged = log_experiment(
        name="by hand",
        experiment_runs=frame,
        dataset="questions",
        task_fields=ExperimentTaskFieldNames(output="answer"),
        evaluator_columns={"correct": EvaluationResultFieldNames(score="points")},
        allow=["missing"],
    )
    assert_type(logged.name, str)
    compared = compare_experiments(baseline=ran, candidate=[frame, "latest"], directions={"cost": "minimize"})
    assert_type(compared, Comparison | tuple[Comparison, ...])


async def awaited(frame: pd.DataFrame) -> None:
    client = AsyncClient()
    ran = await arun_experiment(dataset=questions, task=answer, evaluators="exact_match", client=client)
    assert_type(ran, RanExperiment)
    assert_type(await aresume_experiment(experiment=ran), RanExperiment)
    assert_type(await aevaluate_experiment(experiment="latest", evaluators=[short]), RanExperiment)
    assert_type((await alog_experiment(name="n", experiment_runs=frame)).id, str)
    assert_type(await acompare_experiments(baseline="a", candidate="b"), Comparison | tuple[Comparison, ...])


def datasets(frame: pd.DataFrame) -> None:
    client = Client(backend="phoenix", base_url="http://localhost:6006")
    dataset = client.datasets.create_dataset(
        name="capitals",
        examples=[{"country": "France", "capital": "Paris", "region": "Europe"}],
        input_keys=["country"],
        output_keys=["capital"],
        metadata_keys=["region"],
    )
    assert_type(dataset, Dataset)
    client.datasets.create_dataset(name="spans", dataframe=frame, input_keys="attributes.input.value")
    client.datasets.create_dataset(name="parts", inputs=[{"a": 1}], outputs=[{"b": 2}], metadata=[{"c": 3}])
    client.datasets.create_dataset(name="file", csv_file_path="rows.csv", dataset_description="rows", metadata={"a": 1})
    longer = client.datasets.add_examples_to_dataset(
        dataset=dataset, examples=[{"country": "Peru"}], input_keys="country"
    )
    assert_type(longer, Dataset)
    assert_type(client.datasets.get_dataset(name="capitals", splits="a"), Dataset)
    assert_type(client.datasets.create(space="my-space", name="inventions", examples=frame), Dataset)
    assert_type(client.datasets.list(name="cap", limit=3), DatasetList)
    assert_type(client.datasets.list_examples(dataset="capitals", all=True), ExampleList)
    frame = client.spans.get_spans_dataframe(project_identifier="default", limit=10, span_kind="LLM")


def experiments(annotations: Sequence[AnnotateRecordInput], frame: pd.DataFrame) -> None:
    client = Client()
    ran = client.experiments.run_experiment(
        dataset="capitals",
        task=lambda row: f"{row['country']} is a country",
        evaluators=[short, Length(), "regex(pattern='country')"],
        print_summary=False,
    )
    assert_type(ran, RanExperiment)
    assert_type(client.experiments.resume_experiment(experiment="latest", evaluators=[short]), RanExperiment)
    assert_type(client.experiments.resume_experiment(experiment_id="exp-1"), RanExperiment)
    assert_type(client.experiments.resume_evaluation(experiment_id="exp-1", evaluators=[short]), RanExperiment)
    assert_type(client.experiments.evaluate_experiment(experiment=ran, evaluators=[short]), RanExperiment)
    assert_type(client.experiments.create(name="n", dataset="capitals", experiment_runs=frame), Experiment)
    experiment, results = client.experiments.run(
        space="my-space", name="basic", dataset=frame, task=answer, evaluators=[short], dry_run=True, repetitions=2
    )
    assert_type(experiment, Experiment | None)
    assert_type(results, pd.DataFrame)
    assert_type(client.experiments.list(dataset_id="d"), ExperimentList)
    assert_type(client.experiments.get(experiment=ran), Experiment)
    assert_type(client.experiments.list_runs(experiment="latest", all=True), ExperimentRunList)
    assert_type(client.experiments.annotate_runs(annotations=annotations), int)
    client.experiments.annotate_runs(
        annotations=[AnnotateRecordInput(record_id="r", values=[AnnotationInput(name="good", score=1)])]
    )
    assert_type(client.experiments.tag(experiment="latest", tag="baseline"), Experiment)
    client.experiments.compare(baseline="tag:baseline", candidate=ran, gate="gate.yaml")
    assert_type(client.experiments.push(experiment="latest", to="phoenix"), RanExperiment)
    assert_type(client.experiments.export(experiment="latest", path="runs.csv"), Path)


def backends(opened: Remote) -> None:
    Client(backend="arize", api_key="secret", space="my-space", api_port=8443, traces=True)
    Client(backend="vault/nightly", store_url="sqlite://")
    Client(backend=opened)
    AsyncClient(backend=opened, store_url=None)


async def asynchronously(frame: pd.DataFrame) -> None:
    client = AsyncClient(backend="arize", api_key="secret", space="my-space")
    made = await client.datasets.create_dataset(name="capitals", examples=questions, id_key="id")
    assert_type(made, Dataset)
    assert_type(await client.datasets.list_examples(dataset=made), ExampleList)
    ran = await client.experiments.run_experiment(dataset=made, task=slowly, evaluators=[short], print_summary=False)
    assert_type(ran, RanExperiment)
    assert_type(await client.experiments.resume_experiment(experiment="latest"), RanExperiment)
    experiment, results = await client.experiments.run(name="n", dataset="capitals", task=answer, exit_on_error=True)
    assert_type(experiment, Experiment | None)
    assert_type(results, pd.DataFrame)
    assert_type(await client.experiments.list_runs(experiment=ran, failed=True), ExperimentRunList)
    assert_type(await client.experiments.tag(experiment=ran, tag="x"), Experiment)
    assert_type(await client.spans.get_spans_dataframe(limit=3), pd.DataFrame)
