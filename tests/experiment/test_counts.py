"""How far an experiment is, in words and as a share."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.experiment.counts import Progress


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


@pytest.mark.parametrize(
    ("facts", "said", "share"),
    [
        ({}, "nothing left to do", 0),
        ({"began": True}, "nothing left to do", 1),
        ({"began": True, "trouble": "refused"}, "nothing left to do; refused", 1),
        ({"runs_expected": 1}, "run 0/1", 0),
        ({"runs_expected": 4000, "runs": 1000}, "run 1,000/4,000", 0.25),
        ({"runs_expected": 4, "runs": 2, "evaluators": 1}, "run 2/4, 0/4 evaluations", 0.25),
        (
            {"runs_expected": 4, "runs": 4, "run_errors": 1, "evaluators": 2, "evaluations": 3},
            "run 4/4, 1 failed, 3/6 evaluations",
            0.7,
        ),
        (
            {"runs_expected": 4, "runs": 4, "evaluators": 2, "evaluations": 4, "not_meant": 2, "trouble": "timeouts"},
            "run 4/4, 4/6 evaluations; timeouts",
            0.8,
        ),
        ({"evaluators": 1, "evaluations": 5, "began": True}, "5 evaluations", 1),
        ({"runs_expected": 2, "runs": 2, "evaluators": 1, "evaluations": 5}, "run 2/2, 5/5 evaluations", 1),
        ({"runs_expected": 2, "runs": 3}, "run 3/2", 1),
    ],
)
def test_how_far_it_is(facts: dict[str, Any], said: str, share: float) -> None:
    progress = Progress(**facts)
    assert (str(progress), progress.share) == (said, share)
