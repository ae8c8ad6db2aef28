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

Said = dict[str, dict[int, str]]
"""Of each file, the lines that are wrong, and what is said of them."""
Checker = Callable[[list[Path], Path], Said]


def mypy(paths: list[Path], folder: Path) -> Said:
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-pretty", *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(SOURCE)},
        timeout=PATIENCE_S,
    )
    assert said.returncode in (0, 1), said.stdout + said.stderr
    errors = re.findall(r"^(.*):(\d+): error: (.*)$", said.stdout, re.MULTILINE)
    assert len(errors) == said.stdout.count(": error: "), said.stdout
    found: Said = {path.name: {} for path in paths}
    for file, line, text in errors:  # of several in a line, the last is kept; of a file that was not asked for, none
        found[Path(file).name][int(line)] = text
    return found


def pyright(paths: list[Path], folder: Path) -> Said:
    (folder / "checked").mkdir()
    for path in paths:
        (folder / "checked" / path.name).write_text(path.read_text())  # it looks at nothing outside of its project
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
    assert answer["summary"]["filesAnalyzed"] == len(paths)
    found: Said = {path.name: {} for path in paths}
    for one in answer["generalDiagnostics"]:
        if one["severity"] == "error":
            found[Path(one["file"]).name][one["range"]["start"]["line"] + 1] = one["message"]
    return found


@pytest.fixture(scope="module", params=[pyright, mypy])  # the quicker one first
def said(request: pytest.FixtureRequest, every_call: Path, tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What a checker says of all files, in one go: most of its time goes into reading the package."""
    check: Checker = request.param
    return check([TYPING / "correct.py", TYPING / "wrong.py", every_call], tmp_path_factory.mktemp("checked"))


def marked(path: Path) -> set[int]:
    return {number for number, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("# wrong")}


@pytest.mark.mostly_slow
def test_right_calls_are_right(said: Said) -> None:
    assert said["correct.py"] == {}


@pytest.mark.mostly_slow
def test_wrong_calls_are_errors(said: Said) -> None:
    path = TYPING / "wrong.py"
    assert len(marked(path)) >= 50
    assert set(said[path.name]) == marked(path)


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


@pytest.fixture(scope="module")
def every_call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with each call as it is meant, and once more for each of its parameters, misspelled."""
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
    path = tmp_path_factory.mktemp("calls") / "every_call.py"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.mostly_slow
def test_a_misspelled_keyword_of_any_call_is_an_error(said: Said, every_call: Path) -> None:
    assert len(marked(every_call)) > 300
    assert set(said[every_call.name]) == marked(every_call)


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
