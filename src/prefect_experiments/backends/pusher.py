"""The way of results from the store's queue to a backend, while the experiment runs and after.

The queue is the store itself: what a backend lacks is found by a query, so nothing that was
finished can be forgotten, and pushing twice changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from prefect_experiments.backends.attempts import Attempt, Failures, Item, Visit
from prefect_experiments.backends.base import Pusher, Remote
from prefect_experiments.backends.circuit_breaker import CircuitBreaker
from prefect_experiments.backends.patience import asked_pause, pause_after
from prefect_experiments.errors import (
    AlreadyExists,
    BackendRefused,
    BackendUnavailable,
    ExperimentsError,
    NotFound,
    StoreUnavailable,
    traceback_text,
)
from prefect_experiments.records import EvaluatedRun, RunRecord
from prefect_experiments.store import Link, Store
from prefect_experiments.store.outbox import OutgoingEvaluation, Pushed, Sweep, Waiting

QUIET_S = 2.0
AT_ONCE = 512  # results read from the store at once
FEW = 128  # when fewer are at hand, more are read
MOST_FAILED = 10_000  # results: so many are remembered to be tried again, or left to a later push
VISIT_EVERY_S = 0.3
# Looking through ten thousands of results takes a tenth of a second: at most a tenth of the time goes to it.
PAUSE_FOR_A_LOOK = 10
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0
FAILURES_BEFORE_LEFT = 8
STORE_PATIENCE_S = 60.0
LONGEST_IDLE_S = 5.0

T = TypeVar("T")
_Key = tuple[int, int, str | None]

logger = logging.getLogger("prefect_experiments")


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """How a push ended.

    Attributes:
        pushed: results that the backend has taken in this push.
        waiting: what it does not have yet.
        refusals: what it said to those that it would not take.
        trouble: why the push ended before everything was taken.
        waited_s: seconds for which the backend took nothing and the push waited for it.
        waited_for: what was the matter then, the last time.
    """

    pushed: int
    waiting: Waiting
    refusals: tuple[str, ...] = ()
    trouble: str | None = None
    waited_s: float = 0.0
    waited_for: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the backend has everything."""
        return not self.waiting.total and not self.waiting.refused


