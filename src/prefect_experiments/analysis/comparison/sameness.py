"""What differs between the sides of a comparison beside the candidate itself, and what of that nobody recorded."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from prefect_experiments import keys
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import Differences, EvaluatorChange
from prefect_experiments.records import UNKNOWN_FINGERPRINT

EXAMPLES_AT_ONCE = 1_000
"""So many examples are read at a time."""
_KNOWN_IN = {"inputs": "input", "expected outputs": "expected"}


def differences(baseline: ResultTable, candidate: ResultTable) -> Differences:
    """What differs in the examples that both sides ran, and in what scored them.

    Inputs and expected outputs are compared as a CSV file would hold them, so that it makes no difference in what sort
    of file a side stands. Of evaluators the fingerprints count that the store keeps with each evaluation: they change
    with the code, the options and the model of a judge. What a table or a backend does not say is unknown, and is no
    difference.
    """
    shared = _shared(baseline, candidate)
    told = {what: {column} <= baseline.source.told & candidate.source.told for what, column in _KNOWN_IN.items()}
    inputs, expected = _edited_in_place(baseline, candidate, shared, told)
    if all(told.values()):
        expected += _edited(baseline, candidate)
    changes, unknown = _evaluators(baseline, candidate, shared)
    datasets = (baseline.dataset_name, candidate.dataset_name)
    return Differences(
        datasets=datasets if all(datasets) and datasets[0] != datasets[1] else None,
        inputs=tuple(inputs),
        expected=tuple(expected),
        evaluators=changes,
        unknown=tuple(what for what, known in told.items() if shared and not known),
        unknown_evaluators=unknown,
    )


def _shared(baseline: ResultTable, candidate: ResultTable) -> list[tuple[int, int]]:
    """The examples that both sides ran, as their places in either, in the baseline's order."""
    there = {name: place for place, name in enumerate(candidate.example_ids)}
    return [(place, there[name]) for place, name in enumerate(baseline.example_ids) if name in there]


def _first_rows(table: ResultTable) -> list[int]:
    """The row of each example's first run."""
    import numpy as np

    found: list[int] = np.unique(table.places, return_index=True)[1].tolist()
    return found


def _edited_in_place(
    baseline: ResultTable, candidate: ResultTable, shared: Sequence[tuple[int, int]], told: Mapping[str, bool]
) -> tuple[list[str], list[str]]:
    """The examples with another input on either side, and those with another expected output alone."""
    inputs: list[str] = []
    expected: list[str] = []
    if not any(told.values()):
        return inputs, expected
    first = _first_rows(baseline), _first_rows(candidate)
    rows = baseline.source.unread(candidate.source, [(first[0][one], first[1][two]) for one, two in shared])
    for start in range(0, len(rows), EXAMPLES_AT_ONCE):
        some = rows[start : start + EXAMPLES_AT_ONCE]
        before = baseline.source.asked([one for one, _ in some])
        after = candidate.source.asked([two for _, two in some])
        for one, two in some:
            example_id = baseline.example_ids[int(baseline.places[one])]
            if told["inputs"] and not _same(before[one].input, after[two].input):
                inputs.append(example_id)
            elif told["expected outputs"] and not _same(before[one].expected, after[two].expected):
                expected.append(example_id)
    return inputs, expected


def _same(one: Any, other: Any) -> bool:
    """Whether two cells hold the same, as JSON or as the text that a CSV file has for it."""
    if one == other or keys.cell_text(one) == keys.cell_text(other):
        return True
    if isinstance(one, str) == isinstance(other, str):
        return False
    text, value = (one, other) if isinstance(one, str) else (other, one)
    try:
        return bool(json.loads(text) == value)
    except ValueError:
        return False


