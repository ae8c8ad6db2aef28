"""What Phoenix's own client says of an experiment, in the same words as what ours says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from phoenix.client import Client as PhoenixClient

from prefect_experiments import RanExperiment
from support.patience import http

Facts = dict[tuple[Any, ...], tuple[Any, ...]]


def moment(text: str | datetime) -> datetime:
    return text if isinstance(text, datetime) else datetime.fromisoformat(text)


def experiment_of(url: str, experiment_id: str) -> dict[str, Any]:
    """An experiment's head: name, counts and all."""
    return dict(http.get(f"{url}/v1/experiments/{experiment_id}").raise_for_status().json()["data"])


def counts(url: str, experiment_id: str) -> tuple[int, int, int]:
    """Successful, failed and missing runs, as Phoenix counts them."""
    head = experiment_of(url, experiment_id)
    return head["successful_run_count"], head["failed_run_count"], head["missing_run_count"]


def tags(url: str, experiment_id: str) -> list[str]:
    answer = http.get(f"{url}/v1/experiments/{experiment_id}/tags").raise_for_status()
    return [tag["name"] for tag in answer.json()["data"]]


def their_runs(official: PhoenixClient, experiment_id: str) -> Facts:
    """Each run by its example and repetition."""
    told = official.experiments.get_experiment(experiment_id=experiment_id)
    names = _names(official, told["dataset_id"], told["dataset_version_id"])
    return {
        (names[run["dataset_example_id"]], run["repetition_number"]): (
            run["id"],
            run["output"],
            run.get("error"),
            moment(run["start_time"]),
            moment(run["end_time"]),
            run.get("trace_id"),
        )
        for run in told["task_runs"]
    }


def our_runs(ran: RanExperiment) -> Facts:
    return {
        (run.example_id, run.repetition_number): (
            run.id,
            run.output,
            run.error,
            run.start_time,
            run.end_time,
            run.trace_id,
        )
        for run in ran.task_runs
    }


def their_verdicts(official: PhoenixClient, experiment_id: str) -> Facts:
    """Each evaluation with a result, by its run and name; without what we write beside it for other machines."""
    told = official.experiments.get_experiment(experiment_id=experiment_id)
    return {
        (verdict.experiment_run_id, verdict.name): (
            verdict.annotator_kind,
            *(verdict.result[part] for part in ("score", "label", "explanation")),  # type: ignore[index,call-overload]
            {key: value for key, value in verdict.metadata.items() if key != "prefect_experiments"},
            verdict.error,
            verdict.start_time,
            verdict.end_time,
            verdict.trace_id,
        )
        for verdict in told["evaluation_runs"]
    }


def their_evaluator_errors(url: str, experiment_id: str) -> list[tuple[str, str]]:
    """Name and text of the errors of evaluators, which its client leaves out."""
    rows = http.get(f"{url}/v1/experiments/{experiment_id}/json").raise_for_status().json()
    return sorted((note["name"], note["error"]) for row in rows for note in row["annotations"] if note["error"])


def our_verdicts(ran: RanExperiment) -> Facts:
    """As `their_verdicts`."""
    return {
        (verdict.run_id, verdict.name): (
            verdict.annotator_kind,
            verdict.score,
            verdict.label,
            verdict.explanation,
            dict(verdict.metadata),
            verdict.error,
            verdict.start_time,
            verdict.end_time,
            verdict.trace_id,
        )
        for verdict in ran.evaluation_runs
        if (verdict.score, verdict.label, verdict.explanation) != (None, None, None)
    }


def _names(official: PhoenixClient, dataset_id: str, version_id: str) -> dict[str, str]:
    """The examples' ids by what the endpoints of experiments call them."""
    found = official.datasets.get_dataset(dataset=dataset_id, version_id=version_id)
    return {example["node_id"]: example["id"] for example in found.examples}


def assert_same(official: PhoenixClient, ran: RanExperiment) -> None:
    """What came back to us is what Phoenix has, value for value."""
    assert their_runs(official, ran.experiment_id) == our_runs(ran)
    assert their_verdicts(official, ran.experiment_id) == our_verdicts(ran)
