"""Which of several processes of pytest closes what they have done together."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prefect_experiments.pytest_plugin.closing import _is_last


def test_it_is_the_one_that_is_done_last_and_one_only(tmp_path: Path) -> None:
    def is_last(name: str) -> bool:
        config: Any = SimpleNamespace(workerinput={"workerid": name, "workercount": 2})
        return _is_last(config, tmp_path)

    assert [is_last("gw0"), is_last("gw1")] == [False, True]
    assert not is_last("gw0"), "where both have looked when both were done"
    assert _is_last(SimpleNamespace(), tmp_path), "there is one process alone"  # type: ignore[arg-type]
