"""Where Phoenix and AX are and how to get in: as their own clients find it, over many settings of the environment.

Each client is asked in a process of its own, as it is installed here, so that it is noticed when it changes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.arize import VENV
from support.patience import PATIENCE_S

Case = dict[str, Any]

OURS_OF_PHOENIX = """
from prefect_experiments.backends.phoenix.connection import PhoenixSettings, phoenix_address

def found(options):
    address = phoenix_address(PhoenixSettings(**options))
    return [address.base_url, sorted((name.lower(), value) for name, value in address.headers.items())]
"""

# What `Client` makes of its arguments; without its connections, which take longer than all the rest.
THEIRS_OF_PHOENIX = """
import logging
logging.disable()
from phoenix.client.client import _update_headers
from phoenix.client.utils.config import clear_env_file_cache, get_base_url

def found(options):
    clear_env_file_cache()
    url = options.get("base_url") or get_base_url()
    headers = _update_headers(options.get("headers"), options.get("api_key"))
    return [str(url), sorted((name.lower(), value) for name, value in headers.items())]
"""

OURS_OF_AX = """
from prefect_experiments.backends.arize.connection import ArizeSettings, arize_connection

def found(options):
    made = arize_connection(ArizeSettings(api_key="k", **options))
    return [made.api.base_url, f"{made.otlp_url}/v1", made.largest_body / 2**20, made.api.way.proxy]
"""

THEIRS_OF_AX = """
import logging
logging.disable()
from arize.config import SDKConfiguration

def found(options):
    made = SDKConfiguration(api_key="k", **options)
    return [made.api_url, made.otlp_url, made.max_http_payload_size_mb, made.proxy_url]
"""

ASK = """
import json, os, pathlib, sys
usual = dict(os.environ)
answers = []
for case in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(usual, **case["env"])
    file = pathlib.Path(".env.phoenix")
    file.unlink(missing_ok=True)
    if case["file"] is not None:
        file.write_text(case["file"])
    try:
        answers.append(found(case["options"]))
    except Exception as error:
        answers.append(f"{type(error).__name__}: {error}")
