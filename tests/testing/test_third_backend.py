"""A backend that another package brings does whatever one of ours does: run, resume, push, compare, in a shell as well.

`support/folder_backend` is found by its entry point; nothing in the package knows of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prefect_experiments
from prefect_experiments import AsyncClient, Client, Comparison, resume_experiment, run_experiment
from prefect_experiments.cli.app import run as run_command
from prefect_experiments.errors import ExperimentStopped, InvalidSetting
from support.folder_backend import FolderBackend, FolderSettings
from support.on_prefect import settings_for
from support.patience import PATIENCE_S

TESTS = Path(__file__).resolve().parents[1]
ROWS: list[dict[str, Any]] = [{"id": f"e{n}", "input": {"n": n}, "output": {"n": 2 * n}} for n in range(6)]
quiet: dict[str, Any] = {"print_summary": False, "retries": 0}


@pytest.fixture(autouse=True)
def kept(folder_installed: str, prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder, which the environment names, and a store of one's own."""
    (tmp_path / "kept").mkdir()
    monkeypatch.setenv("FOLDER_BACKEND_PATH", str(tmp_path / "kept"))
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", str(PATIENCE_S))
    with settings_for(prefect_api):
        yield tmp_path / "kept"


def double(input: Any) -> Any:
    return {"n": 2 * input["n"]}


def right(output: Any, expected: Any) -> bool:
    return bool(output == expected)


def files(kept: Path, name: str) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(kept.glob(name))]


@pytest.mark.thorough
def test_run_resume_evaluate_and_compare(kept: Path, tmp_path: Path) -> None:
    broken = {"now": True}

    def sometimes(input: Any) -> Any:
        if broken["now"] and input["n"] == 4:
            raise ValueError("not this one")
        return double(input)

    begin: dict[str, Any] = {"dataset": ROWS, "evaluators": [right], "backend": "folder", "experiment_name": "first"}
    with pytest.raises(ExperimentStopped):
        run_experiment(task=sometimes, exit_on_error=True, concurrency=1, **begin, **quiet)
    [head] = files(kept, "experiments/*/head.json")
    assert 0 < len(files(kept, "experiments/*/runs/*.json")) < 6
    broken["now"] = False
    # Another machine goes on with it: it has a store of its own, and the backend open already.
    elsewhere = Client(
        backend=FolderBackend(FolderSettings(path=str(kept))), store_url=f"sqlite:///{tmp_path / 'e.db'}"
    )
    ran = elsewhere.experiments.resume_experiment(experiment="first", task=sometimes, evaluators=[right], **quiet)
    assert (ran.experiment_id, ran.waiting, len(ran.task_runs)) == (head["id"], 0, 6)
    runs = files(kept, "experiments/*/runs/*.json")
    assert {run["example_id"]: json.loads(run["output_json"])["n"] for run in runs} == {
        f"e{n}": 2 * n for n in range(6)
    }
    assert [e["score"] for e in files(kept, "experiments/*/evaluations/*/right.json")] == [1.0] * 6
    # The machine that began it has no more to do.
    again = resume_experiment(experiment="first", task=sometimes, client=Client(backend="folder"), **quiet)
    assert [run.id for run in again.task_runs] == [run.id for run in ran.task_runs]

    late = elsewhere.experiments.evaluate_experiment(
        experiment="first", evaluators={"late": right}, print_summary=False
    )
    assert late.waiting == 0
    assert len(files(kept, "experiments/*/evaluations/*/late.json")) == 6

    def worse(input: Any) -> Any:
        return {"n": input["n"]}

    second = Client(backend="folder").experiments.run_experiment(
        dataset=ran.dataset_id, task=worse, evaluators=[right], baseline="first", experiment_name="second", **quiet
    )
    assert isinstance(second.comparison, Comparison)
    assert second.comparison.metrics["right"].difference < 0
    assert len(files(kept, "datasets/*/versions/*.json")) == 1


