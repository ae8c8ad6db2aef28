"""Several experiments at once on one PostgreSQL store, each with workers of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from prefect_experiments import AsyncClient
from tests.orchestration.workers.harness import App, called, rows

EXAMPLES, EXPERIMENTS = 120, 4


@pytest.mark.slow
def test_four_experiments_at_once(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "its_shared_app", raising=False)
    monkeypatch.setenv("DRIVER", str(os.getpid()))
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", postgres_url)  # with the password, which does not travel
    app = App(tmp_path)
    app.go()

    async def all_of_them() -> list[tuple[int, int, float]]:
        client = AsyncClient(store_url=postgres_url)
        dataset = await client.datasets.create(name="numbers", examples=rows(EXAMPLES))
        made = await asyncio.gather(
            *(
                client.experiments.run_experiment(
                    dataset=dataset,
                    task="its_shared_app:double",
                    evaluators=["its_shared_app:right"],
                    experiment_name=called(f"at-once-{number}"),
                    task_runner="processes",
                    workers=2,
                    concurrency=4,
                    print_summary=False,
                )
                for number in range(EXPERIMENTS)
            )
        )
        return [(ran.ran, ran.evaluated, ran.summary.metrics["right"].mean or 0.0) for ran in made]

    assert asyncio.run(all_of_them()) == [(EXAMPLES, EXAMPLES, 1.0)] * EXPERIMENTS
    assert set(app.calls().values()) == {EXPERIMENTS}
    assert len(app.pids()) == 2 * EXPERIMENTS
