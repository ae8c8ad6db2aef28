"""Steps of `deployments/prefect.yaml`: where the project's folder is, when deploying and on a worker."""

from __future__ import annotations

import os
from pathlib import Path

from prefect_experiments.errors import InvalidSetting

HOME = "PREFECT_EXPERIMENTS_HOME"


def here() -> dict[str, str]:
    """A build step: the folder that is deployed from, as ``folder``."""
    return {"folder": str(Path.cwd())}


def enter(deployed_from: str = "") -> dict[str, str]:
    """A pull step: make the project's folder on this machine the current one.

    It is the one that ``PREFECT_EXPERIMENTS_HOME`` names in the worker's environment; on the machine
    that was deployed from, that may be missing.

    Args:
        deployed_from: the folder that was deployed from.

    Raises:
        InvalidSetting: there is no such folder here.
    """
    named = os.environ.get(HOME, "")
    folder = Path(named or deployed_from).expanduser()
    if not (named or deployed_from) or not folder.is_dir():
        why = f"{HOME}={named!r} is no folder" if named else f"there is no folder {deployed_from!r} here"
        raise InvalidSetting(
            f"{why}; start the worker with {HOME} set to the folder of this machine that has the "
            "project in it, or deploy with a git clone as the pull step (docs/deploying.md)"
        )
    os.chdir(folder)
    return {"directory": str(folder.resolve())}
