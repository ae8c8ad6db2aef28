"""What was found, on the terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from prefect_experiments.analysis import RanExperiment, Summary, numbers
from prefect_experiments.analysis.comparison.said import label_comparisons
from prefect_experiments.analysis.example_changes import ExampleChange
from prefect_experiments.analysis.verdicts import Comparison, Verdict
from prefect_experiments.reports import escaping, phrases
from prefect_experiments.reports.markdown import headline
from prefect_experiments.reports.slices import SLICES_MOVED, flaky_line, slice_lines
from prefect_experiments.reports.spending import figures, unpriced

WORST_SHOWN = 5
_NARROW, _VERY_NARROW = 110, 76
_PAPER = 120
_INDENT, _LONGEST_VALUE = 17, 160
_VERDICT_STYLES = {"passed": "bold green", "failed": "bold red", "inconclusive": "bold yellow"}
_METRIC_STYLES = {
    "improved": "green",
    "regressed": "red",
    "changed": "",
    "unchanged": "",
    "not comparable": "yellow",
    "no data": "yellow",
}


logger = logging.getLogger("prefect_experiments")


@contextlib.contextmanager
def beside_the_result() -> Iterator[None]:
    """While a call prints what it also returns: that it cannot be written loses nothing of the result."""
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):  # what rich makes of it
            raise
    except OSError as error:
        logger.warning("The summary could not be printed (%s).", error.strerror or type(error).__name__)


def print_outcome(ran: RanExperiment, *, kept_in: str, lines: Sequence[str] = ()) -> None:
    """Print what a call has made: the summary, what else there is to say, and the comparison or the verdict."""
    with beside_the_result():
        print_summary(ran, kept_in=kept_in)
        for line in lines:
            _console().print(Text(f"  {line}"), soft_wrap=True)
        if ran.comparison is not None:
            print_comparison(ran.comparison)
        elif ran.verdict is not None:
            print_verdict(ran.verdict)


def print_summary(ran: RanExperiment, console: Console | None = None, *, kept_in: str = "") -> None:
    """Print what came out: one line an evaluator, each mean with its denominator; and the commonest errors."""
    out = console or _console()
    experiment, summary = ran.experiment, ran.summary
    out.print(
        f"[bold]{_name(experiment.name)}[/bold] on {_name(experiment.dataset_name)}: {headline(ran)}", soft_wrap=True
    )
    print_figures(summary, out)
    print_errors(ran, out)
    where = ran.url or kept_in
    out.print(f"  experiment {experiment.id}" + (f", kept in {_name(where)}" if where else ""), soft_wrap=True)


def print_figures(summary: Summary, console: Console | None = None) -> None:
    """Print the scores, one line an evaluator, and latency, tokens and cost."""
    out = console or _console()
    for name, metric in summary.metrics.items():
        stderr = "" if metric.stderr is None else f"  [dim]standard error {numbers.plain(metric.stderr)}[/dim]"
        out.print(f"  {_name(name)}  {_name(str(metric))}{stderr}", soft_wrap=True)
    if line := figures(summary):
        out.print(f"  [dim]{line}[/dim]", soft_wrap=True)
    if unknown := unpriced(summary):
        out.print(Text(f"  {unknown}", "yellow"), soft_wrap=True)


def print_errors(ran: RanExperiment, console: Console | None = None) -> None:
    """Print the commonest errors of the task and of the evaluators, and whether every call failed."""
    out = console or _console()
    for line in phrases.error_lines(ran.failures):
        out.print(Text(f"  {line}", "" if line.startswith(" ") else "red"), soft_wrap=True)
    if who := ran.failures.every_call_of(ran.asked):
        out.print(Text(f"  {phrases.throughout(who)}", "bold red"), soft_wrap=True)


def print_side_by_side(rans: Sequence[RanExperiment], console: Console | None = None) -> None:
    """One column an experiment, one row an evaluator."""
    out = console or _console()
    table = Table(title=f"on {_name(rans[0].experiment.dataset_name)}")
    table.add_column("evaluator")
    for ran in rans:
        table.add_column(_name(ran.experiment.name))
    for name in dict.fromkeys(name for ran in rans for name in ran.summary.metrics):
        found = [ran.summary.metrics.get(name) for ran in rans]
        table.add_row(_name(name), *(_name(str(metric)) if metric else "not evaluated" for metric in found))
    table.add_row("", *(figures(ran.summary) for ran in rans))
    out.print(table)


def print_comparison(comparison: Comparison, console: Console | None = None, *, worst: int = WORST_SHOWN) -> None:
    """Print the verdict with its reasons, the metrics with their intervals, and the examples that got worse.

    Args:
        comparison: what was compared, with a gate's verdict or without.
        console: where to; the standard output when left out.
        worst: how many of the examples that got worse are shown.
    """
    out = console or _console()
    verdict = comparison.verdict
    style = _VERDICT_STYLES[verdict.status] if verdict else "bold"
    sides = f"{escaping.one_line(comparison.candidate.label)} against {escaping.one_line(comparison.baseline.label)}"
    out.print(Text.assemble((phrases.verdict_word(verdict).upper(), style), f"  {sides}"), soft_wrap=True)
    out.print(Text(f"  {phrases.opening(comparison)}"), soft_wrap=True)
    if verdict:
        _print_reasons(verdict, out)
    if comparison.metrics:
        out.print(comparison_table(comparison, width=out.width))
    if moved := slice_lines(comparison):
        out.print(Text(SLICES_MOVED, "italic"))
        for line in moved:
            out.print(Text(f"  {escaping.one_line(line)}"), soft_wrap=True)
    for line in phrases.correction_lines(comparison):
        out.print(Text(f"  {escaping.one_line(line)}"), soft_wrap=True)
    for labels in label_comparisons(comparison):
        out.print(Text(f"  labels of {escaping.one_line(phrases.label_line(labels))}"), soft_wrap=True)
    for line in phrases.operation_lines(comparison):
        out.print(Text(f"  {line}", "dim"), soft_wrap=True)
    out.print(Text(f"  {phrases.side_line('candidate', comparison.candidate)}"), soft_wrap=True)
    out.print(Text(f"  {phrases.side_line('baseline', comparison.baseline)}"), soft_wrap=True)
    for line in phrases.likeness(comparison):
        out.print(Text(f"  {escaping.one_line(line)}", "yellow"), soft_wrap=True)
    if comparison.regressed and worst > 0:
        _print_worst(comparison, worst, out)


def print_verdict(verdict: Verdict, console: Console | None = None) -> None:
    """Print a gate's verdict on its own: of a first run, which has no baseline."""
    out = console or _console()
    out.print(Text(phrases.verdict_word(verdict).upper(), _VERDICT_STYLES[verdict.status]))
    out.print(Text(f"  {phrases.verdict_sentence(verdict)}"), soft_wrap=True)
    _print_reasons(verdict, out)


