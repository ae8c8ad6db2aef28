"""Sentences of reports that stand there in some cases only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_experiments import Experiment
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.pages import ExperimentList, Pagination
from prefect_experiments.reports.html import html_report
from prefect_experiments.reports.markdown import comparison_markdown, summary_markdown
from prefect_experiments.reports.pull_request import pull_request_comment
from prefect_experiments.reports.report_model import report_side, table_side
from prefect_experiments.reports.spending import figures, unpriced
from prefect_experiments.store import EvaluatorRecord, Store
from support.prices import no_table_of_prices
from tests.store.samples import failed_row, new_experiment, record, run_row, verdict

from .made import made

MADE = made(60)


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store("sqlite://")
    yield opened
    opened.close()


def ran(store: Store, *, error: str | None = None) -> RanExperiment:
    kept = new_experiment(store, 4, evaluators=[EvaluatorRecord("exact", "CODE", "a" * 64)])
    runs = [run_row(place, total_cost=0.5) for place in range(2 if error else 4)]
    runs += [failed_row(place, error=error) for place in (2, 3)] if error else []
    record(store, kept.experiment.id, runs, [verdict(row.position) for row in runs if row.error is None])
    return RanExperiment(store, kept)


def sided(**columns: Any) -> ResultTable:
    return result_table({"example_id": [f"q{n:02d}" for n in range(40)], **columns})


# An experiment ------------------------------------------------------------------------------------


def test_a_summary_begins_with_what_was_run(store: Store) -> None:
    found = ran(store)
    lines = summary_markdown(found).splitlines()
    assert lines[2].startswith(
        f"Dataset **dataset** (version `{found.experiment.dataset_version_id}`), task `answer`, experiment "
        f"`{found.experiment_id}`. 4 runs; 0 of 4 failed."
    )
    assert lines[4] == "| evaluator | mean | of | standard error |"


def test_errors_of_which_nothing_tells_the_type(store: Store) -> None:
    assert "- task: of no known type 2" in summary_markdown(ran(store, error="it did not work")).splitlines()


def test_a_verdict_without_a_baseline(store: Store) -> None:
    found = ran(store)
    said = summary_markdown(found, Gate().judge_alone(result_table(found))).splitlines()
    assert said[2] == "The candidate meets every rule of the gate that needs no baseline."


def test_a_notebook_shows_what_is_behind_a_mean(store: Store) -> None:
    page = ran(store, error="ValueError: no")._repr_html_()
    assert page.index(">what is behind it<") < page.index("2 task errors")


def test_a_page_shows_what_a_run_costs(store: Store) -> None:
    cells = html_report(None, report_side(ran(store))).split("cost for each run", 1)[1]
    assert cells.index("$0.50") < cells.index("</tr>")


def test_what_was_made_again_has_cost_as_well() -> None:
    summary = dataclasses.replace(MADE.candidate.summary, judges={}, total_cost=0.5, replaced_cost=0.25)
    assert figures(summary).endswith(", results made again $0.25, together $0.75")


def test_calls_of_unknown_cost_are_named_with_the_way_to_know_it() -> None:
    summary = dataclasses.replace(MADE.candidate.summary, unpriced={"in-house": 3})
    said = "cost of 3 calls unknown, and in no sum: in-house. "
    assert unpriced(summary) == f"{said}PREFECT_EXPERIMENTS_PRICES takes prices"
    with no_table_of_prices():
        told = unpriced(summary)
    assert told == (
        f"{said}pip install 'prefect-experiments[cost]' brings a table of prices, PREFECT_EXPERIMENTS_PRICES takes "
        "prices of your own"
    )


def test_a_list_says_that_there_are_more() -> None:
    one = Experiment(
        id="exp-1", name="nightly", dataset_id="d", dataset_version_id="v", dataset_name="tickets", example_count=3,
        created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )  # fmt: skip
    shown = [ExperimentList([one], Pagination(has_more=more))._repr_html_() for more in (True, False)]
    assert ["there are more" in page for page in shown] == [True, False]


# A comparison -------------------------------------------------------------------------------------


def test_a_table_asks_something_else_than_the_gate() -> None:
    said = "The table asks whether there is a difference, the gate only whether it is for the worse."
    assert said in comparison_markdown(MADE.comparison).splitlines()
    assert said not in comparison_markdown(made(60, gate="passed").comparison).splitlines()


def test_labels_of_both_sides() -> None:
    sides = [sided(**{"eval.tone.label": labels}) for labels in (["polite"] * 40, ["polite"] * 30 + ["rude"] * 10)]
    lines = comparison_markdown(compare_results(*sides)).splitlines()
    place = lines.index("Labels, the baseline's count first:")
    assert lines[place + 2].startswith("- tone polite 40 → 30, rude 0 → 10 on 40 pairs")


def test_a_metric_that_has_no_better_side() -> None:
    sides = [
        sided(**{"eval.words.score": [words] * 40, "eval.words.metadata.direction": ["neutral"] * 40})
        for words in (5.0, 7.0)
    ]
    assert "words (neither higher nor lower is better)" in comparison_markdown(compare_results(*sides))


def test_sides_that_nobody_scored() -> None:
    assert "- no metric that both sides were scored on" in pull_request_comment(compare_results(sided(), sided()))


def test_a_table_of_one_example_expects_one_score() -> None:
    side = table_side(result_table([{"example_id": "e1", "output": 1, "eval.right.score": 1.0}]))
    assert str(side.summary.metrics["right"]) == "1.00 over 1 of 1"
