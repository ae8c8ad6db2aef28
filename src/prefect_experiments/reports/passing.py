"""Which entries pass, line by line, as pixie prints it."""

from __future__ import annotations

from collections.abc import Iterator

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.entries import Entry, EntryOutcome, EntryScore, Passing
from prefect_experiments.reports.escaping import error_text, one_line

_MARKS: dict[EntryOutcome, str] = {"passed": "✓", "failed": "✗", "pending": "…"}
_LONGEST_NAME = 80
_LONGEST_WHY = 400


def passing_lines(found: Passing) -> Iterator[str]:
    """A line an entry, under one that fails or waits the reasons; at the end the counts."""
    for entry in found.entries:
        yield _line(found, entry)
        yield from (f"      {line}" for line in _reasons(found, entry))
    yield passing_counts(found)


def passing_counts(found: Passing) -> str:
    """Such as ``2/5 passed | 1 pending``."""
    parts = [f"{found.n_passed}/{len(found.entries)} passed"]
    if found.n_pending:
        parts.append(f"{found.n_pending:,} pending")
    if found.n_unjudged:
        parts.append(f"{numbers.count(found.n_unjudged, 'entry', 'entries')} without {one_line(found.lacking)}")
    return " | ".join(parts)


def entry_name(entry: Entry) -> str:
    """What an entry is about, else its id."""
    return one_line(entry.description or entry.example_id, _LONGEST_NAME)


def entry_reasons(found: Passing, entry: Entry) -> str:
    """All that keeps an entry from passing, in one text."""
    return "; ".join(_reasons(found, entry))


def _line(found: Passing, entry: Entry) -> str:
    """Such as ``[1] Asks for a refund (Factuality, ExactMatch) [0.50, 0.75] ✓``."""
    parts = [f"[{entry.number}] {entry_name(entry)}"]
    if entry.scores:
        parts.append(f"({', '.join(one_line(score.evaluator, 60) for score in entry.scores)})")
        parts.append(f"[{', '.join(_short(found, score) for score in entry.scores)}]")
    return " ".join([*parts, _MARKS[entry.outcome]])


def _short(found: Passing, score: EntryScore) -> str:
    if score.outcome == "pending":
        return "pending"
    return "error" if score.error is not None else found.written(score)


def _reasons(found: Passing, entry: Entry) -> Iterator[str]:
    if entry.why:
        yield entry.why + (f": {error_text(entry.error)}" if entry.error else "")
    for score in entry.scores:
        if score.outcome != "passed":
            yield _reason(found, score)


def _reason(found: Passing, score: EntryScore) -> str:
    name = one_line(score.evaluator, 60)
    if score.criteria is not None:
        return f"{name} is pending: {one_line(score.criteria, _LONGEST_WHY)}"
    if score.error is not None:
        return f"{name} failed: {error_text(score.error)}"
    said = score.why or found.written(score)
    explanation = f": {one_line(score.explanation, _LONGEST_WHY)}" if score.explanation else ""
    return f"{name} {said}{explanation}"
