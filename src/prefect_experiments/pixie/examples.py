"""How an entry of a pixie dataset, and what its application gives, stand in examples and experiment runs.

Every backend, and every evaluator, sees the entry's own parts under pixie's own words:

- the example's input: ``{"input_data": {...}}`` (or ``"entry_kwargs"``, as pixie 0.6 called it), and ``"eval_input":
  [{"name": ..., "value": ...}]`` where there is one;
- its expected output: ``{"expectation": ...}``, and none where the entry has none, which is another thing than null;
- its metadata: ``"description"``, and ``"eval_metadata": {...}`` where there is one;
- a run's output: ``{name: value}`` of what the application captured, in order; ``{"output": ...}`` with what it
  returned where it captured nothing. Where one name was captured twice, ``{"eval_output": [{"name":, "value":}]}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from prefect_experiments.entry_forms import FORMS as FORMS
from prefect_experiments.entry_forms import Form as Form
from prefect_experiments.entry_forms import form_of
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example

EVAL_INPUT, EXPECTATION, EVAL_METADATA, DESCRIPTION = "eval_input", "expectation", "eval_metadata", "description"
EVAL_OUTPUT, OUTPUT = "eval_output", "output"


class Named(NamedTuple):
    """A value that the application takes in or gives out, under the name that its `wrap` call has."""

    name: str
    value: Any


class Absent:
    """There is no expectation; null would be one."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a pixie dataset.

    Attributes:
        form: what its arguments are called, which says by which rules of pixie it is judged: with ``input_data``
            evaluators see the arguments before the rest of the input, with ``entry_kwargs`` they do not.
        arguments: what the application is called with.
        eval_input: what `wrap` calls of the purpose ``input`` give instead of what is real.
        expectation: what is expected, `ABSENT` where nothing is said.
        description: what the entry is about.
        eval_metadata: what evaluators may want to know besides.
    """

    form: Form = "input_data"
    arguments: Mapping[str, Any]
    eval_input: tuple[Named, ...] = ()
    expectation: Any = ABSENT
    description: str | None = None
    eval_metadata: Mapping[str, Any] | None = None

    @property
    def shown_input(self) -> tuple[Named, ...]:
        """What evaluators see as the input."""
        first = (Named(self.form, self.arguments),) if self.form == "input_data" else ()
        return (*first, *self.eval_input)

    def to_example(self, example_id: str = "") -> Example:
        """The entry as an example."""
        given: dict[str, Any] = {self.form: dict(self.arguments)}
        if self.eval_input:
            given[EVAL_INPUT] = as_items(self.eval_input)
        about: dict[str, Any] = {}
        if self.description is not None:
            about[DESCRIPTION] = self.description
        if self.eval_metadata is not None:
            about[EVAL_METADATA] = dict(self.eval_metadata)
        expected = None if self.expectation is ABSENT else {EXPECTATION: self.expectation}
        return Example(id=example_id, input=given, output=expected, metadata=about)

    @classmethod
    def of(cls, example: Example) -> Entry:
        """The entry that an example stands for.

        Raises:
            InvalidDataset: it stands for none.
        """
        given, form = example.input, form_of(example.input)
        if form is None:
            raise InvalidDataset(
                f"example {example.id!r} is no entry of a pixie dataset: its input must be an object with 'input_data' "
                f"(or 'entry_kwargs'), got {example.input!r:.200}"
            )
        expected = example.output
        about = example.metadata.get(EVAL_METADATA)
        said = example.metadata.get(DESCRIPTION)
        return cls(
            form=form,
            arguments=given[form],
            eval_input=from_items(given.get(EVAL_INPUT)),
            expectation=expected[EXPECTATION] if isinstance(expected, Mapping) and EXPECTATION in expected else ABSENT,
            description=said if isinstance(said, str) else None,
            eval_metadata=about if isinstance(about, Mapping) else None,
        )


@dataclass(frozen=True, slots=True)
class Captured:
    """What an application gave in one run: what it captured, in order, and what it returned."""

    returned: Any = None
    items: tuple[Named, ...] = ()

    def to_output(self) -> dict[str, Any]:
        """As the experiment run's output."""
        items = self.items or (Named(OUTPUT, self.returned),)
        names = [item.name for item in items]
        if len(set(names)) < len(names) or names == [EVAL_OUTPUT]:
            return {EVAL_OUTPUT: as_items(items)}
        return {item.name: item.value for item in items}


def captured(output: Any) -> tuple[Named, ...]:
    """What was captured, of an experiment run's output; also of an application that is none of pixie's."""
    if not isinstance(output, Mapping) or not output:
        return (Named(OUTPUT, output),)
    if list(output) == [EVAL_OUTPUT] and isinstance(output[EVAL_OUTPUT], list):
        return from_items(output[EVAL_OUTPUT])
    return tuple(Named(str(name), value) for name, value in output.items())


def as_items(items: Iterable[Named]) -> list[dict[str, Any]]:
    """As they stand in pixie's files."""
    return [{"name": item.name, "value": item.value} for item in items]


def from_items(items: Any) -> tuple[Named, ...]:
    """What `as_items` gave."""
    found = items if isinstance(items, list | tuple) else ()
    return tuple(Named(item["name"], item["value"]) for item in found if isinstance(item, Mapping))
