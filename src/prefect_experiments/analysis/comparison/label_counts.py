"""The labels of both sides: how often each was given, which examples moved, and whether that is a shift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from prefect_experiments.analysis.comparison.label_shift import shift_test, smallest_p
from prefect_experiments.analysis.comparison.pairing import Pairs
from prefect_experiments.analysis.label_texts import NO_LABEL
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import EvaluatorChange, LabelComparison


def compare_labels(pairs: Pairs, changes: Mapping[str, EvaluatorChange]) -> dict[str, LabelComparison]:
    """Each evaluator that gave labels on both sides, on the examples that are compared.

    Args:
        pairs: the examples.
        changes: what differs in evaluators, by name.
    """
    baseline, candidate = pairs.baseline, pairs.candidate
    return {
        name: _of(name, pairs, changes.get(name))
        for name in baseline.labels
        if name in candidate.labels or name in candidate.scores
    }


def _of(name: str, pairs: Pairs, change: EvaluatorChange | None) -> LabelComparison:
    sides = (
        (_by_example(pairs.baseline, name), pairs.in_baseline),
        (_by_example(pairs.candidate, name), pairs.in_candidate),
    )
    both = list(zip(*([found[place] for place in places.tolist()] for found, places in sides), strict=True))
    both = [
        (before, after)
        for (before, after), is_asked in zip(both, pairs.asked(name)[0].tolist(), strict=True)
        if is_asked and before.keys() | after.keys() != {NO_LABEL}
    ]
    has_scores = name in pairs.baseline.scores or name in pairs.candidate.scores
    counts = [Counter[str]() for _ in sides]
    moves: Counter[tuple[str, str]] = Counter()
    for example in both:
        for count, labels in zip(counts, example, strict=True):
            count.update(labels)
        if all(labels.total() == 1 for labels in example) and example[0] != example[1]:
            moves[next(iter(example[0])), next(iter(example[1]))] += 1
    test = shift_test([before for before, _ in both], [after for _, after in both]) if both else None
    return LabelComparison(
        name=name,
        n_pairs=len(both),
        baseline=dict(counts[0].most_common()),
        candidate=dict(counts[1].most_common()),
        n_moved=sum(before != after for before, after in both),
        moves=tuple((*move, n) for move, n in moves.most_common()),
        p_value=test.p_value if test else None,
        smallest_p=smallest_p(len(both)),
        test=test.test if test else "",
        has_scores=has_scores,
        verdict="not comparable" if change else "unchanged" if both else "no data",
        evaluator_change=change,
    )


def _by_example(table: ResultTable, name: str) -> list[Counter[str]]:
    """How often each example got each label; examples with the same counts share one."""
    given = table.labels.get(name, (None,) * len(table.failed))
    found: list[tuple[str, ...]] = [()] * len(table.example_ids)
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for place, label in zip(table.places.tolist(), given, strict=True):
        labels = (*found[place], NO_LABEL if label is None else label)
        found[place] = known.setdefault(labels, labels)
    counts = {labels: Counter(labels) for labels in dict.fromkeys(found)}
    return [counts[labels] for labels in found]
