"""What an error's text tells of those behind it, and how much of that."""

from __future__ import annotations

import asyncio
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments.errors import (
    AlreadyExists,
    BackendUnavailable,
    BudgetSpent,
    ExperimentInUse,
    ExperimentStopped,
    InvalidDataset,
    InvalidInput,
    InvalidSetting,
    StoreLost,
    StoreUnavailable,
    describe,
    from_here,
    nearest_file,
    needs_extra,
    traceback_text,
    unknown_value,
    unusable_connection,
)
from prefect_experiments.secret_texts import Address, split_address, without_secret_values, without_secrets


def caused(error: BaseException, cause: BaseException | None) -> BaseException:
    error.__cause__ = cause
    return error


def during(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


def noted(error: BaseException, note: str) -> BaseException:
    error.add_note(note)
    return error


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def groups(*names: str) -> BaseException:
    """One in the other."""
    return ExceptionGroup(names[0], [groups(*names[1:]) if len(names) > 1 else ValueError("x")])  # type: ignore[list-item]


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
        (
            ExceptionGroup("g", [ValueError(n) for n in "abcde"]),
            "ExceptionGroup: g (5 sub-exceptions): "
            "ValueError: a; ValueError: b; ValueError: c; ValueError: d; ValueError: e",
        ),
        (ExceptionGroup("g", [ValueError("a")] * 50), "ExceptionGroup: g (50 sub-exceptions): ValueError: a"),
        (ExceptionGroup("g", [ValueError("a")] * 51), "ExceptionGroup: g (51 sub-exceptions): ValueError: a; …"),
        (
            groups("a", "b", "c", "d"),
            "ExceptionGroup: a (1 sub-exception): [ExceptionGroup: b (1 sub-exception): "
            "[ExceptionGroup: c (1 sub-exception): [ExceptionGroup: d (1 sub-exception)]]]",
        ),
        (
            caused(OSError("x" * 600), ValueError("y" * 600)),
            f"OSError: {'x' * 600} (caused by ValueError: {'y' * 487}…)",
        ),
        (caused(OSError("a"), ValueError("y" * 488)), f"OSError: a (caused by ValueError: {'y' * 488})"),
        (caused(TimeoutError("late"), asyncio.CancelledError()), "TimeoutError: late"),
        (noted(noted(Wordless(), "one"), "two"), "Wordless: (one) (two)"),
        (Wordless("a"), "Wordless"),
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


@pytest.mark.parametrize(
    ("name", "value", "said", "in_errors", "shown"),
    [
        ("AX_API_KEY", "sk-45", "key sk-45.", "key sk-45.", "key sk-45."),
        ("AX_API_KEY", "sk-456", "key sk-456.", "key sk-456.", "key ***."),
        ("AX_API_KEY", "sk-4567", "key sk-4567.", "key sk-4567.", "key ***."),
        ("AX_API_KEY", "sk-45678", "key sk-45678.", "key ***.", "key ***."),
        ("PHOENIX_CLIENT_HEADERS", "a=token-one,b=Bearer%20token-two", "token-one token-two", "*** ***", "*** ***"),
        ("phoenix_client_headers", "a=token-one", "token-one", "token-one", "token-one"),
        ("SOME_KEY", "sk-45678", "key sk-45678.", "key sk-45678.", "key sk-45678."),
        ("MY_SECRET", "abcdefgh", "abcdefgh abcdefghi", "*** abcdefghi", "*** abcdefghi"),
        ("MY_SECRET", "abcdefg8", "abcdefg8 abcdefg8i", "*** ***i", "*** ***i"),
        (
            "PREFECT_EXPERIMENTS_STORE_URL",
            "postgresql://me:p%40ssword@h/d",
            "p@ssword p%40ssword",
            "*** ***",
            "*** ***",
        ),
        (
            "PREFECT_EXPERIMENTS_STORE_URL",
            "sqlite:///experiments.db",
            "experiments.db",
            "experiments.db",
            "experiments.db",
        ),
    ],
)
def test_which_texts_of_the_environment_are_secrets(
    name: str, value: str, said: str, in_errors: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert (without_secret_values(said), without_secrets(said)) == (in_errors, shown)


def test_the_longer_of_two_secrets_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "12345678")
    monkeypatch.setenv("B_TOKEN", "12345678-9")
    assert without_secrets("12345678-9 and 12345678") == "*** and ***"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("postgresql://me:pa@ss@db.example/d", "postgresql://me:***@db.example/d"),
        ("see postgresql://me:pass@db.example/d.", "see postgresql://me:***@db.example/d."),
        ("http://me@db.example/x", "http://***@db.example/x"),
        ("postgresql://me@db.example/x", "postgresql://me@db.example/x"),
        ("http://localhost:4200/a@b", "http://localhost:4200/a@b"),
        ("http://localhost:4200?a@b", "http://localhost:4200?a@b"),
        ("mail me@db.example", "mail me@db.example"),
    ],
)
def test_a_password_in_an_address_is_not_shown(said: str, shown: str) -> None:
    assert without_secrets(said) == shown


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://h/d", ("postgresql", None, None, "h/d", None)),
        ("postgresql+psycopg://me@h:5432/d?a=1&b=2", ("postgresql+psycopg", "me", None, "h:5432/d", "a=1&b=2")),
        ("postgresql://me:p@s/s@h/d", ("postgresql", "me", "p@s/s", "h/d", None)),
        ("postgresql://me:@h", ("postgresql", "me", "", "h", None)),
        ("postgresql://me:p?q@[::1]:5432/d?", ("postgresql", "me", "p?q", "[::1]:5432/d", "")),
        ("sqlite:////srv/e.db", ("sqlite", None, None, "//srv/e.db", None)),
        ("me@h/d", None),
        ("postgresql:/h/d", None),
    ],
)
def test_the_parts_of_an_address(url: str, parts: tuple[str | None, ...] | None) -> None:
    found = split_address(url)
    assert found == (None if parts is None else Address(*parts))  # type: ignore[arg-type]


