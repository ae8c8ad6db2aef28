"""Reports as files: a page for people, XML for a build server, a comment for a pull request."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from prefect_experiments.analysis import History, RanExperiment
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.analysis.verdicts import Comparison, Verdict
from prefect_experiments.errors import InvalidInput, InvalidSetting
from prefect_experiments.files import write_file
from prefect_experiments.reports.history_page import history_pieces
from prefect_experiments.reports.html import html_pieces
from prefect_experiments.reports.junit import junit_xml
from prefect_experiments.reports.pull_request import first_comment, pull_request_comment
from prefect_experiments.reports.report_model import ReportSide, report_side, table_side

Form = Literal["page", "junit", "comment"]
FORM_OF: dict[str, Form] = {".html": "page", ".htm": "page", ".xml": "junit", ".md": "comment"}


def write_report(
    results: Any,
    path: str | os.PathLike[str],
    *,
    form: Form | None = None,
    baseline: Any = None,
    comparison: Comparison | None = None,
    verdict: Verdict | None = None,
    classification: Any = None,
    title: str | None = None,
    page: str | None = None,
) -> Path:
    """Write a report on an experiment to a file, whole or not at all; folders that are missing are made.

    Args:
        results: the experiment: a `RanExperiment`, or a table of results (a DataFrame, rows or a
            file) shaped like ``RanExperiment.to_dataframe()``. Or a `History`, of which there is a page alone.
        path: of the file, which is replaced where it is there.
        form: ``"page"``, an HTML page in one file; ``"junit"``, XML for the test page of a build
            server; ``"comment"``, Markdown for a pull request. Default, by the path's ending:
            ``.html``, ``.xml``, ``.md``.
        baseline: what it is compared with, given likewise; default, the experiment's own.
        comparison: of the two; default, the experiment's own.
        verdict: a gate's, where there is no comparison that has it; default, the experiment's own.
        classification: a `ClassificationReport`, or several by name; for the page.
        title: of the page; made from the names when left out.
        page: for the comment, the address or the path of the HTML page, where there is one.

    Returns:
        The path that was written.

    Raises:
        InvalidInput: an ending that says no form, a table that cannot be used, or a history in another form.
        InvalidSetting: the file cannot be written there, or the comment has nothing to say.
    """
    target = Path(path)
    form = form or FORM_OF.get(target.suffix.lower())
    if form is None:
        raise InvalidInput(
            f"a report ends in {', '.join(FORM_OF)}, got {str(target)!r}; name the file so, or say the form"
        )
    if isinstance(results, History):
        if form != "page":
            raise InvalidInput(f"a history is written as an HTML page, got {str(target)!r}; name the file .html")
        return _write(target, history_pieces(results, title=title))
    if isinstance(results, RanExperiment):
        comparison = comparison or results.comparison
        baseline = results.baseline if baseline is None else baseline
        verdict = verdict or results.verdict
    pieces: Iterable[str]
    if form == "page":
        pieces = html_pieces(
            comparison,
            _side(results),
            None if baseline is None else _side(baseline),
            title=title,
            classification=classification,
            verdict=None if comparison else verdict,
        )
    elif form == "junit":
        pieces = [junit_xml(comparison) if comparison else _alone(_side(results), verdict)]  # no run is read for it
    else:
        pieces = [pull_request_comment(comparison, report=page) if comparison else _first(results, verdict, page)]
    return _write(target, pieces)


def _write(target: Path, pieces: Iterable[str]) -> Path:
    write_file(target, lambda file: file.writelines(piece.encode() for piece in pieces), make_folders=True)
    return target


def _side(source: Any) -> ReportSide:
    if isinstance(source, ReportSide):
        return source
    if isinstance(source, RanExperiment):
        return report_side(source)
    return table_side(source if isinstance(source, ResultTable) else result_table(source))


def _alone(side: ReportSide, verdict: Verdict | None) -> str:
    return junit_xml(side.summary, name=side.label, verdict=verdict)


def _first(results: Any, verdict: Verdict | None, page: str | None) -> str:
    if not isinstance(results, RanExperiment):
        raise InvalidSetting("a comment on a table of results needs something to compare with; give a baseline")
    return first_comment(results, verdict, report=page)
