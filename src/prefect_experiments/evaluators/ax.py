"""What evaluators return in AX's spelling: a pair is score and explanation there, and score and label elsewhere.

Which of the two an experiment was made with is kept in its evaluators' fingerprints, so that whoever goes on
with it reads the pairs as before, and nobody takes one for the other.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect_experiments.evaluators.base import BoundEvaluator
from prefect_experiments.evaluators.functions import FunctionEvaluator
from prefect_experiments.evaluators.resolve import resolve_evaluators
from prefect_experiments.evaluators.results import parse_result
from prefect_experiments.evaluators.scoring import Builtin
from prefect_experiments.models import EvaluationResult

_MARK = "ax"  # no fingerprint of another sort begins so: they are hexadecimal digits


def ax_evaluators(evaluators: Any) -> tuple[BoundEvaluator, ...]:
    """Evaluators of any sort, ready to be called, whose returns are read as AX's client reads them.

    Raises:
        InvalidEvaluator: as by `resolve_evaluators`.
    """
    return tuple(map(_as_ax, resolve_evaluators(evaluators)))


def as_before(bound: Sequence[BoundEvaluator], fingerprints: Mapping[str, str]) -> tuple[BoundEvaluator, ...]:
    """Evaluators that go on with an experiment: what it knows in AX's spelling is read so again, what is new as well.

    Args:
        bound: the evaluators.
        fingerprints: of those that the experiment knows, by name.
    """
    usual = next((_MARK for fingerprint in fingerprints.values() if fingerprint.startswith(_MARK)), "")
    return tuple(_as_ax(one) if fingerprints.get(one.name, usual).startswith(_MARK) else one for one in bound)


def _as_ax(bound: BoundEvaluator) -> BoundEvaluator:
    if bound.fingerprint.startswith(_MARK) or not _reads_here(bound):
        return bound
    fingerprint = (_MARK + bound.fingerprint)[: len(bound.fingerprint)]
    return dataclasses.replace(bound, parse=functools.partial(_parse, bound.parse), fingerprint=fingerprint)


def _reads_here(bound: BoundEvaluator) -> bool:
    """Whether what it returns is read by `parse_result`, and not by a scorer or an adapter of its own."""
    owner = getattr(bound.parse, "__self__", None)
    if isinstance(owner, FunctionEvaluator):
        return owner.scorer is None
    return bound.parse is parse_result and not isinstance(getattr(bound.function, "__self__", None), Builtin)


def _parse(parse: Callable[[Any], Sequence[EvaluationResult]], value: Any) -> Sequence[EvaluationResult]:
    if isinstance(value, list | tuple) and len(value) == 2 and not hasattr(value, "_fields"):
        score, explanation = value
        if hasattr(score, "__float__") and (explanation is None or isinstance(explanation, str)):
            return parse({"score": score, "explanation": explanation})
    return parse(value)
