"""What is said of sides that are not alike: one sentence for each thing, the same in a verdict and in every report."""

from __future__ import annotations

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.corrected import (
    CHOSEN,
    FEWEST_LABELS,
    NOT_BY_PEOPLE,
    PAIRED,
    UNKNOWN_LABELS,
    Corrected,
)
from prefect_experiments.analysis.label_texts import counted, say_more_than_scores
from prefect_experiments.analysis.nights.records import Pooled
from prefect_experiments.analysis.verdicts import Comparison, EvaluatorChange, LabelComparison, MetricComparison
from prefect_experiments.display import some
from prefect_experiments.errors import unknown_value

_MOST_NAMED = 5
AGAIN = "score the baseline's kept outputs again with the present evaluators"


def said_of_examples(comparison: Comparison) -> list[str]:
    """What differs in the examples, and that these are left out."""
    found, before, after = comparison.differences, comparison.baseline.label, comparison.candidate.label
    said = []
    if found.datasets:
        said.append(
            f"{before} ran on dataset {found.datasets[0]!r} and {after} on {found.datasets[1]!r}; their examples are "
            "matched by id"
        )
    of = comparison.n_pairs + found.left_out
    if found.inputs:
        said.append(
            f"{len(found.inputs):,} of {of:,} shared examples have another input "
            f"({some(found.inputs, _MOST_NAMED)}) and are left out; run the baseline again on the present ones to "
            "compare these, too"
        )
    if found.expected:
        advice = f"{AGAIN} and answers{rescoring(comparison, '--dataset-version latest')}"
        if found.datasets:  # its own dataset's latest answers are not those
            advice = f"run the baseline's task on {found.datasets[1]!r}"
        said.append(
            f"{len(found.expected):,} of {of:,} shared examples have another expected output "
            f"({some(found.expected, _MOST_NAMED)}) and are left out; to compare these, too, {advice}"
        )
    return said


def said_of_evaluator(change: EvaluatorChange, comparison: Comparison) -> str:
    """What differs in a metric's evaluator, and what to do, to follow its name."""
    of = f"on {change.n_examples:,} of {change.n_known:,} examples"
    what = "its evaluator is not the same on both sides (other code, options or model)"
    if change.models:
        what = f"its judge's model is {change.models[1]}, and was {change.models[0]} for the baseline"
    return f"cannot be compared: {what}, {of}; {AGAIN}{rescoring(comparison)}"


def said_of_unknown(comparison: Comparison) -> str:
    """One sentence on what nobody recorded; empty where all is known."""
    found = comparison.differences
    names = found.unknown_evaluators
    what = [*found.unknown, *([f"the evaluators of {some(names, _MOST_NAMED)}"] if names else [])]
    if not what:
        return ""
    return (
        f"not known, and taken to be alike: {', '.join(what)}; a table of results, a backend, or an experiment that "
        "was logged does not tell them"
    )


def differences_said(comparison: Comparison) -> list[str]:
    """All that is to be said of how alike the sides are."""
    found = comparison.differences
    unknown = said_of_unknown(comparison)
    return [
        *said_of_examples(comparison),
        *(f"{name} {said_of_evaluator(change, comparison)}" for name, change in found.evaluators.items()),
        *([unknown] if unknown else []),
    ]


def said_of_pool(comparison: Comparison) -> str:
    """Of which runs the baseline is made, and what is beside its own run alone; empty where it is not pooled."""
    found, own = comparison.pooled, comparison.baseline.label
    if found is None:
        return ""
    text = f"the baseline is {runs_of_pool(found, own)}"
    if found.runs:
        text += (
            "; improved and regressed count the examples above, or below, the median of these runs, and what is listed "
            f"of examples, errors, labels, latency and cost is beside {own} alone"
        )
    return text


def runs_of_pool(pool: Pooled, own: str) -> str:
    """Such as ``the mean of 2 runs (night-1, night-3), of 4 that are asked for; left out: 1 failed by their gate``.

    Args:
        pool: what it is pooled of.
        own: what the baseline's own run is called.
    """
    n = 1 + len(pool.runs)
    text = f"the mean of {n} runs ({some((own, *pool.runs), _MOST_NAMED)})" if pool.runs else f"{own} alone"
    if n < pool.asked:
        text += f", of {pool.asked} that are asked for"
        left = ", ".join(f"{n:,} {why}" for why, n in pool.left_out.items())
        text += f"; left out: {left}" if left else "; there are no more yet"
    return text


