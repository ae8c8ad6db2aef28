"""The way of results from the store's queue to a backend, while the experiment runs and after.

The queue is the store itself: what a backend lacks is found by a query, so nothing that was
finished can be forgotten, and pushing twice changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from prefect_experiments.backends.base import Pusher, Remote
from prefect_experiments.errors import (
    AlreadyExists,
    BackendRefused,
    BackendUnavailable,
    ExperimentsError,
    InvalidSetting,
    NotFound,
)
from prefect_experiments.store import Link, Store
from prefect_experiments.store.links import OutgoingEvaluation, OutgoingRun, Pushed, Waiting

AT_ONCE = 512
LOOK_EVERY_S = 0.3
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
LONGEST_ASKED_PAUSE_S = 60.0
SAY_AGAIN_AFTER_S = 60.0
FAILURES_BEFORE_REFUSED = 6

Item = OutgoingRun | OutgoingEvaluation

logger = logging.getLogger("prefect_experiments")


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """How a push ended.

    Attributes:
        pushed: results that the backend has taken in this push.
        waiting: what it does not have yet.
        refusals: what it said to those that it would not take.
        trouble: why the push ended before everything was taken.
    """

    pushed: int
    waiting: Waiting
    refusals: tuple[str, ...] = ()
    trouble: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the backend has everything."""
        return not self.waiting.total and not self.waiting.refused


class Push:
    """Pushes the results of one experiment as they come.

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
        self._links = store.links
        self._store = store
        self._remote = remote
        self._link = link
        self._patience = patience
        self._say = say
        self._outage: Outage | None = None
        self._taken: deque[Pushed] = deque()  # by the backend, and not marked yet
        self._failures: dict[tuple[object, ...], tuple[int, int]] = {}
        self.pushed = 0

    async def run(self, finished: asyncio.Event) -> PushOutcome:
        """Push until `finished` is set and nothing waits any more, or patience is at its end."""
        finished_at: float | None = None
        async with self._remote.pusher(self._store, self._link) as pusher:
            while True:
                if finished.is_set() and finished_at is None:
                    finished_at = time.monotonic()
                items = await asyncio.to_thread(self._next)
                if items:
                    with self._beside():
                        await self._push_all(pusher, items)
                elif finished_at is not None:
                    break
                else:
                    await _sleep(LOOK_EVERY_S, finished)
                if self._outage is not None:
                    if finished_at is not None and self._outage.lasts(finished_at) >= self._patience:
                        break
                    await _sleep(self._outage.pause(self._patience), finished)
        return await asyncio.to_thread(self._outcome)

    def _next(self) -> list[Item]:
        """What to push next; during an outage one item, to see whether it is over."""
        items: list[Item] = [
            *self._links.waiting_runs(self._link, AT_ONCE),
            *self._links.waiting_evaluations(self._link, AT_ONCE),
        ]
        if self._outage is None and not self._failures:
            return items
        # What has failed comes last: one item that the backend chokes on must not keep back the others.
        items.sort(key=lambda item: self._failures.get(_key(item), (0, 0))[0])
        return items if self._outage is None else items[:1]

    async def _push_all(self, pusher: Pusher, items: list[Item]) -> None:
        queue = deque(items)
        marking = asyncio.create_task(self._keep_marking())
        lanes = [asyncio.create_task(self._lane(pusher, queue)) for _ in range(min(pusher.lanes, len(items)))]
        try:
            await asyncio.gather(*lanes)
        finally:
            for task in (*lanes, marking):
                task.cancel()
            await asyncio.gather(*lanes, marking, return_exceptions=True)
            await asyncio.to_thread(self._mark)

    async def _lane(self, pusher: Pusher, queue: deque[Item]) -> None:
        while queue:
            item = queue.popleft()
            remote_id: str | None = None
            refused: str | None = None
            try:
                if isinstance(item, OutgoingRun):
                    remote_id = await pusher.push_run(item)
                else:
                    await pusher.push_evaluation(item)
            except (BackendUnavailable, InvalidSetting) as error:
                if not self._is_its_own_fault(item):
                    self._failed(error)
                    return
                refused = f"{error} ({FAILURES_BEFORE_REFUSED} times, while others were taken)"
            except (BackendRefused, NotFound, AlreadyExists) as error:
                refused = str(error)
            self._succeeded()
            self._taken.append((item, remote_id, refused))
            self.pushed += refused is None
            if self._outage is not None:  # another lane has met trouble
                return

    def _failed(self, error: ExperimentsError) -> None:
        if self._outage is None:
            self._outage = Outage()
        if self._outage.failed(error):
            waiting = self._links.waiting(self._link).total - len(self._taken)
            self._say(f"{error}. {waiting} results wait in the store; trying again until they are taken.")

    def _succeeded(self) -> None:
        if self._outage is not None and self._outage.is_over():
            if self._outage.was_said():
                self._say(f"{self._remote.name} answers again after {self._outage.lasts():.0f} s; the push goes on.")
            self._outage = None

    def _is_its_own_fault(self, item: Item) -> bool:
        """Whether an item has failed again and again, while others were taken in between."""
        failures, pushed_then = self._failures.get(_key(item), (0, -1))
        if self.pushed > pushed_then:
            failures += 1
        self._failures[_key(item)] = failures, self.pushed
        return failures >= FAILURES_BEFORE_REFUSED

    async def _keep_marking(self) -> None:
        """Note what was taken while more is pushed: a kill repeats little."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self._mark)

    def _mark(self) -> None:
        taken = [self._taken.popleft() for _ in range(len(self._taken))]
        if taken:
            self._links.mark(self._link, taken)

    def _outcome(self) -> PushOutcome:
        waiting = self._links.waiting(self._link)
        refusals = tuple(self._links.refusals(self._link)) if waiting.refused else ()
        return PushOutcome(self.pushed, waiting, refusals, self._outage.reason if self._outage else None)


