"""Results that belong to no dataset: the examples that their rows are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prefect_experiments import keys
from prefect_experiments.models import Example
from prefect_experiments.results.table import ResultRun, Results


def with_examples(results: Results) -> tuple[Results, tuple[Example, ...]]:
    """The results with an example's id on each row, and these examples, in the order of the rows.

    A row that brings no id gets one made of its input and expected output, or of its output where there
    is no column ``input``. Rows of one content and repetition are told apart with ``-2``, ``-3``, ... in
    an order that is not that of the rows.

    Args:
        results: read with ``alone``.
    """
    if "example_id" not in results.columns:
        results = replace(results, runs=_with_ids(results.runs, "input" in results.columns))
    first: dict[str, ResultRun] = {}
    for run in results.runs:
        first.setdefault(run.example_id, run)
    examples = [Example(id=name, input=run.input, output=run.expected) for name, run in first.items()]
    return results, tuple(examples)


def _with_ids(runs: Sequence[ResultRun], by_input: bool) -> tuple[ResultRun, ...]:
    alike: dict[tuple[str, int], list[int]] = {}
    for place, run in enumerate(runs):
        base = keys.example_id(run.input if by_input else run.record.output, run.expected)
        alike.setdefault((base, run.repetition_number), []).append(place)
    ids = [""] * len(runs)
    for (base, _), places in alike.items():
        ordered = sorted(places, key=lambda place: keys.canonical_json(runs[place].content()))
        for number, place in enumerate(ordered, 1):
            ids[place] = base if number == 1 else f"{base}-{number}"
    return tuple(run.named(name) for run, name in zip(runs, ids, strict=True))
