"""What is refused before anything is spent, because workers could not do it."""

from __future__ import annotations

import pickle
from typing import Any

from prefect.settings import PREFECT_API_URL

from prefect_experiments.errors import InvalidEvaluator, InvalidInput, InvalidSetting, InvalidTask
from prefect_experiments.experiment.places import remote_of
from prefect_experiments.experiment.spec import CallableSpec
from prefect_experiments.experiment.work import RunPlan
from prefect_experiments.options import DEPLOYMENT
from prefect_experiments.orchestration.workers.engines import check_engine, is_on_this_machine, starts_processes
from prefect_experiments.orchestration.workers.main_script import line_without_guard
from prefect_experiments.settings import Settings
from prefect_experiments.store.urls import parse_url, portable, url_text


def check_workers(plan: RunPlan) -> None:
    """See whether workers could do what is planned.

    Raises:
        InvalidInput: not so; the text says why, and what to do.
    """
    task_runner = plan.options.task_runner
    if task_runner is None:
        return
    check_engine(task_runner)
    if starts_processes(task_runner) and (line := line_without_guard()) is not None:
        raise InvalidSetting(
            f"the workers of {_named(task_runner)} are new processes, and each of them would run this script again "
            f"from its first line, with all that it calls: put line {line}, and what else is not to be repeated, under "
            "`if __name__ == '__main__':`. Nothing was called"
        )
    is_here = is_on_this_machine(task_runner)
    _check_store(plan, is_here=is_here)
    if is_here:
        _check_backend(plan)
    elif not PREFECT_API_URL.value():
        raise InvalidSetting(
            f"{_named(task_runner)} may have workers on other machines, which do not reach the temporary Prefect "
            "server that this process would start; set PREFECT_API_URL, here and for every worker, to a server that "
            "all of them reach, such as http://HOST:4200/api"
        )
    for error, found in [(InvalidTask, plan.task), *((InvalidEvaluator, each) for each in plan.evaluators)]:
        if found is None or found.reference is not None:
            continue
        if not is_here:
            raise error(
                f"{_kind(error)} {found.name!r} has no reference, as it is defined in the script that is run, in a "
                f"notebook, within a function, or made by a call; and {_named(task_runner)} may have workers on other "
                "machines, which find code by references only: put it into a module that is installed there, and pass "
                "'package.module:name'"
            )
        pickle.dumps(CallableSpec.of(found))  # as it will be sent


def _check_store(plan: RunPlan, *, is_here: bool) -> None:
    database, runner = plan.store.database, _named(plan.options.task_runner)
    if database.in_memory:
        raise InvalidSetting(
            f"the store is in the memory of this process, where no worker of {runner} finds it; set "
            "PREFECT_EXPERIMENTS_STORE_URL (or store_url=) to a file, sqlite:///PATH, or to a PostgreSQL database"
        )
    if database.is_sqlite:
        if not is_here:
            raise InvalidSetting(
                f"the store {plan.store.shown_url} is an SQLite file, which processes of one machine can share, and "
                f"{runner} may have workers on others; SQLite over a network file system loses data. Set "
                "PREFECT_EXPERIMENTS_STORE_URL, here and for every worker, to a PostgreSQL database that all of them "
                "reach: postgresql://USER:PASSWORD@HOST/NAME"
            )
        return
    # Those elsewhere have an environment of their own.
    has_secret = url_text(database.url) != portable(database.url)
    if is_here and has_secret and url_text(parse_url(Settings().resolved_store_url())) != url_text(database.url):
        raise InvalidSetting(
            f"workers are not told the password of the store at {plan.store.shown_url}, which would pass through "
            f"Prefect on its way: those of {runner} take it from the environment. Set PREFECT_EXPERIMENTS_STORE_URL to "
            "the URL that this process was given, or have PostgreSQL's PGPASSFILE lead to it"
        )


def _check_backend(plan: RunPlan) -> None:
    """Workers on this machine have its settings, and nothing of what was passed to a client."""
    if plan.remote is None:
        return
    try:
        there = remote_of(plan.backend)
    except InvalidInput as error:
        raise InvalidSetting(
            f"workers find the backend by this process's settings, and not by what was passed to a client: {error}"
        ) from None
    if there is None or there.target != plan.remote.target:
        raise InvalidSetting(
            f"workers find the backend by this process's settings, which lead to {there and there.target}, and not by "
            f"what was passed to a client, {plan.remote.target}; set here what was passed"
        )


def _kind(error: type[InvalidInput]) -> str:
    return "task" if error is InvalidTask else "evaluator"


def _named(task_runner: Any) -> str:
    if not isinstance(task_runner, str):
        address = getattr(task_runner, "address", None)
        return f"{type(task_runner).__name__}({f'address={address!r}' if address else ''})"
    return task_runner if task_runner.startswith(DEPLOYMENT) else f"task_runner={task_runner!r}"
