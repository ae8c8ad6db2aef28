"""One experiment under way in this process: its plan, its engine, its place in the store. Knows nothing of Prefect.

Starting, resuming, adding an evaluator and trying failures again are one thing: ask the store
what is missing, and do that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prefect_experiments.backends import Remote
from prefect_experiments.engine import Batch, Budget, CallPolicy, Engine, Pace
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.experiment.counts import Progress
from prefect_experiments.experiment.lifespans import lifespan_of
from prefect_experiments.experiment.limits_in_step import limits_in_step
from prefect_experiments.experiment.missing import Missing
from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.settings import Settings
from prefect_experiments.store import Lease, Link, Recorder, Store
from prefect_experiments.store.leases import letting_go
from prefect_experiments.store.shared_work import Done
from prefect_experiments.tasks import Task
from prefect_experiments.tracing import UsageCounter, instruments
from prefect_experiments.tracing.prices import Prices

if TYPE_CHECKING:
    from prefect_experiments.tracing import ExperimentTracer


class Session:
    """An experiment under way in this process.

    Args:
        spec: what is to be done.
        store: where the experiment is.
        remote: the backend that gets the results, if it is not the store.
        link: the experiment's counterpart there.
        lease: what makes this process the one that makes the calls, or some of them; let go of when they have ended.
        pace: at which the calls of several flows together may start.
        trace_attributes: what stands on the root span of every trace.
        spent_before: US dollars that had been spent before this session; by default what the store knows by now.
        shared: whether other processes make calls of the experiment at the same time.

    Attributes:
        missing: what the experiment lacks.
        by_workers: what other processes have done of it, where they make the calls.

    Raises:
        NotFound: the experiment is no longer there.
        InvalidReference: the task or an evaluator is not where the spec says.
        InvalidTask, InvalidEvaluator: it is in another state there.
    """

    def __init__(
        self,
        spec: ExperimentSpec,
        store: Store,
        remote: Remote | None = None,
        link: Link | None = None,
        *,
        lease: Lease | None = None,
        pace: Pace | None = None,
        trace_attributes: Mapping[str, str] | None = None,
        spent_before: float | None = None,
        shared: bool = False,
    ) -> None:
        self.spec = spec
        self.store = store
        self.record = store.experiments.get(spec.experiment_id)
        if self.record.version.id != spec.dataset_version_id:
            raise InvalidSetting(
                f"experiment {spec.experiment_id} is on dataset version {self.record.version.id}, and the spec says "
                f"{spec.dataset_version_id}"
            )
        self.task = None if spec.task is None else spec.task.task()
        self.evaluators = tuple(evaluator.evaluator() for evaluator in spec.evaluators)
        self.tracer = self._new_tracer(remote, link, dict(trace_attributes or {}))
        self.lease, self._pace, self._shared = lease, pace, shared
        self.by_workers: Done | None = None
        self._engine: Engine | None = None
        self._budget: Budget | None = None
        self._spent_before = spent_before
        self._recorder: Recorder | None = None
        only = {e.name: frozenset(e.positions) for e in spec.evaluators if e.positions is not None}
        self.missing = Missing(store, self.record, self.evaluators, passed=spec.passed, only=only, is_shared=shared)
        self.reused = self.missing.finished
        self.to_run = self.missing.runs if self.task else 0
        self._not_meant = self.missing.not_meant()

    @classmethod
    def open(cls, spec: ExperimentSpec, lease: Lease | None = None, **more: Any) -> Session:
        """The session of a spec that another process has made.

        Raises:
            NotFound: the experiment is not in the store.
            InvalidReference: the task or an evaluator is not where the spec says.
            InvalidSetting: the store or the backend is not what this process's settings lead to.
        """
        store = spec.open_store()
        return cls(spec, store, *spec.open_remote(store), lease=lease, **more)

    @property
    def engine(self) -> Engine:
        """What makes the calls, inside `recording`."""
        assert self._engine is not None, "not recording"
        return self._engine

    def made(self) -> Done:
        """What calls have been made: by this process, or by the workers, as far as is known."""
        engine = self._engine
        if engine is None:
            return self.by_workers or Done()
        spent = 0.0 if self._budget is None else self._budget.spent - (self._spent_before or 0.0)
        trouble = str(engine.trouble)
        return Done(engine.runs_done, engine.run_errors, engine.evaluations_done, engine.abandoned, spent, trouble)

    def spent_elsewhere(self, dollars: float) -> None:
        """Take what other workers have spent of the budget."""
        if self._budget is not None:
            self._budget.elsewhere = dollars

    @property
    def stopped(self) -> str | None:
        """Why calls that are missing were not begun; ``None`` where all were."""
        return self._engine.stopped if self._engine else None

    def progress(self) -> Progress:
        """How far this session is."""
        return self._progress(self.made())

    def evaluations_after(self, made: Done) -> int:
        """How many evaluator calls there are to be, where these runs were made."""
        return self._progress(made).evaluations_expected if self.to_run else made.evaluations

    def _progress(self, made: Done) -> Progress:
        return Progress(
            experiment_id=self.spec.experiment_id,
            began=self._engine is not None or self.by_workers is not None,
            runs=made.runs,
            runs_expected=self.to_run,
            run_errors=made.run_errors,
            evaluations=made.evaluations,
            evaluators=len(self.evaluators),
            not_meant=self._not_meant,
            trouble=made.trouble,
        )

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Results go to the store while this is entered; leaving it waits until all are durable.

        Then another process may go on with the experiment, while this one still pushes what it has.
        """
        experiment_id, options = self.spec.experiment_id, self.spec.options
        replace = await asyncio.to_thread(self.store.results.has_evaluations, experiment_id)
        self._budget = await asyncio.to_thread(self._new_budget)
        async with (
            letting_go(self.lease),
            Recorder(self.store.database, experiment_id, tuple(replace), self.lease) as recorder,
        ):
            self._recorder = recorder
            self._engine = Engine(
                self.task,
                self.evaluators,
                sink=recorder,
                concurrency=options.concurrency,
                policy=CallPolicy.of(options),
                exit_on_error=options.exit_on_error,
                tracer=self.tracer,
                pace=self._pace,
                one_pool=options.concurrency_limit is not None,
                ready=recorder.ready,
                budget=self._budget,
            )
            async with limits_in_step(self.store, experiment_id, self._engine.limits, shared=self._shared):
                with self.tracer or contextlib.nullcontext():
                    yield

    def _new_budget(self) -> Budget | None:
        """What may still be spent: earlier sessions of the experiment have spent of it, too."""
        options = self.spec.options
        if options.budget is None:
            return None
        if self._spent_before is None:
            self._spent_before = self.store.results.spending(self.spec.experiment_id).spent
        return Budget(options.budget, spent=self._spent_before, patience=options.concurrency)

    def _new_tracer(
        self, remote: Remote | None, link: Link | None, attributes: dict[str, str]
    ) -> ExperimentTracer | UsageCounter | None:
        """What traces the calls, where there is a place for traces or somebody wants their ids; else, what counts."""
        export = None if remote is None else remote.trace_export()
        settings = Settings()
        if settings.count_tokens:
            instruments.set_up()
        if export is None and not self.spec.set_global_tracer_provider:
            return UsageCounter(Prices.of_settings()) if settings.count_tokens else None
        from prefect_experiments.tracing import ExperimentTracer  # OpenTelemetry's SDK takes its time to import

        experiment = self.record.experiment
        return ExperimentTracer(
            (link and link.project_name) or experiment.name,
            export=export,
            metadata={
                "experiment_id": link.remote_id if link else experiment.id,
                "experiment_name": experiment.name,
                "dataset_id": link.remote_dataset_id if link else experiment.dataset_id,
                "dataset_version_id": link.remote_version_id if link else experiment.dataset_version_id,
            },
            attributes=attributes,
            set_global=self.spec.set_global_tracer_provider,
            prices=Prices.of_settings(),
        )

    def batches(self) -> Iterator[Batch]:
        """All of the experiment in batches."""
        return self.missing.batches(self.spec.options)

    async def lacks_runs(self, batch: Batch) -> bool:
        """Whether the task is to be run for some of the batch."""
        return self.task is not None and await asyncio.to_thread(self.missing.has_runs, batch)

    async def lacks_evaluations(self, batch: Batch) -> bool:
        """Whether some ok run of the batch lacks an evaluation of the present evaluators."""
        return await asyncio.to_thread(self._lacks_evaluations, batch)

    def _lacks_evaluations(self, batch: Batch) -> bool:
        return bool(self.evaluators and self.missing.evaluation_items(batch))

    async def run_batch(self, batch: Batch, nearly_done: Callable[[], None]) -> None:
        """Run the task for what the batch misses."""
        await self.engine.run(await asyncio.to_thread(self.missing.run_items, batch), nearly_done)

    async def evaluate_batch(self, batch: Batch) -> None:
        """Run the evaluators for the evaluations that the batch's ok runs lack."""
        await self.engine.evaluate(await asyncio.to_thread(self.missing.evaluation_items, batch))
        assert self._recorder is not None
        await self._recorder.flush()

    def has_calls_to_make(self) -> bool:
        """Whether anything is missing."""
        return bool(self.to_run) or any(map(self._lacks_evaluations, self.batches()))

    def with_lifespans(self) -> list[Task | BoundEvaluator]:
        """Of what is to be called, what has a lifespan: the task if runs are missing, evaluators if anything is."""
        task = [self.task] if self.task and self.to_run and lifespan_of(self.task.function) else []
        evaluators = [evaluator for evaluator in self.evaluators if lifespan_of(evaluator.function)]
        return [*task, *(evaluators if evaluators and self.has_calls_to_make() else ())]
