"""What Prefect is asked to keep of a large experiment: batches, and nothing for each example."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.slow
def test_a_large_regression_is_few_task_runs_and_events(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", "set by what is called")  # and undone after the test
    import prefect_overhead as measured  # type: ignore[import-not-found]

    task_runs, events = measured.count_large(prefect_api, 2000)
    assert 4 <= task_runs < measured.MOST_TASK_RUNS
    assert task_runs < events < measured.MOST_EVENTS


@pytest.mark.thorough
def test_a_call_imports_only_what_it_needs(prefect_api: str, tmp_path: Path) -> None:
    code = (
        "import json, sys; from prefect_experiments import run_experiment;"
        "ran = run_experiment(dataset=[{'input': 'a', 'output': 'a'}], task=lambda input: input,"
        " evaluators={'same': lambda output, expected: output == expected}, print_summary=False);"
        "print(json.dumps([ran.summary.metrics['same'].mean, [name for name in"
        " ('fastapi', 'pandas', 'scipy', 'alembic', 'opentelemetry.sdk.trace', 'prefect_experiments.pixie')"
        " if name in sys.modules]]))"
    )
    url = f"sqlite:///{tmp_path}/experiments.db"
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PREFECT_EXPERIMENTS_STORE_URL": url}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [1.0, []]
