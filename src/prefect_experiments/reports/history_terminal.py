"""A history on the terminal: one line an experiment, the newest last."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefect_experiments.analysis import History, HistoryEntry
from prefect_experiments.reports import history_words as words
from prefect_experiments.reports.escaping import one_line

ALARMS_SHOWN = 5
_STYLES = {"failed": "red", "inconclusive": "yellow", "passed": "green", None: ""}
_ARROW_STYLES = {words.WORSE: "red", words.BETTER: "green"}
_OF_METRIC, _OF_THE_REST = 24, 60
_HAS_ROOM, _BETWEEN = 60, 7
_LONGEST_NAME = 40


def print_history(history: History, console: Console) -> None:
    """Print the experiments as a table, why gates did not let some through, and what is not shown."""
    console.print(Text.assemble((one_line(history.dataset), "bold"), f"  {words.in_short(history)}"), soft_wrap=True)
    if history.entries:
        console.print(history_table(history, width=console.width))
        _print_alarms(history, console)
        console.print(Text(f"  {words.LEGEND}", "dim"), soft_wrap=True)
    for line in words.remarks(history):
        console.print(Text(f"  {one_line(line)}", "dim"), soft_wrap=True)


def history_table(history: History, *, width: int = 120) -> Table:
    """One row an experiment.

    Args:
        history: what is shown.
        width: of the terminal: where there is no room for a column a metric, each has a line of one column, and its
            name stands before it.
    """
    wide = width >= _OF_THE_REST + _OF_METRIC * len(history.metrics)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    if not wide:
        table = _narrow_head(table, history, width)
    else:
        table.add_column("UTC", no_wrap=True)
        table.add_column("experiment", overflow="fold", min_width=8)
        for name in history.metrics:
            table.add_column(Text(one_line(name, _LONGEST_NAME)), overflow="fold")
        table.add_column("failed", justify="right", no_wrap=True)
        table.add_column("gate", overflow="fold", min_width=6)
    for entry in history.entries:
        table.add_row(*(_wide_row if wide else _narrow_row)(history, entry))
    return table


def _narrow_head(table: Table, history: History, width: int) -> Table:
    """Three columns as wide as the terminal, in which no interval is broken as far as there is room."""
    lines = (
        f"{one_line(name, _LONGEST_NAME)} {words.mean(point)}"
        for entry in history.entries
        for name, point in entry.metrics.items()
    )
    longest, of_time = max(map(len, lines), default=0), 16 if width >= _HAS_ROOM else 10
    rest = width - of_time - _BETWEEN
    of_metrics = min(longest, max(12, rest - 12)) if history.metrics else 0
    table.add_column("UTC, experiment", overflow="fold", width=of_time)
    if history.metrics:
        table.add_column("metrics", overflow="fold", width=of_metrics)
    table.add_column("gate", overflow="fold", width=max(6, rest - of_metrics))
    return table


def _wide_row(history: History, entry: HistoryEntry) -> list[Text]:
    failed = f"{entry.n_errors:,} of {entry.n_runs:,}" if entry.state == "complete" else words.runs(entry)
    return [
        Text(words.moment(entry.created_at)),
        Text(one_line(entry.name, _LONGEST_NAME)),
        *(_metric(entry, name) for name in history.metrics),
        Text(failed, "red" if entry.n_errors or entry.state != "complete" else ""),
        _verdict(entry, "  "),
    ]


def _narrow_row(history: History, entry: HistoryEntry) -> list[Text]:
    there = [name for name in history.metrics if name in entry.metrics]
    lines = [Text.assemble(f"{one_line(name, _LONGEST_NAME)} ", _metric(entry, name)) for name in there]
    bad = [Text(words.runs(entry), "red")] if entry.n_errors or entry.state != "complete" else []
    cells = [Text(f"{words.moment(entry.created_at)}\n{one_line(entry.name, _LONGEST_NAME)}")]
    if history.metrics:
        cells.append(Text("\n").join([*lines, *bad]))
    elif bad:
        cells[0] = Text("\n").join([cells[0], *bad])
    return [*cells, _verdict(entry, "\n")]


def _metric(entry: HistoryEntry, name: str) -> Text:
    text = words.mean(entry.metrics.get(name))
    return Text(text, _ARROW_STYLES.get(text[-1], ""))


def _verdict(entry: HistoryEntry, between: str) -> Text:
    said, tags = words.verdict(entry), words.tags_given(entry)
    return Text.assemble(
        (one_line(said), _STYLES[entry.gate]), between if said and tags else "", (one_line(tags), "bold")
    )


def _print_alarms(history: History, console: Console) -> None:
    alarms = [entry for entry in history.entries if entry.is_alarm]
    if len(alarms) > ALARMS_SHOWN:
        console.print(Text(f"the last {ALARMS_SHOWN} of {len(alarms):,} alarms:"), soft_wrap=True)
    for entry in alarms[-ALARMS_SHOWN:]:
        head = f"{words.gate_mark(entry)} {words.moment(entry.created_at)}"
        name = f"{one_line(words.baseline_name(entry), _LONGEST_NAME)}{words.pooled(entry)}"
        against = f" against {name}" if entry.baseline else ""
        said = f"  {one_line(entry.name, _LONGEST_NAME)}{against}: "
        why = "; ".join(words.reasons(entry)) or "why was not kept"
        console.print(Text.assemble((head, _STYLES[entry.gate]), said, one_line(why)), soft_wrap=True)
