"""The built-in evaluators. Each gives the same score for the same values, always, on any machine.

Where texts are compared, a value that is no text stands for its canonical JSON text, and no
output (``None``) for the empty text. An expected object with one key stands for that key's value,
unless the output is an object as well: ``{"answer": "Paris"}`` is matched by ``"Paris"``. An
example without an expected output is this evaluator's error there, never a score of 0.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from prefect_experiments import keys
from prefect_experiments.errors import InvalidEvaluator, InvalidInput, unknown_value
from prefect_experiments.evaluators.base import Evaluator
from prefect_experiments.models import EvaluationResult

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}
_EXACT_INTEGERS = 2**53
_SHOWN_ERRORS = 3
_SHOWN_CHARACTERS = 200


class Builtin(Evaluator):
    """Base of the built-ins: a name, and options that are part of the fingerprint.

    Attributes:
        builtin: the name it is asked for by.
        options: as given, for its reference and its fingerprint.
    """

    builtin = ""
    version = "1"

    def __init__(self, name: str | None, **options: Any) -> None:
        self.name = name or self.builtin
        self.options = options

    def refuse(self, problem: str) -> InvalidEvaluator:
        """The error for an option that cannot be used."""
        return InvalidEvaluator(f"evaluator {self.name!r}: {problem}")

    def check_bool(self, option: str) -> None:
        """Refuse a text such as "no", which Python would take for true."""
        value = self.options[option]
        if not isinstance(value, bool):
            raise self.refuse(f"{option} must be true or false, got {value!r}")

    def wanted(self, output: Any, expected: Any) -> Any:
        """The expected output, taken out of its object where that has one key and the output is no object.

        Raises:
            InvalidInput: there is none.
        """
        if isinstance(expected, Mapping) and len(expected) == 1 and not isinstance(output, Mapping):
            expected = next(iter(expected.values()))
        if expected is None:
            raise InvalidInput(f"no expected output: {self.builtin} compares with one, and this example has none")
        return expected


class ExactMatch(Builtin):
    """1 where output and expected output are the same JSON value, else 0.

    Objects are the same whatever the order of their keys; 1 and 1.0 are the same, 1 and true are not.

    Args:
        ignore_case: of texts, also inside objects and lists (keys are compared as they are).
        strip: leave out white space around texts.
    """

    builtin = "exact_match"

    def __init__(self, *, ignore_case: bool = False, strip: bool = False, name: str | None = None) -> None:
        super().__init__(name, ignore_case=ignore_case, strip=strip)
        self.check_bool("ignore_case")
        self.check_bool("strip")

    def evaluate(self, output: Any, expected: Any) -> bool:  # type: ignore[override]
        """Compare one output."""
        return _key(output, **self.options) == _key(self.wanted(output, expected), **self.options)


class Contains(Builtin):
    """1 where the output's text holds the expected text, else 0.

    Args:
        text: what to look for instead of the expected output: a text or a list of them.
        match: of several texts, ``all`` must be there, or ``any``.
        ignore_case: compare in any case.
    """

    builtin = "contains"

    def __init__(
        self,
        *,
        text: str | Sequence[str] | None = None,
        match: str = "all",
        ignore_case: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name, text=text, match=match, ignore_case=ignore_case)
        self.check_bool("ignore_case")
        if match not in ("all", "any"):
            raise self.refuse(unknown_value("match", match, ["all", "any"]))
        if text is not None and not (texts_of(text) and all(texts_of(text))):
            raise self.refuse(f"text must be a text or a list of texts, none of them empty; got {text!r}")
        self._text = text
        self._fold = str.casefold if ignore_case else str
        self._enough = all if match == "all" else any

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Look into one output."""
        wanted = texts_of(self.wanted(output, expected) if self._text is None else self._text)
        if not wanted:
            raise InvalidInput("no expected output: the list of texts to look for is empty")
        held = self._fold(text_of(output))
        missing = [text for text in wanted if self._fold(text) not in held]
        passed = self._enough(text not in missing for text in wanted)
        return _verdict(passed, None if passed else f"missing: {_shown(missing)}")


class Regex(Builtin):
    r"""1 where the output's text matches a regular expression of Python's `re`, else 0.

    Args:
        pattern: such as ``^\d+$``.
        flags: letters of ``imsxa``, as in ``(?i)``.
        fullmatch: the whole text must match; else any part of it may.
    """

    builtin = "regex"

    def __init__(self, *, pattern: str, flags: str = "", fullmatch: bool = False, name: str | None = None) -> None:
        super().__init__(name, pattern=pattern, flags=flags, fullmatch=fullmatch)
        self.check_bool("fullmatch")
        if not isinstance(pattern, str) or not isinstance(flags, str):
            raise self.refuse(f"pattern and flags must be texts, got pattern={pattern!r}, flags={flags!r}")
        unknown = sorted(set(flags) - set(_FLAGS))
        if unknown:
            raise self.refuse(f"unknown flags {''.join(unknown)!r}; known are the letters {''.join(_FLAGS)}")
        try:
            compiled = re.compile(pattern, sum(_FLAGS[flag] for flag in set(flags)))
        except re.error as error:
            raise self.refuse(f"pattern {pattern!r} is no regular expression: {error}") from None
        self._matches = compiled.fullmatch if fullmatch else compiled.search

    def evaluate(self, output: Any) -> bool:  # type: ignore[override]
        """Match one output."""
        return self._matches(text_of(output)) is not None


