"""What calls have cost of a budget, and from when on none begins."""

from __future__ import annotations

import pytest

from prefect_experiments.engine.budget import Account, Budget
from prefect_experiments.engine.traces import UNTRACED, TraceFigures
from prefect_experiments.tasks import Fields


def call() -> Fields:
    return Fields("e0", "1", None, "{}")


def cost(dollars: float) -> TraceFigures:
    return TraceFigures(token_count=10, total_cost=dollars)


def close(account: Account, *used: TraceFigures, ok: bool = True) -> None:
    for each in used:
        account.close(call(), each, ok=ok)


@pytest.mark.parametrize(
    ("dollars", "spent", "elsewhere", "why"),
    [
        (1.0, 0.0, 0.0, None),
        (1.0, 0.999, 0.0, None),
        (1.0, 1.0, 0.0, "the budget of $1 is spent ($1)"),
        (1.0, 0.4, 0.59, None),
        (1.0, 0.4, 0.6, "the budget of $1 is spent ($1)"),
        (1.0, 0.0, 1.5, "the budget of $1 is spent ($1.5)"),
        (2500.0, 2500.1234, 0.0, "the budget of $2,500 is spent ($2,500)"),
        (0.3, 0.1 + 0.2, 0.0, "the budget of $0.3 is spent ($0.3)"),
        (0.5, 0.123456 + 0.5, 0.0, "the budget of $0.5 is spent ($0.6235)"),
        (0.0, 0.0, 0.0, None),
        (0.0, 1e-9, 0.0, "the budget of $0 is spent ($1e-09)"),
    ],
)
def test_a_budget_is_spent_by_the_last_cent(dollars: float, spent: float, elsewhere: float, why: str | None) -> None:
    budget = Budget(dollars, spent=spent)
    budget.elsewhere = elsewhere
    assert (budget.why_over, budget.is_over) == (why, why is not None)


def test_what_an_attempt_tells_again_of_those_before_it_counts_once() -> None:
    budget = Budget(1.0, spent=0.1)
    account = budget.account("the task", costs=True)
    first = call()
    account.hear(first, cost(0.1))
    account.hear(first, cost(0.3))
    account.hear(first, UNTRACED)
    assert budget.spent == 0.4
    account.close(first, cost(0.3), ok=True)
    assert budget.spent == 0.4
    account.close(call(), cost(0.3), ok=False)
    assert budget.spent == 0.7
    account.close(first, cost(0.2), ok=True)  # another session's call of the same example
    assert (budget.spent, budget.why_over) == (0.9, None)
    assert not account.is_over
    budget.add(0.1)
    assert budget.why_over == "the budget of $1 is spent ($1)"
    assert account.is_over


@pytest.mark.parametrize(
    ("used", "is_over"),
    [
        (UNTRACED, False),
        (TraceFigures(trace_id="0" * 32), False),
        (TraceFigures(unpriced={}), False),
        (TraceFigures(token_count=0), True),
        (TraceFigures(total_cost=0.0), True),
        (TraceFigures(unpriced={"m": 1}), True),
    ],
)
def test_what_was_never_heard_to_use_a_model_goes_on_when_all_is_spent(used: TraceFigures, is_over: bool) -> None:
    budget = Budget(1.0)
    plain, judge = budget.account("evaluator 'exact'", costs=False), budget.account("evaluator 'judge'", costs=True)
    plain.hear(call(), used)
    budget.add(2.0)
    assert plain.is_over is is_over
    assert judge.is_over


def test_a_model_whose_cost_is_not_known_ends_it() -> None:
    budget = Budget(1250.5)
    account = budget.account("the task", costs=True)
    account.hear(call(), TraceFigures(token_count=7, unpriced={"m2": 1, "m1": 2}))
    assert budget.why_over == (
        "the cost of calls of 'm1', 'm2' is not known, so the budget of $1,250.5 cannot be kept; give prices in "
        "PREFECT_EXPERIMENTS_PRICES"
    )
    account.hear(call(), TraceFigures(unpriced={"m3": 1}))
    budget.add(2000.0)
    assert "'m1', 'm2'" in (budget.why_over or ""), "the first reason stays"


SILENT = (
    "none of the first {n} results of evaluator 'judge' tells what it has cost, so the budget of $1 cannot be kept. "
    "Calls of OpenAI, Anthropic and LiteLLM tell where their OpenInference instrumentor is installed (pip install "
    "'prefect-experiments[cost]'); others are told of with report_usage. What costs nothing needs no budget"
)


@pytest.mark.parametrize(("options", "n"), [({}, 10), ({"patience": 3}, 10), ({"patience": 12}, 12)])
def test_so_many_results_that_tell_no_cost_end_it(options: dict[str, int], n: int) -> None:
    budget = Budget(1.0, **options)
    account = budget.account("evaluator 'judge'", costs=True)
    close(account, *[UNTRACED] * (n - 1))
    close(account, *[UNTRACED] * 20, ok=False)  # what failed may have called nothing
    assert budget.why_over is None
    close(account, UNTRACED)
    assert budget.why_over == SILENT.format(n=n)


def test_one_that_tells_its_cost_stands_for_those_that_came_out_of_a_cache() -> None:
    budget = Budget(1.0)
    told, free = budget.account("the task", costs=True), budget.account("evaluator 'exact'", costs=False)
    close(told, *[UNTRACED] * 9, cost(0.1), *[UNTRACED] * 30)
    close(free, *[UNTRACED] * 30)
    assert (budget.spent, budget.why_over) == (0.1, None)
