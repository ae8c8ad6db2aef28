"""The results of an experiment as columns of numbers: from the store, or from a table that is in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from prefect_experiments.datasets.scalars import is_missing
from prefect_experiments.models import PENDING
from prefect_experiments.results import DIRECTION, Results, given_names
from prefect_experiments.store.figures import NOTHING, EvaluationColumns, RunColumns

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]

_MODEL_KEYS = ("model", "model_name")
MARKS = (f'"{DIRECTION}"', f'"{PENDING}"', '"model')
"""The JSON of metadata of which `Said` is made has one of these in it."""


class Said(NamedTuple):
    """What counts of an evaluation's metadata.

    Attributes:
        direction: which scores are better.
        criteria: by what it is to be made, where it is pending and has no score, no label and no error.
        models: the judge's.
    """

    direction: str | None
    criteria: str | None
    models: frozenset[str]


def said_in(metadata_json: str) -> Said:
    """What counts of an evaluation's metadata, from their JSON."""
    metadata = orjson.loads(metadata_json)
    direction, criteria = metadata.get(DIRECTION), metadata.get(PENDING)
    models = (metadata.get(key) for key in _MODEL_KEYS)
    return Said(
        None if is_missing(direction) else str(direction),
        criteria if isinstance(criteria, str) else None,
        frozenset(model for model in models if isinstance(model, str)),
    )


@dataclass(slots=True, kw_only=True)
class Given:
    """The evaluations that count or are shown, by run; where a run has two of one name, the later one counts.

    Attributes:
        evaluators: the names of evaluations that there may be.
        unscored: those of them of which there can be no score: a table has no column for it.
        runs: the runs.
        columns: of the evaluations.
        names: of evaluations.
        index: for each item here which evaluation it is; an error may be one of several names.
        row, name: likewise which run it is of, and which of `names` it has.
    """

    evaluators: tuple[str, ...]
    unscored: frozenset[str] = frozenset()
    runs: RunColumns
    columns: EvaluationColumns
    names: list[str] = field(default_factory=list)
    index: Places
    row: Places
    name: Places

    def of(self, name: str) -> Places:
        """For each run which evaluation it has of a name, `NOTHING` where it has none."""
        import numpy as np

        slots = np.full(len(self.runs.place), NOTHING, dtype=np.int64)
        if name in self.names:
            mine = self.name == self.names.index(name)
            slots[self.row[mine]] = self.index[mine]  # of a run's several ones, numpy keeps the last
        return slots

    def place(self, name: str, row: int) -> int:
        """Where a run's first evaluation of a name is among all of them."""
        found: int = ((self.name == self.names.index(name)) & (self.row == row)).argmax().item()
        return found

    def by_evaluator(self) -> Iterator[tuple[str, str, str]]:
        """Of each evaluation the evaluator, the name and the example's id."""
        ids, givers, places = self.runs.example_ids.values, self.columns.givers.values, self.runs.place
        for name in self.names:
            slots = self.of(name)
            for row in (slots != NOTHING).nonzero()[0].tolist():
                yield givers[self.columns.given[slots[row]]][0], name, ids[places[row]]


def given_in_store(runs: RunColumns, columns: EvaluationColumns, evaluators: Sequence[str]) -> Given:
    """The evaluations of an experiment in the store.

    Args:
        runs: of the experiment.
        columns: of its evaluations.
        evaluators: names of evaluators, also of those that gave no evaluation.
    """
    import numpy as np

    of_run, of_evaluation = _keys(runs, columns)
    row = np.searchsorted(of_run, of_evaluation)
    row[row == len(of_run)] = 0
    is_there = of_run[row] == of_evaluation if len(of_run) else np.zeros(len(row), dtype=np.bool_)
    given, failed = numbers(columns.given), numbers(columns.failed) != 0
    has_content = ~np.isnan(numbers(columns.score)) | (numbers(columns.label) != NOTHING)
    givers = columns.givers.values
    said = ((*giver, bool(has_content[given == code].any())) for code, giver in enumerate(givers))
    renamed = given_names(said)
    found: list[tuple[int, int, str, Places]] = []
    for code, (evaluator, name) in enumerate(givers):
        mine = (given == code) & is_there
        names: Sequence[str] = (name,)
        if name == evaluator and evaluator in renamed:  # its errors are of all that it gives, and nothing else counts
            names, mine = renamed[evaluator], mine & failed
        index = np.flatnonzero(mine)
        found += [(int(index[0]), place, one, index) for place, one in enumerate(names) if len(index)]
    found.sort(key=lambda one: one[:2])  # as they appear
    order = list(dict.fromkeys(name for _, _, name, _ in found))
    index = np.concatenate([one[3] for one in found]) if found else np.zeros(0, dtype=np.int64)
    name_of = np.concatenate([np.full(len(one[3]), order.index(one[2])) for one in found]) if found else index
    sorted_ = np.argsort(index, kind="stable")
    index = index[sorted_]
    every = dict.fromkeys([*(name for name in evaluators if name not in renamed), *order])
    return Given(
        evaluators=tuple(every),
        runs=runs,
        columns=columns,
        names=order,
        index=index,
        row=row[index],
        name=name_of[sorted_],
    )


def _keys(runs: RunColumns, columns: EvaluationColumns) -> tuple[Places, Places]:
    """One number for each run, and the same number for each of its evaluations; ascending."""
    of_run, of_evaluation = numbers(runs.repetition_number), numbers(columns.repetition_number)
    widest = 1 + max(int(of_run.max(initial=0)), int(of_evaluation.max(initial=0)))
    return numbers(runs.position) * widest + of_run, numbers(columns.position) * widest + of_evaluation


def given_in_memory(results: Results) -> Given:
    """The evaluations of a table that was read."""
    import numpy as np

    runs, columns, row = RunColumns(), EvaluationColumns(), array("q")
    for place, run in enumerate(results.runs):
        record = run.record
        runs.position.append(record.position)
        runs.repetition_number.append(record.repetition_number)
        runs.place.append(runs.example_ids.of(record.example_id))
        runs.failed.append(record.error is not None)
        for name in ("latency_ms", "token_count", "total_cost"):
            value = getattr(record, name)
            getattr(runs, name).append(float("nan") if value is None else value)
        for name, one in run.evaluations.items():
            row.append(place)
            columns.given.append(columns.givers.of((one.evaluator, name)))
            columns.score.append(float("nan") if one.score is None else one.score)
            columns.label.append(columns.labels.of(one.label))
            columns.failed.append(one.error is not None)
            columns.fingerprint.append(columns.fingerprints.of(one.fingerprint))
            metadata = one.metadata_json
            is_told = metadata is not None and any(mark in metadata for mark in MARKS)
            columns.said.append(columns.sayings.of(said_in(metadata)) if is_told and metadata is not None else NOTHING)
    names = list(dict.fromkeys(name for _, name in columns.givers.values))
    of_giver = np.array([names.index(name) for _, name in columns.givers.values], dtype=np.int64)
    return Given(
        evaluators=tuple(one.name for one in results.evaluators),
        unscored=frozenset(one.name for one in results.evaluators if "score" not in one.parts),
        runs=runs,
        columns=columns,
        names=names,
        index=np.arange(len(row)),
        row=numbers(row),
        name=of_giver[numbers(columns.given)] if len(row) else np.zeros(0, dtype=np.int64),
    )


def numbers(column: array[Any]) -> Any:
    """A column as numpy has it, without a copy."""
    import numpy as np

    return np.frombuffer(column, dtype=column.typecode) if len(column) else np.zeros(0, dtype=column.typecode)
