"""What a notebook shows of a result: a small piece of HTML that needs nothing else, and shows texts as texts.

Everything is one `Card`: a title, the verdict where there is one, what is known in short, sentences, and tables of
which the first rows are shown. One template writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import singledispatch
from html import escape
from itertools import islice
from typing import Any

from prefect_experiments.analysis import Comparison, History, RanExperiment, Summary, Verdict, numbers
from prefect_experiments.analysis.comparison.said import label_comparisons
from prefect_experiments.models import Dataset
from prefect_experiments.pages import DatasetList, ExampleList, ExperimentList, ExperimentRunList, ListPage
from prefect_experiments.reports import history_words, phrases
from prefect_experiments.reports.escaping import as_text, one_line, web_address
from prefect_experiments.reports.html import environment
from prefect_experiments.reports.markdown import headline, less_note
from prefect_experiments.reports.spending import figures

EXAMPLES_SHOWN, ROWS_SHOWN, WORST_SHOWN = 5, 20, 5
LONGEST_TEXT = 160


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts.

    Attributes:
        columns: their names.
        rows: as many texts each.
        figures: the names of the columns of numbers, which stand at the right.
        total: rows that there are, where not all are shown.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: frozenset[str] = frozenset()
    title: str = ""
    total: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown of one thing.

    Attributes:
        verdict: the gate's, or nothing.
        facts: short, in one line.
        sentences: a line each.
        reasons: the verdict's, as a list.
        tables: below each other.
        notes: a quiet line each, at the end.
        link: to its page, where there is one.
    """

    title: str
    verdict: Verdict | None = None
    facts: Sequence[str] = ()
    sentences: Sequence[str] = ()
    reasons: Sequence[str] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    link: str | None = None


def html(value: Any) -> str:
    """What a notebook shows of a result."""
    cards = cards_of(value)
    if not cards:
        return f"<pre>{escape(repr(value))}</pre>"
    return environment().get_template("notebook.html").render(cards=cards, phrases=phrases)


@singledispatch
def cards_of(value: Any) -> list[Card]:  # noqa: ARG001 - by its type
    """What there is to show of a result; nothing of what is none."""
    return []


@cards_of.register
def _(value: Dataset) -> list[Card]:
    facts = [numbers.count(len(value), "example"), *([value.id] if value.id else [])]
    facts += [f"version {value.version_id}"] if value.version_id else []
    facts += [f"splits {', '.join(value.splits)}"] if value.splits else []
    said = [value.description] if value.description else []
    return [Card(value.name, facts=facts, sentences=said, tables=[_examples(value.examples, EXAMPLES_SHOWN)])]


@cards_of.register
def _(value: Summary) -> list[Card]:
    facts = [f"{numbers.share(value.n_runs, value.n_expected)} runs", f"{value.n_errors:,} failed"]
    return [Card("Summary", facts=facts, tables=_scores(value), notes=_notes(figures(value)))]


@cards_of.register
def _(value: RanExperiment) -> list[Card]:
    experiment, summary = value.experiment, value.summary
    whole = value.failures.every_call_of(value.asked)
    card = Card(
        experiment.name,
        verdict=value.verdict if value.comparison is None else None,
        facts=[f"on {experiment.dataset_name}", headline(value), experiment.id],
        sentences=[phrases.throughout(whole)] if whole else [],
        reasons=value.verdict.reasons if value.verdict is not None and value.comparison is None else (),
        tables=_scores(summary),
        notes=[*_notes(figures(summary)), *phrases.error_lines(value.failures)],
        link=web_address(value.url),
    )
    return [card, *(cards_of(value.comparison) if value.comparison is not None else [])]


@cards_of.register
def _(value: History) -> list[Card]:
    rows = [
        (
            history_words.moment(entry.created_at),
            entry.name,
            *(history_words.mean(entry.metrics.get(name)) for name in value.metrics),
            history_words.runs(entry),
            " ".join(filter(None, (history_words.verdict(entry), history_words.tags_given(entry)))),
        )
        for entry in value.entries[-ROWS_SHOWN:][::-1]
    ]
    table = _table(("UTC", "experiment", *value.metrics, "runs", "gate"), rows, total=len(value.entries))
    notes = [history_words.LEGEND, *history_words.remarks(value)]
    facts = [history_words.in_short(value)]
    return [Card(f"History of {value.dataset}", facts=facts, tables=[table] if rows else [], notes=notes)]


@cards_of.register
def _(value: Verdict) -> list[Card]:
    return [Card("", verdict=value, sentences=[phrases.verdict_sentence(value)], reasons=value.reasons)]


