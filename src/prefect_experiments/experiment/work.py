"""What a flow takes through its steps: an experiment to run, or results to log. Knows nothing of Prefect."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.engine import Connection

from prefect_experiments import keys
from prefect_experiments.analysis import RanExperiment
from prefect_experiments.backends import Remote
from prefect_experiments.backends.linking import begin_remotely
from prefect_experiments.engine import Pace
from prefect_experiments.errors import AlreadyExists, ExperimentsError, InvalidInput
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.experiment.compare import Judging, judgement_of
from prefect_experiments.experiment.counts import Progress
from prefect_experiments.experiment.dataset_source import Pin
from prefect_experiments.experiment.idempotency import claim, claimed, refuse
from prefect_experiments.experiment.session import Session
from prefect_experiments.experiment.spec import CallableSpec, EvaluatorSpec, ExperimentSpec
from prefect_experiments.options import CallOptions
from prefect_experiments.origin import BEGUN_FOR, GATE, MARK, marked, of_flow_run
from prefect_experiments.settings import Settings
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Lease, Link, Store, TaskRecord
from prefect_experiments.store.leases import letting_go
from prefect_experiments.tasks import Task

if TYPE_CHECKING:
    from prefect_experiments.backends.base import HasMetadata
    from prefect_experiments.backends.pusher import PushOutcome

logger = logging.getLogger("prefect_experiments")


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for, checked, with everything found that it names; nothing of it is written yet.

    Attributes:
        name: the experiment's.
        dataset: the name of its dataset.
        store: where it is kept.
        remote: the backend that gets the results, if it is not the store.
        judging: what it is compared with when it is done.
        notes: what whoever watches should know.
    """

    name: str
    dataset: str
    store: Store
    remote: Remote | None = None
    judging: Judging | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """A new experiment to make.

    Attributes:
        pin: puts the dataset into a store and says which version and which examples.
        git: gives the commit that it is made at; see `ask_git`.
    """

    name: str
    pin: Callable[[Store], Pin]
    git: Callable[[], Mapping[str, Any]]
    repetitions: int = 1
    description: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunPlan(Plan):
    """An experiment to run, or to go on with.

    Attributes:
        begin: a new experiment to make, or the record of one to go on with.
        task: what to run; ``None`` to run evaluators only.
        evaluators: what to evaluate with.
        only_evaluators: by example id, the names of the evaluators that are meant for it; without an entry, all are.
        passed: names of the evaluators that the caller has given by themselves; what they may have given in a state
            that is not known is made again.
        options: how hard to work.
        backend: what leads to `remote` in another process: its name, or a saved block.
        set_global_tracer_provider: whether OpenTelemetry's global provider is to be ours.
        pace: at which the calls of several flows together may start.
    """

    begin: Start | ExperimentRecord = field(kw_only=True)
    task: Task | None = None
    evaluators: tuple[BoundEvaluator, ...] = ()
    only_evaluators: Mapping[str, Sequence[str]] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    options: CallOptions = field(default_factory=CallOptions)
    backend: str | None = None
    set_global_tracer_provider: bool = False
    pace: Pace | None = None


