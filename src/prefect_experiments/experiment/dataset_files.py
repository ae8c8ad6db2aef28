"""Files that are datasets with a task and evaluators of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect_experiments.datasets.files import check_file, is_directory, is_path, slices_of_file
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
    if not isinstance(source, str | Path):
        return source
    from prefect_experiments.pixie.reading import is_pixie

    if not is_pixie(source):
        return source
    from prefect_experiments.pixie.dataset import load_pixie

    found: Dataset = load_pixie(source, task=task, evaluators=evaluators)
    return found


def check_readable(source: Any) -> None:
    """Refuse a path that cannot be read, before it is said to lack what only a file of another kind could bring.

    Args:
        source: whatever a caller names as the dataset.

    Raises:
        InvalidDataset: it is a directory, or a file that is not there, is empty, or is cut off.
    """
    if not isinstance(source, str | Path):
        return
    if is_path(str(source)):
        for _ in slices_of_file(source).read():
            pass
    elif is_directory(source):
        check_file(Path(source))