@cards_of.register
def _(value: Comparison) -> list[Card]:
    sides = f"{value.candidate.label} against {value.baseline.label}"
    labels = [f"labels of {phrases.label_line(one)}" for one in label_comparisons(value)]
    notes = [*phrases.correction_lines(value), *labels, *phrases.likeness(value)]
    for role, side in (("candidate", value.candidate), ("baseline", value.baseline)):
        notes.append(phrases.side_line(role, side))
    return [
        Card(
            sides if value.verdict else f"Compared: {sides}",
            verdict=value.verdict,
            sentences=[phrases.opening(value)],
            reasons=value.verdict.reasons if value.verdict else (),
            tables=[*_metrics(value), *_worst(value)],
            notes=notes,
            link=web_address(value.candidate.url),
        )
    ]


@cards_of.register(ListPage)
def _(value: ListPage[Any]) -> list[Card]:
    name = value.items_name.replace("_", " ")
    facts = [f"{len(value):,} {name}", *(["there are more"] if value.pagination.has_more else [])]
    return [Card("", facts=facts, tables=[_listed(value)] if len(value) else [])]


@singledispatch
def _listed(page: Any) -> Table:
    rows = [[_cell(item)] for item in islice(page, ROWS_SHOWN)]
    return Table([page.items_name], rows, total=len(page))


@_listed.register
def _(page: DatasetList) -> Table:
    columns = ("name", "examples", "versions", "updated", "id", "description")
    rows = [
        (d.name, numbers.count(d.example_count), numbers.count(d.version_count), d.updated_at, d.id, d.description)
        for d in islice(page, ROWS_SHOWN)
    ]
    return _table(columns, rows, {"examples", "versions"}, total=len(page))


@_listed.register
def _(page: ExperimentList) -> Table:
    columns = ("name", "dataset", "tags", "made", "id")
    rows = [(e.name, e.dataset_name, ", ".join(e.tags), e.created_at, e.id) for e in islice(page, ROWS_SHOWN)]
    return _table(columns, rows, total=len(page))


@_listed.register
def _(page: ExperimentRunList) -> Table:
    columns = ("example", "repetition", "output", "error", "latency")
    rows = [
        (r.example_id, str(r.repetition_number), r.output, r.error, numbers.duration(r.latency_ms))
        for r in islice(page, ROWS_SHOWN)
    ]
    return _table(columns, rows, {"repetition", "latency"}, total=len(page))


@_listed.register
def _(page: ExampleList) -> Table:
    return _examples(page.examples, ROWS_SHOWN)


def _examples(examples: Sequence[Any], shown: int) -> Table:
    rows = [(one.id, one.input, one.output, one.metadata or None) for one in examples[:shown]]
    return _table(("id", "input", "expected", "metadata"), rows, total=len(examples))


def _scores(summary: Summary) -> list[Table]:
    rows = [
        (
            name + less_note(one),
            numbers.score(one.mean),
            f"{one.n:,} of {one.n_expected:,}",
            numbers.plain(one.stderr),
            one.behind,
        )
        for name, one in summary.metrics.items()
    ]
    columns = ("evaluator", "mean", "of", "standard error", "what is behind it")
    return [_table(columns, rows, {"mean", "of", "standard error"})] if rows else []


def _metrics(comparison: Comparison) -> list[Table]:
    rows = [
        (f.name + f.direction_note, f.verdict, f.baseline, f.candidate, f.change, f.improved, f.regressed, f.p)
        for f in phrases.all_figures(comparison)
    ]
    columns = ("metric", "verdict", "baseline", "candidate", "difference", "better", "worse", "p")
    title = f"Differences with {numbers.percent(comparison.confidence)} intervals"
    return [_table(columns, rows, set(columns[2:]), title=title)] if rows else []


def _worst(comparison: Comparison) -> list[Table]:
    rows = [
        (
            phrases.step(change, comparison),
            change.example_id,
            change.metric,
            *(
                f"failed: {error}" if error else output
                for output, error in (
                    (change.baseline_output, change.baseline_error),
                    (change.candidate_output, change.candidate_error),
                )
            ),
            change.expected,
            change.input,
        )
        for change in phrases.worst_changes(comparison, WORST_SHOWN)
    ]
    columns = ("", "example", "metric", "baseline", "candidate", "expected", "input")
    return (
        [_table(columns, rows, title=phrases.WORST_FIRST, total=len(phrases.solid_changes(comparison)))] if rows else []
    )


def _table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    figures: Iterable[str] = (),
    *,
    title: str = "",
    total: int = 0,
) -> Table:
    """A table without the columns in which there is nothing."""
    cells = [[_cell(value) for value in row] for row in rows]
    kept = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    shown = [[row[place] for place in kept] for row in cells]
    return Table([columns[place] for place in kept], shown, frozenset(figures), title, total)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}"
    return one_line(as_text(dict(value) if isinstance(value, Mapping) else value, between=", "), LONGEST_TEXT)


def _notes(line: str) -> list[str]:
    return [line] if line else []
