"""The marker `experiment` over a dataset: the test as the task, or with a task of its own."""

from __future__ import annotations

import pytest

from pytest_plugin.conftest import Project

pytest_plugins = ["pytester"]


@pytest.mark.slow
def test_a_test_that_takes_an_examples_fields_is_the_task(project: Project) -> None:
    tests = """
@pytest.fixture
def offset():
    return 1

@pytest.mark.experiment(dataset="tickets.csv", evaluators="exact_match", gate="gate.yaml")
def test_right(input):
    return add(input)

@pytest.mark.experiment(dataset="tickets.csv", evaluators="exact_match", gate="gate.yaml")
async def test_wrong(input, offset):
    return str(eval(input) + offset)

@pytest.mark.experiment(dataset="tickets.csv", evaluators="exact_match", gate="gate.yaml")
class TestModels:
    @pytest.mark.parametrize("model", [add, two], ids=["add", "two"])
    def test_model(self, model, input, expected):
        assert int(expected) in (2, 4, 6)
        return model(input)
"""
    done = project.run(tests, "-v")
    said = done.stdout.str()
    assert "test_right PASSED" in said
    assert "test_wrong SUBFAILED[exact_match]" in said
    assert "test_wrong FAILED" in said
    assert "test_model[add] PASSED" in said
    assert "test_model[two] FAILED" in said
    assert "The candidate does not meet the gate: exact_match." in said
    assert "src/prefect_experiments" not in said
    assert project.names() == [
        "test_app.py::test_right",
        "test_app.py::test_wrong",
        "test_app.py::TestModels::test_model[add]",
        "test_app.py::TestModels::test_model[two]",
    ]


@pytest.mark.thorough
def test_with_a_task_the_body_runs_when_the_gate_has_passed(project: Project) -> None:
    tests = """
@pytest.mark.experiment(dataset="tickets.csv", task=add, evaluators="exact_match", gate="gate.yaml", required=["a"])
def test_right(experiment):
    assert len(experiment.ran.task_runs) == 4

@pytest.mark.experiment(dataset="tickets.csv", task=two, evaluators="exact_match", gate="gate.yaml")
def test_wrong():
    raise SystemError("not to be seen")
"""
    said = project.run(tests, "-v").stdout.str()
    assert "SUBPASSED[example a]" in said
    assert "assert 3 == 4" in said
    assert "test_wrong FAILED" in said
    assert "SystemError" not in said


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=3)
@pytest.mark.parametrize(
    ("marker", "signature", "why"),
    [
        ("task=add", "", "needs dataset=, as the marker has task="),
        ("", "input", "needs dataset=, as the test takes the fields of an example"),
        ("dataset='tickets.csv', task=add, evaluator='exact_match'", "", "did you mean 'evaluators'?"),
        ("dataset='tickets.csv'", "", "To run over that dataset, give task=, or let the test take input"),
        ("'tickets.csv'", "input", "takes keywords only, such as dataset=; got 'tickets.csv'"),
        ("gate='gat.yaml'", "", "gat.yaml"),
        ("repetitions=0", "", "repetitions must be a whole number of at least 1, got 0"),
        (
            "task_name='x'",
            "",
            "@pytest.mark.experiment of a test whose parameters are the examples: unknown keyword 'task_name'",
        ),
    ],
)
def test_a_marker_that_cannot_be_used_is_refused_before_anything_runs(
    marker: str, signature: str, why: str, project: Project
) -> None:
    tests = f"""
def test_before():
    raise SystemError("it has run")

@pytest.mark.experiment({marker})
def test_marked({signature}):
    pass
"""
    done = project.run(tests)
    assert done.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    assert "site-packages" not in done.stdout.str()
    assert why in done.stdout.str() + done.stderr.str()
    assert "it has run" not in done.stdout.str()


@pytest.mark.thorough
def test_a_worker_says_so_as_well(project: Project) -> None:
    tests = """
@pytest.mark.experiment(gate="nowhere.yaml")
def test_marked():
    raise SystemError("it has run")
"""
    said = project.run(tests, "-p", "xdist", "-n", "1").stdout.str()
    assert "nowhere.yaml" in said
    assert "it has run" not in said
    assert "INTERNALERROR" not in said


@pytest.mark.slow
def test_what_is_deselected_does_not_run(project: Project) -> None:
    tests = """
@pytest.mark.experiment(dataset="tickets.csv", evaluators="exact_match")
def test_one(input):
    return add(input)

@pytest.mark.experiment(dataset="tickets.csv", evaluators="exact_match")
def test_other(input):
    return add(input)
"""
    project.run(tests, "-k", "one").assert_outcomes(passed=1, deselected=1)
    assert project.names() == ["test_app.py::test_one"]
