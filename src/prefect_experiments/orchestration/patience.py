"""How long Prefect's server is waited for, and what becomes of an experiment without it.

Prefect's own client tries a server that is away for minutes, at each call anew. Here everything that asks Prefect
something has one patience (`Settings.prefect_patience`), spent once by an experiment: a server that is known to be away
gets a second from then on, until it answers again. What is done goes on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

from prefect.exceptions import FailedRun
from prefect.settings import PREFECT_API_URL

from prefect_experiments.engine.limits import status_of
from prefect_experiments.errors import InvalidSetting, TransientError
from prefect_experiments.orchestration.temporary_server import start_temporary_server
from prefect_experiments.settings import Settings, without_secrets

KNOWN_TO_BE_AWAY_S = 1.0
"""What a server that did not answer last time is given, as it may be back."""

_NOT_LET_IN = (401, 403)
_LOGIN = "PREFECT_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud,"
_AGAIN_S = 0.5  # Prefect answers a cancellation by telling its server, which is cancelled in its turn
_CHAIN = 10

# What Prefect's engine says, at length, of a run whose end it cannot tell its server.
_OF_ENDS = ("Crash detected!", "Encountered exception during execution", "Finished in state Running")
_is_done: contextvars.ContextVar[bool] = contextvars.ContextVar("prefect_experiments_is_done", default=False)

T = TypeVar("T")

logger = logging.getLogger("prefect_experiments")


class Line:
    """The line to Prefect's server that one experiment has.

    Attributes:
        is_down: whether the server did not answer when it was asked last.
        missing: what could not be said there, in words.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.missing: list[str] = []
        self._not_let_in: list[str] = []
        self._why = ""
        self._whole = Settings().prefect_patience

    @property
    def patience(self) -> float:
        """The seconds that the server is waited for now."""
        return min(self._whole, KNOWN_TO_BE_AWAY_S) if self.is_down else self._whole

    async def tell(self, what: str, call: Awaitable[T]) -> T | None:
        """What the server says to a call; ``None`` where it does not answer, or refuses.

        Args:
            what: is missing then, in words.
            call: to the server.
        """
        try:
            async with asyncio.timeout(self.patience):
                told = await call
        except Exception as error:  # noqa: BLE001 - a page that lacks something is no reason to fail
            self.missed(what, error)
            return None
        self.is_down = False
        return told

    def missed(self, what: str, error: BaseException) -> None:
        """Take note of what could not be said; a refusal is told of at once, but for that of the login."""
        if is_away(error):
            self.is_down = True
            self._why = self._why or _named(error)
            if self is not _line.get():
                _say("Prefect's server at %s did not answer (%s): %s is missing there.", server(), self._why, what)
            elif what not in self.missing:
                self.missing.append(what)
        elif _status(error) in _NOT_LET_IN and self is _line.get():
            self._not_let_in += [what] * (what not in self._not_let_in)
        else:
            _say("Prefect's server refused %s (%s).", what, _named(error))

    def report(self) -> None:
        """Say in one line what Prefect lacks, where it lacks anything."""
        if self.missing:
            missing = ", ".join(self.missing)
            _say(
                "Prefect's server at %s was away (%s). Nothing else is lost; missing there: %s.",
                server(),
                self._why,
                missing,
            )
        if self._not_let_in:
            _say(
                "Prefect's server at %s does not let us in any more (HTTP 401 or 403): is %s still right? Nothing else "
                "is lost; missing there: %s.",
                server(),
                _LOGIN,
                ", ".join(self._not_let_in),
            )


_line: contextvars.ContextVar[Line | None] = contextvars.ContextVar("prefect_experiments_line", default=None)


@contextlib.contextmanager
def new_line() -> Any:
    """Enter the line of an experiment: `current_line` gives it, and at the end it says what is missing."""
    line = Line()
    token = _line.set(line)
    try:
        yield line
    finally:
        _line.reset(token)
        line.report()


def current_line() -> Line:
    """The line of the experiment that is under way; elsewhere a new one."""
    return _line.get() or Line()


