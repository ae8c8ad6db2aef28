"""Modules that a test imports from a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest


class Snapshot:
    """What is imported now; `restore` forgets what has been imported from a folder since, and nothing else.

    Nothing else, as what is forgotten is loaded twice, which numpy refuses. In place of pytest's `SysModulesSnapshot`,
    which also leaves `sys.modules` empty for a moment: what another thread imports just then, `importlib` or `sys`
    itself, is a new one from then on, without what it had.

    Args:
        folder: with all that is in it.
        preserve: not needed; pytest gives it to its own.
    """

    def __init__(self, folder: Path, preserve: Callable[[str], bool] | None = None) -> None:
        self._folder = folder
        self._before = sys.modules.copy()

    def restore(self) -> None:
        for name, module in sys.modules.copy().items():
            if name not in self._before and self._holds(module):
                del sys.modules[name]
        sys.modules.update(self._before)

    def _holds(self, module: ModuleType) -> bool:
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        return any(Path(place).is_relative_to(self._folder) for place in places if place)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, whose modules can be imported, and are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    modules, path = Snapshot(tmp_path), list(sys.path)
    yield tmp_path
    assert sys.path == path
    modules.restore()
