"""What the calls of an experiment may cost, and what they have cost until now."""

from __future__ import annotations

import math
from collections.abc import Collection

from prefect_experiments.engine.traces import TraceFigures

LEAST_PATIENCE = 10


class Budget:
    """US dollars that calls may cost. It is kept only where cost is known: else it counts as spent as well.

    Args:
        dollars: how much.
        spent: in earlier sessions.
        patience: so many results of the task, or of a judge, may tell nothing of tokens and cost while none has told
            any: some may have come out of a cache.
    """

    def __init__(self, dollars: float, *, spent: float = 0.0, patience: int = LEAST_PATIENCE) -> None:
        self.dollars = dollars
        self.spent = spent
        self._patience = max(patience, LEAST_PATIENCE)
        self._silent: dict[str, int] = {}
        self._heard: set[str] = set()
        self.why_over: str | None = None
        """Why no further call may begin; ``None`` while one may."""
        self._look()

    @property
    def is_over(self) -> bool:
        """Whether no further call may begin."""
        return self.why_over is not None

    def has_cost(self, who: str) -> bool:
        """Whether calls of it have been heard to use a model."""
        return who in self._heard

    def count(self, who: str, figures: TraceFigures, *, ok: bool, must_tell: bool) -> None:
        """Take the cost of a call that has ended.

        Args:
            who: whose call, in words.
            figures: what it has used.
            ok: whether it has a result.
            must_tell: whether it is the sort of call that costs money.
        """
        if figures.total_cost is not None:
            self.spent = math.fsum((self.spent, figures.total_cost))
        if figures.total_cost is not None or figures.token_count is not None or figures.unpriced:
            self._heard.add(who)
        elif ok and must_tell and who not in self._heard:
            self._silent[who] = self._silent.get(who, 0) + 1
        if figures.unpriced:
            self._lose(figures.unpriced)
        elif self._silent.get(who, 0) >= self._patience and who not in self._heard:
            self._end(
                f"none of the first {self._silent[who]} results of {who} tells what it has cost, so the budget of "
                f"${self.dollars:,g} cannot be kept. Calls of OpenAI, Anthropic and LiteLLM tell where their "
                "OpenInference instrumentor is installed (pip install 'prefect-experiments[cost]'); others are told of "
                "with report_usage. What costs nothing needs no budget"
            )
        self._look()

    def _lose(self, unknown: Collection[str]) -> None:
        self._end(
            f"the cost of calls of {', '.join(map(repr, sorted(unknown)))} is not known, so the budget of "
            f"${self.dollars:,g} cannot be kept; give prices in PREFECT_EXPERIMENTS_PRICES"
        )

    def _look(self) -> None:
        if self.spent >= self.dollars:
            self._end(f"the budget of ${self.dollars:,g} is spent (${self.spent:,.4g})")

    def _end(self, why: str) -> None:
        self.why_over = self.why_over or why