class Outage:
    """A time in which a backend takes nothing: asked again more and more seldom."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._again_at = self._since
        self._failures = 0
        self._said_at: float | None = None
        self.reason = ""

    def failed(self, error: ExperimentsError) -> bool:
        """Take note of a failure; whether it is time to say so."""
        now = time.monotonic()
        self.reason = str(error)
        if now >= self._again_at:  # else several requests were under way when the trouble began
            self._failures += 1
            pause = min(FIRST_PAUSE_S * 2 ** (min(self._failures, 10) - 1), LONGEST_PAUSE_S)
            asked = error.retry_after if isinstance(error, BackendUnavailable) else None
            self._again_at = now + max(
                pause * random.uniform(0.75, 1.0),  # noqa: S311 - nothing secret about it
                min(asked or 0.0, LONGEST_ASKED_PAUSE_S),
            )
        # A single hiccup is not worth a line.
        if self._failures < 2 or (self._said_at is not None and now - self._said_at < SAY_AGAIN_AFTER_S):
            return False
        self._said_at = now
        return True

    def is_over(self) -> bool:
        """Whether an answer came after the trouble began, not from a request that was under way then."""
        return time.monotonic() >= self._again_at

    def was_said(self) -> bool:
        """Whether people were told."""
        return self._said_at is not None

    def pause(self, at_most: float) -> float:
        """Seconds until it is worth asking again."""
        return max(0.0, min(self._again_at - time.monotonic(), max(at_most, FIRST_PAUSE_S)))

    def lasts(self, since: float = 0.0) -> float:
        """Seconds since it began, or since a later moment."""
        return time.monotonic() - max(self._since, since)


def _key(item: Item) -> tuple[object, ...]:
    name = None if isinstance(item, OutgoingRun) else item.name
    return item.position, item.repetition_number, name


async def _sleep(seconds: float, finished: asyncio.Event) -> None:
    """Sleep; the end of the experiment, when it comes, wakes."""
    if finished.is_set():
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(finished.wait(), seconds)
