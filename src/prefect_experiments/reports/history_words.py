"""What is said of the experiments of a history: the same words and marks on the terminal, on pages and in artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prefect_experiments.analysis import History, HistoryEntry, numbers
from prefect_experiments.analysis.comparison.said import runs_of_pool
from prefect_experiments.analysis.history import MetricPoint, TagPeriod
from prefect_experiments.display import some

PROMOTED, FAILED, UNSURE, PASSED = "★", "✗", "?", "✓"
WORSE, BETTER, CHANGED = "▼", "▲", "≠"
LEGEND = (
    f"{FAILED} the gate failed, {UNSURE} it could not tell; {WORSE} it failed the metric, {BETTER} it is better than "
    f"the baseline's; {PROMOTED} the experiment got a tag. Times are in UTC, means with 95% intervals."
)
_MARKS = {"failed": FAILED, "inconclusive": UNSURE, "passed": PASSED}
_MOST_NAMED = 5


def moment(at: datetime) -> str:
    """Such as ``2026-11-29 02:00``; in UTC."""
    return f"{at:%Y-%m-%d %H:%M}"


def arrow(point: MetricPoint) -> str:
    """What the gate made of the metric, if that is worth a mark."""
    if point.check == "failed":
        return WORSE
    return BETTER if point.moved == "improved" else ""


def mean(point: MetricPoint | None) -> str:
    """Such as ``0.840 [0.810, 0.870] ▼``; a dash where the experiment has no score of it."""
    if point is None:
        return numbers.NOTHING
    interval = f" [{numbers.mean(point.ci_low)}, {numbers.mean(point.ci_high)}]" if point.ci_low is not None else ""
    return f"{numbers.mean(point.mean)}{interval} {arrow(point)}".rstrip()


def runs(entry: HistoryEntry, called: str = "") -> str:
    """Such as ``2 of 200 failed``, and what was not made.

    Args:
        entry: the experiment.
        called: what they are called, where no heading says so: ``2 of 200 runs failed``.
    """
    if not entry.n_runs:
        return "no runs"
    missing = entry.n_expected - entry.n_runs
    failed = " ".join(filter(None, (f"{entry.n_errors:,} of {entry.n_runs:,}", called, "failed")))
    return failed + (f", {missing:,} not made" if missing > 0 else "")


def gate_mark(entry: HistoryEntry) -> str:
    """A gate's verdict as one character; nothing where none has judged."""
    return _MARKS[entry.gate] if entry.gate else ""


def open_checks(entry: HistoryEntry) -> str:
    """What the gate did not pass, by name, such as ``correct, error rate``."""
    return ", ".join(dict.fromkeys(check.name for check in entry.checks if check.status != "passed"))


def verdict(entry: HistoryEntry) -> str:
    """Such as ``✗ failed: correct``; nothing where no gate has judged it."""
    if entry.gate is None:
        return ""
    names = open_checks(entry) if entry.gate != "passed" else ""
    through = ", let through" if entry.gate == "inconclusive" and entry.exit_code == 0 else ""
    return f"{gate_mark(entry)} {entry.gate}{through}" + (f": {names}" if names else "")


def tags_given(entry: HistoryEntry) -> str:
    """Such as ``★ baseline``: each tag that it was ever given, as far as that was kept."""
    names = dict.fromkeys(period.tag for period in entry.promotions)
    return f"{PROMOTED} {', '.join(names)}" if names else ""


def baseline(entry: HistoryEntry) -> str:
    """What it was compared with, such as ``night-1, pooled of 4 of 5 runs``."""
    return f"{baseline_name(entry)}{pooled(entry)}"


def baseline_name(entry: HistoryEntry) -> str:
    """What it was compared with by its name; nothing where there was none."""
    found = entry.baseline
    if found is None:
        return ""
    return f"{found.name} (deleted)" if found.id and not found.is_there else found.name


def pooled(entry: HistoryEntry) -> str:
    """Of how many runs the baseline was, such as ``, pooled of 4 of 5 runs``; nothing where that was not asked for."""
    found = entry.baseline.pooled if entry.baseline else None
    if found is None:
        return ""
    n = 1 + len(found.runs)
    return f", pooled of {n} of {found.asked} runs" if n < found.asked else f", pooled of {n} runs"


def pool(entry: HistoryEntry) -> str:
    """Which runs these were, and why there were no more, as a sentence; nothing where that was not asked for."""
    found = entry.baseline
    return f"The baseline was {runs_of_pool(found.pooled, found.name)}" if found and found.pooled else ""


def reasons(entry: HistoryEntry) -> Sequence[str]:
    """Why the gate said so: of what it did not pass, where anything is."""
    open_ones = [check.reason for check in entry.checks if check.status != "passed"]
    return open_ones or entry.reasons


def in_short(history: History) -> str:
    """Such as ``30 experiments, 28 judged: 2 failed, 1 inconclusive; 4 times a tag was given``."""
    entries = history.entries
    if not entries:
        return "no experiments"
    judged = [entry for entry in entries if entry.gate is not None]
    counts = [(word, sum(entry.gate == word for entry in judged)) for word in ("failed", "inconclusive")]
    said = ", ".join(f"{n:,} {word}" for word, n in counts if n) or "all passed"
    given = sum(len(entry.promotions) for entry in entries)
    return "; ".join(
        [
            numbers.count(len(entries), "experiment") + (f", {len(judged):,} judged: {said}" if judged else ""),
            *([numbers.count(given, "tag was given", "tags were given")] if given else []),
        ]
    )


def remarks(history: History) -> list[str]:
    """What is to be said besides: what is not shown, and what is known of it."""
    lines = [text for text in [_of_newest(history)] if text]
    if history.n_earlier:
        lines.append(f"{numbers.count(history.n_earlier, 'experiment')} not asked for")
    if there := history.only_at_backend:
        lines.append(
            f"Only at the backend, and so not in this history: {some(there, _MOST_NAMED)}; "
            "`prefect-experiments show` of one brings it here"
        )
    here = {entry.id for entry in history.entries}
    gone = [period for period in history.promotions if period.experiment_id not in here]
    lines += [_elsewhere(period) for period in gone[-_MOST_NAMED:]]
    return [*lines, *history.notes]


def _of_newest(history: History) -> str:
    said = pool(history.entries[-1]) if history.entries else ""
    return f"Of the newest experiment, {said[0].lower()}{said[1:]}" if said else ""


def _elsewhere(period: TagPeriod) -> str:
    until = f" to {moment(period.until)}" if period.until else ""
    return f"{PROMOTED} {period.tag} was at {period.experiment_id}, not shown here, from {moment(period.since)}{until}"


def sparkline(values: Sequence[float | None]) -> str:
    """A line of bars, as high as the values lie between the lowest and the highest; a gap where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    bars = "▁▂▃▄▅▆▇█"
    return "".join(
        " " if value is None else bars[round((value - low) / (high - low) * 7) if high > low else 3] for value in values
    )
