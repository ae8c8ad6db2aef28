"""Which task runner a name stands for, and what can be run on it."""

from __future__ import annotations

import contextvars
import os
import sys
from functools import partial
from types import ModuleType
from typing import Any, Self, cast

from prefect.task_runners import PrefectTaskRunner, ProcessPoolTaskRunner, ThreadPoolTaskRunner

from prefect_experiments.errors import InvalidSetting, needs_extra
from prefect_experiments.options import DEPLOYMENT
from prefect_experiments.orchestration.workers.clusters import local_dask, local_ray, quiet_dask
from prefect_experiments.orchestration.workers.crew import Crew, TaskRunnerCrew
from prefect_experiments.orchestration.workers.deployments import DeploymentCrew


def crew_of(task_runner: Any, workers: int) -> Crew:
    """The workers that a task runner means.

    Args:
        task_runner: its name, or a task runner of Prefect's.
        workers: how many there are to be.
    """
    match task_runner:
        case "processes":
            return TaskRunnerCrew(lambda: _OneProcess(max_workers=1), workers, is_alone=True)
        case "dask":
            return TaskRunnerCrew(partial(local_dask, workers), workers, is_alone=False)
        case "ray":
            return TaskRunnerCrew(partial(local_ray, workers), workers, is_alone=False)
        case str():
            return DeploymentCrew(task_runner.removeprefix(DEPLOYMENT).strip())
    if _is_dask(task_runner):
        return TaskRunnerCrew(partial(quiet_dask, task_runner), workers, is_alone=False)
    return TaskRunnerCrew(task_runner.duplicate, workers, is_alone=isinstance(task_runner, ProcessPoolTaskRunner))


class _OneProcess(ProcessPoolTaskRunner):
    """A process pool that knows Prefect's settings of whoever started it also where it passes on what workers tell."""

    def __enter__(self) -> Self:
        self._here = contextvars.copy_context()
        return super().__enter__()

    def _forward_subprocess_messages(self) -> None:
        self._here.run(super()._forward_subprocess_messages)


def check_engine(task_runner: Any) -> None:
    """See whether workers can be had of it.

    Raises:
        InvalidSetting: not so; the text says what to do.
    """
    if task_runner == "dask":
        with needs_extra("dask", "task_runner='dask'", instead="use task_runner='processes'"):
            import prefect_dask  # noqa: F401
    if task_runner == "ray":
        with needs_extra("ray", "task_runner='ray'", instead="use task_runner='processes'"):
            import prefect_ray  # noqa: F401
            import ray  # noqa: F401 - which is imported lazily
    if isinstance(task_runner, PrefectTaskRunner):
        raise InvalidSetting(
            "task_runner=PrefectTaskRunner() cannot be used: what a worker of Prefect's task queue held when it was "
            "killed is not delivered to another one, so that the experiment would wait for ever. On several machines, "
            "use task_runner='deployment:NAME', DaskTaskRunner(address=...) or RayTaskRunner(address=...)"
        )


def is_on_this_machine(task_runner: Any) -> bool:
    """Whether all workers will be on this machine, with its files; ``False`` also where that cannot be known."""
    if task_runner == "dask" or _is_dask(task_runner):
        return _dask_is_here(task_runner)
    if task_runner == "ray" or _is_ray(task_runner):
        return _ray_is_here(task_runner)
    return task_runner == "processes" or isinstance(task_runner, ProcessPoolTaskRunner | ThreadPoolTaskRunner)


def starts_processes(task_runner: Any) -> bool:
    """Whether its workers are new processes of Python's, which import the script that is run."""
    if _is_dask(task_runner):
        return _dask_is_here(task_runner)
    return task_runner in ("processes", "dask") or isinstance(task_runner, ProcessPoolTaskRunner)


def _is_dask(task_runner: Any) -> bool:
    found = sys.modules.get("prefect_dask")  # who has a runner of it, has imported it
    return found is not None and isinstance(task_runner, cast(Any, found).DaskTaskRunner)


def _is_ray(task_runner: Any) -> bool:
    found = sys.modules.get("prefect_ray")
    return found is not None and isinstance(task_runner, cast(Any, found).RayTaskRunner)


def _dask_is_here(task_runner: Any) -> bool:
    import distributed

    try:  # its task runner takes the client that there is, whatever else it was told
        cluster = distributed.Client.current().cluster
    except ValueError:
        if task_runner == "dask":
            return True
        if task_runner.address is not None:
            return False
        cluster = task_runner._cluster or task_runner.resolved_cluster_class or distributed.LocalCluster
    return isinstance(cluster, distributed.LocalCluster) or (
        isinstance(cluster, type) and issubclass(cluster, distributed.LocalCluster)
    )


def _ray_is_here(task_runner: Any) -> bool:
    ray: Any | ModuleType = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():  # likewise
        here = ray.util.get_node_ip_address()
        return all(node["NodeManagerAddress"] == here for node in ray.nodes() if node["Alive"])
    if task_runner == "ray":
        return True
    address = task_runner.address or task_runner.init_kwargs.get("address") or os.environ.get("RAY_ADDRESS")
    return address in (None, "local")
