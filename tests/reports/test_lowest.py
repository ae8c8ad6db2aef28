"""Which runs a report calls the lowest."""

from __future__ import annotations

from dataclasses import replace

from prefect_experiments import RanExperiment
from prefect_experiments.analysis.results import result_table
from prefect_experiments.reports.report_model import table_side
from prefect_experiments.reports.worst_runs import worst_runs_lines
from prefect_experiments.store import Store
from tests.store.samples import new_experiment, record, run_row, verdict


def test_of_a_metric_of_which_less_is_better_the_highest_scores_are_the_lowest() -> None:
    store = Store("sqlite://")
    made = new_experiment(store, 4)
    less = '{"direction":"minimize"}'
    scores = [
        verdict(n, "distance", score=score, metadata_json=less) for n, score in enumerate((40.0, 10.0, 90.0, 10.0))
    ]
    record(store, made.experiment.id, [run_row(n) for n in range(4)], scores)
    heading, _, *runs = worst_runs_lines(RanExperiment(store, made), contents=False)
    assert heading == "**Failed runs and lowest scores** (2 of 2)", "the others are at their best"
    assert runs == ["- `ex-2` distance 90", "- `ex-0` distance 40"]
    store.close()


def test_the_summary_of_a_table_says_in_which_direction_its_scores_are_better() -> None:
    """Else a page that cannot hold all examples would keep the best ones as the lowest."""
    rows = {
        "example_id": ["a", "b"],
        "eval.distance.score": [1.0, 2.0],
        "eval.distance.metadata.direction": ["minimize", "minimize"],
        "eval.right.score": [1.0, 0.0],
    }
    metrics = table_side(result_table(rows)).summary.metrics
    assert (metrics["distance"].direction, metrics["right"].direction) == ("minimize", None)


def test_a_metric_is_expected_of_the_runs_that_its_evaluator_is_meant_for() -> None:
    said = {"eval.rule.score": 1.0, "eval.all.score": 1.0}
    rows = [{"example_id": f"e{n // 2}", "repetition_number": n % 2 + 1, **said} for n in range(6)]
    table = replace(result_table(rows), meant_for={"rule": frozenset({"e0"})})
    metrics = table_side(table).summary.metrics
    assert (metrics["all"].n_expected, metrics["rule"].n_expected) == (6, 2)
