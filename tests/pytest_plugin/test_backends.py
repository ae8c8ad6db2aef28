"""With a backend: the same tests, kept in Phoenix."""

from __future__ import annotations

import uuid

import pytest

from prefect_experiments import Client
from pytest_plugin.conftest import Project

pytest_plugins = ["pytester"]


@pytest.mark.slow
def test_experiments_are_in_phoenix(project: Project, phoenix_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOENIX_BASE_URL", phoenix_url)
    mine = uuid.uuid4().hex[:8]  # the tests share one Phoenix
    (project.path / "tickets.csv").rename(project.path / f"tickets-{mine}.csv")
    tests = f"""
def test_support(experiment):
    done = experiment.run(dataset="tickets-{mine}.csv", task=add, evaluators="exact_match", gate="gate.yaml")
    done.assert_gate()
    assert done.ran.url.startswith("{phoenix_url}/datasets/")

@pytest.mark.experiment(dataset="sums-{mine}", evaluators="exact_match")
@pytest.mark.parametrize("question, expected", [("1+1", "2"), ("2+2", "4")])
def test_sum(question, expected, experiment):
    assert experiment.log_output(add(question)) == expected
"""
    done = project.run(tests, "--experiment-backend", "phoenix")
    done.assert_outcomes(passed=3)
    said = done.stdout.str()
    assert f"on tickets-{mine}  {phoenix_url}/datasets/" in said
    assert f"on sums-{mine}  {phoenix_url}/datasets/" in said
    there = Client(backend="phoenix", base_url=phoenix_url, store_url="sqlite://")  # which knows of nothing yet
    [sums] = there.experiments.list(dataset=f"sums-{mine}").experiments
    frame = there.experiments.get_results(experiment=sums).to_dataframe()
    assert list(frame["eval.pass.score"]) == [1, 1]
    assert list(frame["eval.exact_match.score"]) == [1, 1]
    assert list(frame["output"]) == ["2", "4"]
