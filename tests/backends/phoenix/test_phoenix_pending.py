"""Pending evaluations in a Phoenix: pushed as such, filled in here, and there by a push."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments import AnnotateRecordInput, AnnotationInput, Client, EvaluationResult, pending
from prefect_experiments.errors import InvalidInput
from support.patience import http

CRITERIA = "Is the tone kind?"
ROWS = [{"id": f"e{n}", "input": {"n": n}} for n in range(3)]
quiet: dict[str, Any] = {"print_summary": False, "retries": 0}


def double(input: dict[str, int]) -> int:
    return 2 * input["n"]


def tone(output: int) -> EvaluationResult:
    return pending(CRITERIA)


def even(output: int) -> bool:
    return True


@pytest.fixture
def ran(client: Client, name: str):
    dataset = client.datasets.create_dataset(name=name, examples=ROWS)
    return client.experiments.run_experiment(dataset=dataset, task=double, evaluators=[tone, even], **quiet)


def note(run_id: str, **said: Any) -> AnnotateRecordInput:
    return AnnotateRecordInput(record_id=run_id, values=[AnnotationInput(name="tone", **said)])


def tones(url: str, experiment_id: str) -> dict[str, Any]:
    """By example. Phoenix's own client leaves out evaluations without a result."""
    rows = http.get(f"{url}/v1/experiments/{experiment_id}/json").raise_for_status().json()
    return {row["input"]["n"]: note for row in rows for note in row["annotations"] if note["name"] == "tone"}


def test_what_is_pending_is_there_and_is_filled_in(client: Client, phoenix_url: str, ran) -> None:
    there = tones(phoenix_url, ran.experiment_id)
    assert len(there) == 3
    assert all((one["score"], one["label"], one["error"]) == (None, None, None) for one in there.values())
    assert {one["metadata"]["pending"] for one in there.values()} == {CRITERIA}
    first = client.experiments.list_pending(experiment=ran.experiment_id)[0]
    assert (
        client.experiments.annotate_runs(annotations=[note(first.run_id, score=1, label="kind")], annotator="ada") == 1
    )
    filled = tones(phoenix_url, ran.experiment_id)[0]
    assert (filled["annotator_kind"], filled["score"], filled["label"]) == ("HUMAN", 1, "kind")
    assert [one.example_id for one in client.experiments.list_pending(experiment=ran.experiment_id)] == ["e1", "e2"]


@pytest.mark.thorough
def test_filled_in_without_the_backend_it_is_pushed_later(client: Client, local: Client, phoenix_url: str, ran) -> None:
    mine = next(iter(local.experiments.list()))
    first = local.experiments.list_pending(experiment=mine)[0]
    local.experiments.annotate_runs(annotations=[note(first.run_id, score=0)])
    assert tones(phoenix_url, ran.experiment_id)[0]["score"] is None
    pushed = client.experiments.push(experiment=mine)
    assert pushed.waiting == 0
    assert tones(phoenix_url, ran.experiment_id)[0]["score"] == 0


@pytest.mark.thorough
def test_what_others_pull_is_pending_or_filled_in_as_here(client: Client, elsewhere: Client, ran) -> None:
    first = client.experiments.list_pending(experiment=ran.experiment_id)[0]
    client.experiments.annotate_runs(annotations=[note(first.run_id, score=1)])
    listed = elsewhere.experiments.list_pending(experiment=ran.experiment_id)
    assert [(one.example_id, one.criteria) for one in listed] == [("e1", CRITERIA), ("e2", CRITERIA)]
    elsewhere.experiments.annotate_runs(annotations=[note(listed[0].run_id, label="rude")])
    left = client.experiments.list_pending(experiment=ran.experiment_id)
    assert [one.example_id for one in left] == ["e2"]


@pytest.mark.thorough
def test_an_evaluator_that_has_judged_is_not_replaced(client: Client, ran) -> None:
    run_id = client.experiments.list_pending(experiment=ran.experiment_id)[0].run_id
    both = [AnnotationInput(name="tone", score=1), AnnotationInput(name="even", score=0)]
    with pytest.raises(InvalidInput, match="an annotation called 'even' would replace what the evaluator of that name"):
        client.experiments.annotate_runs(annotations=[AnnotateRecordInput(record_id=run_id, values=both)])
    assert len(client.experiments.list_pending(experiment=ran.experiment_id)) == 3
