"""How long Prefect's server is waited for, and what becomes of an experiment without it.

Prefect's own client tries a server that is away for minutes, at each call anew. Here everything that asks Prefect
something has one patience (`Settings.prefect_patience`), spent once by an experiment: a server that is known to be away
is asked now and then from then on, for a second, until it answers again. What is done goes on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

from prefect import get_client
from prefect.exceptions import FailedRun
from prefect.settings import PREFECT_API_URL

from prefect_experiments.engine.limits import status_of
from prefect_experiments.errors import InvalidSetting, TransientError
from prefect_experiments.orchestration.commentary import is_done
from prefect_experiments.orchestration.temporary_server import start_temporary_server
from prefect_experiments.secret_texts import without_secrets
from prefect_experiments.settings import Settings

KNOWN_TO_BE_AWAY_S = 1.0
"""What a server that did not answer last time is given, as it may be back."""

_ASKED_EVERY_S = 5.0  # one that is known to be away; in between, what it should be told is missing
_NOT_LET_IN = (401, 403)
_LOGIN = "PREFECT_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud,"
_AGAIN_S = 0.5  # Prefect answers a cancellation by telling its server, which is cancelled in its turn
_CHAIN = 10
_NOT_REACHED = (
    "Failed to reach API at"  # Prefect's client, when the first thing it asks is not answered as it should be
)

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
        self._whole = self._left = Settings().prefect_patience
        self._waited_until = 0.0

    @property
    def patience(self) -> float:
        """The seconds that the server is waited for now."""
        return min(self._whole, KNOWN_TO_BE_AWAY_S if self.is_down else max(self._left, KNOWN_TO_BE_AWAY_S))

    async def tell(self, what: str, call: Awaitable[T], *, in_any_case: bool = False) -> T | None:
        """What the server says to a call; ``None`` where it does not answer, or refuses.

        Args:
            what: is missing then, in words.
            call: to the server.
            in_any_case: whether to make the call to a server that did not answer just now, too.
        """
        began = time.monotonic()
        if self.is_down and began < self._waited_until + _ASKED_EVERY_S and not in_any_case:
            if inspect.iscoroutine(call):
                call.close()
            self.lacks(what)
            return None
        try:
            async with asyncio.timeout(self.patience) as limit:
                told = await call
            if limit.expired():  # where Prefect is cancelled while it gives slots back, it says nothing
                raise TimeoutError  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - a page that lacks something is no reason to fail
            self._waited_until = time.monotonic()
            self._left -= self._waited_until - began
            self.missed(what, error)
            return None
        self.is_down = False
        return told

    def missed(self, what: str, error: BaseException) -> None:
        """Take note of what could not be said; a refusal is told of at once, but for that of the login."""
        if is_away(error):
            self.lacks(what, error)
        elif _status(error) in _NOT_LET_IN and self in _open:
            self._not_let_in += [what] * (what not in self._not_let_in)
        else:
            _say("Prefect's server refused %s (%s).", what, _named(error))

    def lacks(self, what: str, error: BaseException | None = None) -> None:
        """Take note of what a server that is away was not told; where it is nobody's line, say it."""
        self.is_down = True
        self._why = self._why or (_named(error) if error is not None else "")
        if self not in _open:
            _say("Prefect's server at %s did not answer (%s); missing there: %s.", server(), self._why, what)
        elif what not in self.missing:
            self.missing.append(what)

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
_open: list[Line] = []


@contextlib.contextmanager
def new_line() -> Any:
    """Enter the line of an experiment: `current_line` gives it, and at the end it says what is missing."""
    line = Line()
    token = _line.set(line)
    _open.append(line)
    try:
        yield line
    finally:
        _line.reset(token)
        line.report()
        _open.remove(line)


def open_lines() -> list[Line]:
    """Those of all experiments that are under way in this process."""
    return list(_open)


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
        if (away := await _as_away(error, line)) is None:
            raise
        line.is_down = True
        raise TransientError(f"{what}: Prefect's server at {server()} does not answer ({_named(away)})") from None


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
        is_done.set(True)
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
            if (away := await _as_away(error, line)) is None:
                raise
            line.lacks(what, away)
            _say(
                "Prefect's server at %s does not answer (%s): going on without it, to the end without a page there.",
                server(),
                _named(away),
            )
    if not body.entered:
        return await (without or do)()
    if body.error is not None:
        raise body.error
    return body.value


def _say(text: str, *values: object) -> None:
    logger.warning(text, *values, extra={"send_to_api": False})  # not to a server that is away


def server() -> str:
    """Where Prefect's server is, as people are shown it."""
    return without_secrets(str(PREFECT_API_URL.value() or "the address of a temporary one"))


def is_away(error: BaseException) -> bool:
    """Whether an error says that a server does not answer, or cannot, or is not Prefect's: not that it has said no."""
    if _is_elsewhere(error):
        return True
    if (status := _status(error)) is not None:
        return status >= 500 or status in (408, 429)
    return any(isinstance(link, OSError) or _is_http(link) for link in _chain(error))


def _is_elsewhere(error: BaseException) -> bool:
    """Whether an error says that what has answered is no API of Prefect's: a login page, say, or another server."""
    return any(
        isinstance(link, json.JSONDecodeError | _NotPrefectError)
        or (isinstance(link, RuntimeError) and str(link).startswith(_NOT_REACHED) and not _is_silence(link))
        for link in _chain(error)
    )


def _is_silence(error: BaseException) -> bool:
    status = _status(error)
    return any(isinstance(link, OSError) or _is_http(link) for link in _chain(error)) or (status or 0) >= 500


class _NotPrefectError(Exception):
    """Something else than Prefect's API has answered."""


async def _as_away(error: Exception, line: Line) -> Exception | None:
    """An error as one of a server that is away, also where something else answers; ``None`` for one of Prefect's."""
    if is_away(error):
        return error
    if await _is_prefect(line):
        return None
    other = _NotPrefectError()
    other.__cause__ = error
    return other


async def _is_prefect(line: Line) -> bool:
    """Whether it is Prefect's API that answers, where an error leaves that open."""
    try:
        async with asyncio.timeout(line.patience), get_client() as api:
            return isinstance(await api.api_version(), str)
    except RuntimeError as error:  # of another version, say: Prefect's own words are the best
        return not is_away(error)
    except Exception:  # noqa: BLE001 - whatever it is, it is not an answer of Prefect's
        return False


def refuse_without_login(error: BaseException) -> None:
    """Raise what an error means that says that the server wants to know who is there.

    Raises:
        InvalidSetting: it says so.
    """
    if (status := _status(error)) in _NOT_LET_IN:
        raise InvalidSetting(
            f"Prefect's server at {server()} wants a login (HTTP {status}): set PREFECT_API_AUTH_STRING to what the "
            "server has as PREFECT_SERVER_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud"
        ) from None


def _named(error: BaseException) -> str:
    status = _status(error)
    if _is_elsewhere(error):
        page = next((link.doc for link in _chain(error) if isinstance(link, json.JSONDecodeError)), None)
        found = f"HTTP {status}" if status else "HTML" if page and page.lstrip().startswith("<") else "something"
        return f"it answers with {found}, which no API of Prefect does: check PREFECT_API_URL, which ends in /api"
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
    return type(error).__module__.partition(".")[0] in ("httpx", "httpcore", "websockets") and status_of(error) is None
