"""Making many calls at once: N lanes that take jobs from one queue.

A hop into a worker thread costs about as much as a hundred calls of a small Python function.
So a lane of sync *evaluators* stays in its thread and goes on calling for a few milliseconds;
a call that blocks for longer than that has the thread for itself. More lanes are opened only
when calls turn out to block: threads do not make pure Python faster.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prefect_experiments.contexts import alone, make_calls_here
from prefect_experiments.engine.calls import REACHES_OUT_S, Caller
from prefect_experiments.engine.outcomes import Attempt, CallResult, Withheld, succeeded
from prefect_experiments.engine.threads import NoThread, Threads
from prefect_experiments.tasks import Fields
from prefect_experiments.unread import is_awaitable

SLICE_S = 0.005
OVERDUE_S = 0.02
BLOCKING_S = 0.001

T = TypeVar("T")


@dataclass(slots=True)
class Job(Generic[T]):
    """One call to make: what for, with what, and its first attempt where that was already made."""

    item: T
    fields: Fields
    first: Attempt | None = None


async def call_each(
    jobs: deque[Job[T]],
    caller: Caller,
    slots: asyncio.Semaphore,
    width: int,
    finish: Callable[[Job[T], CallResult], Awaitable[None]],
    nearly_done: Callable[[], None] | None = None,
) -> None:
    """Make every call, at most as many at once as there are slots.

    A slot is given back only when `finish` returns, so with a `finish` that waits until the
    result is durable never more than `width` results can be lost.

    Args:
        jobs: what to call for; emptied.
        caller: makes the calls.
        slots: shared by everything the limit holds for.
        width: how many lanes to open; no more than there are slots.
        finish: takes each result.
        nearly_done: called when the last jobs are being taken.
    """

    async def lane() -> None:
        make_calls_here()
        while True:
            async with slots:
                try:
                    job = jobs.popleft()
                except IndexError:
                    return
                if nearly_done is not None and len(jobs) <= width:
                    nearly_done()
                try:
                    result = await caller.call(job.fields, job.first, stopped)
                except Withheld:  # each that is left is asked: a first attempt made elsewhere is a result
                    continue
                await finish(job, result)

    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        jobs.clear()

    await together([lane() for _ in range(min(width, len(jobs)))], stop)


async def call_each_sliced(
    jobs: deque[Job[T]],
    caller: Caller,
    threads: Threads,
    slots: Callable[[], asyncio.Semaphore],
    width: int,
    timeout: float | None,
    finish: Callable[[list[tuple[Job[T], CallResult]]], Awaitable[None]],
) -> None:
    """Make every call of a sync target, many in one visit to a thread where they are quick.

    What fails at its first attempt is tried again one by one, by the rules of the `Caller`. So is what takes so long
    that it may be a provider that is called, where such calls have to wait; `slots` gives those that hold for it then.
    """
    lanes: list[asyncio.Task[None]] = []
    one_by_one: deque[Job[T]] = deque()

    def is_quick() -> bool:
        return bool(jobs) and not caller.is_held_up and not caller.gives_awaitables and not caller.is_over()

    def open_lanes() -> None:
        while len(lanes) < min(width if caller.blocks else 1, len(jobs)) and not caller.is_held_up:
            lanes.append(asyncio.create_task(lane()))

    def overdue() -> None:
        caller.reaches_out = caller.blocks = True
        open_lanes()

    async def lane() -> None:
        make_calls_here()
        while is_quick():
            async with slots():
                if not is_quick():
                    return  # seen while this waited for its turn
                try:
                    attempts = await _run_slice(jobs, caller, threads, timeout, overdue)
                except NoThread:
                    return  # they are tried one by one
                done, undone = _sorted_out(attempts)
                await finish(done)
            one_by_one.extend(undone)
            _learn(caller, [a for _, a in attempts], bool(undone))
            open_lanes()

    try:
        open_lanes()
        for opened in lanes:  # grows while we wait
            await opened
    finally:
        await _cancel(lanes)
    one_by_one.extend(jobs)  # what a rate limit kept from the quick way
    jobs.clear()

    async def finish_one(job: Job[T], result: CallResult) -> None:
        await finish([(job, result)])

    await call_each(one_by_one, caller, slots(), width, finish_one)


def _learn(caller: Caller, attempts: Sequence[Attempt], some_undone: bool) -> None:
    """What a slice shows of a target: whether its calls block, and whether it may be a provider that they reach."""
    slowest = max((attempt.seconds for attempt in attempts), default=0.0)
    caller.is_known = True
    caller.reaches_out = caller.reaches_out or slowest >= REACHES_OUT_S
    caller.blocks = slowest >= BLOCKING_S
    if caller.blocks or some_undone:
        caller.note_starts(attempts)


def _sorted_out(attempts: list[tuple[Job[T], Attempt]]) -> tuple[list[tuple[Job[T], CallResult]], list[Job[T]]]:
    """First attempts that are results already, and the jobs that need more."""
    done, undone = [], []
    for job, attempt in attempts:
        if attempt.error is None and not is_awaitable(attempt.value):
            done.append((job, succeeded(attempt, 1)))
        else:
            undone.append(Job(job.item, job.fields, attempt))
    return done, undone


class _Slice(Generic[T]):
    """The calls one thread makes before it reports back."""

    def __init__(self, jobs: deque[Job[T]], caller: Caller) -> None:
        self._jobs = jobs
        self._target = caller.target
        self._lock = threading.Lock()
        self._abandoned = False
        self._epoch = time.time() - time.monotonic()
        self.done: list[tuple[Job[T], Attempt]] = []
        self.current: Job[T] | None = None
        self.began = 0.0

    def run(self) -> None:
        """Call until the slice's time is over or nothing is left."""
        until = time.monotonic() + SLICE_S
        call = alone(self._target.call)
        while (job := self._next()) is not None:
            value, error, context = None, None, contextvars.copy_context()
            try:
                value = context.run(call, job.fields)
            except BaseException as raised:  # noqa: BLE001 - in a thread of ours nothing is meant for us
                error = raised
            now = time.monotonic()
            with self._lock:
                if self._abandoned:
                    return
                self.done.append((job, self.attempt(value, error, now, context)))
                self.current = None
            if now >= until:
                return

    def attempt(
        self, value: Any, error: BaseException | None, now: float, context: contextvars.Context | None = None
    ) -> Attempt:
        """The present call as an attempt that ended now."""
        return Attempt(value, error, self._epoch + self.began, self.began, now - self.began, context)

    def _next(self) -> Job[T] | None:
        with self._lock:
            if self._abandoned:
                return None
            try:
                self.current = self._jobs.popleft()
            except IndexError:
                return None
            self.began = time.monotonic()
            return self.current

    def abandon_if_stuck(self, timeout: float) -> Job[T] | None:
        """The job that has taken too long, which the thread is left alone with; else ``None``."""
        with self._lock:
            if self.current is None or time.monotonic() - self.began < timeout:
                return None
            self._abandoned = True
            return self.current


