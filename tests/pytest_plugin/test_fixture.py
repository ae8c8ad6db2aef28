"""The fixture `experiment`, in real runs of pytest."""

from __future__ import annotations

import subprocess
from xml.etree import ElementTree

import pytest

from pytest_plugin.conftest import Project

pytest_plugins = ["pytester"]

PASSES = """
def test_support(experiment):
    experiment.run(dataset="tickets.csv", task=add, evaluators="exact_match").assert_gate("gate.yaml")
"""
FAILS = """
def test_support(experiment):
    done = experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match")
    assert done.ran.summary.metrics["exact_match"].n == 3
    done.assert_gate("gate.yaml")
"""


@pytest.mark.thorough
def test_an_experiment_that_meets_its_gate_passes(project: Project) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    done = project.run(PASSES)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*= experiments =*", "PASSED *test_app.py::test_support on tickets  id exp-*"])
    assert project.names() == ["test_app.py::test_support"]
    [kept] = project.client.experiments.list().experiments
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    origin = kept.origin
    assert origin["git_commit"] == commit
    assert kept.metadata == {"pytest_nodeid": "test_app.py::test_support"}


def test_the_verdict_is_the_failure_and_each_check_a_subtest(project: Project) -> None:
    done = project.run(FAILS, "--junitxml", "junit.xml", "--experiment-report", "reports", "-v")
    assert done.ret == 1
    said = done.stdout.str()
    assert "E       AssertionError: The candidate does not meet the gate: exact_match." in said
    assert "SUBFAILED[exact_match]" in said
    assert "SUBPASSED[error rate]" in said
    assert "src/prefect_experiments" not in said  # nobody else's traceback
    assert "Finished in state" not in said  # nor Prefect's commentary
    [case] = ElementTree.parse(project.path / "junit.xml").iter("testcase")
    assert {one.get("name") for one in case.iter("property")} >= {"exact_match", "error rate", "coverage"}
    messages = [str(one.get("message")) for one in case.iter("failure")]
    assert messages[0] == "Failed: exact_match: the mean of 0.333 is below the minimum of 0.90"
    assert messages[1].startswith("AssertionError: The candidate does not meet the gate: exact_match.")
    [report] = (project.path / "reports").iterdir()
    assert "does not meet the gate" in report.read_text()
    assert f"report reports/{report.name}" in said


@pytest.mark.slow
def test_a_gate_that_fails_still_says_its_sentence_where_the_first_failure_stops(project: Project) -> None:
    done = project.run(FAILS + "\ndef test_later():\n    pass\n", "-x")
    assert "AssertionError: The candidate does not meet the gate" in done.stdout.str()
    assert "test_later" not in done.stdout.str()


@pytest.mark.slow
def test_the_baseline_comes_from_the_command_line(project: Project) -> None:
    project.run(PASSES).assert_outcomes(passed=1)
    [before] = project.client.experiments.list().experiments
    project.client.experiments.tag(experiment=before, tag="baseline")
    tests = FAILS.replace('"gate.yaml"', '{"max_error_rate": 0.1, "metrics": {"exact_match": {"max_regression": 0}}}')
    done = project.run(tests, "--experiment-baseline", "tag:baseline")
    said = done.stdout.str()
    assert "exact_match" in said
    assert "there was no baseline" not in said
    misspelt = project.run(PASSES, "--experiment-baseline", "tag:base-line")
    assert "did you mean 'baseline'?" in misspelt.stdout.str()
    first = project.run(PASSES, "--experiment-baseline", "tag:base-line", "--experiment-first-run")
    first.assert_outcomes(passed=1)


@pytest.mark.thorough
def test_what_is_inconclusive_fails_unless_the_gate_says_otherwise(project: Project) -> None:
    tests = """
GATE = {"metrics": {"exact_match": {"min": 0.9}}}

def test_closed(experiment):
    experiment.run(dataset="tickets.csv", task=add, evaluators="exact_match", gate=GATE).assert_gate()

def test_open(experiment):
    rules = {**GATE, "on_inconclusive": "pass"}
    experiment.run(dataset="tickets.csv", task=add, evaluators="exact_match", gate=rules).assert_gate()
"""
    done = project.run(tests, "-v", "-rs")
    said = done.stdout.str()
    assert "The data cannot tell whether the candidate meets the gate: exact_match. It does not pass." in said
    assert "test_open PASSED" in said
    assert "SUBSKIPPED[exact_match]" in said


