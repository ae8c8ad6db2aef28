"""The package as a user installs it: the wheel, what pip and uv resolve beside it, and a Prefect server of that."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import httpx
import pytest

from prefect_experiments.errors import InvalidSetting, needs_extra
from support.patience import PATIENCE_S
from support.prefect_server import prefect_server
from tests.test_documents import python_blocks

from .installed import ROOT, install, posted, said, wait_until_scheduled

QUESTIONS = """input,output
What is 2 + 3?,5
What is 4 * 5?,20
What is 7 - 9?,-2
"""
PROJECT = {
    "questions.csv": QUESTIONS,
    "my_app.py": """
def answer(input):
    left, sign, right = input.removeprefix("What is ").removesuffix("?").split()
    a, b = int(left), int(right)
    return str({"+": a + b, "-": a - b, "*": a * b}[sign])
""",
    "nightly.py": """
from prefect import flow
from prefect_experiments import run_experiment

@flow
def nightly(task="my_app.py:answer"):
    ran = run_experiment(dataset="questions.csv", task=task, evaluators="exact_match")
    assert ran.summary.metrics["exact_match"].mean == 1.0
""",
    "prefect.yaml": """
deployments:
  - {name: first, entrypoint: "nightly.py:nightly", work_pool: {name: here}, schedules: [{interval: 3600}]}
  - {name: second, entrypoint: "nightly.py:nightly", work_pool: {name: here}, schedules: [{cron: "0 3 * * *"}]}
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["pip", "uv", "lowest"])
def test_what_an_installer_gives_runs_schedules_and_scores_right(installer: str, wheel: Path, tmp_path: Path) -> None:
    commands = install(installer, wheel, tmp_path / "environment")
    project = tmp_path / "project"
    project.mkdir()
    for name, text in PROJECT.items():
        (project / name).write_text(text, encoding="utf-8")

    with prefect_server(python=commands / "python") as api:
        own = {"PREFECT_API_URL": api, "PREFECT_HOME": str(tmp_path / "home"), "DO_NOT_TRACK": "1"}
        ours, prefect = str(commands / "prefect-experiments"), str(commands / "prefect")

        table = said(
            ours, "run", "questions.csv", "--task", "my_app.py:answer", "--evaluator", "exact_match", cwd=project, **own
        )
        assert "1.00 over 3 of 3" in table

        said(prefect, "work-pool", "create", "here", "--type", "process", **own)
        said(prefect, "--no-prompt", "deploy", "--all", cwd=project, **own)
        with httpx.Client(base_url=f"{api}/", trust_env=False, timeout=PATIENCE_S) as http:
            deployments = {d["id"]: d["name"] for d in posted(http, "deployments/filter")}
            assert sorted(deployments.values()) == ["first", "second"]
            wait_until_scheduled(http, deployments)
            said(prefect, "deployment", "run", "nightly/second", **own)
            said(prefect, "worker", "start", "--pool", "here", "--run-once", cwd=project, **own)
            ended = [run for run in posted(http, "flow_runs/filter") if run["state_type"] != "SCHEDULED"]
            names = {run["name"]: run["state_name"] for run in ended if run["deployment_id"] in deployments}
            assert set(names.values()) == {"Completed"}, names


def test_each_extra_that_an_error_names_is_one_and_brings_what_is_missing() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra in {*extras} - {"docs", "test", "lint"}:
        with pytest.raises(InvalidSetting) as refused, needs_extra(extra, "this"):
            raise ImportError
        package, *_ = [re.match(r"[\w-]+", requirement)[0] for requirement in extras[extra]]
        assert str(refused.value) == f"this needs {package}: pip install 'prefect-experiments[{extra}]'"


NO_EXTRAS = """
import importlib.util
import sys

assert not [name for name in ("pyarrow", "sklearn", "openpyxl", "psycopg") if importlib.util.find_spec(name)]

{sample}

from dataclasses import replace

from prefect_experiments import Client, classification_report
from prefect_experiments.reports.spending import unpriced

print(classification_report(ran, truth="expected"))
print(unpriced(replace(ran.summary, unpriced={{"gpt": 3}})))
frame = ran.to_dataframe()[["input", "output"]].astype("string")
assert len(Client().datasets.create_dataset(name="again", dataframe=frame)) == 3
"""


@pytest.mark.slow
def test_without_extras_the_first_sample_runs_and_parquet_is_refused_with_the_command(
    wheel: Path, tmp_path: Path
) -> None:
    commands = install("uv", wheel, tmp_path / "environment")
    project = tmp_path / "project"
    project.mkdir()
    for name in ("questions.csv", "my_app.py"):
        (project / name).write_text(PROJECT[name], encoding="utf-8")
    (project / "questions.parquet").write_text("PAR1", encoding="utf-8")
    sample = python_blocks(ROOT / "docs/experiments.md")[0]
    from_csv = sample.replace("dataset=questions,", 'dataset="questions.csv",')
    assert from_csv != sample
    (project / "first.py").write_text(NO_EXTRAS.format(sample=from_csv), encoding="utf-8")
    command = "needs pyarrow: pip install 'prefect-experiments[parquet]'"

    with prefect_server(python=commands / "python") as api:
        own = {"PREFECT_API_URL": api, "PREFECT_HOME": str(tmp_path / "home"), "DO_NOT_TRACK": "1", "COLUMNS": "200"}
        printed = said(str(commands / "python"), "first.py", cwd=project, **own)
        assert "1.00 over 3 of 3" in printed
        assert "accuracy 1.00" in printed
        cost = "pip install 'prefect-experiments[cost]'"
        assert f"unknown, and in no sum: gpt. {cost} brings a table of prices" in printed

        ours = str(commands / "prefect-experiments")
        asked = ["run", "questions.parquet", "--task", "my_app.py:answer", "--evaluator", "exact_match"]
        assert command in said(ours, *asked, cwd=project, code=2, **own)
        assert command in said(ours, "export", "latest", "runs.parquet", cwd=project, code=2, **own)
        said(ours, "export", "latest", "runs.csv", cwd=project, **own)
        client = tmp_path / "client"
        (client / "openai-2.0.dist-info").mkdir(parents=True)
        (client / "openai-2.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: openai\nVersion: 2.0\n")
        found = json.loads(said(ours, "doctor", "--json", cwd=project, PYTHONPATH=str(client), **own))["checks"]
        assert [one["mend"] for one in found if one["what"] == "instrumentors"] == [cost]
        assert sorted(path.name for path in project.glob("runs.*")) == ["runs.csv"]
