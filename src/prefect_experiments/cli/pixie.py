"""The commands on files of pixie's: lint, from-trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from prefect_experiments.cli.output import Answer, Here, plain, said, wrote
from prefect_experiments.errors import InvalidSetting

if TYPE_CHECKING:
    from rich.console import Console

    from prefect_experiments.models import Dataset
    from prefect_experiments.pixie.trace import Trace

MISLEADING = 1


def register(app: App) -> None:
    """Add the commands to those on datasets."""
    app.command(lint)
    app.command(from_trace)


def lint(file: Path, /, *, root: Path | None = None, terminal: Here) -> Answer:  # noqa: ARG001 - every command has it
    """Look for what will mislead in a dataset of pixie's, before anything is spent on it.

    Such as an evaluator that compares with an expectation where there is none, an expectation that is what the
    application gave, an entry that stands twice. Nothing is called. Exit codes: 0 nothing was found, 1 something was,
    2 the file cannot be used at all.

    Args:
        file: a .json file of pixie's.
        root: the folder that its references are taken from; by default the one that its pixie_qa stands in, else the
            current directory.
        terminal: where it is shown.
    """
    from prefect_experiments.pixie.dataset import load_pixie
    from prefect_experiments.pixie.lint import deferring_evaluators, lint
    from prefect_experiments.pixie.project import Project
    from prefect_experiments.pixie.reading import read_pixie

    load_pixie(file, root)
    found = read_pixie(file)
    remarks = lint(found, deferring_evaluators(found, Project.of(file, root)))

    def show(console: Console) -> None:
        for remark in remarks:
            console.print(plain(str(remark)), soft_wrap=True)
        n = len(remarks)
        console.print(plain(f"{file}: {n} {'warning' if n == 1 else 'warnings'} in {_entries(found.entries)}"))

    data = {"file": str(file), "entries": len(found.entries), "warnings": [remark.to_dict() for remark in remarks]}
    return Answer(data, show, MISLEADING if remarks else 0)


def from_trace(
    trace: list[Path],
    /,
    *,
    to: str | None = None,
    output: Path | None = None,
    form: Literal["input_data", "entry_kwargs"] | None = None,
    description: str | None = None,
    evaluator: list[str] | None = None,
    terminal: Here,
) -> Answer:
    """Make entries for a dataset of pixie's from traces that `pixie trace` has written; one trace, one entry.

    What the application gave stands in the entry under eval_output, for you to read: write under expectation what a
    right answer must say. (`pixie format` writes the answer itself there, and the application is compared with itself.)

    Args:
        trace: .jsonl files, such as reference-trace.jsonl.
        to: append to this dataset: the path of a .json file of pixie's, or the name or id of one that is kept.
        output: write the entry to this .json file; with several traces, a list. Without, and without --to, it is
            printed.
        form: what the application's arguments are called: input_data as in today's pixie, entry_kwargs as in 0.6. By
            default as in the dataset that is appended to, else input_data.
        description: what the entry is about; by default, of which trace it was made.
        evaluator: a name or path.py:Name for the entry alone, or ... for those of the file; can be given several times.
        terminal: where it is shown.
    """
    from prefect_experiments.datasets import is_path
    from prefect_experiments.pixie.trace import append_entries, entries_of, read_trace

    if to is not None and output is not None:
        raise InvalidSetting("an entry goes into a dataset with --to or into a file with --output, not to both")
    traces = [read_trace(path) for path in trace]
    about: dict[str, Any] = {"form": form, "description": description, "evaluators": evaluator or ()}
    if to is not None and is_path(to):
        content = append_entries(to, traces, **about)
        _write(Path(to), content)
        n = len(content["entries"])
        return said({"path": to, "entries": n}, f"added {_entries(traces)} to {to}, which has {n} now")
    if to is not None:
        kept = _keep(to, traces, form, description, terminal)
        text = f"added {_entries(traces)} to dataset {kept.name} ({kept.id}), which has {len(kept)} now"
        return said({"id": kept.id, "version_id": kept.version_id, "example_count": len(kept)}, text)
    made = entries_of(traces, **about)
    data = made[0] if len(made) == 1 else made
    if output is None:
        return Answer(data, lambda console: console.print(plain_json(data), soft_wrap=True))
    _write(output, data)
    return wrote({"path": str(output), "entries": len(made)}, output, f"{_entries(traces)} to ")


def _keep(
    to: str, traces: list[Trace], form: Literal["input_data", "entry_kwargs"] | None, about: str | None, terminal: Here
) -> Dataset:
    from prefect_experiments.pixie.trace import examples_of

    datasets = terminal.client().datasets
    return datasets.add_examples_to_dataset(dataset=to, examples=examples_of(traces, form=form, description=about))


def _entries(some: Sequence[object]) -> str:
    return f"{len(some)} {'entry' if len(some) == 1 else 'entries'}"


def plain_json(data: Any) -> Any:
    """JSON over several lines, as it is."""
    from rich.text import Text

    return Text(json.dumps(data, indent=2, ensure_ascii=False))


def _write(path: Path, data: Any) -> None:
    from prefect_experiments.files import write_file

    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    write_file(path, lambda file: file.write(text.encode()))
