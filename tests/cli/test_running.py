"""run, resume and evaluate, in processes of their own on a real Prefect server."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
from dataclasses import replace

import pytest

from support.patience import PATIENCE_S, wait_for
from support.prefect_gate import Gate

from .harness import CommandLine, Ended, lines


@pytest.fixture(scope="module")
def ran(cli: CommandLine) -> Ended:
    """One experiment, of which one run failed."""
    return cli(
        *("run", "rows.csv", "--task", "app.py:answer", "--name", "first", "--description", "of all", "--retries", "0"),
        *("--evaluator", "app.py:right", "--evaluator", "same=exact_match", "--metadata", '{"model": "m"}'),
        *("--concurrency", "1"),
    )


def test_run_prints_the_summary_and_nothing_of_prefects(ran: Ended, cli: CommandLine) -> None:
    assert cli.api
    assert ran.code == 0
    assert all(line.startswith("run ") for line in ran.err.splitlines())  # how far it is, where that takes long
    printed = [line for line in lines(ran.out) if not line.startswith("working on")]
    assert printed[0] == "first on rows: Ran 4; 1 of 4 failed"
    assert printed[1].startswith("  right  0.667 over 3 of 4; 1 task error; between 0.50 and 0.75")
    assert printed[2].split()[0] == "same"
    assert "  task errors, 1 of 4 (25%) runs:" in printed
    assert "    once: ValueError: not today (example r2)" in printed
    experiment_id = cli.client().experiments.get(experiment="first").id
    assert printed[-2] == (
        f"  see what failed with `prefect-experiments runs {experiment_id} --failed`, "
        f"try it again with `prefect-experiments resume {experiment_id}`"
    )
    assert re.fullmatch(rf"flow run: {cli.api.removesuffix('/api')}/\S*flow-run/[0-9a-f-]+", printed[-1])


def test_run_keeps_what_was_said_about_the_experiment(ran: Ended, cli: CommandLine) -> None:
    experiment = cli.client().experiments.get(experiment="first")
    assert (experiment.description, experiment.metadata) == ("of all", {"model": "m"})
    assert experiment.evaluators == ("right", "same")


@pytest.mark.slow
def test_resume_gives_one_json_document_although_the_task_prints(ran: Ended, cli: CommandLine) -> None:
    ended = replace(cli, extra={"WORKS": "1"})("resume", "first", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["ran"] == 1
    assert ended.json["reused"] == 3
    assert ended.json["summary"]["metrics"]["same"]["n"] == 4
    assert "working on b" in ended.err
    assert ended.out.count("\n") == 1


@pytest.mark.slow
def test_evaluate_shows_a_bar_on_a_terminal(ran: Ended, cli: CommandLine) -> None:
    screen, stderr = pty.openpty()
    with cli.start("evaluate", "first", "--evaluator", "app.py:length", "--json", stderr=stderr) as process:
        os.close(stderr)
        shown = _read_all(screen)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "evaluations" in shown
    assert "\x1b[" in shown
    ended = Ended(0, out, "")
    assert ended.json["ran"] == 0
    assert ended.json["summary"]["metrics"]["length"]["mean"] == 1


def _read_all(screen: int) -> str:
    """What comes to a terminal until nobody has it open any more."""
    parts = []
    try:
        while part := os.read(screen, 65536):
            parts.append(part)
    except OSError:  # how Linux says so
        pass
    finally:
        os.close(screen)
    return b"".join(parts).decode(errors="replace")


@pytest.mark.thorough
def test_a_dry_run_needs_no_prefect_and_shows_the_rows(cli: CommandLine) -> None:
    alone = replace(cli, api="http://127.0.0.1:9/api")
    before = len(cli.client().experiments.list())
    arguments = ("run", "rows.csv", "--dry-run", "2", "--task", "app.py:answer", "--evaluator", "app.py:right")
    ended = alone(*arguments, "--sample-method", "head", "--sample-n", "2", "--retries", "0")
    assert ended.code == 0, ended.err
    assert "example r1" in ended.out
    assert "right.score" in ended.out
    assert "ValueError: not today" in ended.out
    assert "A dry run: nothing was kept." in ended.out
    assert len(cli.client().experiments.list()) == before


@pytest.mark.thorough
def test_an_error_of_the_task_can_stop_it(cli: CommandLine) -> None:
    arguments = ("run", "rows.csv", "--task", "app.py:answer", "--retries", "0", "--concurrency", "1")
    ended = cli(*arguments, "--exit-on-error", "--json")
    assert ended.code == 3
    # What Prefect's client says of a busy server (a line with a time) is not ours to count; nor is progress.
    said = [line for line in lines(ended.err) if not line.startswith(("working on", "run "))]
    said = [line for line in said if " | prefect" not in line]
    assert len(said) == 1, ended.err
    assert said[0].startswith("error: the task raised ValueError on example 'r2'")
    assert "ValueError: not today" in said[0]
    stopped = ended.json
    assert f"prefect-experiments resume {stopped['experiment_id']}" in said[0]
    assert stopped == {"error": said[0].removeprefix("error: "), "experiment_id": stopped["experiment_id"]}


@pytest.mark.slow
def test_where_every_call_failed_the_exit_code_is_3(cli: CommandLine) -> None:
    alone = replace(cli, api="http://127.0.0.1:9/api")  # dry runs need no Prefect
    dry = ("run", "rows.csv", "--dry-run", "3", "--retries", "0")
    scored_badly = ("--task", "app.py:slow", "--evaluator", "app.py:broken")
    for arguments, who in ((("--task", "app.py:broken"), "task"), (scored_badly, "evaluators")):
        ended = alone(*dry, *arguments)
        assert ended.code == 3, ended.err
        assert f"Every call of the {who} failed." in ended.out
        assert "3 times: RuntimeError: [bold]never[/bold]" in ended.out
        document = alone(*dry, *arguments, "--json")
        assert document.code == 3
        assert document.json["every_call_failed"] == who
        assert document.json["errors"][0]["text"] == "RuntimeError: [bold]never[/bold]"
    some = alone(*dry, "--task", "app.py:slow", "--evaluator", "app.py:broken", "--evaluator", "app.py:length")
    assert some.code == 0
    assert "broken 3 times: RuntimeError" in some.out


@pytest.mark.slow
def test_what_is_kept_and_failed_throughout_is_code_3_too(cli: CommandLine) -> None:
    begun = cli("run", "rows.csv", "--task", "app.py:broken", "--retries", "0", "--name", "hopeless", "--gate", "{}")
    assert begun.code == 3, begun.err
    assert "Every call of the task failed." in begun.out
    assert "FAILED" in begun.out, "the gate's verdict is told as well"
    resumed = cli("resume", "hopeless", "--task", "app.py:slow", "--evaluator", "app.py:broken", "--json")
    assert resumed.code == 3, resumed.err
    assert (resumed.json["ran"], resumed.json["every_call_failed"]) == (4, "evaluators")
    assert cli("evaluate", "hopeless", "--evaluator", "app.py:length").code == 0
    again = cli("evaluate", "hopeless", "--evaluator", "worse=app.py:broken", "--retries", "0")
    assert again.code == 3, "none of the evaluators that were to be called"
    assert "worse 4 times: RuntimeError: [bold]never[/bold]" in again.out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["latest", "tag:x"])
def test_what_is_no_name_is_refused_before_prefect(name: str, cli: CommandLine) -> None:
    alone = replace(cli, api="http://127.0.0.1:9/api")
    (cli.folder / "latest.csv").write_text("example_id,output\nr1,A\n")
    for command in (
        ("run", "rows.csv", "--task", "app.py:answer", "--name", name),
        ("log", "latest.csv", "--dataset", "rows.csv", "--name", name),
        ("log", "latest.csv", "--dataset", "rows.csv", "--allow", "missing"),
    ):
        ended = alone(*command)
        assert ended.code == 2
        assert "an experiment cannot be called" in ended.err
        assert lines(ended.err)[-1].startswith("error: ")


@pytest.mark.thorough
def test_no_prefect_server_is_said_in_a_line_and_costs_the_page_alone(cli: CommandLine) -> None:
    alone = replace(cli, api="http://127.0.0.1:9/api", extra={"PREFECT_EXPERIMENTS_PREFECT_PATIENCE": "1"})
    ended = alone("run", "rows.csv", "--task", "app.py:answer", "--json")
    assert ended.code == 0
    assert ended.json["ran"] == 4
    said = [line for line in lines(ended.err) if "Prefect" in line]
    assert len(said) == 2, "when it goes on without, and at the end"
    # A busy machine may take longer to refuse a connection than there is patience here.
    asked = r"Prefect's server at http://127\.0\.0\.1:9/api does not answer \((Connect|Timeout)Error\)"
    assert re.search(f"{asked}: going on without it, ", said[0])
    assert "missing there: the flow run" in said[1]


@pytest.mark.slow
def test_a_prefect_server_that_wants_a_login_says_so_in_one_line(cli: CommandLine) -> None:
    with Gate(cli.api or "") as gate:
        gate.set(401)
        ended = replace(cli, api=gate.api)("run", "rows.csv", "--task", "app.py:answer")
    assert ended.code == 2
    [line] = lines(ended.err)
    assert line.startswith(
        f"error: Prefect's server at {gate.api} wants a login (HTTP 401): set PREFECT_API_AUTH_STRING"
    )
    assert "PREFECT_API_KEY" in line


@pytest.mark.thorough
def test_an_interrupt_says_how_to_go_on_and_going_on_works(cli: CommandLine) -> None:
    with cli.start(
        *("run", "rows.csv", "--task", "app.py:halting", "--repetitions", "20", "--concurrency", "1"),
        *("--timeout", "0", "--name", "long", "--json"),
    ) as process:
        wait_for(lambda: _runs(cli, "long") == 3, "three runs")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    said = lines(err)[-1]
    experiment_id = cli.client().experiments.get(experiment="long").id
    assert (
        said
        == f"error: interrupted. What has finished is kept; go on with `prefect-experiments resume {experiment_id}`"
    )
    assert json.loads(out) == {"error": said.removeprefix("error: "), "experiment_id": experiment_id}
    assert "Traceback" not in err
    assert _runs(cli, "long") == 3
    (cli.folder / "go").touch()
    ended = cli("resume", experiment_id, "--concurrency", "40", "--json")
    assert ended.json["reused"] == 3
    assert ended.json["summary"]["n_runs"] == 80


INTERRUPTED = """
import os, signal, time
from sqlalchemy import event
from sqlalchemy.engine import Engine

