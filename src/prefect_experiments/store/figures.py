"""The figures of large experiments, as columns of numbers; and the texts of those few of their runs that are shown.

What compares, judges and sums up needs a number or two of each result, and no text of most. So the columns are typed
arrays, a row costs some bytes, and rows are read some at a time.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefect_experiments.datasets.kept_rows import sliced
from prefect_experiments.models import DatasetVersion
from prefect_experiments.records import Key
from prefect_experiments.store.database import Database
from prefect_experiments.store.datasets import at_version
from prefect_experiments.store.patience import all_patient
from prefect_experiments.store.tables import evaluations, examples, experiment_runs

ROWS_AT_ONCE = 2_000
"""So many rows are in memory at a time."""
_KEYS_AT_ONCE = 500
NOTHING = -1
"""The code of a value that is not there."""

T = TypeVar("T", bound=Hashable)


class Codes(Generic[T]):
    """Values as small whole numbers: each different one is kept once."""

    def __init__(self, values: Iterable[T] = ()) -> None:
        self._codes: dict[T, int] = {value: code for code, value in enumerate(values)}

    def of(self, value: T | None) -> int:
        """The value's number, a new one where it has none yet; `NOTHING` of ``None``."""
        return NOTHING if value is None else self._codes.setdefault(value, len(self._codes))

    @property
    def values(self) -> list[T]:
        """Each value at the place that its code says."""
        return list(self._codes)


@dataclass(slots=True)
class RunColumns:
    """The runs of an experiment in dataset order, then by repetition; every array has one item a run.

    Attributes:
        example_ids: each example that has a run once, in order of appearance.
        place: which of `example_ids` the run is of.
        failed: 1 where the task failed.
        latency_ms, token_count, total_cost: NaN where it is not known.
    """

    example_ids: Codes[str] = field(default_factory=Codes)
    position: array[int] = field(default_factory=lambda: array("q"))
    repetition_number: array[int] = field(default_factory=lambda: array("q"))
    place: array[int] = field(default_factory=lambda: array("q"))
    failed: array[int] = field(default_factory=lambda: array("b"))
    latency_ms: array[float] = field(default_factory=lambda: array("d"))
    token_count: array[float] = field(default_factory=lambda: array("d"))
    total_cost: array[float] = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class EvaluationColumns:
    """Evaluations in dataset order, then by repetition and name; every array has one item an evaluation.

    Attributes:
        given: which of `givers`, pairs of an evaluator and a name, gave it.
        score: NaN where there is none.
        label: which of `labels`; `NOTHING` where there is none, as in what follows.
        failed: 1 where it is an error.
        fingerprint: which of `fingerprints`.
        said: which of `sayings`, what was read in its metadata.
    """

    givers: Codes[tuple[str, str]] = field(default_factory=Codes)
    labels: Codes[str] = field(default_factory=Codes)
    fingerprints: Codes[str] = field(default_factory=Codes)
    sayings: Codes[Any] = field(default_factory=Codes)
    position: array[int] = field(default_factory=lambda: array("q"))
    repetition_number: array[int] = field(default_factory=lambda: array("q"))
    given: array[int] = field(default_factory=lambda: array("i"))
    score: array[float] = field(default_factory=lambda: array("d"))
    label: array[int] = field(default_factory=lambda: array("i"))
    failed: array[int] = field(default_factory=lambda: array("b"))
    fingerprint: array[int] = field(default_factory=lambda: array("i"))
    said: array[int] = field(default_factory=lambda: array("i"))


class RunTexts(NamedTuple):
    """The texts of a run: its output as JSON, and why it failed."""

    output_json: str | None
    error: str | None


class JudgeTexts(NamedTuple):
    """The texts of an evaluation."""

    explanation: str | None
    error: str | None


class Content(NamedTuple):
    """What an example holds, as JSON."""

    input_json: str
    output_json: str | None