@pytest.mark.slow
def test_required_examples_must_be_right_whatever_the_gate_says(project: Project) -> None:
    tests = """
def test_support(experiment):
    done = experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match")
    done.assert_gate({"metrics": {"exact_match": {"min": 0, "bounds": "point"}}}, required=["a", "b"])

def test_unknown(experiment):
    done = experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match")
    done.assert_gate({"metrics": {"exact_match": {"min": 0, "bounds": "point"}}}, required="z")
"""
    done = project.run(tests, "-v")
    said = done.stdout.str()
    assert "SUBPASSED[example a]" in said
    assert "SUBFAILED[example b]" in said
    assert "example 'b': exact_match is 0" in said
    assert "there is no example or split 'z' in 'tickets'; it has 'a', 'b', 'c'" in said
    assert "FAILED       test_app.py::test_support" in said


@pytest.mark.thorough
def test_without_a_gate_only_calls_that_fail_do(project: Project) -> None:
    tests = """
def broken(input):
    raise ValueError("no such order")

def test_poor(experiment):
    experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match").assert_gate()

def test_broken(experiment):
    experiment.run(dataset="tickets.csv", task=broken, evaluators="exact_match", retries=0).assert_gate()
"""
    done = project.run(tests, "-v")
    said = done.stdout.str()
    assert "test_poor PASSED" in said
    assert "AssertionError: The experiment does not pass, and no gate says what may fail: task errors" in said
    assert "no such order" in said


@pytest.mark.thorough
def test_what_cannot_be_run_says_so_in_one_line(project: Project) -> None:
    tests = """
def test_support(experiment):
    experiment.run(dataset="ticket.csv", task=add, evaluators="exact_match")

def test_misspelt(experiment):
    experiment.run(dataset="tickets.csv", tsk=add)
"""
    done = project.run(tests)
    said = done.stdout.str()
    assert "there is no file ticket.csv" in said
    assert "unexpected keyword argument 'tsk'" in said
    assert "src/prefect_experiments" not in said
    assert project.names() == []


@pytest.mark.slow
def test_a_dry_run_keeps_and_judges_nothing(project: Project) -> None:
    done = project.run(PASSES, "--experiment-dry-run", "-rs")
    done.assert_outcomes(skipped=1)
    assert "a dry run of the experiment: nothing was kept or judged" in done.stdout.str()
    assert project.names() == []


@pytest.mark.slow
def test_the_async_twin_runs_in_the_loop_of_the_test(project: Project) -> None:
    tests = """
import asyncio

def test_support(experiment):
    async def main():
        loop = asyncio.get_running_loop()

        async def task(input):
            assert asyncio.get_running_loop() is loop
            return add(input)

        done = await experiment.arun(dataset="tickets.csv", task=task, evaluators="exact_match", gate="gate.yaml")
        assert done.verdict.status == "passed"
        assert done.comparison is None
        done.assert_gate()

    asyncio.run(main())
"""
    project.run(tests).assert_outcomes(passed=1)


