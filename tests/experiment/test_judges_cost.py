"""What task and judges have used: in tables, in files, and wherever a summary is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_experiments import Client, RanExperiment, create_evaluator, report_usage, run_experiment
from prefect_experiments.errors import InvalidInput
from prefect_experiments.reports.files import write_report
from prefect_experiments.reports.markdown import summary_markdown

ROWS = [{"id": f"q{n}", "input": n, "output": n} for n in range(4)]


def costing(input: int) -> int:
    report_usage("m", input_tokens=90, output_tokens=10, cost=0.5)
    return input


@create_evaluator(kind="LLM")
def dear(output: int) -> float:
    report_usage("m", input_tokens=800, output_tokens=200, cost=0.25)
    return 1.0


@create_evaluator(kind="LLM")
def cheap(output: int) -> float:
    report_usage("m", input_tokens=7, output_tokens=3, cost=0.125)
    if output == 3:
        raise ValueError("cannot tell")
    return 0.0


def free(output: int) -> float:
    return 1.0


@pytest.fixture
def ran(client: Client) -> RanExperiment:
    return run_experiment(
        client=client, dataset=ROWS, task=costing, evaluators=[dear, free, cheap], retries=0, print_summary=False
    )


def test_each_evaluation_says_what_it_took(ran: RanExperiment) -> None:
    frame = ran.to_dataframe()
    assert list(frame["eval.dear.token_count"]) == [1000] * 4
    assert list(frame["eval.dear.total_cost"]) == [0.25] * 4
    assert list(frame["eval.cheap.total_cost"]) == [0.125] * 4  # also where it failed afterwards
    assert [name for name in frame if name.startswith("eval.free.")] == [
        f"eval.free.{part}" for part in ("score", "label", "explanation", "error")
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_a_file_of_it_says_the_same_once_logged(
    ran: RanExperiment, client: Client, tmp_path: Path, ending: str
) -> None:
    path = client.experiments.export(experiment=ran.experiment_id, path=tmp_path / f"runs.{ending}")
    other = Client(store_url=f"sqlite:///{tmp_path}/other.db")
    other.datasets.create_dataset(name="d", examples=ROWS)
    made = other.experiments.create(name="again", dataset="d", experiment_runs=path)
    again = other.experiments.get_results(experiment=made)
    assert again.summary.judges == ran.summary.judges
    assert again.summary.overall_cost == ran.summary.overall_cost == 3.5


def test_the_summary_has_the_sums_and_each_judge(ran: RanExperiment) -> None:
    summary = ran.summary
    assert (summary.total_cost, summary.judge_cost, summary.overall_cost) == (2, 1.5, 3.5)
    assert (summary.token_count, summary.judge_token_count) == (400, 4040)
    assert summary.to_dict()["judges"] == {
        "cheap": {"token_count": 40, "total_cost": 0.5}, "dear": {"token_count": 4000, "total_cost": 1.0},
    }  # fmt: skip
    said = "task 400 tokens for $2.00, judges 4,040 tokens for $1.50 (cheap $0.50, dear $1.00), together $3.50"
    assert said in " ".join(str(summary).split())
    assert said in summary_markdown(ran)


@pytest.mark.thorough
@pytest.mark.parametrize("as_table", [False, True])
def test_the_report_has_them_beside_the_tasks(ran: RanExperiment, tmp_path: Path, as_table: bool) -> None:
    shown = ran.to_dataframe() if as_table else ran
    page = write_report(shown, tmp_path / "report.html").read_text()
    for name, figure in {
        "cost": "$2.00",
        "judges, tokens": "4,040",
        "judges, cost": "$1.50",
        "dear, cost": "$1.00",
        "cheap, tokens": "40",
        "cheap, cost": "$0.50",
        "cost, task and judges": "$3.50",
    }.items():
        assert f'<th scope="row">{name}</th><td class="n">{figure}</td>' in page


def test_without_judges_nothing_is_said_of_them(client: Client, tmp_path: Path) -> None:
    ran = run_experiment(client=client, dataset=ROWS, task=costing, evaluators=free, print_summary=False)
    assert "judges" not in write_report(ran, tmp_path / "report.html").read_text()
    assert "400 tokens, $2.00" in " ".join(str(ran.summary).split())


def test_a_plan_reckons_with_the_judges(ran: RanExperiment, client: Client) -> None:
    plan = client.experiments.plan(baseline=ran, examples=100, agreement=0.9)
    assert (plan.cost_per_call, plan.judge_cost_per_call) == (0.5 + 0.25 + 0.125, 0.375)
    assert plan.cost == 87.5
    with pytest.raises(InvalidInput, match=r"the second run \(beside\) is the baseline itself"):
        client.experiments.plan(baseline=ran, beside=ran.experiment_id)
    with pytest.raises(
        InvalidInput, match=r"the gate asks for what the dataset of .* does not have: metadata\.topic: no"
    ):
        client.experiments.plan(baseline=ran, gate={"slices": ["metadata.topic"]}, agreement=0.9)
