"""What Prefect tries again: what broke, and neither what has stopped an experiment nor what its caller did wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any, cast

import pytest
from prefect.states import Failed

from prefect_experiments.errors import BudgetSpent, ExperimentStopped, InvalidInput, StoreUnavailable
from prefect_experiments.orchestration.running import worth_a_retry
from support.patience import PATIENCE_S

RUN = """
    import sys
    from prefect_experiments import run_experiment
    from prefect_experiments.errors import ExperimentStopped

    def breaks(input):
        print("called for", input)
        raise ValueError("broken")

    try:
        run_experiment(
            dataset=[{"input": "one"}, {"input": "two"}], task=breaks, exit_on_error=True, retries=0, concurrency=1,
            print_summary=False,
        )
    except ExperimentStopped as stopped:
        print(type(stopped).__name__)
"""


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ExperimentStopped("a task raised"), False),
        (BudgetSpent("stopped"), False),
        (InvalidInput("what is this?"), False),
        (StoreUnavailable("it has been waited for"), False),
        (OSError("a network that has gone away"), True),
    ],
)
def test_a_prefect_task_is_tried_again_where_that_may_help(error: Exception, again: bool) -> None:
    assert worth_a_retry(None, cast("Any", None), Failed(data=error)) is again


@pytest.mark.thorough
def test_prefects_default_for_retries_is_none_of_an_experiments(store_url: str) -> None:
    """It is read when the flow is made: in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(RUN)],
        env={**os.environ, "PREFECT_FLOWS_DEFAULT_RETRIES": "1", "PREFECT_EXPERIMENTS_STORE_URL": store_url},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout.splitlines() == ["called for one", "ExperimentStopped"], done.stderr
