"""What the caller has set is seen by every call of its experiment; what a call sets, by no other."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
from pathlib import Path

import pytest
from opentelemetry import baggage, context
from prefect import flow

from prefect_experiments import Client, arun_experiment, run_experiment

HISTORY: contextvars.ContextVar[str] = contextvars.ContextVar("history", default="")
ROWS = [{"id": f"e{n}", "input": f"question {n}", "output": f"caller;question {n}"} for n in range(24)]
EXPECTED = [f"caller;question {n};17;s1" for n in range(24)]


def answer(input: str) -> str:
    HISTORY.set(f"{HISTORY.get()};{input}")
    precision = decimal.getcontext().prec
    decimal.getcontext().prec = 3
    session = baggage.get_baggage("session")
    context.attach(baggage.set_baggage("session", "another"))
    return f"{HISTORY.get()};{precision};{session}"


async def aanswer(input: str) -> str:
    before = answer(input)
    await asyncio.sleep(0)
    return before


def judge(output: str) -> str:
    return answer(output)


async def ajudge(output: str) -> str:
    return await aanswer(output)


def as_caller(function):
    def call():
        HISTORY.set("caller")
        decimal.getcontext().prec = 17
        context.attach(baggage.set_baggage("session", "s1"))
        return function()

    return contextvars.copy_context().run(call)


def check(ran):
    assert [run["output"] for run in ran.task_runs] == EXPECTED
    labels = ran.to_dataframe()
    for name in ("judge", "ajudge"):
        assert labels[f"eval.{name}.label"].tolist() == [f"caller;{output};17;s1" for output in EXPECTED]


MODULE = """
import contextvars, decimal
MODE = contextvars.ContextVar("mode", default="unset")
MODE.set("at import")
decimal.getcontext().prec = 50

def answer(input): return f"{MODE.get()} {decimal.getcontext().prec}"
async def aanswer(input): return answer(input)
def judge(output): return answer(None)
"""


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("task", ["answer", "aanswer"])
def test_what_an_application_sets_when_it_is_imported_is_seen_by_its_calls(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """A module that is named by a reference is imported somewhere within the experiment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app_of_contexts.py").write_text(MODULE)
    for where in ("app_of_contexts.py", "app_of_contexts"):
        ran = contextvars.copy_context().run(
            lambda where=where: run_experiment(
                dataset=ROWS[:3],
                task=f"{where}:{task}",
                evaluators={"judge": f"{where}:judge"},
                client=client,
                print_summary=False,
            )
        )
        assert [run["output"] for run in ran.task_runs] == ["at import 50"] * 3
        assert ran.to_dataframe()["eval.judge.label"].tolist() == ["at import 50"] * 3


@pytest.mark.parametrize("task", [answer, aanswer])
@pytest.mark.parametrize("how", ["sync", "async", "in a flow"])
def test_the_callers_context_is_seen_and_stays_its_own(client: Client, task, how):
    options = {
        "dataset": ROWS,
        "task": task,
        "evaluators": [judge, ajudge],
        "concurrency": 3,
        "batch_size": 7,
        "client": client,
        "print_summary": False,
    }

    @flow
    def around():
        return run_experiment(**options)

    if how == "sync":
        check(as_caller(lambda: run_experiment(**options)))
    elif how == "async":
        check(as_caller(lambda: asyncio.run(arun_experiment(**options))))
    else:
        check(as_caller(around))
