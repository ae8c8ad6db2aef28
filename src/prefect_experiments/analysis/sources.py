"""Where the texts of a results table are read, for the few runs of which something is shown."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from prefect_experiments import money
from prefect_experiments.analysis.columns import Given
from prefect_experiments.analysis.example_facts import ExampleFacts, facts_of, facts_of_runs
from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.jsonable import loads
from prefect_experiments.models import Example
from prefect_experiments.records import UNKNOWN_FINGERPRINT, EvaluationRecord, Key
from prefect_experiments.results import Results
from prefect_experiments.store import Store
from prefect_experiments.store.figures import NOTHING


class Shown(NamedTuple):
    """What there is to show of a run."""

    input: Any = None
    expected: Any = None
    output: Any = None
    error: str | None = None


class Asked(NamedTuple):
    """What a run's example holds."""

    input: Any = None
    expected: Any = None


class Remark(NamedTuple):
    """The texts of an evaluation."""

    explanation: str | None = None
    error: str | None = None
    criteria: str | None = None


class Source(Protocol):
    """The texts of a table's runs; a run is known by its row in the table, from 0."""

    told: frozenset[str]
    """What is known of each run's example: ``input``, ``expected``."""
    has_dataset: bool
    """Whether `facts` are what the dataset says; else they are what stands beside the runs."""

    @property
    def results(self) -> Results:
        """All of them, with all that there is of them."""

    def shown(self, rows: Collection[int]) -> dict[int, Shown]:
        """What there is to show of some runs."""

    def asked(self, rows: Collection[int]) -> dict[int, Asked]:
        """What the examples of some runs hold."""

    def errors(self, rows: Collection[int]) -> dict[int, str | None]:
        """Why some runs failed."""

    def remarks(self, rows: Collection[int], names: Collection[str]) -> dict[tuple[int, str], Remark]:
        """What evaluations of these names say of some runs, by row and name."""

    def judge_cost(self) -> float | None:
        """What the evaluators have cost in US dollars, as far as it is known; ``None`` where nothing is."""

    def notes(self, name: str) -> dict[int, EvaluationRecord]:
        """What people say of the runs in their annotations of a name, as far as they have said it by now."""

    def annotated(self) -> list[str]:
        """The names of their annotations."""

    def kinds(self, name: str) -> frozenset[str]:
        """What gives the evaluations of a name, as far as is known: ``HUMAN``, ``LLM`` or ``CODE``."""

    def metadata(self, example_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """What the dataset knows of some examples."""

    def facts(self) -> Iterator[ExampleFacts]:
        """Metadata and splits of every example, in order, a few in memory at once."""

    def unread(self, other: Source, rows: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """Of pairs of a row here and one of another source, those whose examples have to be read to tell them apart."""


class InMemory:
    """Results that are in memory, as those of a file are."""

    def __init__(self, results: Results, examples: Mapping[str, Example] | None = None) -> None:
        self.results, self._examples = results, examples or {}
        self.told = frozenset({"input", "expected"} & results.columns)
        self.has_dataset = examples is not None

    def shown(self, rows: Collection[int]) -> dict[int, Shown]:
        """See `Source`."""
        found = ((row, self.results.runs[row]) for row in rows)
        return {row: Shown(run.input, run.expected, run.record.output, run.error) for row, run in found}

    def asked(self, rows: Collection[int]) -> dict[int, Asked]:
        """See `Source`."""
        return {row: Asked(self.results.runs[row].input, self.results.runs[row].expected) for row in rows}

    def errors(self, rows: Collection[int]) -> dict[int, str | None]:
        """See `Source`."""
        return {row: self.results.runs[row].error for row in rows}

    def remarks(self, rows: Collection[int], names: Collection[str]) -> dict[tuple[int, str], Remark]:
        """See `Source`."""
        found = ((row, name, self.results.runs[row].evaluations.get(name)) for row in rows for name in names)
        return {
            (row, name): Remark(one.explanation, one.error, one.pending) for row, name, one in found if one is not None
        }

    def judge_cost(self) -> float | None:
        """See `Source`."""
        every = (one.total_cost for run in self.results.runs for one in run.evaluations.values())
        known = [cost for cost in every if cost is not None]
        return money.total(known) if known else None

    def notes(self, name: str) -> dict[int, EvaluationRecord]:
        """See `Source`."""
        return {row: run.annotations[name] for row, run in enumerate(self.results.runs) if name in run.annotations}

    def annotated(self) -> list[str]:
        """See `Source`."""
        return list(dict.fromkeys(name for run in self.results.runs for name in run.annotations))

    def kinds(self, name: str) -> frozenset[str]:
        """See `Source`."""
        found = (run.evaluations.get(name) for run in self.results.runs)
        return _known_kinds((one.annotator_kind, one.fingerprint) for one in found if one is not None)

    def metadata(self, example_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """See `Source`."""
        return {name: self._examples[name].metadata for name in example_ids if name in self._examples}

    def facts(self) -> Iterator[ExampleFacts]:
        """See `Source`."""
        return facts_of(self._examples.values()) if self.has_dataset else facts_of_runs(self.results.runs)

    def unread(self, other: Source, rows: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:  # noqa: ARG002
        """See `Source`."""
        return rows


class InStore:
    """The results of an experiment in the store."""

    told = frozenset({"input", "expected"})
    has_dataset = True

    def __init__(self, ran: RanExperiment, store: Store, given: Given) -> None:
        self._ran, self._given, self._runs = ran, given, given.runs
        self.store, self.record = store, ran.record

    @functools.cached_property
    def results(self) -> Results:
        """See `Source`."""
        return self._ran.results

    def _keys(self, rows: Collection[int]) -> dict[int, Key]:
        return {row: (self._runs.position[row], self._runs.repetition_number[row]) for row in rows}

    def shown(self, rows: Collection[int]) -> dict[int, Shown]:
        """See `Source`."""
        keys, asked = self._keys(rows), self.asked(rows)
        texts = self.store.figures.run_texts(self.record.experiment.id, keys.values())
        found = {}
        for row, key in keys.items():
            output, error = texts.get(key, (None, None))
            found[row] = Shown(*asked[row], loads(output), error)
        return found

    def asked(self, rows: Collection[int]) -> dict[int, Asked]:
        """See `Source`."""
        positions = {row: self._runs.position[row] for row in rows}
        wanted = {*positions.values()}
        if self.record.positions is not None:
            wanted &= self._used
        contents = self.store.figures.contents(self.record.version, wanted)
        found = {position: Asked(loads(given), loads(expected)) for position, (given, expected) in contents.items()}
        return {row: found.get(position, Asked()) for row, position in positions.items()}

    def errors(self, rows: Collection[int]) -> dict[int, str | None]:
        """See `Source`."""
        keys = self._keys(rows)
        texts = self.store.figures.run_texts(self.record.experiment.id, keys.values())
        return {row: texts[key].error for row, key in keys.items() if key in texts}

    def remarks(self, rows: Collection[int], names: Collection[str]) -> dict[tuple[int, str], Remark]:
        """See `Source`."""
        keys, given = self._keys(rows), self._given
        texts = self.store.figures.judge_texts(self.record.experiment.id, keys.values())
        stored, columns, found = given.columns.givers.values, given.columns, {}
        for name in names:
            slots = given.of(name)
            for row, key in keys.items():
                if (slot := int(slots[row])) == NOTHING:
                    continue
                one = texts.get((*key, stored[columns.given[slot]][1]))
                if one is not None:
                    found[row, name] = Remark(one.explanation, one.error, self._criteria(slot))
        return found

    def _criteria(self, slot: int) -> str | None:
        """By what an evaluation is still to be made."""
        columns = self._given.columns
        is_empty = math.isnan(columns.score[slot]) and columns.label[slot] == NOTHING and not columns.failed[slot]
        said = columns.said[slot]
        return columns.sayings.values[said].criteria if is_empty and said != NOTHING else None

    def judge_cost(self) -> float | None:
        """See `Source`."""
        judges = self.store.results.spending(self.record.experiment.id).judges
        known = [cost for _, cost in judges.values() if cost is not None]
        return money.total(known) if known else None

    def notes(self, name: str) -> dict[int, EvaluationRecord]:
        """See `Source`."""
        found = self.store.results.annotations(self.record.experiment.id)
        notes = {note.key: note for note in found if note.name == name}
        keys = self._keys(range(len(self._runs.position))) if notes else {}
        return {row: notes[key] for row, key in keys.items() if key in notes}

    def annotated(self) -> list[str]:
        """See `Source`."""
        return list(dict.fromkeys(note.name for note in self.store.results.annotations(self.record.experiment.id)))

    def kinds(self, name: str) -> frozenset[str]:
        """See `Source`."""
        return _known_kinds(self.store.figures.kinds(self.record.experiment.id, name))

    def metadata(self, example_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """See `Source`."""
        places = {name: self._places[name] for name in example_ids if name in self._places}
        found = self.store.figures.metadata(self.record.version, places.values())
        return {name: orjson.loads(found[place]) for name, place in places.items() if place in found}

    def facts(self) -> Iterator[ExampleFacts]:
        """See `Source`."""
        every = self.store.datasets.each_fact(self.record.version)
        for position, example_id, metadata, splits in every:
            if self.record.positions is None or position in self._used:
                yield ExampleFacts(example_id, orjson.loads(metadata), splits)

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        """By example its position."""
        outline = self.store.datasets.outline(self.record.version)
        used = None if self.record.positions is None else self._used
        return {name: position for position, name, _ in outline if used is None or position in used}

    @functools.cached_property
    def _used(self) -> frozenset[int]:
        return frozenset(self.record.positions or ())

    def unread(self, other: Source, rows: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """See `Source`: an example of one dataset that no version has changed in between need not be read."""
        if not isinstance(other, InStore) or other.store.database is not self.store.database:
            return rows
        if other.record.version.dataset_id != self.record.version.dataset_id:
            return rows
        here, there = self._since(), other._since()
        return [
            (one, two)
            for one, two in rows
            if self._runs.position[one] != other._runs.position[two]
            or here.get(self._runs.position[one]) != there.get(other._runs.position[two])
        ]

    def _since(self) -> dict[int, int]:
        """By position of the examples that it is on, since which version of the dataset they are as they are."""
        found = self.store.figures.since(self.record.version)
        if self.record.positions is None:
            return found
        return {position: since for position, since in found.items() if position in self._used}


def _known_kinds(found: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The kinds of evaluations, each with its evaluator's fingerprint.

    ``CODE`` is also what a table's evaluators are called of which nobody has said what they are.
    """
    return frozenset(kind for kind, fingerprint in found if kind != "CODE" or fingerprint != UNKNOWN_FINGERPRINT)
