"""Workers that a task runner of Prefect's runs: started, waited for, started again."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from uuid import UUID

from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_experiments.errors import (
    BudgetSpent,
    ExperimentInUse,
    ExperimentsError,
    StoreUnavailable,
    WorkersLost,
    describe,
)
from prefect_experiments.experiment.sharing import Part
from prefect_experiments.orchestration.workers import BUDGET_SPENT
from prefect_experiments.orchestration.workers.alone import deaf_to_ctrl_c
from prefect_experiments.orchestration.workers.ended import end_runs_left_of
from prefect_experiments.orchestration.workers.task import worker_task

LEFT_S = 5.0
"""So long a process that has done its part may take to end."""


class WorkerGone(Exception):
    """A worker has ended, and not by an error of ours: it was killed, or cut off.

    Attributes:
        run_id: of the Prefect task or flow run that showed it, as far as there was one.
    """

    def __init__(self, how: str, run_id: UUID | None = None) -> None:
        super().__init__(how)
        self.run_id = run_id


class Crew(Protocol):
    """What workers run on."""

    def entered(self) -> contextlib.AbstractAsyncContextManager[None]:
        """While this is entered, workers can be had; leaving it ends those that are still there."""

    async def let_go(self) -> None:
        """End workers that no longer answer, where that can be done: `work` raises `WorkerGone` for them."""

    def told(self, part: Part) -> str | None:
        """What is to stand in the store for a worker that can be told nothing else."""

    async def work(self, part: Part) -> None:
        """Have a worker do its part.

        Raises:
            WorkerGone: it has ended otherwise than by its own.
            ExperimentsError: it met an error.
        """


class TaskRunnerCrew:
    """Workers on task runners.

    Args:
        new_runner: makes a task runner, which is had while it is entered.
        workers: how many there are to be.
        is_alone: whether each gets a runner of its own: a process pool breaks as a whole.
    """

    def __init__(
        self, new_runner: Callable[[], contextlib.AbstractContextManager[Any]], workers: int, *, is_alone: bool
    ) -> None:
        self._new_runner, self._is_alone = new_runner, is_alone
        self._runners: dict[int, tuple[Any, contextlib.ExitStack]] = {}
        self._at_work: set[int] = set()
        self._run_ids: set[UUID] = set()
        self._lock = threading.Lock()  # a runner's client may be made when it is first needed, unlocked
        self._threads = ThreadPoolExecutor(workers + 1, "experiment-crew")

    @contextlib.asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """While this is entered, workers can be had."""
        try:
            yield
        finally:
            await self._end_all()
            self._threads.shutdown(wait=False)
            await end_runs_left_of(self._run_ids)

    async def let_go(self) -> None:
        """End the workers that have a runner of their own."""
        if self._is_alone:
            await self._end_all()

    async def _end_all(self) -> None:
        for number in list(self._runners):
            with contextlib.suppress(Exception):  # what is left of a runner that is broken
                await self._in_thread(self._end, number)

    def told(self, part: Part) -> str | None:
        """Nothing: it is handed over."""

    async def work(self, part: Part) -> None:
        """Have a worker do its part."""
        key = part.worker if self._is_alone else 0
        run_id: list[UUID] = []
        try:
            await self._in_thread(self._work, key, part, run_id)
        except (ExperimentInUse, StoreUnavailable) as error:  # it has been still, or cut off: others may not be
            raise WorkerGone(str(error), *run_id) from None
        except ExperimentsError:
            raise
        except Exception as error:
            if self._is_alone:
                with contextlib.suppress(Exception):
                    await self._in_thread(self._end, key)
            raise WorkerGone(describe(error), *run_id) from error

    def _work(self, key: int, part: Part, run_id: list[UUID]) -> None:
        quiet = deaf_to_ctrl_c() if self._is_alone else contextlib.nullcontext()
        with self._lock, _server_known(), quiet:
            if key not in self._runners:
                self._runners[key] = self._started()
            future = self._runners[key][0].submit(
                worker_task, {"worker": part.worker, "of": part.workers, "part": part.to_json()}
            )
            self._at_work.add(key)
        run_id.append(future.task_run_id)
        self._run_ids.add(future.task_run_id)
        try:
            future.result(raise_on_failure=True)
            if (state := future.state).name == BUDGET_SPENT:
                raise BudgetSpent(str(state.message))
        finally:
            self._at_work.discard(key)

    def _started(self) -> tuple[Any, contextlib.ExitStack]:
        with contextlib.ExitStack() as stack:
            try:
                runner = stack.enter_context(self._new_runner())
            except Exception as error:
                raise WorkersLost(
                    f"there are no workers, as their task runner does not start: {describe(error)}. Nothing was called "
                    "since; see to it, and resume the experiment"
                ) from error
            return runner, stack.pop_all()

    def _end(self, key: int) -> None:
        with self._lock:
            runner, stack = self._runners.pop(key, (None, contextlib.ExitStack()))
        # What a worker that has ended has told Prefect last is still on its way.
        killing = threading.Timer(0.0 if key in self._at_work else LEFT_S, _kill, [runner])
        killing.start()
        try:
            stack.close()
        finally:
            killing.cancel()

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, function, *args)


def _kill(runner: Any) -> None:
    """End the processes of a process pool, which waits for them: threads of the user's may keep one for ever.

    What they have for Prefect may be half said: it is not waited for either.
    """
    if (said := getattr(runner, "_subprocess_message_queue", None)) is not None:
        said.cancel_join_thread()
    executor = getattr(runner, "_executor", None)
    processes = getattr(executor, "_processes", None)
    for process in list((processes if isinstance(processes, dict) else {}).values()):
        process.kill()


@contextlib.contextmanager
def _server_known() -> Iterator[None]:
    """Workers use the temporary server of this process, where there is one: each would start one of its own."""
    if PREFECT_API_URL.value():
        yield
        return
    from prefect.server.api.server import SubprocessASGIServer

    server: Any = SubprocessASGIServer()
    if not server.running:
        yield
        return
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield
