"""The built-in evaluators that look at values: JSON validity and schema, numbers, lists."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from prefect_experiments import configuration
from prefect_experiments.errors import InvalidInput
from prefect_experiments.evaluators.scoring import (
    ONLY_BY_TYPE,
    SAME_BUT_TYPE,
    Builtin,
    TypeDifference,
    bucket_of,
    in_types,
    number_of,
    parsed,
    pass_or_fail,
    same_key,
    short,
    shown,
    similarity,
    text_of,
    type_differences,
)
from prefect_experiments.models import EvaluationResult

_SHOWN_ERRORS = 3
_JUST_BELOW_1 = math.nextafter(1, 0)


class JsonValid(Builtin):
    """1 where the output is JSON, else 0. An output that is no text has been JSON already."""

    builtin = "json_valid"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name)

    def evaluate(self, output: Any) -> EvaluationResult:  # type: ignore[override]
        """Parse one output."""
        _, fault = parsed(output)
        return pass_or_fail(fault is None, fault)


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
        self.schema = self._load(schema)
        self._check()

    def identity(self) -> Any:
        """The schema's content counts, not the file it stands in."""
        return {**self.options, "schema": self.schema}

    def evaluate(self, output: Any) -> EvaluationResult:  # type: ignore[override]
        """Validate one output."""
        if self.options["parse"]:
            output, fault = parsed(output)
            if fault is not None:
                return pass_or_fail(False, fault)
        errors = list(islice(self._validator().iter_errors(output), _SHOWN_ERRORS + 1))
        texts = [f"{error.json_path}: {short(error.message)}" for error in errors[:_SHOWN_ERRORS]]
        if len(errors) > _SHOWN_ERRORS:
            texts.append("and more")
        return pass_or_fail(not errors, "; ".join(texts) or None)

    def _load(self, schema: Any) -> Any:
        if hasattr(schema, "model_json_schema"):
            return schema.model_json_schema()
        if isinstance(schema, Mapping | bool):
            return schema
        if not isinstance(schema, str | Path):
            raise self.refuse(f"schema must be a JSON Schema or the path of a .json file, got {schema!r:.200}")
        try:
            loaded = configuration.read_json(schema)
        except configuration.Unreadable as error:
            raise self.refuse(f"schema file {str(schema)!r:.200} {error}") from None
        if not isinstance(loaded, dict | bool):
            raise self.refuse(f"schema file {str(schema)!r} holds a {type(loaded).__name__}, not a JSON Schema")
        return loaded

    def _check(self) -> None:
        from jsonschema.exceptions import SchemaError

        try:
            type(self._validator()).check_schema(self.schema)
        except SchemaError as error:
            raise self.refuse(f"not a JSON Schema: at {error.json_path}: {short(error.message)}") from None

    def _validator(self) -> Any:
        # Made for each call, which is cheap: so the evaluator holds nothing that cannot be pickled.
        from jsonschema import Draft202012Validator
        from jsonschema.validators import validator_for
        from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

        return validator_for(self.schema, default=Draft202012Validator)(self.schema, registry=REGISTRY)


