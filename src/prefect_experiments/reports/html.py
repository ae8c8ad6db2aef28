"""The report as one HTML file that needs nothing else: no network, no font, no script from elsewhere.

The file forbids itself what it does not need: its Content-Security-Policy lets only its own style
and its own script run (by their hashes), and lets nothing be loaded. Texts of datasets and outputs
reach the page as data and are written as text, so markup in them shows as text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.verdicts import Comparison, Verdict
from prefect_experiments.reports import page, phrases
from prefect_experiments.reports.confusion import classifications
from prefect_experiments.reports.escaping import visible
from prefect_experiments.reports.figures import outline_of
from prefect_experiments.reports.page import Party
from prefect_experiments.reports.page_data import examples_data
from prefect_experiments.reports.report_model import ReportSide
from prefect_experiments.reports.slices import SLICES_MOVED, flaky_line, slice_lines

_SCRIPTS = ("diff.js", "table.js", "detail.js", "main.js")


def html_report(
    comparison: Comparison | None,
    candidate: ReportSide,
    baseline: ReportSide | None = None,
    *,
    title: str | None = None,
    classification: Any = None,
    verdict: Verdict | None = None,
) -> str:
    """The report of a comparison, or of one experiment, as an HTML document.

    Args:
        comparison: what is compared, with a gate's verdict or without; ``None`` for one experiment.
        candidate: the experiment the report is about.
        baseline: what it is compared with; its runs stand beside the candidate's.
        title: of the page; made from the sides' labels when left out.
        classification: a classification report, or several by name; see `confusion.classifications`.
        verdict: a gate's, where there is no comparison that has it: of a first run, without a baseline.

    Returns:
        The document. It holds at most `page_data.MOST_EXAMPLES` examples. Texts longer than `page_data.LONGEST_TEXT`
        are cut in it, and so are shorter ones where all texts together exceed `page_data.TEXT_BUDGET`. What is left
        out and what is cut says so.
    """
    return "".join(
        html_pieces(comparison, candidate, baseline, title=title, classification=classification, verdict=verdict)
    )


def html_pieces(
    comparison: Comparison | None,
    candidate: ReportSide,
    baseline: ReportSide | None = None,
    *,
    title: str | None = None,
    classification: Any = None,
    verdict: Verdict | None = None,
) -> Iterator[str]:
    """The document of `html_report` piece by piece: the examples are read as they are written, and never held."""
    parties = [Party("candidate", candidate)]
    if baseline is not None:
        parties.append(Party("baseline", baseline))
    sides = [party.side for party in parties]
    outline = outline_of([side.read for side in sides])
    data = examples_data(comparison, sides, outline)
    style, script = source("report.css"), Markup("\n").join(source(name) for name in _SCRIPTS)
    return (
        environment()
        .get_template("report.html")
        .generate(
            title=title or _title(comparison, candidate, baseline),
            policy=policy(style, script),
            style=style,
            script=script,
            comparison=comparison,
            verdict=comparison.verdict if comparison else verdict,
            parties=parties,
            two_sides=baseline is not None,
            data=data,
            metrics=page.metric_rows(comparison, parties, data.metrics) if comparison else [],
            compared_operations=page.operation_rows(comparison) if comparison else [],
            slices_moved=SLICES_MOVED,
            slices=slice_lines(comparison) if comparison else [],
            flaky=flaky_line(comparison) if comparison else "",
            summaries=page.summary_rows(parties[0]),
            counts=page.score_counts(parties),
            distributions=page.distributions(parties, outline),
            operations=page.operations(parties, outline),
            classifications=classifications(classification),
            made_at=datetime.now(UTC),
        )
    )


def _title(comparison: Comparison | None, candidate: ReportSide, baseline: ReportSide | None) -> str:
    against = comparison.baseline.label if comparison else baseline.label if baseline else ""
    return f"{candidate.label} against {against}" if against else candidate.label


def policy(style: str, script: str | None = None) -> str:
    """The page's Content-Security-Policy: nothing but its own style and, where it has one, its own script."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash(style)}",
            *([] if script is None else [f"script-src {_hash(script)}"]),
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def environment() -> Environment:
    """What reads the templates beside this module: every text that they are given is written as text."""
    environment = Environment(
        loader=PackageLoader("prefect_experiments.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.globals.update(numbers=numbers, phrases=phrases)
    return environment


def _finalize(value: Any) -> Any:
    """Text without characters that UTF-8 cannot hold or that reorder a line."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def source(name: str) -> Markup:
    """A file beside the templates, as it is: our own style or script."""
    text = (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - our own file
