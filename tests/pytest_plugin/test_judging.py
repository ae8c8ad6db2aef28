"""What is asked of an experiment where no gate says it, and of single examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, Gate, RanExperiment, Verdict
from prefect_experiments.analysis.results import result_table
from prefect_experiments.errors import NotFound
from prefect_experiments.pytest_plugin.judging import metric_checks, required_checks, sentence, without_gate
from prefect_experiments.store import EvaluatorRecord
from tests.store.samples import failed_row, new_experiment, record, run_row, verdict

EXACT, POLITE = (EvaluatorRecord(name, "CODE", "a" * 64) for name in ("exact", "polite"))


def ran(folder: Path, runs: list[Any], verdicts: list[Any]) -> RanExperiment:
    """Of three examples."""
    store = Client(store_url=f"sqlite:///{folder / 'store.db'}").store
    made = new_experiment(
        store, evaluators=[EXACT, POLITE] if any(one.name == "polite" for one in verdicts) else [EXACT]
    )
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


GATE = {"metrics": {"exact": {"min": 0.9, "bounds": "point"}}}


def mixed(folder: Path) -> RanExperiment:
    """Right, failed, and with an evaluator that failed."""
    runs = [run_row(0), failed_row(1), run_row(2)]
    why = "it is not"
    said = [verdict(0), verdict(2, score=None, error="JudgeError: busy")]
    said += [verdict(0, "polite", score=0.5, explanation=why), verdict(2, "polite", score=0.25)]
    return ran(folder, runs, said)


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ("ex-0", [("failed", "example 'ex-0': polite is 0.5 (it is not)")]),
        (["ex-1"], [("failed", "example 'ex-1': the task failed: ValueError: no")]),
        ({"ex-0": "exact"}, [("passed", "example 'ex-0': as required")]),
        (
            {"ex-2": None, "ex-0": ["exact"]},
            [
                ("failed", "example 'ex-2': exact failed: JudgeError: busy; polite is 0.25"),
                ("passed", "example 'ex-0': as required"),
            ],
        ),
        (
            {"split:train": ["exact", "brief", "apt"]},
            [
                ("failed", "example 'ex-1': the task failed: ValueError: no"),
                ("failed", "example 'ex-2': exact failed: JudgeError: busy; apt, brief did not score it"),
            ],
        ),
        ((), []),
    ],
    ids=repr,
)
def test_what_is_required_of_single_examples(required: Any, said: list[tuple[str, str]], tmp_path: Path) -> None:
    checks = required_checks(mixed(tmp_path), required)
    assert [(check.status, check.reason) for check in checks] == said
    assert [check.name for check in checks] == [check.reason.partition(":")[0].replace("'", "") for check in checks]


@pytest.mark.parametrize("name", ["ex-9", "split:none", "train"])
def test_what_is_required_has_to_be_there(name: str, tmp_path: Path) -> None:
    store = Client(store_url=f"sqlite:///{tmp_path / 'store.db'}").store
    made = new_experiment(store, 6)
    known = "it has 'ex-0', 'ex-1', 'ex-2', 'ex-3', 'ex-4'"
    with pytest.raises(NotFound) as missing:
        required_checks(RanExperiment(store, made), [name])
    assert str(missing.value) == f"required: there is no example or split {name!r} in 'dataset'; {known}"


def test_the_text_of_a_test_that_fails(tmp_path: Path) -> None:
    found = mixed(tmp_path)
    at = f"  experiment {found.experiment_id}"
    errors = [
        "  task errors, 1 of 3 (33.3%) runs:",
        "    once: ValueError: no (example ex-1)",
        "  evaluator errors, exact 1 of 2 (50%) evaluations:",
        "    exact once: JudgeError: busy (example ex-2)",
    ]
    checks = without_gate(found)
    first, *rest = sentence(None, found, checks).splitlines()
    assert first == f"The experiment does not pass, and no gate says what may fail: {checks[0].reason}."
    assert rest == [*(f"  - {check.reason}" for check in checks if check.status == "failed"), at]
    assert [(check.name, check.status) for check in checks] == [
        ("runs", "failed"), ("exact", "failed"), ("polite", "passed")
    ]  # fmt: skip

    judged = Gate.parse(GATE).judge_alone(result_table(found))
    assert sentence(judged, found).splitlines() == [
        "The candidate does not meet the gate: coverage.",
        *(f"  - {reason}" for reason in judged.reasons),
        *errors,
        at,
    ]
    every = metric_checks(found, judged)
    assert every[: len(judged.checks)] == list(judged.checks)
    assert [(check.name, check.status, check.reason) for check in every[len(judged.checks) :]] == [
        ("polite", "passed", f"polite {found.summary.metrics['polite']}")
    ]

    passed = Verdict(status="passed", reasons=("all is well",), exit_code=0)
    asked = required_checks(found, ["ex-0", "ex-1"])
    assert sentence(passed, found, asked).splitlines() == [
        f"Not as required: {asked[0].reason}; {asked[1].reason}.",
        "  - all is well",
        *(f"  - {check.reason}" for check in asked),
        *errors,
        at,
    ]
