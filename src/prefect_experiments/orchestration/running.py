"""What both flows share: how Prefect tasks are made, how a flow run is begun, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar, get_args

# Prefect imports these when a first flow runs; then, they would be a quarter of a small experiment.
import fastapi.encoders  # noqa: F401
import prefect.flow_engine
import prefect.task_engine  # noqa: F401
from prefect import get_run_logger, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext, SyncClientContext, TaskRunContext
from prefect.exceptions import FailedRun
from prefect.states import Completed, Failed

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.verdicts import Status, Verdict
from prefect_experiments.errors import AlreadyExists, ExperimentStopped, InvalidInput, InvalidSetting, StoreLost
from prefect_experiments.experiment.work import Work
from prefect_experiments.orchestration.artifacts import show_comparison, show_summary
from prefect_experiments.orchestration.events import tell_of
from prefect_experiments.reports.escaping import error_text
from prefect_experiments.reports.markdown import headline

RETRIES = 2
RETRY_DELAY_S = 2
_LONGEST_MESSAGE = 4000

W = TypeVar("W", bound=Work)

logger = logging.getLogger("prefect_experiments")

# Not a parameter: Prefect keeps parameters and shows them.
_work: contextvars.ContextVar[Work] = contextvars.ContextVar("prefect_experiments_work")


def work_of_call(sort: type[W], started_by: str) -> W:
    """The work that the call which started the flow has prepared.

    Raises:
        InvalidSetting: the flow was started by itself.
    """
    work = _work.get(None)
    if not isinstance(work, sort):
        raise InvalidSetting(f"this flow is started by {started_by}, not on its own")
    return work


def worth_a_retry(_task: Any, _task_run: TaskRun, state: State[Any]) -> bool:
    """Whether what broke a Prefect task may work at a second try: not what the caller did wrong.

    A plain function: Prefect before 3.9 takes nothing else here.
    """
    return not isinstance(state.data, InvalidInput | AlreadyExists | ExperimentStopped | StoreLost)


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


def say_notes(work: Work) -> None:
    """Write into the flow run's log what whoever watches should know."""
    for note in work.notes:
        get_run_logger().warning("%s", note)


async def conclude(work: Work, *, lines: Sequence[str] = (), is_news: bool = True) -> State[Any]:
    """Compare and judge what was done, show it on the flow run's page, and say it in the final state.

    Args:
        work: what was done.
        lines: what else to say.
        is_news: whether an event tells of it.
    """
    ran = await asyncio.to_thread(work.conclude)
    await show_summary(ran)
    await show_comparison(ran)
    if is_news:
        tell_of(ran)
    message = "; ".join([in_a_line(ran), *lines])
    if (unpushed := work.unpushed) is not None:
        get_run_logger().warning("%s", unpushed)
        message = f"{message}. {unpushed}"
    get_run_logger().info("%s", message)
    work.is_concluded = True
    return final_state(ran.verdict, message)


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
def _spared_by_the_collector() -> Iterator[None]:
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


async def run_in_flow(work: Work, started: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Do the work in a flow run.

    A Prefect server that goes away in mid-run costs the work its page and nothing else.

    Args:
        work: what is to be done.
        started: starts the flow.
    """
    token = _work.set(work)
    try:
        # Prefect reads its settings for results with a synchronous client: one, and closed at the end.
        with _outliving_prefect(work), SyncClientContext.get_or_create(), _spared_by_the_collector():
            await started()
    finally:
        _work.reset(token)


@contextlib.contextmanager
def _outliving_prefect(work: Work) -> Iterator[None]:
    """What is done stays done, whatever becomes of its flow run while this is entered."""
    try:
        yield
    except FailedRun:
        if not work.is_concluded:
            raise
        # The gate has failed the flow run; the call goes on and has the verdict.
    except Exception as error:
        if not work.is_concluded:
            raise
        logger.warning(
            "The experiment is done and kept, but Prefect's server could not be told (%s).", type(error).__name__
        )
