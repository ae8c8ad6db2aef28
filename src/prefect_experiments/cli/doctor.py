"""The command that looks whether everything is there that a run needs, and says what mends what is not."""

from __future__ import annotations

import functools
import os
import platform
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cyclopts import App

from prefect_experiments.cli.checks import Check, Finding, found_by
from prefect_experiments.cli.output import DONE, Answer, Here, plain
from prefect_experiments.errors import (
    ExperimentsError,
    InvalidSetting,
    NotFound,
    TransientError,
)
from prefect_experiments.network import origin
from prefect_experiments.settings import Settings

if TYPE_CHECKING:
    from prefect.client.schemas.objects import WorkPool
    from rich.console import Console

_PACKAGES = ("prefect-experiments", "prefect", "pandas", "numpy", "pydantic", "sqlalchemy", "cyclopts")
_NOT_FOR_USERS = {"docs", "lint", "test"}
_INSTRUMENTORS = {
    "openai": "openinference-instrumentation-openai",
    "anthropic": "openinference-instrumentation-anthropic",
    "litellm": "openinference-instrumentation-litellm",
}
_SOMETHING_IS_WRONG = 1
_USUAL_PORT, _USUAL_POSTGRES = 4200, 5432
_PLACES = ("_ENDPOINT", "_URL", "_HOST")
_USUAL_API = f"http://127.0.0.1:{_USUAL_PORT}/api"
_INDENT = " " * 10


def register(app: App) -> None:
    """Add the command to the root."""
    app.command(doctor)


def doctor(*, wait: float = 5.0, terminal: Here) -> Answer:
    """See whether everything is there that a run needs, and say the command that mends what is not.

    It looks at versions, extras, the folder's Git repository, Prefect's server and its work pools, the store, the
    backends that are set up, and what counts tokens. The exit code is 1 if anything is wrong. Nothing is changed, not
    even the schema of an older version's store, and no secret is shown.

    Args:
        wait: seconds to wait for what does not answer; all is asked at once.
        terminal: where it is shown.
    """
    backend = terminal.backend or Settings().backend
    _import()
    checks = [
        Check("packages", _versions),
        Check("extras", _extras),
        Check("instrumentors", _instrumentors),
        Check("prices", _prices),
        Check("Git", _git),
        Check("Prefect's server", _prefect, _start_server()),
        Check("store", functools.partial(_store, terminal.store_url), _ask_database(terminal.store_url)),
        *_backends(backend),
    ]
    findings = found_by(checks, wait)
    is_well = not any(finding.state == "error" for finding in findings)
    data = {"ok": is_well, "checks": [asdict(finding) for finding in findings]}
    return Answer(data, lambda console: _show(console, findings), DONE if is_well else _SOMETHING_IS_WRONG)


def _import() -> None:
    """At once, and not by several threads at a time; and so that nobody waits for it who is given a few seconds."""
    import prefect.context  # noqa: F401

    import prefect_experiments.backends.http
    import prefect_experiments.orchestration.patience
    import prefect_experiments.store.migrations  # noqa: F401


def _show(console: Console, findings: list[Finding]) -> None:
    for finding in findings:
        console.print(plain(f"{finding.state:<9} {finding.what}: {finding.found}"), soft_wrap=True)
        if finding.mend:
            console.print(plain(f"{_INDENT}{finding.mend}"), soft_wrap=True, style="bold")