def answer(input):
    return input

@event.listens_for(Engine, "after_cursor_execute")
def interrupt(connection, cursor, statement, *_):
    if statement.startswith("INSERT INTO experiments "):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
"""


@pytest.mark.slow
def test_an_interrupt_while_the_experiment_is_made_says_how_to_go_on(cli: CommandLine) -> None:
    (cli.folder / "early.py").write_text(INTERRUPTED)
    ended = cli("run", "rows.csv", "--task", "early.py:answer", "--name", "early")
    assert ended.code == 130
    experiment_id = cli.client().experiments.get(experiment="early").id
    assert lines(ended.err)[-1].endswith(f"go on with `prefect-experiments resume {experiment_id}`")


@pytest.mark.slow
def test_a_second_interrupt_adds_nothing(cli: CommandLine) -> None:
    with cli.start("run", "rows.csv", "--task", "app.py:lingering", "--timeout", "0", "--name", "twice") as process:
        for moment in ("begun", "cancelled"):
            wait_for((cli.folder / moment).exists, moment)
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in (130, -signal.SIGINT), err
    said = [line for line in lines(err) if not line.startswith("run ")]
    assert len(said) == 1, err
    assert said[0].startswith("error: interrupted. What has finished is kept")


def _runs(cli: CommandLine, experiment: str) -> int:
    """How many runs the store has of an experiment, if it is begun."""
    experiments = cli.client().experiments
    if experiment not in [found.name for found in experiments.list()]:
        return 0
    return len(experiments.list_runs(experiment=experiment, all=True))
