"""The last nights of a history in Markdown, for Prefect's artifacts."""

from __future__ import annotations

from prefect_experiments.analysis import History, HistoryEntry, numbers
from prefect_experiments.reports import escaping
from prefect_experiments.reports import history_words as words
from prefect_experiments.reports.escaping import markdown as plain
from prefect_experiments.reports.escaping import web_address

NIGHTS_SHOWN = 30
METRICS_SHOWN = 4  # Prefect's page has room for about 700 pixels, and hides the rest


def history_markdown(history: History) -> str:
    """A line of bars for each metric, then one row an experiment, the newest first; nothing of any example."""
    entries = history.entries[-NIGHTS_SHOWN:]
    shown = history.metrics[:METRICS_SHOWN]
    lines = [f"# History of {plain(history.dataset)}", "", f"{words.in_short(history)}.", ""]
    if not entries:
        return "\n".join(lines)
    lines += [_line(history, name) for name in history.metrics]
    head = ["UTC", "experiment", *(plain(name, longest=40, cell=True) for name in shown), "failed", "gate"]
    lines += ["", f"| {' | '.join(head)} |", f"|---|---|{'--:|' * len(shown)}--:|---|"]
    lines += [f"| {' | '.join(_cells(entry, shown))} |" for entry in reversed(entries)]
    return "\n".join([*lines, "", words.LEGEND, *(["", *_remarks(history)] if words.remarks(history) else [])])


def _remarks(history: History) -> list[str]:
    return [f"- {escaping.sentence(line)}" for line in words.remarks(history)]


def _line(history: History, name: str) -> str:
    """Such as ``- correct ▂▃▅▇ 0.81 to 0.86, now 0.85``."""
    points = [entry.metrics.get(name) for entry in history.entries[-NIGHTS_SHOWN:]]
    means = [None if point is None else point.mean for point in points]
    known = [mean for mean in means if mean is not None]
    if not known:
        return f"- {plain(name)}: no scores"
    ends = f"{numbers.score(min(known))} to {numbers.score(max(known))}, last {numbers.score(known[-1])}"
    # In code, where a space stays one: it stands for a night without a score.
    return f"- {plain(name)} {escaping.code(words.sparkline(means).replace(' ', '·'))} {ends}"


def _cells(entry: HistoryEntry, metrics: tuple[str, ...]) -> list[str]:
    name, page = plain(entry.name, longest=60, cell=True), web_address(entry.flow_run_url)
    said = " ".join(filter(None, (words.verdict(entry), words.tags_given(entry))))
    return [
        words.moment(entry.created_at),
        f"{name} {escaping.markdown_link('run', page)}" if page else name,
        *(words.mean(entry.metrics.get(metric)) for metric in metrics),
        f"{entry.n_errors:,} of {entry.n_runs:,}",
        escaping.sentence(said, longest=200),
    ]
