"""The package's wheel, built once from the working tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from .installed import ROOT, built


@pytest.fixture(scope="package")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))
