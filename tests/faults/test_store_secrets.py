"""A database's password is never shown, however the URL that holds it is written."""

from __future__ import annotations

import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from prefect_experiments import Client, ExperimentStore
from prefect_experiments.cli.app import run
from prefect_experiments.errors import InvalidInput, InvalidSetting, TransientError
from prefect_experiments.secret_texts import without_secrets
from prefect_experiments.settings import Settings
from prefect_experiments.store import Store
from prefect_experiments.store.urls import parse_url, portable, shown, url_text

PARTS = ("Tr0ub4", "h0rse", "st4ple")

URLS = [
    "postgresql://me:Tr0ub4@h0rse@127.0.0.1:1/db",
    "postgresql://me:Tr0ub4/h0rse@st4ple@127.0.0.1:1/db",
    "postgresql://me:Tr0ub4?h0rse#st4ple@127.0.0.1:1/db",
    "postgresql://me:Tr0ub4:h0rse@127.0.0.1:1/db",
    "postgresql://me:Tr0ub4%40h0rse@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/db?user=me&password=Tr0ub4@h0rse",
    "postgresql://me@127.0.0.1:1/db?sslpassword=Tr0ub4&sslmode=prefer",
    "postgresql://me:Tr0ub4@127.0.0.1:1/db?pasword=h0rse",
    "postgresql://me:Tr0ub4@127.0.0.1:1/db?h0rse=st4ple",
    "postgresql://me:Tr0ub4@127.0.0.1:1/db?h0rse",
    "postgresql://me:Tr0ub4@127.0.0.1:h0rse/db",
    "postgresql://127.0.0.1:Tr0ub4/db",
    "postgresql://me:Tr0ub4@127.0.0.1:1/db?connect_timeout=x&options=-c%20x=h0rse",
    "postgresql://me:Tr0ub4@127.0.0.1:1/db?options=-c%20x=h0rse",
    "postgresql://me:Tr0ub4@[::1/db",
    "postgresql:/me:Tr0ub4@127.0.0.1/db",
    "me:Tr0ub4@127.0.0.1/db",
    "mysql://me:Tr0ub4@h0rse@127.0.0.1/db",
    "sqlite://me:Tr0ub4@h0rse/store.db",
]


def everything(error: BaseException) -> str:
    """All that a log could have of an error: its chain, whether it is shown or not."""
    said = ["".join(traceback.format_exception(error))]
    link = error.__cause__ or error.__context__
    while link is not None:
        said += [str(link), repr(link)]
        link = link.__cause__ or link.__context__
    return "\n".join([*said, str(error), repr(error), repr(error.args)])


def check_hidden(text: str) -> None:
    assert not [part for part in PARTS if part in text], text


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_errors(url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((InvalidInput, TransientError)) as raised:
        Client(store_url=url)
    check_hidden(str(raised.value))
    check_hidden("".join(traceback.format_exception(raised.value)).replace(repr(url), "").replace(url, ""))
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", url)
    with pytest.raises((InvalidInput, TransientError)) as raised:
        Client()
    check_hidden(everything(raised.value))
    check_hidden(repr(Settings()))
    check_hidden(repr(ExperimentStore(url=SecretStr(url))))
    capfd.readouterr()
    assert run(["list"]) in (2, 3)
    assert run(["store", "info"]) in (2, 3)
    assert run(["list", "--json", "--store-url", url]) in (2, 3)
    assert run(["list", "--store-urll", url]) == 2
    assert run(["list", f"--store-urll={url}"]) == 2
    out, err = capfd.readouterr()
    check_hidden(out + err)


@pytest.mark.parametrize(
    "password", ["p@s", "p/a@s?s", "p#s", "p:s", "p%s", "p s", "p@a@b", "pä", "p'\"s", "p%40s&x=y"]
)
@pytest.mark.parametrize("quoted", [True, False])
def test_any_password_may_be_quoted_and_most_need_not_be(password: str, quoted: bool) -> None:
    if not quoted and "%40" in password:
        pytest.skip("that is a quoted @")
    url = parse_url(f"postgresql://me:{quote(password, safe='') if quoted else password}@db.example:5433/experiments")
    assert (url.username, url.password, url.host, url.port) == ("me", password, "db.example", 5433)
    assert url.database == "experiments"
    assert parse_url(url_text(url)) == url
    assert shown(url) == "postgresql+psycopg://me:***@db.example:5433/experiments"
    assert parse_url(portable(url)) == url._replace(password=None)


def test_options_that_are_unknown_are_refused_and_not_told() -> None:
    with pytest.raises(InvalidSetting, match="did you mean sslmode") as raised:
        parse_url("postgresql://me@127.0.0.1/db?ssl_mode=require")
    assert "ssl_mode" not in str(raised.value)
    with pytest.raises(InvalidSetting, match="connect_timeout of the store's URL must be a number"):
        parse_url("postgresql://me@127.0.0.1/db?connect_timeout=soon")


def test_several_hosts() -> None:
    url = parse_url("postgresql://me@/db?host=one:5433&host=two:5434&target_session_attrs=read-write")
    assert url.query["host"] == ("one:5433", "two:5434")
    assert parse_url(url_text(url)) == url


@pytest.mark.thorough
def test_a_wrong_password_with_an_at_sign_is_not_told(postgres_url: str) -> None:
    url = postgres_url.replace("s3cret-pa%3Ass", "Tr0ub4@h0rse/st4ple")
    with pytest.raises(TransientError, match="password authentication failed for user") as raised:
        Store(url)
    check_hidden(everything(raised.value))


def test_texts_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", URLS[1])
    said = f"cannot connect to {URLS[0]}, nor to {URLS[1]}: no route for Tr0ub4/h0rse@st4ple"
    check_hidden(without_secrets(said))
    check_hidden(without_secrets("fatal: could not read https://Tr0ub4@github.example/a/b.git"))
    assert without_secrets("see http://localhost:4200/runs/a@b") == "see http://localhost:4200/runs/a@b"


def test_a_store_that_is_open_shows_none(postgres_url: str, tmp_path: Path) -> None:
    store = Store(f"{postgres_url}?sslpassword=Tr0ub4&options=-c%20application_name=h0rse")
    for text in (store.shown_url, repr(store), repr(store.database), repr(store.database.engine)):
        check_hidden(text)
        assert "s3cret" not in text
    assert "s3cret" not in store.portable_url
    assert "Tr0ub4" not in store.portable_url
    store.close()
