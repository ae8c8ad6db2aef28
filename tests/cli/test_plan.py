"""The command plan: what it prints, as JSON, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from prefect_experiments import Client, ExperimentPlan, plan_experiment
from prefect_experiments.analysis.numbers import money
from prefect_experiments.errors import InvalidSetting

from .harness import Here, lines

GATE = "metrics: {right: {max_regression: 0.05}}"


def written(name: str, *, shift: int = 0, cost: float | None = 0.006) -> str:
    """200 examples, four in five right; `shift` moves which are wrong."""
    with Path(name).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["example_id", "eval.right.score", *(["total_cost"] if cost is not None else [])])
        for i in range(200):
            wrong = (i + (shift if i < 100 else 0)) % 5 == 0
            rows.writerow([f"q{i}", int(not wrong), *([cost] if cost is not None else [])])
    return name


def test_too_few(here: Here) -> None:
    written("base.csv")
    written("again.csv", shift=1)
    ended = here("plan", GATE, "--baseline", "base.csv", "--beside", "again.csv")
    assert ended.code == 0, ended.err
    said = " ".join(ended.out.split())
    assert said.startswith("TOO FEW 200 examples, 1 repetition, planned by base")
    assert "right: a margin of 0.05 takes about " in said
    assert "repetitions of these, and there are 200 examples, 1 repetition." in said
    plan = plan_experiment(baseline="base.csv", beside="again.csv", gate=GATE, client=here.client)
    needed = f"over {plan.calls_needed:,} examples {plan.calls_needed:,}, about {money(plan.cost_needed)}."
    assert f"One run makes 200 calls of the task, about $1.20 at $0.006 each; {needed}" in said
    assert "The smallest drop is the one that fails 4 times of 5." in said


def test_tables_in_memory_are_the_same_where_they_are_one_object(here: Here) -> None:
    base, again = (pd.read_csv(written(name, shift=shift)) for name, shift in (("base.csv", 0), ("again.csv", 1)))
    assert plan_experiment(baseline=base, beside=again, client=here.client).n_examples == 200
    with pytest.raises(InvalidSetting, match=r"the second run \(beside\) is the baseline itself"):
        plan_experiment(baseline=base, beside=base, client=here.client)
    mixed = plan_experiment(baseline=base, beside="again.csv", client=here.client)
    assert mixed.n_examples == 200


def test_what_was_assumed_and_what_is_not_known(here: Here) -> None:
    written("base.csv", cost=None)
    ended = here("plan", "--baseline", "base.csv", "--examples", "400")
    said = " ".join(ended.out.split())
    assert said.startswith("PLANNED 400 examples, 1 repetition")
    assert "right: two runs are taken to differ like any two examples, the worst case." in said
    assert "nobody knows what they cost: the baseline's runs have no cost." in said
    assert "The baseline has 200 examples, 1 repetition: it has to be run again as well." in said


def test_figures_of_a_judge_that_people_correct_are_said_to_be_its_own(here: Here) -> None:
    written("base.csv")
    gate = "metrics: {right: {corrected_by: human}}"
    ended = here("plan", gate, "--baseline", "base.csv")
    said = " ".join(ended.out.split())
    assert "right: these figures are the judge's own; the gate asks of the difference corrected by human, and" in said
    assert "the judge's own" not in here("plan", GATE, "--baseline", "base.csv").out


def test_a_drop(here: Here) -> None:
    written("base.csv")
    enough = here("plan", "--baseline", "base.csv", "--agreement", "0.95", "--drop", "0.1")
    assert lines(enough.out)[0].startswith("ENOUGH")
    within = here("plan", GATE, "--baseline", "base.csv", "--drop", "0.04")
    assert "right: a drop of 0.04 is within its margin, so none is to be found." in " ".join(within.out.split())
    few = here("plan", "--baseline", "base.csv", "--examples", "4", "--drop", "0.7")
    said = " ".join(few.out.split())
    assert "right: a drop of 0.70 takes about " in said
    assert "right: not even the largest drop would be found 4 times of 5." in said


def test_several_metrics(here: Here) -> None:
    Path("two.csv").write_text(
        "example_id,eval.a.score,eval.b.score\n" + "".join(f"q{i},{i % 2},{i % 3 % 2}\n" for i in range(60))
    )
    ended = here("plan", "--baseline", "two.csv")
    assert "2 tests share the false alarms: each is planned with 2.5%, Holm's least." in " ".join(ended.out.split())


def test_as_json_and_in_python(here: Here) -> None:
    written("base.csv")
    found = here.json("plan", GATE, "--baseline", "base.csv", "--agreement", "0.9", "--drop", "0.1")
    assert (found["n_examples"], found["calls"], found["enough"]) == (200, 200, False)
    metric = found["metrics"]["right"]
    assert (metric["margin"], metric["noise"]) == (0.05, "the agreement given")
    plan = plan_experiment(baseline="base.csv", gate=GATE, agreement=0.9, drop=0.1, client=here.client)
    assert isinstance(plan, ExperimentPlan)
    assert plan.metrics["right"].to_dict() == metric
    assert plan.to_dict() == {**found, "groups": {}, "unplanned": {}}
    assert plan["enough"] is False
    client: Client = here.client
    assert client.experiments.plan(baseline="base.csv", gate=GATE, agreement=0.9, drop=0.1) == plan
    assert repr(plan) == "ExperimentPlan(beside base, 200 examples, too few for right)"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--drop", "-1"], "drop must be above 0, got -1.0"),
        (["--agreement", "1.5"], "agreement must be"),
        (["--agreement", "0.9", "--beside", "base.csv"], "a second run (beside) tells how far runs agree"),
        (["none.yaml"], "none.yaml"),
        (["--beside", "./base.csv"], "the second run (beside) is the baseline itself, which tells nothing"),
    ],
)
def test_wrong_use(here: Here, arguments: list[str], said: str) -> None:
    written("base.csv")
    ended = here("plan", *arguments, "--baseline", "base.csv")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize("name", ["acc[/x]", "x[red]y", "[bold]z[/bold]"])
def test_a_name_with_brackets_is_shown_as_it_is(here: Here, name: str) -> None:
    with Path("base.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["example_id", f"eval.{name}.score"])
        rows.writerows([f"q{i}", i % 2] for i in range(40))
    ended = here("plan", "--baseline", "base.csv")
    assert ended.code == 0, ended.err
    assert name in ended.out
