"""The built-in evaluators that compare texts: exact match, contains, regex, edit similarity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefect_experiments.errors import InvalidInput, unknown_value
from prefect_experiments.evaluators.scoring import (
    ONLY_BY_TYPE,
    SAME_BUT_TYPE,
    Builtin,
    in_types,
    parsed,
    pass_or_fail,
    says,
    shown,
    similarity,
    spellings,
    text_of,
    type_differences,
)
from prefect_experiments.models import EvaluationResult

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}

# What Python makes of '\b' and '\1' in a text that is not raw; '\t', '\n' and their like are the same in both.
_MISREAD = re.compile(r"[\x01-\x06\x08\x0e-\x1f]")

# Numbers and truth values in a text, as words of their own: not the 5 of 15, of 1.5, of 05 or of v5.
_NUMBERS_IN_TEXT = re.compile(
    r"(?<![\w.])[+-]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?(?!\w|\.[0-9])"
)
_TRUTHS_IN_TEXT = re.compile(r"\b(?:true|false)\b", re.IGNORECASE)


class ExactMatch(Builtin):
    """1 where output and expected output say the same, else 0.

    Objects are the same whatever the order of their keys; 1 and 1.0 are the same, 1 and true are not. A
    text and a number, or a truth value, are the same where the text says it, also inside objects and
    lists: ``"5"`` and 5, ``"1e3"`` and 1000, ``"True"`` and true, but not ``"007"`` and 7. Texts are
    compared as texts: ``"1.0"`` is not ``"1"``.

    Args:
        ignore_case: of texts, also inside objects and lists (keys are compared as they are).
        strip: leave out white space around texts.
        strict: only the same JSON value is the same; no text is a number or a truth value.
    """

    builtin = "exact_match"
    compares = True
    version = "2"

    def __init__(
        self, *, ignore_case: bool = False, strip: bool = False, strict: bool = False, name: str | None = None
    ) -> None:
        super().__init__(name, ignore_case=ignore_case, strip=strip, strict=strict)
        self.check_bool("ignore_case", "strip", "strict")

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Compare one output."""
        given, wanted = self.sides(output, expected)
        ignore_case, strip, strict = (self.options[name] for name in ("ignore_case", "strip", "strict"))
        found = type_differences(given, wanted, ignore_case=ignore_case, strip=strip)
        if not found:
            kinds = None if found is not None else _json_in_a_text(given, wanted) or _other_kind(given, wanted)
            return pass_or_fail(found is not None, kinds)
        return pass_or_fail(not strict, f"{ONLY_BY_TYPE if strict else SAME_BUT_TYPE}: {in_types(found)}")


def _json_in_a_text(given: Any, wanted: Any) -> str | None:
    """What is to be said of an object or a list and a text that holds the very same as JSON; they are not the same."""
    if isinstance(given, str) == isinstance(wanted, str) or not isinstance(
        wanted if isinstance(given, str) else given, Mapping | list
    ):
        return None
    if type_differences(parsed(given)[0], parsed(wanted)[0]) is None:
        return None
    text, other = ("output", "expected output") if isinstance(given, str) else ("expected output", "output")
    return (
        f"different only by the type: the {text} is a text that holds the {other} as JSON; "
        f"{'parse it in the task' if text == 'output' else 'load its column as JSON'}"
    )


def _other_kind(given: Any, wanted: Any) -> str | None:
    """What is to be said of an object that cannot be the expected output, whatever its values are."""
    if not isinstance(given, Mapping):
        return None
    if not isinstance(wanted, Mapping):
        return f"the output is an object with {shown([*given])}, the expected output is no object"
    missing = [key for key in wanted if key not in given]
    return f"the output has no {shown(missing)}" if missing else None


