"""What `init` goes by: a dataset, its columns and a task, each given, found or asked for, and checked as `run` does."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from prefect_experiments import datasets
from prefect_experiments.cli import project
from prefect_experiments.cli.columns import FileColumns, columns_as_options
from prefect_experiments.cli.output import tell
from prefect_experiments.display import some
from prefect_experiments.errors import InvalidSetting, NotFound, unknown_value
from prefect_experiments.tasks import resolve_task

SAMPLE_ROWS = 20
_MOST_SHOWN = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Expected:
    """What the examples say of the expected output.

    Attributes:
        names: the columns that make it, where it is made of some.
        is_mapping: whether it is a mapping in each example that has one.
    """

    names: tuple[str, ...]
    is_mapping: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What was found out or answered.

    Attributes:
        dataset: the file of rows; one that is still to be written where none was found.
        task: a reference; ``None`` where a stub is to be written.
        left: other files of rows that were found.
    """

    dataset: Path
    columns: project.Columns
    task: str | None
    expected: Expected | None
    examples: int
    left: tuple[Path, ...] = ()


def plan_of(dataset: Path | None, task: str | None, given: FileColumns, *, asks: bool) -> Plan:
    """What to write, and for what.

    Args:
        dataset: as it was given.
        task: likewise.
        given: likewise, the columns.
        asks: whether there is a person to ask.

    Raises:
        InvalidSetting: it cannot be known, or what was given cannot be used.
    """
    said = _said(given)
    files = project.data_files() if dataset is None else {}
    path = _given(dataset) if dataset is not None else _found(files, said, asks=asks)
    named = _task(task, asks=asks)
    if path is None:
        sample = Path(f"questions-{project.name()}.csv")
        return Plan(sample, project.Columns(), named, Expected((), is_mapping=False), SAMPLE_ROWS)
    columns = project.with_json(path, _columns(path, said, asks=asks))
    with columns_as_options():
        examples = datasets.load(str(path), **columns.keys())
    expected = [example.output for example in examples if example.output is not None]
    is_mapping = all(isinstance(one, Mapping) for one in expected)
    return Plan(
        path,
        columns,
        named,
        Expected(columns.output, is_mapping) if expected else None,
        len(examples),
        tuple(other for other in _likely(files) if other != path),
    )


def _said(given: FileColumns) -> project.Columns:
    """The columns that were given."""
    keys = given.arguments()
    several = {kind: tuple(keys[f"{kind}_keys"] or ()) for kind in ("input", "output", "metadata")}
    return project.Columns(**several, id=keys["id_key"], split=keys["split_key"])


def _given(dataset: Path) -> Path:
    if not dataset.is_file():
        raise NotFound(f"there is no file {dataset}; without --dataset one is looked for, or written")
    return dataset


def _likely(files: Mapping[Path, list[str]]) -> list[Path]:
    """Those whose columns are called like an example's, else all but JSON, in which settings of programs are too."""
    usable = [path for path, names in files.items() if project.guessed_columns(names) is not None]
    return usable or [path for path in files if path.suffix != ".json"]


def _found(files: Mapping[Path, list[str]], said: project.Columns, *, asks: bool) -> Path | None:
    """The file of the project that has the examples; ``None`` where there is none.

    Raises:
        InvalidSetting: there are several, or none has the columns that were given.
    """
    wanted = said.names()
    if not wanted:
        return _chosen("Which file has the examples?", _likely(files) or [*files] * asks, "--dataset", asks=asks)
    fitting = [path for path, names in files.items() if set(wanted) <= set(names)]
    if not fitting:
        seen = [f"{path} ({', '.join(names)})" for path, names in files.items()][:_MOST_SHOWN]
        raise InvalidSetting(
            f"no file of rows here has the columns {', '.join(map(repr, wanted))}: "
            f"found {'; '.join(seen) or 'none at all'}. Name one with --dataset FILE. Nothing was written"
        )
    return _chosen("Which file has the examples?", fitting, "--dataset", asks=asks)


def _task(task: str | None, *, asks: bool) -> str | None:
    """The task, once it is known that a run could use it."""
    named = task or _chosen("Which function is the task?", project.tasks(), "--task", asks=asks)
    if named is not None:
        resolve_task(named)
    return named


def _chosen(question: str, found: Sequence[T], option: str, *, asks: bool) -> T | None:
    """The one that was found, or that a person chooses; ``None`` where nothing was found."""
    if len(found) <= 1:
        return found[0] if found else None
    if not asks:
        raise InvalidSetting(
            f"{question} There are {len(found)}: {some(found, _MOST_SHOWN)}. Say which, such as {option} "
            f"{shlex.quote(str(found[0]))}. Nothing was written"
        )
    tell(question)
    for number, one in enumerate(found, start=1):
        tell(f"  {number}  {one}")
    tell("Its number [1]: ", end="")
    answer = sys.stdin.readline().strip() or "1"
    if not answer.isdecimal() or not 1 <= int(answer) <= len(found):
        raise InvalidSetting(f"give a number from 1 to {len(found)}, got {answer!r}")
    return found[int(answer) - 1]


def _columns(path: Path, said: project.Columns, *, asks: bool) -> project.Columns:
    """Those that were given; what was not, by the columns' names, unless the input was."""
    if said.input:
        return said
    names = project.column_names(path)
    left = [name for name in names if name not in said.names()]
    found = project.guessed_columns(left)
    if found is None:
        found = project.columns_for(_input_of(path, left, asks=asks), left)
    given = {kind: value for kind in ("output", "metadata", "id", "split") if (value := getattr(said, kind))}
    if not given:
        return project.as_short(found)
    if said.output:  # what is called like an expected output and is none
        rest = {*found.metadata, *found.output}
        found = replace(found, metadata=tuple(name for name in left if name in rest))
    return replace(found, **given)


def _input_of(path: Path, names: list[str], *, asks: bool) -> str:
    """The column with the input, where no name says it."""
    if not asks:
        raise InvalidSetting(
            f"{path}: which column is the input? Give --input-key COLUMN; columns: {', '.join(names)}. "
            "Nothing was written"
        )
    tell(f"{path} has the columns {', '.join(names)}. Which one is the input? ", end="")
    answer = sys.stdin.readline().strip()
    if answer not in names:
        raise InvalidSetting(unknown_value("column", answer, names))
    return answer