class NumericCloseness(Builtin):
    """1 - abs(output - expected) / (abs(output) + abs(expected)), from 0 to 1; 1 where both are 0.

    Numbers may be written as text, as people write them: with white space around, a sign, leading
    zeros, commas for thousands. An output that is no number scores 0; an expected output that is none
    is an error. Integers are compared exactly, and only what is within a tolerance scores exactly 1.

    Args:
        tolerance: a difference of at most this much scores exactly 1.
        relative_tolerance: so does one of at most this share of the larger of the two.
        strict: a text is no number.
    """

    builtin = "numeric_closeness"
    compares = True
    version = "2"

    def __init__(
        self,
        *,
        tolerance: float = 0.0,
        relative_tolerance: float = 0.0,
        strict: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name, tolerance=tolerance, relative_tolerance=relative_tolerance, strict=strict)
        self.check_bool("strict")
        for option in ("tolerance", "relative_tolerance"):
            value = self.options[option]
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise self.refuse(f"{option} must be a number of at least 0, got {value!r}")

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Compare one output."""
        output, expected = self.sides(output, expected)
        given, wanted = number_of(output), number_of(expected)
        types = [TypeDifference("", output, expected)] if isinstance(output, str) != isinstance(expected, str) else []
        if wanted is None or not self.usable(expected):
            told = " and strict=True reads none" if wanted is not None else ""
            raise InvalidInput(
                f"the expected output is not a number but a {type(expected).__name__}{told}: {short(repr(expected))}"
            )
        if given is None:
            return EvaluationResult(score=0.0, explanation="the output is not a number")
        score = self._closeness(given, wanted)
        if self.options["strict"] and isinstance(output, str):
            only = f"{ONLY_BY_TYPE}: {in_types(types)}" if score == 1 else "the output is a text, not a number"
            return EvaluationResult(score=0.0, explanation=only)
        note = f"{SAME_BUT_TYPE}: {in_types(types)}" if types and given == wanted else None
        return EvaluationResult(score=score, explanation=note)

    def usable(self, expected: Any) -> bool:
        """Whether it is a number."""
        return number_of(expected) is not None and not (self.options["strict"] and isinstance(expected, str))

    def _closeness(self, given: float, wanted: float) -> float:
        relative, absolute = self.options["relative_tolerance"], self.options["tolerance"]
        scale = max(abs(given), abs(wanted))
        # Not math.isclose, which makes floats of integers.
        if given == wanted or abs(given - wanted) <= max(absolute, relative * scale):
            return 1.0
        given, wanted = given / scale, wanted / scale  # first, so that neither sum nor difference overflows
        return min(1 - abs(given - wanted) / (abs(given) + abs(wanted)), _JUST_BELOW_1)


class ListContains(Builtin):
    """The share of the expected items that are found in the output list, each item used once.

    As many items as can be are paired one to one; the score is pairs / expected items. A text
    that is a JSON list counts as the list, on either side; an output that is no list scores 0.

    Args:
        threshold: how similar (as by `edit_similarity` of their texts) two items must be to make
            a pair, above 0 and at most 1. At 1 they are compared as by `exact_match`: a text and a
            number, or a truth value, are the same where the text says it.
        ignore_case: compare texts in any case.
        allow_extra: with false the score is pairs / items of the longer list, so that what was
            not expected costs as well.
        strict: only the same JSON values make a pair, and an expected text is no list; with a threshold of 1.
    """

    builtin = "list_contains"
    compares = True
    version = "2"

    def __init__(
        self,
        *,
        threshold: float = 1.0,
        ignore_case: bool = False,
        allow_extra: bool = True,
        strict: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name, threshold=threshold, ignore_case=ignore_case, allow_extra=allow_extra, strict=strict)
        self.check_bool("ignore_case", "allow_extra", "strict")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold <= 1:
            raise self.refuse(f"threshold must be above 0 and at most 1, got {threshold!r}")
        if strict and threshold < 1:
            raise self.refuse(f"strict compares JSON values, and threshold={threshold!r} texts; give one of them")

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Compare one output."""
        output, expected = self.sides(output, expected)
        wanted = self._wanted(expected)
        given, fault = parsed(output)
        if fault is not None or not isinstance(given, list):
            return EvaluationResult(score=0.0, explanation="the output is not a list")
        pairs = largest_pairing(self._candidates(given, wanted, strict=self.options["strict"]))
        count = len(wanted) if self.options["allow_extra"] else max(len(wanted), len(given))
        missing = [item for index, item in enumerate(wanted) if index not in pairs]
        explanation = f"{len(pairs)} of {len(wanted)} expected items among the {len(given)} given"
        if missing:
            explanation += f"; missing: {shown(missing)}"
        explanation += self._note(given, wanted, pairs, missing)
        return EvaluationResult(score=len(pairs) / count if count else 1.0, explanation=explanation)

    def _wanted(self, expected: Any) -> list[Any]:
        if isinstance(expected, str) and not self.options["strict"]:
            found, _ = parsed(expected)
            expected = found if isinstance(found, list) else expected
        return expected if isinstance(expected, list) else [expected]

    def _candidates(self, given: list[Any], wanted: list[Any], *, strict: bool) -> Sequence[Sequence[int]]:
        """For each expected item, the places in the output that may be its pair."""
        threshold, ignore_case = self.options["threshold"], self.options["ignore_case"]
        same = _same_items(given, wanted, ignore_case=ignore_case, strict=strict)
        if threshold == 1:
            return same
        fold = str.casefold if ignore_case else str
        texts = [fold(text_of(item)) for item in given]
        targets = [fold(text_of(item)) for item in wanted]
        return [
            [i for i, text in enumerate(texts) if i in said or similarity(text, target) >= threshold]
            for target, said in zip(targets, map(frozenset, same), strict=True)
        ]

    def _note(self, given: list[Any], wanted: list[Any], pairs: Mapping[int, int], missing: list[Any]) -> str:
        """What is to be said of items that say the same in different types."""
        told, said = f"; {SAME_BUT_TYPE}", ((given[at], wanted[index]) for index, at in pairs.items())
        if self.options["strict"] and missing:
            others = largest_pairing(self._candidates(given, missing, strict=False))
            told, said = f"; {ONLY_BY_TYPE}", ((given[at], missing[index]) for index, at in others.items())
        ignore_case = self.options["ignore_case"]
        found = [each for one, other in said for each in type_differences(one, other, ignore_case=ignore_case) or ()]
        return f"{told}: {in_types(found)}" if found else ""


