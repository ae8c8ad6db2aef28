"""The commands on experiments that are there: list, show, runs, pending, export, annotate, tag, delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cyclopts import App

from prefect_experiments.cli.output import (
    Answer,
    Flag,
    Here,
    print_fields,
    print_page,
    records,
    said,
    score_table,
    tell,
    wrote,
)
from prefect_experiments.display import counted
from prefect_experiments.models import AnnotateRecordInput, AnnotationInput
from prefect_experiments.origin import is_failed
from prefect_experiments.pages import Pagination

if TYPE_CHECKING:
    from rich.console import Console

    from prefect_experiments.analysis import RanExperiment
    from prefect_experiments.results.stored import StoredRuns


_MOST_IN_A_TABLE = 1000  # rich needs all rows to know how wide a column is


def register(app: App) -> None:
    """Add the commands to the root."""
    app.command(list_experiments, name="list")
    for command in (show, runs, pending, export, annotate, tag, delete):
        app.command(command)


def list_experiments(
    *, dataset: str | None = None, limit: int = 50, cursor: str | None = None, terminal: Here
) -> Answer:
    """List experiments, newest first.

    Args:
        dataset: only those on this dataset.
        limit: how many; at most 1000.
        cursor: where the page begins, as the page before says.
        terminal: where it is shown.
    """
    page = terminal.client().experiments.list(dataset=dataset, limit=limit, cursor=cursor)

    def show_page(console: Console) -> None:
        rows = [
            {
                "id": found.id,
                "name": found.name,
                "dataset": found.dataset_name,
                "examples": found.example_count,
                "repetitions": found.repetitions,
                "evaluators": ", ".join(found.evaluators),
                "tags": ", ".join(found.tags),
                "created": found.created_at,
            }
            for found in page.experiments
        ]
        crowding = ("examples", "repetitions", "evaluators")
        print_page(console, rows, page.pagination, none="there is no experiment yet", where_wide=crowding)

    return Answer(page.to_dict(), show_page)


def show(experiment: str, /, *, dataset: str | None = None, terminal: Here) -> Answer:
    """Show an experiment: what it is, and what came out.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME.
        dataset: the dataset that a name, a tag or latest is looked for in.
        terminal: where it is shown.
    """
    ran = terminal.client().experiments.get_results(experiment=experiment, dataset=dataset)
    found, summary = ran.experiment, ran.summary

    def show_it(console: Console) -> None:
        from prefect_experiments.reports.spending import figures, unpriced
        from prefect_experiments.reports.terminal import print_errors

        fields = {
            "id": found.id,
            "description": found.description,
            "dataset": f"{found.dataset_name} (version {found.dataset_version_id})",
            "splits": ", ".join(found.splits) or None,
            "task": found.task,
            "tags": ", ".join(found.tags) or None,
            "metadata": found.metadata or None,
            "created": found.created_at,
            "runs": f"{summary.n_runs} of {summary.n_expected} made, {summary.n_errors} failed",
            "figures": figures(summary) or None,
            "unpriced": unpriced(summary),
        }
        print_fields(console, found.name, {name: value for name, value in fields.items() if value is not None})
        console.print(score_table(summary))
        print_errors(ran, console)

    errors = [error.to_dict() for error in ran.failures.errors]
    return Answer({"experiment": found.to_dict(), "summary": summary.to_dict(), "errors": errors}, show_it)


def runs(
    experiment: str,
    /,
    *,
    dataset: str | None = None,
    failed: Flag = False,
    limit: int = 50,
    cursor: str | None = None,
    all: Flag = False,
    terminal: Here,
) -> Answer:
    """List the runs of an experiment with their scores, in dataset order.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME.
        dataset: the dataset that a name, a tag or latest is looked for in.
        failed: only those whose task failed, or an evaluator of which failed.
        limit: how many; at most 1000.
        cursor: where the page begins, as the page before says.
        all: every run, however many there are.
        terminal: where it is shown.
    """
    experiments = terminal.client().experiments
    if all:
        return _every_run(experiments.get_results(experiment=experiment, dataset=dataset), failed=failed)
    page = experiments.list_runs(experiment=experiment, dataset=dataset, limit=limit, cursor=cursor, failed=failed)
    rows, pagination = records(page.to_df()), page.pagination

    return Answer(
        {"experiment_runs": rows, "pagination": pagination.to_dict()},
        lambda console: _print_runs(console, rows, pagination, failed=failed),
    )


def _every_run(ran: RanExperiment, *, failed: bool) -> Answer:
    """All runs of an experiment, a page in memory at a time; each page of the table has a head of its own."""
    stored = cast("StoredRuns", ran.stored)
    columns = stored.columns

    def rows() -> Iterator[dict[str, Any]]:
        for row in stored.rows():
            if not failed or any(row.get(name) is not None for name in columns if _says_error(name)):
                yield {name: row.get(name) for name in columns}

    def show(console: Console) -> None:
        every = rows()
        some = list(islice(every, _MOST_IN_A_TABLE))
        _print_runs(console, some, Pagination(), failed=failed)
        while some := list(islice(every, _MOST_IN_A_TABLE)):
            _print_runs(console, some, Pagination(), failed=failed)

    return Answer({"experiment_runs": rows(), "pagination": Pagination().to_dict()}, show)


def _says_error(column: str) -> bool:
    return column == "error" or (column.startswith("eval.") and column.endswith(".error"))


def _print_runs(console: Console, rows: Sequence[dict[str, Any]], pagination: Pagination, *, failed: bool) -> None:
    shown = [_shown_run(row, failed=failed) for row in rows]
    # Beside what went wrong there is room for little else.
    crowding = {*shown[0]} - {"id", "example", "error"} if failed and shown else {"repetition", "status", "latency"}
    print_page(console, shown, pagination, none="there is no such run", where_wide=crowding)


def pending(
    experiment: str,
    /,
    *,
    dataset: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
    all: Flag = False,
    terminal: Here,
) -> Answer:
    """List the evaluations that a person is still to make; `annotate RUN --name NAME` makes one.

    With --json, what is to be judged is there in full.

    Args:
        experiment: id, name, tag:NAME or latest.
        dataset: the dataset that a name, a tag or latest is looked for in.
        limit: how many; at most 1000.
        cursor: where the page begins, as the page before says.
        all: every one at once.
        terminal: where it is shown.
    """
    page = terminal.client().experiments.list_pending(
        experiment=experiment, dataset=dataset, limit=limit, cursor=cursor, all=all
    )

    def show_page(console: Console) -> None:
        rows = [
            {
                "run": one.run_id,
                "example": one.example_id,
                "name": one.name,
                "criteria": one.criteria,
                "input": one.input,
                "expected": one.expected,
                "output": one.output,
            }
            for one in page
        ]
        print_page(console, rows, page.pagination, none="nothing is pending", where_wide=("input", "expected"))

    return Answer(page.to_dict(), show_page)


def _shown_run(row: dict[str, Any], *, failed: bool) -> dict[str, Any]:
    """What of a run's row is shown in a line of a table; of one that was asked for as failed, what failed in it."""
    latency = row["latency_ms"]
    shown = {
        "id": row["id"],
        "example": row["example_id"],
        "repetition": row["repetition_number"],
        "status": row["status"],
        "latency": None if latency is None else f"{latency:.0f} ms",
    }
    errors = [] if row["error"] is None else [row["error"]]
    for name, value in row.items():
        if name.startswith("eval.") and name.endswith(".score"):
            evaluator = name.removeprefix("eval.").removesuffix(".score")
            error = row[f"eval.{evaluator}.error"]
            if error is not None:
                errors.append(f"{evaluator}: {error}")
            score = row[f"eval.{evaluator}.label"] if value is None else value
            shown[evaluator] = score if error is None else "error"
    if failed:
        return {**shown, "error": "; ".join(errors)}
    return {**shown, "output or error": row["output"] if row["error"] is None else row["error"]}


