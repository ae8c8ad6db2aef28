"""The summary of an experiment on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.reports.markdown import figures, headline


def print_summary(ran: RanExperiment, console: Console | None = None, *, kept_in: str = "") -> None:
    """Print what came out: one line an evaluator, each mean with its denominator."""
    out = console or Console()
    experiment, summary = ran.experiment, ran.summary
    out.print(
        f"[bold]{escape(experiment.name)}[/bold] on {escape(experiment.dataset_name)}: {headline(ran)}", soft_wrap=True
    )
    for name, metric in summary.metrics.items():
        stderr = "" if metric.stderr is None else f"  [dim]standard error {metric.stderr:.3f}[/dim]"
        out.print(f"  {escape(name)}  {escape(str(metric))}{stderr}", soft_wrap=True)
    out.print(f"  [dim]{figures(summary)}[/dim]")
    where = ran.url or kept_in
    out.print(f"  experiment {experiment.id}" + (f", kept in {escape(where)}" if where else ""), soft_wrap=True)


def print_side_by_side(rans: Sequence[RanExperiment], console: Console | None = None) -> None:
    """One column an experiment, one row an evaluator."""
    out = console or Console()
    table = Table(title=f"on {escape(rans[0].experiment.dataset_name)}")
    table.add_column("evaluator")
    for ran in rans:
        table.add_column(escape(ran.experiment.name))
    for name in dict.fromkeys(name for ran in rans for name in ran.summary.metrics):
        found = [ran.summary.metrics.get(name) for ran in rans]
        table.add_row(escape(name), *(escape(str(metric)) if metric else "not evaluated" for metric in found))
    table.add_row("", *(figures(ran.summary) for ran in rans))
    out.print(table)
