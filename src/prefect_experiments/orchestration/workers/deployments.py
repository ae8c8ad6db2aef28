"""Workers that are flow runs of a deployment, on its work pool: started, watched, ended.

A flow run gets names only: what it is to do stands in the store, and what it met is told there. Whether it is at work
is known from both: Prefect says what became of the flow run, and the worker's lease whether anybody is this worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments import arun_deployment

from prefect_experiments.display import counted, some
from prefect_experiments.errors import WorkCalledOff, WorkersLost, current_directory, describe
from prefect_experiments.experiment.sharing import Part
from prefect_experiments.experiment.worker_errors import from_text
from prefect_experiments.orchestration.patience import asked, current_line, is_away
from prefect_experiments.orchestration.workers.crew import WorkerGone
from prefect_experiments.orchestration.workers.ended import end_flow_run
from prefect_experiments.orchestration.workers.flow_runs import cancel, found_deployment, left_over, read, why_late
from prefect_experiments.references import path_within
from prefect_experiments.store import Lease, Store
from prefect_experiments.store.processes import Process

LOOK_S = 1.0
AGAIN_S = 5.0  # to the next try to have a flow run made, where Prefect's server is away
ENDS_WITHIN_S = 5.0
"""So long a flow run may take to end that is not to begin anything any more; then it is cancelled."""
LATE_S = 30.0
"""After so long it is told of that a worker has not begun."""
LEFT_S = 10.0
"""So long a flow run may take to end after its lease is over; then it is taken for gone."""

logger = logging.getLogger("prefect_experiments")


@dataclass(slots=True)
class _Seen:
    """What the store says of the work.

    Attributes:
        stopped: why nothing more is to be called.
        is_done: whether everything is done.
        errors: by worker, what it met.
        at_work: the workers that hold their lease.
    """

    stopped: str | None
    is_done: bool
    errors: Mapping[int, str]
    at_work: set[int]


@dataclass(slots=True)
class _Watched:
    """A flow run that is a worker."""

    part: Part
    run: FlowRun
    lease: Lease
    since: float = field(default_factory=time.monotonic)
    state: State | None = None
    has_begun: bool = False
    left_at: float | None = None
    gone: str | None = None  # how, where its process has left things undone
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def is_final(self) -> bool:
        return self.state is not None and self.state.is_final()

    def judge(self, seen: _Seen) -> None:
        """See whether it has ended, and how; a state that Prefect told must be older than what the store says."""
        worker = self.part.worker
        is_to_begin_again = self.state is not None and self.state.is_scheduled()  # as Prefect does with evicted pods
        self.has_begun = worker in seen.at_work or (self.has_begun and not is_to_begin_again)
        if self.state is not None and self.state.is_crashed():
            self.gone = self._how()
        if (error := seen.errors.get(worker)) is not None:
            self._end(from_text(error))
        elif (seen.stopped or seen.is_done) and (self.is_final or not self.has_begun):
            self._end(WorkCalledOff(f"nothing more is called: {seen.stopped}") if seen.stopped else None)
        elif self.is_final:
            self._end(self._failed())
        elif not self.has_begun or worker in seen.at_work:
            self.left_at = None
        elif self.left_at is None:
            self.left_at = time.monotonic()
        elif time.monotonic() - self.left_at > LEFT_S:
            self.gone = f"flow run {self.run.name!r} shows no sign of life"
            self._end(WorkerGone(self.gone))

    def _how(self) -> str:
        assert self.state is not None
        return f"flow run {self.run.name!r} is {self.state.name}: {self.state.message or 'it says nothing more'}"

    def _failed(self) -> Exception:
        how = self._how()
        if self.state is None or not self.state.is_failed():
            return WorkerGone(how)
        experiment_id = self.part.spec.experiment_id
        return WorkersLost(
            f"worker {self.part.worker} of experiment {experiment_id} failed, and {how}. What had finished is kept; go "
            f"on with `prefect-experiments resume {experiment_id}`"
        )

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)


class DeploymentCrew:
    """Workers that are flow runs of a deployment.

    Args:
        name: of the deployment, as ``flow/deployment``, or without the flow where that is `worker`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._deployment: DeploymentResponse | None = None
        self._watched: dict[UUID, _Watched] = {}
        self._starts = 0
        self._beginning = asyncio.Lock()
        self._late_told = False

    @contextlib.asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """While this is entered, workers can be had."""
        looking = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            await self.let_go()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def let_go(self) -> None:
        """Cancel the flow runs that do not end by themselves: those that nothing has started end at once."""
        until = time.monotonic() + ENDS_WITHIN_S
        while time.monotonic() < until and any(  # noqa: ASYNC110 - Prefect's server is asked
            watched.has_begun and not watched.is_final for watched in self._watched.values()
        ):
            await asyncio.sleep(LOOK_S / 2)
        left = [watched.run.id for watched in self._watched.values() if not watched.is_final]
        if left:
            await current_line().tell("the end of workers' flow runs", cancel(left), in_any_case=True)

    def told(self, part: Part) -> str | None:
        """The part, with paths that lead to the same files in another copy of the project's folder."""
        here, spec = current_directory(), part.spec

        def there(reference: str | None) -> str | None:
            return reference if reference is None or here is None else path_within(reference, here)

        task = spec.task and spec.task.model_copy(update={"reference": there(spec.task.reference)})
        evaluators = tuple(one.model_copy(update={"reference": there(one.reference)}) for one in spec.evaluators)
        spec = spec.model_copy(update={"task": task, "evaluators": evaluators})
        return part.model_copy(update={"spec": spec}).model_dump_json()

    async def work(self, part: Part) -> None:
        """Have a flow run do a worker's part."""
        store = part.spec.open_store()
        async with self._beginning:
            if self._deployment is None:
                await self._begin(part)
        run = await self._start(part, store)
        if run is None:
            return
        lease = store.shared_work.lease(part.spec.experiment_id, part.worker, part.leader)
        watched = self._watched[run.id] = _Watched(part, run, lease)
        try:
            await watched.ended
        finally:
            if watched.gone is not None:
                del self._watched[run.id]
                await current_line().tell("the end of a worker that is gone", end_flow_run(run.id, watched.gone))

    async def _begin(self, part: Part) -> None:
        """Find the deployment, and end the flow runs of an earlier process that led this experiment, and is gone."""
        what = f"no worker of the deployment {self._name!r} can be had"
        self._deployment = await asked(what, partial(found_deployment, self._name))
        line, before = current_line(), "the end of flow runs that were workers of this experiment before"
        if left := await line.tell(before, left_over(self._deployment, _tag(part))):
            many = counted(len(left), "flow run")
            logger.info("Cancelling %s of workers that were started for this experiment before.", many)
            await line.tell(before, cancel(left))

    async def _start(self, part: Part, store: Store) -> FlowRun | None:
        """Have a flow run made; ``None`` where it is not needed any more."""
        line, number = current_line(), part.worker
        assert self._deployment is not None
        self._starts += 1
        key = f"{Process.of(part.leader).token} {number} {self._starts}"
        while True:
            try:
                async with asyncio.timeout(line.patience):
                    return await arun_deployment(
                        self._deployment.id,
                        parameters={"experiment": part.spec.experiment_id, "worker": number},
                        timeout=0,
                        as_subflow=True,
                        flow_run_name=f"worker {number} of {part.workers} of {part.spec.experiment_id}",
                        tags=[_tag(part)],
                        idempotency_key=key,
                    )
            except Exception as error:
                if not is_away(error):
                    raise WorkersLost(
                        f"Prefect's server makes no flow run of the deployment {self._name!r}: {describe(error)}. "
                        f"Go on with `prefect-experiments resume {part.spec.experiment_id}` when it does"
                    ) from error
                line.lacks(f"the flow run of worker {number}", error)
            seen = await asyncio.to_thread(_look, store, [], part.spec.experiment_id)
            if seen.is_done or seen.stopped:
                return None
            await asyncio.sleep(AGAIN_S)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - it is raised where workers are waited for
                for watched in self._watched.values():
                    if not watched.ended.done():
                        watched.ended.set_exception(error)

    async def _look(self) -> None:
        unended = [watched for watched in self._watched.values() if not watched.is_final]
        if not unended:
            return
        run_ids = [watched.run.id for watched in unended]
        runs = await current_line().tell("a look at the workers' flow runs", read(run_ids)) or {}
        for watched in unended:
            watched.state = runs.get(watched.run.id, watched.state)
        waited_for = [watched for watched in self._watched.values() if not watched.ended.done()]
        if not waited_for:
            return
        part = waited_for[0].part
        leases = [(watched.part.worker, watched.lease) for watched in waited_for]
        seen = await asyncio.to_thread(_look, part.spec.open_store(), leases, part.spec.experiment_id)
        for watched in waited_for:
            watched.judge(seen)
        await self._tell_of_late([watched for watched in waited_for if not watched.has_begun])

    async def _tell_of_late(self, waiting: list[_Watched]) -> None:
        late = [w for w in waiting if w.state is None or w.state.is_scheduled() or w.state.is_pending()]
        is_time = any(time.monotonic() - w.since > LATE_S and not w.ended.done() for w in late)
        if not is_time or self._late_told or self._deployment is None:
            return
        self._late_told = True
        why = await current_line().tell("why workers are late", why_late(self._deployment)) or "it is not known why"
        logger.warning(
            "%d worker%s not started for %.0f s: waiting for flow runs %s of the deployment %r. %s.",
            len(late),
            " has" if len(late) == 1 else "s have",
            LATE_S,
            some((watched.run.name for watched in late), 3, repr),
            self._name,
            why,
        )


def _tag(part: Part) -> str:
    return f"experiment:{part.spec.experiment_id}"


def _look(store: Store, leases: list[tuple[int, Lease]], experiment_id: str) -> _Seen:
    work = store.shared_work
    at_work = set()
    with store.database.read() as connection:
        for worker, lease in leases:
            if not lease.is_left(connection):
                at_work.add(worker)
    return _Seen(work.stopped(experiment_id), work.is_done(experiment_id), work.errors(experiment_id), at_work)
