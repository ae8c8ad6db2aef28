"""What an evaluator returned, as results.

What may be returned is wide, because people come from several libraries; what is accepted is
exact, because a score that was guessed is worse than an error that is shown.
"""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from collections.abc import Mapping
from enum import Enum
from typing import Any

from prefect_experiments.errors import InvalidInput
from prefect_experiments.models import PENDING, SCALE, EvaluationResult

_KEYS = ("score", "label", "explanation", "metadata", "name")
_RETURNABLE = (
    "EvaluationResult, a dict of score, label, explanation and metadata, a bool, a number (score), a text (label), "
    "(score, label), (score, label, explanation), None, or a list of these"
)


def parse_result(value: Any) -> list[EvaluationResult]:
    """The results that an evaluator's return value stands for; at least one.

    A bool is a score of 1 or 0 and the label ``True`` or ``False``; a number is a score; a text
    is a label; ``None``, an empty list and an empty dict are one result with nothing in it, "no
    evaluation". A name that was given is kept; a result without one has the evaluator's name.
    Where a phoenix-evals score is better when smaller, its metadata says ``direction: minimize``.

    Raises:
        TypeError: what was returned, or a part of it, is none of the above.
        ValueError: a score is NaN or infinite.
    """
    if not isinstance(value, list):
        return [_parse_one(value)]
    if len(value) < 2:
        return [_parse_one(item) for item in value] or [EvaluationResult()]
    results = []
    for number, item in enumerate(value, start=1):
        try:
            results.append(_parse_one(item))
        except (TypeError, ValueError) as error:
            raise type(error)(f"result {number} of {len(value)}: {error}") from None
    _check_names(results)
    return results


def renamable(results: list[EvaluationResult], own_name: str) -> list[EvaluationResult]:
    """Results of another library's evaluator. A single one named like it takes the name that it has here."""
    if len(results) == 1 and results[0].name == own_name:
        return [dataclasses.replace(results[0], name=None)]
    return results


def pending(criteria: str, *, scale: tuple[float, float] | None = None) -> EvaluationResult:
    """What an evaluator returns where a person, or an agent, is to judge the run later.

    It counts as no score and as no error. ``client.experiments.list_pending`` lists what is to be judged, and an
    annotation of the evaluator's name fills it in.

    Args:
        criteria: what to judge by.
        scale: the lowest and the highest score that can be given; others are refused. By default, any can.

    Raises:
        InvalidInput: there are none.
    """
    if not isinstance(criteria, str) or not criteria.strip():
        raise InvalidInput(f"pending(criteria) takes a text that says what to judge by, got {criteria!r:.100}")
    return EvaluationResult(metadata={PENDING: criteria, **({} if scale is None else {SCALE: list(scale)})})


def parse_named(own_name: str, value: Any) -> list[EvaluationResult]:
    """`parse_result` and `renamable` in one."""
    return renamable(parse_result(value), own_name)


MOST_CHARACTERS = 255  # it is part of a key, which databases bound


def name_fault(name: Any) -> str | None:
    """What keeps a value from being an evaluator's name, or ``None``."""
    if not isinstance(name, str):
        return f"must be text, got {type(name).__name__}"
    if not name.strip():
        return "must not be empty"
    if len(name) > MOST_CHARACTERS:
        return f"must have at most {MOST_CHARACTERS} characters, got {len(name)}"
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        return f"must not hold line breaks or control characters, got {name!r}"
    return None


def _parse_one(value: Any) -> EvaluationResult:
    if value is None:
        return EvaluationResult()
    kind = type(value)  # the usual answers first: this is called for every evaluation
    if kind is bool:
        return EvaluationResult(score=float(value), label=str(value))
    if kind is float:
        return EvaluationResult(score=value)
    if kind is str:
        return EvaluationResult(label=value)
    if isinstance(value, Mapping):
        return _from_mapping(value)
    if hasattr(value, "score") and not isinstance(value, type):
        return _from_object(value)
    if hasattr(value, "value") and hasattr(value, "reason"):
        return _from_reason(value)
    if isinstance(value, tuple):
        return _from_tuple(value)
    if _is_bool(value):
        return EvaluationResult(score=float(value), label=str(bool(value)))
    if isinstance(value, str):
        return _result(label=value)
    if hasattr(value, "__float__"):
        return _result(score=value)
    raise TypeError(f"an evaluator may return {_RETURNABLE}; this one returned {_type_of(value)}")


