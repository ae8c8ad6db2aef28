"""pixie itself, alone in an environment of its own: today's, and the one whose entries have ``entry_kwargs``.

`make setup` makes both. What it is run on is a project in a folder; what it gives is read from the files that it
leaves.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Row:
    """What one evaluator gave on one entry; `score` is ``None`` where it is pending."""

    score: float | None
    reasoning: str
    criteria: str | None = None


Entries = list[dict[str, Row]]
"""In the file's order, by evaluator."""


@dataclass(frozen=True)
class Pixie:
    """One version of it.

    Attributes:
        venv: its environment's folder.
        form: what an entry's arguments are called.
    """

    venv: str
    form: str

    def test(self, root: Path, dataset: Path, **environment: str) -> Entries:
        """``pixie test`` on a dataset of the project in `root`."""
        command = ROOT / self.venv / "bin" / "pixie-test"
        if not command.exists():
            pytest.skip(f"there is no {self.venv}; `make setup` makes it")
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        done = subprocess.run(
            [str(command), str(dataset), "--no-open"],
            cwd=root,
            env={**inherited, "PIXIE_NO_TELEMETRY": "1", **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        found = sorted((root / "pixie_qa" / "results").glob("*"))
        assert found, f"pixie left no results: {done.stdout}\n{done.stderr}"
        return _of_one_file(found[-1]) if (found[-1] / "result.json").exists() else _of_folders(found[-1])


NEW = Pixie(".venv-pixie", "input_data")
OLD = Pixie(".venv-pixie-old", "entry_kwargs")


def _of_folders(folder: Path) -> Entries:
    entries = sorted((folder / "dataset-0").glob("entry-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    return [_rows(map(json.loads, (entry / "evaluations.jsonl").read_text().splitlines())) for entry in entries]


def _of_one_file(folder: Path) -> Entries:
    [dataset] = json.loads((folder / "result.json").read_text())["datasets"]
    return [_rows(entry["evaluations"]) for entry in dataset["entries"]]


def _rows(given: Any) -> dict[str, Row]:
    return {one["evaluator"]: Row(one.get("score"), one.get("reasoning", ""), one.get("criteria")) for one in given}
