"""One experiment under way: its plan, its engine, its place in the store. Knows nothing of Prefect.

Starting, resuming, adding an evaluator and trying failures again are one thing: ask the store
what is missing, and do that.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.backends import Remote
from prefect_experiments.backends.linking import begin_remotely
from prefect_experiments.backends.pusher import Push, PushOutcome
from prefect_experiments.engine import Batch, CallPolicy, Engine, EvaluationItem, Pace, default_batch_size, plan
from prefect_experiments.errors import AlreadyExists, InvalidInput
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.experiment.idempotency import claim, claimed, refuse
from prefect_experiments.models import DatasetVersion
from prefect_experiments.options import CallOptions
from prefect_experiments.settings import Settings
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Link, Recorder, Store, TaskRecord
from prefect_experiments.tasks import Task

if TYPE_CHECKING:
    from prefect_experiments.experiment.compare import Judging
    from prefect_experiments.tracing import ExperimentTracer


@dataclass(frozen=True, slots=True)
class Start:
    """A new experiment to make when the session opens.

    Attributes:
        pin: puts the dataset into the store and says which version and which examples.
    """

    name: str
    pin: Callable[[Store], Pin]
    repetitions: int = 1
    description: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pin:
    """The examples an experiment is made on.

    Attributes:
        positions: ``None`` for all of the version.
    """

    version: DatasetVersion
    positions: tuple[int, ...] | None = None
    splits: tuple[str, ...] = ()


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
    """

    experiment_id: str
    began: bool
    runs: int
    runs_expected: int
    run_errors: int
    evaluations: int
    evaluators: int

    @property
    def share(self) -> float:
        """The share of all calls that have ended, from 0 to 1, as far as is known.

        How many evaluations the runs of an earlier session lack is not known beforehand.
        """
        if not self.runs_expected:
            return float(self.began)
        expected = self.runs_expected + (self.runs_expected - self.run_errors) * self.evaluators
        return min(1.0, (self.runs + self.evaluations) / expected)