json.dump(answers, sys.stdout)
"""

VARIABLES = (
    "PHOENIX_",
    "ARIZE_",
    "OTEL_",
    "PREFECT_EXPERIMENTS_",
    "SSL_",
    "REQUESTS_",
    "HTTP",
    "ALL_PROXY",
    "NO_PROXY",
)


def ask(python: Path | str, code: str, cases: Sequence[Case], folder: Path) -> list[Any]:
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(VARIABLES)}
    command = [str(python), "-c", code + ASK]
    told = json.dumps(cases)
    done = subprocess.run(
        command,
        input=told,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return list(json.loads(done.stdout))


PHOENIX: dict[str, list[str]] = {
    "PHOENIX_ENDPOINT": ["http://endpoint.example:1", "https://endpoint.example/team", " http://endpoint.example "],
    "PHOENIX_COLLECTOR_ENDPOINT": [
        "http://collector.example:2",
        "http://collector.example:2/v1/traces",
        "http://[::bad",
    ],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["http://otel.example:4318", "http://otel.example/v1/traces/"],
    "PHOENIX_BASE_URL": ["http://base.example:3"],
    "PHOENIX_HOST": ["0.0.0.0", "host.example", "host.example:77", "http://host.example:4", "HTTPS://host.example"],
    "PHOENIX_PORT": ["7007"],
    "PHOENIX_API_KEY": ["a-key", " another-key "],
    "PHOENIX_CLIENT_HEADERS": ["x-tenant=ours", "Authorization=Bearer%20env,X-Tenant=ours%2C%20too", "a=b==, c=d"],
    "PHOENIX_DISCOVER_CONFIG": ["false", "OFF", "yes"],
}


def phoenix_case(rng: random.Random) -> Case:
    def some(share: float) -> dict[str, str]:
        return {name: rng.choice([*values, ""]) for name, values in PHOENIX.items() if rng.random() < share}

    in_file = some(0.25) if rng.random() < 0.6 else None
    options: dict[str, Any] = {}
    if rng.random() < 0.1:
        options["base_url"] = "http://given.example:5"
    if rng.random() < 0.2:
        options["api_key"] = "given-key"
    if rng.random() < 0.2:
        options["headers"] = rng.choice([{"X-Tenant": "given"}, {"authorization": "Bearer given"}])
    return {
        "env": some(rng.choice([0.1, 0.3])),
        "file": None if in_file is None else "".join(_line(rng, name, value) for name, value in in_file.items()),
        "options": options,
    }


def _line(rng: random.Random, name: str, value: str) -> str:
    form = rng.choice(["{}={}\n", "export {} = {}\n", "{}='{}'\n", '# said\n\n{}="{}"\nOTHER=1\nno line\n'])
    return str(form).format(name, value)


@pytest.mark.slow
def test_phoenix_is_where_its_own_client_looks(tmp_path: Path) -> None:
    seed = 12
    rng = random.Random(seed)
    cases = [{"env": {}, "file": None, "options": {}}, *(phoenix_case(rng) for _ in range(3000))]
    theirs = ask(sys.executable, THEIRS_OF_PHOENIX, cases, tmp_path / "theirs")
    ours = ask(sys.executable, OURS_OF_PHOENIX, cases, tmp_path / "ours")
    differing = [(c, t, o) for c, t, o in zip(cases, theirs, ours, strict=True) if as_one_place(t) != as_one_place(o)]
    assert not differing, f"{len(differing)} of seed {seed}, the first: {differing[0]}"
    assert len({json.dumps(each) for each in theirs}) > 100, "too few different ones to prove anything"
    assert not [each for each in theirs if isinstance(each, str)]


def as_one_place(answer: Any) -> Any:
    """Without a slash at its end, in small letters; and 127.0.0.1, as they call this machine, is localhost."""
    if isinstance(answer, str):
        return "refused"
    return [answer[0].lower().rstrip("/").replace("//127.0.0.1", "//localhost"), *answer[1:]]


AX: dict[str, list[str]] = {
    "ARIZE_API_HOST": ["ax.example.com", "ax.example.com:9000", " ax.example.com/"],
    "ARIZE_API_PORT": ["8443", "0"],
    "ARIZE_API_SCHEME": ["http", "HTTPS"],
    "ARIZE_OTLP_HOST": ["otlp.example.com"],
    "ARIZE_OTLP_PORT": ["4318"],
    "ARIZE_OTLP_SCHEME": ["http"],
    "ARIZE_REGION": ["eu-west-1a", "us-east-1b", "mars-1"],
    "ARIZE_SINGLE_HOST": ["one.example.com"],
    "ARIZE_SINGLE_PORT": ["8080"],
    "ARIZE_BASE_DOMAIN": ["example.com"],
    "ARIZE_MAX_HTTP_PAYLOAD_SIZE_MB": ["2.5", "1"],
    "ARIZE_PROXY_URL": ["http://proxy.example.com:3128"],
    "ARIZE_REQUEST_VERIFY": ["false", "yes", "0"],
}


def ax_case(rng: random.Random) -> Case:
    env = {name: rng.choice(values) for name, values in AX.items() if rng.random() < 0.2}
    options = {"api_port": 444} if rng.random() < 0.1 else {}
    return {"env": env, "file": None, "options": options}


@pytest.mark.slow
def test_ax_is_where_its_own_client_looks(tmp_path: Path) -> None:
    if not (VENV / "bin" / "python").exists():
        pytest.skip("there is no .venv-arize; `make setup` makes it")
    rng = random.Random(12)
    cases = [{"env": {}, "file": None, "options": {}}, *(ax_case(rng) for _ in range(1500))]
    theirs = ask(VENV / "bin" / "python", THEIRS_OF_AX, cases, tmp_path / "theirs")
    ours = ask(sys.executable, OURS_OF_AX, cases, tmp_path / "ours")
    differing = [(c, t, o) for c, t, o in zip(cases, theirs, ours, strict=True) if as_refused(t) != as_refused(o)]
    assert not differing, f"{len(differing)}, the first: {differing[0]}"
    assert len({json.dumps(each) for each in theirs}) > 100, "too few different ones to prove anything"


def as_refused(answer: Any) -> Any:
    return "refused" if isinstance(answer, str) else answer
