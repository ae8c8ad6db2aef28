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
from prefect_experiments.tracing.usage import CountedCall, SpanFigures, current_call

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


class _Attempt(CountedCall):
    """An attempt of a call. What is heard of it is kept with what was heard of the attempts before."""

    __slots__ = ("_fields", "_heard")

    def __init__(self, prices: Prices, fields: Fields, heard: dict[Fields, SpanFigures]) -> None:
        super().__init__(prices)
        self._fields, self._heard = fields, heard

    def _first_figures(self) -> SpanFigures:
        return self._heard.setdefault(self._fields, super()._first_figures())


class _Counted(Generic[T]):
    """A task or an evaluator whose calls of models are counted. All attempts of a call have cost money.

    Most calls use no model: they leave nothing here.
    """

    def __init__(self, target: T, prices: Prices) -> None:
        self.name = target.name
        self.is_async = target.is_async
        self.kind = getattr(target, "kind", "LLM")  # the engine asks it of evaluators
        self._target = target
        self._prices = prices
        self._heard: dict[Fields, SpanFigures] = {}

    def call(self, fields: Fields) -> Any:
        """Call the target, which has a context to itself."""
        current_call.set(_Attempt(self._prices, fields, self._heard))
        return self._target.call(fields)

    def used(self, fields: Fields) -> TraceFigures:
        """What a call that is under way has used until now."""
        return _figures(self._heard.get(fields))

    def _finished(self, fields: Fields) -> TraceFigures:
        return _figures(self._heard.pop(fields, None)) if self._heard else UNTRACED


def _figures(heard: SpanFigures | None) -> TraceFigures:
    return UNTRACED if heard is None else TraceFigures(None, *heard.usage())


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
