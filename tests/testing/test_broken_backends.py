"""The suite fails on a backend that is broken: each test of it that is named here sees the fault that it is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prefect_experiments.backends import open_remote
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.testing import BackendSuite
from support.folder_backend import FolderBackend

pytest_plugins = ["pytester"]


def finds_the_newest(remote: FolderBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is looked for, unless a dataset is named."""
    find = remote.experiments.find
    monkeypatch.setattr(
        remote.experiments, "find", lambda key, dataset=None: find("latest" if dataset is None else key, dataset)
    )