async def asked(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """What the server answers, where there is no doing without it.

    Args:
        what: cannot be done otherwise, in words.
        call: to the server.

    Raises:
        TransientError: it does not answer.
        InvalidSetting: it wants a login.
    """
    line = current_line()
    try:
        await start_temporary_server()
        async with asyncio.timeout(line.patience):
            return await call()
    except Exception as error:
        refuse_without_login(error)
        if not is_away(error):
            raise
        line.is_down = True
        raise TransientError(f"{what}: Prefect's server at {server()} does not answer ({_named(error)})") from None


class _Limits:
    """Two limits around one call: at the first it is cancelled, at the second what it does about that."""

    def __init__(self) -> None:
        self._limits = asyncio.timeout(None), asyncio.timeout(None)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        async with self._limits[1], self._limits[0]:
            yield

    def give(self, seconds: float | None) -> None:
        """So many seconds from now; ``None`` for as long as it takes."""
        now = asyncio.get_running_loop().time()
        if self.are_over:
            return
        for limit, more in zip(self._limits, (0.0, _AGAIN_S), strict=True):
            limit.reschedule(None if seconds is None else now + seconds + more)

    @property
    def are_over(self) -> bool:
        return any(limit.expired() for limit in self._limits)


class _Body(Generic[T]):
    """What a run of Prefect's is made around: how it went, whatever becomes of the run."""

    def __init__(self, do: Callable[[], Awaitable[T]], limits: _Limits, patience: Callable[[], float]) -> None:
        self._do, self._limits, self._patience = do, limits, patience
        self.entered = False
        self.error: BaseException | None = None
        self.value: T

    async def __call__(self) -> T:
        if self._limits.are_over:  # it has been given up on, and is done without
            raise asyncio.CancelledError
        self.entered, self.error = True, None
        self._limits.give(None)
        try:
            self.value = await self._do()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._limits.give(self._patience())
        _is_done.set(True)
        return self.value


async def narrated(
    what: str,
    do: Callable[[], Awaitable[T]],
    within: Callable[[Callable[[], Awaitable[T]]], Awaitable[Any]],
    *,
    without: Callable[[], Awaitable[T]] | None = None,
    first: Callable[[], Awaitable[None]] | None = None,
    pause: float = 0.0,
) -> T:
    """Do something inside a run of Prefect's, or without one where Prefect is away; what comes of it comes of this.

    Making the run, and telling its end, have the line's patience each. What is done has all the time it takes, and is
    done in one way or the other, never in both.

    Args:
        what: the run, in words.
        do: what is to be done, and gives or raises the outcome.
        within: makes the run; inside of it, it is to call what it is given.
        without: is done where there is no run; by default the same.
        first: what Prefect needs before it can be asked, and has its own time for.
        pause: the longest that Prefect waits before it does it once more, having failed.

    Raises:
        InvalidSetting: Prefect's server wants a login.
    """
    line, limits = current_line(), _Limits()
    body = _Body(do, limits, lambda: line.patience + pause)
    try:
        if first is not None:
            await first()
        async with limits.held():
            limits.give(line.patience)
            await within(body)
    except Exception as error:
        if body.entered:
            if not isinstance(error, FailedRun) and error is not body.error:
                line.missed(f"the end of {what}", error)
        else:
            refuse_without_login(error)
            if not is_away(error):
                raise
            line.missed(what, error)
            _say("Prefect's server at %s does not answer (%s): going on without it.", server(), _named(error))
    if not body.entered:
        return await (without or do)()
    if body.error is not None:
        raise body.error
    return body.value


def _say(text: str, *values: object) -> None:
    logger.warning(text, *values, extra={"send_to_api": False})  # not to a server that is away


def _is_told_otherwise(record: logging.LogRecord) -> bool:
    """Whether a log line of Prefect's engine is about a run whose end it could not tell: a line of ours says it."""
    return not (_is_done.get() and str(record.msg).startswith(_OF_ENDS))


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_is_told_otherwise)


def server() -> str:
    """Where Prefect's server is, as people are shown it."""
    return without_secrets(str(PREFECT_API_URL.value() or "the address of a temporary one"))


def is_away(error: BaseException) -> bool:
    """Whether an error says that a server does not answer, or cannot: not that it has said no."""
    for link in _chain(error):
        if (status := status_of(link)) is not None:
            return status >= 500 or status in (408, 429)
    return any(isinstance(link, OSError) or _is_http(link) for link in _chain(error))


def refuse_without_login(error: BaseException) -> None:
    """Raise what an error means that says that the server wants to know who is there.

    Raises:
        InvalidSetting: it says so.
    """
    status = _status(error)
    if status in _NOT_LET_IN:
        raise InvalidSetting(
            f"Prefect's server at {server()} wants a login (HTTP {status}): set PREFECT_API_AUTH_STRING to what the "
            "server has as PREFECT_SERVER_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud"
        ) from None


def _named(error: BaseException) -> str:
    status = _status(error)
    return type(_root(error)).__name__ if status is None else f"HTTP {status}"


def _status(error: BaseException) -> int | None:
    return next((status for link in _chain(error) if (status := status_of(link)) is not None), None)


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it came of, the newest first."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and len(found) < _CHAIN and following not in found:
        found.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return found


def _root(error: BaseException) -> BaseException:
    """Of an error and what it came of, the first that says something to people."""
    return next((link for link in _chain(error) if _is_http(link)), error)


def _is_http(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in ("httpx", "httpcore") and status_of(error) is None
