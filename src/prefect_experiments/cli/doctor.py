"""The command that looks whether everything is there that a run needs, and says what mends what is not."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from prefect_experiments.cli.output import DONE, Answer, Here, plain
from prefect_experiments.errors import (
    ExperimentsError,
    InvalidSetting,
    NotFound,
    TransientError,
    describe,
)
from prefect_experiments.secret_texts import without_secrets
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
_INDENT = " " * 10


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing.

    Attributes:
        state: ``error`` where a run would fail.
        what: the thing.
        found: in words.
        mend: a command that mends it; empty where nothing has to be done.
    """

    state: Literal["ok", "warning", "error"]
    what: str
    found: str
    mend: str = ""


def register(app: App) -> None:
    """Add the command to the root."""
    app.command(doctor)


def doctor(*, terminal: Here) -> Answer:
    """See whether everything is there that a run needs, and say the command that mends what is not.

    It looks at versions, extras, Prefect's server and its work pools, the store, the backends that are set up, and what
    counts tokens. The exit code is 1 if anything is wrong. Nothing is changed, and no secret is shown.

    Args:
        terminal: where it is shown.
    """
    backend = terminal.backend or Settings().backend
    checks: list[Callable[[], Iterator[Finding]]] = [
        _versions,
        _extras,
        _instrumentors,
        _prices,
        _prefect,
        functools.partial(_store, terminal.store_url),
        functools.partial(_backends, backend),
    ]
    import prefect.context  # noqa: F401 - at once, and not by several threads at a time

    with ThreadPoolExecutor(len(checks)) as threads:  # what does not answer is waited for once
        findings = [finding for found in threads.map(_all_of, checks) for finding in found]
    is_well = not any(finding.state == "error" for finding in findings)
    data = {"ok": is_well, "checks": [asdict(finding) for finding in findings]}
    return Answer(data, lambda console: _show(console, findings), DONE if is_well else _SOMETHING_IS_WRONG)


def _all_of(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a check finds; one that breaks is a finding itself."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except Exception as error:  # noqa: BLE001 - the other checks have something to say
        name = getattr(check, "func", check).__name__.strip("_")
        found.append(Finding("error", name, describe(error), "prefect-experiments doctor --debug"))
    return [Finding(one.state, one.what, without_secrets(one.found), one.mend) for one in found]


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
            yield Finding("warning", "instrumentors", text, f"pip install {package}")


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


def _prefect() -> Iterator[Finding]:
    from prefect.settings import PREFECT_API_URL

    from prefect_experiments.orchestration.patience import server
    from prefect_experiments.sync import run_sync

    what = "Prefect's server"
    if not PREFECT_API_URL.value():
        text = "none is named, so each run starts a temporary one; schedules and deployments need a lasting one"
        yield Finding("warning", what, text, "prefect server start --background")
        yield Finding("ok", "work pools", "without a lasting server there are none")
        return
    try:
        version, pools = run_sync(_asked_of_prefect)
    except InvalidSetting as error:
        yield Finding("error", what, str(error), "export PREFECT_API_AUTH_STRING=USER:PASSWORD")
    except TransientError as error:
        yield Finding("error", what, str(error), "prefect server start --background")
    else:
        yield _compared(what, server(), version)
        yield from _work_pools(pools)


async def _asked_of_prefect() -> tuple[str, list[WorkPool]]:
    from prefect import get_client

    from prefect_experiments.orchestration.patience import asked

    async def ask() -> tuple[str, list[WorkPool]]:
        async with get_client() as api:
            return await api.api_version(), await api.read_work_pools()

    return await asked("nothing can run", ask)


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
        what, state = f"work pool {pool.name}", pool.status.value if pool.status else "READY"
        if pool.is_paused:
            yield Finding("warning", what, "it is paused, and starts nothing", f"prefect work-pool resume {pool.name}")
        elif state == "NOT_READY":
            yield Finding("warning", what, "no worker is online", f"prefect worker start --pool {pool.name}")
        else:
            yield Finding("ok", what, f"{pool.type}, ready")


def _store(url: str | None) -> Iterator[Finding]:
    from prefect_experiments.store import existing_file, open_store

    try:
        shown, file = existing_file(url)
    except NotFound as error:
        yield Finding("ok", "store", f"{error}")
        return
    except InvalidSetting as error:
        yield Finding("error", "store", str(error), "export PREFECT_EXPERIMENTS_STORE_URL=sqlite:///experiments.db")
        return
    try:
        upkeep = open_store(url).upkeep
        info = upkeep.info()
        upkeep.check_writable()
    except ExperimentsError as error:
        mend = f"ls -l {_quoted(file)}" if file else "pg_isready"
        if "pip install" in str(error):
            mend = str(error)[str(error).index("pip install") :]
        yield Finding("error", "store", f"{shown}: {error}", mend)
        return
    size = f"{info.bytes / 1e6:.1f} MB, {info.counts['experiments']} experiments"
    yield Finding("ok", "store", f"{shown}, {info.database}, schema {info.version}, writable, {size}")


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def _backends(default: str) -> Iterator[Finding]:
    """Those that the environment or the options name; the others are told of in a line."""
    from prefect_experiments.backends import LOCAL, backend_names

    unused = []
    for name in dict.fromkeys([*backend_names(), default]):
        if name == LOCAL:
            continue
        if name == default or _is_set_up(name):
            yield _reached(name)
        else:
            unused.append(name)
    if unused:
        text = f"not set up: {', '.join(unused)}"
        yield Finding("ok", "backends", text, "prefect-experiments backends  # what each of them takes")


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


def _reached(name: str) -> Finding:
    from prefect_experiments.backends import open_remote

    what = f"backend {name}"
    try:
        remote = open_remote(name)
        assert remote is not None  # it is not the store
        remote.check()
    except ExperimentsError as error:
        return Finding("error", what, str(error), _mended(name, error))
    return Finding("ok", what, f"{remote.target} answers, and lets us in")


def _mended(name: str, error: ExperimentsError) -> str:
    """What to set for a backend: the variable that the error names, else the first that it is read from."""
    if "/" in name:
        return f"prefect block inspect {name}"
    variables = _variables(name)
    named = [variable for variable in variables if variable in str(error)] or variables
    return f"export {named[0]}=..." if named else "prefect-experiments backends"
