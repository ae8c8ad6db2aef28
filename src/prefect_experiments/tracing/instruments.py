"""OpenInference's instrumentors, set up without anybody's doing so: only for calls of models in an experiment.

An instrumentor is set up when its library is imported, so that who never imports one never pays for it. Outside of an
experiment's calls it makes no spans. Where the application sets the same instrumentor up, be it before or later, ours
is not there: no call makes two spans.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger("prefect_experiments")

# By the library, the instrumentor's class in openinference.instrumentation.LIBRARY.
INSTRUMENTORS = {
    "openai": "OpenAIInstrumentor",
    "anthropic": "AnthropicInstrumentor",
    "litellm": "LiteLLMInstrumentor",
}

_lock = threading.Lock()
_awaited: set[str] = set()


def installed() -> list[str]:
    """The libraries that are installed, with their instrumentors. Imports none of them."""
    spec = importlib.util.find_spec("openinference")
    places = [Path(place, "instrumentation") for place in (spec and spec.submodule_search_locations) or ()]
    return [
        library
        for library in INSTRUMENTORS
        if any((place / library).is_dir() for place in places) and importlib.util.find_spec(library) is not None
    ]


def set_up() -> list[str]:
    """Have the instrumentors that are installed set up as soon as their libraries are imported, or now.

    Returns:
        The libraries.
    """
    found = installed()
    for library in found:
        with _lock:
            if library in _awaited:
                continue
            _awaited.add(library)
        from wrapt import register_post_import_hook  # instrumentors need it, too

        register_post_import_hook(_instrument, library)
    return found


def _instrument(library: Any) -> None:
    """Set up the instrumentor of a library that has just been imported."""
    name = library.__name__
    try:
        module = importlib.import_module(f"openinference.instrumentation.{name}")
        _instrument_with(getattr(module, INSTRUMENTORS[name])())
    except Exception as error:  # noqa: BLE001 - a library's import must not fail for the sake of counting
        logger.warning(
            "The instrumentor of %s cannot be set up (%s: %s), so tokens and cost of its calls are not counted.",
            name,
            type(error).__name__,
            error,
        )


def _instrument_with(instrumentor: Any) -> None:
    if instrumentor.is_instrumented_by_opentelemetry:  # by the application
        return
    instrumentor.instrument(tracer_provider=_provider(), raise_exception_on_conflict=True)

    def instrument(**given: Any) -> Any:
        """The application's own set-up takes the place of ours."""
        with contextlib.suppress(AttributeError):  # another thread has been here
            del instrumentor.instrument
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
        return instrumentor.instrument(**given)

    # There is one such object in a process. Without this, it would refuse the application's set-up as a second one.
    instrumentor.instrument = instrument


def _provider() -> Any:
    """The tracer provider of the instrumentors that are set up here."""
    from opentelemetry import trace

    from prefect_experiments.tracing.counted_span import CountedSpan
    from prefect_experiments.tracing.usage import current_call

    class InExperiments(trace.Tracer):
        """Makes spans inside the calls of an experiment, of the sort that it wants, and none elsewhere."""

        def __init__(self, *names: Any, **more: Any) -> None:
            self._names, self._more = names, more

        def start_span(self, name: str, context: Any = None, *args: Any, **options: Any) -> trace.Span:
            call, above = current_call.get(), trace.get_current_span(context)
            if call is None:
                return trace.NonRecordingSpan(above.get_span_context())
            if call.wants_spans:
                from prefect_experiments.tracing.router import own_provider

                tracer = own_provider().get_tracer(*self._names, **self._more)
                return tracer.start_span(name, context, *args, **options)
            span = CountedSpan(call, above)
            span.set_attributes(options.get("attributes") or {})
            return span

        @contextlib.contextmanager
        def start_as_current_span(  # type: ignore[override]  # OpenTelemetry's own decorator
            self, name: str, *args: Any, **options: Any
        ) -> Iterator[trace.Span]:
            kept = ("end_on_exit", "record_exception", "set_status_on_exception")
            use = {key: options.pop(key) for key in kept if key in options}
            with trace.use_span(self.start_span(name, *args, **options), **{"end_on_exit": True, **use}) as span:
                yield span

    class Provider(trace.TracerProvider):
        def get_tracer(self, *names: Any, **more: Any) -> trace.Tracer:
            return InExperiments(*names, **more)

    return Provider()
