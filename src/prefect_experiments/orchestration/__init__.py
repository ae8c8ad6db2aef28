"""The only place with Prefect: the flow, its Prefect tasks, blocks, artifacts."""

from __future__ import annotations

from pathlib import Path

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.settings import NO_HOME

try:
    Path.home()
except RuntimeError:  # Prefect asks for it when it is imported, also where PREFECT_HOME is set
    raise InvalidSetting(NO_HOME) from None
