"""A run of pytest that is stopped: nothing more runs, and what has finished is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_plugin.conftest import Project
from support.patience import PATIENCE_S

pytest_plugins = ["pytester"]

CASES = """
import pathlib, time

@pytest.mark.experiment(dataset="sums", GATE)
@pytest.mark.parametrize("input", ["1+1", "2+2", "3+3", "stop", "4+4"])
def test_sum(input, experiment):
    if input == "stop":
        WHAT
    experiment.log_output(add(input))
"""
GATE = 'gate={"metrics": {"pass": {"min": 0.5, "bounds": "point"}}}'
JUDGED = CASES.replace("GATE", GATE)
WAITS = """
        pathlib.Path("waiting").touch()
        time.sleep(600)
"""


@contextlib.contextmanager
def started(project: Project, *options: str) -> Iterator[subprocess.Popen[str]]:
    """pytest in a process group of its own, as in a terminal, that has come to where it waits."""
    process = subprocess.Popen(
        project.command(*options),
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + PATIENCE_S
    try:
        while not (project.path / "waiting").exists():
            assert time.monotonic() < until
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def outputs(project: Project, experiment: str = "sums") -> list[str]:
    return [run.output for run in project.client.experiments.get_results(experiment=experiment).task_runs]


@pytest.mark.slow
def test_the_first_failure_stops_the_cases_and_those_before_are_kept(project: Project) -> None:
    tests = CASES.replace(", GATE", "").replace("WHAT", "assert 0")
    done = project.run(tests, "-x")
    done.assert_outcomes(passed=3, failed=1)
    assert "4 of 5 cases had run; not judged" in done.stdout.str()
    assert len(project.client.experiments.get_results(experiment="sums").task_runs) == 4


@pytest.mark.slow
def test_a_run_that_is_cut_short_is_not_judged(project: Project) -> None:
    tests = JUDGED.replace("WHAT", "pytest.exit('enough')")
    done = project.run(tests)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    said = done.stdout.str()
    assert "STOPPED      sums on sums" in said
    assert "3 of 5 cases had run; not judged" in said
    assert "experiment[sums]" not in said
    assert outputs(project) == ["2", "4", "6"]


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_keeps_the_cases_that_have_run(workers: int, project: Project) -> None:
    project.write(JUDGED.replace("WHAT", WAITS))
    options = ["-p", "xdist", "-n", str(workers)] if workers else []
    with started(project, *options) as process:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_S)
    assert "STOPPED      sums on sums" in said
    assert set(outputs(project)) <= {"2", "4", "6", "8"}
    assert "6" in outputs(project)  # it has run in the same process
    assert not list(project.path.glob(".pytest_cache/d/experiments-*"))


@pytest.mark.thorough
def test_ctrl_c_in_an_experiment_says_how_to_go_on(project: Project) -> None:
    project.write("""
import pathlib, time

def slow(input):
    if input == "3+3":
        pathlib.Path("waiting").touch()
        time.sleep(600)
    return add(input)

def test_support(experiment):
    experiment.run(dataset="tickets.csv", task=slow, evaluators="exact_match", concurrency=1).assert_gate("gate.yaml")

def test_later():
    raise SystemError("it has run")
""")
    with started(project) as process:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_S)
    [kept] = project.client.experiments.list().experiments
    assert f"what has finished is kept: `prefect-experiments resume {kept.id}` goes on" in said
    assert "it has run" not in said
    assert set(outputs(project, kept.id)) == {"2", "4"}


@pytest.mark.thorough
def test_killed_outright_leaves_the_results_in_a_file(project: Project) -> None:
    project.write(JUDGED.replace("WHAT", WAITS))
    with started(project) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    [lines] = project.path.glob(".pytest_cache/d/experiments-*/*.jsonl")
    assert [line.count('"output"') for line in Path(lines).read_text().splitlines()] == [1, 1, 1]