class Session:
    """An experiment under way.

    Args:
        store: where it is kept.
        begin: a new experiment to make, or the record of one to go on with.
        task: what to run; ``None`` to run evaluators only.
        evaluators: what to evaluate with.
        limits: how hard to work.
        policy: the same for one call, with references followed.
        remote: the backend that gets the results, if it is not the store.
        set_global_tracer_provider: whether OpenTelemetry's global provider is to be ours.
        passed: the evaluators that the caller has given by themselves: what they may have given in a state that is not
            known is made again.
    """

    def __init__(
        self,
        store: Store,
        begin: Start | ExperimentRecord,
        *,
        task: Task | None,
        evaluators: Sequence[BoundEvaluator],
        limits: CallOptions,
        policy: CallPolicy,
        remote: Remote | None = None,
        set_global_tracer_provider: bool = False,
        passed: Collection[str] = (),
    ) -> None:
        self.store = store
        self.task = task
        self.evaluators = tuple(evaluators)
        self.limits = limits
        self._policy = policy
        self.remote = remote
        self._passed = frozenset(passed)
        self.link: Link | None = None
        self.push: PushOutcome | None = None
        self.tracer: ExperimentTracer | None = None
        self.trace_attributes: dict[str, str] = {}  # on the root span of every trace
        self._set_global = set_global_tracer_provider
        self.batches: list[Batch] = []
        self.reused = 0
        self.to_run = 0
        self._begin = begin
        self._record: ExperimentRecord | None = begin if isinstance(begin, ExperimentRecord) else None
        self._engine: Engine | None = None
        self._recorder: Recorder | None = None
        self._started: set[int] = set()
        self.calls_ended = asyncio.Event()
        self.done = asyncio.Event()
        self.flow_ended = False
        self.pace: Pace | None = None  # at which the calls of several flows may start
        self.judging: Judging | None = None  # what it is compared with in the end
        self.notes: list[str] = []  # what the flow's log should say to whoever watches

    @property
    def record(self) -> ExperimentRecord:
        """The experiment in the store, once `open` has run."""
        assert self._record is not None, "the session is not open"
        return self._record

    @property
    def name(self) -> str:
        """The experiment's name."""
        begin = self._begin
        return begin.name if isinstance(begin, Start) else begin.experiment.name

    def progress(self) -> Progress:
        """How far this session is."""
        engine, record = self._engine, self._record
        return Progress(
            experiment_id="" if record is None else record.experiment.id,
            began=engine is not None,
            runs=engine.runs_done if engine else 0,
            runs_expected=self.to_run,
            run_errors=engine.run_errors if engine else 0,
            evaluations=engine.evaluations_done if engine else 0,
            evaluators=len(self.evaluators),
        )

    @property
    def engine(self) -> Engine:
        """What makes the calls, inside `recording`."""
        assert self._engine is not None, "not recording"
        return self._engine

    def begin_once(self, key: str) -> None:
        """Make the experiment as the only one of its dataset that is ever begun for this key.

        Raises:
            AlreadyExists: there is one; nothing is left of this one.
        """
        assert isinstance(self._begin, Start), "an experiment that is gone on with has been begun"
        pin = self._begin.pin(self.store)
        if (first := claimed(self.store, pin.version.dataset_id, key)) is not None:
            refuse(first.experiment.id, key)
        record = self._create(self._begin, self._known(), pin)
        claim(self.store, record, key)
        self._record = record

    def open(self) -> None:
        """Make the experiment, or take up the one there is, and plan what is missing."""
        if isinstance(self._begin, Start):
            if self._record is None:  # else this is a retry, or it was begun for a key
                self._record = self._create(self._begin, self._known(), self._begin.pin(self.store))
        else:
            self.store.experiments.put_evaluators(self._begin.experiment.id, self._known())
            self._record = self.store.experiments.get(self._begin.experiment.id)
        if self.remote is not None:
            try:
                self.link = begin_remotely(self.store, self.remote, self.record)
            except (AlreadyExists, InvalidInput):  # a name that the backend does not take: nothing is to be left of it
                if isinstance(self._begin, Start):
                    self.store.experiments.delete(self.record.experiment.id)
                    self._record = None
                raise
        self.tracer = self._new_tracer()
        self._plan(self.record)

    def _known(self) -> list[EvaluatorRecord]:
        return [EvaluatorRecord(e.name, e.kind, e.fingerprint, e.reference) for e in self.evaluators]

    def _create(self, start: Start, evaluators: Sequence[EvaluatorRecord], pin: Pin) -> ExperimentRecord:
        assert self.task is not None
        return self.store.experiments.create(
            start.name,
            pin.version,
            task=TaskRecord(self.task.name, self.task.fingerprint, self.task.reference),
            evaluators=evaluators,
            repetitions=start.repetitions,
            positions=pin.positions,
            splits=pin.splits,
            description=start.description,
            metadata=start.metadata,
        )

    def _plan(self, record: ExperimentRecord) -> None:
        positions = record.positions
        if positions is None:
            positions = tuple(self.store.datasets.positions(record.version))
        repetitions = record.experiment.repetitions
        done = self.store.results.finished_runs(record.experiment.id)
        size = self.limits.batch_size or default_batch_size(len(positions), repetitions, self.limits.concurrency)
        self.batches = plan(positions, repetitions, done, size)
        self.reused = len(done)
        self.to_run = sum(len(batch.missing) for batch in self.batches) if self.task else 0

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Results go to the store while this is entered; leaving it waits until all are durable."""
        experiment_id = self.record.experiment.id
        replace = await asyncio.to_thread(self.store.results.has_evaluations, experiment_id)
        async with Recorder(self.store.database, experiment_id, replace=tuple(replace)) as recorder:
            self._recorder = recorder
            self._engine = Engine(
                self.task,
                self.evaluators,
                sink=recorder,
                concurrency=self.limits.concurrency,
                policy=self._policy,
                exit_on_error=self.limits.exit_on_error,
                tracer=self.tracer,
                pace=self.pace,
            )
            with self.tracer or contextlib.nullcontext():
                yield

    def _new_tracer(self) -> ExperimentTracer | None:
        """What traces the calls, where there is a place for traces or somebody wants their ids."""
        export = None if self.remote is None else self.remote.trace_export()
        if export is None and not self._set_global:
            return None
        from prefect_experiments.tracing import ExperimentTracer  # OpenTelemetry's SDK takes its time to import

        experiment, link = self.record.experiment, self.link
        return ExperimentTracer(
            (link and link.project_name) or experiment.name,
            export=export,
            metadata={
                "experiment_id": link.remote_id if link else experiment.id,
                "experiment_name": experiment.name,
                "dataset_id": link.remote_dataset_id if link else experiment.dataset_id,
                "dataset_version_id": link.remote_version_id if link else experiment.dataset_version_id,
            },
            attributes=self.trace_attributes,
            set_global=self._set_global,
        )

    async def run_batch(self, batch: Batch, nearly_done: Callable[[], None]) -> None:
        """Run the task for what the batch misses."""
        missing = batch.missing
        if batch.number in self._started:  # a retry: what finished before the failure is in the store
            missing -= await asyncio.to_thread(self.store.results.finished_runs, self.record.experiment.id)
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
            record.experiment.id, record.version, batch.positions, fingerprints, passed=self._passed
        )

    def has_calls_to_make(self) -> bool:
        """Whether anything is missing."""
        return bool(self.to_run) or any(self.lacks_evaluations(batch) for batch in self.batches)

    def judge(self) -> None:
        """Compare the result with the baseline and let the gate judge it, where there are any."""
        if self.judging is not None:
            self.judging.apply(self.result)

    @functools.cached_property
    def result(self) -> RanExperiment:
        """The experiment as the caller gets it, once it is done."""
        engine = self._engine
        ran = RanExperiment(
            self.store,
            self.store.experiments.get(self.record.experiment.id),
            reused=self.reused,
            ran=engine.runs_done if engine else 0,
            evaluated=engine.evaluations_done if engine else 0,
            link=self.link,
            waiting=self.push.waiting.total if self.push else 0,
        )
        ran.asked = tuple(evaluator.name for evaluator in self.evaluators)
        return ran

    async def push_results(self, say: Callable[[str], None]) -> None:
        """Push results to the backend as they come, until the calls have ended and it has everything."""
        if self.remote is None or self.link is None:
            return
        push = Push(
            self.store, self.remote, self.link, patience=Settings().push_patience, say=say, beside=self._held_back
        )
        self.push = await push.run(self.calls_ended)
        self.link = await asyncio.to_thread(self.store.links.of_experiment, self.link.experiment_id, self.link.target)

    def _held_back(self) -> contextlib.AbstractContextManager[None]:
        """Spans wait while this is entered: sent beside results they would halve the speed of both."""
        return self.tracer.hold() if self.tracer else contextlib.nullcontext()
