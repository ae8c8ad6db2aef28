"""The samples of AX's documentation on experiments in Python, the import and the line that makes the client changed.

On a stand-in for AX; `test_arize_spellings` has the basic experiment, and creating, listing and deleting. What calls a
model there computes here.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pandas as pd
import pytest
from opentelemetry import trace

from prefect_experiments import (
    AnnotateRecordInput,
    AnnotationInput,
    Client,
    EvaluationResult,
    EvaluationResultFieldNames,
    Evaluator,
    Example,
    ExperimentTaskFieldNames,
    create_evaluator,
)
from support.arize import Official, StandIn
from support.patience import wait_for

from .conftest import ours

ROWS = [
    {
        "attributes.input.value": f"question {n}",
        "attributes.output.value": f"answer {n}",
        "attributes.my_number": n,
        "class_label": "ab"[n % 4 == 0],
    }
    for n in range(40)
]


@pytest.fixture
def df(client: Client) -> pd.DataFrame:
    """A dataset in AX as the documentation reads it: everything, as a DataFrame."""
    client.datasets.create(space="default", name="questions", examples=ROWS)
    frame: pd.DataFrame = client.datasets.list_examples(dataset="questions", space="default", all=True).to_df()
    return frame


def answer(dataset_row: Any) -> str:
    return f"answer {dataset_row['attributes.my_number']}"


def matches_expected(output: Any, dataset_row: Any) -> bool:
    return bool(output == dataset_row["attributes.output.value"])


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect")
def test_samples_of_a_dataset(arize: StandIn, client: Client, df: pd.DataFrame) -> None:
    """`df.sample`, `groupby` and `iloc`, made a dataset of their own or given as they are."""
    assert len(df) == 40
    assert {"id", *ROWS[0]} <= set(df.columns)
    sampled = df.sample(n=10, random_state=1)
    stratified = df.groupby("class_label", group_keys=False).sample(frac=0.2, random_state=1)
    applied = df.groupby("class_label", group_keys=False).apply(lambda part: part.sample(frac=0.1, random_state=1))
    systematic = df.iloc[::10, :]
    assert stratified["class_label"].value_counts().to_dict() == {"a": 6, "b": 2}
    for name, part in {"random": sampled, "groups": stratified, "applied": applied, "every-tenth": systematic}.items():
        dataset = client.datasets.create(space="default", name=name, examples=part)
        experiment, results = client.experiments.run(
            name=f"on {name}", dataset=dataset.id, space="default", task=answer, evaluators=[matches_expected]
        )
        assert experiment is not None
        assert len(results) == len(part)
        assert set(results["eval.matches_expected.score"]) == {1.0}
        assert set(results["example_id"]) == set(part["id"])  # an example is the same one in a sample
    assert len(arize.experiment("on every-tenth")["runs"]) == 4
    given, results = client.experiments.run(name="as it is", dataset=systematic, task=answer, concurrency=2)
    assert given is not None
    assert results["output"].tolist() == [f"answer {n}" for n in systematic["attributes.my_number"]]


@pytest.mark.usefixtures("prefect", "df")
def test_several_evaluators_of_every_kind(arize: StandIn, client: Client, official: Official) -> None:
    class Relevance(Evaluator):
        annotator_kind = "LLM"

        def evaluate(self, *, output: Any, dataset_row: Any, **_: Any) -> EvaluationResult:
            return EvaluationResult(
                score=float(dataset_row["class_label"] == "b"), label=dataset_row["class_label"], explanation=output
            )

    class Slow(Evaluator):
        async def async_evaluate(self, *, output: Any, **_: Any) -> EvaluationResult:
            await asyncio.sleep(0.01)
            return EvaluationResult(score=len(output) / 10, label="counted")

    @create_evaluator(name="short", kind="CODE")
    def judged(output: Any) -> tuple[float, str]:
        return 0.5, "half"

    async def task(dataset_row: Any) -> str:
        await asyncio.sleep(0.01)
        return answer(dataset_row)

    experiment, results = client.experiments.run(
        space="default",
        name="several",
        dataset="questions",
        task=task,
        evaluators={"relevance": Relevance(), "slow": Slow(), "short": judged, "matches": matches_expected},
        concurrency=20,
    )
    assert experiment is not None
    scores = {name: results[f"eval.{name}.score"].sum() for name in ("relevance", "slow", "short", "matches")}
    assert scores == pytest.approx({"relevance": 10, "slow": 10 * 0.8 + 30 * 0.9, "short": 20, "matches": 40})
    run = official.runs(experiment.id)[0]
    assert (run["eval.relevance.explanation"], run["eval.slow.label"]) == (run["output"], "counted")
    assert (run["eval.short.score"], run["eval.short.explanation"], run.get("eval.short.label")) == (0.5, "half", None)
    kinds = {verdict.name: verdict.annotator_kind for verdict in client.experiments.get_results(
        experiment=experiment
    ).evaluation_runs}  # fmt: skip
    assert kinds == {"relevance": "LLM", "slow": "CODE", "short": "CODE", "matches": "CODE"}


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect", "df")
def test_what_evaluators_return_means_what_it_means_to_ax(client: Client) -> None:
    """A pair is score and explanation in this spelling, whoever goes on with the experiment; else score and label."""

    def pair(output: Any) -> tuple[float, str]:
        return 0.5, "because"

    def as_a_list(output: Any) -> list[Any]:
        return [0.75, "counted"]

    def triple(output: Any) -> tuple[float, str, str]:
        return 1.0, "good", "why"

    @create_evaluator
    def decorated(output: Any) -> Any:
        return True, "so it is"

    def dicts(output: Any) -> dict[str, Any]:
        return {"score": 1, "label": "kept"}

    given = [pair, as_a_list, triple, decorated, dicts, matches_expected]
    experiment, results = client.experiments.run(
        name="returns", dataset="questions", space="default", task=answer, evaluators=given
    )

    def said(frame: pd.DataFrame, name: str) -> tuple[Any, ...]:
        found = [frame[f"eval.{name}.{part}"].iloc[1] for part in ("score", "label", "explanation")]
        return tuple(None if pd.isna(value) else value for value in found)

    wanted = {
        "pair": (0.5, None, "because"),
        "as_a_list": (0.75, None, "counted"),
        "triple": (1.0, "good", "why"),
        "decorated": (1.0, None, "so it is"),
        "dicts": (1.0, "kept", None),
        "matches_expected": (1.0, "True", None),
    }
    assert {name: said(results, name) for name in wanted} == wanted
    again = client.experiments.resume_experiment(experiment=experiment, evaluators=given)
    assert again.evaluated == 0  # the same evaluators, in the same spelling
    changed = client.experiments.resume_experiment(
        experiment=experiment, evaluators={"pair": lambda output: (0.25, "new")}
    )
    assert said(changed.to_dataframe(), "pair") == (0.25, None, "new")
    more = client.experiments.evaluate_experiment(
        experiment=experiment, evaluators={"ours": lambda output: (0.25, "new")}
    )
    assert said(more.to_dataframe(), "ours") == (0.25, None, "new")
    ran = client.experiments.run_experiment(dataset="questions", task=answer, evaluators=[pair], dry_run=2)
    assert said(ran.to_dataframe(), "pair") == (0.5, "because", None)


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect", "df")
def test_a_direction_goes_to_ax_and_comes_back(client: Client, elsewhere: Client, official: Official) -> None:
    def words(output: Any) -> EvaluationResult:
        return EvaluationResult(score=float(len(output)), metadata={"direction": "minimize"})

    experiment, results = client.experiments.run(
        name="directed", dataset="questions", space="default", task=answer, evaluators=[words]
    )
    assert experiment is not None
    assert set(results["eval.words.metadata.direction"]) == {"minimize"}
    assert official.runs(experiment.id)[0]["eval.words.metadata.direction"] == "minimize"
    there = elsewhere.experiments.get_results(experiment="directed", dataset="questions")
    assert there.directions == {"words": ("minimize",)}
    assert there.summary.metrics["words"].direction == "minimize"


@pytest.mark.usefixtures("prefect")
def test_a_dry_run_takes_the_first(arize: StandIn, client: Client, df: pd.DataFrame) -> None:
    arize.forget_requests()
    experiment, results = client.experiments.run(
        name="dry", dataset="questions", space="default", task=answer, dry_run=True, evaluators=[matches_expected]
    )
    assert experiment is None
    assert results["output"].tolist() == [f"answer {n}" for n in df["attributes.my_number"][:10]]
    assert [request["method"] for request in arize.requests("/v2/experiments")] == []


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect", "df")
def test_explicit_spans(arize: StandIn, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span that the task opens itself belongs to the run's trace, and is in AX with it."""
    for part, value in {"HOST": arize.host, "PORT": str(arize.port), "SCHEME": "http"}.items():
        monkeypatch.setenv(f"ARIZE_OTLP_{part}", value)
    client = ours(arize, store_url=store_url, traces=True)

    def task_add_1(dataset_row: Any) -> int:
        tracer = trace.get_tracer(__name__)
        with tracer.start_as_current_span("test_function") as span:
            num: int = dataset_row["attributes.my_number"]
            span.set_attribute("dataset.my_number", num)
            return num + 1

    _, results = client.experiments.run(
        name="traced", dataset="questions", space="default", task=task_add_1, set_global_tracer_provider=True
    )
    assert sorted(results["output"]) == list(range(1, 41))
    wait_for(lambda: arize.spans()["count"] >= 80, "all spans")
    frame = client.spans.get_spans_dataframe(project_identifier="traced")
    mine = frame[frame["name"] == "test_function"]
    assert set(mine["context.trace_id"]) == set(results["result.trace.id"])
    assert sorted(mine["attributes.dataset.my_number"]) == list(range(40))


