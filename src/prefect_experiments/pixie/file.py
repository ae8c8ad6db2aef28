"""What a file of pixie's holds: an application, evaluators, and entries to run them on; and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from prefect_experiments.errors import InvalidEntries
from prefect_experiments.pixie.examples import (
    ABSENT,
    DESCRIPTION,
    EVAL_INPUT,
    EVAL_METADATA,
    EVAL_OUTPUT,
    EXPECTATION,
    FORMS,
    Entry,
)
from prefect_experiments.texts import shortened

RUNNABLE, EVALUATORS, ENTRIES, NAME = "runnable", "evaluators", "entries", "name"
TOP_KEYS: Final = (NAME, RUNNABLE, EVALUATORS, ENTRIES)
ENTRY_KEYS: Final = (*FORMS, EVAL_INPUT, DESCRIPTION, EXPECTATION, EVAL_METADATA, EVALUATORS, EVAL_OUTPUT)
DEFAULTS: Final = "..."
"""Stands in an entry's evaluators for those of the file."""

_MOST_SHOWN = 50
_LONGEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """An entry as the file has it.

    Attributes:
        number: its place in the file, from 1.
        evaluators: its own, those of the file put in their place.
        eval_output: what the application gave when the entry was made of a trace, `ABSENT` where it does not say.
        keys: that the file gives it.
    """

    number: int
    entry: Entry
    evaluators: tuple[str, ...]
    eval_output: Any = ABSENT
    keys: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What it is called in a message."""
        return place(self.number, self.entry.description)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixieFile:
    """What a file holds, as far as that can be used; and what is wrong with it.

    Attributes:
        runnable: the reference to the application; empty where there is none that could be one.
        evaluators: those of entries that name none.
        entries: those that can be used.
        keys: at the top of the file.
        named: every evaluator that it names, the unused ones and those of entries that cannot be used too, with
            where it does so first.
        problems: a sentence each.
    """

    path: Path
    name: str
    runnable: str = ""
    evaluators: tuple[str, ...] = ()
    entries: tuple[FileEntry, ...] = ()
    keys: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def check(self, further: Sequence[str] = (), hint: str = "") -> None:
        """Refuse the file where something is wrong with it.

        Args:
            further: problems that were found with what it names.
            hint: what may mend several of them at once.

        Raises:
            InvalidEntries: with all of them.
        """
        problems = list(dict.fromkeys([*self.problems, *further]))
        if not problems:
            return
        n, shown = len(problems), problems[:_MOST_SHOWN]
        lines = [f"{self.path} cannot be used; {n} problems:" if n > 1 else f"{self.path} cannot be used:"]
        lines += [f"  - {problem}" for problem in shown]
        if n > len(shown):
            lines.append(f"  and {n - len(shown)} more")
        lines += [hint] if hint else []
        raise InvalidEntries("\n".join(lines))


def place(number: int, description: object = None) -> str:
    """What an entry is called in a message: its number in the file, and what it is about."""
    said = f" ({quoted(description)})" if isinstance(description, str) and description.strip() else ""
    return f"entry {number}{said}"


def expanded(own: Sequence[str], defaults: Sequence[str]) -> list[str]:
    """The evaluators of an entry, as pixie has it: ``"..."`` stands for those of the file, and so does no list."""
    if not own:
        return list(defaults)
    return [name for one in own for name in (defaults if one == DEFAULTS else (one,))]


def quoted(text: object) -> str:
    """A text for a message, in quotation marks."""
    words = " ".join(str(text).split())
    return repr(shortened(words, _LONGEST))