def _same_items(given: list[Any], wanted: list[Any], *, ignore_case: bool, strict: bool) -> list[list[int]]:
    """For each wanted item the places of what says the same, those of the same type first.

    Equal items are looked at once, and only beside those that may say the same.
    """
    places: dict[bytes, list[int]] = {}
    alike: dict[Hashable, dict[bytes, Any]] = {}
    for index, item in enumerate(given):
        key = same_key(item, ignore_case=ignore_case)
        places.setdefault(key, []).append(index)
        if not strict:
            alike.setdefault(bucket_of(item, ignore_case=ignore_case), {})[key] = item
    found: dict[bytes, list[int]] = {}
    keys = [same_key(item, ignore_case=ignore_case) for item in wanted]
    for key, item in zip(keys, wanted, strict=True):
        if key in found:
            continue
        others = {} if strict else alike.get(bucket_of(item, ignore_case=ignore_case), {})
        said = [
            index
            for other, one in others.items()
            if other != key and type_differences(one, item, ignore_case=ignore_case) is not None
            for index in places[other]
        ]
        found[key] = places.get(key, []) + said
    return [found[key] for key in keys]


def largest_pairing(candidates: Sequence[Sequence[int]]) -> dict[int, int]:
    """A largest one-to-one pairing: for each row that gets one of its candidates, which.

    Row by row, a breadth-first search for a way to give the row a candidate by moving other rows
    to another of theirs (augmenting paths).
    """
    pair_of: dict[int, int] = {}
    row_of: dict[int, int] = {}
    for start in range(len(candidates)):
        reached_from: dict[int, int] = {}
        rows, free = deque([start]), None
        while rows and free is None:
            row = rows.popleft()
            for candidate in candidates[row]:
                if candidate in reached_from:
                    continue
                reached_from[candidate] = row
                if candidate not in row_of:
                    free = candidate
                    break
                rows.append(row_of[candidate])
        while free is not None:  # back along the way, each row moves on to the candidate it reached
            row = reached_from[free]
            left = pair_of.get(row)
            pair_of[row], row_of[free] = free, row
            free = left
    return pair_of
