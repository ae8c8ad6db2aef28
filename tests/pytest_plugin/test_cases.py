"""Tests that are cases: their parameters are the dataset."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from prefect_experiments import RanExperiment
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.pytest_plugin.cases import log_evaluation
from pytest_plugin.conftest import Project

pytest_plugins = ["pytester"]

SUMS = """
@pytest.mark.experiment(dataset="sums", evaluators="exact_match", MORE)
@pytest.mark.parametrize("question, expected", [("1+1", "2"), ("2+2", "4"), ("3+3", "7")], ids=["a", "b-1", "c"])
def test_sum(question, expected, experiment):
    assert experiment.log_output(add(question)) == expected
"""
LENIENT = 'gate={"metrics": {"pass": {"min": 0.6, "bounds": "point"}}}'
STRICT = 'gate={"metrics": {"pass": {"min": 0.7, "bounds": "point"}}}'


def results(project: Project, name: str) -> RanExperiment:
    return project.client.experiments.get_results(experiment=name)


def test_parameters_are_the_examples_and_tests_their_runs(project: Project) -> None:
    tests = (
        SUMS.replace(", MORE", "")
        + """
from prefect_experiments.pytest_plugin import log_evaluation, log_output

@pytest.mark.experiment
@pytest.mark.parametrize("input", ["1+1", 1j])
def test_shape(input):
    log_output(str(input))
    log_evaluation(name="length", score=len(str(input)), explanation="counted")

@pytest.mark.experiment
def test_alone(experiment):
    assert experiment.evaluate("exact_match", output="x", expected="y").score == 0

@pytest.mark.experiment
def test_broken():
    1 / 0

@pytest.mark.experiment
def test_skipped():
    pytest.skip("not now")

@pytest.fixture
def lost():
    raise OSError("no such thing")

@pytest.mark.experiment
def test_setup(lost):
    pass

@pytest.mark.experiment
def test_subtests(subtests):
    with subtests.test("one"):
        assert 0

@pytest.mark.experiment
def test_passing_subtests(subtests):
    for name in ("one", "two"):
        with subtests.test(name):
            assert 1

@pytest.mark.experiment
def test_unread(experiment):
    experiment.log_output(n for n in range(3))

@pytest.mark.experiment(dataset="halved", GATE)
@pytest.mark.parametrize("input", ["1", "2"])
def test_half(input):
    pass

@pytest.mark.experiment(dataset="unscored", evaluators="exact_mtach")
def test_unscored():
    pass
""".replace("GATE", LENIENT)
    )
    # As plugins do that run a test in a way of their own.
    (project.path / "conftest.py").write_text(
        "def pytest_runtest_protocol(item):\n    return '[2]' in item.name or None\n"
    )
    done = project.run(tests)
    assert done.ret == 1
    said = done.stdout.str()
    assert "The gate was not asked: 1 case was not run." in said
    assert re.search(r"NOT JUDGED +halved on halved  id exp-\w+  1 case was not run\n", said)
    [left] = project.path.glob(".pytest_cache/d/experiments-*")
    unscored = "unknown built-in evaluator 'exact_mtach'; did you mean 'exact_match'?"
    assert re.search(rf"NOT LOGGED +unscored on unscored  {re.escape(unscored)}.*; the results are in {left}\n", said)
    sums = results(project, "sums").to_dataframe().set_index("example_id")
    row = sums.loc["test_app.py::test_sum[c]"]
    assert row["input"] == {"question": "3+3"}
    assert (row["expected"], row["output"], row["status"]) == ("7", "6", "ok")
    assert (row["eval.pass.score"], row["eval.pass.label"], row["eval.exact_match.score"]) == (0, "fail", 0)
    assert "assert '6' == '7'" in row["eval.pass.explanation"]
    assert sums.loc["test_app.py::test_sum[b-1]", "eval.pass.score"] == 1
    rows = results(project, "test_app").to_dataframe().set_index("example_id")
    rows.index = rows.index.str.removeprefix("test_app.py::")
    assert rows.loc["test_shape[1+1]", "input"] == "1+1"
    assert rows.loc["test_shape[1+1]", "eval.length.score"] == 3
    assert rows.loc["test_alone", "eval.exact_match.score"] == 0
    assert rows.loc["test_broken", "error"] == "ZeroDivisionError: division by zero"
    assert rows.loc["test_setup", "error"] == "OSError: no such thing"
    assert rows.loc["test_subtests", "eval.pass.label"] == "fail"
    assert rows.loc["test_subtests", "eval.pass.explanation"].startswith("subtest: AssertionError")
    assert rows.loc["test_passing_subtests", "eval.pass.label"] == "pass"
    assert "test_skipped" not in rows.index
    unread = rows.loc["test_unread", "error"]
    assert unread.startswith("the output cannot be kept: generator at ['output'] was not read; "), unread
    assert len(rows) == 8


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("workers", [0, 3])
def test_a_gate_judges_all_cases_together(workers: int, project: Project) -> None:
    options = ["-p", "xdist", "-n", str(workers)] if workers else []
    done = project.run(SUMS.replace("MORE", f"{LENIENT}, repetitions=2"), "--junitxml", "junit.xml", "-rx", *options)
    assert done.ret == 0, done.stdout.str()
    said = done.stdout.str()
    assert "left to the gate: AssertionError: assert '6' == '7'" in said
    assert "PASSED       sums on sums  id exp-" in said
    cases = {str(one.get("name")) for one in ElementTree.parse(project.path / "junit.xml").iter("testcase")}
    assert {"test_sum[b-1-repetition-2]", "experiment[sums]", "experiment[sums][pass]"} <= cases
    assert project.names() == ["sums"]  # one, whoever ran its cases
    frame = results(project, "sums").to_dataframe()
    assert sorted(frame["repetition_number"]) == [1, 1, 1, 2, 2, 2]
    assert frame["example_id"].nunique() == 3

    failed = project.run(SUMS.replace("MORE", STRICT), *options)
    assert failed.ret == 1
    assert "The candidate does not meet the gate: pass." in failed.stdout.str()
    assert "FAILED test_app.py::experiment[[]sums]" in failed.stdout.str().replace("[sums]", "[[]sums]")
    assert not list(project.path.glob(".pytest_cache/d/experiments-*"))


@pytest.mark.slow
def test_the_next_run_is_compared_with_the_one_before(project: Project) -> None:
    gate = 'gate={"metrics": {"pass": {"max_regression": 0.05}}, "on_inconclusive": "pass"}'
    tests = SUMS.replace("MORE", gate)
    assert project.run(tests, "--experiment-baseline", "latest").ret == 0
    done = project.run(tests, "--experiment-baseline", "latest", "--experiment-report", "reports")
    assert done.ret == 0, done.stdout.str()
    [last, _] = project.client.experiments.list().experiments
    [_, report] = sorted((project.path / "reports").glob("sums*")) * 2
    assert last.name == "sums"
    assert "baseline" in report.read_text()


@pytest.mark.thorough
def test_a_dry_run_is_a_plain_run_of_the_tests(project: Project) -> None:
    done = project.run(SUMS.replace("MORE", LENIENT), "--experiment-dry-run")
    done.assert_outcomes(passed=2, failed=1)
    assert project.names() == []


@pytest.mark.thorough
def test_what_is_no_case_records_into_none(serverless: Project) -> None:
    """Not into the one that ran before it either."""
    tests = """
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.pytest_plugin import log_output

