"""The value types everything else speaks in. Frozen: a result does not change after the fact."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from prefect_experiments import display
from prefect_experiments.display import OnPages
from prefect_experiments.errors import InvalidSetting, unknown_value

if TYPE_CHECKING:
    import pandas as pd

AnnotatorKind = Literal["CODE", "LLM", "HUMAN"]
RunStatus = Literal["ok", "error"]


class _Record:
    """Reads as an object and as a mapping (``run.output`` and ``run["output"]``)."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__repr__" not in cls.__dict__:  # a dataclass would make one, of everything that it has
            cls.__repr__ = _Record.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return display.line(type(self).__name__, self._said())

    def _said(self) -> Iterable[str]:
        """What its one line says of it, the most important first."""
        return display.fields_of(self)

    def __getitem__(self, key: str) -> Any:
        if isinstance(key, str) and key in self.keys():
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The names of the fields."""
        return [f.name for f in dataclasses.fields(self)]  # type: ignore[arg-type]

    def get(self, key: str, default: Any = None) -> Any:
        """The field of that name, else the default."""
        return getattr(self, key) if key in self.keys() else default

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values, nested records included."""
        return {key: _plain(getattr(self, key)) for key in self.keys()}


def _plain(value: Any) -> Any:
    if isinstance(value, _Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(_Record):
    """One row of a dataset.

    Attributes:
        input: what the task gets; any JSON value, usually an object.
        output: the expected output; ``None`` where there is none.
        metadata: anything else that is known of the row.
        splits: the named parts of the dataset it belongs to.
        id: stable name of the row within its dataset; made from the content when left empty.
        span_id: OpenTelemetry's id of the span that the row was made from, where it was.
    """

    input: Any
    output: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    id: str = ""
    span_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset(OnPages, _Record):
    """A named set of examples at one immutable version.

    Attributes:
        examples: in dataset order, after `splits` were applied: a tuple or, of more than 10,000, what reads like one.
        version_id: the version these examples are of; empty for one not kept anywhere yet.
        task: a reference to the task that it is for, for calls that name none. Not kept with it, like what follows.
        evaluators: references to, or names of, its evaluators, for calls that name none.
        only_evaluators: by example id, the names of the evaluators that are meant for it: none with an empty tuple;
            without an entry, all are.
    """

    name: str
    examples: Sequence[Example]
    id: str = ""
    version_id: str = ""
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    created_at: datetime | None = None
    task: str | None = None
    evaluators: tuple[str, ...] = ()
    only_evaluators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.examples, list):  # as it comes out of JSON
            object.__setattr__(self, "examples", tuple(self.examples))

    def _said(self) -> Iterable[str]:
        kept = [f"{key}={value!r}" for key in ("id", "version_id") if (value := getattr(self, key))]
        splits = [f"splits={self.splits!r}"] if self.splits else []
        return [display.brief(self.name), display.counted(len(self.examples), "example"), *kept, *splits]

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:  # type: ignore[override]
        return iter(self.examples)

    def __getitem__(self, key: str | int) -> Any:
        """An example by its place, or a field by its name."""
        return self.examples[key] if isinstance(key, int) else _Record.__getitem__(self, key)

    def to_dataframe(self) -> pd.DataFrame:
        """One row an example: ``id, input, output, metadata, splits``."""
        import pandas as pd

        columns = ["id", "input", "output", "metadata", "splits"]
        rows = [(e.id, e.input, e.output, dict(e.metadata), list(e.splits)) for e in self.examples]
        return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo(_Record):
    """A dataset without its examples, as lists show it."""

    id: str
    name: str
    version_id: str
    version_count: int
    example_count: int
    description: str | None
    metadata: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion(_Record):
    """One immutable state of a dataset. Versions count up from 1."""

    id: str
    dataset_id: str
    number: int
    example_count: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment(_Record):
    """One named pass of a task over a dataset version.

    Attributes:
        metadata: what the caller gave.
        origin: where it comes from, as far as is known: ``git_commit``, ``git_dirty``, ``flow_run_id``,
            ``flow_run_url``, and the verdict of its ``gate``.
    """

    id: str
    name: str
    dataset_id: str
    dataset_version_id: str
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    repetitions: int = 1
    splits: tuple[str, ...] = ()
    example_count: int = 0
    dataset_name: str = ""
    project_name: str | None = None
    task: str = ""
    evaluators: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def _said(self) -> Iterable[str]:
        on = f" on {display.brief(self.dataset_name)}" if self.dataset_name else ""
        repeated = f" x {self.repetitions}" if self.repetitions != 1 else ""
        yield f"{display.brief(self.name)}{on}"
        yield f"id={self.id!r}"
        if self.example_count:
            yield display.counted(self.example_count, "example") + repeated
        if self.created_at is not None:
            yield display.brief(self.created_at)
        if self.tags:
            yield f"tags={display.brief(self.tags)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRun(_Record):
    """One (example, repetition) of an experiment.

    Attributes:
        repetition_number: from 1.
        error: ``None`` on an ok run, else the exception's type and text; a failed run has no output.
        latency_ms: wall time of the last attempt, in milliseconds, where known.
        token_count: prompt and completion tokens together, where known.
        total_cost: in US dollars, where known.
        attempts: how often the task was called for this run.
        metadata: what else is known of a run that was made elsewhere and logged.
    """

    id: str
    experiment_id: str
    example_id: str
    repetition_number: int
    output: Any
    error: str | None
    status: RunStatus
    start_time: datetime
    end_time: datetime
    latency_ms: float | None
    token_count: int | None = None
    total_cost: float | None = None
    trace_id: str | None = None
    attempts: int = 1
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(_Record):
    """What one evaluator gave on one experiment run, or its error.

    Attributes:
        token_count: of the calls of models that the evaluator made, where known; where it gave several evaluations at
            once, on the first of them only.
        total_cost: of these calls, in US dollars, where known.
    """

    id: str
    run_id: str
    name: str
    annotator_kind: AnnotatorKind
    score: float | None
    label: str | None
    explanation: str | None
    metadata: Mapping[str, Any]
    error: str | None
    start_time: datetime
    end_time: datetime
    trace_id: str | None = None
    token_count: int | None = None
    total_cost: float | None = None

    @property
    def pending(self) -> str | None:
        """By what a person, or an agent, is still to judge the run; ``None`` where nothing is left to judge."""
        return pending_criteria(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation(_Record):
    """A person's score, label or text on one experiment run."""

    run_id: str
    name: str
    score: float | None = None
    label: str | None = None
    text: str | None = None
    annotator: str | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EvaluationResult(_Record):
    """What an evaluator returns.

    Attributes:
        score: a finite number.
        label: a category.
        explanation: why.
        metadata: anything else, as JSON.
        name: set where one evaluator gives several results; the evaluator's own name otherwise.

    Raises:
        ValueError: the score is NaN or infinite.
    """

    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"a score must be a finite number, got {self.score!r}")


