"""The experiment as a Prefect flow of four Prefect tasks, and the calls that start it.

Prefect sees batches, not examples. The flow's parameters are names and numbers: the dataset and
the callables travel in a context variable, because Prefect keeps parameters and shows them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol, get_args

# Prefect imports these when a first flow runs; then, they would be a quarter of a small experiment.
import fastapi.encoders  # noqa: F401
import prefect.flow_engine
import prefect.task_engine  # noqa: F401
from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext, SyncClientContext, TaskRunContext
from prefect.exceptions import FailedRun
from prefect.states import Completed, Failed

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.verdicts import Status, Verdict
from prefect_experiments.engine import Batch
from prefect_experiments.errors import AlreadyExists, ExperimentStopped, InvalidInput, InvalidSetting
from prefect_experiments.experiment.progress import telling
from prefect_experiments.experiment.push import what_waits
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.steps import Steps, drive
from prefect_experiments.orchestration.artifacts import progress_of, show_comparison, show_summary
from prefect_experiments.orchestration.events import tell_of
from prefect_experiments.orchestration.shared_limits import slots_of
from prefect_experiments.reports.escaping import error_text
from prefect_experiments.reports.markdown import headline

RETRIES = 2
_LONGEST_MESSAGE = 4000
RETRY_DELAY_S = 2

logger = logging.getLogger("prefect_experiments")

_session: contextvars.ContextVar[Session] = contextvars.ContextVar("prefect_experiments_session")
_nearly_done: contextvars.ContextVar[Callable[[], None]] = contextvars.ContextVar("prefect_experiments_nearly_done")


def worth_a_retry(_task: Any, _task_run: TaskRun, state: State[Any]) -> bool:
    """Whether what broke a Prefect task may work at a second try: not what the caller did wrong.

    A plain function: Prefect before 3.9 takes nothing else here.
    """
    return not isinstance(state.data, InvalidInput | AlreadyExists | ExperimentStopped)


def prefect_task(name: str, run_name: str, description: str) -> Callable[[Any], Any]:
    """A step as a Prefect task. Nothing is cached or persisted by Prefect: the store remembers."""
    return task(
        name=name,
        task_run_name=run_name,
        description=description,
        retries=RETRIES,
        retry_delay_seconds=RETRY_DELAY_S,
        retry_condition_fn=worth_a_retry,
        persist_result=False,
    )


@prefect_task("load-dataset", "load {dataset}", "Pin a dataset version, make the experiment, plan what is missing.")
async def load_dataset(dataset: str) -> None:
    """Pin the dataset and plan."""
    await Steps(_session.get()).load_dataset()


@prefect_task("run-task", "run {examples}", "Run the task on one batch of examples.")
async def run_task(batch: int, examples: str) -> None:
    """Run the task on one batch."""
    session = _session.get()
    await Steps(session).run_task(session.batches[batch - 1], _nearly_done.get())


@prefect_task("evaluate", "evaluate {examples}", "Run the evaluators on one batch of outputs.")
async def evaluate(batch: int, examples: str) -> None:
    """Evaluate one batch."""
    session = _session.get()
    await Steps(session).evaluate(session.batches[batch - 1])


@prefect_task("log-results", "log to {backend}", "Push what the backend does not have.")
async def log_results(backend: str) -> None:
    """Push to the backend."""
    await _session.get().push_results(get_run_logger().warning)


class _PrefectSteps(Steps):
    """The steps, each as a Prefect task run."""

    def __init__(self, session: Session, dataset: str, backend: str) -> None:
        super().__init__(session)
        self._dataset = dataset
        self._backend = backend

    async def load_dataset(self) -> None:
        await load_dataset(self._dataset)

    async def run_task(self, batch: Batch, nearly_done: Callable[[], None]) -> None:
        _nearly_done.set(nearly_done)  # each batch has a context of its own
        await run_task(batch.number, _label(batch))

    async def evaluate(self, batch: Batch) -> None:
        await evaluate(batch.number, _label(batch))

    def calling(self) -> contextlib.AbstractAsyncContextManager[None]:
        return slots_of(self.session)

    async def log_results(self) -> None:
        await log_results(self._backend)


def _label(batch: Batch) -> str:
    return f"{batch.first:04d}-{batch.last:04d}"


@flow(
    name="experiment",
    flow_run_name="{experiment} on {dataset}",
    retries=0,  # whatever Prefect's default is: a gate's verdict is not tried again, the rest is resumed
    description="Run an evaluation experiment: load-dataset, run-task, evaluate, log-results.",
    persist_result=False,
    validate_parameters=False,
)
async def experiment_flow(
    dataset: str,
    experiment: str,
    task: str | None,
    evaluators: list[str],
    backend: str,
    concurrency: int,
) -> Any:
    """Run what the calling `run_experiment` has prepared."""
    session = _session.get(None)
    if session is None:
        raise InvalidSetting(
            "this flow is started by run_experiment, resume_experiment or evaluate_experiment, not on its own"
        )
    session.trace_attributes = _shown_by_traces()
    if session.judging is not None and session.judging.note:
        session.notes.append(session.judging.note)
    for note in session.notes:
        get_run_logger().warning("%s", note)
    async with progress_of(session):
        try:
            await drive(_PrefectSteps(session, dataset, backend))
        except ExperimentStopped as stopped:
            raise _with_advice(stopped, session) from None
        ran = session.result
        await asyncio.to_thread(session.judge)
        await show_summary(ran)
        await show_comparison(ran)
        tell_of(ran)
    message = in_a_line(ran)
    if (unpushed := what_waits(session.push, session.remote, session.record)) is not None:
        get_run_logger().warning("%s", unpushed)
        message = f"{message}. {unpushed}"
    get_run_logger().info("%s", message)
    session.flow_ended = True
    return final_state(ran.verdict, message)


def _shown_by_traces() -> dict[str, str]:
    """What leads from a trace to the flow run."""
    from prefect.runtime import flow_run

    found = {"prefect.flow_run.id": flow_run.id, "prefect.flow_run.url": flow_run.ui_url}
    return {name: str(value) for name, value in found.items() if value}


def in_a_line(ran: RanExperiment) -> str:
    """What was run, and the scores: what a final state says behind the verdict."""
    scores = "; ".join(f"{name} {metric}" for name, metric in ran.summary.metrics.items())
    return f"{headline(ran)}. {scores}" if scores else headline(ran)


def is_verdict(state: State[Any]) -> bool:
    """Whether a flow run ended with a gate's verdict, and not because something broke."""
    return state.name in {f"Gate{status.capitalize()}" for status in get_args(Status)}


