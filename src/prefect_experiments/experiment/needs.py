"""What evaluators need of the examples, asked before anything is spent.

Each has been told its needs by whatever made it (`evaluators.Needs`): an expected output, the variables of a
prompt. That none of the examples has it can be known before the first call, and is refused then. A function of the
user's own is asked for nothing: what it makes of an example without an expected output is its own affair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

from prefect_experiments.analysis.example_facts import ExampleFacts, facts_of
from prefect_experiments.entry_forms import form_of
from prefect_experiments.errors import InvalidEvaluator, unknown_value
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.jsonable import dumps_strict, loads
from prefect_experiments.models import DatasetVersion, Example
from prefect_experiments.store import Store
from prefect_experiments.tasks import Fields

_MOST_NAMES = 200


class Examples(Protocol):
    """The examples of an experiment, read only as far as somebody asks."""

    name: str

    def __len__(self) -> int:
        """How many there are."""

    def fields(self) -> Iterator[Fields]:
        """What an evaluator may be given of each, without an output."""

    def bare_outputs(self) -> Iterator[Any]:
        """The expected outputs; those that nobody could take for none may be left out."""

    def facts(self) -> Iterator[ExampleFacts]:
        """What is known of each besides: metadata and splits."""


class GivenExamples:
    """Examples that are at hand."""

    def __init__(self, name: str, content: Sequence[Example]) -> None:
        self.name = name
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def fields(self) -> Iterator[Fields]:
        """See `Examples`."""
        for example in self._content:
            expected = None if example.output is None else dumps_strict(example.output)
            yield Fields(example.id, dumps_strict(example.input), expected, dumps_strict(dict(example.metadata)))

    def bare_outputs(self) -> Iterator[Any]:
        """See `Examples`."""
        return (example.output for example in self._content)

    def facts(self) -> Iterator[ExampleFacts]:
        """See `Examples`."""
        return facts_of(self._content)


class KeptExamples:
    """Examples of a version in the store; `positions` are the places of those to use, where not all are."""

    def __init__(
        self, name: str, store: Store, version: DatasetVersion, positions: Collection[int] | None = None
    ) -> None:
        self.name = name
        self._store = store
        self._version = version
        self._positions = None if positions is None else frozenset(positions)

    def __len__(self) -> int:
        return self._version.example_count if self._positions is None else len(self._positions)

    def fields(self) -> Iterator[Fields]:
        """See `Examples`."""
        for position, row in self._store.datasets.each(self._version):
            if self._positions is None or position in self._positions:
                yield Fields(row.example_id, row.input, row.output, row.metadata)

    def bare_outputs(self) -> Iterator[Any]:
        """See `Examples`."""
        for position, text in self._store.datasets.short_outputs(self._version):
            if self._positions is None or position in self._positions:
                yield loads(text)

    def facts(self) -> Iterator[ExampleFacts]:
        """See `Examples`."""
        for position, example_id, metadata, splits in self._store.datasets.each_fact(self._version):
            if self._positions is None or position in self._positions:
                yield ExampleFacts(example_id, loads(metadata), splits)


def _bare(output: Any) -> Any:
    """An expected output out of an object that only wraps it, as evaluators take it."""
    if isinstance(output, dict) and len(output) == 1:
        (output,) = output.values()
    return output


def check_needs(evaluators: Sequence[BoundEvaluator], examples: Examples) -> list[str]:
    """Refuse evaluators that no example has what they need for.

    Returns:
        What is to be said where only some examples have it.

    Raises:
        InvalidEvaluator: with the evaluator, the dataset, and what to do.
    """
    for evaluator in evaluators:
        _check_names(evaluator, examples)
    comparing = [evaluator for evaluator in evaluators if evaluator.needs.expected]
    if not comparing:
        return []
    _check_form(comparing, examples)
    return _check_expected(comparing, examples)


def _check_form(comparing: Sequence[BoundEvaluator], examples: Examples) -> None:
    """Refuse what compares outputs as they are, where they never are alike: in entries of pixie's."""
    first = next(iter(examples.fields()), None)
    if first is None or form_of(first.input()) is None:
        return
    name = comparing[0].name
    raise InvalidEvaluator(
        f"evaluator {name!r} compares the output with the expected output, and in the pixie dataset {examples.name!r} "
        "these are {name: what was captured} and {'expectation': ...}, which are never alike: nothing was run. Name "
        "pixie's own evaluators, such as ExactMatch, in the dataset, or give a function that takes both apart"
    )


def _check_expected(comparing: Sequence[BoundEvaluator], examples: Examples) -> list[str]:
    names = [evaluator.name for evaluator in comparing]
    found = [_bare(output) for output in examples.bare_outputs()]
    n_none = sum(output is None for output in found)
    n_blank = sum(isinstance(output, str) and not output.strip() for output in found)
    total, who = len(examples), ", ".join(map(repr, names))
    compares = f"{'evaluators' if len(names) > 1 else 'evaluator'} {who} {'compare' if len(names) > 1 else 'compares'}"
    if n_none + n_blank >= total:
        raise InvalidEvaluator(
            f"{compares} with the expected output, and none of the {total:,} examples of dataset {examples.name!r} has "
            "one: nothing was run. Give the dataset one (a column expected, or output_keys=), or choose evaluators "
            "that need none"
        )
    for evaluator in comparing:
        usable = evaluator.needs.usable
        if usable is not None and len(found) == total and not any(map(usable, found)):
            first = next(output for output in found if output is not None)
            raise InvalidEvaluator(
                f"evaluator {evaluator.name!r} can compare with none of the {total:,} expected outputs of dataset "
                f"{examples.name!r}, which are such as {first!r:.80}: nothing was run. Choose another evaluator, "
                "or other expected outputs"
            )
    said = []
    if n_none:
        said.append(
            f"{n_none:,} of the {total:,} examples of dataset {examples.name!r} have no expected output; {compares} "
            "with one and will have no score there."
        )
    if n_blank:  # which may be the right answer, or an empty cell of a CSV file
        said.append(
            f"{n_blank:,} of the {total:,} examples of dataset {examples.name!r} have an empty text as the expected "
            f"output; {compares} with it. Where an example is to have none, leave its row out, or write null in a "
            ".json file."
        )
    return said


def _check_names(evaluator: BoundEvaluator, examples: Examples) -> None:
    """Refuse a prompt with a variable that no example fills. The first example that fills all ends the search."""
    missing, names = evaluator.needs.missing, evaluator.needs.names
    if missing is None:
        return
    unfilled: list[str] | None = None
    known: dict[str, None] = {}
    for fields in examples.fields():
        lacks = missing(fields)
        unfilled = list(lacks) if unfilled is None else [name for name in unfilled if name in lacks]
        if not unfilled:
            return
        if names is not None and len(known) < _MOST_NAMES:
            known.update(dict.fromkeys(names(fields)))
    if unfilled:
        name = unfilled[0]
        why = "There it is empty" if name in known else unknown_value("field", name, list(known))
        raise InvalidEvaluator(
            f"evaluator {evaluator.name!r} needs {', '.join(map(repr, unfilled))}, and no example of dataset "
            f"{examples.name!r} fills it: nothing was run. {why}. Give the dataset a column for it, or map it to "
            "another field: bind_evaluator(evaluator=..., input_mapping={...}) of phoenix-evals, .partial(...) of "
            "autoevals"
        )
