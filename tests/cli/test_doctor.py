"""`doctor`: what it finds in a well set up environment, and in ones that lack something."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import prefect
import psycopg
import pytest

from prefect_experiments.cli.checks import Check, Finding, found_by
from prefect_experiments.store import Store
from support.fault_proxy import Answer, FaultProxy
from support.patience import PATIENCE_S

from .harness import CommandLine, Here

OLD_STORE = Path(__file__).parents[1] / "store" / "store_0005.sql"
WHO = ("AUTHOR", "COMMITTER")
SECRET = "s3cret-and-long"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def checks(folder: Path, api: str | None, code: int, wait: int = 120, **environment: str) -> dict[str, dict[str, Any]]:
    """By what was looked at, what was found."""
    ended = CommandLine(folder, api, environment)("doctor", "--json", "--wait", str(wait))
    assert ended.code == code, ended.out + ended.err
    assert SECRET not in ended.out + ended.err
    found = ended.json
    assert found["ok"] is (code == 0)
    for check in found["checks"]:
        assert check["state"] == "ok" or check["mend"], "what is not well has a command that mends it"
    return {check["what"]: check for check in found["checks"]}


@pytest.mark.thorough
def test_all_is_well(cli: CommandLine, phoenix_url: str, tmp_path: Path) -> None:
    here = CommandLine(tmp_path, cli.api)
    found = checks(tmp_path, cli.api, 0)
    assert "the first experiment makes one" in found["store"]["found"]
    assert not (tmp_path / "store.db").exists(), "it changes nothing"
    here.client().datasets.create_dataset(name="d", examples=[{"input": 1}])
    none = Answer(200, b"[]", {"content-type": "application/json"})
    plan = lambda request: none if request.path.endswith("/work_pools/filter") else None  # noqa: E731
    with FaultProxy(str(cli.api).removesuffix("/api"), plan) as proxy:
        found = checks(tmp_path, f"{proxy.url}/api", 0, PHOENIX_ENDPOINT=phoenix_url)
    pools = found["work pools"]
    assert (pools["state"], pools["found"]) == ("warning", "there is none, which deployments with a work pool need")
    assert pools["mend"] == "prefect work-pool create evals --type process"
    assert found["backends"]["found"] == "not set up: arize"
    assert found["backend phoenix"]["found"].endswith(" answers, and lets us in")
    assert found["Python"]["found"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert "schema" in found["store"]["found"]
    assert "writable" in found["store"]["found"]
    assert found["Prefect's server"]["state"] == "ok"
    assert f"{proxy.url}/api" in found["Prefect's server"]["found"]


@pytest.mark.slow
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
    assert found["work pool idle-pool"]["found"] == "no worker is online"
    assert found["work pool held-pool"]["found"] == "it is paused, and starts nothing"
    assert found["work pool idle-pool"]["mend"] == "prefect worker start --pool idle-pool"
    assert found["work pool held-pool"]["mend"] == "prefect work-pool resume held-pool"
    mend(found["work pool held-pool"], here)
    assert "paused" not in checks(tmp_path, cli.api, 0)["work pool held-pool"]["found"]


def test_a_store_that_another_process_keeps_to_itself_can_be_checked(here: Here, tmp_path: Path) -> None:
    here.client.datasets.create_dataset(name="d", examples=[{"input": 1}])
    here.client.store.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as locks:
        locks.execute("PRAGMA locking_mode = EXCLUSIVE")
        locks.execute("BEGIN EXCLUSIVE")
        ended = here("doctor", "--json", "--wait", "1")
    [found] = [check for check in ended.json["checks"] if check["what"] == "store"]
    assert (found["state"], found["mend"]) == ("error", "prefect-experiments store check"), found


def mend(finding: dict[str, Any], here: CommandLine) -> None:
    """Run the command that a finding says, as it stands."""
    environment = {**here.environment, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-ec", finding["mend"]], cwd=here.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_an_older_store_is_a_finding_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with closing(sqlite3.connect(file)) as older:
        older.executescript(OLD_STORE.read_text())
    file.chmod(0o644)
    before = {path.name: (path.read_bytes(), path.stat().st_mode) for path in tmp_path.iterdir() if path.is_file()}
    found = checks(tmp_path, None, 0)["store"]
    after = {path.name: (path.read_bytes(), path.stat().st_mode) for path in tmp_path.iterdir() if path.is_file()}
    assert after == before
    assert found["state"] == "warning"
    assert "schema 0005" in found["found"]
    assert "the next run upgrades to" in found["found"]
    assert found["mend"].endswith("&& prefect-experiments store upgrade")
    mend(found, CommandLine(tmp_path))
    assert (tmp_path / "store.db.0005").read_bytes() == before["store.db"][0]
    assert checks(tmp_path, None, 0)["store"]["state"] == "ok"


@pytest.mark.slow
def test_a_store_is_looked_at_while_another_process_writes_to_it(tmp_path: Path) -> None:
    client = CommandLine(tmp_path).client()
    client.datasets.create_dataset(name="d", examples=[{"input": 1}])
    with client.store.database.write() as writing:
        assert checks(tmp_path, None, 0)["store"]["state"] == "ok", "it takes no lock"
        writing.rollback()
    client.store.close()


@pytest.mark.slow
def test_a_store_in_postgresql_is_only_read(tmp_path: Path, postgres_url: str) -> None:
    here = {"PREFECT_EXPERIMENTS_STORE_URL": postgres_url}
    assert "schema not made yet" in checks(tmp_path, None, 0, **here)["store"]["found"]
    with psycopg.connect(postgres_url) as database:
        assert database.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    Store(postgres_url).close()
    assert "writable" in checks(tmp_path, None, 0, **here)["store"]["found"]
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
    found = checks(tmp_path, None, 1, **here)["store"]
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute("SET default_transaction_read_only = off")
        database.execute("ALTER ROLE CURRENT_USER RESET default_transaction_read_only")
    assert "cannot be written to: the server takes no writes" in found["found"]


@pytest.mark.thorough
@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("place", "words"), [("", "is a folder"), ("file/store.db", "is no folder"), ("store.db", "newer version")]
)
def test_a_store_that_cannot_be_used(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "file").write_text("")
    if place == "store.db":
        CommandLine(tmp_path).client().store.close()
        with closing(sqlite3.connect(tmp_path / place)) as newer, newer:
            newer.execute("UPDATE alembic_version SET version_num = '9999'")
    found = checks(tmp_path, None, 1, PREFECT_EXPERIMENTS_STORE_URL=f"sqlite:///{tmp_path / place}")["store"]
    assert words in found["found"]
    assert found["mend"].startswith(
        "pip install -U" if place == "store.db" else "export PREFECT_EXPERIMENTS_STORE_URL="
    )


@pytest.mark.slow
def test_git_is_asked_for_the_commit(tmp_path: Path) -> None:
    here = CommandLine(tmp_path, extra={f"GIT_{who}_{what}": "a@b.c" for who in WHO for what in ("NAME", "EMAIL")})
    (tmp_path / "app.py").write_text("")
    found = checks(tmp_path, None, 0)["Git"]
    said = "this folder has no commit, so experiments do not say which code they ran"
    assert (found["state"], found["found"]) == ("warning", said)
    mend(found, here)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert checks(tmp_path, None, 0)["Git"]["found"] == f"commit {commit[:12]}"
    (tmp_path / "app.py").write_text("changed = True")
    found = checks(tmp_path, None, 0)["Git"]
    assert found["found"] == f"commit {commit[:12]}, and files differ from it, which experiments say"
    assert found["mend"] == "git commit --all"


@pytest.mark.thorough
def test_what_never_answers_is_not_waited_for(tmp_path: Path, silent: str) -> None:
    """Whatever the settings say; a test of an hour would say the same, as the usual ones are minutes."""
    place = silent.rpartition("/")[2]
    found = checks(
        tmp_path,
        f"{silent}/api",
        1,
        wait=1,
        PREFECT_EXPERIMENTS_STORE_URL=f"postgresql://me:{SECRET}@{place}/x?connect_timeout=3600",
        PREFECT_EXPERIMENTS_BACKEND_TIMEOUT="3600",
        PREFECT_EXPERIMENTS_PREFECT_PATIENCE="3600",
        PHOENIX_ENDPOINT=silent,
        PHOENIX_API_KEY=SECRET,
        ARIZE_API_KEY=SECRET,
        ARIZE_SPACE_ID="x",
        ARIZE_API_HOST="127.0.0.1",
        ARIZE_API_PORT=place.rpartition(":")[2],
        ARIZE_API_SCHEME="http",
    )
    host, port = place.split(":")
    assert {
        what: found[what]["mend"] for what in ("Prefect's server", "store", "backend phoenix", "backend arize")
    } == {
        "Prefect's server": f"prefect server start --background --port {port}",
        "store": f"pg_isready --host {host} --port {port}",
        "backend phoenix": "export PHOENIX_ENDPOINT=...",
        "backend arize": "export ARIZE_API_HOST=...",
    }
    assert found["backend phoenix"]["found"] == "no answer within 1 s; --wait SECONDS waits for longer"


@pytest.mark.thorough
def test_what_does_not_answer_or_is_missing_is_an_error_with_a_command(tmp_path: Path, silent: str) -> None:
    (tmp_path / "store.db").write_text("this is no database " * 100)
    found = checks(
        tmp_path,
        f"{silent}/api",
        1,
        PREFECT_EXPERIMENTS_PREFECT_PATIENCE="1",
        PREFECT_EXPERIMENTS_BACKEND_TIMEOUT="1",
        PREFECT_EXPERIMENTS_BACKEND="phoenix-credentials/prod",
        ARIZE_SPACE_ID="x",
        PHOENIX_ENDPOINT=silent,
        PHOENIX_API_KEY=SECRET,
    )
    assert found["Prefect's server"]["state"] == "error"
    assert found["Prefect's server"]["found"].startswith(
        "runs go on without it and have no page, deployments and schedules do not work: "
    )
    assert (found["store"]["state"], found["store"]["mend"]) == (
        "error",
        "export PREFECT_EXPERIMENTS_STORE_URL=sqlite:///experiments.db",
    )
    assert found["backend phoenix"]["mend"] == "export PHOENIX_ENDPOINT=..."
    assert "needs an API key" in found["backend arize"]["found"]
    assert found["backend arize"]["mend"] == "export ARIZE_API_KEY=..."
    assert found["backend phoenix-credentials/prod"]["mend"] == "prefect block inspect phoenix-credentials/prod"


@pytest.mark.slow
@pytest.mark.parametrize("prices", ["/no/such/prices.json", '{"in-house": 3}'])
def test_prices_that_cannot_be_used(cli: CommandLine, tmp_path: Path, prices: str) -> None:
    found = checks(tmp_path, cli.api, 1, PREFECT_EXPERIMENTS_PRICES=prices)
    assert found["prices"]["state"] == "error"
    assert "PREFECT_EXPERIMENTS_PRICES: the " in found["prices"]["found"]
    assert found["prices"]["mend"] == "unset PREFECT_EXPERIMENTS_PRICES  # or mend what it says"
    found = checks(tmp_path, cli.api, 0, PREFECT_EXPERIMENTS_PRICES='{"in-house": {"input": 3}}')
    assert "'in-house' of your own" in found["prices"]["found"]


@pytest.mark.slow
def test_a_backend_that_there_is_not(tmp_path: Path) -> None:
    found = checks(tmp_path, None, 1, PREFECT_EXPERIMENTS_BACKEND="foo")["backend foo"]
    assert (found["state"], found["mend"]) == ("error", "prefect-experiments backends")


@pytest.mark.thorough
def test_for_people_and_without_a_server(tmp_path: Path) -> None:
    ended = CommandLine(tmp_path)("doctor")
    assert ended.code == 0, ended.out + ended.err
    lines = ended.out.splitlines()
    said = "none is named, so each run starts a temporary one; schedules and deployments need a lasting one"
    (server,) = [number for number, line in enumerate(lines) if line.startswith("warning") and said in line]
    assert any("without a lasting server there are none" in line for line in lines)
    assert lines[server + 1].strip() == (
        "prefect server start --background && prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "code", "said", "mend"),
    [
        (
            "2.14.3",
            1,
            f"2.14.3 at .*, which Prefect {prefect.__version__} here cannot talk to",
            "pip install prefect==2.14.3",
        ),
        (
            "3.0.0",
            0,
            "3.0.0 at .*, which is older than Prefect .* here; a server may",
            f"pip install prefect=={prefect.__version__}  # where the server is, and start it again",
        ),
    ],
)
def test_a_server_of_another_version(
    cli: CommandLine, tmp_path: Path, version: str, code: int, said: str, mend: str
) -> None:
    answer = Answer(200, json.dumps(version).encode(), {"content-type": "application/json"})
    assert cli.api is not None
    plan = lambda request: answer if request.path.endswith("/admin/version") else None  # noqa: E731
    with FaultProxy(cli.api.removesuffix("/api"), plan) as proxy:
        found = checks(tmp_path, f"{proxy.url}/api", code)
    [one] = [check for check in found.values() if version in check["found"]]
    assert re.search(said, one["found"])
    assert mend in one["mend"]


@pytest.mark.thorough
def test_what_is_not_installed(tmp_path: Path) -> None:
    """As Python finds no distribution of that name: the command asks for it by `importlib.metadata`."""
    pytest.importorskip("openai")
    hidden = {
        "no client": ("openai", "anthropic", "litellm", "genai-prices"),
        "no traces": ("openinference-instrumentation-openai", "anthropic", "litellm"),
    }
    found = {}
    for name, packages in hidden.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(
            "import importlib.metadata as known\nversion = known.version\n"
            f"def asked(package):\n    if package in {packages!r}:\n"
            "        raise known.PackageNotFoundError(package)\n    return version(package)\n"
            "known.version = asked\n"
        )
        found[name] = checks(tmp_path, None, 0, PYTHONPATH=str(folder))
    without, untraced = found.values()
    assert without["instrumentors"]["found"] == "none needed: none of openai, anthropic, litellm is installed"
    extras = without["extras"]
    assert re.fullmatch(r"pip install .prefect-experiments\[.*cost.*\].  # what you need of these", extras["mend"])
    assert without["prices"]["found"] == (
        "none are known, so tokens are counted, and costs only where spans or report_usage say them"
    )
    assert untraced["instrumentors"]["found"] == (
        "openai is installed, and nothing that traces its calls and counts their tokens"
    )


def test_what_breaks_a_check_is_a_finding() -> None:
    def breaks() -> Iterator[Finding]:
        raise RuntimeError("no such luck")
        yield

    [finding] = found_by([Check("luck", breaks)], wait=PATIENCE_S)
    assert (finding.state, finding.found) == ("error", "RuntimeError: no such luck")
    assert finding.mend == "prefect-experiments doctor --debug"
