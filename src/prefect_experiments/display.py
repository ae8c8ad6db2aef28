"""How a result shows itself: in one line (`repr`), as the command line prints it (`print`), and on a notebook's page.

The line is made here. What writes the other two stands in `reports`, after all that it shows, so that nothing here can
import it: the package itself says where it is, when it is imported.
"""

from __future__ import annotations

import dataclasses
import itertools
import reprlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol, TypeVar

from prefect_experiments.texts import ELLIPSIS

T = TypeVar("T")
LONGEST = 200
"""Of a line, in characters."""
_FIRST = ("id", "name")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxlist = _short.maxtuple = _short.maxdict = 3
_short.maxlevel = 2


class Writer(Protocol):
    """What writes results for people."""

    def text(self, value: Any) -> str:
        """As the command line prints it, without colours."""

    def html(self, value: Any) -> str:
        """As a notebook shows it."""


_find_writer: Callable[[], Writer]


def write_with(find: Callable[[], Writer]) -> None:
    """Say where results are written for people: asked the first time that one is."""
    global _find_writer
    _find_writer = find


class Printed:
    """Of which ``print`` gives what the command line prints."""

    __slots__ = ()

    def __str__(self) -> str:
        return _find_writer().text(self)


class OnPages:
    """What notebooks show as a small page instead of in one line."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return _find_writer().html(self)


def line(kind: str, parts: Iterable[str]) -> str:
    """Such as ``Dataset('tickets', 200 examples)``: as many of the parts as there is room for.

    Args:
        kind: the name of the class.
        parts: what there is to say, the most important first.
    """
    said: list[str] = []
    room = LONGEST - len(kind) - len(f"(, {ELLIPSIS})")
    for part in parts:
        room -= len(part) + 2
        if said and room < 0:
            said.append(ELLIPSIS)
            break
        said.append(part)
    return f"{kind}({', '.join(said)})"


def fields_of(record: Any) -> Iterator[str]:
    """The fields of a record as ``name=value``, without those that say nothing, and the values short."""
    if not dataclasses.is_dataclass(record):  # a model of pydantic's, which knows what is to be shown
        fields = type(record).model_fields
        for name, value in record.__repr_args__():
            if name not in fields or value != fields[name].default:
                yield f"{name}={brief(value)}"
        return
    every = [field for field in dataclasses.fields(record) if field.repr]
    for field in sorted(every, key=lambda field: field.name not in _FIRST):
        value = getattr(record, field.name)
        usual = field.default
        if value is None or (usual is not dataclasses.MISSING and usual is not None and value == usual):
            continue
        if hasattr(value, "__len__") and not len(value):
            continue
        yield f"{field.name}={brief(value)}"


def brief(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else _short.repr(value)


def counted(n: int, one: str) -> str:
    """Such as ``200 examples``."""
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def some(values: Iterable[T], most: int = 4, written: Callable[[T], str] = str) -> str:
    """Such as ``a, b, c and 5 more``.

    Args:
        values: what there is.
        most: so many are shown at most.
        written: makes the text of one; asked for those alone that are shown.
    """
    rest = iter(values)
    first = [written(value) for value in itertools.islice(rest, most)]
    more = sum(1 for _ in rest)
    return ", ".join(first) + (f" and {more:,} more" if more else "")
