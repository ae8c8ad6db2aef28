"""A third backend, as somebody else would write one: files in a folder (`support/folder_backend`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_experiments.backends import Remote, open_remote
from prefect_experiments.testing import BackendSuite


@pytest.mark.usefixtures("folder_installed")
class TestFolder(BackendSuite):
    @pytest.fixture
    def remote(self, folder_installed: str, tmp_path: Path) -> Remote | None:
        (tmp_path / "kept").mkdir()
        return open_remote("folder", path=tmp_path / "kept")

    @pytest.fixture
    def wrong(self, folder_installed: str, tmp_path: Path) -> Remote | None:
        return open_remote("folder", path=tmp_path / "nowhere")
