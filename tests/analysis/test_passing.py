"""Which entries pass: all their scores reach a threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, EvaluationResult
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.entries import Passing
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.passing import passing, passing_of
from prefect_experiments.analysis.results import result_table
from prefect_experiments.errors import InvalidInput, InvalidSetting
from prefect_experiments.reports.passing import passing_lines
from prefect_experiments.store import Store
from tests.store.samples import new_experiment

from .entries import PENDING, TASK, made
from .tables import columns

NO = ValueError("no")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    found = Client(backend="local", store_url=f"sqlite:///{tmp_path / 'store.db'}")
    yield found
    found.store.close()


def outcomes(found: Passing) -> dict[str, str]:
    return {entry.example_id: entry.outcome for entry in found.entries}


def less(score: float) -> EvaluationResult:
    return EvaluationResult(score=score, metadata={"direction": "minimize"})


GRADES: dict[str, dict[str, Any]] = {
    "good": {"a": 1.0, "b": 0.5},
    "one of two": {"a": 1.0, "b": 0.0},
    "just not": {"a": 0.4999},
    "its only one": {"b": 0.5},
    "broken judge": {"a": NO, "b": 1.0},
    "silent judge": {"a": None},
    "a word": {"a": "fine"},
    "no output": {TASK: NO, "a": 1.0, "b": 1.0},
    "waits": {"a": 1.0, "c": PENDING},
    "waits for nothing": {"a": 0.0, "c": PENDING},
    "waits alone": {"c": PENDING},
    "asks nothing": {},
}


def test_every_sort_of_entry(client: Client) -> None:
    found = passing(made(client, GRADES))
    assert outcomes(found) == {
        "good": "passed",
        "one of two": "failed",
        "just not": "failed",
        "its only one": "passed",
        "broken judge": "failed",
        "silent judge": "failed",
        "a word": "failed",
        "no output": "failed",
        "waits": "pending",
        "waits for nothing": "failed",
        "waits alone": "pending",
    }
    assert (found.n_passed, len(found.of("failed")), found.n_pending, found.n_unjudged) == (2, 7, 3, 1)
    assert not found.all_pass
    assert {entry.example_id: found.said_of(entry) for entry in found.of("failed")} == {
        "one of two": "b 0.00",
        "just not": "a 0.4999",
        "broken judge": "a failed",
        "silent judge": "a gave no score",
        "a word": "a gave the label 'fine' and no score",
        "no output": "the task failed",
        "waits for nothing": "a 0.00",
    }


@pytest.mark.thorough
def test_as_pixie_prints_it(client: Client) -> None:
    grades = {
        "e1": {"Factuality": EvaluationResult(score=0.4999, explanation="It is\nwrong."), "ExactMatch": 0.75},
        "e2": {"Factuality": 0.5, "ExactMatch": 1.0},
        "e3": {TASK: NO, "ExactMatch": 1.0},
        "e4": {"Polite": PENDING, "ExactMatch": 0.845},
        "e5": {"ExactMatch": NO},
    }
    assert list(passing_lines(passing(made(client, grades)))) == [
        "[1] about e1 (Factuality, ExactMatch) [0.4999, 0.75] ✗",
        "      Factuality 0.4999: It is wrong.",
        "[2] about e2 (Factuality, ExactMatch) [0.50, 1.00] ✓",
        "[3] about e3 ✗",
        "      the task failed: ValueError: no",
        "[4] about e4 (ExactMatch, Polite) [0.845, pending] …",
        "      Polite is pending: Is it polite?",
        "[5] about e5 (ExactMatch) [error] ✗",
        "      ExactMatch failed: ValueError: no",
        "1/5 passed | 1 pending",
    ]


def test_all_pass(client: Client) -> None:
    found = passing(made(client, {"e1": {"x": 1.0}, "e2": {"y": 0.5}}))
    assert found.all_pass
    assert list(passing_lines(found))[-1] == "2/2 passed"
    written = found.to_dict()
    assert (written["threshold"], written["n_passed"], written["all_pass"]) == (0.5, 2, True)
    assert written["entries"][1]["scores"][0]["score"] == 0.5


def test_nothing_to_judge_is_no_pass(client: Client) -> None:
    found = passing(made(client, {"e1": {}, "e2": {}}))
    assert not found.all_pass
    assert list(passing_lines(found)) == ["0/0 passed | 2 entries without evaluators"]
    assert not Passing(threshold=0.5).all_pass


def test_another_threshold(client: Client) -> None:
    ran = made(client, {"e1": {"x": 0.8}, "e2": {"x": 0.7999}, "e3": {"x": 1.0}})
    assert outcomes(passing(ran, 0.8)) == {"e1": "passed", "e2": "failed", "e3": "passed"}
    assert outcomes(passing(ran, 1)) == {"e1": "failed", "e2": "failed", "e3": "passed"}
    assert passing(ran, 0).all_pass
    for wrong in (-0.1, 1.1, float("nan"), True):
        with pytest.raises(InvalidSetting, match="threshold must be from 0 to 1"):
            passing(ran, wrong)


@pytest.mark.parametrize(
    ("score", "threshold", "text"),
    [
        (0.4999, 0.5, "0.4999"),
        (0.49999999999, 0.5, "0.49999999999"),
        (0.5, 0.5, "0.50"),
        (0.5004, 0.5, "0.5004"),
        (0.6, 0.5, "0.60"),
        (0.0001, 0.5, "<0.001"),
        (0.9999, 1.0, ">0.999"),
        (12.0, 0.5, "12"),
        (1234.0, 0.5, "1,234"),
        (-3.0, 0.5, "-3"),
    ],
)
def test_a_score_is_never_written_as_if_it_were_on_the_other_side(score: float, threshold: float, text: str) -> None:
    found = passing(columns(x=[score]), threshold)
    [entry] = found.entries
    assert found.written(entry.scores[0]) == text


class TestRepetitions:
    def test_every_one_must_pass(self, client: Client) -> None:
        grades = {
            "always": {"x": (1.0, 0.6), "y": 1.0},
            "once": {"x": (1.0, 0.4), "y": 1.0},
            "failed once": {TASK: (None, NO), "x": 1.0, "y": 1.0},
            "broken once": {"y": (NO, 1.0)},
            "waits once": {"y": (PENDING, 1.0)},
        }
        found = passing(made(client, grades, repetitions=2))
        assert outcomes(found) == {
            "always": "passed",
            "once": "failed",
            "failed once": "failed",
            "broken once": "failed",
            "waits once": "pending",
        }
        said = {entry.example_id: found.said_of(entry) for entry in found.of("failed")}
        assert said == {
            "once": "x 0.40",
            "failed once": "the task failed in 1 of 2 repetitions",
            "broken once": "y failed",
        }
        [always] = [entry for entry in found.entries if entry.example_id == "always"]
        assert [score.score for score in always.scores] == [0.6, 1.0]  # the worst of each

    def test_what_was_not_run_has_not_passed(self, client: Client) -> None:
        ran = made(client, {"a": {"x": 1.0}, "b": {"x": 1.0}}, repetitions=2)
        whole, some = result_table(ran), result_table(ran.to_dataframe().iloc[:3])
        found = passing_of(replace(some, expected_ids=(*ran.examples, "c"), n_expected=6), 0.5, {})
        assert outcomes(found) == {"a": "passed", "b": "failed", "c": "failed"}
        assert [found.said_of(entry) for entry in found.of("failed")] == [
            "1 of 2 repetitions were not run", "it was not run",
        ]  # fmt: skip
        assert outcomes(passing_of(whole, 0.5, {})) == {"a": "passed", "b": "passed"}


def test_an_experiment_of_which_nothing_was_run() -> None:
    store = Store("sqlite://")
    try:
        found = passing(RanExperiment(store, new_experiment(store, 2)))
    finally:
        store.close()
    assert outcomes(found) == {"ex-0": "failed", "ex-1": "failed"}
    assert list(passing_lines(found))[:2] == ["[1] ex-0 ✗", "      it was not run"]


class TestDirections:
    def test_where_less_is_better_the_score_counts_from_the_other_end(self, client: Client) -> None:
        grades = {"low": {"toxic": less(0.1)}, "high": {"toxic": less(0.9)}, "edge": {"toxic": less(0.2)}}
        ran = made(client, grades)
        assert outcomes(passing(ran)) == {"low": "passed", "high": "failed", "edge": "passed"}
        # 1 - 0.9 is 0.09999999999999998, and no reason to fail.
        assert outcomes(passing(ran, 0.1)) == dict.fromkeys(grades, "passed")
        assert outcomes(passing(ran, 0.8)) == {"low": "passed", "high": "failed", "edge": "passed"}
        assert passing(ran).rule == "all scores >= 0.5, or <= 0.5 where less is better"

    def test_only_where_less_is_better_a_floats_last_digits_are_forgiven(self) -> None:
        given = columns(["over", "under"], x=[0.5 + 5e-10, 0.5 - 5e-10])
        assert outcomes(passing(given)) == {"over": "passed", "under": "failed"}
        assert outcomes(passing(given, directions={"x": "minimize"})) == {"over": "passed", "under": "passed"}
        given = columns(["over", "under"], x=[0.5 + 5e-9, 0.5 - 5e-9])
        assert outcomes(passing(given, directions={"x": "minimize"})) == {"over": "failed", "under": "passed"}

    def test_who_asks_may_say_it(self) -> None:
        given = columns(["a", "b"], toxic=[0.1, 0.9])
        assert outcomes(passing(given)) == {"a": "failed", "b": "passed"}
        assert outcomes(passing(given, directions={"toxic": "minimize"})) == {"a": "passed", "b": "failed"}

    def test_where_neither_is_better_it_has_no_say(self) -> None:
        given = columns(["a"], x=[1.0], words=[0.0])
        assert not passing(given).all_pass
        assert passing({**given, "eval.words.metadata.direction": ["neutral"]}).all_pass

    def test_what_does_not_agree_fails(self) -> None:
        given = {**columns(["a", "b"], x=[1.0, 1.0]), "eval.x.metadata.direction": ["minimize", "maximize"]}
        found = passing(given)
        assert outcomes(found) == {"a": "failed", "b": "failed"}
        assert found.said_of(found.entries[0]) == "x does not say clearly which scores are better"
        assert passing(given, directions={"x": "maximize"}).all_pass


class TestTables:
    """They do not say which entries have which evaluators."""

    def test_an_empty_score_is_a_missing_one(self, client: Client) -> None:
        ran = made(client, {"a": {"x": 1.0}, "b": {"y": 1.0}})
        assert passing(ran).all_pass
        assert outcomes(passing(ran.to_dataframe())) == {"a": "failed", "b": "failed"}

    def test_what_only_the_baselines_has_was_not_run(self) -> None:
        given = {"example_id": ["a", "b", "c"], "eval.x.score": [1.0, 1.0, 1.0]}
        lacking = {name: cells[:2] for name, cells in given.items()}
        gate = Gate(pass_threshold=0.5)
        verdict = compare_results(result_table(given), result_table(lacking), gate=gate).verdict
        assert verdict is not None
        (check,) = (check for check in verdict.checks if check.name == "pass rate")
        assert check.status == "failed"
        assert check.reason.endswith("; failed: c (it was not run)")

    def test_a_repetition_that_others_have_was_not_run(self) -> None:
        given = {"example_id": ["a", "a", "b"], "repetition_number": [1, 2, 1], "eval.x.score": [1.0, 1.0, 1.0]}
        assert outcomes(passing(given)) == {"a": "passed", "b": "failed"}

    def test_what_is_wrong_with_one_is_said(self) -> None:
        with pytest.raises(InvalidInput, match="no rows"):
            passing([])

    def test_without_any_evaluator(self) -> None:
        assert not passing({"example_id": ["a"], "output": ["b"]}).all_pass

    def test_labels_that_a_gate_calls_good_are_scores(self) -> None:
        given = {"example_id": ["a", "b"], "eval.tone.label": ["kind", "rude"]}
        found = passing_of(result_table(given).with_positive({"tone": ["kind"]}), 0.5, {})
        assert outcomes(found) == {"a": "passed", "b": "failed"}


@pytest.mark.thorough
def test_texts_of_entries_steer_no_terminal(client: Client) -> None:
    ran = made(client, {"e\x1b[31m": {"x": EvaluationResult(score=0.0, explanation="\x1b[2J\nnext [bold]")}})
    lines = list(passing_lines(passing(ran)))
    assert all("\x1b" not in line and "\n" not in line for line in lines)