def test_what_is_not_known_is_said_with_the_nearest_of_what_is() -> None:
    assert unknown_value("backend", "locl", ["local", "phoenix"]) == (
        "unknown backend 'locl'; did you mean 'local'? Known: local, phoenix"
    )
    assert unknown_value("backend", 5, ["local"]) == "unknown backend 5. Known: local"
    assert unknown_value("backend", "x", []) == "unknown backend 'x'. Known: none"


def test_an_error_says_the_same_in_another_process() -> None:
    """And what is to be done with it."""
    stopped = BudgetSpent("it is spent", experiment_id="exp-1", error="Boom: x", advice="Go on with resume")
    assert str(stopped) == "it is spent. Go on with resume"
    assert str(BudgetSpent("it is spent")) == "it is spent"
    assert (ExperimentStopped("x").experiment_id, ExperimentStopped("x").error, ExperimentStopped("x").advice) == (
        "",
    ) * 3
    for made in (stopped, stopped.with_text("Boom: x"), stopped.with_advice("exp-2", "Give more"), BudgetSpent("a")):
        there = pickle.loads(pickle.dumps(made))
        assert type(there) is type(made) is BudgetSpent
        assert (str(there), vars(there)) == (str(made), vars(made))
    assert str(stopped.with_text("Boom: x")) == "it is spent: Boom: x. Go on with resume"
    again = stopped.with_advice("exp-2", "Give more")
    assert (str(again), again.experiment_id, again.error) == ("it is spent. Give more", "exp-2", "Boom: x")
    exists = pickle.loads(pickle.dumps(AlreadyExists("the name is taken", experiment_id="exp-1")))
    assert (str(exists), exists.experiment_id) == ("the name is taken", "exp-1")
    assert AlreadyExists("x").experiment_id == ExperimentInUse("x").experiment_id == ""


def test_what_errors_know_besides_their_text() -> None:
    assert not InvalidSetting("x").is_of_connection
    connection = unusable_connection("no key")
    assert (type(connection), str(connection), connection.is_of_connection) == (InvalidSetting, "no key", True)
    assert (StoreUnavailable("x").reason, StoreUnavailable("x").is_busy) == ("", False)
    assert StoreUnavailable("x", is_busy=True).is_busy
    assert (StoreLost("x").saved_in, BackendUnavailable("x").retry_after) == (None, None)
    assert BackendUnavailable("x", retry_after=2.5).retry_after == 2.5


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({}, InvalidSetting, "reading it needs openpyxl: pip install 'prefect-experiments[xlsx]'"),
        (
            {"instead": "save it as CSV", "error": InvalidDataset},
            InvalidDataset,
            "reading it needs openpyxl: pip install 'prefect-experiments[xlsx]', or save it as CSV",
        ),
    ],
)
def test_what_is_not_installed_is_said_with_the_command(options: dict[str, object], kind: type, said: str) -> None:
    with pytest.raises(InvalidInput) as refused, needs_extra("xlsx", "reading it", **options):  # type: ignore[arg-type]
        import no_such_library  # type: ignore[import-not-found] # noqa: F401
    assert (type(refused.value), str(refused.value)) == (kind, said)
    with needs_extra("xlsx", "reading it"):
        pass


def test_the_file_that_may_have_been_meant(tmp_path: Path) -> None:
    for name in ("app.py", "rows.csv", "apt.txt"):
        (tmp_path / name).touch()
    assert nearest_file(tmp_path / "ap.py") == f"; did you mean '{tmp_path / 'app.py'}'?"
    assert nearest_file(str(tmp_path / "row.csv")) == f"; did you mean '{tmp_path / 'rows.csv'}'?"
    for other in ("app.yaml", "nothing-like-it.py", "apt.csv", "folder/app.py", "app.py\x00/a.py"):
        assert nearest_file(tmp_path / other) == ""


def test_where_relative_paths_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert from_here() == f"(current directory: {folder})"
    folder.rmdir()
    assert from_here() == "(the current directory does not exist any more)"
    os.chdir(tmp_path)


def test_a_traceback_is_shown_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    text = traceback_text(caused(OSError(f"refused {KEY}\n\n"), ValueError("http://me:pass@h/")))
    assert text == (
        "ValueError: http://me:***@h/\n\nThe above exception was the direct cause of the following exception:\n\n"
        "OSError: refused ***"
    )
