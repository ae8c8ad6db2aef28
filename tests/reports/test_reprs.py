"""How results show themselves: in one line, and as the command line prints them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_experiments import Client, Dataset, EvaluationResult, Example, Experiment, Verdict
from prefect_experiments.analysis.verdicts import Side
from prefect_experiments.pages import DatasetList, ExampleList

from .made import made

LONG = "x" * 30_000
ROWS = tuple(Example(id=f"e{n}", input={"text": LONG}, output=LONG) for n in range(3_000))
MADE = made(60)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (Dataset(name="tickets", examples=ROWS, id="ds-1"), "Dataset('tickets', 3,000 examples, id='ds-1')"),
        (Dataset(name=LONG, examples=ROWS), "3,000 examples"),
        (ROWS[0], "Example(id='e0', input={'text': "),
        (EvaluationResult(score=0.5, label="fair"), "EvaluationResult(score=0.5, label='fair')"),
        (Experiment(id="exp-1", name="nightly", dataset_id="d", dataset_version_id="v", dataset_name="tickets",
                    example_count=3, created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
         "Experiment('nightly' on 'tickets', id='exp-1', 3 examples, 2026-01-02 03:04)"),
        (MADE.candidate.summary, "Summary(60 of 60 runs, 1 failed, correctness 0.695, "),
        (MADE.comparison, "Comparison('prompt-v12 shorter answers' against 'prompt-v11', failed, 58 pairs, "),
        (MADE.comparison.verdict, "Verdict(failed: correctness, 5 checks)"),
        (MADE.comparison.metrics["correctness"], "MetricComparison(name='correctness', n_pairs=57, "),
        (MADE.comparison.regressed[0], "ExampleChange(example_id="),
        (ExampleList(ROWS), "ExampleList(3000 examples, has_more=False: 'e0', 'e1', 'e2', …)"),
        (DatasetList([]), "DatasetList(0 datasets, has_more=False)"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_one_short_line(thing: Any, said: str) -> None:
    shown = repr(thing)
    assert said in shown
    assert len(shown) <= 200
    assert "\n" not in shown


def test_what_belongs_to_a_side_and_is_not_written_down_is_not_shown() -> None:
    anything: Any = "anything"
    side = Side(label="nightly", measured={"n": anything}, passing=anything, required=anything)
    assert repr(side) == "Side(label='nightly')"


def test_a_client_says_where_it_is_without_its_secrets() -> None:
    local = Client(backend="local", store_url="sqlite://")
    assert repr(local) == "Client('local', store='sqlite://')"
    remote = Client(backend="phoenix", base_url="http://localhost:6006", api_key="hidden-word", store_url="sqlite://")
    assert "phoenix http://localhost:6006" in repr(remote)
    assert "hidden-word" not in repr(remote)


def test_what_is_printed_is_what_the_command_line_prints(capsys: pytest.CaptureFixture[str]) -> None:
    print(MADE.comparison)
    text = capsys.readouterr().out
    assert text.startswith("FAILED  prompt-v12 shorter answers against prompt-v11\n")
    n_worse = len({change.example_id for change in MADE.comparison.regressed})
    assert f" of {n_worse} examples)" in text.partition("Worse, worst first (")[2]
    assert "\x1b" not in text
    assert "correctness  0.695 over 59 of 60" in str(MADE.candidate.summary)
    assert str(MADE.candidate.summary).endswith("why runs failed: print(ran), or ran.failures")
    assert str(MADE.comparison.verdict).startswith("FAILED\n  The candidate does not meet the gate: correctness.\n")


def test_lines_do_not_change_what_is_equal_or_kept() -> None:
    verdict = Verdict(status="passed", reasons=("good",))
    assert dataclasses.replace(verdict) == verdict
    assert verdict.to_dict() == {"status": "passed", "reasons": ["good"], "checks": [], "exit_code": 0}