@pytest.mark.thorough
@pytest.mark.usefixtures("prefect", "df")
def test_failed_rows_alone_are_tried_again(arize: StandIn, client: Client, df: pd.DataFrame) -> None:
    """As the documentation goes about it, with a dataset of the failed rows; and in one call."""
    down = {3, 5}
    calls = []

    def sometimes(dataset_row: Any) -> str:
        calls.append(dataset_row["attributes.my_number"])
        if dataset_row["attributes.my_number"] in down:
            raise ConnectionError("the model is down")
        return answer(dataset_row)

    experiment, results = client.experiments.run(
        name="first", dataset="questions", space="default", task=sometimes, evaluators=[matches_expected], retries=0
    )
    assert experiment is not None
    failed = results[results["execution_status"] == "FAILED"]
    assert failed["exceptions"].tolist() == ["ConnectionError: the model is down"] * 2
    assert sorted(run["error"] for run in arize.experiment("first")["runs"] if run["error"]) == list(failed["error"])
    down.clear()
    calls.clear()
    _, again = client.experiments.run(
        name="again", dataset=df[df["id"].isin(failed["example_id"])], task=sometimes, evaluators=[matches_expected]
    )
    assert (sorted(calls), set(again["execution_status"])) == ([3, 5], {"COMPLETED"})
    calls.clear()
    whole = client.experiments.resume_experiment(experiment=experiment, task=sometimes, evaluators=[matches_expected])
    assert (sorted(calls), whole.failed, whole.summary.metrics["matches_expected"].n) == ([3, 5], [], 40)