def rescoring(comparison: Comparison, more: str = "") -> str:
    """The command that scores the baseline again, to follow the advice; nothing where only a table is left of it."""
    if not comparison.baseline.experiment_id:
        return ""
    words = ("prefect-experiments evaluate", comparison.baseline.experiment_id, "--evaluator ...", more)
    return f": `{' '.join(filter(None, words))}`"


def said_of_correction(metric: MetricComparison) -> str:
    """A judge's difference, and what people's scores make of it; empty where nobody has asked."""
    found = metric.corrected
    if found is None:
        return ""
    if found.difference is None:
        return f"the judge cannot be corrected by {found.human}, {_why_uncorrected(found)}"
    counts = _counts(found)
    labels = f"{numbers.count(found.n_both, 'example')} judged on both sides" if found.method == PAIRED else counts
    text = (
        f"by the judge {numbers.change(found.by_judge, None, None, unit_of_correction(metric))}, "
        f"corrected by {found.human} ({labels}{_unread(found)}) {corrected_change(metric)}, if chance chose what "
        "people judged"
    )
    if found.p_chosen is not None and found.p_chosen <= CHOSEN:
        p_value = numbers.p_value(found.p_chosen)
        text += f", which it does not look like: the judge scores these unlike the others (p {p_value})"
    if found.labels_to_halve_by_side is None:
        return f"{text}; to halve that interval takes more examples, and not labels alone"
    before, after = found.labels_to_halve_by_side
    needed = f"{before:,} more scores of {found.human} on either side"
    if before != after:
        needed = f"{before:,} more scores of {found.human} on the baseline and {after:,} on the candidate"
    return f"{text}; about {needed} would halve that interval"


def _counts(found: Corrected) -> str:
    return f"{numbers.count(found.n_baseline, 'example')} of the baseline and {found.n_candidate:,} of the candidate"


def _unread(found: Corrected) -> str:
    """That labels are left out, in brackets after other counts; empty where none is."""
    if not found.n_unread:
        return ""
    return f"; {numbers.count(found.n_unread, 'label')} of it without a score: positive would say which count as 1"


def _why_uncorrected(found: Corrected) -> str:
    """Why people's scores cannot be used, and what to do, to follow their name."""
    if found.method == NOT_BY_PEOPLE:
        return (
            f"whose scores are not people's: an evaluator of the kind {' and '.join(found.kinds)} gave them; name an "
            "annotation (`prefect-experiments annotate`), or an evaluator of the kind HUMAN"
        )
    if found.method == UNKNOWN_LABELS:
        return (
            f"whose labels {some(map(repr, found.unread), _MOST_NAMED)} positive does not name, so nobody knows which "
            "of them count as 1; add the good ones (positive takes a list, and minds upper and lower case)"
        )
    notes = [unknown_value("annotation", found.human, list(found.others))] if found.others else []
    notes += [_unread(found).removeprefix("; ")] if found.n_unread else []
    more = f" ({'; '.join(notes)})" if notes else ""
    return (
        f"which has scores of {_counts(found)}{more}: at least {FEWEST_LABELS} on either side are needed, on runs "
        "drawn at random (`prefect-experiments annotate`)"
    )


def corrected_change(metric: MetricComparison) -> str:
    """The corrected difference with its interval; empty where there is none."""
    found = metric.corrected
    if found is None or found.difference is None:
        return ""
    return numbers.change(found.difference, found.ci_low, found.ci_high, unit_of_correction(metric))


def unit_of_correction(metric: MetricComparison) -> numbers.Unit:
    """Points where both the judge's and people's scores go from 0 to 1: a corrected mean may lie just beyond."""
    is_share = metric.corrected is not None and metric.corrected.widest <= 1
    return numbers.unit_of(metric.baseline_mean, metric.candidate_mean) if is_share else "plain"


def label_comparisons(comparison: Comparison) -> list[LabelComparison]:
    """The labels that tell more than the scores beside them."""
    return [
        one
        for one in comparison.labels.values()
        if say_more_than_scores({*one.baseline, *one.candidate}) and one.n_pairs
    ]


def said_of_labels(labels: LabelComparison) -> str:
    """Such as ``polite 60 → 0, rude 0 → 60 on 60 pairs``: how often each was given, the baseline's count first."""
    pairs = f"{labels.n_pairs:,} {'pair' if labels.n_pairs == 1 else 'pairs'}"
    return f"{counted(labels.baseline, labels.candidate)} on {pairs}"