class JsonValid(Builtin):
    """1 where the output is JSON, else 0. An output that is no text has been JSON already."""

    builtin = "json_valid"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name)

    def evaluate(self, output: Any) -> EvaluationResult:  # type: ignore[override]
        """Parse one output."""
        _, fault = _parsed(output)
        return _verdict(fault is None, fault)


class JsonSchema(Builtin):
    """1 where the output meets a JSON Schema, else 0 with the first errors as the explanation.

    Args:
        schema: the schema, the path of a ``.json`` file that holds it, or a pydantic model. Its
            ``$schema`` says which draft, Draft 2020-12 by default. ``$ref`` to other documents is
            not followed: nothing is fetched.
        parse: an output that is a text is parsed first, and no JSON is a score of 0. With false
            the text itself is held against the schema.
    """

    builtin = "json_schema"

    def __init__(self, *, schema: Any, parse: bool = True, name: str | None = None) -> None:
        super().__init__(name, schema=schema, parse=parse)
        self.check_bool("parse")
        self.schema = self.options["schema"] = self._load(schema)
        self._check()

    def evaluate(self, output: Any) -> EvaluationResult:  # type: ignore[override]
        """Validate one output."""
        if self.options["parse"]:
            output, fault = _parsed(output)
            if fault is not None:
                return _verdict(False, fault)
        errors = list(islice(self._validator().iter_errors(output), _SHOWN_ERRORS + 1))
        texts = [f"{error.json_path}: {_short(error.message)}" for error in errors[:_SHOWN_ERRORS]]
        if len(errors) > _SHOWN_ERRORS:
            texts.append("and more")
        return _verdict(not errors, "; ".join(texts) or None)

    def _load(self, schema: Any) -> Any:
        if hasattr(schema, "model_json_schema"):
            return schema.model_json_schema()
        if isinstance(schema, Mapping | bool):
            return schema
        if not isinstance(schema, str | Path):
            raise self.refuse(f"schema must be a JSON Schema or the path of a .json file, got {schema!r:.200}")
        try:
            loaded = json.loads(Path(schema).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self.refuse(f"schema file {str(schema)!r} cannot be read as JSON: {error}") from None
        if not isinstance(loaded, dict | bool):
            raise self.refuse(f"schema file {str(schema)!r} holds a {type(loaded).__name__}, not a JSON Schema")
        return loaded

    def _check(self) -> None:
        from jsonschema.exceptions import SchemaError

        try:
            type(self._validator()).check_schema(self.schema)
        except SchemaError as error:
            raise self.refuse(f"not a JSON Schema: at {error.json_path}: {_short(error.message)}") from None

    def _validator(self) -> Any:
        # Made for each call, which is cheap: so the evaluator holds nothing that cannot be pickled.
        from jsonschema import Draft202012Validator
        from jsonschema.validators import validator_for
        from jsonschema_specifications import REGISTRY

        return validator_for(self.schema, default=Draft202012Validator)(self.schema, registry=REGISTRY)


class EditSimilarity(Builtin):
    """1 - (Levenshtein distance / length of the longer text), from 0 to 1; 1 for two empty texts.

    Args:
        ignore_case: compare in any case.
    """

    builtin = "edit_similarity"

    def __init__(self, *, ignore_case: bool = False, name: str | None = None) -> None:
        super().__init__(name, ignore_case=ignore_case)
        self.check_bool("ignore_case")
        self._fold = str.casefold if ignore_case else str

    def evaluate(self, output: Any, expected: Any) -> float:  # type: ignore[override]
        """Compare one output."""
        wanted = self.wanted(output, expected)
        return _similarity(self._fold(text_of(output)), self._fold(text_of(wanted)))


class NumericCloseness(Builtin):
    """1 - |output - expected| / (|output| + |expected|), from 0 to 1; 1 where both are 0.

    Numbers may be written as text, with commas for thousands. An output that is no number scores
    0; an expected output that is none is an error.

    Args:
        tolerance: a difference of at most this much scores exactly 1.
        relative_tolerance: so does one of at most this share of the larger of the two.
    """

    builtin = "numeric_closeness"

    def __init__(self, *, tolerance: float = 0.0, relative_tolerance: float = 0.0, name: str | None = None) -> None:
        super().__init__(name, tolerance=tolerance, relative_tolerance=relative_tolerance)
        for option, value in self.options.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise self.refuse(f"{option} must be a number of at least 0, got {value!r}")

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Compare one output."""
        wanted = number_of(self.wanted(output, expected))
        if wanted is None:
            raise InvalidInput("the expected output is not a number")
        given = number_of(output)
        if given is None:
            return EvaluationResult(score=0.0, explanation="the output is not a number")
        close = math.isclose(
            given, wanted, rel_tol=self.options["relative_tolerance"], abs_tol=self.options["tolerance"]
        )
        if close:
            return EvaluationResult(score=1.0)
        scale = max(abs(given), abs(wanted))  # first, so that neither sum nor difference overflows
        given, wanted = given / scale, wanted / scale
        return EvaluationResult(score=1 - abs(given - wanted) / (abs(given) + abs(wanted)))


class ListContains(Builtin):
    """The share of the expected items that are found in the output list, each item used once.

    As many items as can be are paired one to one; the score is pairs / expected items. A text
    that is a JSON list counts as the list; anything else that is no list scores 0.

    Args:
        threshold: how similar (`edit_similarity` of their texts) two items must be to make a
            pair, above 0 and at most 1. At 1 they are compared as by `exact_match`.
        ignore_case: compare texts in any case.
        allow_extra: with false the score is pairs / items of the longer list, so that what was
            not expected costs as well.
    """

    builtin = "list_contains"

    def __init__(
        self,
        *,
        threshold: float = 1.0,
        ignore_case: bool = False,
        allow_extra: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name, threshold=threshold, ignore_case=ignore_case, allow_extra=allow_extra)
        self.check_bool("ignore_case")
        self.check_bool("allow_extra")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold <= 1:
            raise self.refuse(f"threshold must be above 0 and at most 1, got {threshold!r}")

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Compare one output."""
        wanted = self.wanted(output, expected)
        wanted = wanted if isinstance(wanted, list) else [wanted]
        given, fault = _parsed(output)
        if fault is not None or not isinstance(given, list):
            return EvaluationResult(score=0.0, explanation="the output is not a list")
        pairs = largest_pairing(self._candidates(given, wanted))
        count = len(wanted) if self.options["allow_extra"] else max(len(wanted), len(given))
        missing = [item for index, item in enumerate(wanted) if index not in pairs]
        explanation = f"{len(pairs)} of {len(wanted)} expected items among {len(given)}"
        if missing:
            explanation += f"; missing: {_shown(missing)}"
        return EvaluationResult(score=len(pairs) / count if count else 1.0, explanation=explanation)

    def _candidates(self, given: list[Any], wanted: list[Any]) -> list[list[int]]:
        """For each expected item, the places in the output that may be its pair."""
        threshold, ignore_case = self.options["threshold"], self.options["ignore_case"]
        if threshold == 1:
            places: dict[bytes, list[int]] = {}
            for index, item in enumerate(given):
                places.setdefault(_key(item, ignore_case=ignore_case), []).append(index)
            return [places.get(_key(item, ignore_case=ignore_case), []) for item in wanted]
        fold = str.casefold if ignore_case else str
        texts = [fold(text_of(item)) for item in given]
        return [
            [i for i, text in enumerate(texts) if _similarity(text, fold(text_of(item))) >= threshold]
            for item in wanted
        ]


def largest_pairing(candidates: Sequence[Sequence[int]]) -> dict[int, int]:
    """A largest one-to-one pairing: for the index of each row that has one, its pair.

    Row by row, a breadth-first search for a way to give the row a pair by moving others to
    another of their candidates (augmenting paths, as in the Hungarian method).
    """
    pair_of: dict[int, int] = {}
    row_of: dict[int, int] = {}
    for start in range(len(candidates)):
        reached_from: dict[int, int] = {}
        queue, free = deque([start]), None
        while queue and free is None:
            row = queue.popleft()
            for candidate in candidates[row]:
                if candidate not in reached_from:
                    reached_from[candidate] = row
                    if candidate not in row_of:
                        free = candidate
                        break
                    queue.append(row_of[candidate])
        while free is not None:
            row = reached_from[free]
            left = pair_of.get(row)
            pair_of[row], row_of[free] = free, row
            free = left
    return pair_of


def text_of(value: Any) -> str:
    """The text itself, nothing for ``None``, canonical JSON text for anything else."""
    if isinstance(value, str):
        return value
    return "" if value is None else keys.canonical_json(value).decode()


def texts_of(value: Any) -> list[str]:
    """The texts of a list, or of a single value."""
    return [text_of(item) for item in value] if isinstance(value, list | tuple) else [text_of(value)]


def number_of(value: Any) -> float | None:
    """A finite number, or one written as text; else ``None``."""
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


def _key(value: Any, *, ignore_case: bool = False, strip: bool = False) -> bytes:
    """Bytes that are equal for values that are the same JSON value."""

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


def _parsed(output: Any) -> tuple[Any, str | None]:
    """An output as a JSON value, and what keeps it from being one."""
    if not isinstance(output, str):
        return output, None
    import orjson

    try:
        return orjson.loads(output), None
    except orjson.JSONDecodeError as error:
        return None, f"not JSON: {error}"


def _similarity(one: str, other: str) -> float:
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(one, other))


def _verdict(passed: bool, explanation: str | None) -> EvaluationResult:
    return EvaluationResult(score=float(passed), label=str(passed), explanation=explanation)


def _shown(items: Sequence[Any]) -> str:
    texts = [_short(repr(text_of(item))) for item in items[:_SHOWN_ERRORS]]
    more = len(items) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
