"""pytest in a process of its own, with the plugin, on the tests' Prefect server and a store of its own."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest import pytester as pytesters

from prefect_experiments import Client
from support.modules import Snapshot

PLUGIN = "prefect_experiments.pytest_plugin"

TICKETS = "id,input,output\na,1+1,2\nb,2+2,4\nc,3+3,6\n"
APP = """
def add(input):
    return str(eval(input))


def two(input):
    return "2"
"""
GATE = "metrics:\n  exact_match: {min: 0.9, bounds: point}\n"


@dataclass
class Project:
    """A folder with an application, a dataset, a gate and tests.

    Attributes:
        pytester: runs pytest there.
    """

    pytester: pytest.Pytester
    store_url: str

    @property
    def path(self) -> Path:
        return self.pytester.path

    @property
    def client(self) -> Client:
        return Client(store_url=self.store_url)

    def run(self, tests: str, *options: str) -> pytest.RunResult:
        """Run these tests, with the plugin and without any other that is installed here."""
        self.write(tests)
        return self.pytester.run(*self.command(*options))

    def write(self, tests: str) -> None:
        (self.path / "test_app.py").write_text(f"import pytest\nfrom app import add, two\n\n{tests}")

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "pytest", "-p", PLUGIN, *options]

    def names(self) -> list[str]:
        """The experiments that are kept, the oldest first."""
        return [one.name for one in self.client.experiments.list().experiments][::-1]


@pytest.fixture(autouse=True)
def remembered_modules(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `pytester` forgets after a test are the modules of its folder."""
    monkeypatch.setattr(pytesters, "SysModulesSnapshot", functools.partial(Snapshot, tmp_path_factory.getbasetemp()))


@pytest.fixture
def project(pytester: pytest.Pytester, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    return _made(pytester, monkeypatch, prefect_api)


@pytest.fixture
def serverless(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Where no Prefect server is named."""
    return _made(pytester, monkeypatch, None)


def _made(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, prefect_api: str | None) -> Project:
    for name, text in {"app.py": APP, "tickets.csv": TICKETS, "gate.yaml": GATE, "pytest.ini": "[pytest]\n"}.items():
        (pytester.path / name).write_text(text)
    store_url = f"sqlite:///{pytester.path / 'kept.db'}"
    for name in [name for name in os.environ if name.startswith(("PREFECT", "PHOENIX", "ARIZE", "PYTEST"))]:
        if name not in ("PYTEST_CURRENT_TEST", "PYTEST_DEBUG_TEMPROOT", "PREFECT_API_SSL_CERT_FILE"):
            monkeypatch.delenv(name)
    for name, value in {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PREFECT_HOME": str(pytester.path / "home"),
        "PREFECT_EXPERIMENTS_STORE_URL": store_url,
        "DO_NOT_TRACK": "1",
        "COLUMNS": "200",
        **({"PREFECT_API_URL": prefect_api} if prefect_api else {}),
    }.items():
        monkeypatch.setenv(name, value)
    return Project(pytester, store_url)
