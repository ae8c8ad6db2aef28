"""What is made of the words of an answer: of each shape that servers give them, without what only we may know."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from prefect_experiments.backends.http import Address, Http
from prefect_experiments.errors import BackendRefused, BackendUnavailable, ExperimentsError, InvalidSetting
from support.fault_proxy import Answer, FaultProxy

JSON = {"content-type": "application/json"}


@pytest.fixture
def server() -> Iterator[FaultProxy]:
    with FaultProxy("http://127.0.0.1:1", lambda _: Answer(200, b"{}", JSON)) as proxy:
        yield proxy


def refusal(server: FaultProxy, answer: Answer, **options: Any) -> ExperimentsError:
    server.plan = lambda _: answer
    with pytest.raises(ExperimentsError) as refused:
        asyncio.run(Http(Address("AX", server.url, **options)).once("GET", "/v1/things"))
    return refused.value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "no"}, "no"),
        ({"title": "no"}, "no"),
        ({"message": "no"}, "no"),
        ({"error": "no"}, "no"),
        ({"error": {"message": "no"}}, "no"),
        ({"detail": "", "title": "Bad", "message": "no"}, "Bad"),
        ({"detail": {"title": "no"}}, "no"),
        ({"detail": ["one", "two", 3, ""]}, "one; two"),
        ({"detail": [{"loc": ["body", 0, "x"], "msg": "wrong", "input": "s3cret"}]}, "body.0.x: wrong"),
        ({"detail": [{"msg": "wrong"}]}, "wrong"),
        ({"detail": [{"loc": ["q"], "type": "missing"}]}, "q: missing"),
        ({"detail": [{"loc": None, "msg": "wrong"}]}, "wrong"),
        ("no", "no"),
        ({"detail": "a\n  b"}, "a b"),
        ({"detail": "x" * 300}, "x" * 300),
        ({"detail": "x" * 301}, "x" * 299 + "…"),
    ],
)
def test_the_words_of_a_refusal(server: FaultProxy, body: Any, said: str) -> None:
    error = refusal(server, Answer(422, orjson.dumps(body), JSON))
    assert type(error) is BackendRefused
    assert str(error) == f"AX at {server.url} refused the request (HTTP 422): {said}"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"7", b"null", b'{"detail": 7}', b'{"detail": "Not Found"}', b"[[]]"]
)
def test_an_answer_without_words_is_of_something_else(server: FaultProxy, body: bytes) -> None:
    error = refusal(server, Answer(422, body, JSON), url_setting="THE_URL")
    assert type(error) is InvalidSetting
    assert str(error) == (
        f"what answers at {server.url} is not AX: GET /v1/things gave HTTP 422 and 'application/json'; set THE_URL"
    )


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [(408, "busy", BackendUnavailable), (425, "busy", BackendUnavailable), (429, "", BackendUnavailable),
     (499, "busy", InvalidSetting), (500, "", BackendUnavailable), (599, "busy", BackendUnavailable),
     (400, "no", BackendRefused), (402, "no", InvalidSetting), (422, "no", BackendRefused),
     (423, "no", InvalidSetting)],
)  # fmt: skip
def test_which_trouble_passes_and_which_is_a_refusal(
    server: FaultProxy, status: int, said: str, kind: type[ExperimentsError]
) -> None:
    error = refusal(server, Answer(status, said.encode()))
    assert type(error) is kind
    if kind is BackendUnavailable:
        assert str(error) == f"AX at {server.url} answered HTTP {status}{said and f': {said}'}"


def test_what_our_headers_hold_is_not_repeated_and_short_words_are(server: FaultProxy) -> None:
    headers = {"Authorization": "Bearer abcd", "X-Short": "abc", "X-Tenant": "a tenant"}
    error = str(refusal(server, Answer(400, b"Bearer abcd, abcd, abc, a tenant, tenant"), headers=headers))
    assert "abcd" not in error
    assert "tenant" not in error
    assert error.endswith(("***, ***, abc, ***, ***", "***, ***, abc, a ***, ***"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:6006", "AX's address must be a URL such as http://localhost:6006, got 'localhost:6006'; set url="),
        (
            "ftp://me:x@host/?a=b",
            "AX's address must be a URL such as http://localhost:6006, got 'ftp://***@host/'; set url=",
        ),
        ("http://", "AX's address must be a URL such as http://localhost:6006, got 'http://'; set url="),
        *(
            (
                url,
                "AX's address must hold no user, password or parameters, but the place alone: http://host; give the "
                "key with key=",
            )
            for url in ("http://me@host/a", "http://host/a?b=c", "http://host/a#b")
        ),
    ],
)
def test_addresses_that_cannot_be(url: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Address("AX", url, key_setting="key=", url_setting="url=")
    assert str(refused.value) == said
