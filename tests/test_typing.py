"""What type checkers say of calls: right ones are right, and wrong ones are errors, to mypy and to pyright alike."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import prefect_experiments as px
from prefect_experiments.client import Client
from prefect_experiments.client.asynchronous import AsyncClient
from support.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(px.__file__).parents[1]
TYPING = ROOT / "tests" / "typing"

Checker = Callable[[Path, Path], dict[int, str]]


def mypy(path: Path, folder: Path) -> dict[int, str]:
    """The lines of a file that mypy finds wrong, and what it says of them."""
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-pretty", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(SOURCE)},
        timeout=PATIENCE_S,
    )
    assert said.returncode in (0, 1), said.stdout + said.stderr
    found = re.findall(rf"^.*{re.escape(path.name)}:(\d+): error: (.*)$", said.stdout, re.MULTILINE)
    assert len(found) == said.stdout.count(": error: "), said.stdout
    return {int(line): text for line, text in found}


def pyright(path: Path, folder: Path) -> dict[int, str]:
    """The lines of a file that pyright finds wrong."""
    copy = folder / "checked" / path.name  # it looks at nothing outside of its project
    copy.parent.mkdir()
    copy.write_text(path.read_text())
    settings = folder / "pyrightconfig.json"
    settings.write_text(json.dumps({"include": ["checked"], "extraPaths": [str(SOURCE)]}))
    said = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "--project", str(settings)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        timeout=PATIENCE_S,
    )
    assert said.returncode in (0, 1), said.stdout + said.stderr
    answer = json.loads(said.stdout)
    assert answer["summary"]["filesAnalyzed"] == 1
    found = [one for one in answer["generalDiagnostics"] if one["severity"] == "error"]
    assert {Path(one["file"]).name for one in found} <= {path.name}, found
    return {one["range"]["start"]["line"] + 1: one["message"] for one in found}


CHECKERS = pytest.mark.parametrize("check", [pyright, mypy])  # the quicker one first


def marked(path: Path) -> set[int]:
    return {number for number, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("# wrong")}


@pytest.mark.mostly_slow
@CHECKERS
def test_right_calls_are_right(check: Checker, tmp_path: Path) -> None:
    assert check(TYPING / "correct.py", tmp_path) == {}


@pytest.mark.mostly_slow
@CHECKERS
def test_wrong_calls_are_errors(check: Checker, tmp_path: Path) -> None:
    path = TYPING / "wrong.py"
    assert len(marked(path)) >= 50
    assert set(check(path, tmp_path)) == marked(path)


def methods() -> Iterable[tuple[str, Any, bool]]:
    """Every call of both clients and of the package: as it is written, its function, and whether it is awaited."""
    for variable, client in (("client", Client), ("there", AsyncClient)):
        made = client(store_url="sqlite://")
        for part in ("datasets", "experiments", "spans"):
            for name, function in inspect.getmembers(type(getattr(made, part)), inspect.isfunction):
                if not name.startswith("_"):
                    yield f"{variable}.{part}.{name}", function, variable == "there"
    for name in px.__all__:
        if name.endswith(("_experiment", "_experiments")):
            yield name, getattr(px, name), name.startswith("a")


@pytest.mark.mostly_slow
@CHECKERS
def test_a_misspelled_keyword_of_any_call_is_an_error(check: Checker, tmp_path: Path) -> None:
    head = ["from typing import Any", "from prefect_experiments import *", "async def every(x: Any) -> None:"]
    lines = [*head, "    client, there = Client(), AsyncClient()"]
    for call, function, is_awaited in methods():
        parameters = {name: p for name, p in inspect.signature(function).parameters.items() if name != "self"}
        assert not [p for p in parameters.values() if p.kind is not p.KEYWORD_ONLY], f"{call} has no signature"
        needed = [f"{name}=x" for name, p in parameters.items() if p.default is p.empty]
        wait = "await " if is_awaited else ""
        lines.append(f"    {wait}{call}({', '.join(needed)})")
        for name in parameters:
            rest = [one for one in needed if one != f"{name}=x"]
            lines.append(f"    {wait}{call}({', '.join([*rest, f'{name}_=x'])})  # wrong")
    path = tmp_path / "every_call.py"
    path.write_text("\n".join(lines))
    assert len(marked(path)) > 300
    assert set(check(path, tmp_path)) == marked(path)


def test_asynchronous_calls_are_those_of_the_client() -> None:
    """With the same parameters, words included, and awaited."""
    plain = {call.removeprefix("client."): function for call, function, _ in methods() if call.startswith("client.")}
    awaited = {call.removeprefix("there."): function for call, function, _ in methods() if call.startswith("there.")}
    assert awaited.keys() == plain.keys()
    for name, function in awaited.items():
        assert inspect.iscoroutinefunction(function), name
        assert inspect.signature(function).parameters == inspect.signature(plain[name]).parameters, name
        assert parameters_in(function) == parameters_in(plain[name]), name
    assert inspect.signature(AsyncClient).parameters == inspect.signature(Client).parameters


def parameters_in(function: Any) -> str:
    """The part of a docstring that describes parameters."""
    assert function.__doc__
    return str(inspect.cleandoc(function.__doc__)).partition("\nArgs:\n")[2].partition("\n\n")[0]


def test_no_call_takes_or_gives_anything() -> None:
    """`Any` is what a checker cannot check."""
    for call, function, _ in methods():
        signature = inspect.signature(function)
        for parameter in signature.parameters.values():
            assert parameter.annotation != "Any", f"{call}({parameter.name}=)"
        assert signature.return_annotation not in ("Any", None, signature.empty) or call.endswith("delete"), call
