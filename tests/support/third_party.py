"""Packages that bring a backend, as if they were installed: a folder with metadata on `sys.path`."""

from __future__ import annotations

from pathlib import Path

import pytest

BACKENDS, SAVED = "prefect_experiments.backends", "prefect_experiments.saved_backends"


def install(monkeypatch: pytest.MonkeyPatch, where: Path, package: str, **groups: dict[str, str]) -> str:
    """Install a package with entry points: by group, name and value; the folder, for other processes' `PYTHONPATH`."""
    metadata = where / f"{package}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    points = [
        (f"[{group}]", *(f"{name} = {value}" for name, value in given.items())) for group, given in groups.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(line for lines in points for line in lines) + "\n")
    monkeypatch.syspath_prepend(where)
    return str(where)


@pytest.fixture
def folder_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The backend ``folder`` (`support.folder_backend`), installed."""
    points = {BACKENDS: {"folder": "support.folder_backend:BACKEND"}}
    return install(monkeypatch, tmp_path / "installed", "experiments_in_folders", **points)
