"""What task runners send to their workers: the flow and the bodies go through cloudpickle, with all that they name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import cloudpickle
import pytest

import prefect_experiments
from prefect_experiments.orchestration.batches import evaluate, run_task
from prefect_experiments.orchestration.experiment_flow import experiment_flow, load_dataset, log_results
from prefect_experiments.orchestration.workers.task import worker_task

SENT = [experiment_flow, load_dataset, run_task, evaluate, log_results, worker_task]


def by_value(sent: Any) -> bytes:
    """As for a worker that does not have this package's modules loaded: functions with the globals they name."""
    cloudpickle.register_pickle_by_value(prefect_experiments)
    try:
        return cloudpickle.dumps(sent)
    finally:
        cloudpickle.unregister_pickle_by_value(prefect_experiments)


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=3)
@pytest.mark.parametrize("sent", SENT, ids=lambda sent: sent.name)
@pytest.mark.parametrize("dumps", [cloudpickle.dumps, by_value])
def test_it_arrives_in_another_process(sent: Any, dumps: Any) -> None:
    read = "import sys, cloudpickle; print(cloudpickle.load(sys.stdin.buffer).name)"
    found = subprocess.run([sys.executable, "-c", read], input=dumps(sent), capture_output=True, check=False)
    assert found.stdout.decode().strip() == sent.name, found.stderr.decode()
