"""What `docs/pixie.md` shows is so: its files are written as they stand there, its commands and its code are run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_experiments.cli.app import app
from prefect_experiments.pixie.lint import lint
from prefect_experiments.pixie.reading import read_pixie
from support.patience import PATIENCE_S

DOCUMENT = Path(__file__).parents[2] / "docs/pixie.md"
RUN = """
import json, pathlib, shlex, sys
from prefect_experiments.cli.app import run
code, *lines = sys.argv[1:]
for line in lines:
    if failed := run(shlex.split(line)[1:]):
        sys.exit(f"{line}: exit code {failed}")
file = pathlib.Path("pixie_qa/datasets/hours.json")
data = json.loads(file.read_text())
assert [one["description"] for one in data["entries"]][3:] == ["Morning"]
del data["entries"][3]  # as it was before an entry was added
file.write_text(json.dumps(data))
print("-- code --", flush=True)
exec(compile(code, "<document>", "exec"), {"__name__": "__main__"})
"""
"""The commands and then the code, in one process: starting it costs more than all that they do."""


@pytest.mark.slow
def test_the_document_runs(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", store_url)
    code, commands = [], []
    blocks = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)
    for language, name, text in blocks:
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        elif language == "python":
            code.append(text)
        else:
            commands += [line for line in text.splitlines() if line.startswith("prefect-experiments ")]
    assert (len(code), len(commands)) == (1, 4)
    found = [line for line in commands if "lint" not in line]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *code, *found], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    of_commands, of_code = done.stdout.split("-- code --\n")
    for said in (of_commands, of_code):
        assert "ExactMatch  1.00 over 3 of 3" in said
        assert "is_short  1.00 over 1 of 1" in said
    for line in commands:
        app.parse_args(shlex.split(line.partition(" || ")[0])[1:], exit_on_error=False, print_error=False)
    file = read_pixie(tmp_path / "pixie_qa/datasets/hours.json")
    assert {remark.rule for remark in lint(file)} <= set(re.findall(r"`([a-z]+-[a-z]+)`", DOCUMENT.read_text()))


def test_every_rule_of_lint_is_in_the_document() -> None:
    source = (DOCUMENT.parents[1] / "src/prefect_experiments/pixie/lint.py").read_text()
    rules = set(re.findall(r'"([a-z]+-[a-z]+)"', source))
    assert len(rules) >= 12
    assert rules <= set(re.findall(r"`([a-z-]+)`", DOCUMENT.read_text()))
