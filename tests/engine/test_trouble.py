"""What is told of attempts that have failed while their calls are tried again."""

from __future__ import annotations

import pytest

from prefect_experiments.engine.limits import RateLimit
from prefect_experiments.engine.trouble import Trouble

REFUSED = {"refused": True}


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        ([(TimeoutError("no answer"), {})], "1 attempt timed out (TimeoutError: no answer)"),
        ([(TimeoutError("no answer"), {})] * 2, "2 attempts timed out (TimeoutError: no answer)"),
        ([(KeyError("x"), {})] * 1200, "1,200 attempts failed (KeyError: 'x')"),
        (
            [
                (OSError("slow down"), REFUSED),
                (TimeoutError("no answer"), {}),
                (KeyError("x"), {}),
                (KeyError("y"), {}),
            ],
            "1 attempt refused, 1 timed out, 2 failed (the last: KeyError: 'y')",
        ),
    ],
)
def test_attempts_are_counted_by_how_they_ended(failures: list[tuple[Exception, dict[str, bool]]], said: str) -> None:
    trouble = Trouble(clock=lambda: 0.0)
    assert str(trouble) == ""
    call = trouble.begin()
    for error, how in failures:
        trouble.note(call, error, wait=3.0, **how)
    assert str(trouble) == f"{said}, the next in 3 s"
    trouble.end(call)
    assert str(trouble) == ""


@pytest.mark.parametrize(
    ("wait", "refused", "said"),
    [
        (0.0, False, "being tried again"),
        (0.99, False, "being tried again"),
        (1.0, False, "the next in 1 s"),
        (3.0, True, "the next in 40 s"),
        (60.0, True, "the next in 60 s"),
    ],
)
def test_when_the_next_is_made_is_said_from_a_second_on(wait: float, refused: bool, said: str) -> None:
    """A provider's limit holds up those that it has refused."""
    limit = RateLimit("provider", clock := (lambda: 100.0))
    limit.exceeded(100.0, 40.0, observed=1.0)
    trouble = Trouble([limit], clock)
    trouble.note(trouble.begin(), OSError("x"), refused=refused, wait=wait)
    assert str(trouble).rpartition("), ")[2] == said


def test_the_next_is_that_of_the_call_that_waits_least() -> None:
    trouble = Trouble(clock=lambda: 100.0)
    calls = [trouble.begin() for _ in range(3)]
    for call, wait in zip(calls, (30.0, 5.0, 9.0), strict=True):
        trouble.note(call, OSError("x"), wait=wait)
    assert str(trouble) == "3 attempts failed (OSError: x), the next in 5 s"
    trouble.note(calls[1], OSError("y"), wait=20.0)
    assert str(trouble) == "4 attempts failed (OSError: y), the next in 9 s"
    for call in calls:
        assert str(trouble)
        trouble.end(call)
    trouble.end(calls[0])
    assert str(trouble) == ""


def test_the_reason_is_one_short_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-12345678")
    trouble = Trouble(clock=lambda: 0.0)
    trouble.note(trouble.begin(), OSError(f"no\n  {'x' * 84}\tsk-12345678"))
    reason = f"OSError: no {'x' * 84} ***"
    assert len(reason) == 100
    assert str(trouble) == f"1 attempt failed ({reason}), being tried again"
    trouble.note(trouble.begin(), OSError("y" * 92))
    assert str(trouble) == f"2 attempts failed (OSError: {'y' * 90}…), being tried again"


def test_what_is_called_a_timeout_by_whatever_library_timed_out() -> None:
    class ReadTimeout(Exception):
        pass

    class OfOurs(ReadTimeout):
        pass

    trouble = Trouble(clock=lambda: 0.0)
    for error in (ReadTimeout(), OfOurs("late"), OSError()):
        trouble.note(trouble.begin(), error)
    assert str(trouble) == "2 attempts timed out, 1 failed (the last: OSError), being tried again"
