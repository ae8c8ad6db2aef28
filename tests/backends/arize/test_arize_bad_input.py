"""What cannot be logged to AX (a stand-in) is refused, with words that help, before anything is written anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, EvaluationResultFieldNames, ExperimentTaskFieldNames
from prefect_experiments.errors import InvalidDataset, InvalidInput, InvalidSetting, NotFound
from prefect_experiments.models import AnnotateRecordInput, AnnotationInput
from support.arize import Official, StandIn

from .conftest import ours

ROWS = [{"example_id": f"e{n}", "output": f"said {n}", "points": n / 3} for n in range(3)]
POINTS = {"right": EvaluationResultFieldNames(score="points")}


@pytest.fixture(autouse=True)
def _sums(client: Client) -> None:
    client.datasets.create_dataset(name="sums", examples=[{"id": f"e{n}", "input": n} for n in range(3)])


def assert_nothing_was_written(arize: StandIn, local: Client) -> None:
    assert arize.requests("/v2/experiments", "POST") == []
    assert len(local.experiments.list()) == 0


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"experiment_runs": [*ROWS[:2], {"example_id": "e9", "output": "x"}]}, InvalidDataset, "unknown id: 'e9'"),
        ({"experiment_runs": [*ROWS, ROWS[1]]}, InvalidDataset, r"stands in several rows: 'e1' \(rows 2, 4\)"),
        ({"experiment_runs": ROWS[:2]}, InvalidDataset, "1 example has no result: 'e2'"),
        ({"experiment_runs": []}, InvalidDataset, "no rows"),
        (
            {"evaluator_columns": {"right": EvaluationResultFieldNames(score="pionts")}},
            InvalidInput,
            "unknown column 'pionts'; did you mean 'points'",
        ),
        (
            {"task_fields": ExperimentTaskFieldNames(example_id="example_id", output="outptu")},
            InvalidInput,
            "unknown column 'outptu'; did you mean 'output'",
        ),
        ({"experiment_runs": [*ROWS[:2], {**ROWS[2], "points": "many"}]}, InvalidDataset, "'many' is not a number"),
        ({"name": 'the "best"'}, InvalidInput, "no double quotes or backslashes"),
        ({"name": "a\\b"}, InvalidInput, "no double quotes or backslashes"),
        ({"dataset": "smus"}, NotFound, "unknown dataset 'smus'; did you mean 'sums'"),
        ({"space": "defualt"}, NotFound, "unknown space 'defualt'; did you mean 'default'"),
    ],
)
def test_it_is_refused(
    arize: StandIn, client: Client, local: Client, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    given = {"name": "x", "dataset": "sums", "experiment_runs": ROWS, "evaluator_columns": POINTS, **changes}
    with pytest.raises(error, match=said):
        client.experiments.create(**given)
    assert_nothing_was_written(arize, local)


def test_empty_files(arize: StandIn, client: Client, local: Client, tmp_path: Path) -> None:
    for name, text in {"a.csv": "", "b.csv": "example_id,output\n", "c.json": "[]", "d.jsonl": "\n"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidDataset, match=name):
            client.experiments.create(name="x", dataset="sums", experiment_runs=tmp_path / name)
    assert_nothing_was_written(arize, local)


def test_a_key_that_is_refused(arize: StandIn, local: Client, store_url: str) -> None:
    refused = ours(arize, store_url=store_url, api_key="not the key")
    with pytest.raises(InvalidSetting, match=r"refused the key \(HTTP 401\)") as said:
        refused.experiments.create(name="x", dataset="sums", experiment_runs=ROWS)
    assert "not the key" not in str(said.value)
    assert_nothing_was_written(arize, local)


def test_annotations_need_their_experiment_and_nobodys_name(client: Client) -> None:
    client.experiments.create(name="x", dataset="sums", experiment_runs=ROWS)
    run = client.experiments.list_runs(experiment="x").experiment_runs[0]
    note = AnnotateRecordInput(record_id=run.id, values=[AnnotationInput(name="tone", score=1.0)])
    for given, said in [
        ({}, "Arize AX annotates the runs of one experiment; pass experiment="),
        (
            {"experiment": "x", "annotator": "me"},
            "Arize AX takes the annotator from the API key; leave annotator= out",
        ),
    ]:
        with pytest.raises(InvalidInput) as refused:
            client.experiments.annotate_runs(annotations=[note], **given)  # type: ignore[arg-type]
        assert str(refused.value) == said


def test_mixed_types_are_no_trouble(arize: StandIn, client: Client, elsewhere: Client, official: Official) -> None:
    outputs: list[Any] = [7, "seven", {"n": [7.5, None, True]}]
    made = client.experiments.create(
        name="x",
        dataset="sums",
        experiment_runs=[
            {**row, "output": output, 'the "odd" \\ one': output} for row, output in zip(ROWS, outputs, strict=True)
        ],
    )
    found = elsewhere.experiments.list_runs(experiment=made.id, all=True)
    assert {run.example_id: run.output for run in found} == dict(zip(["e0", "e1", "e2"], outputs, strict=True))
    assert sorted(run["output"] for run in official.runs(made.id)) == ["7", "seven", '{"n": [7.5, null, true]}']
    assert len(arize.experiment("x")["runs"]) == 3
