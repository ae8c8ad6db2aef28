"""Evaluators that give several evaluations under names of their own, and leave nothing under theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prefect_experiments.records import EvaluationRecord

Names = Mapping[str, Sequence[str]]


def given_names(said: Iterable[tuple[str, str, bool]]) -> Names:
    """By evaluator whose evaluations all have other names than its own, these names.

    Args:
        said: of each evaluation the evaluator, the name, and whether there is a score or a label.
    """
    others: dict[str, dict[str, None]] = {}
    own = set()
    for evaluator, name, has_content in said:
        if name != evaluator:
            others.setdefault(evaluator, {})[name] = None
        elif has_content:
            own.add(evaluator)
    return {evaluator: tuple(names) for evaluator, names in others.items() if evaluator not in own}


def under_given_names(evaluations: Iterable[EvaluationRecord]) -> tuple[Sequence[EvaluationRecord], Names]:
    """The evaluations, an error of such an evaluator as one of each name that it gives; and these evaluators."""
    every = list(evaluations)
    names = given_names((e.evaluator, e.name, e.score is not None or e.label is not None) for e in every)
    return renamed(every, names), names


def renamed(evaluations: Sequence[EvaluationRecord], names: Names) -> Sequence[EvaluationRecord]:
    """The evaluations of which these evaluators left nothing under their own names, where that is known already."""
    if not names:
        return evaluations
    found: list[EvaluationRecord] = []
    for one in evaluations:
        if one.name != one.evaluator or one.evaluator not in names:
            found.append(one)
        elif one.error is not None:
            first, *others = names[one.evaluator]
            unpaid = one._replace(token_count=None, total_cost=None, unpriced_json=None)  # or it would count twice
            found += [one._replace(name=first), *(unpaid._replace(name=name) for name in others)]
    return found