def final_state(verdict: Verdict | None, message: str) -> State[Any]:
    """The state a flow run ends in: its name and its message say the verdict.

    Automations match the names (``prefect.flow-run.GateFailed``) or the events of `events.tell_of`.
    """
    if verdict is None:
        return Completed(message=message)
    name = f"Gate{verdict.status.capitalize()}"
    message = f"{'; '.join(verdict.reasons)}. {message}"
    return (Failed if verdict.exit_code else Completed)(name=name, message=message[:_LONGEST_MESSAGE])


def _with_advice(stopped: ExperimentStopped, session: Session) -> ExperimentStopped:
    experiment_id = session.record.experiment.id
    return stopped.with_advice(
        experiment_id,
        f"Everything finished is kept: see it with `prefect-experiments runs {experiment_id}`, "
        f"go on with `prefect-experiments resume {experiment_id}`.",
    )


@contextlib.contextmanager
def saying_why() -> Iterator[None]:
    """Whoever made the call is told the text of the error at which the experiment stopped.

    Not so inside a flow or a Prefect task: there the exception becomes the state of that run, which Prefect shows, and
    the text may hold a row's content. It is `ExperimentStopped.error` in any case.
    """
    try:
        yield
    except ExperimentStopped as stopped:
        if not stopped.error or FlowRunContext.get() is not None or TaskRunContext.get() is not None:
            raise
        told = stopped.with_text(error_text(stopped.error))
        raise told.with_traceback(stopped.__traceback__) from None


@contextlib.contextmanager
def spared_by_the_collector() -> Iterator[None]:
    """Leave what is in memory now out of garbage collections while this is entered.

    An experiment makes many small records, and each makes Python look for cycles more often. A full
    search goes through everything that Prefect has loaded, which takes a tenth of a second each time.
    """
    if gc.get_freeze_count():  # somebody else has done so, for reasons of their own
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def run_session(session: Session, *, dataset: str, experiment: str) -> RanExperiment:
    """Run a prepared session as a flow.

    A Prefect server that goes away in mid-run costs the experiment its page and nothing else.
    """
    token = _session.set(session)
    try:
        # Prefect reads its settings for results with a synchronous client: one, and closed at the end.
        with saying_why(), outliving_prefect(session), SyncClientContext.get_or_create(), spared_by_the_collector():
            async with telling(session):
                await experiment_flow(
                    dataset=dataset,
                    experiment=experiment,
                    task=session.task.name if session.task else None,
                    evaluators=[evaluator.name for evaluator in session.evaluators],
                    backend=session.remote.name if session.remote else "local",
                    concurrency=session.limits.concurrency,
                )
    finally:
        _session.reset(token)
    return session.result


class _Work(Protocol):
    """What a flow does, and whether it is done."""

    flow_ended: bool


@contextlib.contextmanager
def outliving_prefect(work: _Work) -> Iterator[None]:
    """What is done stays done, whatever becomes of its flow run while this is entered."""
    try:
        yield
    except FailedRun:
        if not work.flow_ended:
            raise
        # The gate has failed the flow run; the call goes on and has the verdict.
    except Exception as error:
        if not work.flow_ended:
            raise
        logger.warning(
            "The experiment is done and kept, but Prefect's server could not be told (%s).", type(error).__name__
        )


async def run_dry(session: Session) -> RanExperiment:
    """Run a prepared session without Prefect: nothing is written, nothing is called but the user's code."""
    for note in session.notes:
        logger.warning("%s", note)
    with saying_why():
        async with telling(session):
            await drive(Steps(session))
    return session.result
