"""What is said of sides that are not alike: one sentence for each thing, the same in a verdict and in every report."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_experiments.analysis.label_texts import counted, say_more_than_scores
from prefect_experiments.analysis.verdicts import Comparison, EvaluatorChange, LabelComparison

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
            f"{len(found.inputs):,} of {of:,} shared examples have another input ({_named(found.inputs)}) and are left "
            "out; run the baseline again on the present ones to compare these, too"
        )
    if found.expected:
        advice = f"{AGAIN} and answers{rescoring(comparison, '--dataset-version latest')}"
        if found.datasets:  # its own dataset's latest answers are not those
            advice = f"run the baseline's task on {found.datasets[1]!r}"
        said.append(
            f"{len(found.expected):,} of {of:,} shared examples have another expected output "
            f"({_named(found.expected)}) and are left out; to compare these, too, {advice}"
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
    what = [*found.unknown, *([f"the evaluators of {_named(names)}"] if names else [])]
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


def rescoring(comparison: Comparison, more: str = "") -> str:
    """The command that scores the baseline again, to follow the advice; nothing where only a table is left of it."""
    if not comparison.baseline.experiment_id:
        return ""
    words = ("prefect-experiments evaluate", comparison.baseline.experiment_id, "--evaluator ...", more)
    return f": `{' '.join(filter(None, words))}`"


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


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else shown
