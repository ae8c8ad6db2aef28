"""The command that says which entries pass, as `pixie test` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from prefect_experiments.cli.comparing import side_of
from prefect_experiments.cli.output import Answer, Here

if TYPE_CHECKING:
    from rich.console import Console


def register(app: App) -> None:
    """Add the command to the root."""
    app.command(passing)


def passing(
    experiment: str,
    /,
    *,
    threshold: float = 0.5,
    minimize: list[str] | None = None,
    dataset: str | None = None,
    terminal: Here,
) -> Answer:
    """Say which entries of an experiment pass: those of which all scores reach the threshold.

    The exit code is 0 where all pass, and 1 where one fails or is pending, or where there is none.

    Args:
        experiment: id, name, tag:NAME or latest; or the path of a table of results, as for compare.
        threshold: the lowest score that passes.
        minimize: a metric of which less is better, so that 1 - score has to reach the threshold; can be given several
            times.
        dataset: the dataset that a name, a tag or latest is looked for in.
        terminal: where it is shown.
    """
    from prefect_experiments.analysis.passing import passing as entries_of

    side = side_of(terminal, experiment, dataset, "results")
    found = entries_of(side, threshold, directions=dict.fromkeys(minimize or (), "minimize"))

    def show(console: Console) -> None:
        from prefect_experiments.reports.passing import passing_lines

        for line in passing_lines(found):
            console.print(line, markup=False, soft_wrap=True)

    return Answer(found.to_dict, show, 0 if found.all_pass else 1)