class Contains(Builtin):
    """1 where the output's text holds the expected text, else 0.

    A text is looked for as Python's ``in`` does: ``"5"`` is in ``"15"``. A number and a truth value are
    looked for as words that say them: 5 is in ``"5 of 6"`` and in ``"5.0"``, not in ``"15"`` and not in
    ``"1.5"``; a CSV file holds texts, and ``types={"expected": "number"}`` makes them numbers. An output
    that is a number or a truth value itself holds what says the same, and nothing else.

    Args:
        text: what to look for instead of the expected output: a text or a list of them. An
            expected output may be a list as well.
        match: of several texts, ``all`` must be there, or ``any``.
        ignore_case: compare in any case.
        strict: compare texts only; what is no text stands for its JSON text, so that 5 is in ``"15"``.
    """

    builtin = "contains"
    version = "2"

    def __init__(
        self,
        *,
        text: str | Sequence[str] | None = None,
        match: str = "all",
        ignore_case: bool = False,
        strict: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name, text=text, match=match, ignore_case=ignore_case, strict=strict)
        self.check_bool("ignore_case", "strict")
        if match not in ("all", "any"):
            raise self.refuse(unknown_value("match", match, ["all", "any"]))
        self._texts = None if text is None else _list_of(text)
        self.compares = text is None
        if self._texts is not None and not (self._texts and all(isinstance(t, str) and t for t in self._texts)):
            raise self.refuse(f"text must be a text or a list of texts, none of them empty; got {text!r:.200}")
        self._fold = str.casefold if ignore_case else str

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Look into one output."""
        wanted: Sequence[Any] | None = self._texts
        if wanted is None:
            output, looked_for = self.sides(output, expected)
            wanted = _list_of(looked_for)
            if not wanted:
                raise InvalidInput("no expected output: the list of texts to look for is empty")
        held = self._fold(text_of(output))
        missing = [item for item in wanted if not self._holds(output, held, item)]
        passed = len(missing) < len(wanted) if self.options["match"] == "any" else not missing
        return pass_or_fail(passed, self._note(output, wanted) if passed else f"missing: {shown(missing)}")

    def _holds(self, output: Any, held: str, item: Any) -> bool:
        """Whether an output, and its text, holds one thing."""
        if not self.options["strict"]:
            if isinstance(item, bool | int | float):
                return any(_says_somewhere(part, item) for part in _scalars(output))
            if isinstance(output, bool | int | float):
                return isinstance(item, str) and says(item, output)
            values = (part for part in _scalars(output) if not isinstance(part, str))
            if isinstance(item, str) and any(says(item, value) for value in values):
                return True
        return self._fold(text_of(item)) in held

    def _note(self, output: Any, wanted: Sequence[Any]) -> str | None:
        found = next(filter(None, (type_differences(output, item) for item in wanted)), None)
        return f"{SAME_BUT_TYPE}: {in_types(found)}" if found else None


def _scalars(value: Any) -> Iterator[str | bool | int | float]:
    """The texts, numbers and truth values in a value."""
    if isinstance(value, str | bool | int | float):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _scalars(item)


def _says_somewhere(part: str | bool | float, value: bool | float) -> bool:
    """Whether a part of an output is this number or truth value, or a text with a word that says it."""
    if not isinstance(part, str):
        return type_differences(part, value) is not None
    pattern = _TRUTHS_IN_TEXT if isinstance(value, bool) else _NUMBERS_IN_TEXT
    return any(says(word.lstrip("+").replace(",", ""), value) for word in pattern.findall(part))


class Regex(Builtin):
    r"""1 where the output's text matches a regular expression of Python's `re`, else 0.

    What is no text stands for its JSON text; a truth value also for Python's (``true`` and ``True``), and
    5.0 also for 5.

    Args:
        pattern: such as ``^\d+$``.
        flags: letters of ``imsxa``, as in ``(?i)``.
        fullmatch: the whole text must match; else any part of it may.
    """

    builtin = "regex"
    version = "2"

    def __init__(self, *, pattern: str, flags: str = "", fullmatch: bool = False, name: str | None = None) -> None:
        super().__init__(name, pattern=pattern, flags=flags, fullmatch=fullmatch)
        self.check_bool("fullmatch")
        if not isinstance(pattern, str) or not isinstance(flags, str):
            raise self.refuse(f"pattern and flags must be texts, got pattern={pattern!r}, flags={flags!r}")
        unknown = sorted(set(flags) - set(_FLAGS))
        if unknown:
            raise self.refuse(f"unknown flags {''.join(unknown)!r}; known are the letters {''.join(_FLAGS)}")
        if _MISREAD.search(pattern):
            raise self.refuse(
                f"pattern {pattern!r:.200} holds a control character, as '\\b' becomes without r; write r'...'"
            )
        try:
            compiled = re.compile(pattern, sum(_FLAGS[flag] for flag in set(flags)))
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise self.refuse(f"pattern {pattern!r:.200} is no regular expression: {error}") from None
        self._matches = compiled.fullmatch if fullmatch else compiled.search

    def evaluate(self, output: Any) -> bool:  # type: ignore[override]
        """Match one output."""
        return any(self._matches(text) for text in spellings(output))


class EditSimilarity(Builtin):
    """1 - (Levenshtein distance / length of the longer text), from 0 to 1; 1 for two empty texts.

    It is also 1 where a text and a number, or a truth value, say the same, as for `exact_match`.

    Args:
        ignore_case: compare in any case.
    """

    builtin = "edit_similarity"
    compares = True
    version = "2"

    def __init__(self, *, ignore_case: bool = False, name: str | None = None) -> None:
        super().__init__(name, ignore_case=ignore_case)
        self.check_bool("ignore_case")
        self._fold = str.casefold if ignore_case else str

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Compare one output."""
        given, wanted = self.sides(output, expected)
        if found := type_differences(given, wanted, ignore_case=self.options["ignore_case"]):
            return EvaluationResult(score=1.0, explanation=f"{SAME_BUT_TYPE}: {in_types(found)}")
        return EvaluationResult(score=similarity(self._fold(text_of(given)), self._fold(text_of(wanted))))


def _list_of(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
