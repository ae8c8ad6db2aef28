"""`doctor`: what it finds in a well set up environment, and in ones that lack something."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import CommandLine

SECRET = "s3cret-and-long"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def checks(folder: Path, api: str | None, code: int, **environment: str) -> dict[str, dict[str, Any]]:
    ended = CommandLine(folder, api, environment)("doctor", "--json")
    assert ended.code == code, ended.out + ended.err
    assert SECRET not in ended.out + ended.err
    found = ended.json
    assert found["ok"] is (code == 0)
    for check in found["checks"]:
        assert check["state"] == "ok" or check["mend"], "what is not well has a command that mends it"
    return {check["what"]: check for check in found["checks"]}


def test_all_is_well(cli: CommandLine, tmp_path: Path) -> None:
    here = CommandLine(tmp_path, cli.api)
    found = checks(tmp_path, cli.api, 0)
    assert "the first experiment makes one" in found["store"]["found"]
    assert not (tmp_path / "store.db").exists(), "it changes nothing"
    here.client().datasets.create_dataset(name="d", examples=[{"input": 1}])
    found = checks(tmp_path, cli.api, 0)
    assert found["Python"]["found"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert "schema" in found["store"]["found"]
    assert "writable" in found["store"]["found"]
    assert found["Prefect's server"]["state"] == "ok"
    assert cli.api is not None
    assert cli.api in found["Prefect's server"]["found"]


def test_a_pool_without_a_worker_and_one_that_is_paused(cli: CommandLine, tmp_path: Path) -> None:
    here = CommandLine(tmp_path, cli.api)
    for words in (["idle-pool"], ["held-pool", "--paused"]):
        subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "work-pool", "create", "--type", "process", *words],
            env=here.environment,
            check=True,
            capture_output=True,
        )
    found = checks(tmp_path, cli.api, 0)
    assert found["work pool idle-pool"]["mend"] == "prefect worker start --pool idle-pool"
    assert found["work pool held-pool"]["mend"] == "prefect work-pool resume held-pool"


def test_what_does_not_answer_or_is_missing_is_an_error_with_a_command(tmp_path: Path, silent: str) -> None:
    (tmp_path / "store.db").write_text("this is no database " * 100)
    found = checks(
        tmp_path,
        f"{silent}/api",
        1,
        PREFECT_EXPERIMENTS_PREFECT_PATIENCE="1",
        PREFECT_EXPERIMENTS_BACKEND_TIMEOUT="1",
        PREFECT_EXPERIMENTS_BACKEND="arize",
        PHOENIX_ENDPOINT=silent,
        PHOENIX_API_KEY=SECRET,
    )
    assert found["Prefect's server"]["state"] == "error"
    assert found["store"]["state"] == "error"
    assert found["backend phoenix"]["mend"] == "export PHOENIX_ENDPOINT=..."
    assert "needs an API key" in found["backend arize"]["found"]
    assert found["backend arize"]["mend"] == "export ARIZE_API_KEY=..."


@pytest.mark.parametrize("prices", ["/no/such/prices.json", '{"in-house": 3}'])
def test_prices_that_cannot_be_used(cli: CommandLine, tmp_path: Path, prices: str) -> None:
    found = checks(tmp_path, cli.api, 1, PREFECT_EXPERIMENTS_PRICES=prices)
    assert found["prices"]["state"] == "error"
    assert "PREFECT_EXPERIMENTS_PRICES: the " in found["prices"]["found"]
    found = checks(tmp_path, cli.api, 0, PREFECT_EXPERIMENTS_PRICES='{"in-house": {"input": 3}}')
    assert "'in-house' of your own" in found["prices"]["found"]


def test_for_people_and_without_a_server(tmp_path: Path) -> None:
    ended = CommandLine(tmp_path)("doctor")
    assert ended.code == 0, ended.out + ended.err
    lines = ended.out.splitlines()
    (server,) = [number for number, line in enumerate(lines) if line.startswith("warning") and "server" in line]
    assert lines[server + 1].strip() == "prefect server start --background"
