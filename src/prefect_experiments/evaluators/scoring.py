"""What the built-in evaluators share: their base, and how they read values.

Where texts are compared, a value that is no text stands for its canonical JSON text, and no
output (``None``) for the empty text. An expected object with one key stands for that key's value,
unless the output is another kind of object: ``{"answer": "Paris"}`` is matched by ``"Paris"`` and
by ``{"answer": "Paris"}``. An example without an expected output is this evaluator's error there,
never a score of 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from prefect_experiments import keys
from prefect_experiments.errors import InvalidEvaluator, InvalidInput
from prefect_experiments.evaluators.base import Evaluator
from prefect_experiments.models import EvaluationResult

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_EXACT_INTEGERS = 2**53
_SHOWN_ITEMS = 3
_SHOWN_CHARACTERS = 200


class Builtin(Evaluator):
    """Base of the built-in evaluators: a name, and options that are part of the fingerprint.

    Attributes:
        builtin: the name it is asked for by.
        options: as they were given.
    """

    builtin = ""
    version = "1"

    def __init__(self, name: str | None, **options: Any) -> None:
        self.name = name or self.builtin
        self.options = options

    def identity(self) -> Any:
        """What makes its scores what they are, as JSON."""
        return self.options

    def refuse(self, problem: str) -> InvalidEvaluator:
        """The error for an option that cannot be used."""
        return InvalidEvaluator(f"evaluator {self.name!r}: {problem}")

    def check_bool(self, *options: str) -> None:
        """Refuse a text such as "no", which Python would take for true."""
        for option in options:
            value = self.options[option]
            if not isinstance(value, bool):
                raise self.refuse(f"{option} must be true or false, got {value!r}")

    def sides(self, output: Any, expected: Any) -> tuple[Any, Any]:
        """The output and the expected output, each taken out of an object that only wraps it.

        Raises:
            InvalidInput: there is no expected output.
        """
        if isinstance(expected, Mapping) and len(expected) == 1:
            (key,) = expected
            if isinstance(output, Mapping) and list(output) == [key]:
                output, expected = output[key], expected[key]
            elif not isinstance(output, Mapping):
                expected = expected[key]
        if expected is None:
            raise InvalidInput(f"no expected output: {self.builtin} compares with one, and this example has none")
        return output, expected


def text_of(value: Any) -> str:
    """The text itself, nothing for ``None``, canonical JSON text for anything else."""
    if isinstance(value, str):
        return value
    return "" if value is None else keys.canonical_json(value).decode()


def number_of(value: Any) -> float | None:
    """A finite number, or one written as text (commas may part the thousands); else ``None``."""
    if isinstance(value, str):
        value = value.strip()
        value = value.replace(",", "") if _THOUSANDS.fullmatch(value) else value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def parsed(output: Any) -> tuple[Any, str | None]:
    """An output as a JSON value, and what keeps it from being one. Text is parsed."""
    if not isinstance(output, str):
        return output, None
    try:
        return orjson.loads(output), None
    except orjson.JSONDecodeError as error:
        return None, f"not JSON: {error}"


def same_key(value: Any, *, ignore_case: bool = False, strip: bool = False) -> bytes:
    """Bytes that are equal for values that are the same JSON value: 1 and 1.0 are, 1 and true are not."""

    def plain(item: Any) -> Any:
        if isinstance(item, str):
            item = item.strip() if strip else item
            return item.casefold() if ignore_case else item
        if isinstance(item, float) and item.is_integer() and abs(item) <= _EXACT_INTEGERS:
            return int(item)
        if isinstance(item, Mapping):
            return {key: plain(child) for key, child in item.items()}
        return [plain(child) for child in item] if isinstance(item, list | tuple) else item

    return keys.canonical_json(plain(value))


def similarity(one: str, other: str) -> float:
    """1 - (Levenshtein distance / length of the longer text); 1 for two empty texts."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(one, other))


def verdict(passed: bool, explanation: str | None = None) -> EvaluationResult:
    """A pass or a fail, as a bool would be."""
    return EvaluationResult(score=float(passed), label=str(passed), explanation=explanation)


def shown(items: Sequence[Any]) -> str:
    """The first few items, for an explanation."""
    texts = [short(repr(text_of(item))) for item in items[:_SHOWN_ITEMS]]
    more = len(items) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")


def short(text: str) -> str:
    """The beginning of a text, for an explanation."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
