"""The command that shows a dataset's experiments over time: history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from prefect_experiments.cli.output import Answer, Here
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.files import why_unwritable

if TYPE_CHECKING:
    from rich.console import Console


def register(app: App) -> None:
    """Add the command to the root."""
    app.command(history)


def history(
    dataset: str,
    /,
    *,
    metric: Annotated[list[str] | None, Parameter(name="--metric")] = None,
    since: str | None = None,
    last: int | None = None,
    html: Path | None = None,
    terminal: Here,
) -> Answer:
    """Show the experiments of a dataset over time: metrics with their intervals, gates' verdicts, promotions.

    One line an experiment, the newest last; why a gate did not let one through stands below. The page that --html
    writes has a chart of each metric:

        prefect-experiments history support --last 30 --html history.html

    Args:
        dataset: name or id.
        metric: only this metric; can be given several times.
        since: only experiments made then or later, such as 2026-11-01 or 2026-11-01T02:00; in UTC.
        last: only so many, the newest.
        html: write an HTML page, in one file.
        terminal: where it is shown.
    """
    if html is not None and (trouble := why_unwritable(html)):
        raise InvalidSetting(f"--html {html} cannot be written: {trouble}; give the path of a file")
    found = terminal.client().experiments.history(dataset=dataset, metrics=metric or (), since=since, last=last)
    if html is not None:
        from prefect_experiments.reports.files import write_report

        write_report(found, html, form="page")

    def show(console: Console) -> None:
        from rich.text import Text

        from prefect_experiments.reports.history_terminal import print_history

        print_history(found, console)
        if html is not None:
            named = Text(str(html), style=f"link {html.resolve().as_uri()}")
            console.print(Text.assemble("page: ", named), soft_wrap=True)

    return Answer(lambda: {**found.to_dict(), "written": {} if html is None else {"page": str(html)}}, show)
