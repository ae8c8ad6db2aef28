"""What an error's text tells of those behind it, and how much of that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.errors import describe


def caused(error: BaseException, cause: BaseException | None) -> BaseException:
    error.__cause__ = cause
    return error


def during(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


def noted(error: BaseException, note: str) -> BaseException:
    error.add_note(note)
    return error


def by_itself() -> BaseException:
    error = ValueError("a")
    return caused(error, error)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (caused(RuntimeError("outer"), ZeroDivisionError("x")), "RuntimeError: outer (caused by ZeroDivisionError: x)"),
        (caused(RuntimeError(), KeyError("x")), "RuntimeError: (caused by KeyError: 'x')"),
        (during(RuntimeError("outer"), ValueError("x")), "RuntimeError: outer"),
        (noted(ValueError("a"), "why"), "ValueError: a (why)"),
        (by_itself(), "ValueError: a"),
        (
            caused(OSError("1"), caused(OSError("2"), caused(OSError("3"), caused(OSError("4"), OSError("5"))))),
            "OSError: 1 (caused by OSError: 2 (caused by OSError: 3 (caused by OSError: 4)))",
        ),
        (
            ExceptionGroup("grp", [ValueError("inner"), TypeError("t")]),
            "ExceptionGroup: grp (2 sub-exceptions): ValueError: inner; TypeError: t",
        ),
        (
            ExceptionGroup("g", [ExceptionGroup("h", [OSError("a"), OSError("b")]), ValueError("c")]),
            "ExceptionGroup: g (2 sub-exceptions): "
            "[ExceptionGroup: h (2 sub-exceptions): OSError: a; OSError: b]; ValueError: c",
        ),
        (
            caused(ExceptionGroup("g", [caused(ValueError("a"), KeyError("b"))]), TypeError("c")),
            "ExceptionGroup: g (1 sub-exception) (caused by TypeError: c): ValueError: a (caused by KeyError: 'b')",
        ),
        (
            ExceptionGroup("g", [ValueError("a")] * 9 + [TypeError("b")]),
            "ExceptionGroup: g (10 sub-exceptions): ValueError: a; TypeError: b",
        ),
        (
            ExceptionGroup("g", [ValueError(n) for n in "abcdefg"]),
            "ExceptionGroup: g (7 sub-exceptions): "
            "ValueError: a; ValueError: b; ValueError: c; ValueError: d; ValueError: e; …",
        ),
    ],
)
def test_what_is_behind_an_error_is_told(error: BaseException, text: str) -> None:
    assert describe(error) == text


LEAVES = st.builds(ValueError, st.text(max_size=3000))
ERRORS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(caused, LEAVES, inner)
        | st.builds(ExceptionGroup, st.text(max_size=10), st.lists(inner, min_size=1, max_size=60))
    ),
    max_leaves=80,
)


@given(error=ERRORS)
def test_however_much_is_behind_it_the_text_stays_short(error: BaseException) -> None:
    text = describe(error)
    assert text.startswith(f"{type(error).__name__}: {error}".rstrip(": ") if str(error) else type(error).__name__)
    assert len(text) <= len(str(error)) + 4000


KEY = "sk-proj-0123456789"


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "openai_api_key", "HF_TOKEN", "OAUTH_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"],
)
def test_what_the_environment_keeps_secret_is_not_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f" {KEY}")
    said = f"refused 'Bearer {KEY}'"
    error = noted(caused(RuntimeError(said), ExceptionGroup("g", [ValueError(said)])), said)
    assert describe(error).count("***") == 3
    assert KEY not in describe(error)
    assert describe(ValueError("sk-proj-012")) == "ValueError: sk-proj-012"


def test_a_secret_is_not_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for before in range(470, 500):
        assert "sk-" not in describe(caused(RuntimeError(), ValueError("x" * before + " " + KEY)))


def test_a_secret_as_it_stands_in_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "a/b+c=d&e")
    assert describe(OSError("http://x/?p=a%2Fb%2Bc%3Dd%26e&q")) == "OSError: http://x/?p=***&q"


def test_words_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "postgres")
    monkeypatch.setenv("OPENAI_API_KEY", "ollama")
    monkeypatch.setenv("NO_SECRET_AT_ALL", "connection")
    error = OSError("postgresql: connection to ollama failed, password postgres")
    assert describe(error) == "OSError: postgresql: connection to ollama failed, password ***"
