"""Counts tokens and cost of the calls of an experiment where nobody wants its traces. Needs no OpenTelemetry itself."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from prefect_experiments.engine import EvaluationItem, RunItem, TraceFigures
from prefect_experiments.engine.calls import Target
from prefect_experiments.engine.outcomes import CallResult
from prefect_experiments.engine.traces import UNTRACED
from prefect_experiments.records import EvaluationRecord
from prefect_experiments.tasks import Fields, Task
from prefect_experiments.tracing.prices import Prices
from prefect_experiments.tracing.usage import CountedCall, current_call

if TYPE_CHECKING:
    from prefect_experiments.evaluators import BoundEvaluator

T = TypeVar("T", bound=Target)


class UsageCounter:
    """Counts what the calls of one experiment use; a `Tracer` that makes no spans and no trace ids.

    It hears of calls of models through instrumentors (`instruments`), through the spans that the application makes
    with a tracer provider of its own, which stay as they are, and through `report_usage`.

    Args:
        prices: what calls cost whose spans do not say it.
    """

    def __init__(self, prices: Prices | None = None) -> None:
        self.prices = Prices() if prices is None else prices

    def __enter__(self) -> Self:
        _hear_the_application()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """Nothing is left open: what is not finished is not counted."""

    def hold(self) -> AbstractContextManager[None]:
        """There is nothing that could be sent."""
        return contextlib.nullcontext()

    def task(self, task: Task) -> CountedTask:
        """The task, counted."""
        return CountedTask(task, self.prices)

    def evaluator(self, evaluator: BoundEvaluator) -> CountedEvaluator:
        """The evaluator, counted."""
        return CountedEvaluator(evaluator, self.prices)


def _hear_the_application() -> None:
    """Listen to the spans of a tracer provider that the application has set; without one, load nothing."""
    if "opentelemetry.sdk.trace" in sys.modules:
        from prefect_experiments.tracing.router import join_global

        join_global(False)


class _Counted(Generic[T]):
    """A task or an evaluator whose calls of models are counted. All attempts of a call have cost money."""

    def __init__(self, target: T, prices: Prices) -> None:
        self.name = target.name
        self.is_async = target.is_async
        self.kind = getattr(target, "kind", "LLM")  # the engine asks it of evaluators
        self._target = target
        self._prices = prices
        self._under_way: dict[Fields, CountedCall] = {}

    def call(self, fields: Fields) -> Any:
        """Call the target, which has a context to itself."""
        call = self._under_way.get(fields)
        if call is None:
            call = self._under_way[fields] = CountedCall(self._prices)
        current_call.set(call)
        return self._target.call(fields)

    def used(self, fields: Fields) -> TraceFigures:
        """What a call that is under way has used until now."""
        return _figures(self._under_way.get(fields))

    def _finished(self, fields: Fields) -> TraceFigures:
        return _figures(self._under_way.pop(fields, None))


def _figures(call: CountedCall | None) -> TraceFigures:
    return UNTRACED if call is None or call.is_silent else TraceFigures(None, *call.figures.usage())


class CountedTask(_Counted[Task]):
    """A task whose calls of models are counted."""

    def finish(self, fields: Fields, item: RunItem, output_json: str | None, result: CallResult) -> TraceFigures:  # noqa: ARG002
        """What the run has used."""
        return self._finished(fields)


class CountedEvaluator(_Counted["BoundEvaluator"]):
    """An evaluator whose calls of models are counted."""

    def finish(
        self,
        fields: Fields,
        item: EvaluationItem,  # noqa: ARG002 - `TracedEvaluator`'s
        rows: Sequence[EvaluationRecord],  # noqa: ARG002
        result: CallResult,  # noqa: ARG002
    ) -> TraceFigures:
        """What the evaluation has used."""
        return self._finished(fields)