@pytest.mark.slow
def test_files_are_found_beside_the_test_and_settings_in_the_ini_file(project: Project) -> None:
    there = project.path / "evals"
    there.mkdir()
    for name in ("tickets.csv", "gate.yaml"):
        (project.path / name).rename(there / name)
    (project.path / "pytest.ini").write_text(
        "[pytest]\npythonpath = .\nexperiment_gate = evals/gate.yaml\nexperiment_repetitions = 2\n"
    )
    (there / "test_evals.py").write_text(
        "from app import add\n\ndef test_support(experiment):\n"
        '    done = experiment.run(dataset="tickets.csv", task=add, evaluators="exact_match")\n'
        "    assert len(done.ran.task_runs) == 6\n    done.assert_gate()\n"
        "    assert experiment.verdict is done.verdict\n"
    )
    project.pytester.run(*project.command("evals")).assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_verdict_that_nobody_asked_fails_the_test(project: Project) -> None:
    done = project.run(
        """
@pytest.mark.parametrize("task", [add, two])
def test_forgotten(experiment, task):
    experiment.run(dataset="tickets.csv", task=task, evaluators="exact_match", gate="gate.yaml")

def test_looked_at(experiment):
    done = experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match", gate="gate.yaml")
    assert done.verdict.status == "failed"
"""
    )
    done.assert_outcomes(passed=3, errors=1)
    said = done.stdout.str()
    assert "ERROR test_app.py::test_forgotten[two] - AssertionError: The candidate does not meet the gate" in said
    assert "the test has not called assert_gate" in said


@pytest.mark.slow
def test_a_margin_needs_a_baseline(project: Project) -> None:
    done = project.run(
        """
MARGIN = {"metrics": {"exact_match": {"max_regression": 0.05}}}

def test_before(experiment):
    experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match", gate=MARGIN)

def test_after(experiment):
    experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match").assert_gate(MARGIN)

def test_first(experiment):
    done = experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match", gate=MARGIN, first_run=True)
    done.assert_gate()

@pytest.mark.experiment(dataset="tickets.csv", task=two, evaluators="exact_match", gate=MARGIN)
def test_marked():
    pass
"""
    )
    done.assert_outcomes(passed=1, failed=3)
    said = done.stdout.str()
    assert said.count("the gate's max_regression of exact_match is measured from a baseline, and none is named") >= 3
    assert "def run_marked" not in said
    assert "prefect_experiments/pytest_plugin" not in said  # none of the plugin's own lines
    assert len(project.names()) == 2


@pytest.mark.slow
def test_the_first_line_says_what_is_not_as_required(project: Project) -> None:
    done = project.run(
        """
def silent(output):
    return None

def polite(output):
    return "polite"

def test_required(experiment):
    done = experiment.run(dataset="tickets.csv", task=two, evaluators="exact_match", gate={"max_error_rate": 0.5})
    done.assert_gate(required=["a", "b"])

@pytest.mark.parametrize("evaluator", [silent, polite])
def test_no_score(experiment, evaluator):
    gate = {"max_error_rate": 0.5, "metrics": {"polite": {}}}
    done = experiment.run(dataset="tickets.csv", task=two, evaluators=evaluator)
    with pytest.raises(AssertionError, match="no score says that it is right"):
        done.assert_gate(required=["a"])

def test_silent(experiment):
    experiment.run(dataset="tickets.csv", task=two, evaluators=silent).assert_gate()
"""
    )
    said = done.stdout.str()
    assert "test_required - AssertionError: Not as required: example 'b': exact_match is 0." in said
    assert "test_silent - AssertionError: The experiment does not pass, and no gate says what may fail: silent " in said


@pytest.mark.slow
def test_what_is_inconclusive_is_skipped_where_the_test_stands(project: Project) -> None:
    done = project.run(
        """
def test_few(experiment):
    gate = {"metrics": {"exact_match": {"min": 0.9}}, "on_inconclusive": "pass"}
    experiment.run(dataset="tickets.csv", task=add, evaluators="exact_match", gate=gate).assert_gate()
""",
        "-v",
        "-rs",
    )
    assert "SUBSKIPPED[exact_match] [1] test_app.py:" in done.stdout.str()


@pytest.mark.slow
def test_calls_that_failed_are_counted_once_in_the_list(project: Project) -> None:
    done = project.run(
        """
def broken(input):
    raise ValueError("no such order")

def test_lenient(experiment):
    done = experiment.run(dataset="tickets.csv", task=broken, evaluators="exact_match", retries=0)
    done.assert_gate("gate.yaml")
"""
    )
    done.stdout.fnmatch_lines(["FAILED *test_app.py::test_lenient on tickets * 3 task errors"])
    assert "3 task errors; " not in done.stdout.str()
