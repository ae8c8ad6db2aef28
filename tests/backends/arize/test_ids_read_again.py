"""AX's ids of the examples of a version: read once, and again when it is asked for."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from prefect_experiments.backends.arize.api import ArizeApi, Row
from prefect_experiments.backends.arize.datasets import ArizeDatasets
from prefect_experiments.backends.arize.spaces import Space


class Ax:
    """What AX has in one version."""

    def __init__(self) -> None:
        self.rows: list[Row] = [{"id": "ax-1", "input": "one"}]
        self.read = 0

    async def examples(self, dataset_id: str, version_id: str) -> list[Row]:
        self.read += 1
        return list(self.rows)


def test_what_another_process_has_added_meanwhile_is_found_when_it_is_read_anew() -> None:
    ax = Ax()
    datasets = ArizeDatasets(cast("ArizeApi", cast("Any", ax)), cast("Space", None), 1_000_000)

    def ids(**options: Any) -> list[str]:
        return sorted(asyncio.run(datasets.ax_ids("dataset", "version", **options)).values())

    assert ids() == ["ax-1"]
    ax.rows.append({"id": "ax-2", "input": "two"})
    assert (ids(), ax.read) == (["ax-1"], 1), "as it was when last read"
    assert ids(anew=True) == ["ax-1", "ax-2"]
    assert (ids(), ax.read) == (["ax-1", "ax-2"], 2)
