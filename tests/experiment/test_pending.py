"""Evaluations that a person is still to make: kept as such, listed, filled in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from prefect_experiments import (
    AnnotateRecordInput,
    AnnotationInput,
    AsyncClient,
    Client,
    EvaluationResult,
    create_evaluator,
    pending,
)
from prefect_experiments.cli.app import run as command
from prefect_experiments.errors import InvalidInput
from prefect_experiments.models import PENDING

CRITERIA = "Is the tone kind?"
ROWS = [{"id": f"e{n}", "input": {"n": n}} for n in range(3)]
quiet: dict[str, Any] = {"print_summary": False, "retries": 0}
asked: list[int] = []


def double(input: dict[str, int]) -> int:
    return 2 * input["n"]


def tone(output: int) -> EvaluationResult:
    asked.append(output)
    return pending(CRITERIA)


def even(output: int) -> bool:
    return output % 2 == 0


@pytest.fixture
def ran(client: Client):
    asked.clear()
    return client.experiments.run_experiment(dataset=ROWS, task=double, evaluators=[tone, even], **quiet)


def note(run_id: str, **said: Any) -> AnnotateRecordInput:
    return AnnotateRecordInput(record_id=run_id, values=[AnnotationInput(name="tone", **said)])


def runs(client: Client, ran: Any) -> list[Any]:
    return list(client.experiments.list_runs(experiment=ran.experiment_id, all=True))


def tones(client: Client, experiment_id: str) -> dict[str, Any]:
    found = client.experiments.get_results(experiment=experiment_id)
    example_of = {run.id: run.example_id for run in found.task_runs}
    return {example_of[one.run_id]: one for one in found.evaluation_runs if one.name == "tone"}


def test_a_pending_evaluation_has_no_score_and_is_no_failure(client: Client, ran) -> None:
    found = tones(client, ran.experiment_id)
    assert {name: one.pending for name, one in found.items()} == dict.fromkeys(("e0", "e1", "e2"), CRITERIA)
    assert all((one.score, one.label, one.error) == (None, None, None) for one in found.values())
    assert ran.summary.n_errors == 0
    assert not ran.failures.errors


@pytest.mark.thorough
def test_resuming_does_not_ask_again(client: Client, ran) -> None:
    assert sorted(asked) == [0, 2, 4]
    client.experiments.resume_experiment(experiment=ran.experiment_id, task=double, evaluators=[tone, even], **quiet)
    assert len(asked) == 3
    assert len(client.experiments.list_pending(experiment=ran.experiment_id)) == 3


def test_the_list_has_pages_and_a_table(client: Client, ran) -> None:
    first = client.experiments.list_pending(experiment=ran.experiment_id, limit=2)
    assert [one.example_id for one in first] == ["e0", "e1"]
    assert first.pagination.has_more
    rest = client.experiments.list_pending(experiment=ran.experiment_id, limit=2, cursor=first.pagination.next_cursor)
    assert [one.example_id for one in rest.pending] == ["e2"]
    assert not rest.pagination.has_more
    every = client.experiments.list_pending(experiment=ran.experiment_id, all=True)
    assert list(every.to_df()["criteria"]) == [CRITERIA] * 3
    assert every.to_df().loc[0, "run_id"] == runs(client, ran)[0].id
    assert [one.name for one in every] == ["tone"] * 3


def test_what_is_to_be_judged_is_in_the_list(client: Client) -> None:
    rows = [{"id": "a", "input": {"n": 2}, "output": {"n": 4}, "metadata": {"description": "two"}}, ROWS[1]]
    first = client.experiments.run_experiment(dataset=rows, task=double, evaluators=[tone], **quiet)
    changed = [{**rows[0], "input": {"n": 70}}]  # in a later version, at the same place
    client.datasets.update_examples(dataset=first.experiment.dataset_id, examples=changed)
    found = client.experiments.list_pending(experiment=first.experiment_id)
    assert [(one.input, one.expected, one.output, one.metadata) for one in found] == [
        ({"n": 2}, {"n": 4}, 4, {"description": "two"}),
        ({"n": 1}, None, 2, {}),
    ]
    assert found.to_df().loc[0, "output"] == 4


def on_a_scale(output: int) -> EvaluationResult:
    return pending(CRITERIA, scale=(0, 1))


def test_a_score_that_is_not_on_the_scale_is_refused(client: Client) -> None:
    ran = client.experiments.run_experiment(
        dataset=ROWS, task=double, evaluators={"tone": on_a_scale, "even": even}, **quiet
    )
    first, second, _ = (one.run_id for one in client.experiments.list_pending(experiment=ran.experiment_id))
    for score in (-1, 1.01, 5):
        with pytest.raises(InvalidInput, match=rf"'tone' is scored from 0 to 1, got {score}; nothing was written"):
            client.experiments.annotate_runs(annotations=[note(second, score=0.5), note(first, score=score)])
    assert len(client.experiments.list_pending(experiment=ran.experiment_id)) == 3
    client.experiments.annotate_runs(annotations=[note(second, score=0), note(first, score=1)])
    assert len(client.experiments.list_pending(experiment=ran.experiment_id)) == 1
    with pytest.raises(InvalidInput, match="is scored from 0 to 1"):  # also where it is changed
        client.experiments.annotate_runs(annotations=[note(first, score=2)])
    client.experiments.annotate_runs(annotations=[note(first, label="kind")])


def test_an_annotation_of_the_name_fills_it_in(client: Client, ran) -> None:
    first = client.experiments.list_pending(experiment=ran.experiment_id)[0]
    assert (
        client.experiments.annotate_runs(
            annotations=[note(first.run_id, score=0.75, label="kind", text="It says thanks.")], annotator="ada"
        )
        == 1
    )
    found = tones(client, ran.experiment_id)["e0"]
    assert (found.score, found.label, found.explanation) == (0.75, "kind", "It says thanks.")
    assert (found.annotator_kind, found.pending) == ("HUMAN", None)
    assert dict(found.metadata) == {"judged_by": CRITERIA, "annotator": "ada"}
    assert [one.example_id for one in client.experiments.list_pending(experiment=ran.experiment_id)] == ["e1", "e2"]
    table = client.experiments.list_runs(experiment=ran.experiment_id, all=True).to_df()
    assert not [name for name in table if name.startswith("annotation.")]


def test_what_was_filled_in_stays_over_a_resume_and_can_be_changed(client: Client, ran) -> None:
    first = client.experiments.list_pending(experiment=ran.experiment_id)[0]
    client.experiments.annotate_runs(annotations=[note(first.run_id, score=0.0)])
    client.experiments.resume_experiment(experiment=ran.experiment_id, task=double, evaluators=[tone, even], **quiet)
    assert len(asked) == 3
    assert tones(client, ran.experiment_id)["e0"].score == 0.0
    client.experiments.annotate_runs(annotations=[note(first.run_id, label="rude")], annotator="bob")
    changed = tones(client, ran.experiment_id)["e0"]
    assert (changed.score, changed.label) == (None, "rude")
    assert dict(changed.metadata) == {"judged_by": CRITERIA, "annotator": "bob"}


@pytest.mark.thorough
def test_new_criteria_want_a_new_judgement(client: Client, ran) -> None:
    first = client.experiments.list_pending(experiment=ran.experiment_id)[0]
    client.experiments.annotate_runs(annotations=[note(first.run_id, score=1)])
    changed = create_evaluator(name="tone", version="2")(lambda output: pending("Is it short?"))
    client.experiments.resume_experiment(experiment=ran.experiment_id, task=double, evaluators=[changed, even], **quiet)
    found = tones(client, ran.experiment_id)["e0"]
    assert (found.score, found.pending) == (None, "Is it short?")


def test_a_remark_alone_leaves_it_pending(client: Client, ran) -> None:
    first = client.experiments.list_pending(experiment=ran.experiment_id)[0]
    client.experiments.annotate_runs(annotations=[note(first.run_id, text="Let me think.")])
    found = tones(client, ran.experiment_id)["e0"]
    assert (found.pending, found.explanation) == (CRITERIA, "Let me think.")
    client.experiments.annotate_runs(annotations=[note(first.run_id, score=1)])
    assert tones(client, ran.experiment_id)["e0"].score == 1


def test_other_annotations_are_annotations_as_before(client: Client, ran) -> None:
    """Also one with the name of an evaluator that is not pending."""
    run = runs(client, ran)[0]
    values = [AnnotationInput(name="even", score=0), AnnotationInput(name="style", label="dry")]
    both = [AnnotateRecordInput(record_id=run.id, values=values), note(run.id, score=1)]
    assert client.experiments.annotate_runs(annotations=both) == 3
    row = client.experiments.list_runs(experiment=ran.experiment_id, all=True).to_df().iloc[0]
    assert (row["annotation.even.score"], row["annotation.style.label"]) == (0, "dry")
    assert (row["eval.even.score"], row["eval.tone.score"]) == (1, 1)


def test_the_async_client_lists_them(client: Client, ran, store_url: str) -> None:
    page = asyncio.run(AsyncClient(store_url=store_url).experiments.list_pending(experiment=ran.experiment_id))
    assert [one.example_id for one in page] == ["e0", "e1", "e2"]


def test_the_command_line_lists_them(
    client: Client, ran, store_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    assert command(["pending", ran.experiment_id, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert [(one["example_id"], one["name"], one["criteria"]) for one in told["pending"]] == [
        (f"e{n}", "tone", CRITERIA) for n in range(3)
    ]
    run_id = told["pending"][0]["run_id"]
    assert command(["annotate", run_id, "--name", "tone", "--score", "1"]) == 0
    capfd.readouterr()
    assert command(["pending", ran.experiment_id]) == 0
    shown = capfd.readouterr().out
    assert " e1 " in shown
    assert CRITERIA in shown
    assert " e0 " not in shown


@pytest.mark.parametrize("criteria", ["", "  ", None, 3])
def test_there_must_be_criteria(criteria: Any) -> None:
    with pytest.raises(InvalidInput, match="what to judge by"):
        pending(criteria)


def test_metadata_that_only_look_pending_are_none(client: Client) -> None:
    def scored(output: int) -> EvaluationResult:
        return EvaluationResult(score=1, metadata={PENDING: "it has a score"})

    def nested(output: int) -> EvaluationResult:
        return EvaluationResult(metadata={"x": {PENDING: "not at the top"}})

    ran = client.experiments.run_experiment(dataset=ROWS, task=double, evaluators=[scored, nested], **quiet)
    assert len(client.experiments.list_pending(experiment=ran.experiment_id)) == 0
