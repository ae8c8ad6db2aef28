"""The command line on a real Prefect server, and in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import APPLICATION, ROWS, CommandLine, Here


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> CommandLine:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "app.py").write_text(APPLICATION)
    (folder / "rows.csv").write_text(ROWS)
    return CommandLine(folder, prefect_api)


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "WARNING")
    Path("rows.csv").write_text(ROWS)
    made = Here(capfd, f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    made.client.store.close()
