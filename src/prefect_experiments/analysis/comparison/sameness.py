"""What differs between the sides of a comparison beside the candidate itself, and what of that nobody recorded."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prefect_experiments import keys
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import Differences, EvaluatorChange
from prefect_experiments.records import UNKNOWN_FINGERPRINT
from prefect_experiments.results import ResultRun

_MODEL_KEYS = ("model", "model_name")
_KNOWN_IN = {"inputs": "input", "expected outputs": "expected"}


def differences(baseline: ResultTable, candidate: ResultTable) -> Differences:
    """What differs in the examples that both sides ran, and in what scored them.

    Inputs and expected outputs are compared as a CSV file would hold them, so that it makes no difference in what sort
    of file a side stands. Of evaluators the fingerprints count that the store keeps with each evaluation: they change
    with the code, the options and the model of a judge. What a table or a backend does not say is unknown, and is no
    difference.
    """
    before, after = _first_runs(baseline), _first_runs(candidate)
    shared = [name for name in before if name in after]
    told = {what: _told(baseline, column) and _told(candidate, column) for what, column in _KNOWN_IN.items()}
    inputs = [name for name in shared if told["inputs"] and not _same(before[name].input, after[name].input)]
    others = set(shared).difference(inputs) if told["expected outputs"] else ()
    expected = [name for name in shared if name in others and not _same(before[name].expected, after[name].expected)]
    if told["inputs"] and told["expected outputs"]:
        expected += _edited(before, after)
    changes, unknown = _evaluators(baseline, candidate, frozenset(shared))
    datasets = (baseline.dataset_name, candidate.dataset_name)
    return Differences(
        datasets=datasets if all(datasets) and datasets[0] != datasets[1] else None,
        inputs=tuple(inputs),
        expected=tuple(expected),
        evaluators=changes,
        unknown=tuple(what for what, known in told.items() if shared and not known),
        unknown_evaluators=unknown,
    )


def _first_runs(table: ResultTable) -> dict[str, ResultRun]:
    found: dict[str, ResultRun] = {}
    for run in table.results.runs:
        found.setdefault(run.example_id, run)
    return found


def _told(table: ResultTable, column: str) -> bool:
    return column in table.results.columns


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


def _edited(before: Mapping[str, ResultRun], after: Mapping[str, ResultRun]) -> list[str]:
    """The baseline's examples that the candidate has with another expected output, and so under another id.

    Ids that are made of a row's content change with it. Only where the input stands once on either side.
    """
    sides = []
    for runs, others in ((before, after), (after, before)):
        by_input: dict[str, list[str]] = defaultdict(list)
        for name, run in runs.items():
            if name not in others and keys.is_content_id(name):
                by_input[keys.cell_text(run.input)].append(name)
        sides.append(by_input)
    return [ids[0] for text, ids in sides[0].items() if len(ids) == 1 == len(sides[1].get(text, ()))]


class _Made:
    """By what the evaluations of one metric were made on one side: by example, and over all of them."""

    def __init__(self) -> None:
        self.states: dict[str, set[str]] = defaultdict(set)
        self.models: dict[str, set[str]] = defaultdict(set)

    def every(self, ids: Iterable[str]) -> tuple[set[str], set[str]]:
        """The states and the models on these examples."""
        ids = list(ids)
        return _union(self.states, ids), _union(self.models, ids)


def _union(by_example: Mapping[str, set[str]], ids: Sequence[str]) -> set[str]:
    return set().union(*(by_example.get(name, set()) for name in ids))


def _made(table: ResultTable, shared: frozenset[str]) -> dict[str, _Made]:
    found: dict[str, _Made] = defaultdict(_Made)
    for run in table.results.runs:
        if run.example_id in shared:
            for name, one in run.counted.items():
                made = found[name]
                made.states[run.example_id].add(one.fingerprint)
                if one.metadata_json is not None and '"model' in one.metadata_json:
                    said = (one.metadata.get(key) for key in _MODEL_KEYS)
                    made.models[run.example_id].update(model for model in said if isinstance(model, str))
    return found


def _evaluators(
    baseline: ResultTable, candidate: ResultTable, shared: frozenset[str]
) -> tuple[dict[str, EvaluatorChange], tuple[str, ...]]:
    """The metrics whose evaluator differs, and those of which that is not known."""
    before, after = _made(baseline, shared), _made(candidate, shared)
    changes, unknown = {}, []
    for name in [name for name in before if name in after]:
        left, right = before[name], after[name]
        both = [example for example in left.states if example in right.states]
        known = [e for e in both if UNKNOWN_FINGERPRINT not in left.states[e] | right.states[e]]
        with_model = [e for e in both if left.models.get(e) and right.models.get(e)]
        states = [side.every(known)[0] for side in (left, right)]
        models = [side.every(with_model)[1] for side in (left, right)]
        changed = {e for e in known if left.states[e] != right.states[e]} if states[0] != states[1] else set()
        if is_another_model := models[0] != models[1]:
            changed.update(e for e in with_model if left.models[e] != right.models[e])
        if changed:
            changes[name] = EvaluatorChange(
                n_examples=len(changed),
                n_known=len({*known, *with_model}),
                models=(_listed(models[0]), _listed(models[1])) if is_another_model else None,
            )
        elif len(known) < len(both):
            unknown.append(name)
    return changes, tuple(unknown)


def _listed(models: Iterable[str]) -> str:
    return ", ".join(sorted(models))
