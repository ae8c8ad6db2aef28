"""What code says itself of the calls of models that it makes, where no instrumentor can."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from prefect_experiments.options import Must, Options
from prefect_experiments.tracing.usage import current_call

_Tokens = Annotated[int | None, Field(ge=0, le=10**12)]


class _Said(Options):
    said_before_names: ClassVar[str] = "report_usage: "

    model: Annotated[str | None, Must("be a model's name")]
    """the model's name."""
    input_tokens: _Tokens
    """of the prompt, cached ones included."""
    output_tokens: _Tokens
    """of the answer."""
    cached_input_tokens: _Tokens
    """those of the prompt that were cached."""
    cost: Annotated[float | None, Field(ge=0, allow_inf_nan=False), Must("be a number of at least 0")]
    """in US dollars."""


def report_usage(
    model: str | None = None,
    *,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cached_input_tokens: int | None = None,
    cost: float | None = None,
) -> None:
    """Count a call of a model that no instrumentor sees, such as one by plain HTTP.

    To be called within a task or an evaluator; elsewhere it does nothing. What was called through an instrumented
    library is counted already.

    Args:
        model: its name, by which its price is found where `cost` is not given.
        input_tokens: of the prompt, cached ones among them.
        output_tokens: of the answer, reasoning among them.
        cached_input_tokens: those of the input that the provider had in its cache.
        cost: in US dollars.

    Raises:
        InvalidSetting: a figure that is negative or no number.
    """
    said = _Said(
        model=model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached_input_tokens,
        cost=cost,
    )
    if (call := current_call.get()) is not None:
        figures = {
            "openinference.span.kind": "LLM",
            "llm.model_name": said.model,
            "llm.token_count.prompt": said.input_tokens,
            "llm.token_count.completion": said.output_tokens,
            "llm.token_count.prompt_details.cache_read": said.cached_input_tokens,
            "llm.cost.total": said.cost,
        }
        call.report({name: value for name, value in figures.items() if value is not None})