def test_what_was_run_offline_is_pushed(kept: Path) -> None:
    local = Client(backend="local").experiments
    ran = local.run_experiment(dataset=ROWS, task=double, evaluators=[right], **quiet)
    assert files(kept, "*") == []
    pushed = local.push(experiment=ran, to="folder")
    assert (pushed.waiting, len(files(kept, "experiments/*/runs/*.json"))) == (0, 6)
    [head] = files(kept, "experiments/*/head.json")
    assert pushed.experiment_id == head["id"]
    # It is where it belongs from now on: no more need be said.
    assert local.push(experiment=ran).experiment_id == head["id"]
    assert AsyncClient(backend="folder").sync.experiments.get(experiment=head["id"]).name == head["name"]


@pytest.mark.thorough
def test_tags_go_along_and_move(kept: Path) -> None:
    local = Client(backend="local").experiments
    first, second = (
        local.run_experiment(dataset=ROWS, task=double, experiment_name=name, **quiet) for name in ("first", "second")
    )

    def tagged() -> dict[str, list[str]]:
        return {head["name"]: sorted(head["tags"]) for head in files(kept, "experiments/*/head.json")}

    for tag in ("baseline", "v1"):
        local.tag(experiment=first, tag=tag)
    local.push(experiment=first, to="folder")
    assert tagged() == {"first": ["baseline", "v1"]}
    local.tag(experiment=second, tag="baseline")
    local.push(experiment=second, to="folder")
    assert tagged() == {"first": ["v1"], "second": ["baseline"]}

    third = local.run_experiment(dataset=ROWS, task=double, experiment_name="third", **quiet)
    local.tag(experiment=third, tag="baseline")
    Client(backend="folder").experiments.tag(experiment=first.experiment_id, tag="theirs")
    local.untag(experiment=first, tag="v1")
    for each in (first, second):
        local.push(experiment=each)
    # What others gave there stays; what moved here, to one that is not there, is gone; what was taken away here is not.
    assert tagged() == {"first": ["theirs", "v1"], "second": []}


@pytest.mark.thorough
def test_another_place_is_said_with_the_option_that_leads_there(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Client(backend="local").experiments
    ran = local.run_experiment(dataset=ROWS, task=double, **quiet)
    local.push(experiment=ran, to="folder")
    monkeypatch.setenv("FOLDER_BACKEND_PATH", str(kept.parent))
    with pytest.raises(InvalidSetting) as caught:
        local.push(experiment=ran)
    assert f"pass client=Client(backend='folder', path={str(kept)!r})" in str(caught.value)


@pytest.mark.thorough
def test_at_the_command_line(
    kept: Path,
    tmp_path: Path,
    folder_installed: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "rows.csv").write_text("id,input,output\n" + "".join(f"e{n},{n},{n}\n" for n in range(4)))
    (tmp_path / "app.py").write_text("def answer(input):\n    return input\n")
    run = ["run", "rows.csv", "--task", "app.py:answer", "--evaluator", "exact_match", "--name", "nightly"]
    source = str(Path(prefect_experiments.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", ":".join([source, folder_installed, str(TESTS)]))
    command = [sys.executable, "-m", "prefect_experiments.cli", *run, "--backend", "folder", "--json"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    ran = json.loads(said.stdout)
    assert [head["id"] for head in files(kept, "experiments/*/head.json")] == [ran["experiment_id"]]

    def told(*arguments: str, code: int = 0) -> Any:
        capfd.readouterr()
        assert run_command([*arguments, "--backend", "folder", "--json"]) == code
        return json.loads(capfd.readouterr().out)

    assert [one["name"] for one in told("list")["experiments"]] == ["nightly"]
    assert told("show", "nightly")["experiment"]["id"] == ran["experiment_id"]
    assert told("datasets", "show", "rows")["dataset"]["name"] == "rows"
    monkeypatch.delenv("FOLDER_BACKEND_PATH")
    assert "set FOLDER_BACKEND_PATH" in told("list", code=2)["error"]