def export(
    experiment: str,
    path: Path,
    /,
    *,
    dataset: str | None = None,
    for_spreadsheets: Flag = False,
    terminal: Here,
) -> Answer:
    """Write an experiment's runs with outputs and scores to a file.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME.
        path: a .csv, .json, .jsonl or .parquet file; one that exists is replaced.
        dataset: the dataset that a name, a tag or latest is looked for in.
        for_spreadsheets: in a .csv file, put an apostrophe before texts that a spreadsheet would take for formulas.
        terminal: where it is shown.
    """
    experiments = terminal.client().experiments
    found = experiments.get_results(experiment=experiment, dataset=dataset)
    written = experiments.export(experiment=found, path=path, for_spreadsheets=for_spreadsheets)
    kept = found.experiment
    made, expected = len(cast("StoredRuns", found.stored)), kept.example_count * kept.repetitions
    if made < expected:  # the file has no rows of the others, so nobody could tell from it
        tell(f"The experiment is not whole: {made:,} of {counted(expected, 'run')} were made, and are written.")
    return wrote({"path": str(written), "n_runs": made, "n_expected": expected}, written)


def annotate(
    run_id: str,
    /,
    *,
    name: str,
    score: float | None = None,
    label: str | None = None,
    text: str | None = None,
    annotator: str | None = None,
    terminal: Here,
) -> Answer:
    """Write an annotation on a run; one of the same name is replaced.

    Args:
        run_id: the id of the run, as `runs` lists it.
        name: what is judged, such as tone.
        score: a number.
        label: a category.
        text: a remark.
        annotator: who says so.
        terminal: where it is shown.
    """
    values = [AnnotationInput(name=name, score=score, label=label, text=text)]
    written = terminal.client().experiments.annotate_runs(
        annotations=[AnnotateRecordInput(record_id=run_id, values=values)], annotator=annotator
    )
    return said({"run_id": run_id, "name": name, "written": written}, f"annotated {run_id} with {name}")


def tag(experiment: str, name: str, /, *, remove: Flag = False, dataset: str | None = None, terminal: Here) -> Answer:
    """Give an experiment a tag; another one on the same dataset loses it.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME.
        name: the tag, such as production.
        remove: take the tag away instead.
        dataset: the dataset that a name, a tag or latest is looked for in.
        terminal: where it is shown.
    """
    experiments = terminal.client().experiments
    change = experiments.untag if remove else experiments.tag
    found = change(experiment=experiment, tag=name, dataset=dataset)
    tags = ", ".join(found.tags) or "no tags"
    text = f"experiment {found.name} ({found.id}) on {found.dataset_name} has {tags}"
    if not remove and is_failed(found.origin):
        text += ". Its gate has failed it: as a baseline it lets as bad a run pass"
    return said(found.to_dict(), text)


def delete(experiment: str, /, *, yes: Flag = False, dataset: str | None = None, terminal: Here) -> Answer:
    """Delete an experiment with its runs, evaluations and annotations.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME.
        yes: do not ask.
        dataset: the dataset that a name, a tag or latest is looked for in.
        terminal: where it is shown.
    """
    experiments = terminal.client().experiments
    found = experiments.get(experiment=experiment, dataset=dataset)
    what = f"experiment {found.name} ({found.id})"
    terminal.confirm(f"Delete {what} with all its runs, evaluations and annotations?", yes=yes)
    experiments.delete(experiment=found)
    return said({"deleted": found.id}, f"deleted {what}")
