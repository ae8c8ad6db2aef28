"""Plans: what a gate takes in examples, repetitions, calls and money, from a baseline's results. No Prefect."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

from prefect_experiments.analysis.experiment_plan import ExperimentPlan, plan_of
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable, result_table
from prefect_experiments.backends import Remote
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.experiment.arguments import Place, Placed, PlanArguments
from prefect_experiments.experiment.compare import result_side
from prefect_experiments.experiment.places import remote_of, store_of
from prefect_experiments.signatures import takes
from prefect_experiments.store import Store
from prefect_experiments.sync import sync_twin


class PlanCall(Placed, PlanArguments):
    """`PlanArguments` outside a client."""


@takes(PlanCall)
async def aplan_experiment(call: PlanCall) -> ExperimentPlan:
    """Say before anything is run what a gate will be worth, and what its margins or a drop to be found take.

    How far two runs of the same application lie apart decides, and is measured: with a second run, or by the baseline's
    repetitions. Without either, and without an agreement, runs are taken to differ like any two examples, which is the
    worst case, and plans more examples than are needed.

    Returns:
        An `ExperimentPlan`: for each metric the smallest drop that would be found, how likely an unchanged application
        passes its margin, and how many examples or repetitions would do; and what a run costs.

    Raises:
        NotFound: no such experiment.
        InvalidInput: a table, a gate or a parameter that cannot be used; a metric that the baseline has no scores of.
    """
    return await asyncio.to_thread(plan, call, call.client)


plan_experiment = sync_twin(aplan_experiment)


def plan(arguments: PlanArguments, client: Place | None) -> ExperimentPlan:
    """`plan_experiment` in a client's store and backend."""
    if arguments.beside is not None and arguments.agreement is not None:
        raise InvalidSetting("a second run (beside) tells how far runs agree, so agreement says nothing more: give one")
    gate = Gate() if arguments.gate is None else Gate.parse(arguments.gate)

    @cache
    def places() -> tuple[Store, Remote | None]:
        return store_of(client), remote_of(None, client)

    before, second = (
        None if one is None else result_table(result_side(one, places, arguments.dataset, role=role))
        for one, role in ((arguments.baseline, "baseline"), (arguments.beside, "second run"))
    )
    assert before is not None
    if second is not None and _is_same(arguments, before, second):
        raise InvalidSetting(
            "the second run (beside) is the baseline itself, which tells nothing: name another run of the same "
            "application"
        )
    return plan_of(
        before,
        gate,
        examples=arguments.examples,
        repetitions=arguments.repetitions,
        drop=arguments.drop,
        beside=second,
        agreement=arguments.agreement,
    )


def _is_same(arguments: PlanArguments, before: ResultTable, second: ResultTable) -> bool:
    """Whether the baseline was given as the second run, too: one experiment, one file, or one table."""
    if before.experiment_id or second.experiment_id:
        return before.experiment_id == second.experiment_id
    given = (arguments.baseline, arguments.beside)
    if all(isinstance(one, str | Path) for one in given):
        one, other = (Path(one).resolve() for one in given)  # type: ignore[arg-type]
        return one == other
    return given[0] is given[1]
