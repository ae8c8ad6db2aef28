"""Which examples an evaluator is meant for: on the others it has nothing to say, and nothing of it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

ExampleKey = TypeVar("ExampleKey", int, str)
"""An example's position, or its id."""


def meant_by_name(
    chosen: Mapping[str, Iterable[ExampleKey]], given: Iterable[tuple[str, str, ExampleKey]]
) -> dict[str, frozenset[ExampleKey]]:
    """By the name of evaluations, the examples that should have one; of names that are not here, all should.

    An example that has an evaluation is one of them, whatever was meant before.

    Args:
        chosen: by evaluator, the examples that it is meant for; of those that are not meant for all.
        given: of each evaluation the evaluator, the name, and the example.
    """
    if not chosen:
        return {}
    givers = {evaluator: {evaluator} for evaluator in chosen}
    seen: dict[str, set[ExampleKey]] = {}
    for evaluator, name, example in given:
        givers.setdefault(name, set()).add(evaluator)
        seen.setdefault(name, set()).add(example)
    return {
        name: frozenset(seen.get(name, ())).union(*(chosen[evaluator] for evaluator in evaluators))
        for name, evaluators in givers.items()
        if evaluators <= chosen.keys()
    }
