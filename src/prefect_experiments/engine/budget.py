"""What the calls of an experiment may cost, and what they have cost until now."""

from __future__ import annotations

from collections.abc import Collection

from prefect_experiments import money
from prefect_experiments.engine.traces import TraceFigures
from prefect_experiments.tasks import Fields

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
        self.elsewhere = 0.0
        """What other processes have spent of it, as far as is known here."""
        self.patience = max(patience, LEAST_PATIENCE)
        self._lost: str | None = None

    def account(self, who: str, *, costs: bool) -> Account:
        """What somebody's calls spend of it.

        Args:
            who: whose calls, in words.
            costs: whether they are of the sort that costs money.
        """
        return Account(self, who, costs)

    @property
    def why_over(self) -> str | None:
        """Why no further call may begin, with what is spent by now; ``None`` while one may."""
        spent = money.total((self.spent, self.elsewhere)) if self.elsewhere else self.spent
        if self._lost is None and spent > 0 and money.total((self.dollars, -spent)) <= 0:
            return f"the budget of ${self.dollars:,g} is spent (${spent:,.4g})"
        return self._lost

    @property
    def is_over(self) -> bool:
        """Whether no further call may begin."""
        return self.why_over is not None

    def add(self, cost: float) -> None:
        """Take what something has cost."""
        self.spent = money.total((self.spent, cost))

    def lose(self, why: str) -> None:
        """It cannot be kept from here on, for the first reason that is given."""
        self._lost = self._lost or why


class Account:
    """What the calls of the task, or of one evaluator, spend of the budget: told after each attempt, and at the end."""

    def __init__(self, budget: Budget, who: str, costs: bool) -> None:
        self._budget = budget
        self._who = who
        self._costs = costs
        self._heard = False
        self._silent = 0
        self._counted: dict[Fields, float] = {}

    @property
    def is_over(self) -> bool:
        """Whether no further call may begin. What has never been heard to use a model goes on."""
        return self._budget.is_over and (self._costs or self._heard)

    def hear(self, call: Fields, used: TraceFigures) -> None:
        """Take what a call has used until now, at the end of one of its attempts: the next may be one too many."""
        if used.total_cost is not None:
            self._budget.add(used.total_cost - self._counted.get(call, 0.0))
            self._counted[call] = used.total_cost
        if used.total_cost is not None or used.token_count is not None or used.unpriced:
            self._heard = True
        if used.unpriced:
            self._budget.lose(self._unknown(used.unpriced))

    def close(self, call: Fields, used: TraceFigures, *, ok: bool) -> None:
        """Take what a call has used that has ended.

        Args:
            call: which.
            used: by all its attempts.
            ok: whether it has a result.
        """
        self.hear(call, used)
        self._counted.pop(call, None)
        if self._costs and ok and not self._heard:
            self._silent += 1
            if self._silent >= self._budget.patience:
                self._budget.lose(self._untold())

    def _unknown(self, models: Collection[str]) -> str:
        return (
            f"the cost of calls of {', '.join(map(repr, sorted(models)))} is not known, so the budget of "
            f"${self._budget.dollars:,g} cannot be kept; give prices in PREFECT_EXPERIMENTS_PRICES"
        )

    def _untold(self) -> str:
        return (
            f"none of the first {self._silent} results of {self._who} tells what it has cost, so the budget of "
            f"${self._budget.dollars:,g} cannot be kept. Calls of OpenAI, Anthropic and LiteLLM tell where their "
            "OpenInference instrumentor is installed (pip install 'prefect-experiments[cost]'); others are told of "
            "with report_usage. What costs nothing needs no budget"
        )
