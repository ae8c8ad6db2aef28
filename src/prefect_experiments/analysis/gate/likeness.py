"""What a gate says where the sides are not alike, and of labels: neither can be told to be for the worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prefect_experiments.analysis.comparison.said import label_comparisons, said_of_examples, said_of_labels
from prefect_experiments.analysis.gate.case import Case, LabelCase
from prefect_experiments.analysis.gate.clause import p_text
from prefect_experiments.analysis.gate.metric_rules import Metric
from prefect_experiments.analysis.label_texts import counted, quoted
from prefect_experiments.analysis.verdicts import Comparison, MetricCheck, Status

EXAMPLES = "same examples"


def all_left_out(comparison: Comparison | None) -> bool:
    """Whether nothing is left to compare, because every example that both sides ran has changed."""
    return comparison is not None and not comparison.n_pairs and bool(comparison.differences.left_out)


def nothing_left(name: str) -> str:
    """What is said of a metric or of labels then."""
    return f"{name} cannot be compared: every example that both sides ran has changed"


def likeness_checks(comparison: Comparison, least: float) -> Iterator[MetricCheck]:
    """What differs in the examples that both sides ran.

    Args:
        comparison: of the two.
        least: the share of the shared examples that must be left; with fewer, nobody can tell what the ones left out
            would have shown, and the verdict is inconclusive.
    """
    found = comparison.differences
    if said := said_of_examples(comparison):
        few = comparison.n_pairs < least * (comparison.n_pairs + found.left_out)
        more = f"; at least {100 * least:g} % of them must be left" if few else ""
        yield MetricCheck(name=EXAMPLES, status="inconclusive" if few else "passed", reason=f"{'; '.join(said)}{more}")


def unasked_checks(case: Case, rules: Mapping[str, Metric]) -> Iterator[MetricCheck]:
    """What was measured, and is not judged: the gate names other metrics, or one side lacks it.

    Args:
        case: what is judged.
        rules: of the metrics that the gate names; none, where all that both sides have are judged.
    """
    sides = [side for side in (case.baseline, case.candidate) if side is not None]
    measured = [list(dict.fromkeys((*side.metrics, *side.labels_only))) for side in sides]
    every = dict.fromkeys(name for names in measured for name in names)
    why: dict[str, str] = {}
    for name in every:
        if rules:
            if name not in rules:
                why[name] = "the gate does not name it"
        elif name not in case.metrics and name not in case.labels and case.baseline is not None:
            lacking = [
                side for side, names in zip(("baseline", "candidate"), measured, strict=True) if name not in names
            ]
            neither = "neither more nor less of it is better"
            why[name] = f"the {lacking[0]} does not have it" if lacking else neither
    for reason in dict.fromkeys(why.values()):
        names = ", ".join(name for name, found in why.items() if found == reason)
        yield MetricCheck(name="metrics", status="passed", reason=f"not judged, because {reason}: {names}")


def shifted_labels(comparison: Comparison) -> Iterator[MetricCheck]:
    """Labels that have shifted beside scores, which are what is judged."""
    for found in label_comparisons(comparison):
        if found.has_scores and found.verdict == "changed":
            said = f"{found.name}'s labels have shifted, {said_of_labels(found)}; its scores are judged"
            yield MetricCheck(name=found.name, status="passed", reason=said)


def label_check(case: LabelCase, rule: Metric, why: str | None = None) -> MetricCheck:
    """Of an evaluator that gives labels and no scores: whether they shift, which somebody has to look at.

    Args:
        case: the labels.
        rule: what the gate asks of it.
        why: why it cannot be compared.
    """
    found, name = case.labels, case.name
    rules = f"{{metrics: {{{quoted(name)}: {{positive: {quoted(case.commonest)}}}}}}}"
    good = f"say which labels are good, in the gate: {rules}"
    if rule.needs_mean:
        return MetricCheck(
            name=name, status="failed", reason=f"{name} gives labels and no scores, so it has no mean to judge; {good}"
        )
    if found is None:
        said = f"{name} {counted(case.counts)}: labels, and none is said to be good"
        status: Status = "inconclusive" if case.pending else "passed"
        return MetricCheck(name=name, status=status, reason=f"{said}; {case.pending}" if case.pending else said)
    figures = f"{name} {said_of_labels(found)}"
    if why:
        return MetricCheck(name=name, status="inconclusive", reason=why)
    if case.pending:
        return MetricCheck(name=name, status="inconclusive", reason=f"{name} cannot be judged yet: {case.pending}")
    if found.p_value is None:
        return MetricCheck(name=name, status="failed", reason=f"{name} cannot be judged: no example has a label of it")
    if case.family.rejects("labels", name):
        p_value = p_text(case.family.p_value("labels", name))
        text = f"{figures}: its labels have shifted ({p_value}), for better or worse; {good}"
        return MetricCheck(name=name, status="inconclusive", reason=text)
    if found.n_pairs < case.enough:
        text = f"{figures}: too few pairs to show any shift of labels; at least {case.enough:,} are needed"
        return MetricCheck(name=name, status="inconclusive", reason=text, examples_needed=case.enough)
    text = f"{found.n_moved:,} moved" if found.n_moved else "none moved"
    return MetricCheck(name=name, status="passed", reason=f"{figures}: {text}, no shift of labels shown")