def _versions() -> Iterator[Finding]:
    from importlib.metadata import version

    yield Finding("ok", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("ok", "packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))


def _extras() -> Iterator[Finding]:
    from importlib.metadata import metadata, requires

    from packaging.requirements import Requirement

    needed = [Requirement(text) for text in requires("prefect-experiments") or ()]
    installed: list[str] = []
    missing: list[str] = []
    for extra in set(metadata("prefect-experiments").get_all("Provides-Extra") or ()) - _NOT_FOR_USERS:
        names = [one.name for one in needed if one.marker and one.marker.evaluate({"extra": extra})]
        names = [name for name in names if _version_of(name) is None]
        (missing if names else installed).append(extra)
    words = [f"installed {', '.join(sorted(installed)) or 'none'}"]
    if missing:
        words.append(f"not installed {', '.join(sorted(missing))}")
    mend = (
        f"pip install 'prefect-experiments[{','.join(sorted(missing))}]'  # what you need of these" if missing else ""
    )
    yield Finding("ok", "extras", "; ".join(words), mend)


def _version_of(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _instrumentors() -> Iterator[Finding]:
    """What notices the calls of a client library, and counts their tokens."""
    clients = {client: package for client, package in _INSTRUMENTORS.items() if _version_of(client)}
    if not clients:
        yield Finding("ok", "instrumentors", f"none needed: none of {', '.join(_INSTRUMENTORS)} is installed")
    for client, package in clients.items():
        if found := _version_of(package):
            yield Finding("ok", "instrumentors", f"{package} {found}")
        else:
            text = f"{client} is installed, and nothing that traces its calls and counts their tokens"
            yield Finding("warning", "instrumentors", text, "pip install 'prefect-experiments[cost]'")


def _prices() -> Iterator[Finding]:
    """What calls of models cost."""
    from prefect_experiments.tracing.prices import Prices

    try:
        prices = Prices.of_settings()
    except InvalidSetting as error:
        yield Finding("error", "prices", str(error), "unset PREFECT_EXPERIMENTS_PRICES  # or mend what it says")
        return
    table = _version_of("genai-prices")
    found = [f"genai-prices {table}"] * (table is not None) + [f"{name!r} of your own" for name in prices.own]
    if found:
        yield Finding("ok", "prices", ", ".join(found))
    else:
        text = "none are known, so tokens are counted, and costs only where spans or report_usage say them"
        yield Finding("warning", "prices", text, "pip install 'prefect-experiments[cost]'")


def _git() -> Iterator[Finding]:
    """Experiments say which commit they come from."""
    from prefect_experiments.origin import ask_git

    facts = ask_git()()
    if not facts:
        text = "this folder has no commit, so experiments do not say which code they ran"
        yield Finding(
            "warning",
            "Git",
            text,
            "git init && git add . && git commit -m begin  # see first what .gitignore leaves out",
        )
    elif facts["git_dirty"]:
        text = f"commit {facts['git_commit'][:12]}, and files differ from it, which experiments say"
        yield Finding("ok", "Git", text, "git commit --all")
    else:
        yield Finding("ok", "Git", f"commit {facts['git_commit'][:12]}")


def _prefect() -> Iterator[Finding]:
    from prefect_experiments.orchestration.patience import server
    from prefect_experiments.sync import run_sync

    what = "Prefect's server"
    if not _api_url():
        text = "none is named, so each run starts a temporary one; schedules and deployments need a lasting one"
        yield Finding("warning", what, text, f"{_start_server()} && prefect config set PREFECT_API_URL={_USUAL_API}")
        yield Finding("ok", "work pools", "without a lasting server there are none")
        return
    try:
        version, pools = run_sync(_asked_of_prefect)
    except InvalidSetting as error:
        is_cloud = "prefect.cloud" in _api_url()
        login = "PREFECT_API_KEY=..." if is_cloud else "PREFECT_API_AUTH_STRING=USER:PASSWORD"
        yield Finding("error", what, str(error), f"export {login}")
    except TransientError as error:
        is_elsewhere = "check PREFECT_API_URL" in str(error)
        mend = f"export PREFECT_API_URL={origin(_api_url())}/api" if is_elsewhere else _start_server()
        yield Finding("error", what, str(error), mend)
    else:
        yield _compared(what, server(), version)
        yield from _work_pools(pools)


def _api_url() -> str:
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value() or "")


def _start_server() -> str:
    """The command that starts a server where one is named, as far as that is this machine."""
    url = urlsplit(_api_url() or _USUAL_API)
    if url.hostname not in ("localhost", "127.0.0.1", "::1"):
        return "export PREFECT_API_URL=..."
    port = "" if url.port in (None, _USUAL_PORT) else f" --port {url.port}"
    return f"prefect server start --background{port}"


async def _asked_of_prefect() -> tuple[str, list[WorkPool]]:
    from prefect import get_client

    from prefect_experiments.orchestration.patience import asked

    async def ask() -> tuple[str, list[WorkPool]]:
        async with get_client() as api:
            return await api.api_version(), await api.read_work_pools()

    return await asked("runs go on without it and have no page, deployments and schedules do not work", ask)


def _compared(what: str, where: str, theirs: str) -> Finding:
    """A server may be newer than the client, and not older."""
    import prefect
    from packaging.version import Version

    ours = prefect.__version__
    text = f"{theirs} at {where}"
    if Version(theirs).major != Version(ours).major:
        return Finding(
            "error", what, f"{text}, which Prefect {ours} here cannot talk to", f"pip install prefect=={theirs}"
        )
    if Version(theirs) < Version(ours):
        text += f", which is older than Prefect {ours} here; a server may be newer than its clients, not older"
        return Finding("warning", what, text, f"pip install prefect=={ours}  # where the server is, and start it again")
    return Finding("ok", what, text)


def _work_pools(pools: list[WorkPool]) -> Iterator[Finding]:
    if not pools:
        text = "there is none, which deployments with a work pool need"
        yield Finding("warning", "work pools", text, "prefect work-pool create evals --type process")
    for pool in pools:
        name = shlex.quote(pool.name)
        what, state = f"work pool {pool.name}", pool.status.value if pool.status else "READY"
        if pool.is_paused:
            yield Finding("warning", what, "it is paused, and starts nothing", f"prefect work-pool resume {name}")
        elif state == "NOT_READY":
            yield Finding("warning", what, "no worker is online", f"prefect worker start --pool {name}")
        else:
            yield Finding("ok", what, f"{pool.type}, ready")


def _ask_database(url: str | None) -> str:
    """The command that says whether a store's server is there at all."""
    from prefect_experiments.store.urls import parse_url

    try:
        parsed = parse_url(url or Settings().resolved_store_url())
    except InvalidSetting:
        parsed = None
    if parsed is None or not parsed.host:
        return "prefect-experiments store check"
    return f"pg_isready --host {shlex.quote(parsed.host)} --port {parsed.port or _USUAL_POSTGRES}"


def _store(url: str | None) -> Iterator[Finding]:
    from prefect_experiments.store import existing_file, looking_at
    from prefect_experiments.store.database import HEAD

    what, mend = "store", "export PREFECT_EXPERIMENTS_STORE_URL=sqlite:///experiments.db"
    try:
        shown, file = existing_file(url)
        with looking_at(url) as seen:
            info = seen.info()
            seen.check_writable()
    except NotFound as error:
        yield Finding("ok", what, f"{error}")
    except ExperimentsError as error:
        if "pip install" in str(error):
            mend = str(error)[str(error).index("pip install") :]
        yield Finding("error", what, str(error), mend if isinstance(error, InvalidSetting) else _ask_database(url))
    else:
        size = f"{info.bytes / 1e6:.1f} MB, {info.counts.get('experiments', 0)} experiments"
        text = f"{shown}, {info.database}, schema {info.version or 'not made yet'}, writable, {size}"
        if info.version in ("", HEAD):
            yield Finding("ok", what, text)
        else:
            older = (
                f"{text}: an older version's, which the next run upgrades to {HEAD}; older versions cannot use it then"
            )
            copy = f"cp {shlex.quote(str(file))} {shlex.quote(f'{file}.{info.version}')} && " if file else ""
            yield Finding("warning", what, older, f"{copy}prefect-experiments store upgrade")


def _backends(default: str) -> Iterator[Check]:
    """Those that the environment or the options name; the others are told of in a line."""
    from prefect_experiments.backends import LOCAL, backend_names

    unused = []
    for name in dict.fromkeys([*backend_names(), default]):
        if name == LOCAL:
            continue
        if name == default or _is_set_up(name):
            yield Check(f"backend {name}", functools.partial(_reached, name), _mended(name))
        else:
            unused.append(name)
    if unused:
        text = f"not set up: {', '.join(unused)}"
        found = Finding("ok", "backends", text, "prefect-experiments backends  # what each of them takes")
        yield Check("backends", lambda: iter([found]))


def _is_set_up(name: str) -> bool:
    """Whether the environment says anything of a backend, beside how networks are reached in general."""
    return any(os.environ.get(variable) for variable in _variables(name))


def _variables(name: str) -> list[str]:
    """The environment variables that a backend, and no other, is set up by."""
    from prefect_experiments.backends import find_backend
    from prefect_experiments.backends.network_settings import NetworkSettings

    found = find_backend(name).settings
    own = [field for field in found.model_fields if field not in NetworkSettings.model_fields]
    return [variable for field in own for variable in found.variables(field)]


def _reached(name: str) -> Iterator[Finding]:
    from prefect_experiments.backends import open_remote

    what = f"backend {name}"
    try:
        remote = open_remote(name)
        assert remote is not None  # it is not the store
        remote.check()
    except ExperimentsError as error:
        yield Finding("error", what, str(error), _mended(name, str(error)))
    else:
        yield Finding("ok", what, f"{remote.target} answers, and lets us in")


def _mended(name: str, said: str = "") -> str:
    """What to set for a backend: the variable that an error names, else the one that says where it is."""
    if "/" in name:
        return f"prefect block inspect {name}"
    try:
        variables = _variables(name)
    except InvalidSetting:  # there is no such backend
        return "prefect-experiments backends"
    places = [one for one in variables if one.endswith(_PLACES) and os.environ.get(one)]
    named = [one for one in variables if one in said] or places or variables
    return f"export {named[0]}=..." if named else "prefect-experiments backends"
