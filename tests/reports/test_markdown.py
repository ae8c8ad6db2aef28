"""What Prefect's pages show: a summary's scores, and the texts of what got worse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.results import result_table
from prefect_experiments.reports.markdown import comparison_markdown, summary_markdown
from prefect_experiments.store import EvaluatorRecord, Store
from tests.store.samples import new_experiment, record, run_row, verdict


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store("sqlite://")
    yield made
    made.close()


def test_a_summary_has_a_row_for_each_evaluator(store: Store) -> None:
    evaluators = [EvaluatorRecord(name, "CODE", "a" * 64) for name in ("exact", "a|b")]
    made = new_experiment(store, 4, evaluators=evaluators)
    said = [verdict(place, score=float(place > 0)) for place in range(4)]
    said += [verdict(place, "a|b", score=0.5, metadata_json='{"direction":"minimize"}') for place in range(3)]
    record(store, made.experiment.id, [run_row(place) for place in range(4)], said)
    lines = summary_markdown(RanExperiment(store, made)).splitlines()
    start = lines.index("|---|--:|--:|--:|")
    assert lines[start + 1 : start + 4] == [
        "| exact | 0.75 | 4 of 4 | 0.25 |",
        "| `a\\|b` (less is better) | 0.50 | 3 of 4 | 0 |",
        "",
    ]


def test_what_got_worse_is_shown_with_both_outputs_and_why_a_run_failed() -> None:
    before = {"example_id": ["a", "b"], "output": ["yes", "no"], "eval.right.score": [1.0, 1.0]}
    after = {**before, "output": ["maybe", None], "error": [None, "ValueError: no"], "eval.right.score": [0.0, None]}
    text = comparison_markdown(compare_results(result_table(before), result_table(after)))
    for said in ("- baseline `yes`", "- candidate `maybe`", "- baseline `no`", "- candidate `failed: ValueError: no`"):
        assert f"  {said}" in text.splitlines()
