"""What is known of examples beside their content, their metadata and splits: by field, which example has which value.

A field is ``splits``, or ``metadata.`` and a path of keys, such as ``metadata.customer.tier``. A value is compared as
it is written: 1 in JSON and ``1`` in a CSV file are the same, and so are 1.0 in JSON and 1; a text stays as it is, so
that ``1.0`` in a CSV file is another. An example may have several values of a field: as it has
splits, and as a list has items.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple

from prefect_experiments.datasets.scalars import is_missing
from prefect_experiments.display import some
from prefect_experiments.models import Example
from prefect_experiments.results import ResultRun

SPLITS, METADATA = "splits", "metadata."
MOST_VALUES = 50
"""A field with more values than these makes no groups: it is an id, a text or a measurement."""
_LONGEST_VALUE = 100
_DEEPEST = 4
_SHOWN = 10
_WHOLE = 1e16  # from there on Python writes a float with an exponent, and not every digit is one
# Where an output beside an error is kept: see `results.reader`.
_NO_FACTS = ("output",)
_SPLIT_COLUMNS = (SPLITS, "split")


class ExampleFacts(NamedTuple):
    """What is known of an example.

    Attributes:
        metadata: an object.
        splits: the names of those it is in.
    """

    example_id: str
    metadata: Mapping[str, Any]
    splits: tuple[str, ...]


def facts_of(examples: Iterable[Example]) -> Iterator[ExampleFacts]:
    """What examples say of themselves."""
    return (ExampleFacts(one.id, one.metadata, one.splits) for one in examples)


def facts_of_runs(runs: Iterable[ResultRun]) -> Iterator[ExampleFacts]:
    """What stands beside the runs of a table, as far as an example's repetitions agree on it."""
    merged: dict[str, dict[str, Any]] = {}
    for run in runs:
        given = {key: value for key, value in run.record.metadata.items() if key not in _NO_FACTS}
        before = merged.setdefault(run.example_id, given)
        if before is not given:
            merged[run.example_id] = {key: value for key, value in before.items() if given.get(key) == value}
    for example_id, metadata in merged.items():
        columns = [metadata.pop(name, None) for name in _SPLIT_COLUMNS]
        splits = [name for column in columns for name in (column if isinstance(column, list) else [column])]
        yield ExampleFacts(example_id, metadata, tuple(_texts(splits)))


@dataclass(frozen=True, slots=True)
class Fields:
    """By field, the values of each example.

    Attributes:
        values: by field and example; of fields that make groups.
        ungrouped: why a field makes none.
    """

    values: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    ungrouped: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Iterable[ExampleFacts]) -> Fields:
        """Of all examples that there are facts of."""
        values: dict[str, dict[str, tuple[str, ...]]] = {}
        distinct: dict[str, set[str]] = {}
        ungrouped: dict[str, str] = {}
        for example_id, metadata, splits in facts:
            for name, found in ((SPLITS, splits), *_scalars(METADATA, metadata, 1)):
                if name in ungrouped or not found:
                    continue
                seen = distinct.setdefault(name, set())
                seen.update(found)
                if why := _why_not(found, seen):
                    ungrouped[name] = why
                    values.pop(name, None)
                else:
                    # {"a.b": 1, "a": {"b": 2}} has two values of one name.
                    of_field = values.setdefault(name, {})
                    of_field[example_id] = tuple(dict.fromkeys([*of_field.get(example_id, ()), *found]))
        return cls(values, ungrouped)

    @property
    def names(self) -> list[str]:
        """All fields that there are."""
        return [*self.values, *self.ungrouped]

    def unknown(self, name: str) -> str:
        """What to say of a field that no example has: such as ``no example has 'metadata.topik'; did you mean ...``."""
        return f"no example has {name!r}{near(name, self.names)}"


def near(name: str, known: Iterable[str]) -> str:
    """What is nearly called so, and what else there is: ``; did you mean 'a'? There are: a, b``."""
    every = list(known)
    close = get_close_matches(name, every, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"{hint} There are: {some(every, _SHOWN) or 'none'}"


def written(value: Any) -> str:
    """A value as it is compared: as JSON writes it, and a text as it is; empty of what is missing."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value) and value == int(value) and abs(value) < _WHOLE:
        return str(int(value))
    return "" if is_missing(value) else str(value).strip()


def _scalars(prefix: str, given: Mapping[str, Any], depth: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, value in given.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if depth < _DEEPEST:
                yield from _scalars(f"{name}.", value, depth + 1)
        else:
            yield name, tuple(_texts(value if isinstance(value, list | tuple) else [value]))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Each value once; of what is no plain value, such as an object in a list, nothing."""
    texts = (written(value) for value in values if not isinstance(value, Mapping | list | tuple))
    return iter(dict.fromkeys(text for text in texts if text))


def _why_not(found: tuple[str, ...], seen: set[str]) -> str:
    if len(seen) > MOST_VALUES:
        return f"it has more than {MOST_VALUES} values"
    return "it holds long texts" if max(map(len, found)) > _LONGEST_VALUE else ""