@pytest.mark.experiment
def test_case():
    assert log_output("its own") == "its own"

def test_plain():
    with pytest.raises(InvalidSetting, match="are for a test that is a case"):
        log_output("nobody's")
"""
    serverless.run(tests, "--experiment-dry-run").assert_outcomes(passed=2)


@pytest.mark.thorough
def test_markers_that_disagree_are_refused(project: Project) -> None:
    tests = SUMS.replace("MORE", LENIENT) + SUMS.replace("MORE", STRICT).replace("test_sum", "test_other")
    done = project.run(tests)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "its marker says another gate than that of test_app.py::test_sum[a]" in done.stderr.str()


@pytest.mark.slow
def test_methods_of_unittest_are_cases(project: Project) -> None:
    tests = """
import unittest
from prefect_experiments.pytest_plugin import log_output

@pytest.mark.experiment(dataset="old")
class TestOld(unittest.TestCase):
    def test_one(self):
        self.assertEqual(log_output(add("1+1")), "3")
"""
    assert project.run(tests).ret == 1
    [row] = results(project, "old").to_dataframe().to_dict("records")
    assert row["output"] == "2"
    assert row["eval.pass.score"] == 0


@pytest.mark.slow
def test_an_application_that_is_down_is_an_experiment_of_failed_runs(project: Project) -> None:
    done = project.run(
        """
@pytest.mark.experiment(dataset="down", GATE)
@pytest.mark.parametrize("question", ["1", "2"])
def test_down(question):
    raise ConnectionError("the application does not answer")
""".replace("GATE", LENIENT)
    )
    assert done.ret == 1
    assert "ConnectionError: the application does not answer" in done.stdout.str()
    [name] = project.names()
    assert [run.status for run in results(project, name).task_runs] == ["error", "error"]


@pytest.mark.slow
def test_all_cases_skipped_is_no_verdict(project: Project) -> None:
    done = project.run(
        """
@pytest.mark.experiment(dataset="skipped", GATE)
@pytest.mark.parametrize("question", ["1", "2"])
def test_skipped(question):
    pytest.skip("no key")
""".replace("GATE", LENIENT)
    )
    done.assert_outcomes(skipped=3)
    done.stdout.fnmatch_lines(["SKIPPED * on skipped *no case has run: nothing was logged or judged"])
    assert project.names() == []


@pytest.mark.slow
def test_a_known_failure_counts_and_a_selection_is_said(project: Project) -> None:
    known = SUMS.replace(", MORE", "").replace('("3+3", "7")', 'pytest.param("3+3", "7", marks=pytest.mark.xfail)')
    done = project.run(known, "--deselect", "test_app.py::test_sum[a]")
    done.stdout.fnmatch_lines(["RAN * on sums *1 of its cases were not selected"])
    [name] = project.names()
    assert results(project, name).summary.metrics["pass"].mean == 0.5


@pytest.mark.thorough
def test_a_margin_needs_a_baseline_before_any_case_runs(project: Project) -> None:
    tests = SUMS.replace("MORE", 'gate={"metrics": {"pass": {"max_regression": 0.1}}}')
    done = project.run(tests)
    assert "the gate's max_regression of pass is measured from a baseline" in done.stdout.str() + done.stderr.str()
    assert done.parseoutcomes().get("passed", 0) == 0
    assert project.names() == []


def test_an_evaluation_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="an evaluation's name must not be empty"):
        log_evaluation(name="", score=1.0)