async def _run_slice(
    jobs: deque[Job[T]], caller: Caller, threads: Threads, timeout: float | None, overdue: Callable[[], None]
) -> list[tuple[Job[T], Attempt]]:
    """The calls of one slice; `overdue` is called while they are under way, when one of them blocks."""
    if caller.ready is not None:
        await caller.ready()
    piece = _Slice(jobs, caller)
    future = await threads.submit(piece.run)
    wait: float | None = OVERDUE_S if timeout is None else min(OVERDUE_S, timeout)
    while True:
        finished, _ = await asyncio.wait({future}, timeout=wait)
        if finished:
            future.result()
            return piece.done
        overdue()
        if timeout is None:
            wait = None
            continue
        if (stuck := piece.abandon_if_stuck(timeout)) is not None:
            caller.abandoned += 1
            return [*piece.done, (stuck, piece.attempt(None, caller.too_long(), time.monotonic()))]
        wait = max(0.001, timeout - (time.monotonic() - piece.began))


async def together(lanes: Sequence[Coroutine[Any, Any, None]], stop: Callable[[], None] = lambda: None) -> None:
    """Wait for all; when one raises, or this is cancelled, call `stop`, end the others and raise that."""
    tasks = [asyncio.ensure_future(lane) for lane in lanes]
    try:
        if tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
    except BaseException:
        stop()
        raise
    finally:
        await _cancel(tasks)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, or asyncio would log it as forgotten
