"""What the spans of a call come to: tokens and cost, where a span says only a part, or says what others say too."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.tracing.prices import Price, Prices, Tokens
from prefect_experiments.tracing.usage import NAMELESS, CountedCall, SpanFigures, Usage, next_number

# A dollar for a token of input, a tenth of a cent for one of output, a cent for one that was cached.
PRICES = Prices({"m": Price(input=1e6, output=1e3, cached_input=1e4)})
UNKNOWN = {"m": 1}


def said(kind: str | None = "LLM", model: str | None = "m", cost: float | None = None, **counts: Any) -> dict[str, Any]:
    """The attributes of a span."""
    given = {"openinference.span.kind": kind, "llm.model_name": model, "llm.cost.total": cost}
    given |= {f"llm.token_count.{name.replace('__', '_details.')}": count for name, count in counts.items()}
    return {name: value for name, value in given.items() if value is not None}


def usage(*spans: tuple[int, int | None, dict[str, Any]], failed: bool = False) -> Usage:
    """Of spans with their parents, which end in that order."""
    figures = SpanFigures(PRICES)
    for number, parent, _ in spans:
        figures.started(number, parent)
    for number, _, attributes in spans:
        figures.ended(number, attributes, failed=failed)
    return figures.usage()


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (said(prompt=7, completion=3), (10, 7.003, None)),
        (said(total=10, prompt=7), (10, 7.003, None)),
        (said(total=10, completion=3), (10, 7.003, None)),
        (said(total=5, prompt=7), (5, 7.0, None)),
        (said(total=5, completion=7), (5, 0.007, None)),
        (said(prompt=7), (7, 7.0, None)),
        (said(completion=3), (3, None, UNKNOWN)),
        (said(total=10), (10, None, UNKNOWN)),
        (said(total=0), (0, 0.0, None)),
        (said(), (None, None, UNKNOWN)),
        (said(prompt=7, completion=3, prompt__cache_read=2), (10, 5.023, None)),
        (said(prompt=7, completion=3, prompt__cache_read=9), (10, 0.073, None)),
        (said(prompt=2.6, completion=0), (3, 3.0, None)),
        (said(prompt=-1, completion=3), (3, None, UNKNOWN)),
        (said(prompt=True, completion=3), (3, None, UNKNOWN)),
        (said(prompt=7, completion=3, cost=0.5), (10, 0.5, None)),
        (said(cost=0.0), (None, 0.0, None)),
        (said(cost=-1.0), (None, None, UNKNOWN)),
        (said(model=None, prompt=7), (7, None, {NAMELESS: 1})),
        (said(model="", prompt=7), (7, None, {NAMELESS: 1})),
        (said(kind="EMBEDDING", model=None, prompt=7) | {"embedding.model_name": "m"}, (7, 7.0, None)),
        (said(kind="AGENT", prompt=7), (7, 7.0, None)),
        (said(kind=None, prompt=7), (7, 7.0, None)),
        (said(kind="AGENT", model=None, prompt=7), (7, None, None)),
        (said(kind="AGENT"), (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_of_one_span(attributes: dict[str, Any], expected: tuple[Any, ...]) -> None:
    found = usage((1, None, attributes))
    assert found == Usage(expected[0], expected[1] if expected[1] is None else pytest.approx(expected[1]), expected[2])


def test_a_failed_call_costs_what_it_says_and_else_nothing() -> None:
    assert usage((1, None, said()), failed=True) == Usage()
    assert usage((1, None, said(prompt=0)), failed=True) == Usage(0, None, None)
    assert usage((1, None, said(prompt=7)), failed=True) == Usage(7, 7.0, None)
    assert usage((1, None, said(cost=0.5)), failed=True) == Usage(None, 0.5, None)


ASKED = said(prompt=7, completion=3)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(1, None, ASKED), (2, None, ASKED)], (20, 14.006, None)),
        ([(1, None, said(kind="AGENT", prompt=7, completion=3)), (2, 1, ASKED)], (10, 7.003, None)),
        ([(1, None, said(kind="AGENT", prompt=7)), (2, 1, {}), (3, 2, ASKED)], (10, 7.003, None)),
        ([(1, None, said()), (2, 1, ASKED)], (10, 7.003, None)),
        ([(1, None, ASKED), (2, 1, said())], (10, 7.003, None)),
        ([(1, None, said()), (2, 1, said())], (None, None, UNKNOWN)),
        ([(1, None, said()), (2, None, said())], (None, None, {"m": 2})),
        ([(1, None, said(cost=0.5)), (2, 1, ASKED)], (10, 0.5, None)),
        ([(1, None, said(cost=0.5)), (2, 1, said(cost=0.25))], (None, 0.25, None)),
        ([(1, None, said(cost=0.5)), (2, None, said(total=4))], (4, None, UNKNOWN)),
        ([(1, None, ASKED), (2, None, said(model="x", prompt=1))], (11, None, {"x": 1})),
    ],
    ids=["two", "an agent", "an agent and a step", "a wrapper", "a wrapped one", "two that say nothing",
         "two apart that say nothing", "an agent with the cost", "costs of both", "one without a price",
         "another model"],
)  # fmt: skip
def test_of_several(spans: list[tuple[int, int | None, dict[str, Any]]], expected: tuple[Any, ...]) -> None:
    cost = None if expected[1] is None else pytest.approx(expected[1])
    assert usage(*spans) == Usage(expected[0], cost, expected[2])


def test_what_code_reports_is_a_call_of_its_own() -> None:
    call = CountedCall(PRICES)
    call.report(ASKED)
    call.report(said(completion=3, prompt=0))
    assert call.figures.usage() == Usage(13, pytest.approx(7.006), None)
    assert next_number() < 0
    assert next_number() != next_number()


@pytest.mark.parametrize(
    ("price", "tokens", "cost"),
    [
        (Price(input=2), Tokens(1_000_000, 5), 2.0),
        (Price(input=2, output=3), Tokens(1_000_000, 1_000_000), 5.0),
        (Price(input=2), Tokens(1_000_000, cache_read=400_000), 2.0),
        (Price(input=2, cached_input=0), Tokens(1_000_000, cache_read=400_000), 1.2),
        (Price(input=2), Tokens(), 0.0),
    ],
)
def test_prices_are_for_a_million_tokens(price: Price, tokens: Tokens, cost: float) -> None:
    assert price.cost(tokens) == pytest.approx(cost)
    assert Prices({"m": price}).cost("m", (None,), tokens) == pytest.approx(cost)


def test_parents_that_are_each_others_children_end_all_the_same() -> None:
    """A broken instrumentor's: what is below another is counted there."""
    assert usage((1, 2, said(prompt=7)), (2, 1, said(prompt=7))) == Usage(0, None, None)