def _from_mapping(value: Mapping[Any, Any]) -> EvaluationResult:
    unknown = [key for key in value if key not in _KEYS]
    if unknown:
        raise TypeError(
            f"an evaluator's dict may have the keys {', '.join(_KEYS)}; "
            f"this one has also {', '.join(repr(key) for key in unknown)}"
        )
    return _result(**value)


def _from_object(value: Any) -> EvaluationResult:
    """`EvaluationResult` itself, the `Score` of phoenix-evals or of autoevals, or pixie's `Evaluation`."""
    if hasattr(value, "label"):
        metadata = getattr(value, "metadata", None)
        direction = getattr(value, "direction", None)
        if isinstance(direction, str) and direction != "maximize":
            metadata = {**(metadata or {}), "direction": direction}
        return _result(
            score=value.score,
            label=value.label,
            explanation=getattr(value, "explanation", None),
            metadata=metadata,
            name=getattr(value, "name", None),
        )
    if hasattr(value, "metadata") and hasattr(value, "name"):
        return _from_autoevals(value)
    if hasattr(value, "reasoning"):
        return _result(score=value.score, explanation=value.reasoning, metadata=getattr(value, "details", None))
    raise TypeError(
        f"an object with a score must have a label or a reasoning as well; this one is {_type_of(value)}. "
        f"An evaluator may return {_RETURNABLE}"
    )


def _from_autoevals(value: Any) -> EvaluationResult:
    """Autoevals' score; of a judge's, the choice is the label and the rationale the explanation."""
    if isinstance(error := getattr(value, "error", None), Exception):
        raise error
    told = dict(value.metadata) if isinstance(value.metadata, Mapping) else {}
    label, explanation = (told.pop(key) if isinstance(told.get(key), str) else None for key in ("choice", "rationale"))
    return _result(score=value.score, label=label, explanation=explanation, metadata=told, name=value.name)


def _from_reason(value: Any) -> EvaluationResult:
    """What pydantic-evals' `EvaluationReason` holds, with the reason as the explanation."""
    found = _parse_one(value.value)
    return _result(score=found.score, label=found.label, explanation=value.reason)


def _from_tuple(value: tuple[Any, ...]) -> EvaluationResult:
    if len(value) not in (2, 3):
        raise TypeError(f"a tuple is (score, label) or (score, label, explanation); this one has {len(value)} items")
    score, label, *rest = value
    return _result(score=score, label=label, explanation=rest[0] if rest else None)


def _result(
    score: Any = None, label: Any = None, explanation: Any = None, metadata: Any = None, name: Any = None
) -> EvaluationResult:
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a mapping, got {_type_of(metadata)}")
    if name is not None and (fault := name_fault(name)):
        raise TypeError(f"a result's name {fault}")
    return EvaluationResult(
        score=None if score is None else _number(score),
        label=_text(label, "label"),
        explanation=_text(explanation, "explanation"),
        metadata=metadata or {},
        name=name,
    )


def _number(value: Any) -> float:
    if isinstance(value, str) or not hasattr(value, "__float__"):
        if _is_bool(value):
            return float(value)
        raise TypeError(f"a score must be a number, got {_type_of(value)}")
    try:
        number = float(value)
    except TypeError:  # an array of more than one
        raise TypeError(f"a score must be one number, got {_type_of(value)}") from None
    except (ValueError, OverflowError) as error:
        raise ValueError(f"a score must be a finite number: {error}") from None
    if not math.isfinite(number):
        raise ValueError(f"a score must be a finite number, got {number!r}")
    return number


def _text(value: Any, what: str) -> str | None:
    if isinstance(value, Enum):  # of a text enumeration, the text
        value = value.value
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{what} must be text, got {_type_of(value)}")


def _is_bool(value: Any) -> bool:
    # numpy's own bool is no number in Python's eyes; told by name, so that numpy is not imported.
    return isinstance(value, bool) or (type(value).__module__ == "numpy" and type(value).__name__ in {"bool", "bool_"})


def _type_of(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _check_names(results: list[EvaluationResult]) -> None:
    unnamed = [number for number, result in enumerate(results, start=1) if result.name is None]
    if unnamed:
        raise TypeError(
            f"of {len(results)} results, number {', '.join(map(str, unnamed))} has no name; give each one, "
            "as in EvaluationResult(name='relevance', score=1)"
        )
    names = [str(result.name) for result in results]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise TypeError(f"several results have the name {', '.join(map(repr, doubles))}; names must differ")
