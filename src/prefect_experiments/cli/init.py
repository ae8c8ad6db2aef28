"""The command that writes what a project needs for its evaluation: an evaluation, a gate, a deployment, a workflow."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from prefect_experiments.cli.columns import NO_COLUMNS, FileColumns, columns_as_options
from prefect_experiments.cli.output import Answer, Flag, Here, plain
from prefect_experiments.errors import InvalidSetting

if TYPE_CHECKING:
    from rich.console import Console

    from prefect_experiments.cli.planning import Plan

POOL = "evals"
PREFECT_YAML = Path("prefect.yaml")
GATE = Path("gate.yaml")
_WORKFLOWS = Path(".github/workflows")
_MINIMA = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


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

    It finds out what it can (a file of rows, a function that is called like a task, the git remote, the time zone), and
    asks for what it cannot; where nobody can be asked, it refuses, and names the option. What is written runs and
    deploys as it is: the task and the rows are checked first, as run does it. A prefect.yaml that is there gets the
    deployment added; any other file that is there already is left as it is, and nothing is written then.

    Args:
        dataset: a file of rows; by default the one that is found, else a small one is written.
        task: the function under test, as package.module:name or path/file.py:name; by default the one that is found,
            else a stub is written.
        columns: which columns of the file make an example; by default told by their names.
        yes: ask nothing.
        force: replace files that are there already, prefect.yaml as well.
        terminal: where it is shown.
    """
    from prefect_experiments.cli import prefect_yaml, project
    from prefect_experiments.cli.planning import plan_of

    with columns_as_options():
        plan = plan_of(dataset, task, columns, asks=not yes and sys.stdin.isatty())
    texts = _rendered(plan)
    files = {Path(project.EVALUATION): texts["evaluation.py"], GATE: texts["gate.yaml"]}
    files[_workflow()] = texts["evaluate.yml"]
    if not plan.dataset.exists():
        files = {plan.dataset: _rows(plan.examples), **files}
    is_merged = PREFECT_YAML.exists() and not force
    there = [str(path) for path in files if path.exists()]
    if there and not force:
        raise InvalidSetting(f"{', '.join(there)} would be replaced; say so with --force. Nothing was written")
    deployment, name = texts["deployment.yaml"], project.name()
    if is_merged:
        before = PREFECT_YAML.read_text(encoding="utf-8")
        files[PREFECT_YAML] = prefect_yaml.with_one_more(before, deployment, _deployment(), name)
    else:
        files[PREFECT_YAML] = prefect_yaml.with_only(deployment, name)
    _write(files)
    merged = [str(PREFECT_YAML)] if is_merged else []
    data = {
        "wrote": [str(path) for path in files if str(path) not in merged],
        "merged": merged,
        "dataset": str(plan.dataset),
        "task": _task(plan),
        "notes": _notes(plan),
        "next": _following(plan),
    }
    return Answer(data, lambda console: _show(console, data))


def _write(files: dict[Path, str]) -> None:
    """Write the files, once it is known that each can be.

    Raises:
        InvalidSetting: one cannot be.
    """
    from prefect_experiments.files import why_unwritable, write_file

    for path in files:
        if why := why_unwritable(path):
            raise InvalidSetting(f"{path} cannot be written: {why}. Nothing was written")
    for path, text in files.items():
        write_file(path, lambda file, text=text: file.write(text.encode()), make_folders=True)  # type: ignore[misc]


def _notes(plan: Plan) -> list[str]:
    """What is not as somebody might think."""
    from prefect_experiments.cli import project

    notes = []
    if plan.left:
        others = ", ".join(map(str, plan.left))
        notes.append(f"Not taken: {others}; `--dataset {shlex.quote(str(plan.left[0]))}` would.")
    if plan.task is None:
        notes.append(
            f"No function called {', '.join(project.TASKS[:3])} or the like was found in the .py files of this "
            f"folder: {project.EVALUATION} has a stub called task. Put your call there, or name a function with "
            "--task FILE.py:NAME."
        )
    if folder := project.place().folder:
        notes.append(
            f"The workflow is in the repository's own folder, where GitHub looks for it; it works in {folder}."
        )
    return notes


def _show(console: Console, data: dict[str, Any]) -> None:
    lines = [f"wrote {path}" for path in data["wrote"]]
    lines += [f"added a deployment to {path}" for path in data["merged"]]
    lines += [f"The dataset is {data['dataset']}, the task {data['task']}.", *data["notes"]]
    lines += ["Next, with PREFECT_API_URL set (`prefect server start` starts a server):"]
    lines += [f"  {command}" for command in data["next"]]
    for line in lines:
        console.print(plain(line), soft_wrap=True)


# What is written


def _deployment() -> str:
    """What the deployment is called: a server has one of a name, and may serve many projects."""
    from prefect_experiments.cli import project

    return f"nightly-{project.name()}"


def _suffix() -> str:
    """What tells the workflow of a project from those of others in its repository."""
    from prefect_experiments.cli import project

    folder = project.place().folder
    name = re.sub(r"[^\w-]+", "-", folder).strip("-")
    return f"-{name}" if name else ""


def _workflow() -> Path:
    """Where GitHub looks for it: in the repository's own folder."""
    from prefect_experiments.cli import project

    return project.place().root / _WORKFLOWS / f"evaluate{_suffix()}.yml"


def _rows(count: int) -> str:
    """A small dataset."""
    texts = [f"Which number is {n}?" for n in range(1, count + 1)]
    return "id,input,output\n" + "".join(f'q{n},"{text}","{text}"\n' for n, text in enumerate(texts, start=1))


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
    columns, folder = plan.columns, project.place().folder
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
        "deployment": _deployment(),
        "folder": folder,
        "within": f"{folder}/" if folder else "",
        "suffix": _suffix(),
        "quoted_comment": "'" + f"{folder}/comment.md".lstrip("/").replace("'", "''") + "'",  # as expressions have it
        "workflow": (_WORKFLOWS / f"evaluate{_suffix()}.yml").as_posix(),
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


def _following(plan: Plan) -> list[str]:
    return [
        _run(plan, "--dry-run"),
        f"prefect worker start --pool {POOL} --type process  # in a terminal of its own; it makes the pool",
        f"prefect --no-prompt deploy --all && prefect deployment run regression/{_deployment()} --watch",
    ]
