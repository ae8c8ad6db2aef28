"""What the built-in evaluators share: their base, and how they read values.

A text and a number, or a text and a truth value, are the same where the text says it (see
`type_differences`): a CSV file has texts only. Where texts are compared, a value that is no text
stands for its canonical JSON text, and no output (``None``) for the empty text. An expected object
with one key stands for that key's value, unless the output is another kind of object:
``{"answer": "Paris"}`` is matched by ``"Paris"`` and by ``{"answer": "Paris"}``. An example without
an expected output is this evaluator's error there, never a score of 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from prefect_experiments import keys
from prefect_experiments.display import some
from prefect_experiments.errors import InvalidEvaluator, InvalidInput
from prefect_experiments.evaluators.base import Evaluator
from prefect_experiments.models import EvaluationResult
from prefect_experiments.texts import shortened

# As JSON writes numbers, which is how programs write them: no leading zeros, "+", "_" or white space, no NaN.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_LONGEST_NUMBER = 400
_TRUTH = {"true": True, "false": False}
# As people write them.
_LOOSE_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_EXACT_INTEGERS = 2**53
_SHOWN_ITEMS = 3
_SHOWN_CHARACTERS = 200


class Builtin(Evaluator):
    """Base of the built-in evaluators: a name, and options that are part of the fingerprint.

    Attributes:
        builtin: the name it is asked for by.
        compares: whether it needs an expected output.
        usable: tells the expected outputs that it can compare with, where not all are.
        options: as they were given.
    """

    builtin = ""
    compares = False
    usable: Callable[[Any], bool] | None = None
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
        output, expected = unwrapped(output, expected)
        if expected is None:
            raise InvalidInput(f"no expected output: {self.builtin} compares with one, and this example has none")
        return output, expected


def unwrapped(output: Any, expected: Any) -> tuple[Any, Any]:
    """Both, each taken out of an object that only wraps it."""
    if isinstance(expected, Mapping) and len(expected) == 1:
        (key,) = expected
        if isinstance(output, Mapping) and list(output) == [key]:
            return output[key], expected[key]
        if not isinstance(output, Mapping):
            return output, expected[key]
    return output, expected


def text_of(value: Any) -> str:
    """The text itself, nothing for ``None``, canonical JSON text for anything else."""
    if isinstance(value, str):
        return value
    return "" if value is None else keys.canonical_json(value).decode()


def spellings(value: Any) -> list[str]:
    """The texts that a value may be written as: ``true`` is ``True`` as well, and 5.0 is 5."""
    if isinstance(value, bool):
        return [str(value).lower(), str(value)]
    texts = [text_of(value)]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_INTEGERS:
        texts.append(str(int(value)))
    return texts


def number_of(value: Any) -> int | float | None:
    """A finite number, or one written as text, as people do it; else ``None``.

    White space around it, a sign, leading zeros and commas between the thousands are understood.
    """
    if isinstance(value, str):
        text = value.strip()
        text = text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
        if len(text) > _LONGEST_NUMBER or not _LOOSE_NUMBER.fullmatch(text):
            return None
        value = int(text) if text.lstrip("+-").isdigit() else float(text)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer that no float reaches
        return None


class TypeDifference(NamedTuple):
    """A place where two values say the same in different types."""

    at: str
    given: Any
    wanted: Any


def type_differences(
    given: Any, wanted: Any, *, ignore_case: bool = False, strip: bool = False
) -> list[TypeDifference] | None:
    """Where two values that say the same do so in different types; ``None`` where they do not say the same.

    An empty list says that they are the same JSON value: 1 and 1.0 are, 1 and true are not, and
    objects are whatever the order of their keys. A text and a number are the same where the text
    is a JSON number of that value (``"5"``, ``"5.0"`` and ``"5e0"`` say 5; ``"007"``, ``"1_000"``,
    ``"0x10"``, ``" 5 "`` and ``"NaN"`` say no number), a text and a truth value where the text is
    ``true`` or ``false`` in any case; also inside objects and lists. Texts are compared with texts
    as texts: ``"1.0"`` is not ``"1"``. Integers are compared exactly, however large.

    Args:
        given: a JSON value.
        wanted: another one.
        ignore_case: of texts; keys are compared as they are.
        strip: leave out white space around texts.
    """

    def plain(text: str) -> str:
        text = text.strip() if strip else text
        return text.casefold() if ignore_case else text

    found: list[TypeDifference] = []
    return found if _say_the_same(given, wanted, plain, "", found) else None


def _say_the_same(given: Any, wanted: Any, plain: Callable[[str], str], at: str, found: list[TypeDifference]) -> bool:
    if isinstance(given, str) and isinstance(wanted, str):
        return plain(given) == plain(wanted)
    if isinstance(given, str) or isinstance(wanted, str):
        text, other = (given, wanted) if isinstance(given, str) else (wanted, given)
        if not isinstance(other, bool | int | float) or not says(plain(text), other):
            return False
        found.append(TypeDifference(at, given, wanted))
        return True
    if isinstance(given, Mapping) and isinstance(wanted, Mapping):
        return given.keys() == wanted.keys() and all(
            _say_the_same(item, wanted[key], plain, f"{at}.{key}", found) for key, item in given.items()
        )
    if isinstance(given, list | tuple) and isinstance(wanted, list | tuple):
        return len(given) == len(wanted) and all(
            _say_the_same(one, other, plain, f"{at}[{place}]", found)
            for place, (one, other) in enumerate(zip(given, wanted, strict=True))
        )
    if _is_number(given) and _is_number(wanted):
        exact = type(given) is type(wanted) or abs(given) <= _EXACT_INTEGERS
        return bool(given == wanted and exact)
    return type(given) is type(wanted) and bool(given == wanted)


def says(text: str, value: bool | float) -> bool:
    """Whether a text says this number or truth value."""
    if isinstance(value, bool):
        return _TRUTH.get(text.lower()) is value
    if not _is_number_text(text):
        return False
    if isinstance(value, int):
        return Decimal(text) == value
    # A whole number is compared exactly; one with a point is the float nearest to it, as it is in JSON.
    return (float(text) if set(text) & set(".eE") else int(text)) == value


def _is_number_text(text: str) -> bool:
    return len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def bucket_of(value: Any, *, ignore_case: bool = False) -> Hashable:
    """The same for all values that say the same, and for few others: where to look for them."""
    if isinstance(value, str):
        if (truth := _TRUTH.get(value.lower())) is not None:
            return "truth", truth
        if _is_number_text(value):
            return "number", float(value)
        return "text", value.casefold() if ignore_case else value
    if isinstance(value, bool):
        return "truth", value
    if isinstance(value, int | float):
        return "number", float(value)
    if isinstance(value, Mapping):
        return "object", frozenset((key, bucket_of(item, ignore_case=ignore_case)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return "list", tuple(bucket_of(item, ignore_case=ignore_case) for item in value)
    return "other", repr(value)


def in_types(found: Sequence[TypeDifference]) -> str:
    """Such as ``the output has the number 5, the expected output the text '5'``."""
    at, given, wanted = found[0]
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    has = f"at {short(at)} the output has" if at else "the output is"
    return f"{has} {_with_type(given)}, the expected output {_with_type(wanted)}{more}"


def _with_type(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {short(repr(value))}"
    return f"the {'truth value' if isinstance(value, bool) else 'number'} {text_of(value)}"


SAME_BUT_TYPE = "the same but for the type"
ONLY_BY_TYPE = "different only by the type, which strict=True tells apart"


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


def pass_or_fail(passed: bool, explanation: str | None = None) -> EvaluationResult:
    """A pass or a fail, as a bool would be."""
    return EvaluationResult(score=float(passed), label=str(passed), explanation=explanation)


def shown(items: Sequence[Any]) -> str:
    """The first few items, for an explanation."""
    return some(items, _SHOWN_ITEMS, lambda item: short(repr(text_of(item))))


def short(text: str) -> str:
    """The beginning of a text, for an explanation."""
    return shortened(text, _SHOWN_CHARACTERS)