class Work:
    """A plan being carried out, from the dataset to the gate's verdict.

    Args:
        plan: what is to be done.
    """

    def __init__(self, plan: Plan) -> None:
        self.name, self.dataset = plan.name, plan.dataset
        self.store, self.remote = plan.store, plan.remote
        said = plan.judging and plan.judging.note
        self.notes = (*plan.notes, *([said] if said else []))
        self.link: Link | None = None
        self.outcome: PushOutcome | None = None
        self._judging = plan.judging
        self._shown: Mapping[str, str] = {}
        self._record: ExperimentRecord | None = None
        self._is_new = False

    @property
    def record(self) -> ExperimentRecord:
        """The experiment in the store, once it is there."""
        assert self._record is not None, "the experiment is not made yet"
        return self._record

    def _begin_remotely(self, *, alone: bool = False) -> None:
        """Find or make the experiment's counterpart in the backend, if there is a backend.

        Raises:
            AlreadyExists: names must be unique there, and this one is in use; nothing new is kept.
            InvalidInput: the backend does not take such a name; nothing new is kept.
            BackendUnavailable: it does not answer.
        """
        if self.remote is None:
            return
        try:
            self.link = begin_remotely(self.store, self.remote, self.record, alone=alone)
        except (AlreadyExists, InvalidInput):
            if self._is_new:  # under another name it would be another experiment: this one would be left over
                self.store.experiments.delete(self.record.experiment.id)
                self._record = None
            raise

    async def _push(
        self,
        say: Callable[[str], None],
        until: asyncio.Event | None = None,
        beside: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """Push what the backend lacks, and once `until` is set, until it has everything or is given up on."""
        if self.remote is None or self.link is None:
            return
        from prefect_experiments.backends.pusher import Push  # most experiments stay here

        push = Push(self.store, self.remote, self.link, patience=Settings().push_patience, say=say, beside=beside)
        self.outcome = await push.run(until)
        self.link = await asyncio.to_thread(self.store.links.of_experiment, self.link.experiment_id, self.link.target)

    @functools.cached_property
    def result(self) -> RanExperiment:
        """The experiment as the caller gets it, once everything is done."""
        raise NotImplementedError

    def conclude(self) -> RanExperiment:
        """Compare with the baseline and let the gate judge, where there are any."""
        if self._judging is not None:
            self._judging.apply(self.result)
            self._keep_verdict()
        self.store.database.settle()
        return self.result

    def _keep_verdict(self) -> None:
        """Have the experiment's metadata say the verdict, here and in a backend that has all of its results."""
        verdict = self.result.verdict
        if verdict is None:
            return
        self._record = self.store.experiments.note(self.record.experiment.id, **{GATE: verdict.status})
        self.store.judgements.keep(self.record.experiment.id, judgement_of(self.result))
        remote, link = self.remote, self.link
        if remote is None or link is None or self.waiting or not remote.capabilities.metadata_changes:
            return
        try:
            mark = {MARK: self.record.experiment.origin}
            cast("HasMetadata", remote).add_metadata(link.remote_id, mark)
        except ExperimentsError as error:  # the results are there, and the verdict is here
            logger.warning("%s does not show the gate's verdict: %s", remote.name, error)

    @property
    def unpushed(self) -> str | None:
        """What to say where the backend lacks results, or had to be waited for."""
        outcome, remote = self.outcome, self.remote
        if outcome is None or remote is None:
            return None
        said = []
        if outcome.waiting.total:
            why = f" ({outcome.trouble})" if outcome.trouble else ""
            said.append(
                f"{outcome.waiting.total} results wait for {remote.name}{why}; push them with "
                f"`prefect-experiments push {self.record.experiment.id} --to {remote.name}`"
            )
        elif outcome.waited_for is not None:
            said.append(
                f"The push waited {outcome.waited_s:.0f} s for {remote.name} ({outcome.waited_for}) and went on then"
            )
        if outcome.waiting.refused:
            said.append(f"{remote.name} refused {outcome.waiting.refused} results: {'; '.join(outcome.refusals)}")
        return ". ".join(said) or None

    @property
    def waiting(self) -> int:
        """How many results the backend lacks."""
        return self.outcome.waiting.total if self.outcome else 0


class RunWork(Work):
    """An experiment being run.

    Args:
        plan: what is to be done.
    """

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.plan = plan
        self.calls_ended, self.done = asyncio.Event(), asyncio.Event()
        self._session: Session | None = None
        self._lease: Lease | None = None
        begin = plan.begin
        if not isinstance(begin, Start):
            self._record = begin
        self._id = keys.new_id("exp") if self._record is None else self._record.experiment.id

    @property
    def session(self) -> Session:
        """What makes the calls, once `load_dataset` has run."""
        assert self._session is not None, "the dataset is not loaded yet"
        return self._session

    def progress(self) -> Progress:
        """How far it is; the experiment is named as soon as it is made."""
        if self._session is not None:
            return self._session.progress()
        return Progress() if self._record is None else Progress(self._record.experiment.id)

    @contextlib.asynccontextmanager
    async def held(self, key: str | None = None) -> AsyncIterator[None]:
        """While this is entered, this is the one process that makes the experiment's calls, until they have ended.

        Args:
            key: make the experiment now, as the only one of its dataset that is ever begun for this key.

        Raises:
            ExperimentInUse: another process makes them.
            AlreadyExists: there is an experiment for the key.
        """
        self._lease = self.store.leases.of_calls(self._id)
        async with letting_go(self._lease):
            if not isinstance(self.plan.begin, Start):
                await self._lease.take()
            elif key is not None:
                await asyncio.to_thread(self._begin, self.plan.begin, key)
            yield

    def _begin(self, start: Start, key: str | None = None) -> None:
        """Make the experiment, have it for the key, and be the one that makes its calls: all at once, or nothing."""
        pin = start.pin(self.store)
        if key is not None and (first := claimed(self.store, pin.version.dataset_id, key)) is not None:
            refuse(first.experiment.id, key)
        # Read before the transaction: a store in memory has one connection.
        evaluators = _known(self.plan.evaluators, self._meant_for(pin))
        facts = {**start.git(), **self._shown, BEGUN_FOR: key}
        start = replace(start, metadata=marked(start.metadata, **facts))
        database = self.store.database

        def begun() -> ExperimentRecord:
            with database.write(alone=True) as connection:
                record = self._create(start, pin, evaluators, connection)
                if key is not None:
                    claim(connection, record, key)
                if self._lease is not None:
                    self._lease.put(connection)
            return record

        self._record = database.outage.patiently(begun)
        self._is_new = True
        if self._lease is not None:
            self._lease.kept()

    def shown_by(self, flow_run_id: str) -> str | None:
        """Say which flow run shows this; gives that of a process which made the calls before, and was killed."""
        return None if self._lease is None else self._lease.shown_by(flow_run_id)

    def load_dataset(self, trace_attributes: Mapping[str, str] | None = None) -> None:
        """Make the experiment, or take up the one there is, and plan what is missing.

        Args:
            trace_attributes: what stands on the root span of every trace.
        """
        plan = self.plan
        self._shown = of_flow_run(trace_attributes)
        if isinstance(plan.begin, Start):
            if self._record is None:  # else this is a retry, or it was begun for a key
                self._begin(plan.begin)
        else:
            meant_for = {known.name: known.positions for known in plan.begin.evaluators}
            self.store.experiments.put_evaluators(plan.begin.experiment.id, _known(plan.evaluators, meant_for))
            self._record = self.store.experiments.get(plan.begin.experiment.id)
        if not self._shown.items() <= self.record.experiment.origin.items():
            self._record = self.store.experiments.note(self.record.experiment.id, **self._shown)
        self._begin_remotely()
        spec = self._spec(self.record)
        self._session = Session(
            spec,
            self.store,
            self.remote,
            self.link,
            lease=self._lease,
            pace=plan.pace,
            trace_attributes=trace_attributes,
        )

    def _create(
        self, start: Start, pin: Pin, evaluators: Sequence[EvaluatorRecord], connection: Connection
    ) -> ExperimentRecord:
        task = self.plan.task
        assert task is not None
        return self.store.experiments.create(
            start.name,
            pin.version,
            task=TaskRecord(task.name, task.fingerprint, task.reference),
            evaluators=evaluators,
            repetitions=start.repetitions,
            positions=pin.positions,
            splits=pin.splits,
            description=start.description,
            metadata=start.metadata,
            experiment_id=self._id,
            connection=connection,
        )

    def _meant_for(self, pin: Pin) -> dict[str, tuple[int, ...] | None]:
        """By evaluator, the examples that it is meant for; ``None`` for all."""
        chosen = self.plan.only_evaluators
        if not chosen:
            return {}
        outline = self.store.datasets.outline(pin.version)
        meant_for: dict[str, tuple[int, ...] | None] = {}
        for name in (evaluator.name for evaluator in self.plan.evaluators):
            places = tuple(place for place, example_id, _ in outline if name in chosen.get(example_id, [name]))
            meant_for[name] = None if len(places) == len(outline) else places
        return meant_for

    def _spec(self, record: ExperimentRecord) -> ExperimentSpec:
        plan = self.plan
        meant_for = {known.name: known.positions for known in record.evaluators}
        return ExperimentSpec(
            store=self.store.portable_url,
            experiment_id=record.experiment.id,
            dataset_version_id=record.version.id,
            task=None if plan.task is None else CallableSpec.of(plan.task),
            evaluators=tuple(EvaluatorSpec.of(e, positions=meant_for[e.name]) for e in plan.evaluators),
            passed=plan.passed,
            options=plan.options.model_copy(update={"task_runner": None}),  # whoever gets this makes the calls
            backend=plan.backend,
            set_global_tracer_provider=plan.set_global_tracer_provider,
        )

    def remarks(self) -> list[str]:
        """What to say of how the calls went, beside their results."""
        going_on = self.session.made().abandoned
        return [f"Calls that went on past their timeout, and may still cost: {going_on}"] if going_on else []

    async def push_results(self, say: Callable[[str], None]) -> None:
        """Push results as they come, until the calls have ended and the backend has everything."""
        tracer = self.session.tracer
        # Spans wait while results are pushed: sent beside them they would halve the speed of both.
        await self._push(say, self.calls_ended, contextlib.nullcontext if tracer is None else tracer.hold)

    @functools.cached_property
    def result(self) -> RanExperiment:
        """The experiment as the caller gets it, once everything is done."""
        session, made = self.session, self.session.made()
        ran = RanExperiment(
            self.store,
            self.store.experiments.get(self.record.experiment.id),
            reused=session.reused,
            ran=made.runs,
            evaluated=made.evaluations,
            link=self.link,
            waiting=self.waiting,
        )
        ran.asked = tuple(evaluator.name for evaluator in session.evaluators)
        return ran


def _known(
    evaluators: Iterable[BoundEvaluator], meant_for: Mapping[str, tuple[int, ...] | None]
) -> Sequence[EvaluatorRecord]:
    return [EvaluatorRecord(e.name, e.kind, e.fingerprint, e.reference, meant_for.get(e.name)) for e in evaluators]
