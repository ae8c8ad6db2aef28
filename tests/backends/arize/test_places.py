"""Where AX is by the environment: each variable beside the others, and what none of them may say."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.backends.arize.connection import ArizeSettings, arize_connection, sends_traces
from prefect_experiments.errors import InvalidSetting


@pytest.mark.parametrize(
    ("env", "options", "api", "otlp"),
    [
        ({}, {}, "https://api.arize.com", "https://otlp.arize.com"),
        ({"ARIZE_API_HOST": " ax.example/ "}, {}, "https://ax.example", "https://otlp.arize.com"),
        ({"ARIZE_API_PORT": "65535"}, {}, "https://api.arize.com:65535", "https://otlp.arize.com"),
        ({"ARIZE_API_PORT": "1"}, {}, "https://api.arize.com:1", "https://otlp.arize.com"),
        ({"ARIZE_API_PORT": "0"}, {}, "https://api.arize.com", "https://otlp.arize.com"),
        ({"ARIZE_API_PORT": " 8443.0 "}, {}, "https://api.arize.com:8443", "https://otlp.arize.com"),
        ({"ARIZE_API_PORT": "1"}, {"api_port": 2}, "https://api.arize.com:2", "https://otlp.arize.com"),
        ({"ARIZE_API_PORT": "1"}, {"api_port": 0}, "https://api.arize.com", "https://otlp.arize.com"),
        ({"ARIZE_API_SCHEME": " HTTP "}, {}, "http://api.arize.com", "https://otlp.arize.com"),
        ({"ARIZE_API_SCHEME": "http"}, {"api_scheme": "https"}, "https://api.arize.com", "https://otlp.arize.com"),
        ({"ARIZE_API_HOST": "ax.example:9"}, {}, "https://ax.example:9", "https://otlp.arize.com"),
        ({"ARIZE_API_HOST": "ax.example:9"}, {"api_port": 8}, "https://ax.example:8", "https://otlp.arize.com"),
        ({"ARIZE_OTLP_HOST": "o.example", "ARIZE_OTLP_SCHEME": "http"}, {}, "https://api.arize.com", "http://o.example"),
        ({"ARIZE_OTLP_PORT": "4318"}, {}, "https://api.arize.com", "https://otlp.arize.com:4318"),
        ({"ARIZE_REGION": "ca-central-1a"}, {}, "https://api.ca-central-1a.arize.com",
         "https://otlp.ca-central-1a.arize.com"),
        ({"ARIZE_BASE_DOMAIN": "ax.example"}, {}, "https://api.ax.example", "https://otlp.ax.example"),
        ({"ARIZE_SINGLE_HOST": "ax.example"}, {}, "https://ax.example", "https://ax.example"),
        ({"ARIZE_SINGLE_PORT": "7"}, {}, "https://api.arize.com:7", "https://otlp.arize.com:7"),
        ({"ARIZE_SINGLE_HOST": "ax.example", "ARIZE_SINGLE_PORT": "7", "ARIZE_API_HOST": "other", "ARIZE_API_PORT": "8",
          "ARIZE_OTLP_HOST": "another", "ARIZE_OTLP_PORT": "9"}, {}, "https://ax.example:8", "https://ax.example:9"),
        ({"ARIZE_API_HOST": "other"}, {"base_url": " http://localhost:8080/ "}, "http://localhost:8080",
         "https://otlp.arize.com"),
    ],
)  # fmt: skip
def test_where_the_api_and_the_collector_are(
    env: dict[str, str], options: dict[str, Any], api: str, otlp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    found = arize_connection(ArizeSettings(api_key="k", **options))
    assert (found.api.base_url, found.otlp_url) == (api, otlp)
    assert (found.space, found.largest_body) == (None, 8 * 1024 * 1024)


PORT = "must be a number from 0 to 65535, got"
HOST = "Arize AX's host must be a name such as api.arize.com, got"
REFUSED: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({"ARIZE_API_PORT": "65536"}, {}, f"ARIZE_API_PORT {PORT} '65536'"),
    ({"ARIZE_API_PORT": "-1"}, {}, f"ARIZE_API_PORT {PORT} '-1'"),
    ({"ARIZE_API_PORT": "80.5"}, {}, f"ARIZE_API_PORT {PORT} '80.5'"),
    ({"ARIZE_SINGLE_PORT": "x"}, {}, f"ARIZE_SINGLE_PORT {PORT} 'x'"),
    ({"ARIZE_OTLP_PORT": "x"}, {}, f"ARIZE_OTLP_PORT {PORT} 'x'"),
    (
        {"ARIZE_MAX_HTTP_PAYLOAD_SIZE_MB": "0.9"},
        {},
        "ARIZE_MAX_HTTP_PAYLOAD_SIZE_MB must be a number of at least 1, got '0.9'",
    ),
    ({"ARIZE_OTLP_SCHEME": "grpc"}, {}, "ARIZE_OTLP_SCHEME must be 'http' or 'https', got 'grpc'"),
    ({"ARIZE_API_SCHEME": "ftp"}, {}, "ARIZE_API_SCHEME must be 'http' or 'https', got 'ftp'"),
    ({}, {"api_scheme": "ftp"}, "api_scheme must be 'http' or 'https', got 'ftp'"),
    ({}, {"api_host": "a/b"}, f"{HOST} 'a/b'; set ARIZE_API_HOST or api_host="),
    ({}, {"api_host": "me@host"}, f"{HOST} 'me@host'; set ARIZE_API_HOST or api_host="),
    ({}, {"api_host": " / "}, f"{HOST} ''; set ARIZE_API_HOST or api_host="),
    ({"ARIZE_OTLP_HOST": "a/b"}, {}, f"{HOST} 'a/b'; set ARIZE_OTLP_HOST"),
    (
        {"ARIZE_BASE_DOMAIN": "x", "ARIZE_REGION": "eu-west-1a", "ARIZE_SINGLE_PORT": "1"},
        {},
        "ARIZE_REGION and ARIZE_SINGLE_HOST or ARIZE_SINGLE_PORT and ARIZE_BASE_DOMAIN exclude each other: set one of "
        "them",
    ),
    ({"ARIZE_API_KEY": " "}, {"api_key": ""}, "Arize AX needs an API key: set ARIZE_API_KEY, or pass api_key="),
    ({}, {"api_key": "schlüssel"}, "Arize AX's api_key holds text that cannot be sent; is there a line end in it?"),
    ({}, {"api_key": "a\tb"}, "Arize AX's api_key holds text that cannot be sent; is there a line end in it?"),
    *(
        ({}, {"base_url": "http://a", **one}, "pass base_url= or api_host=, api_port= and api_scheme=, not both")
        for one in ({"api_host": "a"}, {"api_port": 1}, {"api_scheme": "http"})
    ),
]


@pytest.mark.parametrize(("env", "options", "said"), REFUSED)
def test_what_cannot_be(
    env: dict[str, str], options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting) as refused:
        arize_connection(ArizeSettings(**{"api_key": "k", **options}))
    assert str(refused.value) == said


def test_the_space_and_the_size_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARIZE_MAX_HTTP_PAYLOAD_SIZE_MB", "1")
    monkeypatch.setenv("ARIZE_SPACE_ID", " theirs ")
    monkeypatch.setenv("ARIZE_API_KEY", " theirs ")
    found = arize_connection(ArizeSettings())
    assert (found.space, found.largest_body, found.api_key.get_secret_value()) == ("theirs", 1024 * 1024, "theirs")
    mine = arize_connection(ArizeSettings(space="mine", api_key="mine-key"))
    assert (mine.space, mine.api_key.get_secret_value()) == ("mine", "mine-key")
    assert mine.api.headers["Authorization"] == "Bearer mine-key"
    assert "mine-key" not in repr(mine)


@pytest.mark.parametrize(
    ("said", "given", "sent"),
    [(None, None, False), (" Yes ", None, True), ("off", None, False), ("true", False, False), ("no", True, True)],
)
def test_whether_traces_are_sent(
    said: str | None, given: bool | None, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if said is not None:
        monkeypatch.setenv("PREFECT_EXPERIMENTS_ARIZE_TRACES", said)
    assert sends_traces(ArizeSettings(traces=given)) is sent


def test_whether_traces_are_sent_is_a_yes_or_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_EXPERIMENTS_ARIZE_TRACES", "perhaps")
    with pytest.raises(InvalidSetting) as refused:
        sends_traces(ArizeSettings())
    assert str(refused.value) == "PREFECT_EXPERIMENTS_ARIZE_TRACES must be true or false, got 'perhaps'"
