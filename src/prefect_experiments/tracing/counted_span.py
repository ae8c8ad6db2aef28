"""A span that is only counted: no exporter sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import Span, SpanContext, Status, StatusCode

from prefect_experiments.tracing.usage import CountedCall, next_number

_KEPT = ("llm.token_count.", "llm.cost.", "llm.model_name", "llm.provider", "llm.system", "embedding.model_name")
_KIND = "openinference.span.kind"


class CountedSpan(Span):
    """Takes what an instrumentor says of a call of a model, and gives it to the call that it belongs to.

    For everybody else it is not there: a span that is made below it belongs to the span above it.

    Args:
        call: of a task or an evaluator.
        above: the span that was current.
    """

    def __init__(self, call: CountedCall, above: Span) -> None:
        self.number = next_number()
        self._call: CountedCall | None = call
        self._context = above.get_span_context()
        self._attributes: dict[str, Any] = {}  # the name that instrumentors know
        self._failed = False
        call.figures.started(self.number, above.number if isinstance(above, CountedSpan) else self._context.span_id)

    def get_span_context(self) -> SpanContext:
        """That of the span above."""
        return self._context

    def is_recording(self) -> bool:
        """Whether it takes attributes."""
        return self._call is not None

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep what is counted."""
        if key == _KIND or key.startswith(_KEPT):
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Likewise."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:  # noqa: ARG002
        """Note whether the call failed."""
        code = status.status_code if isinstance(status, Status) else status
        self._failed = code is StatusCode.ERROR

    def end(self, end_time: int | None = None) -> None:  # noqa: ARG002 - OpenTelemetry's
        """Give what was said to the call."""
        call, self._call = self._call, None
        if call is not None:
            call.figures.ended(self.number, self._attributes, failed=self._failed)

    def add_event(self, *_: Any, **__: Any) -> None:
        """Nothing that is counted."""

    def record_exception(self, *_: Any, **__: Any) -> None:
        """Nothing that is counted: the status tells."""

    def update_name(self, name: str) -> None:
        """Nothing that is counted."""
