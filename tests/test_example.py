"""`make example`: its script against the stand-in, and by an endpoint that the environment names."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_experiments.cli.app import run as run_command
from support.environment import without_prefect
from support.patience import PATIENCE_S
from support.support_desk import support_desk

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "examples" / "support" / "run.py"
BY_STAND_IN = str(ROOT / "tests" / "support" / "support_desk.py")


def run(folder: Path, prefect_api: str, *command: str, **settings: str) -> str:
    """What the example prints, in a fresh folder with a store of its own."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    environment = {
        **without_prefect(ours),
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_API_URL": prefect_api,
        "PREFECT_EXPERIMENTS_STORE_URL": f"sqlite:///{folder / 'experiments.db'}",
        "DO_NOT_TRACK": "1",
        "COLUMNS": "120",
        **settings,
    }
    done = subprocess.run(
        [sys.executable, *command, str(RUN), str(folder / "report.html")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Each run of the script is a process that imports Prefect and phoenix-evals: 8 s of CPU, however little is asked.


@pytest.mark.slow
def test_the_stand_in_answers_where_no_key_is_set(prefect_api: str, tmp_path: Path) -> None:
    printed = run(tmp_path, prefect_api, BY_STAND_IN)
    assert "OPENAI_API_KEY is not set" in printed
    assert "right_intent  0.69 over 200 of 200" in printed
    assert "right_intent  0.92 over 200 of 200" in printed
    assert "PASSED  prompt 2 against prompt 1" in printed
    assert "46 improved, 0 regressed: within the allowed regression of 0.02" in printed
    assert "to_the_point 0.925" in printed
    assert len(re.findall(r"task [\d,]+ tokens for \$0\.00\d+, judges [\d,]+ tokens for \$0\.00\d+", printed)) == 2
    assert str(tmp_path / "report.html") in printed
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "prompt 2 against prompt 1" in page
    assert "We look into the" in page


@pytest.mark.slow
def test_a_key_and_an_endpoint_are_all_that_changes(
    prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice in one store, as who tries it does: the tickets are a dataset that is there then."""
    with support_desk() as server:
        settings = {"OPENAI_API_KEY": "a-key", "OPENAI_BASE_URL": server.url, "OPENAI_MODEL": "in-house"}
        printed = run(tmp_path, prefect_api, BY_STAND_IN, **settings)
        assert len(server.requests) == 2 * 2 * 200  # two prompts, each with a judge
        assert {request["model"] for request in server.requests} == {"in-house", "gpt-4o-mini"}  # the judge's own
        assert "OPENAI_API_KEY is not set" not in printed
        assert "cost of 200 calls unknown, and in no sum: in-house" in printed
        assert "PASSED  prompt 2 against prompt 1" in run(tmp_path, prefect_api, **settings)
    monkeypatch.chdir(RUN.parent)
    store = ["--store-url", f"sqlite:///{tmp_path / 'experiments.db'}"]
    # The other way round it does not get through.
    sides = ["latest:prompt 2", "latest:prompt 1"]
    assert run_command(["compare", *sides, "--gate", "gate.yaml", *store]) == 1
    assert "FAILED  prompt 1 against prompt 2" in capsys.readouterr().out


@pytest.mark.parametrize("column", ["id", "text"])
def test_the_tickets_are_all_different(column: str) -> None:
    with (RUN.parent / "tickets.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row[column] for row in rows}) == len(rows) == 200
