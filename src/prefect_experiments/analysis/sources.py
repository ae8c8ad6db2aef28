"""Where the texts of a results table are read, for the few runs of which something is shown."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.jsonable import loads
from prefect_experiments.results import Results
from prefect_experiments.store import ExperimentRecord, Store
from prefect_experiments.store.figures import Content, RunColumns


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
    metadata: Any = None


class Remark(NamedTuple):
    """The texts of an evaluation."""

    explanation: str | None = None
    error: str | None = None
    criteria: str | None = None


class Source(Protocol):
    """The texts of a table's runs; a run is known by its row in the table, from 0."""

    told: frozenset[str]
    """What is known of each run's example: ``input``, ``expected``."""

    @property
    def results(self) -> Results:
        """All of them, with all that there is of them."""

    def shown(self, rows: Collection[int]) -> dict[int, Shown]:
        """What there is to show of some runs."""

    def asked(self, rows: Collection[int]) -> dict[int, Asked]:
        """What the examples of some runs hold."""

    def unread(self, other: Source, rows: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """Of pairs of a row here and one of another source, those whose examples have to be read to tell them apart."""


class InMemory:
    """Results that are in memory, as those of a file are."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.told = frozenset({"input", "expected"} & results.columns)

    def shown(self, rows: Collection[int]) -> dict[int, Shown]:
        """See `Source`."""
        found = ((row, self.results.runs[row]) for row in rows)
        return {row: Shown(run.input, run.expected, run.record.output, run.error) for row, run in found}

    def asked(self, rows: Collection[int]) -> dict[int, Asked]:
        """See `Source`."""
        return {row: Asked(self.results.runs[row].input, self.results.runs[row].expected) for row in rows}

    def unread(self, other: Source, rows: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """See `Source`."""
        return rows


class InStore:
    """The results of an experiment in the store."""

    told = frozenset({"input", "expected"})

    def __init__(self, ran: RanExperiment, store: Store, record: ExperimentRecord, runs: RunColumns) -> None:
        self._ran, self._runs = ran, runs
        self.store, self.record = store, record

    @functools.cached_property
    def results(self) -> Results:
        """See `Source`."""
        return self._ran.results

    def shown(self, rows: Collection[int]) -> dict[int, Shown]:
        """See `Source`."""
        keys = {row: (self._runs.position[row], self._runs.repetition_number[row]) for row in rows}
        texts = self.store.figures.run_texts(self.record.experiment.id, set(keys.values()))
        asked = self.asked(rows)
        found = {}
        for row in rows:
            output, error = texts.get(keys[row], (None, None))
            found[row] = Shown(asked[row].input, asked[row].expected, loads(output), error)
        return found

    def asked(self, rows: Collection[int]) -> dict[int, Asked]:
        """See `Source`."""
        wanted = {self._runs.position[row] for row in rows}
        if self.record.positions is not None:
            wanted &= self._used
        content = self.store.figures.contents(self.record.version, wanted)
        return {row: _asked(content.get(self._runs.position[row])) for row in rows}

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


def _asked(content: Content | None) -> Asked:
    if content is None:
        return Asked()
    expected = None if content.output_json is None else orjson.loads(content.output_json)
    return Asked(orjson.loads(content.input_json), expected, orjson.loads(content.metadata_json))
