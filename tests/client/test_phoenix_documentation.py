"""The samples of the documentation of Phoenix's client, with the import and the line that makes the client changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from phoenix.client.resources.experiments.types import AnnotatorKind
from phoenix.evals import LLM, bind_evaluator, create_classifier
from phoenix.evals import create_evaluator as create_phoenix_evaluator
from phoenix.evals.evaluators import Score
from phoenix.evals.metrics import HallucinationEvaluator

from prefect_experiments import (
    AsyncClient,
    Client,
    Dataset,
    Example,
    RanExperiment,
    create_evaluator,
    evaluate_experiment,
    run_experiment,
)
from prefect_experiments.errors import InvalidDataset
from support.openai_stand_in import OpenAIStandIn
from support.patience import PATIENCE_S

pytestmark = pytest.mark.usefixtures("on_the_server")


@pytest.fixture
def dataset(client: Client) -> Dataset:
    return client.datasets.create_dataset(
        name="my-dataset",
        inputs=[{"name": "Ada"}, {"name": "Grace"}, {"name": "Alan"}],
        outputs=[{"text": "Hello Ada"}, {"text": "Hello Grace"}, {"text": "Hi Alan"}],
        metadata=[{"context": "a"}, {"context": "b"}, {"context": "c"}],
        dataset_description="people to greet",
    )


def my_task(input: Any) -> str:
    return f"Hello {input['name']}"


def accuracy_evaluator(output: Any, expected: Any) -> float:
    return 1.0 if output == expected["text"] else 0.0


def test_datasets(client: Client, dataset: Dataset, tmp_path: Path) -> None:
    assert (dataset.examples[0].input, dataset.examples[0].output) == ({"name": "Ada"}, {"text": "Hello Ada"})
    assert dataset.examples[2].metadata == {"context": "c"}
    assert client.datasets.get_info(dataset="my-dataset").description == "people to greet"
    spans = pd.DataFrame(
        {
            "input": ["What is AI?", "Explain ML"],
            "output": ["Artificial Intelligence is...", "Machine Learning is..."],
            "context.span_id": ["abc123", "def456"],
        }
    )
    of_spans = client.datasets.create_dataset(
        name="of spans", dataframe=spans, input_keys=["input"], output_keys=["output"], span_id_key="context.span_id"
    )
    assert [example.output for example in of_spans.examples] == [{"output": text} for text in spans["output"]]
    path = tmp_path / "rows.csv"
    path.write_text("key,question,answer\nq1,2+2,4\n")
    of_file = client.datasets.create_dataset(
        name="of a file", csv_file_path=path, input_keys=["question"], output_keys=["answer"], example_id_key="key"
    )
    assert [(example.id, example.input) for example in of_file.examples] == [("q1", {"question": "2+2"})]
    longer = client.datasets.add_examples_to_dataset(
        dataset="my-dataset", inputs=[{"name": "Edsger"}], outputs=[{"text": "Hello Edsger"}]
    )
    assert len(longer) == 4
    assert len(client.datasets.get_dataset(dataset="my-dataset", version_id=dataset.version_id)) == 3
    assert {one.name for one in client.datasets.list()} == {"my-dataset", "of spans", "of a file"}
    with pytest.raises(InvalidDataset, match=r"as many as each other, got {'input': 2, 'output': 1}"):
        client.datasets.create_dataset(name="x", inputs=[{"a": 1}, {"a": 2}], outputs=[{"b": 1}])
    with pytest.raises(InvalidDataset, match="go with inputs="):
        client.datasets.create_dataset(name="x", outputs=[{"b": 1}])


def test_experiments(client: Client, dataset: Dataset) -> None:
    experiment = client.experiments.run_experiment(
        dataset=dataset, task=my_task, evaluators=[accuracy_evaluator], experiment_name="evaluated-experiment"
    )
    assert len(experiment["task_runs"]) == 3
    assert experiment.summary.metrics["accuracy_evaluator"].mean == pytest.approx(2 / 3)
    got = client.experiments.get_experiment(experiment_id=experiment["experiment_id"])
    assert got["experiment_id"] == experiment["experiment_id"]
    assert [one.id for one in client.experiments.list(dataset_id=dataset.id)] == [experiment.experiment_id]  # type: ignore[call-arg]

    def brevity(output: Any) -> dict[str, Any]:
        return {"score": 1 / len(output), "label": "short", "explanation": "counted"}

    more = evaluate_experiment(experiment=experiment, evaluators={"brevity": brevity}, client=client)
    assert more.summary.metrics["brevity"].labels == {"short": 3}
    again = client.experiments.resume_evaluation(experiment_id=experiment.experiment_id, evaluators=[brevity])
    assert again.summary.metrics["brevity"].n == 3
    client.experiments.delete(experiment_id=experiment["experiment_id"])  # type: ignore[call-arg]
    assert len(client.experiments.list()) == 0


def test_what_tasks_and_evaluators_may_take_and_give(client: Client, dataset: Dataset) -> None:
    def task(input: Any, metadata: Any, expected: Any, reference: Any, example: Example) -> str:
        assert expected == reference == example.output
        return f"Context: {metadata.get('context', '')}, Input: {input['name']}"

    def my_evaluator(output: Any, input: Any, expected: Any, metadata: Any) -> dict[str, Any]:
        score = float(input["name"] in output and metadata["context"] in output and bool(expected))
        return {"score": score, "label": "pass" if score > 0.8 else "fail"}

    @create_evaluator(kind="CODE", name="Exact Match")
    def exact_match(output: Any, expected: Any) -> bool:
        return bool(output == expected["text"])

    async def in_its_own_time(output: Any) -> tuple[float, str]:
        await asyncio.sleep(0)
        return 0.5, "so so"

    ran = run_experiment(
        dataset=dataset,
        task=task,
        evaluators=[my_evaluator, exact_match, in_its_own_time, lambda output: "a label"],
        repetitions=2,
        rate_limit_errors=(TimeoutError,),
        timeout=PATIENCE_S,
        retries=3,
        experiment_metadata={"model": "none"},
        client=client,
    )
    metrics = ran.summary.metrics
    assert {verdict.annotator_kind for verdict in ran.evaluation_runs} == {"CODE"}
    assert len(ran["task_runs"]) == 6
    assert metrics["my_evaluator"].labels == {"pass": 6}
    assert metrics["Exact Match"].mean == 0.0
    assert metrics["in_its_own_time"].labels == {"so so": 6}
    assert ran["experiment_metadata"] == {"model": "none"}


@pytest.mark.thorough
def test_kinds_and_directions_of_phoenix_evals(client: Client, dataset: Dataset) -> None:
    """The samples of phoenix-evals: a judge, a mapped one, code, a metric of which less is better."""

    def judge(prompt: str, labels: list[str]) -> str:
        return labels["Hello" not in prompt.split("[answer]")[-1]]

    @create_phoenix_evaluator(name="mentions", kind="code")
    def mentions(output: str, name: str) -> bool:
        return name in output

    @create_phoenix_evaluator(name="length", kind="code", direction="minimize")
    def length(output: str) -> float:
        return float(len(output))

    def rude(output: Any) -> Score:
        return Score(name="rude", score=0.0, kind="human", direction="minimize")

    with OpenAIStandIn(judge=judge) as server:
        llm = LLM(provider="openai", model="stand-in", base_url=server.url, api_key="none")
        polite = create_classifier(
            name="polite", prompt_template="{name} [answer] {output}", llm=llm, choices={"polite": 1, "rude": 0}
        )
        made_up = bind_evaluator(
            evaluator=HallucinationEvaluator(llm=llm), input_mapping={"input": "name", "context": "metadata.context"}
        )
        ran = client.experiments.run_experiment(
            dataset=dataset, task=my_task, evaluators=[polite, made_up, mentions, length, rude]
        )
        again = client.experiments.run_experiment(
            dataset=dataset, task=lambda person: "Bye", evaluators=[polite, length], baseline=ran, gate={}
        )
    kinds = {verdict.name: verdict.annotator_kind for verdict in ran.evaluation_runs}
    assert kinds == {"polite": "LLM", "hallucination": "LLM", "mentions": "CODE", "length": "CODE", "rude": "CODE"}
    assert {name: metric.direction for name, metric in ran.summary.metrics.items()} == {
        "polite": None,
        "hallucination": "minimize",
        "mentions": None,
        "length": "minimize",
        "rude": "minimize",
    }
    assert ran.summary.metrics["polite"].mean == ran.summary.metrics["mentions"].mean == 1
    directions = {name: metric.direction for name, metric in again.comparison.metrics.items()}
    assert (directions["polite"], directions["length"]) == ("maximize", "minimize")
    assert (again.comparison.metrics["length"].wins, again.comparison.metrics["polite"].losses) == (3, 3)


@pytest.mark.parametrize("kind", ["LLM", "CODE", "HUMAN", AnnotatorKind.LLM])
def test_kinds_of_create_evaluator(client: Client, dataset: Dataset, kind: Any) -> None:
    @create_evaluator(kind=kind, name="it")
    def judged(output: Any) -> tuple[float, str]:
        return 0.5, "half"

    ran = client.experiments.run_experiment(dataset=dataset, task=my_task, evaluators=[judged], dry_run=True)
    (verdict,) = ran.evaluation_runs
    assert (verdict.annotator_kind, verdict.score, verdict.label) == (getattr(kind, "value", kind), 0.5, "half")


def test_dry_runs(client: Client, dataset: Dataset) -> None:
    for dry_run, count in ((True, 1), (2, 2)):
        tried = run_experiment(
            dataset=dataset, task=my_task, evaluators=accuracy_evaluator, dry_run=dry_run, client=client
        )
        assert len(tried["task_runs"]) == count
    assert len(client.experiments.list()) == 0


@pytest.mark.thorough
def test_going_on_with_what_has_failed(client: Client, dataset: Dataset) -> None:
    down = True

    def flaky(input: Any) -> str:
        if down and input["name"] == "Grace":
            raise ConnectionError("the model is down")
        return my_task(input)

    first = run_experiment(dataset=dataset, task=flaky, evaluators=[accuracy_evaluator], retries=0, client=client)
    assert [run.error for run in first.failed] == ["ConnectionError: the model is down"]
    down = False
    whole = client.experiments.resume_experiment(
        experiment_id=first["experiment_id"], task=flaky, evaluators=[accuracy_evaluator]
    )
    assert (whole.ran, whole.failed) == (1, [])


@pytest.mark.usefixtures("dataset")
def test_awaited(tmp_path: Path) -> None:
    awaited = AsyncClient(store_url=f"sqlite:///{tmp_path / 'experiments.db'}")

    async def task(input: Any) -> str:
        await asyncio.sleep(0)
        return my_task(input)

    async def whole() -> tuple[RanExperiment, RanExperiment]:
        found = await awaited.datasets.get_dataset(dataset="my-dataset")
        ran = await awaited.experiments.run_experiment(
            dataset=found, task=task, evaluators=[accuracy_evaluator], concurrency=5
        )
        resumed = await awaited.experiments.resume_experiment(
            experiment_id=ran["experiment_id"], task=task, evaluators=[accuracy_evaluator]
        )
        return resumed, await awaited.experiments.get_experiment(experiment_id=ran["experiment_id"])

    resumed, got = asyncio.run(whole())
    assert (resumed.ran, len(got["task_runs"])) == (0, 3)
