"""Datasets of pixie's in files that tests write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prefect_experiments.pixie.file import FileEntry, PixieFile
from prefect_experiments.pixie.reading import read_pixie

RUNNABLE = "pixie_qa/app.py:answer"
APP = """
def answer(args):
    return args["q"].upper()
"""
CHECKS = """
from types import SimpleNamespace

def is_short(evaluable):
    score = 1.0 if len(evaluable.eval_output[0].value) < 12 else 0.0
    return SimpleNamespace(score=score, reasoning="length", details={})
"""


def entry(number: int = 1, **more: Any) -> dict[str, Any]:
    """An entry that can be used; ``...`` as a value takes a key out."""
    made = {"input_data": {"q": f"question {number}"}, "description": f"Case {number}", **more}
    return {key: value for key, value in made.items() if value is not ...}


def dataset(*entries: Any, **more: Any) -> dict[str, Any]:
    """A dataset that can be used; ``...`` as a value takes a key out."""
    made = {"runnable": RUNNABLE, "evaluators": ["ExactMatch"], "entries": list(entries or [entry()]), **more}
    return {key: value for key, value in made.items() if value is not ...}


def project(folder: Path, content: Any = None, name: str = "support.json") -> Path:
    """A project with an application and evaluators; the path of its dataset."""
    datasets = folder / "pixie_qa" / "datasets"
    datasets.mkdir(parents=True, exist_ok=True)
    (folder / "pixie_qa" / "app.py").write_text(APP)
    (folder / "pixie_qa" / "checks.py").write_text(CHECKS)
    path = datasets / name
    path.write_text(content if isinstance(content, str) else json.dumps(dataset() if content is None else content))
    return path


def read(folder: Path, content: Any, form: Any = None) -> PixieFile:
    """What a file with that content holds."""
    path = folder / "set.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_pixie(path, form)


def first(folder: Path, content: Any, form: Any = None) -> FileEntry:
    """The first entry of a file that can be used."""
    found = read(folder, content, form)
    found.check()
    return found.entries[0]
