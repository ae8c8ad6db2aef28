"""What both flows share: how Prefect tasks are made, how a flow run is begun, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import gc
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

# Prefect imports these when a first flow runs; then, they would be a quarter of a small experiment.
import prefect.flow_engine
import prefect.task_engine
import prefect.utilities.visualization  # noqa: F401
from prefect import Flow, get_run_logger, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.results import aget_default_result_storage
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.states import Completed, Failed

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.verdicts import Status, Verdict
from prefect_experiments.errors import (
    AlreadyExists,
    ExperimentInUse,
    ExperimentStopped,
    InvalidInput,
    InvalidSetting,
    StoreLost,
    StoreUnavailable,
)
from prefect_experiments.experiment.work import RunWork, Work
from prefect_experiments.interruptions import ended_flow, interruptible
from prefect_experiments.orchestration.artifacts import show_comparison, show_summary
from prefect_experiments.orchestration.clients import Clients
from prefect_experiments.orchestration.delivery import bound_exit, deliver
from prefect_experiments.orchestration.events import tell_of
from prefect_experiments.orchestration.patience import narrated, new_line
from prefect_experiments.orchestration.temporary_server import start_temporary_server
from prefect_experiments.reports.escaping import error_text, visible
from prefect_experiments.reports.markdown import headline
from prefect_experiments.texts import shortened

RETRIES = 2
RETRY_DELAY_S = 2
LONGEST_MESSAGE = 4000

W = TypeVar("W", bound=Work)

logger = logging.getLogger("prefect_experiments")

# Not parameters: Prefect keeps parameters and shows them.
_work: contextvars.ContextVar[Work] = contextvars.ContextVar("prefect_experiments_work")
_body: contextvars.ContextVar[Callable[[], Awaitable[Any]]] = contextvars.ContextVar("prefect_experiments_body")


def body() -> Awaitable[Any]:
    """What the flow or the Prefect task that is running now was made around."""
    return _body.get()()


async def body_of_experiment() -> Any:
    """What the flow of an experiment was made around.

    Raises:
        InvalidSetting: the flow was started by itself.
    """
    work_of_call(RunWork, "run_experiment, resume_experiment or evaluate_experiment")
    return await body()


async def in_prefect_task(
    prefect_task: Callable[[], Awaitable[Any]], name: str, do: Callable[[], Awaitable[Any]]
) -> None:
    """Do a step in a Prefect task that calls `body`; without one, where Prefect is away."""

    async def within(inside: Callable[[], Awaitable[Any]]) -> None:
        _body.set(inside)
        await prefect_task()

    await narrated(f"the task run {name!r}", do, within, pause=RETRY_DELAY_S)


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
    # Nor what has been waited for already: the store, and another process.
    waited_for = StoreUnavailable | StoreLost | ExperimentInUse
    return not isinstance(state.data, InvalidInput | AlreadyExists | ExperimentStopped | waited_for)


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
    message = visible("; ".join([in_a_line(ran), *lines]))  # a log is read in a terminal
    if (unpushed := work.unpushed) is not None:
        get_run_logger().warning("%s", unpushed)
        message = f"{message}. {unpushed}"
    get_run_logger().info("%s", message)
    return final_state(ran.verdict, message)


async def conclude_alone(work: Work) -> None:
    """`conclude` without a flow run: nobody is shown it but the caller."""
    await asyncio.to_thread(work.conclude)
    if (unpushed := work.unpushed) is not None:
        logger.warning("%s", unpushed)


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
    return (Failed if verdict.exit_code else Completed)(name=name, message=shortened(message, LONGEST_MESSAGE))


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


_freezing = threading.Lock()  # held by the first experiment under way: for those beside it, it has frozen as well
_others_froze = False


@contextlib.contextmanager
def _spared_by_the_collector() -> Iterator[None]:
    """Leave what is in memory now out of garbage collections while this is entered.

    An experiment makes many small records, and each makes Python look for cycles more often. A full
    search goes through everything that Prefect has loaded, which takes a tenth of a second each time.
    """
    is_first = _freezing.acquire(blocking=False)
    freezes = is_first and not _frozen_by_others()
    if freezes:
        gc.freeze()
    try:
        yield
    finally:
        if freezes:
            gc.unfreeze()
        if is_first:
            _freezing.release()


def _frozen_by_others() -> bool:
    """Whether somebody else has done so, for reasons of their own: for good, as a rule, and it takes long to count."""
    global _others_froze
    _others_froze = _others_froze or gc.get_freeze_count() > 0
    return _others_froze


async def run_in_flow(
    work: Work,
    prefect_flow: Flow[Any, Any],
    parameters: Mapping[str, Any],
    do: Callable[[], Awaitable[Any]],
    without: Callable[[], Awaitable[Any]],
    clients: Clients,
) -> None:
    """Do the work in a flow run.

    A Prefect server that is away, or goes away, costs the work its page and nothing else.

    Args:
        work: what is to be done.
        prefect_flow: does it: calls `body`.
        parameters: the flow's.
        do: what the flow does.
        without: does the work without a flow run.
        clients: Prefect's, made for this.
    """

    async def within(inside: Callable[[], Awaitable[Any]]) -> None:
        _body.set(inside)
        async with clients.entered():
            await (await _of_this_call(prefect_flow))(**parameters)

    async def alone() -> None:
        for note in work.notes:
            logger.warning("%s", note)
        with _like(prefect_flow):
            await without()

    token, off = _work.set(work), ended_flow()
    try:
        with new_line() as line, _spared_by_the_collector():
            try:
                await narrated(
                    "the flow run",
                    lambda: interruptible(do(), off),  # where Prefect's own handler of signals is in place
                    within,
                    without=lambda: interruptible(alone(), off),
                    first=start_temporary_server,
                )
            finally:
                bound_exit()
                if line.is_down and FlowRunContext.get() is None:
                    await asyncio.to_thread(deliver, 0.0)
    finally:
        _work.reset(token)


async def _of_this_call(prefect_flow: Flow[Any, Any]) -> Flow[Any, Any]:
    """The flow, told what Prefect would take long to find out; inside another run, it has found out already."""
    if FlowRunContext.get() is not None or TaskRunContext.get() is not None:
        return prefect_flow
    # Where results are kept: to ask that, it would stop the event loop until its server answers.
    storage = await aget_default_result_storage()
    is_saved = storage._block_document_id is not None
    told = copy.copy(prefect_flow)
    told.result_storage = storage if is_saved else Path(storage.basepath)  # type: ignore[attr-defined]
    # The parameters are names and numbers, which are JSON as they are: to make them so, it would import FastAPI.
    told.serialize_parameters = dict  # type: ignore[method-assign, assignment]
    return told


@contextlib.contextmanager
def _like(prefect_flow: Flow[Any, Any]) -> Iterator[None]:
    """What user code finds of Prefect where there is no flow run: `get_run_logger` works."""
    if FlowRunContext.get() is not None:
        yield
        return
    with (
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
        FlowRunContext.model_construct(flow=prefect_flow, flow_run=None),
    ):
        yield
