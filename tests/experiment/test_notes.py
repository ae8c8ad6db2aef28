"""What an experiment says before anything is run, and as it goes on: one sentence of each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, RanExperiment
from prefect_experiments.backends import Capabilities
from prefect_experiments.errors import (
    BackendUnavailable,
    InvalidDataset,
    InvalidEvaluator,
    InvalidInput,
    NotFound,
)
from prefect_experiments.experiment.arguments import EvaluateArguments, ResumeArguments, RunArguments
from prefect_experiments.experiment.compare import judging
from prefect_experiments.experiment.request import plan_continued, plan_new
from prefect_experiments.experiment.steps import Steps, drive
from prefect_experiments.experiment.work import RunPlan, RunWork
from support.folder_backend import FolderBackend, FolderSettings

AWAY = "the backend does not answer"


class Marked(FolderBackend):
    """A backend whose experiments could say a verdict, had it not gone away."""

    capabilities = Capabilities(metadata_changes=True)

    def add_metadata(self, experiment_id: str, metadata: Any) -> None:
        raise BackendUnavailable(AWAY)


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.fixture
def client(store_url: str) -> Client:
    made = Client(backend="local", store_url=store_url)
    for name, n in (("questions", 4), ("others", 0)):
        made.datasets.create_dataset(name=name, examples=[{"id": f"{name}-{i}", "input": n + i} for i in range(4)])
    return made


@pytest.fixture
def remote(tmp_path: Path) -> FolderBackend:
    (tmp_path / "kept").mkdir()
    return Marked(FolderSettings(path=str(tmp_path / "kept")))


def logged(client: Client, name: str = "nightly", n: int = 4) -> str:
    rows = [{"example_id": f"questions-{i}", "output": i, "eval.right.score": 1.0} for i in range(n)]
    return client.experiments.create(name=name, dataset="questions", experiment_runs=rows, allow=["missing"]).id


def begun(client: Client, **given: Any) -> RunWork:
    """An experiment that is made, of which nothing is run."""
    arguments = {"dataset": "questions", "task": lambda value: value, "experiment_name": "begun", **given}
    work = RunWork(plan_new(RunArguments(**arguments), client))
    work.load_dataset()
    return work


def done(plan: RunPlan) -> RunWork:
    work = RunWork(plan)

    async def run() -> None:
        async with work.held():
            await drive(Steps(work))

    asyncio.run(run())
    return work


@pytest.mark.parametrize(("gate", "then"), [(None, "nothing is compared"), ({}, "the gate judges this run alone")])
def test_a_baseline_that_is_not_there_yet(client: Client, gate: Any, then: str) -> None:
    found = judging("latest:questions", gate, client.store, None, "questions")
    assert found is not None
    assert found.note == f"There is no baseline 'latest:questions' with results on questions yet; {then}."


def test_the_newest_of_a_name_has_no_runs(client: Client) -> None:
    experiment = begun(client).record.experiment
    with pytest.raises(NotFound) as refused:
        judging("latest:begun", None, client.store, None, "questions")
    assert str(refused.value) == f"there is no baseline 'latest:begun': experiment {experiment.id} has no runs"


def test_a_baseline_of_other_examples(client: Client) -> None:
    with pytest.raises(InvalidDataset) as refused:
        begun(client, dataset="others", baseline=logged(client))
    assert str(refused.value) == (
        "the baseline is on dataset 'questions', and shares no example with dataset 'others': its example ids are such "
        "as 'questions-0', 'questions-1', 'questions-2', and here 'others-0', 'others-1', 'others-2'. Nothing was run: "
        "name an experiment on the same examples, or give both sides the same ids"
    )


def test_a_tag_is_given_by_its_name_alone(client: Client) -> None:
    with pytest.raises(InvalidInput) as refused:
        client.experiments.tag(experiment=logged(client), tag="tag:baseline")
    assert str(refused.value) == (
        "a tag cannot be called 'tag:baseline': what begins with 'tag:' leads to the experiment that has a tag; give "
        "the tag by its name alone, 'baseline'"
    )


def test_evaluators_that_cannot_be_found_again(client: Client) -> None:
    work = begun(client, evaluators={"odd": lambda output: output % 2 == 1})
    experiment = work.record.experiment.id
    with pytest.raises(InvalidEvaluator) as refused:
        plan_continued(ResumeArguments(experiment=experiment, task=lambda value: value), client)
    assert str(refused.value) == (
        f"experiment {experiment} has evaluations missing of evaluators that cannot be found again by a reference: "
        "odd; pass evaluators="
    )


def test_evaluations_that_were_logged_are_kept(client: Client) -> None:
    plan = plan_continued(ResumeArguments(experiment=logged(client), evaluators={"right": lambda output: 1}), client)
    assert plan.notes == (
        "Another client made evaluations here, or they were logged, so it is not known whether the evaluators have "
        "changed since: 4 evaluations of right are kept as they are; evaluate_experiment, with the evaluators, makes "
        "them again.",
    )


def test_calls_that_workers_shared_before(client: Client) -> None:
    experiment = begun(client).record.experiment.id
    client.store.shared_work.begin(experiment, "leader", total=4, smallest=1, largest=2, parts=[None] * 3)
    plan = plan_continued(ResumeArguments(experiment=experiment, task=lambda value: value), client)
    assert plan.notes == (
        f"The calls of experiment {experiment} were shared by 3 workers before; this process makes those that are left "
        "alone. For workers, pass task_runner= and workers= (--task-runner, --workers) again.",
    )


def again(client: Client, experiment: str) -> RunPlan:
    asked = EvaluateArguments(experiment=experiment, evaluators=["exact_match"], dataset_version="latest")
    return plan_continued(asked, client)


def test_outputs_are_scored_on_another_version(client: Client) -> None:
    experiment = logged(client)
    more = [{"id": f"questions-{i}", "input": 4 + i, "output": i} for i in range(3)]
    client.datasets.create_dataset(name="questions", examples=more, if_exists="new_version")
    plan = again(client, experiment)
    assert plan.begin is not None
    assert plan.notes == (
        f"The outputs of experiment {experiment} are scored as experiment {plan.begin.experiment.id}.",
        "1 of 4 examples are left out: their input is not the same, or they are gone.",
    )
    others = [{"id": f"questions-{i}", "input": -1 - i} for i in range(4)]
    client.datasets.create_dataset(name="questions", examples=others, if_exists="new_version")
    with pytest.raises(InvalidDataset) as refused:
        again(client, experiment)
    assert str(refused.value) == (
        f"experiment 'nightly' ({experiment}) and version 3 of its dataset share no example with the same input, so no "
        "output can be scored again"
    )


def test_calls_that_go_on_past_their_timeout(client: Client) -> None:
    def task(value: int) -> int:
        time.sleep(0.4 if value == 4 else 0)
        return value

    arguments = RunArguments(dataset="questions", task=task, timeout=0.05, retries=0)
    assert done(plan_new(arguments, client)).remarks() == [
        "Calls that went on past their timeout, and may still cost: 1"
    ]


# The backend is away ------------------------------------------------------------------------------


def away(*given: Any, **named: Any) -> Any:
    raise BackendUnavailable(AWAY)


def test_the_verdict_cannot_be_shown_there(
    client: Client, remote: FolderBackend, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    there = Client(backend=remote, store_url=store_url)
    done(plan_new(RunArguments(dataset="questions", task=lambda value: value, gate={}), there)).conclude()
    assert f"folder does not show the gate's verdict: {AWAY}" in caplog.messages


def test_going_on_with_what_is_here(
    client: Client, remote: FolderBackend, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Client(backend=remote, store_url=store_url)
    experiment = begun(there).record.experiment.id
    monkeypatch.setattr(remote.experiments, "find", away)
    plan = plan_continued(ResumeArguments(experiment=experiment, task=lambda value: value), there)
    assert plan.notes == (f"{AWAY}. Going on with what is here; the results are pushed when it answers.",)


def test_results_that_are_logged_are_kept(
    client: Client, remote: FolderBackend, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Client(backend=remote, store_url=store_url)
    there.datasets.create_dataset(name="questions", examples=[{"id": f"questions-{i}", "input": i} for i in range(4)])
    monkeypatch.setattr(remote, "begin", away)
    with pytest.raises(BackendUnavailable) as told:
        logged(there)
    (kept,) = client.experiments.list().experiments
    assert str(told.value) == (
        f"{AWAY}. The results are kept here as experiment {kept.id}; log them again, or push them with "
        f"`prefect-experiments push {kept.id} --to folder`"
    )
    assert isinstance(client.experiments.get_results(experiment=kept.id), RanExperiment)
