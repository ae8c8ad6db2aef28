"""The built-in evaluators that compare texts: exact match, contains, regex, edit similarity."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from prefect_experiments.errors import InvalidInput, unknown_value
from prefect_experiments.evaluators.scoring import Builtin, same_key, shown, similarity, text_of, verdict
from prefect_experiments.models import EvaluationResult

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}

# What Python makes of '\b' and '\1' in a text that is not raw; '\t', '\n' and their like are the same in both.
_MISREAD = re.compile(r"[\x01-\x06\x08\x0e-\x1f]")


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
        self.check_bool("ignore_case", "strip")

    def evaluate(self, output: Any, expected: Any) -> bool:  # type: ignore[override]
        """Compare one output."""
        given, wanted = self.sides(output, expected)
        return same_key(given, **self.options) == same_key(wanted, **self.options)


class Contains(Builtin):
    """1 where the output's text holds the expected text, else 0.

    Args:
        text: what to look for instead of the expected output: a text or a list of them. An
            expected output may be a list as well.
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
        self._texts = None if text is None else _list_of(text)
        if self._texts is not None and not (self._texts and all(isinstance(t, str) and t for t in self._texts)):
            raise self.refuse(f"text must be a text or a list of texts, none of them empty; got {text!r:.200}")
        self._fold = str.casefold if ignore_case else str
        self._enough = all if match == "all" else any

    def evaluate(self, output: Any, expected: Any) -> EvaluationResult:  # type: ignore[override]
        """Look into one output."""
        wanted = self._texts
        if wanted is None:
            output, looked_for = self.sides(output, expected)
            wanted = [text_of(item) for item in _list_of(looked_for)]
            if not wanted:
                raise InvalidInput("no expected output: the list of texts to look for is empty")
        held = self._fold(text_of(output))
        missing = [text for text in wanted if self._fold(text) not in held]
        passed = self._enough(text not in missing for text in wanted)
        return verdict(passed, None if passed else f"missing: {shown(missing)}")


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
        return self._matches(text_of(output)) is not None


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
        given, wanted = self.sides(output, expected)
        return similarity(self._fold(text_of(given)), self._fold(text_of(wanted)))


def _list_of(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