@all_patient
class FigureStore:
    """Reads experiments as columns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def runs(self, experiment_id: str) -> RunColumns:
        """The figures of all runs, without a text."""
        c, found = experiment_runs.c, RunColumns()
        figures = (c.error.is_not(None), c.latency_ms, c.token_count, c.total_cost)
        query = sa.select(c.position, c.repetition_number, c.example_id, *figures)
        query = query.where(c.experiment_id == experiment_id).order_by(c.position, c.repetition_number)
        with self._database.read() as connection:
            for position, repetition, example_id, failed, latency, tokens, cost in streamed(connection, query):
                found.position.append(position)
                found.repetition_number.append(repetition)
                found.place.append(found.example_ids.of(example_id))
                found.failed.append(failed)
                found.latency_ms.append(_number(latency))
                found.token_count.append(_number(tokens))
                found.total_cost.append(_number(cost))
        return found

    def evaluations(
        self, experiment_id: str, metadata_with: Collection[str], read: Callable[[str], Hashable]
    ) -> EvaluationColumns:
        """The figures of all evaluations: of their texts only the labels.

        Args:
            experiment_id: whose.
            metadata_with: only metadata that have one of these texts in their JSON are read.
            read: gives what is to be kept of such metadata; little, and of few different values.
        """
        c, found = evaluations.c, EvaluationColumns()
        looked_at = sa.case(
            (sa.or_(*(c.metadata.contains(text, autoescape=True) for text in metadata_with)), c.metadata)
        )
        figures = (c.evaluator, c.name, c.score, c.label, c.error.is_not(None), c.fingerprint, looked_at)
        query = sa.select(c.position, c.repetition_number, *figures)
        query = query.where(c.experiment_id == experiment_id).order_by(c.position, c.repetition_number, c.name)
        with self._database.read() as connection:
            for row in streamed(connection, query):
                position, repetition, evaluator, name, score, label, failed, fingerprint, metadata = row
                found.position.append(position)
                found.repetition_number.append(repetition)
                found.given.append(found.givers.of((evaluator, name)))
                found.score.append(_number(score))
                found.label.append(found.labels.of(label))
                found.failed.append(failed)
                found.fingerprint.append(found.fingerprints.of(fingerprint))
                found.said.append(NOTHING if metadata is None else found.sayings.of(read(metadata)))
        return found

    def kinds(self, experiment_id: str, name: str) -> list[tuple[str, str]]:
        """What gave the evaluations of a name, each kind with the evaluator's fingerprint once."""
        c = evaluations.c
        query = sa.select(c.annotator_kind, c.fingerprint).distinct()
        with self._database.read() as connection:
            found = connection.execute(query.where(c.experiment_id == experiment_id, c.name == name)).all()
        return [(kind, fingerprint) for kind, fingerprint in found]

    def run_texts(self, experiment_id: str, runs: Collection[Key]) -> dict[Key, RunTexts]:
        """Outputs and errors of some runs."""
        c = experiment_runs.c
        found = self._of_some(c, (c.output, c.error), experiment_id, runs)
        return {(position, repetition): RunTexts(*texts) for position, repetition, *texts in found}

    def judge_texts(self, experiment_id: str, runs: Collection[Key]) -> dict[tuple[int, int, str], JudgeTexts]:
        """What evaluators wrote of some runs, by run and evaluation's name."""
        c = evaluations.c
        found = self._of_some(c, (c.name, c.explanation, c.error), experiment_id, runs)
        return {(position, repetition, name): JudgeTexts(*texts) for position, repetition, name, *texts in found}

    def _of_some(self, c: Any, columns: Sequence[Any], experiment_id: str, runs: Collection[Key]) -> Iterator[Any]:
        query = sa.select(c.position, c.repetition_number, *columns).where(c.experiment_id == experiment_id)
        wanted = set(runs)
        with self._database.read() as connection:
            for some in _some({position for position, _ in wanted}):
                for row in connection.execute(query.where(c.position.in_(some))).all():
                    if (row[0], row[1]) in wanted:
                        yield row

    def contents(self, version: DatasetVersion, positions: Collection[int]) -> dict[int, Content]:
        """What some examples of a dataset's version hold, by position."""
        found = self._of_examples(version, positions, examples.c.input, examples.c.output)
        return {position: Content(*texts) for position, *texts in found}

    def metadata(self, version: DatasetVersion, positions: Collection[int]) -> dict[int, str]:
        """What is known of some examples besides, as JSON, by position."""
        return dict(map(tuple, self._of_examples(version, positions, examples.c.metadata)))

    def _of_examples(self, version: DatasetVersion, positions: Collection[int], *columns: Any) -> Iterator[Any]:
        c = examples.c
        query = sa.select(c.position, *columns).where(at_version(version.dataset_id, version.number))
        with self._database.read() as connection:
            for some in _some(positions):
                yield from connection.execute(query.where(c.position.in_(some))).all()

    def since(self, version: DatasetVersion) -> dict[int, int]:
        """By position, since which version of its dataset an example is what it is in this one."""
        c = examples.c
        query = sa.select(c.position, c.since).where(at_version(version.dataset_id, version.number))
        with self._database.read() as connection:
            return {position: since for position, since in streamed(connection, query)}  # noqa: C416 - rows are no pairs


def streamed(connection: Connection, query: Any) -> Iterator[Any]:
    """Rows, of which only some are in memory at a time."""
    yield from connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)


def _some(positions: Collection[int]) -> Iterator[list[int]]:
    return sliced(sorted(positions), _KEYS_AT_ONCE)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
