"""The dataset that pixie's own documentation shows (of 0.6), with a project for it, as it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefect_experiments import Client, run_experiment
from prefect_experiments.errors import InvalidEvaluator
from prefect_experiments.pixie import load_pixie
from prefect_experiments.pixie.examples import Entry
from prefect_experiments.pixie.lint import lint
from prefect_experiments.pixie.reading import read_pixie
from support.judge_stand_in import JudgeStandIn

DATASET = {
    "name": "qa-golden-set",
    "runnable": "pixie_qa/scripts/run_app.py:AppRunnable",
    "evaluators": ["Factuality"],
    "entries": [
        {
            "entry_kwargs": {"user_message": "What are your business hours?"},
            "description": "Gold customer asks about business hours",
            "eval_input": [{"name": "customer_profile", "value": {"name": "Alice Johnson", "tier": "gold"}}],
            "expectation": "Should mention Mon-Fri 9am-5pm and Sat 10am-2pm",
        },
        {
            "entry_kwargs": {"user_message": "I want to change something"},
            "description": "Basic customer with an ambiguous request",
            "eval_input": [{"name": "customer_profile", "value": {"name": "Bob Smith", "tier": "basic"}}],
            "expectation": "Should ask for clarification",
            "evaluators": ["...", "ClosedQA"],
        },
        {
            "entry_kwargs": {"user_message": "I want to end this call"},
            "description": "Customer asks to end the call",
            "eval_input": [{"name": "customer_profile", "value": {"name": "Carol", "tier": "basic"}}],
            "expectation": "Should call the end_call tool",
            "eval_metadata": {"expected_tool": "end_call", "expected_call_ended": True},
            "evaluators": ["...", "pixie_qa/evaluators.py:tool_call_check"],
        },
    ],
}
RUN_APP = """
import pixie
from pydantic import BaseModel
from support_app import answer


class AppArgs(BaseModel):
    user_message: str


class AppRunnable(pixie.Runnable[AppArgs]):
    @classmethod
    def create(cls) -> "AppRunnable":
        return cls()

    async def run(self, args: AppArgs) -> None:
        await answer(args.user_message)
"""
SUPPORT_APP = """
import pixie


def profile_from_the_database():
    raise RuntimeError("there is no database here")


async def answer(message):
    load = pixie.wrap(profile_from_the_database, purpose="input", name="customer_profile")
    profile = load()
    ends = "end" in message
    pixie.wrap({"tool": "end_call" if ends else None, "ended": ends}, purpose="state", name="tool_call")
    pixie.wrap(f"{profile['name']}, we are open Mon-Fri 9am-5pm", purpose="output", name="response")
"""
EVALUATORS = """
from pixie import Evaluation


def tool_call_check(evaluable, *, trace=None):
    seen = {item.name: item.value for item in evaluable.eval_output}["tool_call"]
    wanted = evaluable.eval_metadata
    right = seen["tool"] == wanted["expected_tool"] and seen["ended"] == wanted["expected_call_ended"]
    return Evaluation(score=1.0 if right else 0.0, reasoning=f"called {seen['tool']}", details=seen)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name, text in {
        "pixie_qa/scripts/run_app.py": RUN_APP,
        "pixie_qa/evaluators.py": EVALUATORS,
        "support_app.py": SUPPORT_APP,
        "pixie_qa/datasets/qa-golden-set.json": json.dumps(DATASET, indent=2),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "pixie_qa" / "datasets" / "qa-golden-set.json"


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(store_url=f"sqlite:///{tmp_path / 'store.db'}")


def test_it_is_loaded_as_it_stands(path: Path) -> None:
    found = load_pixie(path)
    hours, change, end = (example.id for example in found.examples)
    assert hours.startswith("gold-customer-asks-about-business-hours-")
    assert found.only_evaluators == {
        hours: ("Factuality",),
        change: ("Factuality", "ClosedQA"),
        end: ("Factuality", "tool_call_check"),
    }
    last = Entry.of(found.examples[2])
    assert last.form == "entry_kwargs"
    assert [item.name for item in last.shown_input] == ["customer_profile"], "as in 0.6, not the message"
    assert last.eval_metadata == {"expected_tool": "end_call", "expected_call_ended": True}


def test_lint_says_only_that_it_is_small(path: Path) -> None:
    """ClosedQA has no criteria there, and judges by the expectation here."""
    assert [remark.rule for remark in lint(read_pixie(path))] == ["few-entries"]


def test_without_anybody_to_ask_nothing_is_run(path: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidEvaluator, match="OPENAI_API_KEY"):
        run_experiment(dataset=path, client=client, dry_run=3, print_summary=False)


def test_all_of_it_runs(path: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the model that judges."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with JudgeStandIn() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        ran = client.experiments.run_experiment(dataset=path, print_summary=False)
    assert [one.error for one in ran.evaluation_runs] == [None] * 5
    counts = {name: (metric.n, metric.n_missing) for name, metric in ran.summary.metrics.items()}
    assert counts == {"Factuality": (3, 0), "ClosedQA": (1, 0), "tool_call_check": (1, 0)}
    [criterion] = [body for _, body in server.prompts if "[Criterion]: Should ask for clarification" in body]
    assert "Bob Smith" in criterion


def test_its_application_and_its_own_evaluator_run(path: Path, client: Client) -> None:
    only = json.loads(path.read_text())
    only["evaluators"] = ["LevenshteinMatch"]
    only["entries"][1]["evaluators"] = ["..."]
    path.write_text(json.dumps(only))
    ran = run_experiment(dataset=path, client=client, dry_run=3, print_summary=False)
    outputs = {run.example_id.partition("-")[0]: run.output for run in ran.task_runs}
    assert [run.error for run in ran.task_runs] == [None] * 3
    assert outputs["gold"] == {
        "tool_call": {"tool": None, "ended": False},
        "response": "Alice Johnson, we are open Mon-Fri 9am-5pm",
    }
    [checked] = [one for one in ran.evaluation_runs if one.name == "tool_call_check"]
    assert (checked.score, checked.explanation) == (1.0, "called end_call")
    assert checked.metadata == {"tool": "end_call", "ended": True}
    assert ran.summary.metrics["LevenshteinMatch"].n == 3
