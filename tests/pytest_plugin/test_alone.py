"""What the plugin costs, and does to, runs of pytest that do not use it."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest

from prefect_experiments.pytest_plugin.options import options_of
from pytest_plugin.conftest import PLUGIN, Project

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
LOOKS = """
import sys

ITSELF = ["prefect_experiments", "prefect_experiments.display", "prefect_experiments.garbage",
          "prefect_experiments.pytest_plugin", "prefect_experiments.pytest_plugin.known", "prefect_experiments.texts"]

def ours():
    return sorted(name for name in sys.modules if name.startswith("prefect"))

def test_nothing_is_imported():
    assert ours() == ITSELF

@pytest.mark.parametrize("input", [1])
def test_input(input):
    assert input == 1
    assert ours() == ITSELF

@pytest.fixture(name="input")
def an_input():
    return 2

def test_of_a_fixture(input):
    assert input == 2
"""


@pytest.mark.thorough
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_does_not_use_it_imports_nothing_and_shows_nothing(workers: int, serverless: Project) -> None:
    options = ["-p", "xdist", "-n", str(workers)] if workers else []
    done = serverless.run(LOOKS, *options)
    done.assert_outcomes(passed=3)
    assert "experiment" not in done.stdout.str().replace("prefect_experiments", "")
    assert not list(serverless.path.glob(".pytest_cache/d/experiments-*"))
    assert not (serverless.path / "home").exists()


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize("installed", [True, False])
def test_pytest_finds_it_by_itself_unless_told_not_to(
    installed: bool, serverless: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the entry point that the package has, as pip writes it."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    written = serverless.path / "there" / "installed-1.0.dist-info"
    written.mkdir(parents=True)
    (written / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1.0\n")
    (written / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()))
    monkeypatch.setenv("PYTHONPATH", f"{written.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    serverless.write("def test_one(experiment):\n    pass\n")
    options = ["-p", "no:phoenix", *([] if installed else ["-p", "no:prefect-experiments"])]
    done = serverless.pytester.run(sys.executable, "-m", "pytest", *options)
    done.assert_outcomes(**({"passed": 1} if installed else {"errors": 1}))


@pytest.mark.thorough
def test_a_fixture_of_the_same_name_is_the_users(serverless: Project) -> None:
    tests = """
class TestMine:
    @pytest.fixture
    def experiment(self):
        return "mine"

    def test_one(self, experiment):
        assert experiment == "mine"

    @pytest.mark.experiment(dataset="tickets.csv", task=add)
    def test_marked(self):
        raise SystemError("it has run")

@pytest.mark.experiment(dataset="tickets.csv", task=add)
def test_task(input, expected):
    raise SystemError("it has run")
"""
    done = serverless.run(tests)
    done.assert_outcomes(passed=1, failed=2)
    said = done.stdout.str()
    hidden = "test_app.py::TestMine::test_marked: a fixture of its own called experiment hides the package's"
    assert f"UsageError: {hidden}" in said
    assert "UsageError: test_app.py::test_task takes input, expected as a task does, and has task= as well" in said


def test_a_number_of_repetitions_that_is_none(serverless: Project) -> None:
    config = serverless.pytester.parseconfig("-p", PLUGIN, "-o", "experiment_repetitions=many")
    with pytest.raises(pytest.UsageError, match="experiment_repetitions must be a whole number, got 'many'"):
        options_of(config)


def test_it_is_in_the_help(serverless: Project) -> None:
    said = serverless.pytester.run(sys.executable, "-m", "pytest", "-p", PLUGIN, "--help").stdout.str()
    assert "--experiment-baseline=BASELINE" in said
    words = " ".join(said.split())
    for option in (
        "--experiment-baseline=BASELINE what experiments are compared with that name none: an id, a name, tag:NAME, ",
        "--experiment-gate=GATE the rules for experiments that name none: the path of a YAML or JSON file",
        "--experiment-report=REPORT a folder that gets an HTML report of each experiment",
        "--experiment-repetitions=N how often each example is run, where a test does not say",
    ):
        assert option in words
    markers = serverless.pytester.run(sys.executable, "-m", "pytest", "-p", PLUGIN, "--markers").stdout.str()
    assert "@pytest.mark.experiment(dataset=, task=" in markers
