"""What can be found out about the project in the current folder: data, a task, git, Python, the time zone."""

from __future__ import annotations

import ast
import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from prefect_experiments import datasets
from prefect_experiments.datasets.files import SUFFIXES
from prefect_experiments.errors import InvalidDataset, InvalidSetting
from prefect_experiments.syntax import syntax_tree

EVALUATION = "evaluation.py"
_FOLDERS = (".", "data", "datasets", "evals", "evaluation", "examples")
_INPUTS = ("input", "question", "prompt", "query", "text", "message", "ticket", "request", "body", "content")
_OUTPUTS = (
    *("output", "expected", "expected_output", "answer", "label", "intent", "category", "class", "target"),
    *("reference", "ground_truth", "response", "completion"),
)
TASKS = ("task", "answer", "respond", "reply", "predict", "classify", "generate", "ask")
_FIELDS = {"input", "metadata", "example", "dataset_row"}
_NOT_DATA = {"package.json", "package-lock.json", "tsconfig.json", "results.csv", "requirements.csv"}
_GIT_WITHIN_S = 10
_PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_RELEASES = 40  # of a series, which are more than there have been of any

logger = logging.getLogger("prefect_experiments")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a file make an example; nothing at all for those called input and output."""

    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    id: str | None = None
    json: tuple[str, ...] = ()
    split: str | None = None

    def names(self) -> list[str]:
        """All of them."""
        found = [*self.input, *self.output, *self.metadata, self.split, self.id]
        return [name for name in found if name]

    def keys(self) -> dict[str, Any]:
        """As `datasets.load` takes them."""
        return {
            "input_keys": list(self.input) or None,
            "output_keys": list(self.output) or None,
            "metadata_keys": list(self.metadata) or None,
            "split_key": self.split,
            "id_key": self.id,
            "types": dict.fromkeys(self.json, "json") or None,
        }

    def parameters(self) -> dict[str, Any]:
        """As a deployed flow takes them."""
        several = {"input": [*self.input], "output": [*self.output], "metadata": [*self.metadata]}
        given = {**several, "splits": self.split, "id": self.id}
        types = {"types": dict.fromkeys(self.json, "json")} if self.json else {}
        return types | ({kind: names for kind, names in given.items() if names} if self.input else {})

    def options(self) -> list[str]:
        """As the command line takes them."""
        named = [("--input-key", self.input), ("--output-key", self.output), ("--metadata-key", self.metadata)]
        named += [("--type", tuple(f"{name}=json" for name in self.json))]
        single = [("--split-key", self.split), ("--id-key", self.id)]
        named += [(option, (name,)) for option, name in single if name and self.input]
        return [word for option, names in named for name in names for word in (option, name)]


def name() -> str:
    """What the project is called: its folder's name, of letters, digits and hyphens."""
    return re.sub(r"[^\w-]+", "-", Path.cwd().name).strip("-") or "evaluation"


def data_files() -> dict[Path, list[str]]:
    """The files of the project that can be read as rows, those of its own folder first, with their columns."""
    found: list[Path] = []
    for folder in _FOLDERS:
        paths = sorted(Path(folder).glob("*")) if Path(folder).is_dir() else []
        found += [path for path in paths if path.suffix.lower() in SUFFIXES and path.name not in _NOT_DATA]
    return {path: names for path in found if (names := column_names(path))}


def column_names(path: Path) -> list[str]:
    """The columns of a file, none where it cannot be read as rows."""
    try:
        return list(_table(path).columns)
    except (InvalidDataset, InvalidSetting):
        return []


def _table(path: Path) -> datasets.Table:
    """The table in a file, which is looked at only: what its reading says is said when examples are made of it."""
    with _unsaid():
        return datasets.read_table(str(path))


