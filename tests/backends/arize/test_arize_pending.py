"""Pending evaluations in AX (a stand-in): pushed as such, filled in here, and there by a push."""

from __future__ import annotations

from typing import Any

from prefect_experiments import AnnotateRecordInput, AnnotationInput, Client, EvaluationResult, pending
from support.arize import StandIn


def double(input: dict[str, int]) -> int:
    return 2 * input["n"]


def tone(output: int) -> EvaluationResult:
    return pending("Is the tone kind?")


def test_what_was_filled_in_is_pushed(arize: StandIn, client: Client, local: Client, prefect: None) -> None:
    rows: list[dict[str, Any]] = [{"id": f"e{n}", "input": {"n": n}} for n in range(3)]
    dataset = client.datasets.create_dataset(name="pending", examples=rows)
    ran = client.experiments.run_experiment(
        dataset=dataset, task=double, evaluators=[tone], print_summary=False, retries=0
    )
    assert ran.waiting == 0
    mine = next(iter(local.experiments.list()))
    first = local.experiments.list_pending(experiment=mine)[0]
    note = AnnotateRecordInput(record_id=first.run_id, values=[AnnotationInput(name="tone", score=1, label="kind")])
    local.experiments.annotate_runs(annotations=[note])
    arize.allow_annotation("tone")
    assert client.experiments.push(experiment=mine).waiting == 0
    [body] = arize.bodies("/runs/annotate$")
    assert [note["values"] for note in body["annotations"]] == [[{"name": "tone", "score": 1.0, "label": "kind"}]]
    assert len(client.experiments.list_pending(experiment=ran.experiment_id)) == 2
