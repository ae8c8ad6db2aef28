"""What pixie's evaluators are given: an entry with what the application gave for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example
from prefect_experiments.pixie.examples import ABSENT, Entry, Named, as_items, captured


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluable:
    """The same as pixie's own, where pixie is not installed.

    Attributes:
        eval_input: what the entry gives, each with its ``name`` and ``value``.
        eval_output: what the application gave, likewise.
        expectation: `ABSENT` where the entry has none.
    """

    eval_input: list[Named]
    eval_output: list[Named]
    expectation: Any = ABSENT
    eval_metadata: Mapping[str, Any] | None = None
    description: str | None = None


def evaluable(example: Example, output: Any) -> Any:
    """An entry with a run's output, as pixie's `Evaluable` where pixie is installed.

    Raises:
        InvalidDataset: the example is no entry, or has no input that evaluators see.
    """
    entry = Entry.of(example)
    given, gave = entry.shown_input, captured(output)
    if not given:
        raise InvalidDataset(
            f"example {example.id!r} has no 'eval_input', and evaluators do not see what is under 'entry_kwargs': "
            "give it one item at least"
        )
    theirs = _pixies()
    expected = {} if entry.expectation is ABSENT else {"expectation": entry.expectation}
    if theirs is None:
        parts: dict[str, Any] = {"eval_input": list(given), "eval_output": list(gave)}
    else:
        parts = {"eval_input": as_items(given), "eval_output": as_items(gave)}
    about = None if entry.eval_metadata is None else dict(entry.eval_metadata)
    make = Evaluable if theirs is None else theirs.Evaluable
    return make(**parts, **expected, eval_metadata=about, description=entry.description)


def _pixies() -> Any:
    """The module that has pixie's own; ``None`` where pixie is not installed."""
    try:
        from pixie.eval import evaluable as theirs
    except ImportError:
        return None
    return theirs
