"""Files that are datasets with a task and evaluators of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect_experiments.models import Dataset


def opened(source: Any, *, task: bool = False, evaluators: bool = False) -> Any:
    """What a caller names as the dataset, as it is; but the `Dataset` that a file of pixie's is.

    Args:
        source: whatever a caller may give.
        task: whether the file's own task is needed, and looked up.
        evaluators: whether its own evaluators are.

    Raises:
        InvalidDataset: it is such a file, and cannot be used.
    """
    from prefect_experiments.pixie.reading import is_pixie

    if not isinstance(source, str | Path) or not is_pixie(source):
        return source
    from prefect_experiments.pixie.dataset import load_pixie

    found: Dataset = load_pixie(source, task=task, evaluators=evaluators)
    return found
