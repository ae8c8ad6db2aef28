"""What every backend has to do (`prefect_experiments.testing`), done by each. No Prefect server is needed.

Arize AX is held to it in `tests/backends/arize`, where its stand-in is.
"""

from __future__ import annotations

import os

import pytest

from prefect_experiments.backends import patience
from support.third_party import folder_installed

__all__ = ["folder_installed"]


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PHOENIX_", "PREFECT_EXPERIMENTS_"))]:
        if "TEST" not in name:
            monkeypatch.delenv(name)
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)  # what does not answer is asked again without waiting
