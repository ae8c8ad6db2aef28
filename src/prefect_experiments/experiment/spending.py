"""Whether what an experiment costs can be known, asked before anything is spent."""

from __future__ import annotations

import sys

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.options import EvaluationOptions
from prefect_experiments.settings import Settings
from prefect_experiments.tracing import instruments
from prefect_experiments.tracing.prices import Prices

_INSTALL = "pip install 'prefect-experiments[cost]'"


def check_spending(options: EvaluationOptions) -> None:
    """Refuse prices that cannot be read, and a budget where nothing here can tell what a call costs.

    What the first calls tell is seen when they have ended.

    Raises:
        InvalidSetting: with what is missing.
    """
    prices = Prices.of_settings()
    if options.budget is None:
        return
    if not Settings().count_tokens:
        raise InvalidSetting(
            f"budget={options.budget:g} cannot be kept while costs are not counted: PREFECT_EXPERIMENTS_COUNT_TOKENS "
            "is off; set it to true, or leave the budget out"
        )
    if _says_so_itself():
        return
    lacking = []
    if not instruments.installed():
        lacking.append("no instrumentor of OpenAI, Anthropic or LiteLLM is installed beside its library")
    if not prices.any_known:
        lacking.append("there is no table of prices")
    if lacking:
        raise InvalidSetting(
            f"budget={options.budget:g} cannot be kept: nothing here can tell what a call costs, for "
            f"{' and '.join(lacking)}. {_INSTALL} brings both, PREFECT_EXPERIMENTS_PRICES takes prices of your own, "
            "and a module with a task that calls report_usage must import it at its top"
        )


def _says_so_itself() -> bool:
    """Whether code of the user's may report costs: it has imported what does so, or makes spans of its own."""
    if "prefect_experiments.tracing.reporting" in sys.modules:
        return True
    if "opentelemetry.sdk.trace" not in sys.modules:
        return False
    from opentelemetry import trace

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