class Push:
    """Pushes the results of one experiment as they come. It runs once.

    A failure does not show whose it is: the backend's or the result's own, an HTTP 500, a closed
    connection and a time-out may be either. So what has failed is tried again later and later,
    behind everything else; what fails again and again while the backend takes other results is
    left to a later push, and where there are no others, one that was taken before is sent again to
    see. When several fail in a row, the backend is asked more and more seldom, with one result.

    Args:
        store: where the results are.
        remote: the backend.
        link: the experiment's counterpart there.
        patience: seconds to go on without any success once everything is finished.
        say: told when the backend stops answering, and when it answers again.
        beside: entered while results are on their way, for what should not compete with them.
    """

    def __init__(
        self,
        store: Store,
        remote: Remote,
        link: Link,
        *,
        patience: float,
        say: Callable[[str], None] = logger.warning,
        beside: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._beside = beside
        self._queue = store.outbox
        self._store = store
        self._remote = remote
        self._link = link
        self._patience = patience
        self._say = say
        self._breaker = CircuitBreaker()
        # A thread of its own: those of the loop are for the task, which may need them all.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="experiment-push")
        self._fresh: deque[Item] = deque()
        self._later: list[tuple[float, int, Item]] = []  # a heap: what has failed, and when it is tried again
        self._order = itertools.count()
        self._in_flight: set[asyncio.Task[Attempt]] = set()
        self._taken: deque[Pushed] = deque()  # by the backend, and not marked in the store yet
        self._known: set[_Key] = set()  # all of these, and what is left to a later push
        self._failures: dict[_Key, Failures] = {}
        self._left: str | None = None  # why something is left to a later push
        self._sample: RunRecord | None = None  # a run that was taken; one with its evaluations would be there twice
        self._sample_wanted = False
        self._times_taken = 0
        self._progress_at = -math.inf
        self._visit: asyncio.Task[Visit] | None = None
        self._next_mark = self._next_look = self._store_again_at = 0.0
        self._store_failed_at: float | None = None
        self._ended_at: float | None = None
        self._looked_after_end = False
        self._sweep = Sweep()
        self._saw_all = False  # whether nothing new was found since the end
        self.pushed = 0

    async def run(self, finished: asyncio.Event | None = None) -> PushOutcome:
        """Push until nothing waits any more, or patience is at its end.

        Args:
            finished: set when no more results come; ``None`` where they are all there.
        """
        if finished is None:
            finished = asyncio.Event()
            finished.set()
        self._running = not finished.is_set()
        ended = asyncio.create_task(finished.wait())
        try:
            try:
                async with self._remote.pusher(self._store, self._link) as pusher:
                    await self._push(pusher, ended)
            finally:
                await self._stop(ended)
            return await self._in_thread(self._outcome)
        finally:
            self._thread.shutdown(wait=False)

    async def _push(self, pusher: Pusher, ended: asyncio.Task[Any]) -> None:
        with contextlib.ExitStack() as stack:
            held, busy_at = False, time.monotonic()  # from the start: the first results come soon
            while True:
                if ended.done() and self._ended_at is None:
                    self._ended_at = time.monotonic()
                if self._is_over():
                    return
                self._start_requests(pusher)
                self._start_visit(pusher)
                if self._in_flight or self._fresh:
                    busy_at = time.monotonic()
                # Not at each gap between two results: what is let go then takes longer than the gap.
                if held != (time.monotonic() - busy_at < QUIET_S):
                    held = not held
                    stack.enter_context(self._beside()) if held else stack.close()
                awaited = {*self._in_flight, *filter(None, [self._visit, None if ended.done() else ended])}
                if awaited:
                    await asyncio.wait(awaited, timeout=self._idle_for(pusher), return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(self._idle_for(pusher))
                await self._take_in()

    def _is_over(self) -> bool:
        """Whether everything was taken, or patience is at its end."""
        if self._ended_at is None:
            return False
        busy = self._fresh or self._later or self._in_flight or self._taken or self._visit
        return (not busy and (self._saw_all or not self._may_look())) or time.monotonic() >= self._patient_until()

    def _patient_until(self) -> float:
        """When to give up, as far as is known now."""
        stuck = self._breaker.is_outage or (self._later and not self._fresh and not self._in_flight)
        return max(self._ended_at, self._progress_at) + self._patience if stuck and self._ended_at else math.inf

    def _idle_for(self, pusher: Pusher) -> float:
        """Seconds until something is to be done, unless something happens before."""
        moments = [time.monotonic() + LONGEST_IDLE_S, self._patient_until()]
        if len(self._in_flight) < self._lanes(pusher) and (self._fresh or self._later):
            moments.append(max(self._breaker.again_at, 0.0 if self._fresh else self._later[0][0]))
        if self._visit is None:
            visits = [self._next_mark] * bool(self._taken) + [self._next_look] * self._may_look()
            moments.append(max(self._store_again_at, min(visits, default=math.inf)))
        return max(0.0, min(moments) - time.monotonic())

    # Requests

    def _lanes(self, pusher: Pusher) -> int:
        return 1 if self._breaker.is_outage else pusher.lanes

    def _start_requests(self, pusher: Pusher) -> None:
        while len(self._in_flight) < self._lanes(pusher) and time.monotonic() >= self._breaker.again_at:
            item = self._next_item()
            if item is None:
                return
            self._in_flight.add(asyncio.create_task(self._attempt(pusher, item)))

    def _next_item(self) -> Item | None:
        due = bool(self._later) and self._later[0][0] <= time.monotonic()
        # In an outage it is the other way round: a backend that is only slow has done what it did not answer to.
        if self._fresh and not (due and self._breaker.is_outage):
            return self._fresh.popleft()
        if self._sample_wanted:
            self._sample_wanted = False
            return self._sample
        return heapq.heappop(self._later)[2] if due else None

    async def _attempt(self, pusher: Pusher, item: Item) -> Attempt:
        began = time.monotonic()
        try:
            if isinstance(item, OutgoingEvaluation):
                await pusher.push_evaluation(item)
                return Attempt(item, began)
            return Attempt(item, began, remote_id=await pusher.push_run(item))
        except (BackendRefused, NotFound, AlreadyExists) as error:
            return Attempt(item, began, refused=str(error))
        except ExperimentsError as error:
            return Attempt(item, began, error=error)
        except Exception as error:  # noqa: BLE001 - a backend may be another package's
            logger.debug("pushing a result\n%s", traceback_text(error))
            trouble = f"{self._remote.name} cannot be used ({type(error).__name__})"
            return Attempt(item, began, error=BackendUnavailable(trouble))

    async def _take_in(self) -> None:
        """What has come of the requests and of the visit to the store."""
        for task in [task for task in self._in_flight if task.done()]:
            self._in_flight.discard(task)
            attempt = task.result()
            if attempt.error is None:
                self._took(attempt)
            else:
                self._breaker.failed(attempt.error, attempt.began)
                if attempt.item is not self._sample:
                    self._failed(attempt.item, attempt.error)
        if self._visit is not None and self._visit.done():
            visit, self._visit = self._visit, None
            self._visited(visit)
        if self._breaker.is_to_be_said():
            waiting = (await self._in_thread(self._queue.waiting, self._link)).total - len(self._taken)
            why = self._breaker.reason + "." * (self._breaker.reason[-1:] not in "?!.")
            self._say(f"{why} {waiting} results wait in the store; trying again until they are taken.")

    def _took(self, attempt: Attempt) -> None:
        lasted = self._breaker.passed(attempt.began)
        if lasted is not None:
            self._say(f"{self._remote.name} answers again after {lasted:.0f} s; the push goes on.")
        self._times_taken += 1
        item = attempt.item
        if item is self._sample:
            return
        self._failures.pop(_key(item), None)
        self._taken.append((item, attempt.remote_id, attempt.refused))
        self._saw_all = False  # what belongs to it can be pushed now
        self._progress_at = time.monotonic()
        if attempt.refused is None:
            self.pushed += 1 + (len(item.evaluations) if isinstance(item, EvaluatedRun) else 0)
            if self._sample is None and isinstance(item, RunRecord) and item.error is None:
                self._sample = item

    def _failed(self, item: Item, error: ExperimentsError) -> None:
        failures = self._failures.setdefault(_key(item), Failures())
        failures.count += 1
        asked = asked_pause(error)
        if asked is None:
            failures.unasked += 1
            failures.its_own += self._times_taken > failures.taken_then
        failures.taken_then = self._times_taken
        if failures.its_own >= FAILURES_BEFORE_LEFT:
            self._left = f"{error} ({failures.count} times, while it took other results)"
            return
        again_at = time.monotonic() + pause_after(max(1, failures.unasked), asked, FIRST_PAUSE_S, LONGEST_PAUSE_S)
        heapq.heappush(self._later, (again_at, next(self._order), item))
        self._sample_wanted = self._sample is not None and not self._fresh

    # The store

    def _start_visit(self, pusher: Pusher) -> None:
        """Mark what was taken, so that a kill repeats little, or see what waits, where it is time."""
        now = time.monotonic()
        if self._visit is not None or now < self._store_again_at:
            return
        at_end = self._ended_at is not None and not (self._fresh or self._in_flight)
        if self._taken and (now >= self._next_mark or at_end):
            self._visit = asyncio.create_task(self._in_thread(self._mark, tuple(self._taken)))
        elif self._may_look() and (now >= self._next_look or (at_end and not self._saw_all)):
            self._visit = asyncio.create_task(self._in_thread(self._look, pusher, AT_ONCE + len(self._known)))
            self._looked_after_end = self._ended_at is not None

    def _may_look(self) -> bool:
        """Whether more is to be read from the store: what was read is on its way, and not too much of it fails."""
        return len(self._fresh) < FEW and len(self._failures) < MOST_FAILED

    def _mark(self, taken: Sequence[Pushed]) -> Visit:
        self._queue.mark(self._link, taken)
        return Visit(marked=len(taken))

    def _look(self, pusher: Pusher, limit: int) -> Visit:
        began = time.monotonic()
        with self._queue.along(self._sweep):
            waiting = pusher.waiting(limit, running=self._running)
        return Visit(waiting=waiting, seconds=time.monotonic() - began)

    def _visited(self, visit: asyncio.Task[Visit]) -> None:
        now = time.monotonic()
        try:
            marked, waiting, seconds = visit.result()
        except StoreUnavailable as error:
            self._store_failed_at = self._store_failed_at or now
            if now - self._store_failed_at >= STORE_PATIENCE_S:
                raise
            logger.warning("%s The push goes on when it answers.", error)
            self._store_again_at = now + VISIT_EVERY_S * PAUSE_FOR_A_LOOK
            return
        self._store_failed_at = None
        if waiting is None:
            self._next_mark = now + VISIT_EVERY_S
            self._known.difference_update(_key(self._taken.popleft()[0]) for _ in range(marked))
            return
        new = [item for item in waiting if _key(item) not in self._known]
        self._known.update(map(_key, new))
        self._fresh.extend(new)
        self._next_look = now + (0.0 if len(new) >= AT_ONCE else max(VISIT_EVERY_S, PAUSE_FOR_A_LOOK * seconds))
        if new:
            return
        self._saw_all = self._looked_after_end and self._sweep.is_whole and not self._taken
        if not self._sweep.is_whole or self._looked_after_end:
            self._sweep.begin_anew()

    def _outcome(self) -> PushOutcome:
        waiting = self._queue.waiting(self._link)
        refusals = tuple(self._queue.refusals(self._link)) if waiting.refused else ()
        trouble = self._breaker.reason if self._later or self._breaker.is_outage else self._left
        return PushOutcome(self.pushed, waiting, refusals, trouble, *self._breaker.waited())

    async def _stop(self, ended: asyncio.Task[Any]) -> None:
        """End what is under way; what was taken is marked."""
        requests, others = list(self._in_flight), [ended, *([self._visit] if self._visit else [])]
        for task in (*requests, *others):
            task.cancel()
        done, _ = await asyncio.gather(
            asyncio.gather(*requests, return_exceptions=True), asyncio.gather(*others, return_exceptions=True)
        )
        for attempt in done:  # of those that had ended, and of which nobody had heard yet
            if isinstance(attempt, Attempt) and attempt.error is None:
                self._took(attempt)
        if self._taken:
            with contextlib.suppress(ExperimentsError):  # then it is pushed again, which changes nothing
                await self._in_thread(self._queue.mark, self._link, tuple(self._taken))

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _key(item: Item) -> _Key:
    name = item.name if isinstance(item, OutgoingEvaluation) else None
    return item.position, item.repetition_number, name
