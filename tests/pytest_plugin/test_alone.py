"""What the plugin costs, and does to, runs of pytest that do not use it."""

from __future__ import annotations

import sys

import pytest

from pytest_plugin.conftest import PLUGIN, Project

pytest_plugins = ["pytester"]

LOOKS = """
import sys

def ours():
    return sorted(name for name in sys.modules if name.startswith("prefect"))

def test_nothing_is_imported():
    assert ours() == ["prefect_experiments", "prefect_experiments.pytest_plugin"]

@pytest.mark.parametrize("input", [1])
def test_input(input):
    assert input == 1
    assert ours() == ["prefect_experiments", "prefect_experiments.pytest_plugin"]

@pytest.fixture(name="input")
def an_input():
    return 2

def test_of_a_fixture(input):
    assert input == 2
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_does_not_use_it_imports_nothing_and_shows_nothing(workers: int, serverless: Project) -> None:
    options = ["-p", "xdist", "-n", str(workers)] if workers else []
    done = serverless.run(LOOKS, *options)
    done.assert_outcomes(passed=3)
    assert "experiment" not in done.stdout.str().replace("prefect_experiments", "")
    assert not list(serverless.path.glob(".pytest_cache/d/experiments-*"))
    assert not (serverless.path / "home").exists()


def test_it_can_be_turned_off(serverless: Project) -> None:
    tests = "def test_one(experiment):\n    pass\n"
    done = serverless.run(tests, "-p", f"no:{PLUGIN}")
    done.assert_outcomes(errors=1)
    assert "fixture 'experiment' not found" in done.stdout.str()


def test_a_fixture_of_the_same_name_is_the_users(serverless: Project) -> None:
    tests = """
@pytest.fixture
def experiment():
    return "mine"

def test_one(experiment):
    assert experiment == "mine"
"""
    serverless.run(tests).assert_outcomes(passed=1)


def test_it_is_in_the_help(serverless: Project) -> None:
    said = serverless.pytester.run(sys.executable, "-m", "pytest", "-p", PLUGIN, "--help").stdout.str()
    assert "--experiment-baseline=BASELINE" in said
    markers = serverless.pytester.run(sys.executable, "-m", "pytest", "-p", PLUGIN, "--markers").stdout.str()
    assert "@pytest.mark.experiment(dataset=, task=" in markers
