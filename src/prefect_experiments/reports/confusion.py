"""Classification reports as the page shows them: figures, the confusion matrix, tables by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_experiments.analysis import numbers
from prefect_experiments.reports.escaping import absent, one_line

_LONGEST_LABEL = 60
# Told elsewhere on the page, or how a figure was made rather than one.
_NOT_FIGURES = {"labels", "matrix", "confusion", "notes", "truth", "prediction", "confidence", "interval_method"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A count of the matrix; `shade` is its share of the row in tenths."""

    n: int
    shade: int
    hit: bool


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """The runs with one actual label."""

    label: str
    cells: Sequence[Cell]
    of: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its interval, or without."""

    name: str
    value: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of a table of figures."""

    label: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class FigureTable:
    """Figures of several labels, or of several averages."""

    name: str
    columns: Sequence[str]
    rows: Sequence[TableRow]


@dataclass(frozen=True, slots=True)
class Classification:
    """One classification report."""

    name: str
    fields: str
    labels: Sequence[str]
    rows: Sequence[MatrixRow]
    figures: Sequence[Figure]
    tables: Sequence[FigureTable]
    notes: Sequence[str]


def classifications(reports: Any) -> list[Classification]:
    """Confusion matrices with their figures.

    Args:
        reports: a classification report, or a mapping of several by name. A report is a
            `ClassificationReport`, or a mapping with ``labels`` and ``matrix`` (a row an actual
            label, a column a predicted one); numbers beside them are figures (with
            ``NAME_ci_low`` and ``NAME_ci_high`` for an interval), mappings of numbers are
            averages, lists or mappings of such are tables, ``notes`` are sentences.
    """
    plain = _plain(reports)
    if not isinstance(plain, Mapping):
        return []
    named = {"": plain} if "labels" in plain else {str(name): _plain(report) for name, report in plain.items()}
    return [_classification(name, report) for name, report in named.items() if isinstance(report, Mapping)]


def _classification(name: str, report: Mapping[str, Any]) -> Classification:
    labels = [_label(label) for label in report.get("labels", ())]
    matrix = report.get("matrix", report.get("confusion", ()))
    fields = f"{report['prediction']} against {report['truth']}" if {"truth", "prediction"} <= report.keys() else ""
    return Classification(
        name=name,
        fields=fields,
        labels=labels,
        rows=_matrix(labels, [[int(n) for n in row] for row in matrix]),
        figures=_figures(report),
        tables=_tables(report),
        notes=[str(note) for note in report.get("notes", ())],
    )


def _matrix(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[MatrixRow]:
    rows = []
    for actual, counts in enumerate(matrix):
        of = sum(counts)
        # Shades are classes, by tenths: the page's policy forbids styles on elements.
        cells = [Cell(n, round(10 * n / of) if of else 0, predicted == actual) for predicted, n in enumerate(counts)]
        rows.append(MatrixRow(labels[actual], cells, of))
    return rows


def _figures(report: Mapping[str, Any]) -> list[Figure]:
    figures = []
    for key, value in report.items():
        if key in _NOT_FIGURES or key.endswith(("_ci_low", "_ci_high")) or not _is_number(value):
            continue
        low, high = report.get(f"{key}_ci_low"), report.get(f"{key}_ci_high")
        interval = "" if absent(low) or absent(high) else f"[{numbers.score(low)}, {numbers.score(high)}]"
        name = _words(key.removeprefix("n_")) if key != "n" else "compared"
        figures.append(Figure(name, _number(value), interval))
    return figures


def _tables(report: Mapping[str, Any]) -> list[FigureTable]:
    tables, averages = [], {}
    for key, value in report.items():
        value = _plain(value)
        if key in _NOT_FIGURES or not value:
            continue
        if isinstance(value, Mapping):
            if all(isinstance(part, Mapping) for part in value.values()):
                tables.append(_table(_words(key), {str(label): part for label, part in value.items()}))
            else:
                averages[_words(key)] = value
        elif isinstance(value, list | tuple) and all(isinstance(_plain(part), Mapping) for part in value):
            named = [dict(_plain(part)) for part in value]
            tables.append(
                _table(_words(key), {str(part.pop("label", place)): part for place, part in enumerate(named)})
            )
    return [*tables, *([_table("averages", averages)] if averages else [])]


def _table(name: str, rows: Mapping[str, Mapping[str, Any]]) -> FigureTable:
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [TableRow(_label(label), [_number(row.get(column)) for column in columns]) for label, row in rows.items()]
    return FigureTable(name, [_words(column) for column in columns], lines)


def _plain(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") and not isinstance(value, Mapping) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not absent(value)


def _number(value: Any) -> str:
    if not _is_number(value):
        return numbers.NOTHING if value is None else _label(value)
    return numbers.count(value) if isinstance(value, int) else numbers.score(value)


def _label(value: Any) -> str:
    return one_line(str(value), _LONGEST_LABEL) or "(empty)"


def _words(name: str) -> str:
    return name.replace("_", " ")
