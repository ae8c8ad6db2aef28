"""A comparison or a summary as JUnit XML, for the test page of a CI service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from prefect_experiments.analysis import MetricSummary, Summary, numbers
from prefect_experiments.analysis.comparison.said import label_comparisons, said_of_pool
from prefect_experiments.analysis.entries import Passing
from prefect_experiments.analysis.gate.pass_rule import PassThreshold
from prefect_experiments.analysis.verdicts import Comparison, MetricComparison, Side, Verdict
from prefect_experiments.reports import phrases
from prefect_experiments.reports.escaping import visible
from prefect_experiments.reports.passing import entry_name, entry_reasons


def junit_xml(results: Comparison | Summary, *, name: str | None = None, verdict: Verdict | None = None) -> str:
    """One test case for each check of the gate and for each metric; and for each entry, where the gate has a pass rule.

    What the gate does not let through is a failure, with its reason. Without a gate, a metric that
    regressed is one. An inconclusive check that the gate lets through, and a metric without data
    or one that cannot be compared, are skipped. Failed task runs are an error where no gate rules on
    them. Figures stand in the properties of each case and in its output.

    Args:
        results: a comparison, or the summary of one experiment.
        name: of the test suite; the candidate's label, or ``experiment``.
        verdict: a gate's on a summary: of a first run, without a baseline.

    Returns:
        An XML document, valid whatever characters the names and reasons have.
    """
    if isinstance(results, Comparison):
        suite = _suite(name or results.candidate.label)
        _comparison(suite, results)
    else:
        suite = _suite(name or "experiment")
        _summary(suite, results, verdict)
    cases = suite.findall("testcase")
    for tag, total in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(total, str(sum(1 for case in cases if case.find(tag) is not None)))
    suite.set("tests", str(len(cases)))
    suites = Element("testsuites", {key: suite.attrib[key] for key in ("tests", "failures", "errors", "skipped")})
    suites.append(suite)
    indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _comparison(suite: Element, comparison: Comparison) -> None:
    verdict = comparison.verdict
    figures: dict[str, object] = {
        "baseline": comparison.baseline.label,
        "candidate": comparison.candidate.label,
        "shared examples": comparison.n_pairs,
        "only in baseline": len(comparison.only_in_baseline),
        "only in candidate": len(comparison.only_in_candidate),
        "baseline task errors": _errors(comparison.baseline),
        "left out": comparison.differences.left_out,
        "candidate task errors": _errors(comparison.candidate),
        "verdict": verdict.status if verdict else "no gate",
        **({"pooled": pool} if (pool := said_of_pool(comparison)) else {}),
    }
    _properties(suite, figures)
    if verdict:
        _checks(suite, verdict)
        _entries(suite, comparison.candidate.passing, verdict)
    for metric in comparison.metrics.values():
        _metric(suite, metric, decides=verdict is None)
    for labels in label_comparisons(comparison):
        if labels.has_scores:  # they are a metric, with a case of its own
            continue
        _output(_case(suite, "labels", labels.name), phrases.label_line(labels))
    if verdict is None:
        _task_runs(suite, comparison.candidate.n_errors, comparison.candidate.n_runs)


def _errors(side: Side) -> str:
    return numbers.share(side.n_errors, side.n_runs)


def _checks(suite: Element, verdict: Verdict) -> None:
    for check in verdict.checks:
        case = _case(suite, "gate", check.name)
        if check.status == "failed" or (check.status == "inconclusive" and verdict.exit_code):
            _add(case, "failure", check.reason, check.status)
        elif check.status == "inconclusive":
            _add(case, "skipped", check.reason)
        _output(case, check.reason)
    if verdict.exit_code and all(check.status == "passed" for check in verdict.checks):
        # A verdict that no single check explains must not look like a green suite.
        case = _case(suite, "gate", "verdict")
        _add(case, "failure", "; ".join(verdict.reasons) or verdict.status, verdict.status)


def _entries(suite: Element, passing: Passing | None, verdict: Verdict) -> None:
    """A case for each entry, where the gate asks whether it passes; one that fails is skipped where that is allowed."""
    if passing is None:
        return
    refused = verdict.exit_code and any(c.name == PassThreshold.called and c.status != "passed" for c in verdict.checks)
    for entry in passing.entries:
        case = _case(suite, "entries", f"[{entry.number}] {entry_name(entry)}")
        _properties(
            case, {"example": entry.example_id, **{one.evaluator: passing.written(one) for one in entry.scores}}
        )
        if entry.outcome != "passed":
            tag = "failure" if entry.outcome == "failed" and refused else "skipped"
            _add(case, tag, entry_reasons(passing, entry), entry.outcome if tag == "failure" else "")


def _metric(suite: Element, metric: MetricComparison, *, decides: bool) -> None:
    found = phrases.figures_of(metric)
    case = _case(suite, "metrics", metric.name)
    shown = ("baseline", "candidate", "difference", "interval", "p", "pairs", "improved", "regressed", "ties")
    _properties(case, {key: getattr(found, key) for key in (*shown, "verdict")})
    line = phrases.metric_line(found)
    if metric.verdict in ("no data", "not comparable"):
        _add(case, "skipped", line)
    elif metric.verdict == "regressed" and decides:
        _add(case, "failure", line, "regressed")
    _output(case, line)


def _summary(suite: Element, summary: Summary, verdict: Verdict | None) -> None:
    made = numbers.share(summary.n_runs, summary.n_expected)
    _properties(suite, {"examples": summary.n_examples, "runs made": made, "task errors": summary.n_errors})
    if verdict:
        _checks(suite, verdict)
        _entries(suite, verdict.passing, verdict)
    for name, metric in summary.metrics.items():
        case = _case(suite, "metrics", name)
        _properties(case, _counts(metric))
        if metric.mean is None:
            _add(case, "skipped", str(metric))
        _output(case, str(metric))
    if verdict is None:
        _task_runs(suite, summary.n_errors, summary.n_runs)


def _counts(metric: MetricSummary) -> Mapping[str, object]:
    return {
        "mean": numbers.score(metric.mean),
        "scored": f"{metric.n} of {metric.n_expected}",
        "task errors": metric.n_task_errors,
        "evaluator errors": metric.n_errors,
        "pending": metric.n_pending,
        "missing": metric.n_missing,
    }


def _task_runs(suite: Element, failed: int, made: int) -> None:
    case = _case(suite, "task", "task runs")
    text = f"{numbers.share(failed, made)} runs failed"
    if failed:
        _add(case, "error", text, "task error")
    _output(case, text)


def _suite(name: str) -> Element:
    return Element("testsuite", {"name": visible(name), "tests": "0"})


def _case(suite: Element, group: str, name: str) -> Element:
    return SubElement(suite, "testcase", {"classname": group, "name": visible(name), "time": "0"})


def _add(case: Element, tag: str, message: str, kind: str = "") -> None:
    attributes = {"message": visible(message)} | ({"type": kind} if kind else {})
    SubElement(case, tag, attributes).text = visible(message) if tag != "skipped" else None


def _output(case: Element, text: str) -> None:
    SubElement(case, "system-out").text = visible(text)


def _properties(parent: Element, values: Mapping[str, object] | Iterable[tuple[str, object]]) -> None:
    properties = SubElement(parent, "properties")
    for key, value in dict(values).items():
        SubElement(properties, "property", {"name": key, "value": visible(str(value))})
