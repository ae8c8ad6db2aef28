"""What is asked of an experiment where no gate says it, and of single examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, RanExperiment
from prefect_experiments.pytest_plugin.judging import required_checks, without_gate
from prefect_experiments.store import EvaluatorRecord
from tests.store.samples import failed_row, new_experiment, record, run_row, verdict

EXACT = EvaluatorRecord("exact", "CODE", "a" * 64)


def ran(folder: Path, runs: list[Any], verdicts: list[Any]) -> RanExperiment:
    """Of three examples."""
    store = Client(store_url=f"sqlite:///{folder / 'store.db'}").store
    made = new_experiment(store, evaluators=[EXACT])
    record(store, made.experiment.id, runs, verdicts)
    return RanExperiment(store, made)


@pytest.mark.parametrize(
    ("runs", "verdicts", "said"),
    [
        (
            [run_row(place) for place in range(3)],
            [verdict(place) for place in range(3)],
            [("passed", "no run failed"), ("passed", "exact 1.00 over 3 of 3")],
        ),
        (
            [run_row(0), failed_row(1)],
            [verdict(0)],
            [
                (
                    "failed",
                    "1 of 3 runs were not made; task errors, 1 of 2 (50%) runs: once: ValueError: no (example ex-1)",
                ),
                (
                    "passed",
                    "exact 1.00 over 1 of 3; 1 task error, 1 missing; "
                    "between 0.333 and 1.00 if the others had scored 0 or 1",
                ),
            ],
        ),
        (
            [run_row(0), run_row(1)],
            [verdict(0), verdict(1)],
            [
                ("failed", "1 of 3 runs were not made; no run failed"),
                (
                    "passed",
                    "exact 1.00 over 2 of 3; 1 missing; between 0.667 and 1.00 if the others had scored 0 or 1",
                ),
            ],
        ),
        (
            [run_row(place) for place in range(3)],
            [verdict(place, score=None) for place in range(3)],
            [("passed", "no run failed"), ("failed", "exact gave no score and no label on any example")],
        ),
    ],
    ids=["all is well", "a run failed and one was not made", "one was not made", "nothing was said"],
)
def test_without_a_gate_calls_may_not_fail_and_evaluators_have_something_to_say(
    runs: list[Any], verdicts: list[Any], said: list[tuple[str, str]], tmp_path: Path
) -> None:
    assert [(check.status, check.reason) for check in without_gate(ran(tmp_path, runs, verdicts))] == said


def test_a_metric_that_is_required_and_did_not_score_the_example(tmp_path: Path) -> None:
    found = ran(tmp_path, [run_row(place) for place in range(3)], [verdict(0), verdict(1, score=0.0), verdict(2)])
    checks = required_checks(found, {"ex-0": "exact", "ex-1": "exact", "ex-2": ["exact", "polite"]})
    assert [(check.status, check.reason) for check in checks] == [
        ("passed", "example 'ex-0': as required"),
        ("failed", "example 'ex-1': exact is 0"),
        ("failed", "example 'ex-2': polite did not score it"),
    ]