def _edited(baseline: ResultTable, candidate: ResultTable) -> list[str]:
    """The baseline's examples that the candidate has with another expected output, and so under another id.

    Ids that are made of a row's content change with it. Only where the input stands once on either side.
    """
    sides = [_by_input(table, {*other.example_ids}) for table, other in ((baseline, candidate), (candidate, baseline))]
    return [ids[0] for text, ids in sides[0].items() if len(ids) == 1 == len(sides[1].get(text, ()))]


def _by_input(table: ResultTable, others: Collection[str]) -> dict[bytes, list[str]]:
    """Examples that the other side does not have, with ids made of their content, by what tells their inputs apart."""
    alone = {
        place: name for place, name in enumerate(table.example_ids) if name not in others and keys.is_content_id(name)
    }
    found: dict[bytes, list[str]] = defaultdict(list)
    if not alone:
        return found
    first, places = _first_rows(table), list(alone)
    for start in range(0, len(places), EXAMPLES_AT_ONCE):
        some = places[start : start + EXAMPLES_AT_ONCE]
        asked = table.source.asked([first[place] for place in some])
        for place in some:
            text = keys.cell_text(asked[first[place]].input)
            found[hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()].append(alone[place])
    return found


def _evaluators(
    baseline: ResultTable, candidate: ResultTable, shared: Sequence[tuple[int, int]]
) -> tuple[dict[str, EvaluatorChange], tuple[str, ...]]:
    """The metrics whose evaluator differs, and those of which that is not known."""
    changes: dict[str, EvaluatorChange] = {}
    unknown: list[str] = []
    on_both = {one for one, _ in shared}

    def appears(name: str) -> int:
        """The first run of a shared example that has an evaluation of that name."""
        said = zip(baseline.places.tolist(), baseline.made[name].states, strict=True)
        return next((row for row, (place, one) in enumerate(said) if one is not None and place in on_both), -1)

    for name in sorted((name for name in baseline.made if name in candidate.made), key=appears):
        before, after = baseline.made[name], candidate.made[name]
        left, right = _sets(baseline, before.states), _sets(candidate, after.states)
        left_models, right_models = _unions(baseline, before.models), _unions(candidate, after.models)
        # Examples of one kind count together: there are few kinds of sets.
        kinds = Counter(
            (left[one], right[two], left_models[one], right_models[two])
            for one, two in shared
            if left[one] and right[two]
        )
        known = {kind for kind in kinds if UNKNOWN_FINGERPRINT not in kind[0] | kind[1]}
        with_model = {kind for kind in kinds if kind[2] and kind[3]}
        states = [frozenset().union(*(kind[side] for kind in known)) for side in (0, 1)]
        models = [frozenset().union(*(kind[side] for kind in with_model)) for side in (2, 3)]
        changed = {kind for kind in known if kind[0] != kind[1]} if states[0] != states[1] else set()
        if is_another_model := models[0] != models[1]:
            changed.update(kind for kind in with_model if kind[2] != kind[3])
        if changed:
            changes[name] = EvaluatorChange(
                n_examples=sum(kinds[kind] for kind in changed),
                n_known=sum(kinds[kind] for kind in known | with_model),
                models=(_listed(models[0]), _listed(models[1])) if is_another_model else None,
            )
        elif len(known) < len(kinds):
            unknown.append(name)
    return changes, tuple(unknown)


def _sets(table: ResultTable, said: Iterable[str | None]) -> list[frozenset[str]]:
    """What is said of each example's runs together; each different set is made once."""
    return _unions(table, (None if one is None else frozenset((one,)) for one in said))


def _unions(table: ResultTable, said: Iterable[frozenset[str] | None]) -> list[frozenset[str]]:
    """The same of what is said by sets."""
    nothing: frozenset[str] = frozenset()
    found, known = [nothing] * len(table.example_ids), {nothing: nothing}
    for place, one in zip(table.places.tolist(), said, strict=True):
        if one:
            union = found[place] | one
            found[place] = known.setdefault(union, union)
    return found


def _listed(models: Iterable[str]) -> str:
    return ", ".join(sorted(models))
