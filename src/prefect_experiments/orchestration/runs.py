"""The public calls: run, resume, evaluate. Each in two forms, ``x()`` and ``await ax()``."""

from __future__ import annotations

import asyncio

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.experiment.arguments import (
    EvaluateArguments,
    Place,
    Placed,
    ResumeArguments,
    RunArguments,
    Shown,
)
from prefect_experiments.experiment.idempotency import check_key
from prefect_experiments.experiment.progress import shown_in_notebook
from prefect_experiments.experiment.request import plan_continued, plan_new
from prefect_experiments.experiment.work import RunWork
from prefect_experiments.orchestration.clients import Clients
from prefect_experiments.orchestration.experiment_flow import run_dry, run_work
from prefect_experiments.orchestration.shared_limits import within_limits
from prefect_experiments.orchestration.workers.checks import check_workers
from prefect_experiments.orchestration.workers.flow_runs import check_deployment
from prefect_experiments.orchestration.workers.main_script import note_call
from prefect_experiments.signatures import takes
from prefect_experiments.sync import sync_twin


class RunCall(Placed, RunArguments):
    """`RunArguments` outside a client."""


class ResumeCall(Placed, ResumeArguments):
    """`ResumeArguments` outside a client."""


class EvaluateCall(Placed, EvaluateArguments):
    """`EvaluateArguments` outside a client."""


@takes(RunCall)
async def arun_experiment(call: RunCall) -> RanExperiment:
    """Run a task over a dataset, score the outputs, and keep everything in the store.

    Returns:
        The experiment with its results.

    Raises:
        InvalidInput: anything that cannot be used, before anything is run.
        NotFound: no such dataset or version.
        AlreadyExists: an experiment was begun for the idempotency key before; nothing is run.
        ExperimentStopped: a task failed and `exit_on_error` was set; what had finished is kept.
        StoreUnavailable: the store could not be reached for a minute; resume later.
        ExperimentInUse: another process has taken the experiment over, while this one stood still.
    """
    return await run_new(call, call.client)


async def run_new(arguments: RunArguments, client: Place | None) -> RanExperiment:
    """`arun_experiment` in a client's store and backend."""
    note_call()
    if arguments.dry_run is not False:
        work = RunWork(await asyncio.to_thread(plan_new, arguments, client))
        with shown_in_notebook(work.name, wanted=arguments.print_summary):
            ran = await run_dry(work)
        return _shown(ran, work, arguments)
    clients = Clients()
    plan = await asyncio.to_thread(plan_new, arguments, client)
    await asyncio.to_thread(check_workers, plan)
    await check_deployment(plan.options.task_runner)
    work, key = RunWork(await within_limits(plan)), arguments.idempotency_key
    async with work.held(None if key is None else check_key(key)):
        with shown_in_notebook(plan.name, wanted=arguments.print_summary):
            ran = await run_work(work, clients)
    return _shown(ran, work, arguments)


@takes(ResumeCall)
async def aresume_experiment(call: ResumeCall) -> RanExperiment:
    """Go on with an experiment: make the missing and failed runs, and the missing, failed or changed evaluations.

    Outputs that are there are kept. A finished experiment is returned as it is, and nothing is called; unless it has
    evaluations of which nobody knows which state of an evaluator made them, for another client did, and that evaluator
    is passed: then it runs again. What was logged is kept.

    Raises:
        NotFound: no such experiment.
        ExperimentInUse: another process makes the experiment's calls.
        InvalidSetting: the experiment is its own baseline.
        InvalidTask: runs are missing and the task cannot be found again.
        InvalidEvaluator: evaluations are missing and their evaluator cannot be found again.
    """
    return await go_on(call, call.client)


@takes(EvaluateCall)
async def aevaluate_experiment(call: EvaluateCall) -> RanExperiment:
    """Run evaluators on the outputs of an experiment; the task is not called.

    Evaluations that are there are kept, unless they failed, their evaluator has changed since, or it is not known in
    which state it made them: those that another client made, or that were logged, are made again.

    Raises:
        NotFound: no such experiment.
        ExperimentInUse: another process makes the experiment's calls.
        InvalidEvaluator: an evaluator that cannot be used.
    """
    return await go_on(call, call.client)


async def go_on(arguments: ResumeArguments | EvaluateArguments, client: Place | None) -> RanExperiment:
    """`aresume_experiment` or `aevaluate_experiment` in a client's store and backend."""
    note_call()
    clients = Clients()
    plan = await asyncio.to_thread(plan_continued, arguments, client)
    await asyncio.to_thread(check_workers, plan)
    await check_deployment(plan.options.task_runner)
    work = RunWork(await within_limits(plan))
    async with work.held():
        with shown_in_notebook(plan.name, wanted=arguments.print_summary):
            ran = await run_work(work, clients)
    return _shown(ran, work, arguments)


def _shown(ran: RanExperiment, work: RunWork, arguments: Shown) -> RanExperiment:
    if arguments.print_summary:
        from prefect_experiments.reports.terminal import print_outcome

        print_outcome(ran, kept_in=work.store.shown_url)
    return ran


run_experiment = sync_twin(arun_experiment)
resume_experiment = sync_twin(aresume_experiment)
evaluate_experiment = sync_twin(aevaluate_experiment)
