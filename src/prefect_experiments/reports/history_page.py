"""The history of a dataset as one HTML file that needs nothing else, and no JavaScript either."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from markupsafe import Markup

from prefect_experiments.analysis import History
from prefect_experiments.reports import history_words as words
from prefect_experiments.reports import timeline
from prefect_experiments.reports.escaping import web_address
from prefect_experiments.reports.html import environment, policy, source

_NOT_ALWAYS_KNOWN = ("latency_p95_ms", "cost", "git_commit")  # what no experiment has gets no column


def history_pieces(history: History, *, title: str | None = None) -> Iterator[str]:
    """The page piece by piece: a chart of each metric, and below them a table of the experiments, the newest first.

    Args:
        history: what is shown.
        title: of the page; the dataset's name when left out.
    """
    style = source("report.css") + Markup("\n") + source("history.css")
    return (
        environment()
        .get_template("history.html")
        .generate(
            title=title or f"History of {history.dataset}",
            policy=policy(style),
            style=style,
            history=history,
            known={name: any(entry[name] is not None for entry in history.entries) for name in _NOT_ALWAYS_KNOWN},
            charts=[timeline.timeline(history, name) for name in history.metrics],
            top=timeline.TOP,
            bottom=timeline.BOTTOM,
            height=timeline.HEIGHT,
            words=words,
            web_address=web_address,
            made_at=datetime.now(UTC),
        )
    )
