"""One experiment under way in this process: its plan, its engine, its place in the store. Knows nothing of Prefect.

Starting, resuming, adding an evaluator and trying failures again are one thing: ask the store
what is missing, and do that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect_experiments.backends import Remote
from prefect_experiments.engine import (
    Batch,
    Budget,
    CallPolicy,
    Engine,
    EvaluationItem,
    Pace,
    default_batch_size,
    plan,
)
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.experiment.lifespans import lifespan_of
from prefect_experiments.experiment.limits_in_step import limits_in_step
from prefect_experiments.experiment.spec import ExperimentSpec
from prefect_experiments.settings import Settings
from prefect_experiments.store import Lease, Link, Recorder, Store
from prefect_experiments.store.leases import letting_go
from prefect_experiments.tasks import Task
from prefect_experiments.tracing import UsageCounter, instruments
from prefect_experiments.tracing.prices import Prices

if TYPE_CHECKING:
    from prefect_experiments.tracing import ExperimentTracer


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is: what it has done of what it has to do, not what was there already.

    Attributes:
        experiment_id: empty until the experiment is made.
        began: whether calls are being made.
        runs: calls of the task that have ended, of `runs_expected`.
        run_errors: those of them that failed.
        evaluations: evaluator calls that have ended.
        evaluators: evaluators in use.
        not_meant: evaluations that no evaluator is to give, as it is meant for other examples.
        trouble: what keeps calls that are under way from ending: refusals, timeouts, failures; empty where all is well.
    """

    experiment_id: str = ""
    began: bool = False
    runs: int = 0
    runs_expected: int = 0
    run_errors: int = 0
    evaluations: int = 0
    evaluators: int = 0
    not_meant: int = 0
    trouble: str = ""

    def __str__(self) -> str:
        """Such as ``run 400/1,319, 3 failed, 797/2,632 evaluations``, and what keeps calls from ending."""
        parts = []
        if self.runs_expected:
            parts.append(f"run {self.runs:,}/{self.runs_expected:,}")
        if self.run_errors:
            parts.append(f"{self.run_errors:,} failed")
        if self.evaluators:
            of = f"/{self.evaluations_expected:,}" if self.runs_expected else ""
            parts.append(f"{self.evaluations:,}{of} evaluations")
        said = ", ".join(parts) or "nothing left to do"
        return f"{said}; {self.trouble}" if self.trouble else said

    @property
    def evaluations_expected(self) -> int:
        """Evaluator calls that there are to be, as far as is known: those on runs that failed are not made.

        How many evaluations the runs of an earlier session lack is not known beforehand.
        """
        expected = (self.runs_expected - self.run_errors) * self.evaluators - self.not_meant
        return max(self.evaluations, expected)

    @property
    def share(self) -> float:
        """The share of all calls that have ended, from 0 to 1, as far as is known."""
        if not self.runs_expected:
            return float(self.began)
        return min(1.0, (self.runs + self.evaluations) / (self.runs_expected + self.evaluations_expected))


