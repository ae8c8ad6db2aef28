"""What somebody who may say what a task is can have executed, read and written, where that is limited."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from prefect_experiments import Client
from prefect_experiments.allowed import SETTING
from prefect_experiments.cli.app import run as run_command
from prefect_experiments.engine.policy import CallPolicy
from prefect_experiments.errors import InvalidInput, InvalidReference, InvalidSetting
from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.experiment.spec import CallableSpec
from prefect_experiments.options import Attempts
from prefect_experiments.orchestration.deployed.parameters import dataset_of, gate_of, task_of
from prefect_experiments.references import load_reference
from prefect_experiments.tasks import resolve_task
from support.modules import Snapshot

MODULE = """
import functools, os, subprocess
from json import JSONDecodeError, loads
from os import system
from pathlib import Path
from unlimited_helper import helped

def answer(input):
    return input

class Judge:
    def evaluate(self, output):
        return 1.0

judge = Judge()
fixed = functools.partial(answer)
class Busy(Exception):
    pass
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with an application, a folder of flows, and what leads out of both."""
    folder = tmp_path / "project"
    for package in ("doors_app", "doors_app_too"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
        (folder / package / "tasks.py").write_text(MODULE)
    (folder / "flows" / "deep").mkdir(parents=True)
    (folder / "flows" / "run.py").write_text("from neighbour import near\n" + MODULE)
    (folder / "flows" / "neighbour.py").write_text("def near(input):\n    return input\n")
    (folder / "flows" / "deep" / "run.py").write_text("def answer(input):\n    return input\n")
    (folder / "unlimited_helper.py").write_text("def helped(input):\n    return input\n")
    (folder / "flowsy.py").write_text(MODULE)
    (tmp_path / "outside.py").write_text("open('executed', 'w').close()\ndef answer(input):\n    return input\n")
    (folder / "flows" / "link.py").symlink_to(tmp_path / "outside.py")
    (folder / "flows" / "linked").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv(SETTING, "doors_app, flows/")
    modules = Snapshot(tmp_path)
    yield folder
    assert not (folder / "executed").exists(), "it was run"
    modules.restore()


ALLOWED = [
    "doors_app.tasks:answer",
    "doors_app.tasks:judge",
    "doors_app.tasks:judge.evaluate",
    "doors_app.tasks:Judge",
    "doors_app.tasks:Judge.evaluate",
    "doors_app.tasks:fixed",
    "doors_app.tasks:Busy",
    "doors_app.tasks:JSONDecodeError",
    "flows/run.py:answer",
    "./flows/run.py:answer",
    "flows/../flows/run.py:answer",
    "flows/run.py:near",
    "flows/deep/run.py:answer",
]
REFUSED = [
    "os:system",
    "subprocess:run",
    "builtins:eval",
    "importlib:import_module",
    "doors_app_too.tasks:answer",
    "unlimited_helper:helped",
    "flowsy.py:answer",
    "flows.run:answer",
    "../outside.py:answer",
    "flows/../../outside.py:answer",
    "flows/link.py:answer",
    "flows/linked/outside.py:answer",
    "doors_app.tasks:os.system",
    "doors_app.tasks:system",
    "doors_app.tasks:subprocess.run",
    "doors_app.tasks:loads",
    "doors_app.tasks:Path.unlink",
    "doors_app.tasks:helped",
    "doors_app.tasks:answer.__globals__",
    "doors_app.tasks:answer.__class__",
    "doors_app.tasks:__builtins__",
    "flows/run.py:os.system",
    "/etc/passwd.py:x",
]


@pytest.mark.parametrize("reference", ALLOWED)
def test_what_is_allowed_is_found(reference: str, project: Path) -> None:
    assert load_reference(reference) is not None
    absolute = f"{project}/{reference}" if ".py:" in reference else reference
    assert load_reference(absolute) is not None


@pytest.mark.parametrize("reference", REFUSED)
def test_what_is_not_is_refused_wherever_it_is_said(reference: str, project: Path) -> None:
    spec = CallableSpec(name="x", reference=reference)
    for follow in (
        lambda: load_reference(reference),
        lambda: resolve_task(reference),
        lambda: task_of(reference, model="m"),
        lambda: resolve_evaluators([reference]),
        lambda: resolve_evaluators({"named": reference}),
        lambda: CallPolicy.of(Attempts(rate_limit_errors=[reference])),
        spec.task,
        spec.evaluator,
    ):
        with pytest.raises(InvalidReference, match=f"is not allowed here: .*{SETTING}='doors_app, flows/'") as caught:
            follow()
        assert len(str(caught.value).splitlines()) == 1


def test_without_the_setting_everything_is_found(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING)
    assert load_reference("os:getcwd")
    assert load_reference("doors_app.tasks:os.getcwd")


def test_a_setting_that_names_nothing_allows_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for nothing in ("", " ", ",", " , ,"):
        monkeypatch.setenv(SETTING, nothing)
        for follow in (lambda: load_reference("doors_app.tasks:answer"), lambda: dataset_of("rows.csv")):
            with pytest.raises(InvalidSetting) as refused:
                follow()
            assert str(refused.value) == (
                f"{SETTING} is set and names nothing ({nothing.strip()!r}), so nothing may be referred to; name "
                "modules such as my_app and folders such as flows/, or unset it to allow everything"
            )
    for odd in ("my app", "os.", "doors_app:answer"):
        monkeypatch.setenv(SETTING, f"os, {odd}")
        with pytest.raises(InvalidSetting) as refused:
            load_reference("os:getcwd")
        assert str(refused.value) == (
            f"{SETTING} takes modules such as my_app and folders such as flows/ with commas between them, got {odd!r}"
        )


def test_a_folder_that_is_not_there_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SETTING, "doors_app, flows/deep, flosw/, gone.py")
    for _ in range(2):
        assert load_reference("doors_app.tasks:answer")
    with pytest.raises(InvalidReference, match="its file is in no folder of"):
        load_reference("flows/run.py:answer")
    assert [record.getMessage() for record in caplog.records] == [
        f"{SETTING} names {name}, which is not there: nothing in it can be used ({project / name})."
        for name in ("flosw/", "gone.py")
    ]


@pytest.mark.parametrize(
    ("setting", "found", "refused"),
    [
        (
            "flows/run.py",
            ["flows/run.py:answer"],
            ["flows/deep/run.py:answer", "flows/run.py:near", "flowsy.py:answer"],
        ),
        ("flows", [], ["flows/run.py:answer", "flowsy:answer"]),
        ("./flows", ["flows/run.py:answer", "flows/run.py:near"], ["flowsy.py:answer"]),
        (".", ["flows/run.py:near", "flowsy.py:answer"], ["../outside.py:answer", "doors_app.tasks:answer"]),
        ("doors_app.tasks", ["doors_app.tasks:answer"], ["doors_app_too.tasks:answer"]),
        ("doors_app.other", [], ["doors_app.tasks:answer"]),
        (" doors_app ,, flows/ ,", ["doors_app.tasks:answer", "flows/run.py:answer"], ["os:getcwd"]),
        ("doors_app,os,posix", ["os:getcwd", "doors_app.tasks:os"], ["doors_app.tasks:loads"]),
        ("doors_app,posix,json", ["doors_app.tasks:system", "doors_app.tasks:loads"], ["doors_app.tasks:os"]),
        ("doors_app,./", ["doors_app.tasks:helped", "unlimited_helper.py:helped"], ["unlimited_helper:helped"]),
    ],
)
def test_what_an_entry_of_the_setting_stands_for(
    setting: str, found: list[str], refused: list[str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, setting)
    for reference in found:
        assert load_reference(reference) is not None
    for reference in refused:
        with pytest.raises(InvalidReference, match="is not allowed here"):
            load_reference(reference)


def test_a_command_is_refused_in_a_line(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "rows.csv").write_text("input\ntrue\n")
    assert run_command(["run", "rows.csv", "--task", "os:system"]) == 2
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert line.startswith("error: reference 'os:system' is not allowed here")


def test_what_has_come_pickled_is_not_loaded(project: Path) -> None:
    import base64

    class Bomb:
        def __reduce__(self) -> Any:
            return open, ("executed", "w")

    pickled = base64.b64encode(cloudpickle.dumps(Bomb())).decode()
    with pytest.raises(InvalidInput, match=SETTING):
        CallableSpec(name="x", pickled=pickled).task()


@pytest.mark.parametrize("path", ["../gate.yaml", "/etc/gate.yaml", "flows/linked/gate.yaml"])
def test_paths_of_deployed_flows_stay_in_the_project(path: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import TypeAdapter, ValidationError

    from prefect_experiments.orchestration.deployed.parameters import ProjectPath, Source

    (project.parent / "gate.yaml").write_text("metrics: {}\n")
    (project / "gate.yaml").write_text("metrics: {}\n")
    with pytest.raises(InvalidSetting, match=f"leads out of the project, and into no folder of {SETTING}="):
        gate_of(None, path)
    with pytest.raises(InvalidSetting, match="out of the project"):
        dataset_of(path.replace(".yaml", ".csv"))
    for kind in (ProjectPath, Source):
        with pytest.raises(ValidationError, match="out of the project"):
            TypeAdapter(kind).validate_python(path.replace(".yaml", ".csv"))
        assert TypeAdapter(kind).validate_python("reports/new.html") == "reports/new.html"
    assert TypeAdapter(Source).validate_python("tag:baseline") == "tag:baseline"
    assert gate_of(None, "gate.yaml") is not None
    monkeypatch.setenv(SETTING, f"doors_app,{project.parent}/")
    if not path.startswith("/etc"):
        assert gate_of(None, path) is not None


# CSV


FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1+1",
    '=HYPERLINK("http://x")',
]
NUMBERS = ["-5", "+3.25", "-1e9", "12", "a=b", " =1", "'quoted"]


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_formulas_are_texts_in_spreadsheets(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    client = Client(backend="local", store_url=url)
    rows = [{"id": f"r{n}", "input": {"=head": text}, "output": -1.5} for n, text in enumerate([*FORMULAS, *NUMBERS])]
    client.datasets.create_dataset(name="d", examples=rows)
    runs = [{"example_id": row["id"], "output": row["input"]["=head"]} for row in rows]
    client.experiments.create(name="e", dataset="d", experiment_runs=runs)
    usual = client.datasets.export_dataset(dataset="d", path=tmp_path / "usual.csv")
    given = client.datasets.export_dataset(dataset="d", path=tmp_path / "given.csv", for_spreadsheets=True)
    head, *body = cells(given)
    plain_head, *plain = cells(usual)
    assert "'=head" in head
    assert "=head" in plain_head
    column = head.index("'=head")
    assert [row[column] for row in body] == [*(f"'{text}" for text in FORMULAS), *NUMBERS]
    assert [row[column] for row in plain] == [*FORMULAS, *NUMBERS], "by default a file is what can be read back"
    assert {row[head.index("output")] for row in body} == {"-1.5"}, "numbers stay numbers"
    client.experiments.export(experiment="e", path=tmp_path / "runs.csv", for_spreadsheets=True)
    head, *body = cells(tmp_path / "runs.csv")
    written = [row[head.index("output")] for row in body]
    assert sorted(written) == sorted([*(f"'{text}" for text in FORMULAS), *NUMBERS])
    for path in (usual, tmp_path / "runs.csv"):
        path.unlink()
    for command in (
        ["datasets", "export", "d", str(usual)],
        ["datasets", "sample", "d", "--n", str(len(rows)), "--export", str(usual)],
        ["export", "e", str(usual)],
    ):
        assert run_command([*command, "--store-url", url]) == 0
        assert "=1+1" in {cell for row in cells(usual) for cell in row}
        usual.unlink()
        assert run_command([*command, "--for-spreadsheets", "--store-url", url]) == 0
        texts = [cell for row in cells(usual) for cell in row]
        assert "'=1+1" in texts
        assert "=1+1" not in texts
    capfd.readouterr()
    assert run_command(["export", "e", str(tmp_path / "x.json"), "--for-spreadsheets", "--store-url", url]) == 2
    assert "for_spreadsheets is about .csv files" in capfd.readouterr().err


def test_a_module_that_is_not_allowed_is_told_with_those_that_are(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "doors_app")
    with pytest.raises(InvalidReference, match=f"'os:system' .*its module is not among those of {SETTING}.*doors_app"):
        load_reference("os:system")
    with pytest.raises(InvalidReference) as refused:
        load_reference("doors_app.tasks:system")
    assert str(refused.value) == (
        "reference 'doors_app.tasks:system' is not allowed here: system is of the module posix, which is not among "
        f"those of {SETTING}='doors_app'"
    )
