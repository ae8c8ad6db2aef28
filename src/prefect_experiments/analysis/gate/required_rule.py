"""The examples that have to be right one by one: a rule of a gate, and no test of chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import WithJsonSchema, field_validator

from prefect_experiments.analysis import numbers
from prefect_experiments.analysis.example_facts import METADATA, SPLITS, written
from prefect_experiments.analysis.gate.case import Case
from prefect_experiments.analysis.gate.pending import how_to_fill_in
from prefect_experiments.analysis.gate.rule import Rule, as_mapping, shown
from prefect_experiments.analysis.required import Must
from prefect_experiments.analysis.verdicts import MetricCheck
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.options import AsIs

_NAME = "required"
_KEYS = ("ids", "split", "splits", "threshold", "metrics")
_FORM = {"anyOf": [{"type": "object"}, {"type": "null"}]}


class RequiredExamples(Rule):
    """Some examples must never fail."""

    required: Annotated[Mapping[str, Any] | None, AsIs, WithJsonSchema(_FORM)] = None
    """The examples that must be right one by one, with or without a baseline, and no test of chance: {split: golden},
    {ids: [refund-1, refund-2]}, {metadata.tier: gold}, each a text or a list, several together meaning all that any of
    them names. Right means that in every repetition each metric that judges the example is at least 1.0, where less is
    better 0; {split: golden, threshold: 0.8} asks for less, and {split: golden, metrics: [correctness]} has only these
    judge. Metrics with scores beyond 0 and 1 have a say only with a threshold. An error, and a run or a score that is
    missing, fail it; so does what is named and no example has."""

    @field_validator("required", mode="plain")
    @classmethod
    def _required_checked(cls, given: Any) -> Mapping[str, Any] | None:
        if given is not None:
            _must(given, f"{cls.said_before_names}required")
        return given  # type: ignore[no-any-return]

    @property
    def must(self) -> Must | None:
        """The same as it is asked; ``None`` where nobody asks."""
        return None if self.required is None else _must(self.required, _NAME)

    def check(self, case: Case) -> Iterator[MetricCheck]:
        """Which of them are not right, with the evaluator."""
        found = case.candidate.required
        if self.required is None or found is None:
            return
        passing = found.passing
        failed, n = passing.places_of("failed"), len(passing.entries)
        reason = f"{passing.n_passed:,} of {numbers.count(n, 'required example')} {'is' if n == 1 else 'are'} right"
        reason += f" ({passing.rule})"
        if failed:
            reason += f"; failed: {passing.listed(failed)}"
        if found.without_say:
            names = ", ".join(found.without_say)
            reason += f"; {names} may go beyond 0 and 1 and has no say without a threshold"
        if found.unknown:
            reason += f"; {'; '.join(found.unknown)}"
        if failed or found.unknown:
            yield MetricCheck(name=_NAME, status="failed", reason=reason)
        elif passing.n_pending:
            waiting = how_to_fill_in(passing.n_pending, case.candidate)
            yield MetricCheck(name=_NAME, status="inconclusive", reason=f"{reason}; {waiting}")
        else:
            yield MetricCheck(name=_NAME, status="passed", reason=reason)


def _must(given: Any, where: str) -> Must:
    """What a mapping of `RequiredExamples.required` asks.

    Raises:
        InvalidSetting: it is no such mapping, names no example, or has an unknown key or a wrong threshold.
    """
    asked = as_mapping(given, f"{where} must be a mapping such as {{split: golden}}")
    values: dict[str, tuple[str, ...]] = {}
    for key, value in asked.items():
        if isinstance(key, str) and key.startswith(METADATA) and key != METADATA:
            values[key] = _texts(value, f"{where}: {key}")
        elif key in ("split", SPLITS):
            values[SPLITS] = (*values.get(SPLITS, ()), *_texts(value, f"{where}: {key}"))
        elif key not in _KEYS:
            raise InvalidSetting(f"{where}: {unknown_value('key', key, [*_KEYS, f'{METADATA}KEY'])}")
    ids = _texts(asked["ids"], f"{where}: ids") if "ids" in asked else ()
    if not ids and not values:
        raise InvalidSetting(f"{where} names no example: give ids, split or metadata.KEY; got {shown(given)}")
    threshold = asked.get("threshold")
    if threshold is not None:
        is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if not is_number or not math.isfinite(threshold):
            raise InvalidSetting(f"{where}: threshold must be a finite number such as 0.8, got {shown(threshold)}")
    metrics = _texts(asked["metrics"], f"{where}: metrics") if asked.get("metrics") is not None else None
    return Must(ids=ids, values=values, threshold=threshold, metrics=metrics)


def _texts(given: Any, where: str) -> tuple[str, ...]:
    """One value or a list of them, as they are compared."""
    every = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    texts = ["" if isinstance(one, Mapping | list) else written(one) for one in every]
    if not texts or not all(texts):
        raise InvalidSetting(f"{where} must be a value or a list of them, got {shown(given)}")
    return tuple(dict.fromkeys(texts))
