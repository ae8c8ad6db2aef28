"""How backends are found, opened and described: those of this package and those that other packages bring."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import SecretStr

import prefect_experiments
from prefect_experiments import AsyncClient, Client
from prefect_experiments.backends import Remote, backend_names, find_backend, open_remote, registry
from prefect_experiments.backends.network_settings import NetworkSettings
from prefect_experiments.cli.app import run as run_command
from prefect_experiments.client import BackendOptions
from prefect_experiments.errors import InvalidSetting
from support.third_party import BACKENDS, SAVED, folder_installed, install

__all__ = ["folder_installed"]

ROOT = Path(__file__).resolve().parents[2]
OURS = ["phoenix", "arize"]


def refused(name: str, **options: Any) -> str:
    with pytest.raises(InvalidSetting) as caught:
        Client(backend=name, store_url="sqlite://", **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_ours_are_in_the_metadata_too() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points[BACKENDS] == registry.BUILT_IN
    assert (registry.GROUP, registry.SAVED) == (BACKENDS, SAVED)


WITHOUT_METADATA = """
import importlib.metadata
importlib.metadata.Distribution.discover = classmethod(lambda cls, **_: iter(()))
from prefect_experiments import Client
from prefect_experiments.backends import backend_names
print(backend_names(), Client(backend="phoenix", store_url="sqlite://").backend)
print(Client(backend="arize", api_key="k", store_url="sqlite://").backend)
"""


@pytest.mark.thorough
def test_ours_are_found_without_metadata() -> None:
    """As in an application that is packed in one file."""
    said = subprocess.run([sys.executable, "-c", WITHOUT_METADATA], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["['local', 'phoenix', 'arize'] phoenix", "arize"]


NOTHING_IMPORTED = """
import sys
from prefect_experiments import Client
Client(backend="local", store_url="sqlite://").datasets.list_datasets()
print([name for name in sys.modules if name.startswith(("prefect_experiments.backends.phoenix",
    "prefect_experiments.backends.arize", "support.", "httpx"))])
Client(backend="phoenix", store_url="sqlite://")
print([name for name in sys.modules if name.startswith(("prefect_experiments.backends.arize", "support."))])
"""


def test_no_backend_is_imported_before_it_is_opened(folder_installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = str(Path(prefect_experiments.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", ":".join([source, folder_installed, str(ROOT / "tests")]))
    said = subprocess.run([sys.executable, "-c", NOTHING_IMPORTED], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["[]", "[]"]


def test_what_is_misspelled_is_said(folder_installed: str, tmp_path: Path) -> None:
    assert "did you mean 'folder'? Known: local, phoenix, arize, folder" in refused("foldr")
    assert refused("folder", pth="x") == "the backend 'folder' takes no pth; did you mean 'path'? it takes path"
    assert "takes no base_ulr; did you mean 'base_url'?" in refused("phoenix", base_ulr="http://localhost:1")
    assert "takes no bakend; did you mean 'backend'?" in refused("local", bakend="phoenix")
    assert refused("local", path="x") == "the backend 'local' takes no path; name another one"
    assert "needs a folder: pass path=, or set FOLDER_BACKEND_PATH" in refused("folder")
    assert "takes no path; options come with that name" in refused("phoenix-credentials/prod", path="x")
    with pytest.raises(InvalidSetting, match="must be the name of a backend, or an open one; got 7"):
        Client(backend=7)  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="an open one takes no path"):
        Client(backend=open_remote("folder", path=tmp_path), path=tmp_path)  # type: ignore[call-arg]


def test_values_that_an_option_cannot_have() -> None:
    assert "api_port must be a whole number from 0 to 65535, got '6006'" in refused(
        "arize", api_key="k", api_port="6006"
    )
    for options in (
        {"api_key": b"sk-hidden-word"},
        {"headers": {"x-tenant": b"sk-hidden-word"}},
        {"headers": ["hidden"]},
    ):
        text = refused("phoenix", **options)
        assert "hidden" not in text
        assert next(iter(options)) in text


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
        ("import a_package_that_is_not_there", "No module named 'a_package_that_is_not_there'"),
        ("this is no Python", "SyntaxError"),
        ("", "has no attribute 'BACKEND'"),
        ("BACKEND = 'a text'", "is no `prefect_experiments.backends.Backend` of that name but 'a text'"),
    ],
)
def test_one_that_cannot_be_imported_is_named_and_breaks_no_other(
    module: str,
    said: str,
    folder_installed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    name = f"broken_{uuid.uuid4().hex}"
    where = install(monkeypatch, tmp_path / "broken", "broken", **{BACKENDS: {"broken": f"{name}:BACKEND"}})
    Path(where, f"{name}.py").write_text(module + "\n")
    assert backend_names() == ["local", "phoenix", "arize", "broken", "folder"]
    assert said in (text := refused("broken"))
    assert f"({name}:BACKEND) cannot be imported: " in text or "cannot be imported" not in text
    assert name in text
    capfd.readouterr()
    assert run_command(["backends", "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)["backends"]
    assert said in listed["broken"]["error"]
    assert listed["folder"] == {"path": "the folder, which has to be there; else FOLDER_BACKEND_PATH"}
    assert Client(backend="folder", path=tmp_path, store_url="sqlite://").backend == "folder"  # type: ignore[call-arg]
    assert Client(backend="phoenix", store_url="sqlite://").backend == "phoenix"


def test_a_name_that_two_bring(folder_installed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is nobody's; ours stay ours."""
    points = {"folder": "elsewhere:BACKEND", "phoenix": "elsewhere:BACKEND", "local": "elsewhere:BACKEND"}
    install(monkeypatch, tmp_path / "another", "another", **{BACKENDS: points})
    assert backend_names() == ["local", "phoenix", "arize", "folder"]
    assert "several packages bring 'folder'" in refused("folder", path=tmp_path)
    assert Client(backend="phoenix", store_url="sqlite://").backend == "phoenix"
    assert Client(backend="local", store_url="sqlite://").backend == "local"


