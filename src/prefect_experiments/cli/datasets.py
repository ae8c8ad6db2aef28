"""The commands on datasets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, Group

from prefect_experiments.cli.columns import COLUMNS_GROUP, CellTypes, columns_as_options, types_of
from prefect_experiments.cli.options import OptionGroup, made_from
from prefect_experiments.cli.output import Answer, Flag, Here, print_fields, print_page, said, table, wrote
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.models import Dataset
from prefect_experiments.options import Columns, IfExists, Sample
from prefect_experiments.pages import Pagination

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from prefect_experiments.models import Example

_FIRST = 5

app = App(name="datasets", help="Create, list, show, extend, sample, export and delete datasets.")


@made_from(Columns, COLUMNS_GROUP)
class Keys(OptionGroup):
    """What the columns of a file are. Without any of these, columns called input, output and metadata are taken."""

    cell_type: CellTypes = None

    def arguments(self) -> dict[str, Any]:
        """As the client's calls take them."""
        return {**super().arguments(), "types": types_of(self.cell_type)}


_NO_KEYS = Keys()


@made_from(Sample, Group("Sample", sort_key=5))
class SampleOptions(OptionGroup):
    """How a sample is drawn."""


_USUAL_SAMPLE = SampleOptions()


@app.command
def create(
    name: str,
    file: Path,
    /,
    *,
    description: str | None = None,
    if_exists: IfExists = "error",
    keys: Keys = _NO_KEYS,
    terminal: Here,
) -> Answer:
    """Make a dataset of a file.

    Args:
        name: the dataset's name.
        file: a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file.
        description: a sentence for people.
        if_exists: what becomes of a dataset that has the name: reuse takes it where its examples are the file's;
            new_version gives it a version with the file's where they are not.
        keys: what the columns are.
        terminal: where it is shown.
    """
    with columns_as_options():
        made = terminal.client().datasets.create_dataset(
            name=name, file=file, description=description, if_exists=if_exists, **keys.arguments()
        )
    return _made(made, "created" if if_exists == "error" else "made sure of")


@app.command
def append(name: str, file: Path, /, *, keys: Keys = _NO_KEYS, terminal: Here) -> Answer:
    """Add the examples of a file to a dataset, which makes a new version of it.

    Args:
        name: the dataset's name or id.
        file: a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file.
        keys: what the columns are.
        terminal: where it is shown.
    """
    with columns_as_options():
        made = terminal.client().datasets.add_examples_to_dataset(dataset=name, file=file, **keys.arguments())
    return _made(made, "extended")


@app.command(name="list")
def list_datasets(*, limit: int = 50, cursor: str | None = None, terminal: Here) -> Answer:
    """List datasets, newest first.

    Args:
        limit: how many; at most 1000.
        cursor: where the page begins, as the page before says.
        terminal: where it is shown.
    """
    page = terminal.client().datasets.list_datasets(limit=limit, cursor=cursor)

    def show_page(console: Console) -> None:
        rows = [
            {
                "id": found.id,
                "name": found.name,
                "examples": found.example_count,
                "versions": found.version_count,
                "updated": found.updated_at,
                "description": found.description,
            }
            for found in page.datasets
        ]
        print_page(console, rows, page.pagination, none="there is no dataset yet")

    return Answer(page.to_dict(), show_page)


@app.command
def show(name: str, /, *, terminal: Here) -> Answer:
    """Show a dataset: its versions, its splits, its first examples.

    Args:
        name: the dataset's name or id; or the path of a .json file of pixie's, which is only looked at.
        terminal: where it is shown.
    """
    from prefect_experiments.experiment.dataset_files import opened

    if isinstance(brought := opened(name, task=True, evaluators=True), Dataset):
        return _brought(brought)
    datasets = terminal.client().datasets
    found = datasets.get_dataset(dataset=name)
    versions = datasets.list_versions(dataset=name)
    splits = Counter(split for example in found.examples for split in example.splits)
    first = found.examples[:_FIRST]

    def show_it(console: Console) -> None:
        fields = {
            "id": found.id,
            "description": found.description,
            "examples": len(found),
            "splits": ", ".join(f"{split} ({count})" for split, count in sorted(splits.items())) or None,
            "metadata": found.metadata or None,
            "created": found.created_at,
        }
        print_fields(console, found.name, {key: value for key, value in fields.items() if value is not None})
        console.print()
        console.print(
            table(
                [{"version": v.number, "id": v.id, "examples": v.example_count, "made": v.created_at} for v in versions]
            )
        )
        console.print()
        _print_examples(console, first)

    data = {
        "dataset": datasets.get_info(dataset=name).to_dict(),
        "versions": [version.to_dict() for version in versions],
        "splits": dict(splits),
        "first_examples": [example.to_dict() for example in first],
    }
    return Answer(data, show_it)


