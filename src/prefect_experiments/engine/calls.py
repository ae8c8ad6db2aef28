"""One call of a task or an evaluator: timeout, retries with backoff and jitter, rate limits."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from prefect_experiments.backoff import backoff
from prefect_experiments.contexts import alone
from prefect_experiments.engine.limits import (
    LONGEST_RETRY_AFTER_S,
    ActiveLimits,
    RateLimit,
    retry_after_of,
    status_of,
)
from prefect_experiments.engine.outcomes import Attempt, CallResult, Withheld, failed, succeeded
from prefect_experiments.engine.policy import CallPolicy
from prefect_experiments.engine.streams import Reading, belongs_in_a_loop, has_to_be_read, is_stream, read_async
from prefect_experiments.engine.threads import NoThread, Threads
from prefect_experiments.engine.trouble import Trouble
from prefect_experiments.errors import InvalidInput
from prefect_experiments.interruptions import is_for_the_process
from prefect_experiments.jsonable import NotJson
from prefect_experiments.tasks import Fields
from prefect_experiments.unread import is_async_stream, is_awaitable

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
REACHES_OUT_S = 0.02
GRACE_S = 1.0  # for what code still does when it is cancelled

_going_on: set[asyncio.Task[Any]] = set()


class Target(Protocol):
    """What can be called: a `Task` or a `BoundEvaluator`."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def is_async(self) -> bool:
        """Whether `call` gives an awaitable."""

    def call(self, fields: Fields) -> Any:
        """Call it on one example."""


