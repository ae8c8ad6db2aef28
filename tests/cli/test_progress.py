"""Hearing of an experiment's progress, and what the command line makes of it."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import logging
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_experiments import arun_experiment, run_experiment
from prefect_experiments.cli import progress as shown
from prefect_experiments.cli.output import Terminal
from prefect_experiments.experiment import progress as telling
from prefect_experiments.experiment.counts import Progress
from prefect_experiments.experiment.progress import heard_by

from .harness import Here

ROWS = [{"input": {"n": n}} for n in range(12)]
dry: dict[str, Any] = {"dry_run": 12, "print_summary": False, "retries": 0, "concurrency": 2}


@pytest.fixture(autouse=True)
def a_store_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run opens the store: not the one that this machine's user has."""
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")


async def work(n: dict[str, int]) -> int:
    await asyncio.sleep(0.02)
    return 1 // (n["n"] % 4)


def positive(output: int) -> bool:
    return output > 0


def test_a_listener_hears_while_it_runs_and_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "TELL_EVERY_S", 0.02)
    heard: list[Progress] = []
    calls = 0

    async def heard_of(n: dict[str, int]) -> int:
        """Goes on when the listener has heard of all calls but those that are under way."""
        nonlocal calls
        calls += 1
        before = calls - dry["concurrency"]
        while not any(progress.runs >= before for progress in heard):
            await asyncio.sleep(0.005)
        return await work(n)

    with heard_by(heard.append):
        ran = run_experiment(dataset=ROWS, task=heard_of, evaluators=[positive], **dry)
    run_experiment(dataset=ROWS, task=work, **dry)
    assert len({progress.runs for progress in heard}) > 2
    assert heard == sorted(heard, key=lambda progress: progress.runs)
    last = heard[-1]
    assert last == Progress(ran.experiment_id, True, 12, 12, 3, 9, 1)
    assert (heard[0].share, last.share) == (0, 1)


def test_a_listener_hears_of_one_experiment_after_the_other() -> None:
    heard: list[Progress] = []

    async def two() -> list[str]:
        with heard_by(heard.append):
            return [(await arun_experiment(dataset=ROWS, task=work, **dry)).experiment_id for _ in range(2)]

    assert asyncio.run(two()) == list(dict.fromkeys(progress.experiment_id for progress in heard if progress.began))


class RateLimitError(Exception):
    """As OpenAI's client raises it."""

    retry_after = 3


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (True, r"1 attempt refused \(RateLimitError: of key \*\*\*, slow down\), the next in [23] s"),
        (False, r"1 attempt timed out \(TimeoutError: no answer within timeout=0.01 s\), being tried again"),
    ],
)
def test_refusals_and_timeouts_are_told_of_while_a_call_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, refused: bool, said: str
) -> None:
    monkeypatch.setattr(telling, "TELL_EVERY_S", 0.02)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-tests")
    heard: list[Progress] = []
    calls = 0

    async def task(input: Any) -> str:
        nonlocal calls
        calls += 1
        if calls > 1:
            return "ok"
        if refused:
            raise RateLimitError("of key sk-of-the-tests,\n slow down")
        await asyncio.sleep(60)
        return "late"

    with heard_by(heard.append):
        run_experiment(dataset=ROWS[:1], task=task, timeout=0.01, dry_run=1, print_summary=False)
    told = {progress.trouble: str(progress) for progress in heard if progress.trouble}
    assert any(re.fullmatch(said, trouble) for trouble in told), told
    assert all(line == f"run 0/1; {trouble}" for trouble, line in told.items())
    assert heard[-1].trouble == ""


@pytest.mark.filterwarnings("ignore:Logger 'prefect_experiments'")  # Prefect's, on logging outside a flow run
def test_a_listener_that_fails_is_not_called_again_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telling, "TELL_EVERY_S", 0.02)
    calls = []

    def broken(progress: Progress) -> None:
        calls.append(progress)
        raise ZeroDivisionError("no")

    with caplog.at_level(logging.WARNING, "prefect_experiments"), heard_by(broken):
        ran = run_experiment(dataset=ROWS, task=work, **dry)
    assert ran.summary.n_runs == 12
    assert len(calls) == 1
    assert "No more progress is shown (ZeroDivisionError: no)" in caplog.text


