"""What the engine asks of whoever traces its calls. It knows no OpenTelemetry itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from prefect_experiments.engine.calls import Target
from prefect_experiments.engine.items import EvaluationItem, RunItem
from prefect_experiments.engine.outcomes import CallResult
from prefect_experiments.jsonable import dumps_lenient
from prefect_experiments.records import EvaluationRecord
from prefect_experiments.tasks import Fields, Task

if TYPE_CHECKING:
    from prefect_experiments.evaluators import BoundEvaluator


class TraceFigures(NamedTuple):
    """What the trace of an experiment run, or of an evaluation, tells about it.

    Attributes:
        trace_id: 32 lower-case hex digits; ``None`` where there is no trace.
        token_count: of all calls of models in it; ``None`` where no span knows any.
        total_cost: likewise, in US dollars; ``None`` as well where the cost of one of them is not known.
        unpriced: by model, how many calls have no known cost.
    """

    trace_id: str | None = None
    token_count: int | None = None
    total_cost: float | None = None
    unpriced: Mapping[str, int] | None = None

    @property
    def unpriced_json(self) -> str | None:
        """As it is kept."""
        return None if self.unpriced is None else dumps_lenient(dict(self.unpriced))[0]


UNTRACED = TraceFigures()
"""Of what nothing is known."""


class TracedTask(Target, Protocol):
    """A task each of whose calls belongs to the trace of its experiment run."""

    def used(self, fields: Fields) -> TraceFigures:
        """What a call that is under way has used until now. Never raises."""

    def finish(self, fields: Fields, item: RunItem, output_json: str | None, result: CallResult) -> TraceFigures:
        """End the trace of a run, after its last attempt. Never raises."""


class TracedEvaluator(Target, Protocol):
    """An evaluator each of whose calls belongs to the trace of its evaluation."""

    def used(self, fields: Fields) -> TraceFigures:
        """What a call that is under way has used until now. Never raises."""

    def finish(
        self, fields: Fields, item: EvaluationItem, rows: Sequence[EvaluationRecord], result: CallResult
    ) -> TraceFigures:
        """End the trace of an evaluation, after its last attempt. Never raises."""


class Tracer(Protocol):
    """Traces the calls of one experiment; `prefect_experiments.tracing.ExperimentTracer` is one."""

    def task(self, task: Task) -> TracedTask:
        """The task, traced."""

    def evaluator(self, evaluator: BoundEvaluator) -> TracedEvaluator:
        """The evaluator, traced."""
