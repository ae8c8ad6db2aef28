"""What is told of attempts that have failed while their calls are tried again."""

from __future__ import annotations

import pytest

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