def _print_reasons(verdict: Verdict, out: Console) -> None:
    for reason in verdict.reasons:
        out.print(Text(f"  - {escaping.one_line(reason)}"), soft_wrap=True)


def comparison_table(comparison: Comparison, *, width: int = 120) -> Table:
    """One row a metric: both means, the difference with its interval, the counts, the verdict in its colour.

    Args:
        comparison: what was compared.
        width: of the terminal: what there is no room for is left out, never the metric's name and its verdict.
    """
    title = f"Differences with {numbers.percent(comparison.confidence)} intervals"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("metric", overflow="fold", min_width=8)
    narrow = width < _NARROW
    shown = ["baseline", "candidate", "difference", "better", "worse", *([] if narrow else ["same", "p"])]
    shown = ["difference"] if width < _VERY_NARROW else shown
    for column in shown:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for metric in comparison.metrics.values():
        found = phrases.figures_of(metric)
        cells = {
            "baseline": found.baseline,
            "candidate": found.candidate,
            "difference": f"{found.difference}\n{found.interval}".rstrip() if narrow else found.change,
            "better": found.improved,
            "worse": found.regressed,
            "same": found.ties,
            "p": found.p,
        }
        name = Text.assemble(escaping.one_line(found.name), (found.direction_note, "dim"))
        verdict = Text(found.verdict, _METRIC_STYLES[found.verdict])
        table.add_row(name, *(Text(cells[column]) for column in shown), verdict)
    return table


def _print_worst(comparison: Comparison, worst: int, out: Console) -> None:
    """Each example that got worse: how, in which metric, and line by line what went in, was expected and came out."""
    count, shown = phrases.worst_first(comparison, worst)
    if shown:
        _print_changes(comparison, count, shown, out)
    if flaky := flaky_line(comparison):
        out.print(Text(flaky, "dim"), soft_wrap=True)


def _print_changes(comparison: Comparison, count: str, shown: Sequence[ExampleChange], out: Console) -> None:
    out.print(Text(f"{phrases.WORST_FIRST} ({count})", "italic"))
    steps = [phrases.step(change, comparison) for change in shown]
    wide = max(map(len, steps))
    room = max(20, min(out.width - _INDENT, _LONGEST_VALUE))
    for change, step in zip(shown, steps, strict=True):
        said = f"{escaping.one_line(change.example_id, 40)}  {escaping.one_line(change.metric, 40)}"
        out.print(Text.assemble("  ", (f"{step:<{wide}}", "bold"), f"  {said}"), soft_wrap=True)
        for name, value, error in (
            ("input", change.input, None),
            ("expected", change.expected, None),
            ("baseline", change.baseline_output, change.baseline_error),
            ("candidate", change.candidate_output, change.candidate_error),
        ):
            if error is None and value is None:
                continue
            text = f"failed: {error}" if error else escaping.as_text(value, between=", ")
            shown_text = Text(escaping.one_line(text), "red" if error else "")
            shown_text.truncate(room, overflow="ellipsis")
            out.print(Text.assemble((f"      {name:<11}", "dim"), shown_text), soft_wrap=True)


def _console() -> Console:
    """The standard output. To a notebook's cell it goes as a text, in one piece."""
    out = Console()
    return Console(width=_PAPER, force_jupyter=False) if out.is_jupyter else out


def printed(show: Callable[[Console], None]) -> str:
    """What is printed on a console, as a text: no colours, as wide as the terminal is, if there is one."""
    width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else _PAPER
    out = io.StringIO()
    # Else rich would show it in a notebook's cell instead, for who only asks for the text.
    show(Console(file=out, width=width, color_system=None, highlight=False, emoji=False, force_jupyter=False))
    return out.getvalue().rstrip("\n")


def _name(text: str) -> str:
    return escape(escaping.one_line(text))
