"""A comparison as a comment on a pull request."""

from __future__ import annotations

import re

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.comparison.said import label_comparisons
from prefect_experiments.analysis.verdicts import Comparison, Verdict
from prefect_experiments.reports import escaping, phrases
from prefect_experiments.reports.markdown import (
    likeness_lines,
    metric_table,
    moved_lines,
    reason_lines,
    side_lines,
    summary_markdown,
    worst_lines,
)

MARKER = "prefect-experiments"
WORST_SHOWN = 5
_LONGEST_COMMENT = 60_000  # GitHub refuses a comment beyond 65,536 characters
_SYMBOLS = {"passed": "✅", "failed": "❌", "inconclusive": "❔"}


def pull_request_comment(
    comparison: Comparison, *, marker: str = MARKER, worst: int = WORST_SHOWN, report: str | None = None
) -> str:
    """The verdict in the first line, a line for each metric (of many: that moved), the rest folded away.

    Args:
        comparison: what was compared.
        marker: a name for this comment, hidden in its last line as ``<!-- NAME -->``: a bot that
            finds it in a comment of its own updates that one. Use one for each experiment.
        worst: how many of the examples that got worse are shown.
        report: the address or the path of the HTML report, where there is one.
    """
    verdict = comparison.verdict
    symbol = _SYMBOLS[verdict.status] if verdict else "⚖️"
    lines = [
        f"{symbol} **{phrases.verdict_word(verdict)}**: {escaping.markdown(comparison.candidate.label)} "
        f"against {escaping.markdown(comparison.baseline.label)}",
        "",
        phrases.opening(comparison, escaping.markdown),
        "",
    ]
    for metric in phrases.worth_a_line(comparison):
        found = phrases.figures_of(metric)
        lines.append(f"- {phrases.metric_line(found, escaping.markdown(found.name))}")
    lines += [f"- {others}" for others in filter(None, [phrases.untold(comparison)])]
    labels = [escaping.sentence(phrases.label_line(one)) for one in label_comparisons(comparison)]
    lines += [f"- labels of {line}" for line in labels]
    if not comparison.metrics and not labels:
        lines.append("- no metric that both sides were scored on")
    if moved := moved_lines(comparison):
        lines += ["", *moved]
    if alike := likeness_lines(comparison):
        lines += ["", *alike]
    passed = verdict is not None and verdict.status == "passed"
    if verdict and not passed:
        lines += ["", "Why:", "", *reason_lines(verdict)]
    lines += ["", *_leading_on(comparison.candidate.url, comparison.candidate.flow_run_url, report)]
    lines += ["", "<details><summary>Details</summary>", "", *side_lines(comparison), "", *metric_table(comparison), ""]
    if verdict and passed:
        lines += ["Checks:", "", *reason_lines(verdict), ""]
    end = ["", "</details>", "", f"<!-- {marker_name(marker)} -->", ""]
    examples = worst_lines(comparison, worst)
    if len("\n".join([*lines, *examples, *end])) > _LONGEST_COMMENT:
        examples = ["", "The examples that got worse are too long for a comment; they are in the HTML report."]
    return "\n".join([*lines, *examples, *end])


def first_comment(
    ran: RanExperiment, verdict: Verdict | None = None, *, marker: str = MARKER, report: str | None = None
) -> str:
    """The comment where there is no baseline: the summary, and the marker for the bot that keeps it."""
    lines = [summary_markdown(ran, verdict), "", *_leading_on(ran.url, ran.flow_run_url, report)]
    return "\n".join([*lines, "", f"<!-- {marker_name(marker)} -->", ""])


def _leading_on(page: str | None, flow_run: str | None, report: str | None) -> list[str]:
    """Where there is more to see, in one line; nothing where there is nowhere."""
    places = [escaping.markdown_link(name, url) for name, url in (("Experiment", page), ("Flow run", flow_run)) if url]
    if report:
        is_address = escaping.web_address(report) is not None
        named = (
            escaping.markdown_link("Report", report) if is_address else f"Report: {escaping.code(report, longest=300)}"
        )
        places.append(named)
    return [", ".join(places)] if places else []


def marker_name(marker: str) -> str:
    """The marker as it stands in the comment: nothing in it can end an HTML comment."""
    return re.sub(r"[^\w .:/]+|-+", "-", marker).strip("- ") or MARKER
