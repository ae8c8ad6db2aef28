"""One call of a task or an evaluator: timeout, retries with backoff and jitter, rate limits."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prefect_experiments.engine.limits import (
    LONGEST_RETRY_AFTER_S,
    ActiveLimits,
    RateLimit,
    retry_after_of,
    status_of,
)
from prefect_experiments.engine.threads import Threads
from prefect_experiments.errors import InvalidInput, InvalidSetting
from prefect_experiments.tasks import Fields, is_awaitable

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
REACHES_OUT_S = 0.02


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


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How calls are made; the same for tasks and evaluators.

    Attributes:
        timeout: seconds for one attempt, ``None`` for no limit. Async work is cancelled; a thread
            cannot be stopped, so it is no longer waited for.
        retries: further attempts after one that raised.
        rate_limit_errors: errors that say "too fast": they lower the rate and use up no retry.
            ``None``: any error that carries HTTP status 429.

    Raises:
        InvalidSetting: a value out of its range.
    """

    timeout: float | None = 60.0
    retries: int = 3
    rate_limit_errors: tuple[type[BaseException], ...] | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise InvalidSetting(f"timeout must be above 0 seconds (or None for no limit), got {self.timeout!r}")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise InvalidSetting(f"retries must be a whole number of at least 0, got {self.retries!r}")

    def is_rate_limit(self, error: BaseException) -> bool:
        """Whether an error says that calls come too fast."""
        if self.rate_limit_errors is None:
            return status_of(error) == 429
        return isinstance(error, self.rate_limit_errors)


@dataclass(slots=True)
class Attempt:
    """One try.

    Attributes:
        start: seconds since the epoch.
        began: the same moment on the monotonic clock.
        seconds: how long it took.
    """

    value: Any
    error: BaseException | None
    start: float
    began: float
    seconds: float


@dataclass(slots=True)
class CallResult:
    """How a call ended, after its last attempt."""

    value: Any
    error: str | None
    error_type: str | None
    start: float
    end: float
    attempts: int


class Caller:
    """Makes the calls of one target (one task, or one evaluator) within an experiment."""

    def __init__(self, target: Target, policy: CallPolicy, threads: Threads, limits: ActiveLimits) -> None:
        self.target = target
        self._policy = policy
        self._threads = threads
        self._limits = limits
        self._own_limits: list[RateLimit] = []
        # A task, a judge, an async evaluator, and a sync one that takes as long as a network call
        # are taken to call a provider: they keep to the limits that others of the experiment have
        # met, and wait before they try again. A quick Python function has nothing to wait for.
        self.reaches_out = target.is_async or getattr(target, "kind", "LLM") != "CODE"

    def limits(self) -> Sequence[RateLimit]:
        """The limits that hold for this target now."""
        if self._own_limits:
            return self._own_limits
        return self._limits.met if self.reaches_out else ()

    async def call(self, fields: Fields, first: Attempt | None = None) -> CallResult:
        """Call until it succeeds or the retries are used up; never raises what the target raised.

        Args:
            fields: what the target may be given.
            first: the first attempt, where it was already made elsewhere.
        """
        attempts = failures = 0
        while True:
            attempts += 1
            if first is not None:
                attempt, first = await self._finish(first), None
            else:
                for limit in self.limits():
                    await limit.acquire()
                attempt = await self._attempt(fields)
            error = attempt.error
            if error is None:
                for limit in self.limits():
                    limit.succeeded()
                return CallResult(attempt.value, None, None, attempt.start, attempt.start + attempt.seconds, attempts)
            if self._policy.is_rate_limit(error):
                if self._slow_down(error, attempt.began):
                    continue
                return _failed(error, attempt, attempts)
            failures += 1
            if failures > self._policy.retries or isinstance(error, InvalidInput):
                return _failed(error, attempt, attempts)
            if (status_of(error) or 0) >= 500:
                for limit in self.limits():
                    limit.server_failed()
            if self.reaches_out:
                await asyncio.sleep(max(_backoff(failures), min(retry_after_of(error) or 0, LONGEST_RETRY_AFTER_S)))

    async def _attempt(self, fields: Fields) -> Attempt:
        self._limits.note_start()
        value, raised = None, None
        start, began = time.time(), time.monotonic()
        try:
            value = await (self._call_async(fields) if self.target.is_async else self._call_sync(fields))
        except Exception as error:  # noqa: BLE001 - what the user's code raises is this attempt's result
            raised = error
        return Attempt(value, raised, start, began, time.monotonic() - began)

    async def _finish(self, attempt: Attempt) -> Attempt:
        """An attempt made elsewhere, with what it gave awaited where it is an awaitable."""
        if is_awaitable(attempt.value):
            try:
                attempt.value = await self._finish_awaitable(attempt.value)
            except Exception as error:  # noqa: BLE001 - as in `_attempt`
                attempt.value, attempt.error = None, error
            attempt.seconds = time.monotonic() - attempt.began
        return attempt

    async def _call_async(self, fields: Fields) -> Any:
        try:
            async with asyncio.timeout(self._policy.timeout) as deadline:
                value = self.target.call(fields)
                return await value if is_awaitable(value) else value
        except TimeoutError as error:
            raise (self.too_long() if deadline.expired() else error) from None

    async def _call_sync(self, fields: Fields) -> Any:
        future = self._threads.submit(lambda: self.target.call(fields))
        done, _ = await asyncio.wait({future}, timeout=self._policy.timeout)
        if not done:
            raise self.too_long()
        value = future.result()
        if is_awaitable(value):  # a lambda around a coroutine function
            return await self._finish_awaitable(value)
        return value

    async def _finish_awaitable(self, value: Awaitable[Any]) -> Any:
        """The result of an awaitable that a sync callable gave."""
        try:
            async with asyncio.timeout(self._policy.timeout) as deadline:
                return await value
        except TimeoutError as error:
            raise (self.too_long() if deadline.expired() else error) from None

    def too_long(self) -> TimeoutError:
        """The error of an attempt that passed its timeout."""
        return TimeoutError(f"no answer within timeout={self._policy.timeout:g} s")

    def _slow_down(self, error: BaseException, began: float) -> bool:
        """Lower the provider's rate; false when it has let nothing through for too long."""
        limit = self._limits.exceeded(error, began)
        if limit not in self._own_limits:
            self._own_limits.append(limit)
        return not limit.is_starved()


def _failed(error: BaseException, attempt: Attempt, attempts: int) -> CallResult:
    return CallResult(
        None, describe(error), type(error).__name__, attempt.start, attempt.start + attempt.seconds, attempts
    )


def describe(error: BaseException) -> str:
    """An exception's type and text, as results keep it."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _backoff(failures: int) -> float:
    """Exponential, with jitter over the upper half so that retries do not come in step."""
    longest: float = min(FIRST_BACKOFF_S * 2 ** (failures - 1), LONGEST_BACKOFF_S)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret about it