@app.command
def sample(
    name: str,
    /,
    *,
    drawn: SampleOptions = _USUAL_SAMPLE,
    version: str | None = None,
    to: str | None = None,
    export: Path | None = None,
    for_spreadsheets: Flag = False,
    terminal: Here,
) -> Answer:
    """Draw a sample of a dataset; it is printed, or becomes a dataset or a file.

    Args:
        name: the dataset's name or id.
        drawn: how it is drawn.
        version: id or number of a version; by default the newest.
        to: the name of a new dataset for the sample.
        export: a .csv, .json, .jsonl or .parquet file for the sample.
        for_spreadsheets: in a .csv file, put an apostrophe before texts that a spreadsheet would take for formulas.
        terminal: where it is shown.
    """
    from prefect_experiments.datasets import draw, write_examples
    from prefect_experiments.experiment.naming import about_dataset

    if to is not None and export is not None:
        raise InvalidSetting("a sample goes to a new dataset with --to or to a file with --export, not to both")
    if for_spreadsheets and export is None:
        raise InvalidSetting("--for-spreadsheets is about the file of --export")
    wanted = Sample(**drawn.arguments())
    datasets = terminal.client().datasets
    with about_dataset(name):
        found = draw(datasets.get_dataset(dataset=name, version_id=version).examples, wanted)
    if to is not None:
        return _made(datasets.create_dataset(name=to, examples=found), "created")
    if export is not None:
        write_examples(found, export, for_spreadsheets=for_spreadsheets)
        return wrote({"path": str(export), "example_count": len(found)}, export, f"{len(found)} examples to ")
    return Answer(
        {"examples": [example.to_dict() for example in found]}, lambda console: _print_examples(console, found)
    )


@app.command
def export(
    name: str, path: Path, /, *, version: str | None = None, for_spreadsheets: Flag = False, terminal: Here
) -> Answer:
    """Write a dataset to a file.

    A .json or .jsonl file can be read back as it is; .csv and .parquet get flat columns.

    Args:
        name: the dataset's name or id.
        path: a .csv, .json, .jsonl or .parquet file; one that exists is replaced.
        version: id or number of a version; by default the newest.
        for_spreadsheets: in a .csv file, put an apostrophe before texts that a spreadsheet would take for formulas.
        terminal: where it is shown.
    """
    written = terminal.client().datasets.export_dataset(
        dataset=name, path=path, version_id=version, for_spreadsheets=for_spreadsheets
    )
    return wrote({"path": str(written)}, written)


@app.command
def delete(name: str, /, *, yes: Flag = False, terminal: Here) -> Answer:
    """Delete a dataset with all its versions and every experiment on it.

    Args:
        name: the dataset's name or id.
        yes: do not ask.
        terminal: where it is shown.
    """
    datasets = terminal.client().datasets
    found = datasets.get_info(dataset=name)
    what = f"dataset {found.name} ({found.id})"
    terminal.confirm(f"Delete {what} with all its versions and every experiment on it?", yes=yes)
    datasets.delete_dataset(dataset=found.id)
    return said({"deleted": found.id}, f"deleted {what}")


def _brought(found: Dataset) -> Answer:
    """What a file brings that is not kept: its task, its evaluators, its first examples."""
    fields = {"task": found.task, "evaluators": list(found.evaluators), "examples": len(found)}
    first = found.examples[:_FIRST]

    def show_it(console: Console) -> None:
        print_fields(console, found.name, fields)
        console.print()
        _print_examples(console, first)

    return Answer({"name": found.name, **fields, "first_examples": [example.to_dict() for example in first]}, show_it)


def _made(made: Dataset, done: str) -> Answer:
    data = {
        "id": made.id,
        "name": made.name,
        "version_id": made.version_id,
        "description": made.description,
        "example_count": len(made),
    }
    return said(data, f"{done} dataset {made.name} ({made.id}) with {len(made)} examples")


def _print_examples(console: Console, examples: Sequence[Example]) -> None:
    rows = [
        {
            "id": e.id,
            "input": e.input,
            "output": e.output,
            "metadata": e.metadata or None,
            "splits": ", ".join(e.splits),
        }
        for e in examples
    ]
    print_page(console, rows, Pagination(), none="there are no examples")
