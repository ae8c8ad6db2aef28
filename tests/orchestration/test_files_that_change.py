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
    with pytest.raises(InvalidReference, match=r"running app.py failed with SyntaxError: [^(]*\(app.py, line 1\)$"):
        run(client)
    assert len(client.experiments.list(limit=10).experiments) == 2


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_what_is_imported_within_a_function_is_what_its_file_says_now(client: Client, app: Path) -> None:
    """For a task and an evaluator in two folders, each with a helper of the same name."""
    for place in ("ask", "judge"):
        app.with_name(place).mkdir()
    app.with_name("ask").joinpath("app.py").write_text(
        "def answer(input):\n    import lazy\n    return input + lazy.X\n"
    )
    judge = "def right(output, expected):\n    from lazy import judged\n    return judged(output, expected)\n"
    app.with_name("judge").joinpath("ev.py").write_text(judge)
    ask, judged = (app.with_name(place) / "lazy.py" for place in ("ask", "judge"))
    call = {"task": "ask/app.py:answer", "evaluators": "judge/ev.py:right"}
    judged.write_text("def judged(a, b): return a == b\n")
    for plus, mean in ((1, "0.00"), (0, "1.00")):
        ask.write_text(f"X = {plus}\n")
        ran = run(client, **call)
        assert str(ran.summary.metrics["right"]) == f"{mean} over 3 of 3"
    judged.write_text("def judged(a, b): return a != b\n")
    again = client.experiments.resume_experiment(experiment=ran, **quiet)
    assert (again.ran, str(again.summary.metrics["right"])) == (0, "0.00 over 3 of 3")


@pytest.mark.thorough
def test_an_evaluator_that_is_mended_outside_its_function_runs_again(client: Client, app: Path) -> None:
    """And no other does, nor does the same one again; ``version`` makes it in any case."""
    text = "from helper import most\nLEAST = {least}\ndef answer(input): return input\n"
    text += "def near(output): return output >= LEAST\n"
    text += "def far(output): return output <= most()\ndef other(output): return 1\n"
    text += "def counted(output):\n    global calls\n    calls += 1\n    return calls > 0\ncalls = 0\n"
    helper = "MOST = {most}\ndef most(): return MOST\n"
    names = ["near", "far", "other", "counted"]
    app.write_text(text.format(least=5))
    app.with_name("helper.py").write_text(helper.format(most=-1))
    ran = run(client, evaluators=[f"app.py:{name}" for name in names])

    def resumed() -> tuple[set[str], dict[str, str]]:
        before = {e.name: e.start_time for e in client.experiments.get_experiment(experiment_id=ran).evaluation_runs}
        again = client.experiments.resume_experiment(experiment=ran, **quiet)
        changed = {e.name for e in again.evaluation_runs if e.start_time > before[e.name]}
        return changed, {name: str(again.summary.metrics[name])[:4] for name in names}

    assert resumed() == (set(), {"near": "0.00", "far": "0.00", "other": "1.00", "counted": "1.00"})
    app.write_text(text.format(least=0))
    assert resumed()[0] == {"near"}
    app.with_name("helper.py").write_text(helper.format(most=9))
    assert resumed() == ({"far"}, dict.fromkeys(names, "1.00"))
    app.write_text(text.format(least=0) + "other.version = 2\n")
    assert resumed()[0] == {"other"}
    assert resumed()[0] == set()
