"""What the spans of one call of a task or an evaluator say of tokens and cost. Knows nothing of OpenTelemetry's SDK."""

from __future__ import annotations

import contextvars
import itertools
import math
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from prefect_experiments import money
from prefect_experiments.tracing.prices import Prices, Tokens

NAMELESS = "a model without a name"
"""What stands for a model whose name its span does not say."""

_CALLS = {"LLM", "EMBEDDING"}
_numbers = itertools.count(1)
_making = threading.Lock()


def next_number() -> int:
    """A number that no span of OpenTelemetry's has as its id."""
    return -next(_numbers)


class Usage(NamedTuple):
    """Tokens and cost of all calls of models that one call has made.

    Attributes:
        token_count: ``None`` where none is known.
        total_cost: in US dollars; ``None`` where none is known, or not that of all of them.
        unpriced: by model, how many calls there are whose cost is not known.
    """

    token_count: int | None = None
    total_cost: float | None = None
    unpriced: Mapping[str, int] | None = None


class _Call(NamedTuple):
    """A call of a model, as its span says; without tokens where that says nothing of them."""

    model: str
    providers: tuple[str | None, ...]
    tokens: Tokens | None
    is_counted: bool


class SpanFigures:
    """Collects the figures of spans, each counted once: an agent's span repeats what those below it say."""

    __slots__ = ("_calls", "_costs", "_parents", "_prices", "_tokens")

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._parents: dict[int, int] = {}
        self._tokens: dict[int, float] = {}
        self._costs: dict[int, float] = {}
        self._calls: dict[int, _Call] = {}

    def started(self, span: int, parent: int | None) -> None:
        """Note whose child a span is: at the end, spans that are still open have to be known as well."""
        if parent is not None:
            self._parents[span] = parent

    def ended(self, span: int, attributes: Mapping[str, Any] | None, *, failed: bool) -> None:
        """Note what a span says.

        Args:
            span: its id.
            attributes: under OpenInference's names.
            failed: whether it ended in an error: then a call that says nothing of tokens has used none, as far as
                anybody knows.
        """
        if not attributes:
            return
        tokens, cost = _total(attributes, "llm.token_count."), _total(attributes, "llm.cost.")
        if tokens is not None:
            self._tokens[span] = tokens
        if cost is not None:
            self._costs[span] = cost
        elif tokens or not failed:
            call = _call(attributes, is_counted=tokens is not None)
            if call is not None:
                self._calls[span] = call

    def usage(self) -> Usage:
        """The figures of the spans that have ended."""
        if not self._tokens and not self._costs and not self._calls:
            return Usage()
        # Copies: spans may end in other threads meanwhile.
        tokens, costs, calls = dict(self._tokens), dict(self._costs), dict(self._calls)
        counted_costs = costs.keys() - self._above(costs)
        known, unpriced = [costs[span] for span in counted_costs], dict[str, int]()
        below_known = self._above(tokens.keys() | costs.keys())
        below_calls = self._above(calls)
        for span, call in calls.items():
            above = set(self._ancestors(span))
            if span in below_known or above & counted_costs:
                continue
            if not call.is_counted and (span in below_calls or above & (tokens.keys() | costs.keys())):
                continue
            cost = None if call.tokens is None else self._prices.cost(call.model, call.providers, call.tokens)
            if cost is None:
                unpriced[call.model or NAMELESS] = unpriced.get(call.model or NAMELESS, 0) + 1
            else:
                known.append(cost)
        counted = tokens.keys() - self._above(tokens)
        return Usage(
            round(sum(tokens[span] for span in counted)) if tokens else None,
            money.total(known) if known and not unpriced else None,
            unpriced or None,
        )

    def _ancestors(self, span: int) -> Iterable[int]:
        seen: set[int] = set()
        above = self._parents.get(span)
        while above is not None and above not in seen:
            seen.add(above)
            yield above
            above = self._parents.get(above)

    def _above(self, spans: Collection[int]) -> set[int]:
        return {above for span in spans for above in self._ancestors(span)}


class CountedCall:
    """A call of a task or an evaluator that is under way, and what is known of its tokens and cost until now."""

    __slots__ = ("__weakref__", "_figures", "_prices")

    wants_spans = False
    """Whether the spans of its calls of models are wanted themselves, and not their figures alone."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._figures: SpanFigures | None = None  # most calls call no model, and there is one of these for each

    @property
    def figures(self) -> SpanFigures:
        """Collects what its spans say."""
        if self._figures is None:
            with _making:
                self._figures = self._figures or self._first_figures()
        return self._figures

    def _first_figures(self) -> SpanFigures:
        return SpanFigures(self._prices)

    def report(self, attributes: Mapping[str, Any]) -> None:
        """Take figures that the code itself gives."""
        self.figures.ended(next_number(), attributes, failed=False)


current_call: contextvars.ContextVar[CountedCall | None] = contextvars.ContextVar(
    "prefect_experiments_counted_call", default=None
)
"""The call that this code runs in; each call has a context of its own."""


def _call(attributes: Mapping[str, Any], *, is_counted: bool) -> _Call | None:
    """The call of a model that a span is of; ``None`` where it is of something else."""
    model = next((name for key in _MODEL_NAMES if isinstance(name := attributes.get(key), str) and name), "")
    is_call = attributes.get("openinference.span.kind") in _CALLS
    if not is_call and not (model and is_counted):
        return None
    provider, system = (_text(attributes.get(f"llm.{key}")) for key in ("provider", "system"))
    return _Call(model, tuple(dict.fromkeys((provider, None, system))), _tokens(attributes), is_counted)


_MODEL_NAMES = ("llm.model_name", "embedding.model_name")


def _tokens(attributes: Mapping[str, Any]) -> Tokens | None:
    """What a span says of input and output; ``None`` where it does not tell them apart."""
    total, prompt, completion = (_count(attributes, name) for name in ("total", "prompt", "completion"))
    if total == 0:
        return Tokens()
    if prompt is None:
        prompt = None if total is None or completion is None else max(0, total - completion)
    if completion is None:
        completion = 0 if total is None or prompt is None else max(0, total - prompt)
    if prompt is None:
        return None
    details = ("prompt_details.cache_read", "prompt_details.cache_write", "prompt_details.audio")
    read, write, heard = (_count(attributes, name) or 0 for name in details)
    return Tokens(prompt, completion, read, write, heard, _count(attributes, "completion_details.audio") or 0)


def _count(attributes: Mapping[str, Any], name: str) -> int | None:
    found = _number(attributes.get(f"llm.token_count.{name}"))
    return None if found is None else round(found)


def _text(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) and value else None


def _total(attributes: Mapping[str, Any], prefix: str) -> float | None:
    total = _number(attributes.get(f"{prefix}total"))
    if total is not None:
        return total
    parts = [_number(attributes.get(f"{prefix}{part}")) for part in ("prompt", "completion")]
    return None if parts == [None, None] else sum(part or 0 for part in parts)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return value
