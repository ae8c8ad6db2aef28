"""What a dry run prints, in this process: it needs no Prefect."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import Here, lines

APP = """
def answer(input):
    if input == "b":
        raise ValueError("not [bold]today[/bold]")
    return input.upper()

def never(input):
    raise RuntimeError("never")

def polite(output):
    return "polite"

def broken(output):
    raise KeyError("x")
"""


@pytest.fixture(autouse=True)
def app(here: Here) -> None:
    Path("app.py").write_text(APP)


def tried(here: Here, n: int, task: str, *evaluators: str) -> tuple[int, list[str]]:
    """The exit code, and what is printed, with single spaces."""
    named = [word for name in evaluators for word in ("--evaluator", name)]
    ended = here("run", "rows.csv", "--task", f"app.py:{task}", *named, "--dry-run", str(n), "--retries", "0",
                 "--sample-method", "head", "--sample-n", str(n), "--concurrency", "1")  # fmt: skip
    return ended.code, [" ".join(line.split()) for line in lines(ended.out)]


def test_its_rows_its_scores_and_its_errors(here: Here) -> None:
    code, said = tried(here, 3, "answer", "exact_match", "mine=app.py:polite")
    assert code == 0
    assert said == [
        *("example r1", "input a", "expected A", "output A"),
        *("exact_match.score 1", "exact_match.label True", "mine.label polite"),
        *("example r2", "input b", "expected B", "error ValueError: not [bold]today[/bold]"),
        *("example r3", "input c", "expected ?", "output C"),
        *("exact_match.score 0", "exact_match.label False", "mine.label polite"),
        "evaluator score standard error",
        "exact_match 0.50 over 2 of 3; 1 task error; between 0.333 and 0.667 if the others had scored 0 or 1 0.5",
        "mine polite 2 over 2 of 3; 1 task error -",
        "task errors, 1 of 3 (33.3%) runs:",
        "once: ValueError: not [bold]today[/bold] (example r2)",
        "A dry run: nothing was kept.",
    ]


def test_without_evaluators(here: Here) -> None:
    rows = ["example r1", "input a", "expected A", "output A"]
    assert tried(here, 1, "answer") == (0, [*rows, "not evaluated", "A dry run: nothing was kept."])


@pytest.mark.parametrize(
    ("task", "evaluators", "code", "said"),
    [
        ("never", ["exact_match"], 3, "Every call of the task failed."),
        ("answer", ["app.py:broken"], 3, "Every call of the evaluators failed."),
        ("answer", ["app.py:broken", "exact_match"], 0, "A dry run: nothing was kept."),
    ],
)
@pytest.mark.thorough
def test_where_every_call_failed_the_exit_code_is_3(
    task: str, evaluators: list[str], code: int, said: str, here: Here
) -> None:
    ended, told = tried(here, 2, task, *evaluators)
    assert (ended, said in told) == (code, True)
    assert sum(line.startswith("Every call") for line in told) == (code == 3)


def test_as_json(here: Here) -> None:
    said = here.json("run", "rows.csv", "--task", "app.py:answer", "--dry-run", "--sample-method", "head", "--sample-n",
                     "1")  # fmt: skip
    assert {key: value for key, value in said.items() if key not in ("summary", "experiment_runs")} == {
        "dry_run": True, "errors": [], "every_call_failed": None
    }  # fmt: skip
    assert [run["output"] for run in said["experiment_runs"]] == ["A"]
    assert said["summary"]["n_runs"] == 1
