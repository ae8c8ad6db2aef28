"""The command that writes what a project needs for its evaluation: an evaluation, a gate, a deployment, a workflow."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from prefect_experiments.cli.columns import NO_COLUMNS, FileColumns, columns_as_options
from prefect_experiments.cli.output import Answer, Flag, Here, plain, tell
from prefect_experiments.errors import InvalidSetting, NotFound, unknown_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from prefect_experiments.cli.project import Columns

POOL = "evals"
PREFECT_YAML = Path("prefect.yaml")
GATE = Path("gate.yaml")
WORKFLOW = Path(".github/workflows/evaluate.yml")
_MINIMA = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
SAMPLE_DATA = Path("questions.csv")
_ROW_COUNT = 20
_ROWS = "id,input,output\n" + "".join(
    f'q{n},"Which number is {n}?","Which number is {n}?"\n' for n in range(1, _ROW_COUNT + 1)
)


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
    """What was found out or answered."""

    dataset: Path
    columns: Columns
    task: str | None
    expected: Expected | None
    examples: int


def register(app: App) -> None:
    """Add the command to the root."""
    app.command(init)


def init(
    *,
    dataset: Path | None = None,
    task: str | None = None,
    columns: FileColumns = NO_COLUMNS,
    yes: Flag = False,
    force: Flag = False,
    terminal: Here,  # noqa: ARG001 - which every command has
) -> Answer:
    """Write what this project's evaluation needs: an evaluation, a gate, a nightly deployment, a GitHub workflow.

    It finds out what it can (files of rows, a function that is called like a task, the git remote, the time zone), and
    asks for what it cannot. What is written runs and deploys as it is. A prefect.yaml that is there gets the deployment
    added; any other file that is there already is left as it is, and nothing is written then.

    Args:
        dataset: a file of rows; by default the one that is found, else a small one is written.
        task: the function under test, as package.module:name or path/file.py:name; by default the one that is found,
            else a stub is written.
        columns: which columns of the file make an example; by default told by their names.
        yes: ask nothing.
        force: replace files that are there already, prefect.yaml as well.
        terminal: where it is shown.
    """
    from prefect_experiments.cli.project import EVALUATION

    asks = not yes and sys.stdin.isatty()
    with columns_as_options():
        plan = _plan(dataset, task, columns, asks=asks)
    texts = _rendered(plan)
    files = {Path(EVALUATION): texts["evaluation.py"], GATE: texts["gate.yaml"], WORKFLOW: texts["evaluate.yml"]}
    if not plan.dataset.exists():
        files = {plan.dataset: _ROWS, **files}
    is_merged = PREFECT_YAML.exists() and not force
    there = [str(path) for path in files if path.exists()]
    if there and not force:
        raise InvalidSetting(f"{', '.join(there)} would be replaced; say so with --force. Nothing was written")
    files[PREFECT_YAML] = _merged(texts["deployment.yaml"]) if is_merged else _whole(texts["deployment.yaml"])
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    merged = [str(PREFECT_YAML)] if is_merged else []
    following = _following(plan)
    data = {
        "wrote": [str(path) for path in files if str(path) not in merged],
        "merged": merged,
        "dataset": str(plan.dataset),
        "task": plan.task or f"{EVALUATION}:task",
        "next": following,
    }
    return Answer(data, lambda console: _show(console, data, following))


def _show(console: Console, data: dict[str, Any], following: list[str]) -> None:
    for path in data["wrote"]:
        console.print(plain(f"wrote {path}"), soft_wrap=True)
    for path in data["merged"]:
        console.print(plain(f"added a deployment to {path}"), soft_wrap=True)
    console.print(plain(f"The dataset is {data['dataset']}, the task {data['task']}."), soft_wrap=True)
    console.print(plain("Next, with PREFECT_API_URL set (`prefect server start` starts a server):"), soft_wrap=True)
    for command in following:
        console.print(plain(f"  {command}"), soft_wrap=True)


# What is found out, and what is asked


def _plan(dataset: Path | None, task: str | None, given: FileColumns, *, asks: bool) -> Plan:
    from prefect_experiments import datasets
    from prefect_experiments.cli import project

    if dataset is not None and not dataset.is_file():
        raise NotFound(f"there is no file {dataset}; without --dataset one is looked for, or written")
    files = project.data_files()
    usable = [path for path in files if project.guessed_columns(project.column_names(path)) is not None]
    path = dataset or _chosen("Which file has the examples?", usable or (files if asks else []), asks=asks)
    named = task or _chosen("Which function is the task?", project.tasks(), asks=asks, sure=True)
    if path is None:
        return Plan(SAMPLE_DATA, project.Columns(), named, Expected((), is_mapping=False), _ROW_COUNT)
    columns = project.with_json(path, _columns(path, given, asks=asks))
    examples = datasets.load(str(path), **columns.keys())
    expected = [example.output for example in examples if example.output is not None]
    is_mapping = all(isinstance(one, Mapping) for one in expected)
    return Plan(path, columns, named, Expected(columns.output, is_mapping) if expected else None, len(examples))


def _chosen(question: str, found: Sequence[Any], *, asks: bool, sure: bool = False) -> Any:
    """The one that was found, or that a person chooses; with nobody to ask, the first, or none where that is a risk."""
    if len(found) > 1 and asks:
        tell(question)
        for number, one in enumerate(found, start=1):
            tell(f"  {number}  {one}")
        tell("Its number [1]: ", end="")
        answer = sys.stdin.readline().strip() or "1"
        if not answer.isdecimal() or not 1 <= int(answer) <= len(found):
            raise InvalidSetting(f"give a number from 1 to {len(found)}, got {answer!r}")
        return found[int(answer) - 1]
    return None if not found or (sure and len(found) > 1) else found[0]


def _columns(path: Path, given: FileColumns, *, asks: bool) -> Columns:
    from prefect_experiments.cli import project

    names = project.column_names(path)
    keys = {name: tuple(value or ()) for name, value in given.arguments().items() if name.endswith("_keys")}
    if keys["input_keys"]:
        return project.Columns(
            **{name.removesuffix("_keys"): keys[name] for name in keys}, id=given.arguments()["id_key"]
        )
    known = project.guessed_columns(names)
    return known if known is not None else project.columns_for(_input_of(path, names, asks=asks), names)


def _input_of(path: Path, names: list[str], *, asks: bool) -> str:
    """The column with the input, where no name says it."""
    if not asks:
        raise InvalidSetting(f"{path}: which column is the input? Give --input-key COLUMN; columns: {', '.join(names)}")
    tell(f"{path} has the columns {', '.join(names)}. Which one is the input? ", end="")
    answer = sys.stdin.readline().strip()
    if answer not in names:
        raise InvalidSetting(unknown_value("column", answer, names))
    return answer


# What is written


def _rendered(plan: Plan) -> dict[str, str]:
    """The texts of the files, by name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from prefect_experiments.cli import project

    # Brackets, for YAML of Prefect's and of GitHub's has braces of its own.
    templates = Environment(  # noqa: S701 - this is no HTML
        loader=PackageLoader("prefect_experiments.cli", "scaffold"),
        undefined=StrictUndefined,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    columns = plan.columns
    known = {
        "found_task": plan.task,
        "task": _task(plan),
        "evaluators": _evaluators(plan),
        "dataset": plan.dataset.as_posix(),
        "name": shlex.quote(plan.dataset.stem),
        "columns": columns.parameters(),
        "input_key": columns.input[0] if len(columns.input) == 1 else None,
        "expected": plan.expected,
        "examples": plan.examples,
        "least": _least(plan.examples),
        "pool": POOL,
        "timezone": project.time_zone(),
        "python": project.python_version(),
        "remote": project.remote() or "https://github.com/your-org/your-project.git",
        "branch": project.main_branch(),
        "installs": project.install_commands(),
        "commands": {"try_it": _run(plan, "--dry-run", join=" \\\n        "), "gate": _gate(plan)},
    }
    names = ("evaluation.py", "gate.yaml", "deployment.yaml", "evaluate.yml")
    return {name: templates.get_template(f"{name}.jinja").render(known) for name in names}


def _least(examples: int) -> float | None:
    """The highest minimum, in round figures, that a run without a fault over so many examples shows to be kept."""
    from scipy.stats import binomtest

    shown = float(binomtest(examples, examples).proportion_ci().low)
    return next((least for least in _MINIMA if least < shown), None)


def _task(plan: Plan) -> str:
    return plan.task or "evaluation.py:task"


def _evaluators(plan: Plan) -> list[str]:
    return ["evaluation.py:answered"] + ["evaluation.py:right"] * (plan.expected is not None)


def _run(plan: Plan, *more: str, join: str = " ") -> str:
    """The command that runs the evaluation."""
    parts = [f"prefect-experiments run {shlex.quote(plan.dataset.as_posix())} --task {shlex.quote(_task(plan))}"]
    parts += [f"--evaluator {one}" for one in _evaluators(plan)]
    keys = plan.columns.options()
    if keys:
        parts.append(shlex.join(keys))
    return join.join([*parts, *more])


def _gate(plan: Plan) -> str:
    more = ('--name "$NAME"', "--baseline tag:baseline --gate gate.yaml")
    return _run(plan, *more, "--report report.html --junit results.xml --comment comment.md", join=" \\\n            ")


def _whole(deployment: str) -> str:
    head = (
        "# The evaluation of this project as a Prefect deployment, written by `prefect-experiments init`:\n"
        "#\n#   prefect --no-prompt deploy --all     (in this folder)\n\n"
    )
    name = re.sub(r"[^\w-]+", "-", Path.cwd().name) or "evaluation"
    return f"{head}name: {name}\n\ndeployments:\n{deployment}"


def _merged(deployment: str) -> str:
    """The prefect.yaml that is there, with one deployment more; all else, comments too, is as it was.

    Raises:
        InvalidSetting: it has such a deployment already, or is not written so that one can be added.
    """
    import yaml

    text = PREFECT_YAML.read_text(encoding="utf-8")
    try:
        content, tree = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise InvalidSetting(
            f"{PREFECT_YAML} is no YAML: {' '.join(str(error).split())}. Nothing was written"
        ) from None
    present = content.get("deployments") if isinstance(content, dict) else None
    if isinstance(present, list) and any(isinstance(one, dict) and one.get("name") == "nightly" for one in present):
        raise InvalidSetting(
            f"{PREFECT_YAML} has a deployment called nightly already; rename it, or say --force to replace the file. "
            "Nothing was written"
        )
    if present is None and isinstance(content, dict) and "deployments" not in content:
        return f"{text.rstrip()}\n\ndeployments:\n{deployment}"
    nodes = {key.value: value for key, value in tree.value} if isinstance(tree, yaml.MappingNode) else {}
    if not isinstance(present, list) or nodes["deployments"].flow_style:
        raise InvalidSetting(
            f"the deployments of {PREFECT_YAML} are no list with one entry a line, so none can be added; write them "
            "so, or say --force to replace the file. Nothing was written"
        )
    node = nodes["deployments"]
    lines = text.splitlines(keepends=True)
    end = max(_last_line(one) for one in node.value) + 1
    indent = " " * (node.start_mark.column - 2) if node.start_mark.column > 2 else ""
    block = deployment if node.start_mark.column else re.sub(r"^  ", "", deployment, flags=re.MULTILINE)
    added = "".join(f"{indent}{line}" if line.strip() else line for line in block.splitlines(keepends=True))
    before = "".join(lines[:end])
    return f"{before.rstrip()}\n\n{added.rstrip()}\n{''.join(lines[end:])}"


def _last_line(node: Any) -> int:
    """The number of the last line that something is on."""
    import yaml

    if isinstance(node, yaml.ScalarNode) or not node.value:
        mark = node.end_mark
        return int(mark.line - (mark.column == 0 and mark.line > node.start_mark.line))
    parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
    ends = [_last_line(part) for part in parts]
    return max([*ends, int(node.end_mark.line) if node.flow_style else 0])


def _following(plan: Plan) -> list[str]:
    return [
        _run(plan, "--dry-run"),
        f"prefect worker start --pool {POOL} --type process  # in a terminal of its own; it makes the pool",
        "prefect --no-prompt deploy --all && prefect deployment run regression/nightly --watch",
    ]
