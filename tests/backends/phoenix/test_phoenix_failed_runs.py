"""What other clients say of failed runs in Phoenix: kept and shown, counted nowhere, and gone with the failed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import Client, classification_report, repetition_summary
from prefect_experiments.analysis.results import result_table
from prefect_experiments.backends.phoenix.rows import evaluation_body
from prefect_experiments.reports.files import write_report
from tests.store.samples import verdict

quiet: dict[str, Any] = {"print_summary": False, "retries": 0}

ROWS = [{"id": f"e{n}", "input": {"n": n}, "output": {"n": n}} for n in range(4)]
FAILING = 2


def answer(input: dict[str, int]) -> int:
    if input["n"] == FAILING:
        raise ConnectionError("down")
    return input["n"]


def mended(input: dict[str, int]) -> int:
    return input["n"]


def judge(output: Any) -> float:
    """Phoenix's client calls it on failed runs as well, with no output."""
    return 0.0 if output is None else 1.0


@pytest.fixture
def experiment_id(client: Client, official: PhoenixClient, name: str) -> str:
    """Run by ours, one run failed; evaluated by Phoenix's own client."""
    client.datasets.create_dataset(name=name, examples=ROWS)
    ran = client.experiments.run_experiment(dataset=name, task=answer, experiment_name=name, **quiet)
    assert len(ran.failed) == 1
    theirs = official.experiments.get_experiment(experiment_id=ran.experiment_id)
    official.experiments.evaluate_experiment(experiment=theirs, evaluators={"judge": judge}, print_summary=False)
    return ran.experiment_id


@pytest.mark.thorough
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_it_is_shown_and_not_counted(
    client: Client, elsewhere: Client, experiment_id: str, where: str, tmp_path: Path
) -> None:
    by = client if where == "here" else elsewhere
    ran = by.experiments.get_results(experiment=experiment_id)
    for frame in (ran.to_dataframe(), by.experiments.list_runs(experiment=experiment_id, all=True).to_df()):
        assert frame["status"].tolist() == ["ok", "ok", "error", "ok"]
        assert frame["eval.judge.score"].tolist() == [1, 1, 0, 1]
    metric = ran.summary.metrics["judge"]
    assert (metric.n, metric.mean, metric.n_task_errors, metric.n_missing) == (3, 1.0, 1, 0)
    side = result_table(ran).side().metrics["judge"]
    assert (side.n_scores, side.mean, side.n_errors) == (3, 1.0, 1)
    # Of the table alone, as of the experiment.
    again = result_table(ran.to_dataframe()).side().metrics["judge"]
    assert (again.n_scores, again.mean, again.n_errors) == (3, 1.0, 1)
    assert repetition_summary(ran, metric="judge").rates[0].pass_at_k == 0.75  # a failed run has not passed
    assert classification_report(ran, truth="expected.n", prediction="output").n_errors == 1
    page = write_report(ran, tmp_path / "page.html").read_text()
    assert '"scores":[[0,"0.00"' in page


@pytest.mark.thorough
def test_it_is_not_said_of_the_run_that_takes_its_place(client: Client, experiment_id: str) -> None:
    client.experiments.get_results(experiment=experiment_id)  # it is here now
    ran = client.experiments.resume_experiment(
        experiment=experiment_id, task=mended, evaluators={"judge": judge, "other": lambda output: output >= 0}, **quiet
    )
    for again in (ran, client.experiments.get_results(experiment=experiment_id)):
        frame = again.to_dataframe()
        assert frame["status"].tolist() == ["ok"] * 4
        assert frame["eval.judge.score"].tolist() == [1] * 4
        assert str(again.summary.metrics["judge"]) == "1.00 over 4 of 4"


def test_an_evaluation_has_a_result_or_an_error() -> None:
    """Phoenix takes both, and shows the evaluation twice over."""
    failed = evaluation_body(verdict(0, score=None, error="Boom"), "run", None)
    assert (failed["error"], "result" in failed) == ("Boom", False)
    made = evaluation_body(verdict(0), "run", None)
    assert (made["result"]["score"], "error" in made) == (1.0, False)
