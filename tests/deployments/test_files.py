"""What can be said of the deployments' files without a server: they are YAML, and what they name is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.cli._app import _app as _prefect  # the part of it that can be asked to read a command only
from prefect.events.schemas.automations import AutomationCore
from pydantic import ValidationError

from prefect_experiments import Gate, Metric
from prefect_experiments.cli.app import app
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.options import described
from prefect_experiments.orchestration.deployed.parameters import GateRules, MetricRules
from prefect_experiments.orchestration.deployed.project import enter
from prefect_experiments.tasks import load_reference

from .stack import ROOT

FOLDER = ROOT / "deployments"
FILES = sorted([*FOLDER.rglob("*.yaml"), *FOLDER.rglob("*.yml")])
WORKFLOWS = sorted((FOLDER / "ci").glob("*.yml"))
AUTOMATIONS = sorted((FOLDER / "automations").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize("path", AUTOMATIONS, ids=lambda path: path.name)
def test_every_automation_is_one(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    for automation in content.get("automations", [content]):
        assert AutomationCore.model_validate(automation).name


def ends_of_flows() -> set[str]:
    """The names of final states that the code makes up."""
    paths = (ROOT / "src/prefect_experiments/orchestration").rglob("*.py")
    # Those of a worker's task run are no flow's.
    source = "\n".join(path.read_text() for path in paths if path.parts[-2:] != ("workers", "body.py"))
    source += "\n".join(path.read_text() for path in (ROOT / "src/prefect_experiments/flows").glob("*.py"))
    assert set(re.findall(r"(?:Completed|Failed)\(name=([^,)]+)", source)) == {"BEGUN_BEFORE"}
    return {"AlreadyBegun", "GatePassed", "GateFailed", "GateInconclusive"}


def test_automations_know_how_flows_end() -> None:
    """What waits for the end of a run must know every end, or it takes one that ended for one that hangs."""
    for path in AUTOMATIONS:
        content = yaml.safe_load(path.read_text())
        for automation in content.get("automations", [content]):
            expected = set(automation["trigger"]["expect"])
            if "prefect.flow-run.Completed" in expected:
                assert {f"prefect.flow-run.{name}" for name in ends_of_flows()} <= expected, automation["name"]


def test_what_deployments_name_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = yaml.safe_load((FOLDER / "prefect.yaml").read_text())["deployments"]
    for deployment in found:
        parameters = deployment["parameters"]
        load_reference(deployment["entrypoint"])
        for reference in [parameters.get("task"), *parameters.get("evaluators", [])]:
            assert reference is None or callable(load_reference(reference))
        for name in ("gate_file", "results"):
            assert Path(parameters.get(name, "README.md")).exists()
    assert set(Gate.parse(FOLDER / "gate.yaml").rules) == {"right_document", "answer_found", "overlap"}


def test_the_gates_form_offers_all_that_there_is() -> None:
    made, rules = Gate().to_dict(), GateRules().model_dump()
    assert set(rules) == set(made)
    assert {**rules, "metrics": None} == {**made, "metrics": None}


@pytest.mark.parametrize(("form", "rules"), [(GateRules, Gate), (MetricRules, Metric)])
def test_forms_say_of_each_rule_what_its_class_says(form: Any, rules: type[Gate | Metric]) -> None:
    shown = {name: field.description for name, field in form.model_fields.items()}
    assert {**shown, **described(rules)} == shown


@settings(deadline=None)
@given(st.sampled_from([*Gate().keys()[1:], *Metric().keys()]), st.floats(-3, 3) | st.sampled_from([0, 0.5, 1]))
def test_forms_take_what_a_gate_takes(name: str, value: float) -> None:
    form, rules, more = (MetricRules, Metric, {"name": "x"}) if name in set(Metric()) else (GateRules, Gate, {})
    try:
        filled = form(**{name: value}, **more)
    except ValidationError:
        with pytest.raises(InvalidSetting):
            rules(**{name: value})
    else:
        assert rules(**{name: getattr(filled, name)})[name] == value


def test_a_form_makes_the_gate_that_its_fields_say() -> None:
    rules = GateRules(metrics=[MetricRules(name="cost", max_regression=1, direction="minimize")], confidence=0.9)
    assert rules.gate() == Gate(metrics={"cost": {"max_regression": 1, "direction": "minimize"}}, confidence=0.9)
    with pytest.raises(InvalidSetting, match="two rules for the metric 'a'"):
        GateRules(metrics=[MetricRules(name="a"), MetricRules(name="a", min=1)]).gate()


def test_a_worker_finds_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine, deployers = tmp_path / "mine", tmp_path / "deployers"
    deployers.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_EXPERIMENTS_HOME", raising=False)
    assert enter(str(deployers)) == {"directory": str(deployers)}
    assert Path.cwd() == deployers
    with pytest.raises(InvalidSetting, match="PREFECT_EXPERIMENTS_HOME set to the folder of this machine") as refused:
        enter("/somewhere/on/another/machine")
    assert str(refused.value).startswith("there is no folder '/somewhere/on/another/machine' here; start the worker")
    monkeypatch.setenv("PREFECT_EXPERIMENTS_HOME", str(mine))
    with pytest.raises(InvalidSetting, match="is no folder"):
        enter(str(deployers))
    mine.mkdir()
    assert enter("/somewhere/on/another/machine") == {"directory": str(mine)}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_complete(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert True in workflow, "YAML reads `on` as a yes"
    assert "permissions" in workflow
    for job in workflow["jobs"].values():
        assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert "${{" not in step.get("run", ""), "what others write must not become a part of a script"


def commands(path: Path, program: str) -> list[list[str]]:
    """The calls of a program in a workflow's scripts, or in a document's."""
    text = path.read_text()
    if path.suffix == ".yml":
        jobs = yaml.safe_load(text)["jobs"].values()
        scripts = "\n".join(step.get("run", "") for job in jobs for step in job["steps"])
    else:
        scripts = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
        scripts += "\n" + "\n".join(re.findall(r"`(prefect [^`]+)`", text))
    lines = scripts.replace("\\\n", " ").splitlines()
    found = [re.sub(r"^(\w+=\S+ )+", "", line.strip()) for line in lines]
    return [shlex.split(line, comments=True)[1:] for line in found if line.startswith(f"{program} ")]


def test_commands_of_the_workflows_are_understood() -> None:
    found = commands(FOLDER / "ci/pull-request.yml", "prefect-experiments")
    assert len(found) == 1
    for command in found:
        app.parse_args(command, exit_on_error=False, print_error=False)


def test_commands_of_prefect_are_understood() -> None:
    """By Prefect's own command line, which is asked to read them and not to do them."""
    files = (FOLDER / "ci/deployed.yml", FOLDER / "README.md", ROOT / "docs/deploying.md")
    found = [command for file in files for command in commands(file, "prefect")]
    assert len(found) >= 8
    for command in found:
        _prefect.parse_args([word for word in command if word != "--no-prompt"], exit_on_error=False, print_error=False)