def test_an_experiment_within_the_task_is_not_heard_of() -> None:
    async def nested(input: Any) -> str:
        return (await arun_experiment(dataset=ROWS[1:], task=work, **dry)).experiment_id

    heard: list[Progress] = []
    with heard_by(heard.append):
        ran = run_experiment(dataset=ROWS[:1], task=nested, **{**dry, "dry_run": 1})
    assert {progress.experiment_id for progress in heard if progress.began} == {ran.experiment_id}


def test_lines_come_at_most_every_five_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(shown.time, "monotonic", lambda: now[0])
    watcher = shown._LineWatcher()
    start = Progress("exp-1", True, 0, 1319, 0, 0, 2)
    for second in range(13):
        now[0] = 100.0 + second
        watcher(dataclasses.replace(start, runs=100 * second, run_errors=second // 10, evaluations=second))
    assert capsys.readouterr().err.splitlines() == [
        "run 500/1,319, 5/2,638 evaluations",
        "run 1,000/1,319, 1 failed, 10/2,636 evaluations",
    ]
    assert watcher.experiment_id == "exp-1"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("text", ["[/end] [red]no colour[/red]", "12 of :smile:", "http://127.0.0.1 = 'a'"])
def test_what_a_task_prints_stands_above_the_bar_as_it_is(
    monkeypatch: pytest.MonkeyPatch, stream: str, text: str
) -> None:
    """Also where the line has not ended yet, as with ``print(".", end="", flush=True)``."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    with shown._BarWatcher().shown():
        print(text, end="", file=getattr(sys, stream), flush=True)
        print(f"whole: {text}", file=getattr(sys, stream), flush=True)
    lines = screen.getvalue().replace("\r", "\n").replace("\x1b[2K", "").splitlines()
    assert text in lines
    assert f"whole: {text}" in lines


def test_what_there_is_to_say() -> None:
    start = Progress("exp-1", True, 0, 0, 0, 7, 1)
    assert str(start) == "7 evaluations"
    assert str(dataclasses.replace(start, evaluators=0)) == "nothing left to do"


def test_it_is_said_first_that_prefect_starts_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    for terminal, names, said in (
        (Terminal(), {}, ["Prefect starts a server for this run, as PREFECT_API_URL names none ..."]),
        (Terminal(), {PREFECT_API_URL: "http://127.0.0.1:9/api"}, []),
    ):
        with temporary_settings(names, restore_defaults={PREFECT_API_URL}), shown.watching(terminal):
            run_experiment(dataset=ROWS, task=work, **dry)
        assert [line for line in capsys.readouterr().err.splitlines() if not line.startswith("run ")] == said


@pytest.mark.parametrize(("url", "also"), [(None, ""), ("sqlite:///here.db", " with the same --store-url")])
def test_what_breaks_an_experiment_says_how_to_go_on(url: str | None, also: str) -> None:
    heard: list[Progress] = []
    with pytest.raises(ZeroDivisionError) as broken, heard_by(heard.append), shown.watching(Terminal(store_url=url)):
        ran = run_experiment(dataset=ROWS, task=work, **dry)
        raise ZeroDivisionError
    resume = f"`prefect-experiments resume {ran.experiment_id}`"
    assert broken.value.__notes__ == [f"What has finished is kept; go on with {resume}{also}"]


@pytest.mark.parametrize(("n", "more"), [(10, []), (11, ["and 1 more; --json has them all"])])
def test_a_dry_run_shows_ten_examples_and_counts_the_rest(n: int, more: list[str], here: Here) -> None:
    Path("many.csv").write_text("id,input\n" + "".join(f"m{n},{n}\n" for n in range(12)))
    told = here("run", "many.csv", "--task", "os.path:basename", "--dry-run", str(n)).out.splitlines()
    assert sum(line.startswith("example m") for line in told) == 10
    assert [line for line in told if "more" in line] == more


def test_the_commands_leave_the_log_as_it_was(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command keeps off its terminal is heard again by whoever shares its process."""
    Path("app.py").write_text("def answer(input):\n    return input\n")
    monkeypatch.delenv("PREFECT_LOGGING_LEVEL")
    before = [list(handler.filters) for handler in logging.getLogger().handlers]
    assert here("run", "rows.csv", "--task", "app.py:answer", "--dry-run").code == 0
    assert here("run", "rows.csv", "--task", "app.py:nobody").code == 2
    assert here("log", "rows.csv", "--dataset", "nobody").code == 2
    assert [list(handler.filters) for handler in logging.getLogger().handlers] == before
