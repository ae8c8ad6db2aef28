"""Which task runner a name stands for, and what can be run on it."""

from __future__ import annotations

from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner

from prefect_experiments.options import DEPLOYMENT
from prefect_experiments.orchestration.workers.crew import Crew, TaskRunnerCrew
from prefect_experiments.orchestration.workers.deployments import DeploymentCrew


def crew_of(task_runner: Any, workers: int) -> Crew:
    """The workers that a task runner means.

    Args:
        task_runner: its name, or a task runner of Prefect's.
        workers: how many there are to be.
    """
    if task_runner == "processes":
        return TaskRunnerCrew(lambda: ProcessPoolTaskRunner(max_workers=1), workers, is_alone=True)
    if task_runner == "dask":
        from prefect_dask import DaskTaskRunner

        local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        return TaskRunnerCrew(lambda: DaskTaskRunner(cluster_kwargs=local), workers, is_alone=False)
    if task_runner == "ray":
        from prefect_ray import RayTaskRunner

        local = {"num_cpus": workers, "include_dashboard": False}
        return TaskRunnerCrew(lambda: RayTaskRunner(init_kwargs=local), workers, is_alone=False)
    if isinstance(task_runner, str):
        return DeploymentCrew(task_runner.removeprefix(DEPLOYMENT).strip())
    return TaskRunnerCrew(task_runner.duplicate, workers, is_alone=isinstance(task_runner, ProcessPoolTaskRunner))
