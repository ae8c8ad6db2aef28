"""What the store knows of an experiment, and how it is made of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from prefect_experiments.models import DatasetVersion, Experiment
from prefect_experiments.origin import parts_of
from prefect_experiments.times import to_datetime


@dataclass(frozen=True, slots=True)
class EvaluatorRecord:
    """An evaluator as an experiment knows it.

    Attributes:
        positions: the examples that it is meant for; ``None`` for all of the experiment's.
    """

    name: str
    kind: str
    fingerprint: str
    reference: str | None = None
    positions: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as an experiment knows it."""

    name: str
    fingerprint: str | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """An experiment with what is needed to go on with it.

    Attributes:
        positions: which of the version's examples it uses; ``None`` for all of them.
        is_logged: whether its results were made elsewhere and logged here.
    """

    experiment: Experiment
    version: DatasetVersion
    positions: tuple[int, ...] | None
    task: TaskRecord
    evaluators: tuple[EvaluatorRecord, ...]
    is_logged: bool = False


def experiment_record(row: Any, evaluators: Sequence[EvaluatorRecord], tags: Sequence[str]) -> ExperimentRecord:
    """An experiment from its row, with its version's and its dataset's name in it."""
    return ExperimentRecord(
        experiment=_experiment(row, evaluators, tags),
        version=DatasetVersion(
            id=row.dataset_version_id,
            dataset_id=row.dataset_id,
            number=row.version_number,
            example_count=row.version_example_count,
            created_at=to_datetime(row.version_created_at),
        ),
        positions=None if row.positions is None else tuple(orjson.loads(row.positions)),
        task=TaskRecord(row.task, row.task_fingerprint, row.task_reference),
        evaluators=tuple(evaluators),
        is_logged=row.logged is not None,
    )


def _experiment(row: Any, evaluators: Sequence[EvaluatorRecord], tags: Sequence[str]) -> Experiment:
    return Experiment(
        id=row.id,
        name=row.name,
        description=row.description,
        **parts_of(orjson.loads(row.metadata)),
        dataset_id=row.dataset_id,
        dataset_name=row.dataset_name,
        dataset_version_id=row.dataset_version_id,
        repetitions=row.repetitions,
        splits=tuple(orjson.loads(row.splits)),
        example_count=row.example_count,
        project_name=row.project_name,
        task=row.task,
        evaluators=tuple(e.name for e in evaluators),
        tags=tuple(tags),
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
    )
