"""The public calls: run, resume, evaluate. Each in two forms, ``x()`` and ``await ax()``."""

from __future__ import annotations

import asyncio
from functools import partial

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.engine import CallPolicy
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.experiment.arguments import (
    EvaluateArguments,
    Judged,
    Place,
    Placed,
    ResumeArguments,
    RunArguments,
    Shown,
)
from prefect_experiments.experiment.compare import check_directions, judging
from prefect_experiments.experiment.idempotency import check_key
from prefect_experiments.experiment.request import (
    experiment_to_continue,
    new_session,
    remote_of,
    resumed_session,
    store_of,
)
from prefect_experiments.experiment.session import Session
from prefect_experiments.orchestration.flows import run_dry, run_session
from prefect_experiments.orchestration.shared_limits import look_up
from prefect_experiments.signatures import takes
from prefect_experiments.store import ExperimentRecord
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
        StoreUnavailable: the store could not be written to for a minute; resume later.
    """
    return await run_new(call, call.client)


async def run_new(arguments: RunArguments, client: Place | None) -> RanExperiment:
    """`arun_experiment` in a client's store and backend."""
    store, remote = store_of(client), remote_of(arguments.backend, client)
    tried = arguments.dry_run is not False
    session, dataset = await asyncio.to_thread(new_session, arguments, store, remote)
    check = partial(judging, arguments.baseline, arguments.gate, store, remote, dataset, dry_run=tried)
    session.judging = await asyncio.to_thread(check)
    await asyncio.to_thread(check_directions, session.judging, session.evaluators)
    if tried:
        ran = await run_dry(session)
    else:
        await look_up(session)
        if (key := arguments.idempotency_key) is not None:
            await asyncio.to_thread(session.begin_once, check_key(key))
        ran = await run_session(session, dataset=dataset, experiment=session.name)
    return _shown(ran, session, arguments)


@takes(ResumeCall)
async def aresume_experiment(call: ResumeCall) -> RanExperiment:
    """Go on with an experiment: make the missing and failed runs, and the missing, failed or changed evaluations.

    Outputs that are there are kept. A finished experiment is returned as it is, and nothing is called; unless it has
    evaluations of which nobody knows which state of an evaluator made them, for another client did, and that evaluator
    is passed: then it runs again. What was logged is kept.

    Raises:
        NotFound: no such experiment.
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
        InvalidEvaluator: an evaluator that cannot be used.
    """
    return await go_on(call, call.client)


async def go_on(arguments: ResumeArguments | EvaluateArguments, client: Place | None) -> RanExperiment:
    """`aresume_experiment` or `aevaluate_experiment` in a client's store and backend."""
    store, remote = store_of(client), remote_of(None, client)
    policy = CallPolicy.of(arguments)

    def prepare() -> tuple[Session, ExperimentRecord]:
        record, keeper, notes = experiment_to_continue(arguments.experiment, store, arguments.dataset, remote)
        session = resumed_session(record, arguments, store, keeper, policy)
        session.notes.extend(notes)
        wanted = Judged.of(arguments)
        session.judging = judging(wanted.baseline, wanted.gate, store, keeper, record.experiment.dataset_name)
        check_directions(session.judging, session.evaluators)
        _refuse_itself(session, record)
        return session, record

    session, record = await asyncio.to_thread(prepare)
    await look_up(session)
    found = record.experiment
    ran = await run_session(session, dataset=found.dataset_name, experiment=found.name)
    return _shown(ran, session, arguments)


def _refuse_itself(session: Session, record: ExperimentRecord) -> None:
    """An experiment is no worse than itself: ``latest``, or a tag that it was given, may lead to it."""
    baseline = session.judging and session.judging.baseline
    if not isinstance(baseline, RanExperiment):
        return
    kept_as = baseline.experiment_id if baseline.link is None else baseline.link.experiment_id
    if kept_as == record.experiment.id:
        raise InvalidSetting(
            f"experiment {record.experiment.id} would be compared with itself; name its baseline by another id"
        )


def _shown(ran: RanExperiment, session: Session, arguments: Shown) -> RanExperiment:
    if arguments.print_summary:
        from prefect_experiments.reports.terminal import print_outcome

        print_outcome(ran, kept_in=session.store.shown_url)
    return ran


run_experiment = sync_twin(arun_experiment)
resume_experiment = sync_twin(aresume_experiment)
evaluate_experiment = sync_twin(aevaluate_experiment)
