"""The flow that compares what is there already, called in this process."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from prefect_experiments.flows.compare import compare
from support.on_prefect import on_the_server

__all__ = ["on_the_server"]


def _table(path: Path, right: int) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["example_id", "eval.right.score"])
        rows.writerows([f"e{n}", float(n < right)] for n in range(40))


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _table(tmp_path / "before.csv", 36)
    _table(tmp_path / "after.csv", 12)


@pytest.mark.usefixtures("tables")
def test_it_ends_as_the_gate_says_and_its_verdict_leads_to_itself_and_not_to_a_list(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Prefect's page of a flow run leads from an artifact with a key to everything that has had the key."""
    state: Any = asyncio.run(_compared())
    assert (state.type, state.name) == ("FAILED", "GateFailed")
    assert "right" in state.message
    assert capfd.readouterr().out == "", "the comparison is on the page, not in a worker's output"
    assert asyncio.run(_artifacts(state.state_details.flow_run_id)) == {("markdown", None), ("table", "metrics-mine")}


async def _compared() -> Any:
    return await compare(baseline="before.csv", candidate="after.csv", dataset="mine", return_state=True)


async def _artifacts(run_id: UUID) -> set[tuple[str | None, str | None]]:
    async with get_client() as api:
        found = await api.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
    return {(one.type, one.key) for one in found}