def test_logged_from_dicts_and_from_a_dataframe(
    arize: StandIn, client: Client, official: Official, df: pd.DataFrame
) -> None:
    ids = df["id"].tolist()
    runs = [
        {
            "example_id": example_id,
            "result": f"said {n}",
            "label_col": "good" if n % 2 else "bad",
            "score_col": n / 40,
            "explanation_col": "because",
            "judge": "a model",
            "latency_ms": 12,
        }
        for n, example_id in enumerate(ids)
    ]
    task_fields = ExperimentTaskFieldNames(example_id="example_id", output="result")
    evaluator_columns = {
        "correctness": EvaluationResultFieldNames(
            score="score_col", label="label_col", explanation="explanation_col", metadata={"judge": None}
        )
    }
    made = [
        client.experiments.create(
            name=name,
            dataset="questions",
            space="default",
            experiment_runs=given,
            task_fields=task_fields,
            evaluator_columns=evaluator_columns,
        )
        for name, given in {"of dicts": runs, "of a table": pd.DataFrame(runs)}.items()
    ]
    columns = [f"eval.correctness.{part}" for part in ("score", "label", "explanation", "metadata.judge")]
    read = [
        {run["example_id"]: [run["output"], *(run[column] for column in columns)] for run in official.runs(one.id)}
        for one in made
    ]
    assert read[0] == read[1] == {
        example_id: [f"said {n}", n / 40, "good" if n % 2 else "bad", "because", "a model"]
        for n, example_id in enumerate(ids)
    }  # fmt: skip
    arize.allow_annotation("human")
    listed = client.experiments.list_runs(experiment="of dicts", dataset="questions", space="default", all=True)
    client.experiments.annotate_runs(
        experiment="of dicts",
        dataset="questions",
        space="default",
        annotations=[
            AnnotateRecordInput(record_id=run.id, values=[AnnotationInput(name="human", label="fine", score=1.0)])
            for run in listed
        ],
    )
    frame = client.experiments.list_runs(experiment=made[0].id, all=True).to_df()
    assert frame["annotation.human.score"].tolist() == [1.0] * 40
    assert client.experiments.get(experiment=made[1].id).name == "of a table"
    client.experiments.delete(experiment="of a table", dataset="questions", space="default")
    assert [one.name for one in client.experiments.list(dataset="questions", space="default", all=True)] == ["of dicts"]


def test_examples_are_read_as_objects_too(client: Client, df: pd.DataFrame) -> None:
    dataset = client.datasets.get(dataset="questions", space="default")
    assert all(isinstance(example, Example) for example in dataset.examples)
    assert [example.id for example in dataset.examples] == df["id"].tolist()
