"""A task and evaluators by reference, in a process that goes on while somebody edits their files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client, arun_experiment
from prefect_experiments.errors import InvalidReference

quiet: dict[str, Any] = {"print_summary": False}
DATASET = [{"id": f"e{n}", "input": n, "output": n} for n in range(3)]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "app.py"


def run(client: Client, **changes: Any) -> Any:
    given = {"dataset": DATASET, "task": "app.py:answer", "evaluators": "app.py:right", **quiet}
    return client.experiments.run_experiment(**(given | changes))


def test_what_is_run_is_what_the_file_says_now(client: Client, app: Path) -> None:
    text = "from helper import PLUS\ndef answer(input): return input + PLUS\n"
    text += "def right(output, expected): return {judged}\n"
    app.write_text(text.format(judged="output == expected"))
    app.with_name("helper.py").write_text("PLUS = 1\n")
    wrong = run(client)
    assert str(wrong.summary.metrics["right"]) == "0.00 over 3 of 3"
    app.with_name("helper.py").write_text("PLUS = 0\n")
    mended = run(client)
    assert str(mended.summary.metrics["right"]) == "1.00 over 3 of 3"
    app.write_text(text.format(judged="output != expected"))  # the outputs stay, and are judged by the new one
    again = client.experiments.resume_experiment(experiment=mended, **quiet)
    assert (again.ran, str(again.summary.metrics["right"])) == (0, "0.00 over 3 of 3")
    same = client.experiments.resume_experiment(experiment=mended, **quiet)
    assert {e.start_time for e in same.evaluation_runs} == {e.start_time for e in again.evaluation_runs}
    app.write_text("def answer(input) return\n")
    with pytest.raises(InvalidReference, match=r"running app.py failed with SyntaxError.*it has changed since"):
        run(client)
    assert len(client.experiments.list(limit=10).experiments) == 2


def test_an_experiment_that_runs_goes_on_with_what_it_began_with(client: Client, app: Path, tmp_path: Path) -> None:
    text = """
import asyncio, pathlib
async def answer(input):
    pathlib.Path({began!r}).touch()
    while not pathlib.Path({go!r}).exists():
        await asyncio.sleep(0.01)
    return VALUE
VALUE = {value}
"""
    began, go = tmp_path / "began", tmp_path / "go"

    async def both() -> list[Any]:
        call: dict[str, Any] = {"dataset": DATASET, "task": "app.py:answer", "client": client, **quiet}
        app.write_text(text.format(began=str(began), go=str(go), value=1))
        first = asyncio.create_task(arun_experiment(**call))
        while not began.exists():
            await asyncio.sleep(0.01)
        app.write_text(text.format(began=str(began), go=str(tmp_path), value=2))
        second = await arun_experiment(**call)
        go.touch()
        return [await first, second]

    for ran, value in zip(asyncio.run(both()), (1, 2), strict=True):
        assert [each.output for each in ran.task_runs] == [value] * 3
