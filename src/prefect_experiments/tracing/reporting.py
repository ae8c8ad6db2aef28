"""What code says itself of the calls of models that it makes, where no instrumentor can."""

from __future__ import annotations

import math

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.tracing.usage import current_call


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
    figures = {
        "llm.token_count.prompt": ("input_tokens", input_tokens),
        "llm.token_count.completion": ("output_tokens", output_tokens),
        "llm.token_count.prompt_details.cache_read": ("cached_input_tokens", cached_input_tokens),
        "llm.cost.total": ("cost", cost),
    }
    for name, value in figures.values():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InvalidSetting(f"report_usage: {name} must be a number of at least 0, got {value!r:.50}")
    if (call := current_call.get()) is not None:
        said = {"llm.model_name": model, **{key: value for key, (_, value) in figures.items()}}
        call.report({"openinference.span.kind": "LLM", **{k: v for k, v in said.items() if v is not None}})