@contextlib.contextmanager
def _unsaid() -> Iterator[None]:
    def nothing(_: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def guessed_columns(names: Sequence[str]) -> Columns | None:
    """Which columns make an example, by what they are called; ``None`` where none is called like an input."""
    given = _first(names, _INPUTS)
    return None if given is None else columns_for(given, names)


def as_short(columns: Columns) -> Columns:
    """The same; nothing at all where the columns have the names that are looked for by themselves."""
    return Columns() if columns.input == ("input",) and columns.output in ((), ("output",)) else columns


def columns_for(given: str, names: Sequence[str]) -> Columns:
    """The same where the input's column is known: an expected output and an id by their names, the rest metadata."""
    left = [name for name in names if name != given]
    expected = _first(left, _OUTPUTS)
    key = next((name for name in left if name.casefold() == "id"), None)
    rest = tuple(name for name in left if name not in (expected, key))
    return Columns((given,), (expected,) if expected else (), rest, key)


def with_json(path: Path, columns: Columns) -> Columns:
    """The same, with those columns of the expected output that hold objects and lists of JSON, in a file of texts."""
    table = _table(path)
    expected = columns.output or (() if columns.input else ("output",))
    names = [name for name in expected if table.is_text and _holds_json(table.columns.get(name, ()))]
    return replace(columns, json=tuple(names))


def _holds_json(cells: Iterable[Any]) -> bool:
    texts = [cell for cell in cells if cell not in (None, "")]
    return bool(texts) and all(isinstance(text, str) and text.lstrip()[:1] in "[{" and _is_json(text) for text in texts)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _first(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    by_name = {name.casefold().replace(" ", "_"): name for name in reversed([*names])}
    return next((by_name[one] for one in wanted if one in by_name), None)


def tasks() -> list[str]:
    """References to functions of the project that are called like a task, and take what a task gets."""
    found = []
    for path in sorted(Path().glob("*.py")):
        if path.name in (EVALUATION, "conftest.py", "setup.py") or path.name.startswith("test_"):
            continue
        try:
            tree = syntax_tree(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, OSError):
            continue
        found += [f"{path}:{node.name}" for node in tree.body if _is_task(node)]
    return found


def _is_task(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name not in TASKS:
        return False
    needed = node.args.args[: len(node.args.args) - len(node.args.defaults)]
    return len(needed) == 1 or (bool(needed) and {argument.arg for argument in needed} <= _FIELDS)


def remote() -> str | None:
    """The address of the git repository that this folder is a clone of, without a login in it."""
    found = _git("remote", "get-url", "origin")
    return re.sub(r"(?<=://)[^/@]+@", "", found) if found else None


def main_branch() -> str:
    """The branch that pull requests go to."""
    found = _git("symbolic-ref", "--short", "refs/remotes/origin/HEAD") or _git("symbolic-ref", "--short", "HEAD")
    return (found or "main").removeprefix("origin/")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            ["git", *arguments],  # noqa: S607 - the one that the user has
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_WITHIN_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the project is in its git repository.

    Attributes:
        root: the repository's folder, from here.
        folder: this folder in it; empty where it is the repository's own, or where there is none.
    """

    root: Path = Path()
    folder: str = ""


def place() -> Place:
    """Where this folder is in a git repository that it is a part of: not one that ignores it."""
    folder = (_git("rev-parse", "--show-prefix") or "").rstrip("/")
    if not folder or _git("check-ignore", ".") is not None:
        return Place()
    return Place(Path(*[".."] * len(Path(folder).parts)), folder)


def python_version() -> str:
    """The version of Python that the project says, else the one that runs here, if the project takes it."""
    path = Path(".python-version")
    said = re.match(r"(\d+\.\d+)", path.read_text(encoding="utf-8").strip()) if path.is_file() else None
    if said:
        return said[1]
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    required = _pyproject().get("requires-python")
    try:
        taken = SpecifierSet(required if isinstance(required, str) else "")
    except InvalidSpecifier:
        return here
    # A series is taken where any of its releases is: >=3.12.4 takes 3.12.
    known = [here, *_PYTHONS]
    return next((one for one in known if any(taken.contains(f"{one}.{patch}") for patch in range(_RELEASES))), here)


def _pyproject(folder: Path = Path()) -> dict[str, Any]:
    """What a folder's pyproject.toml says of the project; nothing where it says nothing that can be read."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project")
    except (OSError, ValueError):
        return {}
    return project if isinstance(project, dict) else {}


def time_zone() -> str:
    """The name of this machine's time zone; UTC where it has none."""
    named = os.environ.get("TZ", "").lstrip(":")
    if "/" in named and not named.startswith("/"):
        return named
    linked = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    return linked if "/" in linked and not linked.startswith("Etc/") else "UTC"


def install_commands() -> list[str]:
    """What installs this package on a build machine, and then the project's, by its own files or its repository's."""
    commands = ["pip install 'prefect-experiments[cost,postgres]'"]
    for folder in dict.fromkeys((Path(), place().root)):
        if (folder / "requirements.txt").is_file():
            commands.append(f"pip install -r {(folder / 'requirements.txt').as_posix()}")
        if _pyproject(folder):
            commands.append(f"pip install {folder.as_posix()}")
        if len(commands) > 1:
            break
    return commands