class Session:
    """An experiment under way in this process.

    Args:
        spec: what is to be done.
        store: where the experiment is.
        remote: the backend that gets the results, if it is not the store.
        link: the experiment's counterpart there.
        lease: what makes this process the one that makes the calls; let go of when they have ended.
        pace: at which the calls of several flows together may start.
        trace_attributes: what stands on the root span of every trace.
        shared: whether other processes make calls of the experiment at the same time.

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
        self._only = {e.name: frozenset(e.positions) for e in spec.evaluators if e.positions is not None}
        self._lease, self._pace, self._shared = lease, pace, shared
        self._engine: Engine | None = None
        self._recorder: Recorder | None = None
        self._started: set[int] = set()
        positions = self.record.positions
        if positions is None:
            positions = tuple(store.datasets.positions(self.record.version))
        repetitions = self.record.experiment.repetitions
        done = store.results.finished_runs(spec.experiment_id)
        options = spec.options
        size = options.batch_size or default_batch_size(len(positions), repetitions, options.concurrency)
        self.batches = plan(positions, repetitions, done, size)
        self.reused = len(done)
        self.to_run = sum(len(batch.missing) for batch in self.batches) if self.task else 0
        self._not_meant = sum(
            key[0] not in meant for batch in self.batches for key in batch.missing for meant in self._only.values()
        )

    @classmethod
    def open(cls, spec: ExperimentSpec, lease: Lease | None = None) -> Session:
        """The session of a spec that another process has made.

        Raises:
            NotFound: the experiment is not in the store.
            InvalidReference: the task or an evaluator is not where the spec says.
            InvalidSetting: the store or the backend is not what this process's settings lead to.
        """
        store = spec.open_store()
        return cls(spec, store, *spec.open_remote(store), lease=lease)

    @property
    def engine(self) -> Engine:
        """What makes the calls, inside `recording`."""
        assert self._engine is not None, "not recording"
        return self._engine

    @property
    def runs_done(self) -> int:
        """Calls of the task that have ended."""
        return self._engine.runs_done if self._engine else 0

    @property
    def evaluations_done(self) -> int:
        """Calls of evaluators that have ended."""
        return self._engine.evaluations_done if self._engine else 0

    @property
    def abandoned(self) -> int:
        """Calls that nobody waits for any more, and nobody could end."""
        return self._engine.abandoned if self._engine else 0

    @property
    def stopped(self) -> str | None:
        """Why calls that are missing were not begun; ``None`` where all were."""
        return self._engine.stopped if self._engine else None

    def progress(self) -> Progress:
        """How far this session is."""
        return Progress(
            experiment_id=self.spec.experiment_id,
            began=self._engine is not None,
            runs=self.runs_done,
            runs_expected=self.to_run,
            run_errors=self._engine.run_errors if self._engine else 0,
            evaluations=self.evaluations_done,
            evaluators=len(self.evaluators),
            not_meant=self._not_meant,
            trouble=str(self._engine.trouble) if self._engine else "",
        )

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Results go to the store while this is entered; leaving it waits until all are durable.

        Then another process may go on with the experiment, while this one still pushes what it has.
        """
        experiment_id, options = self.spec.experiment_id, self.spec.options
        replace = await asyncio.to_thread(self.store.results.has_evaluations, experiment_id)
        async with (
            letting_go(self._lease),
            Recorder(self.store.database, experiment_id, tuple(replace), self._lease) as recorder,
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
                budget=await asyncio.to_thread(self._budget),
            )
            async with limits_in_step(self.store, experiment_id, self._engine.limits, shared=self._shared):
                with self.tracer or contextlib.nullcontext():
                    yield

    def _budget(self) -> Budget | None:
        """What may still be spent: earlier sessions of the experiment have spent of it, too."""
        options = self.spec.options
        if options.budget is None:
            return None
        used = self.store.results.spending(self.spec.experiment_id)
        return Budget(options.budget, spent=used.spent, patience=options.concurrency)

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

    async def run_batch(self, batch: Batch, nearly_done: Callable[[], None]) -> None:
        """Run the task for what the batch misses."""
        missing = batch.missing
        if batch.number in self._started:  # a retry: what finished before the failure is in the store
            missing -= await asyncio.to_thread(self.store.results.finished_runs, self.spec.experiment_id)
        self._started.add(batch.number)
        items = await asyncio.to_thread(self.store.results.run_items, self.record.version, missing)
        await self.engine.run(items, nearly_done)

    async def evaluate_batch(self, batch: Batch) -> None:
        """Run the evaluators for the evaluations that the batch's ok runs lack."""
        await self.engine.evaluate(await asyncio.to_thread(self._lacking, batch))
        assert self._recorder is not None
        await self._recorder.flush()

    def lacks_evaluations(self, batch: Batch) -> bool:
        """Whether some ok run of the batch lacks an evaluation of the present evaluators."""
        return bool(self.evaluators and self._lacking(batch))

    def _lacking(self, batch: Batch) -> list[EvaluationItem]:
        """The batch's ok runs that lack an evaluation, with the evaluators that are to give it."""
        fingerprints = {e.name: e.fingerprint for e in self.evaluators}
        record = self.record
        return self.store.results.evaluation_items(
            record.experiment.id,
            record.version,
            batch.positions,
            fingerprints,
            passed=frozenset(self.spec.passed),
            only=self._only,
        )

    def has_calls_to_make(self) -> bool:
        """Whether anything is missing."""
        return bool(self.to_run) or any(self.lacks_evaluations(batch) for batch in self.batches)

    def with_lifespans(self) -> list[Task | BoundEvaluator]:
        """Of what is to be called, what has a lifespan: the task if runs are missing, evaluators if anything is."""
        task = [self.task] if self.task and self.to_run and lifespan_of(self.task.function) else []
        evaluators = [evaluator for evaluator in self.evaluators if lifespan_of(evaluator.function)]
        return [*task, *(evaluators if evaluators and self.has_calls_to_make() else ())]