def open_saved(name: str) -> Remote | None:
    """What `test_saved_options` registers."""
    return open_remote("folder", path=f"/kept/{name.partition('/')[2]}")


def test_saved_options(folder_installed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is before the slash says who knows them."""
    points = {SAVED: {"vault": f"{__name__}:open_saved", "safe": f"{__name__}:open_nothing"}}
    install(monkeypatch, tmp_path / "vault", "vault", **points)
    client = Client(backend="vault/nightly", store_url="sqlite://")
    assert client.remote is not None
    assert client.remote.target == "folder /kept/nightly"
    unopened = f"what opens the backend 'safe/nightly' ({__name__}:open_nothing) cannot be imported: AttributeError: "
    assert refused("safe/nightly").startswith(unopened)


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an option says of the environment is so: a value from there does what the same value does in the code."""
    values: dict[str, tuple[str, Any]] = {
        "base_url": ("http://example.com:1", "http://example.com:1"),
        "api_key": ("a-key", "a-key"),
        "headers": ("x-tenant=ours", {"x-tenant": "ours"}),
        "space": ("a space", "a space"),
        "api_host": ("example.com", "example.com"),
        "api_port": ("8443", 8443),
        "api_scheme": ("http", "http"),
        "traces": ("true", True),
    }
    settings = find_backend(name).settings
    needed = {"api_key": "k"} if name == "arize" else {}

    def state(**options: Any) -> list[Any]:
        remote: Any = open_remote(name, **options)
        if name == "phoenix":
            return [remote.address.base_url, remote.address.headers]
        kept = remote._connection
        return [kept.api.base_url, dict(kept.api.headers), kept.space, remote.traces]

    for option in (
        settings.model_fields.keys() - NetworkSettings.model_fields.keys()
    ):  # files: tests/faults/test_way_out.py
        text, value = values[option]
        other = {} if option == "api_key" else needed
        for variable in settings.variables(option):
            with monkeypatch.context() as patched:
                patched.setenv(variable, text)
                found = state(**other)
                assert found == state(**{**other, option: value}), variable
            assert found != state(**needed), variable
        assert settings.explained()[option].endswith(" or ".join(settings.variables(option)))


def test_the_clients_options_are_those_of_the_backends() -> None:
    """With their types, for type checkers, and their descriptions, for people."""
    plain: dict[str, Any] = {}
    for name in OURS:
        settings = find_backend(name).settings
        for option, kind in get_type_hints(settings).items():
            if option in settings.model_fields:
                wider = {SecretStr | None: str | SecretStr | None}.get(kind, kind)
                assert plain.setdefault(option, wider) == wider
        for option, words in settings.explained().items():
            assert f"- {option}: {words}" in " ".join((Client.__doc__ or "").split())
    assert get_type_hints(BackendOptions) == plain
    assert inspect.signature(AsyncClient).parameters.keys() == inspect.signature(Client).parameters.keys()


def test_no_backend_is_named_outside_its_folder() -> None:
    """In no comparison, that is; and only the registry knows which there are."""
    source = Path(prefect_experiments.__file__).parent
    for path in source.rglob("*.py"):
        inside = path.relative_to(source).parts
        if inside[0] == "backends" and inside[1] in OURS:
            continue
        compared = [
            constant.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Compare | ast.MatchValue)
            for constant in ast.walk(node)
            if isinstance(constant, ast.Constant)
        ]
        assert not {*OURS} & {*map(str, compared)}, path


def test_options_are_kept_as_secrets() -> None:
    headers: Mapping[str, str] = {"authorization": "Bearer sk-hidden-word"}
    settings = find_backend("phoenix").settings(api_key="sk-hidden-word", headers=headers)
    assert "hidden" not in repr(settings) + str(settings)
