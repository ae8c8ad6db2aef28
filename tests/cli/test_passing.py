"""The command passing: which entries pass, and the exit code."""

from __future__ import annotations

import pytest

from tests.analysis.entries import PENDING, TASK, Grades, made

from .harness import Here, lines

GRADES: Grades = {
    "e1": {"fact": 0.4999},
    "e2": {"fact": 1.0, "polite": PENDING},
    "e3": {TASK: ValueError("no"), "fact": 1.0},
}


def test_what_it_prints(here: Here) -> None:
    made(here.client, GRADES)
    ended = here("passing", "candidate")
    assert ended.code == 1
    assert lines(ended.out) == [
        "[1] about e1 (fact) [0.4999] ✗",
        "      fact 0.4999",
        "[2] about e2 (fact, polite) [1.00, pending] …",
        "      polite is pending: Is it polite?",
        "[3] about e3 ✗",
        "      the task failed: ValueError: no",
        "0/3 passed | 1 pending",
    ]


def test_all_pass(here: Here) -> None:
    made(here.client, {"e1": {"fact": 0.5}, "e2": {"tools": 1.0}})
    ended = here("passing", "latest")
    assert (ended.code, lines(ended.out)[-1]) == (0, "2/2 passed")
    assert here("passing", "latest", "--threshold", "0.6").code == 1
    assert here("passing", "latest", "--minimize", "tools").code == 1


def test_none_is_no_pass(here: Here) -> None:
    made(here.client, {"e1": {}})
    ended = here("passing", "latest")
    assert (ended.code, lines(ended.out)) == (1, ["0/0 passed | 1 entry without evaluators"])


def test_as_json(here: Here) -> None:
    made(here.client, GRADES)
    ended = here("passing", "candidate", "--json")
    assert ended.code == 1
    found = ended.json
    assert (found["threshold"], found["n_passed"], found["n_pending"], found["all_pass"]) == (0.5, 0, 1, False)
    assert [entry["outcome"] for entry in found["entries"]] == ["failed", "pending", "failed"]
    first = found["entries"][0]
    assert (first["example_id"], first["description"]) == ("e1", "about e1")
    assert first["scores"][0] | {"evaluator": "fact", "outcome": "failed", "score": 0.4999} == first["scores"][0]
    assert found["entries"][2]["error"] == "ValueError: no"


def test_of_a_table(here: Here) -> None:
    ran = made(here.client, {"e1": {"fact": 0.5}, "e2": {"fact": 0.2}})
    here.client.experiments.export(experiment=ran, path="results.csv")
    assert lines(here("passing", "results.csv").out)[-1] == "1/2 passed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "nobody"),
        (["candidate", "--threshold", "2"], "the threshold must be from 0 to 1, such as 0.5; got 2.0"),
        (["none.csv"], "there is no file none.csv"),
    ],
)
def test_wrong_use(here: Here, arguments: list[str], said: str) -> None:
    made(here.client, GRADES)
    ended = here("passing", *arguments)
    assert (ended.code, ended.out) == (2, "")
    [line] = lines(ended.err)
    assert said in line


def test_a_gate_on_the_command_line(here: Here) -> None:
    made(here.client, {"e1": {"fact": 0.5}, "e2": {"fact": 0.2}})
    for rules, code in (("pass_threshold: 0.5", 1), ("{pass_threshold: 0.2, min_coverage: 0}", 0)):
        ended = here("report", "candidate", "--gate", rules)
        assert ended.code == code, ended.out
