"""Experiments whose calls are made by workers: Prefect's task runners, and flow runs of a deployment."""

BUDGET_SPENT = "BudgetSpent"
"""What the state of a worker is called that has stopped for the budget: it is no failure of its own."""
