"""What an error says of Prefect's server: that it is away, that it says no, or that it is another's; in which words."""

from __future__ import annotations

import asyncio
import json

import httpcore
import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.orchestration import patience
from prefect_experiments.orchestration.patience import Line, current_line, is_away, new_line, refuse_without_login

ADDRESS = "http://prefect.test:4200/api"
ELSEWHERE = "it answers with {}, which no API of Prefect does: check PREFECT_API_URL, which ends in /api"


@pytest.fixture(autouse=True)
def on_the_server() -> None:
    """None is needed here."""


def answered(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", ADDRESS)
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, request=request))


def because(error: Exception, cause: BaseException | None) -> Exception:
    error.__cause__ = cause
    return error


def meanwhile(error: Exception, context: BaseException, *, hidden: bool = False) -> Exception:
    error.__context__, error.__suppress_context__ = context, hidden
    return error


def no_json(page: str) -> json.JSONDecodeError:
    return json.JSONDecodeError("Expecting value", page, 0)


def chain(length: int, last: Exception) -> Exception:
    """An error that came of another one, and so on."""
    for _ in range(length - 1):
        last = because(ValueError("it went on"), last)
    return last


NOT_REACHED = "Failed to reach API at http://prefect.test:4200/api"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("no route"), "OSError"),
        (ConnectionRefusedError(), "ConnectionRefusedError"),
        (TimeoutError(), "TimeoutError"),
        (httpx.ConnectTimeout("slow"), "ConnectTimeout"),
        (httpcore.ConnectError("refused"), "ConnectError"),
        (because(ValueError("in vain"), httpx.ReadError("cut off")), "ReadError"),
        (meanwhile(ValueError("in vain"), httpx.ReadError("cut off")), "ReadError"),
        (because(ValueError("in vain"), OSError()), "ValueError"),
        (chain(10, httpx.ReadError("cut off")), "ReadError"),
        (answered(408), "HTTP 408"),
        (answered(429), "HTTP 429"),
        (answered(500), "HTTP 500"),
        (answered(503), "HTTP 503"),
        (because(RuntimeError("in vain"), answered(502)), "HTTP 502"),
        (no_json("<html>Log in</html>"), ELSEWHERE.format("HTML")),
        (no_json("\n  <html>Log in</html>"), ELSEWHERE.format("HTML")),
        (no_json("hello"), ELSEWHERE.format("something")),
        (no_json(""), ELSEWHERE.format("something")),
        (because(no_json("<p>"), answered(200)), ELSEWHERE.format("HTTP 200")),
        (RuntimeError(NOT_REACHED), ELSEWHERE.format("something")),
        (because(RuntimeError(NOT_REACHED), answered(404)), ELSEWHERE.format("HTTP 404")),
        (because(RuntimeError(NOT_REACHED), answered(500)), "HTTP 500"),
        (because(RuntimeError(NOT_REACHED), httpx.ConnectError("refused")), "ConnectError"),
        (because(RuntimeError(NOT_REACHED), OSError("no route")), "RuntimeError"),
    ],
)
def test_what_is_missing_at_a_server_that_is_away_is_said_with_the_reason(
    error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_away(error)
    with temporary_settings({PREFECT_API_URL: ADDRESS}), new_line() as line:
        line.missed("the summary", error)
        line.missed("the link", OSError("another reason"))
        line.missed("the summary", error)
        assert line.is_down
    assert caplog.messages == [
        f"Prefect's server at {ADDRESS} was away ({said}). Nothing else is lost; missing there: the summary, the link."
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no"), "ValueError"),
        (RuntimeError("of another version"), "RuntimeError"),
        (meanwhile(ValueError("no"), OSError(), hidden=True), "ValueError"),
        (chain(11, httpx.ReadError("cut off")), "ValueError"),
        (answered(400), "HTTP 400"),
        (answered(404), "HTTP 404"),
        (answered(499), "HTTP 499"),
        (because(OSError("no"), answered(409)), "HTTP 409"),
    ],
)
def test_a_server_that_says_no_is_not_away(error: Exception, said: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not is_away(error)
    refuse_without_login(error)
    with new_line() as line:
        line.missed("the summary", error)
        assert not line.is_down
    assert caplog.messages == [f"Prefect's server refused the summary ({said})."]


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_is_not_right_any_more_is_said_once_at_the_end(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with temporary_settings({PREFECT_API_URL: ADDRESS}):
        with new_line() as line:
            for what in ("the summary", "the link", "the summary"):
                line.missed(what, answered(status))
            assert (line.is_down, line.missing, caplog.messages) == (False, [], [])
        assert caplog.messages == [
            f"Prefect's server at {ADDRESS} does not let us in any more (HTTP 401 or 403): is PREFECT_API_AUTH_STRING, "
            "or PREFECT_API_KEY for Prefect Cloud, still right? Nothing else is lost; missing there: the summary, the "
            "link."
        ]
        with pytest.raises(InvalidSetting) as refused:
            refuse_without_login(answered(status))
    assert str(refused.value) == (
        f"Prefect's server at {ADDRESS} wants a login (HTTP {status}): set PREFECT_API_AUTH_STRING to what the server "
        "has as PREFECT_SERVER_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud"
    )


def test_outside_of_an_experiment_each_thing_that_is_missing_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with temporary_settings({PREFECT_API_URL: ADDRESS}):
        line = current_line()
        line.missed("the summary", OSError())
        line.missed("the link", answered(401))
    assert caplog.messages == [
        f"Prefect's server at {ADDRESS} did not answer (OSError); missing there: the summary.",
        "Prefect's server refused the link (HTTP 401).",
    ]
    assert current_line() is not line


def test_where_nothing_is_missing_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with new_line() as line:
        assert current_line() is line
        assert patience.open_lines() == [line]
    assert patience.open_lines() == []
    assert caplog.messages == []


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_the_patience_of_an_experiment_is_spent_once_and_a_server_that_is_away_is_asked_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", "10")
    asked: list[str] = []

    async def ask(what: str, seconds: float = 0.0, error: Exception | None = None) -> str:
        asked.append(what)
        clock.now += seconds
        if error is not None:
            raise error
        return what

    async def tell() -> None:
        line = Line()
        assert line.patience == 10
        assert await line.tell("a", ask("a", 4.0)) == "a"
        assert line.patience == 10, "an answer that comes late costs nothing"
        assert await line.tell("b", ask("b", 4.0, ValueError())) is None
        assert line.patience == 6
        assert await line.tell("c", ask("c", 3.5, OSError())) is None
        assert line.patience == 1, "it is known to be away"
        clock.now += 4.9
        assert await line.tell("d", ask("d")) is None
        assert asked == ["a", "b", "c"]
        clock.now += 0.2
        assert await line.tell("e", ask("e")) == "e"
        assert line.patience == 2.5
        assert await line.tell("f", ask("f", 9.0, OSError())) is None
        assert await line.tell("g", ask("g"), in_any_case=True) == "g"
        assert line.patience == 1, "a second is always left"
        assert asked == ["a", "b", "c", "e", "f", "g"]

    asyncio.run(tell())


def test_a_patience_of_less_than_a_second_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_PREFECT_PATIENCE", "0.5")
    line = Line()
    assert line.patience == 0.5
    line.lacks("the summary", OSError())
    assert line.patience == 0.5
