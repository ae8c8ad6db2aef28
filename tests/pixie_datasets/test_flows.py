"""The flows that are deployed, with the path of a pixie dataset and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_experiments.errors import InvalidDataset, InvalidSetting
from prefect_experiments.orchestration.deployed.parameters import Columns, dataset_of
from support.patience import PATIENCE_S

from .files import dataset, entry, project

FLOWS = Path(__file__).parents[2] / "flows"
ENTRIES = [entry(n, expectation=f"QUESTION {n}" if n < 3 else "another") for n in (1, 2, 3)]
GATE = {"metrics": [{"name": "ExactMatch", "min": 0.5}]}
RUN = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
import {module}
for given in json.loads(sys.argv[2]):
    state = asyncio.run({module}.{flow}(**given, return_state=True))
    print("said:", state.name, "|", state.message)
"""


def run(folder: Path, module: str, flow: str, *given: dict[str, object]) -> list[str]:
    """What a flow says of each of these parameters, one after the other in one process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(module=module, flow=flow), str(FLOWS), json.dumps(given)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.removeprefix("said: ") for line in done.stdout.splitlines() if line.startswith("said: ")]


@pytest.mark.slow
def test_a_regression_takes_the_path_alone(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    path = str(project(tmp_path, dataset(*ENTRIES, name="golden")))
    first, second = run(
        tmp_path,
        "regression",
        "regression",
        {"dataset": path, "baseline": None, "gate": {"pass_threshold": 0.5}},
        {"dataset": path, "baseline": "latest", "gate": GATE},
    )
    assert first.startswith("GateFailed |")
    assert "2 of 3 entries pass" in first
    assert second.startswith(("GatePassed |", "GateInconclusive |")), second


@pytest.mark.slow
def test_so_does_the_evaluation_of_a_deployment(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    path = str(project(tmp_path, dataset(*ENTRIES)))
    given = {"model": "m", "version": "1", "dataset": path, "quick": None, "baseline": None}
    gate = {"pass_threshold": 0}
    (said,) = run(tmp_path, "deployment_evaluation", "deployment_evaluation", {**given, "gate": gate})
    assert said.startswith("GatePassed |"), said


def test_another_dataset_brings_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="task is missing; only a pixie dataset brings its own"):
        dataset_of("questions", brings_task=True)
    (tmp_path / "questions.csv").write_text("input\nquestion\n")
    with pytest.raises(InvalidSetting, match="task and evaluators are missing"):
        dataset_of(str(tmp_path / "questions.csv"), brings_task=True, brings_evaluators=True)
    with pytest.raises(InvalidDataset, match=r"there is no file .*cut\.json"):
        dataset_of(str(tmp_path / "cut.json"), brings_task=True)
    with pytest.raises(InvalidSetting, match="columns are for tables"):
        dataset_of(str(project(tmp_path)), Columns(input=["q"]))
    assert dataset_of("questions") == "questions"