class Caller:
    """Makes the calls of one target (one task, or one evaluator) within an experiment.

    Each attempt has a context of its own, a copy of the caller's.

    Args:
        keep: makes of a task's output what is kept of it, in the call's own context; a stream is read first.
            ``None`` for an evaluator, whose result is taken as it is.
        shares: whether its calls, where they reach out, count together with those of others.
        ready: what every attempt waits for at last; raises where none may begin any more.
        is_over: whether no further attempt may begin; those under way end as they do.
        trouble: gets to know of attempts that have failed and are made again.
        attempted: is told of each attempt that has ended, by what it was given.
    """

    def __init__(
        self,
        target: Target,
        policy: CallPolicy,
        threads: Threads,
        limits: ActiveLimits,
        keep: Callable[[Any], Any] | None = None,
        shares: bool = False,
        ready: Callable[[], Awaitable[None]] | None = None,
        is_over: Callable[[], bool] = lambda: False,
        trouble: Trouble | None = None,
        attempted: Callable[[Fields], None] = lambda _: None,
    ) -> None:
        self.target = target
        self._trouble = Trouble() if trouble is None else trouble
        self._attempted = attempted
        self.is_over = is_over
        self.has_withheld = False  # whether a call was not made for that reason
        self._shares = shares
        self.ready = ready
        self._keep = keep
        self._policy = policy
        self._threads = threads
        self._limits = limits
        self._own_limits = limits.of_target(f"{'evaluator' if keep is None else 'task'} {target.name}")
        # A task, a judge, an async evaluator, and a sync one that takes as long as a network call
        # are taken to call a provider: they keep to the limits that others of the experiment have
        # met, and wait before they try again. A quick Python function has nothing to wait for.
        self.reaches_out = target.is_async or getattr(target, "kind", "LLM") != "CODE"
        # What its calls are is seen in the first of them, which is made alone.
        self.is_known = self.reaches_out
        self.trial = asyncio.Semaphore(1)
        self.blocks = False  # whether its last calls held up a thread
        self.gives_awaitables = False
        self.abandoned = 0  # calls that went on when their time was over

    def limits(self) -> Sequence[RateLimit]:
        """The limits that hold for this target now."""
        if self._own_limits:
            return self._own_limits
        return self._limits.met if self.reaches_out else ()

    @property
    def is_held_up(self) -> bool:
        """Whether its calls have to wait before they start."""
        return bool(self.limits()) or (self.reaches_out and (self._shares or self._limits.pace is not None))

    async def call(
        self, fields: Fields, first: Attempt | None = None, stopped: asyncio.Event | None = None
    ) -> CallResult:
        """Call until it succeeds or the retries are used up; never raises what the target raised.

        Args:
            fields: what the target may be given.
            first: the first attempt, where it was already made elsewhere.
            stopped: set when nobody wants the result any more. What code gives that would not be
                cancelled is no result.

        Raises:
            Withheld: no further call may begin, and this one has not. One that has failed then keeps its error.
        """
        start, number = time.time(), self._trouble.begin()
        try:
            return await self._call(number, fields, first, stopped)
        except Withheld as withheld:
            if withheld.failed is None:
                raise
            return withheld.failed
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:  # an exit in an error's own code, say, which was asked what it is
            if is_for_the_process(error):
                raise
            return failed(error, Attempt(None, error, start, 0, time.time() - start), 1)
        finally:
            self._trouble.end(number)

    async def _call(
        self, number: int, fields: Fields, first: Attempt | None, stopped: asyncio.Event | None
    ) -> CallResult:
        attempts = failures = 0
        refused_since: float | None = None
        attempt: Attempt | None = None
        while True:
            attempts += 1
            attempt = await (self._attempt(fields, attempt, attempts) if first is None else self._finish(first))
            first = None
            self._attempted(fields)
            if stopped is not None and stopped.is_set():
                raise asyncio.CancelledError
            error = attempt.error
            if error is None:
                for limit in self.limits():
                    limit.succeeded()
                return succeeded(attempt, attempts)
            if self._policy.is_rate_limit(error):
                refused_since = refused_since or time.monotonic()
                if attempt.noted or self._slow_down(error, attempt.began, refused_since):
                    self._trouble.note(number, error, refused=True)
                    continue
                return failed(error, attempt, attempts)
            if (status_of(error) or 0) >= 500:
                for limit in self.limits():
                    limit.server_failed()
            failures += 1
            if failures > self._policy.retries or isinstance(error, InvalidInput | NotJson):
                return failed(error, attempt, attempts)
            wait = max(
                backoff(failures, FIRST_BACKOFF_S, LONGEST_BACKOFF_S),
                min(retry_after_of(error) or 0, LONGEST_RETRY_AFTER_S),
            )
            wait = wait if self.reaches_out else 0.0
            self._trouble.note(number, error, wait=wait)
            if wait:
                await asyncio.sleep(wait)

    def note_starts(self, attempts: Sequence[Attempt]) -> None:
        """Take notice of first attempts that were made elsewhere: a refusal cuts the rate at once."""
        self._limits.note_starts(attempt.began for attempt in attempts)
        for attempt in attempts:
            self.gives_awaitables = self.gives_awaitables or is_awaitable(attempt.value)
            if attempt.error is not None and self._policy.is_rate_limit(attempt.error):
                self._slow_down(attempt.error, attempt.began, time.monotonic())
                attempt.noted = True

    async def _attempt(self, fields: Fields, before: Attempt | None, number: int) -> Attempt:
        self._check_it_may_begin(before, number)
        if self._limits.pace is not None and self.reaches_out:
            await self._limits.pace.acquire()
        for limit in self.limits():
            await limit.acquire()
        if self.ready is not None:
            await self.ready()
        self._check_it_may_begin(before, number)  # it may have waited for long
        self._limits.note_start()
        context = contextvars.copy_context()
        start, began = time.time(), time.monotonic()
        if self.target.is_async:
            value, error = await self._in_loop(functools.partial(alone(self.target.call), fields), context)
        else:
            value, error = await self._in_thread(fields, context)
        return Attempt(value, error, start, began, time.monotonic() - began, context)

    def _check_it_may_begin(self, before: Attempt | None, number: int) -> None:
        if self.is_over():
            self.has_withheld = True
            error = before and before.error
            raise Withheld(failed(error, before, number - 1) if before and error else None)

    async def _finish(self, attempt: Attempt) -> Attempt:
        """An attempt made elsewhere, with what it gave awaited where it is an awaitable."""
        if is_awaitable(attempt.value):
            value, began = attempt.value, time.monotonic()
            attempt.value, attempt.error = await self._in_loop(lambda: value, attempt.context, attempt.seconds)
            attempt.seconds += time.monotonic() - began
        return attempt

    async def _in_loop(
        self, begin: Callable[[], Any], context: contextvars.Context | None, spent: float = 0.0
    ) -> tuple[Any, BaseException | None]:
        """What the user's code gives or raises, as an asyncio task of its own in that context.

        Args:
            begin: gives a value or an awaitable.
            context: what the code sees, and all that it can change.
            spent: the seconds of its timeout that have passed before.
        """
        loop = asyncio.get_running_loop()
        call = loop.create_task(self._outcome(begin), context=context)
        limit = _TimeLimit(call)
        if self._policy.timeout is not None:
            limit.begin(self._policy.timeout - spent)
        try:
            # Not the call itself: code that swallows its cancellation would have us wait for ever.
            await limit.ended
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait({call}, timeout=GRACE_S)
            raise
        finally:
            limit.end()
            if not call.done():
                self.abandoned += 1
                _going_on.add(call)  # the loop itself holds no task
                call.add_done_callback(_going_on.discard)
        try:
            value, error = call.result() if call.done() else (None, None)
        except asyncio.CancelledError as raised:
            value, error = None, raised  # the time is over, or something of the user's own was cancelled
        # What code gives, or makes of its cancellation, after its time comes too late.
        return (None, self.too_long()) if limit.has_passed else (value, error)

    async def _outcome(self, begin: Callable[[], Any]) -> tuple[Any, BaseException | None]:
        try:
            value = begin()
            while is_awaitable(value):
                value = await value
            if self._keep is not None:
                value = self._keep(await self._read(value) if has_to_be_read(value) else value)
        except asyncio.CancelledError:
            raise
        except _Raised as raised:
            return None, raised.error
        except BaseException as error:
            if not isinstance(error, Exception) and is_for_the_process(error):
                raise
            return None, error
        return value, None

    async def _read(self, value: Any) -> Any:
        """A stream that a task gave, read to its end."""
        while has_to_be_read(value) or is_awaitable(value):
            if is_awaitable(value):
                value = await value
            else:
                value = await (read_async(value) if is_async_stream(value) else self._read_in_thread(value))
        return value

    async def _read_in_thread(self, stream: Any) -> Any:
        """A sync stream that async code gave: the event loop must not stand still meanwhile."""
        reading = Reading()
        try:
            value, error = await (await self._threads.submit(functools.partial(_outcome_of, reading.read, stream)))
        finally:
            reading.is_wanted = False
        if error is not None:
            raise _Raised(error)
        return value

    async def _in_thread(self, fields: Fields, context: contextvars.Context) -> tuple[Any, BaseException | None]:
        """What sync code gives or raises in a thread, and where that is an awaitable, here."""
        reading, began = Reading(), time.monotonic()
        call = functools.partial(_outcome_of, self._call_here, fields, reading)
        try:
            future = await self._threads.submit(call, context)
        except NoThread as none_free:
            return None, none_free
        try:
            done, _ = await asyncio.wait({future}, timeout=self._policy.timeout)
        finally:
            reading.is_wanted = False
        if not done:
            self.abandoned += 1
            return None, self.too_long()
        value, error = future.result()
        if error is None and belongs_in_a_loop(value):  # of a lambda around a coroutine function, say
            return await self._in_loop(lambda: value, context, time.monotonic() - began)
        return value, error

    def _call_here(self, fields: Fields, reading: Reading) -> Any:
        value = alone(self.target.call)(fields)
        if self._keep is None:
            return value
        if is_stream(value):
            value = reading.read(value)
        return value if belongs_in_a_loop(value) else self._keep(value)

    def too_long(self) -> TimeoutError:
        """The error of an attempt that passed its timeout."""
        return TimeoutError(f"no answer within timeout={self._policy.timeout:g} s")

    def _slow_down(self, error: BaseException, began: float, refused_since: float) -> bool:
        """Lower the provider's rate; false when it has let nothing through for too long."""
        limit = self._limits.exceeded(error, began)
        if limit not in self._own_limits:
            self._own_limits.append(limit)
        return not limit.is_starved(refused_since)


class _TimeLimit:
    """Cancels a call when its time is over, unless it is done; a little later, nobody waits for it any more."""

    __slots__ = ("_call", "_timer", "ended", "has_passed")

    def __init__(self, call: asyncio.Task[Any]) -> None:
        self._call = call
        self._timer: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = call.get_loop().create_future()
        self.has_passed = False
        call.add_done_callback(self._give_up)

    def begin(self, seconds: float) -> None:
        self._timer = self._call.get_loop().call_later(seconds, self._pass)

    def _pass(self) -> None:
        self.has_passed = self._call.cancel()
        self._timer = self._call.get_loop().call_later(GRACE_S, self._give_up)

    def _give_up(self, _: object = None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _Raised(Exception):
    """Carries what was raised in a thread past the rules of coroutines, which let no StopIteration through."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _outcome_of(function: Callable[..., Any], *args: Any) -> tuple[Any, BaseException | None]:
    """What sync code gives or raises. In a thread of ours nothing that is raised is meant for us."""
    try:
        return function(*args), None
    except BaseException as error:  # noqa: BLE001 - as above
        return None, error
