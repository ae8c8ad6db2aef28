"""The command that says beforehand what a gate takes: plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from prefect_experiments.cli.output import Answer, Here

if TYPE_CHECKING:
    from rich.console import Console


def register(app: App) -> None:
    """Add the command to the root."""
    app.command(plan)


def plan(
    gate: str | None = None,
    /,
    *,
    baseline: str,
    examples: int | None = None,
    repetitions: int | None = None,
    drop: float | None = None,
    agreement: float | None = None,
    beside: str | None = None,
    dataset: str | None = None,
    terminal: Here,
) -> Answer:
    """Say what a gate will be worth, and how many examples, repetitions and dollars it takes; nothing is run.

    How many examples the margins in a file take, and which drop would be found with what there is:

        prefect-experiments plan gate.yaml --baseline tag:baseline --beside latest

    Args:
        gate: the rules, as the path of a YAML or JSON file, or as such text; without any, that no metric is worse.
        baseline: id, name, tag:NAME, latest or latest:NAME; or the path of a table of results, as for compare.
        examples: how many are planned; by default those of the baseline.
        repetitions: how often each is to be run, on both sides; by default as often as in the baseline.
        drop: how much worse a candidate is that has to be found, in each metric's own unit, such as 0.05.
        agreement: the share of examples that score the same when the application runs again, such as 0.9.
        beside: a second run of the same application, from which that is measured; named like the baseline.
        dataset: the dataset that a name, a tag or latest is looked for in.
        terminal: where it is shown.
    """
    from prefect_experiments.experiment.arguments import PlanArguments
    from prefect_experiments.experiment.plan_experiment import plan as planned

    arguments = PlanArguments(
        baseline=baseline,
        gate=gate,
        examples=examples,
        repetitions=repetitions,
        drop=drop,
        agreement=agreement,
        beside=beside,
        dataset=dataset,
    )
    found = planned(arguments, terminal.client())

    def show(console: Console) -> None:
        from prefect_experiments.reports.planned import print_plan

        print_plan(found, console)

    return Answer(found.to_dict, show)