PENDING: Final = "pending"
"""In the metadata of an evaluation that is still to be made: the criteria to make it by."""

JUDGED_BY: Final = "judged_by"
"""In the metadata of an evaluation that was pending: the criteria that a person has judged by."""
SCALE: Final = "scale"  # there, too: the lowest and the highest score that can be given


class _Judged(Protocol):
    """What an evaluation is known by, wherever it stands."""

    @property
    def score(self) -> float | None: ...

    @property
    def label(self) -> str | None: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...


def pending_criteria(evaluation: _Judged) -> str | None:
    """By what an evaluation is still to be made; ``None`` where it has a score, a label or an error."""
    if evaluation.score is not None or evaluation.label is not None or getattr(evaluation, "error", None) is not None:
        return None
    criteria = evaluation.metadata.get(PENDING)
    return criteria if isinstance(criteria, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvaluation(_Record):
    """An evaluation that a person, or an agent, is still to make: of a run's output, by what criteria; its example."""

    run_id: str
    example_id: str
    repetition_number: int
    name: str
    criteria: str
    input: Any = None
    expected: Any = None
    output: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationInput(_Record):
    """One annotation to write: a name and at least one of score, label and text."""

    name: str
    score: float | None = None
    label: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if self.score is None and self.label is None and self.text is None:
            raise InvalidSetting(f"annotation {self.name!r} has no score, no label and no text; give at least one")
        if self.score is not None and not math.isfinite(self.score):
            raise InvalidSetting(f"annotation {self.name!r}: the score must be finite, got {self.score!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateRecordInput(_Record):
    """The annotations to write on one experiment run.

    Attributes:
        record_id: the id of the experiment run.
        values: what to write; a name that is there already is replaced.
    """

    record_id: str
    values: Sequence[AnnotationInput]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTaskFieldNames(_Record):
    """Which columns of logged results hold the id of the example and the task's output.

    Without a dataset there need be no column of ids, and ``None`` names none.
    """

    example_id: str | None = "example_id"
    output: str = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResultFieldNames(_Record):
    """Which columns of logged results hold what an evaluator gave; at least the score's or the label's.

    Attributes:
        metadata: a mapping of key to column (``None`` for one of the key's own name), a list of
            columns, or one column.
        annotator_kind: what gave the evaluations.

    Raises:
        InvalidSetting: neither a score nor a label, or an unknown kind.
    """

    score: str | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: Mapping[str, str | None] | Sequence[str] | str | None = None
    annotator_kind: AnnotatorKind = "CODE"

    def __post_init__(self) -> None:
        if self.score is None and self.label is None:
            raise InvalidSetting("EvaluationResultFieldNames needs score= or label=, the name of a column, or both")
        if self.annotator_kind not in ("CODE", "LLM", "HUMAN"):
            raise InvalidSetting(unknown_value("annotator kind", self.annotator_kind, ["CODE", "LLM", "HUMAN"]))
