"""``--budget`` on the command line, against a stand-in of OpenAI's API; and where Prefect shows the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from support.openai_stand_in import OpenAIStandIn

from .harness import CommandLine

TASK = """
import openai

client = openai.OpenAI(max_retries=0)

def answer(input):
    said = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": str(input)}])
    return said.choices[0].message.content

def longer(output):
    return len(answer(output)) > 0
"""
ROWS = "id,input\n" + "".join(f"r{n},{n}\n" for n in range(12))
CALL = (1000 * 0.15 + 100 * 0.6) / 1e6


@pytest.fixture
def server() -> Iterator[OpenAIStandIn]:
    with OpenAIStandIn(tokens=(1000, 100)) as running:
        yield running


@pytest.fixture
def commands(cli: CommandLine, server: OpenAIStandIn) -> CommandLine:
    (cli.folder / "asking.py").write_text(TASK)
    (cli.folder / "asked.csv").write_text(ROWS)
    return dataclasses.replace(cli, extra={"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"})


@pytest.mark.slow
def test_run_ends_unfinished_and_resume_and_evaluate_go_on(commands: CommandLine, server: OpenAIStandIn) -> None:
    few = ("--concurrency", "1", "--retries", "0", "--json")
    ended = commands("run", "asked.csv", "--task", "asking.py:answer", "--budget", str(4.5 * CALL), *few)
    assert (ended.code, len(server.requests)) == (3, 5)
    assert "stopped: the budget of $0.000945 is spent ($0.00105)" in ended.err
    experiment = ended.json["experiment_id"]
    assert f"prefect-experiments resume {experiment} --budget DOLLARS" in ended.err

    resumed = commands("resume", experiment, "--budget", "1", *few)
    assert (resumed.code, len(server.requests)) == (0, 12), resumed.err
    assert resumed.json["summary"]["total_cost"] == pytest.approx(12 * CALL)

    judged = commands(
        "evaluate", experiment, "--evaluator", "asking.py:longer", "--budget", str(14.5 * CALL), *few
    )  # fmt: skip
    assert (judged.code, len(server.requests)) == (3, 15), judged.err  # what running has cost is in it
    whole = commands("evaluate", experiment, "--evaluator", "asking.py:longer", *few)
    assert (whole.code, len(server.requests)) == (0, 24), whole.err
    summary = whole.json["summary"]
    assert summary["judge_cost"] == pytest.approx(12 * CALL)
    assert summary["overall_cost"] == pytest.approx(24 * CALL)

    shown = commands("show", experiment)
    assert "task 13,200 tokens for $0.00252, judges 13,200 tokens for $0.00252, together $0.00504" in " ".join(
        shown.out.split()
    )


@pytest.mark.slow
def test_a_price_that_nobody_knows_is_said(commands: CommandLine) -> None:
    task = TASK.replace("gpt-4o-mini", "in-house")
    (commands.folder / "in_house.py").write_text(task)
    ended = commands("run", "asked.csv", "--task", "in_house.py:answer")
    assert ended.code == 0, ended.err
    assert "13,200 tokens" in ended.out
    assert "cost of 12 calls unknown, and in no sum: in-house" in ended.out


@pytest.mark.thorough
def test_a_budget_that_is_none_is_wrong_use(commands: CommandLine, server: OpenAIStandIn) -> None:
    ended = commands("run", "asked.csv", "--task", "asking.py:answer", "--budget", "-1")
    assert (ended.code, server.requests) == (2, [])
    assert "budget must be above 0 US dollars" in ended.err
