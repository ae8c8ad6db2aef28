"""The engine: runs the task over examples and the evaluators over outputs. asyncio only.

It knows neither Prefect nor HTTP nor a database, and can be used alone::

    engine = Engine(task, evaluators, sink=sink, concurrency=10)
    await engine.run(items)
    await engine.evaluate(items)
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from prefect_experiments.engine.budget import Account, Budget
from prefect_experiments.engine.calls import REACHES_OUT_S, Caller, Target
from prefect_experiments.engine.dispatch import Job, call_each, call_each_sliced, together
from prefect_experiments.engine.items import EvaluationItem, RunItem, Sink
from prefect_experiments.engine.limits import ActiveLimits, Pace
from prefect_experiments.engine.outcomes import CallResult
from prefect_experiments.engine.policy import CallPolicy
from prefect_experiments.engine.threads import Threads
from prefect_experiments.engine.traces import UNTRACED, TracedEvaluator, TracedTask, TraceFigures, Tracer
from prefect_experiments.engine.trouble import Trouble
from prefect_experiments.errors import ExperimentStopped, InvalidSetting, describe
from prefect_experiments.interruptions import is_for_the_process
from prefect_experiments.jsonable import dumps_lenient, dumps_output
from prefect_experiments.models import EvaluationResult
from prefect_experiments.options import EvaluationOptions
from prefect_experiments.records import EvaluationRecord, RunRecord
from prefect_experiments.tasks import Fields, Task
from prefect_experiments.times import milliseconds

if TYPE_CHECKING:
    from prefect_experiments.evaluators import BoundEvaluator

logger = logging.getLogger("prefect_experiments")

T = TypeVar("T")
EvaluationJob = tuple[EvaluationItem, "BoundEvaluator"]
TASK = "the task"


class Engine:
    """Makes the calls of one experiment.

    At most `concurrency` calls of the task are in flight, whatever the number of batches, and as
    many of the evaluators. A task's call counts as in flight until its result is durable.

    Args:
        task: what to run; ``None`` where only evaluators run.
        evaluators: what scores the outputs.
        sink: where results are made durable.
        policy: timeout, retries and rate limits, for the task and the evaluators alike.
        exit_on_error: raise `ExperimentStopped` at the first run whose task failed.
        tracer: traces the calls; ``None`` for none.
        pace: what calls that reach out wait for before they start; ``None`` for nothing.
        one_pool: whether `concurrency` holds for the calls of the task and those of evaluators that reach out together.
        ready: what every call waits for at last; raises where none may begin any more. ``None`` for nothing.
        budget: when it is over, calls of the task, of judges, and of other evaluators that have been heard to use a
            model are not begun any more; see `stopped`.

    Raises:
        InvalidSetting: `concurrency` is not a whole number of at least 1.
    """

    def __init__(
        self,
        task: Task | None,
        evaluators: Sequence[BoundEvaluator] = (),
        *,
        sink: Sink,
        concurrency: int = 10,
        policy: CallPolicy | None = None,
        exit_on_error: bool = False,
        tracer: Tracer | None = None,
        pace: Pace | None = None,
        one_pool: bool = False,
        ready: Callable[[], Awaitable[None]] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.evaluators = tuple(evaluators)
        self._budget = budget
        self._sink = sink
        self._concurrency = EvaluationOptions(concurrency=concurrency).concurrency
        self._policy = policy or CallPolicy()
        self._exit_on_error = exit_on_error
        self._threads = Threads()
        self._task_slots = asyncio.Semaphore(concurrency)
        self._evaluator_slots = asyncio.Semaphore(concurrency)
        self._limits = ActiveLimits(pace=pace)
        self.trouble = Trouble(self._limits.met)
        self._one_pool = one_pool
        self._ready = ready
        self._traced_task = tracer.task(task) if tracer and task else None
        self._traced = {e.name: tracer.evaluator(e) for e in self.evaluators} if tracer else {}
        self._accounts: dict[str, Account] = {}  # by whose calls they are of
        self._task_caller = self._caller(task, self._traced_task, TASK, dumps_output) if task else None
        self._callers = {e.name: self._caller(e, self._traced.get(e.name), _in_words(e)) for e in self.evaluators}
        # Whose evaluations a name is for: two evaluators that use one name would overwrite each other.
        self._named_by = {evaluator.name: evaluator.name for evaluator in self.evaluators}
        self._warned = False
        self.runs_done = 0
        self.run_errors = 0
        self.evaluations_done = 0
        self.evaluation_errors = 0

    @property
    def limits(self) -> ActiveLimits:
        """The providers' limits that its calls have met."""
        return self._limits

    @property
    def abandoned(self) -> int:
        """How many calls went on when their time was over, or when they were cancelled: nobody can end them."""
        return sum(caller.abandoned for caller in self._every_caller())

    @property
    def stopped(self) -> str | None:
        """Why calls were not begun, where the budget is over; ``None`` where none was wanted since."""
        withheld = any(caller.has_withheld for caller in self._every_caller())
        return self._budget.why_over if self._budget and withheld else None

    def _every_caller(self) -> list[Caller]:
        return [*self._callers.values(), *([self._task_caller] if self._task_caller else [])]

    def _caller(
        self,
        target: Target,
        traced: TracedTask | TracedEvaluator | None,
        who: str,
        keep: Callable[[Any], Any] | None = None,
    ) -> Caller:
        limits, one_pool, ready, budget = self._limits, self._one_pool, self._ready, self._budget
        make: Callable[..., Caller] = functools.partial(
            Caller, traced or target, self._policy, self._threads, limits, keep, one_pool, ready, trouble=self.trouble
        )
        if budget is None:
            return make()
        account = budget.account(who, costs=getattr(target, "kind", "LLM") != "CODE")
        self._accounts[who] = account

        def attempted(fields: Fields) -> None:
            if traced is not None:
                account.hear(fields, traced.used(fields))

        return make(is_over=lambda: account.is_over, attempted=attempted)

    def _slots_for(self, evaluator: Caller) -> asyncio.Semaphore:
        if not self._one_pool:
            return self._evaluator_slots
        if evaluator.reaches_out:
            return self._task_slots
        return self._evaluator_slots if evaluator.is_known else evaluator.trial

    async def run(self, items: Iterable[RunItem], nearly_done: Callable[[], None] | None = None) -> None:
        """Call the task for each item and write what comes back.

        Args:
            items: the experiment runs to make.
            nearly_done: called when the last calls are being started, so that the next batch can
                begin before the slots stand empty.

        Raises:
            ExperimentStopped: a task failed and `exit_on_error` was asked for.
        """
        if self._task_caller is None:
            raise InvalidSetting("this engine has no task to run")
        jobs = deque(Job(item, _task_fields(item)) for item in items)
        try:
            await call_each(jobs, self._task_caller, self._task_slots, self._concurrency, self._finish_run, nearly_done)
        finally:
            if nearly_done is not None:
                nearly_done()

    async def _finish_run(self, job: Job[RunItem], result: CallResult) -> None:
        item = job.item
        output, warning = (None, None) if result.error is not None else result.value
        if warning and not self._warned:
            self._warned = True
            self._warn_of(warning, item)
        traced = self._traced_task
        trace = UNTRACED if traced is None else traced.finish(job.fields, item, output, result)
        if (account := self._accounts.get(TASK)) is not None:
            account.close(job.fields, trace, ok=result.error is None)
        # By place: by name takes twice as long, and there is one for each run.
        run = RunRecord(
            item.position,
            item.repetition_number,
            item.example_id,
            output,
            result.error,
            result.start,
            result.end,
            result.attempts,
            trace.token_count,
            trace.total_cost,
            trace.trace_id,
            None,  # metadata: only runs that were logged have any
            milliseconds(result.start, result.end) or None,
            trace.unpriced_json,
        )
        await self._sink.write_run(run)
        self.runs_done += 1
        if result.error is not None:
            self.run_errors += 1
            if self._exit_on_error:
                # The exception's text may hold the row's content, and what this error says reaches logs.
                raise ExperimentStopped(
                    f"the task raised {result.error_type} on example {item.example_id!r} "
                    f"(repetition {item.repetition_number}), and exit_on_error is set",
                    error=result.error,
                )

    def _warn_of(self, warning: str, item: RunItem) -> None:
        logger.warning(
            "The task's output on example %s is not JSON (%s). "
            "Return dicts, lists, strings and numbers to keep outputs exact. Said once for this experiment.",
            item.example_id,
            warning,
        )

    async def evaluate(self, items: Iterable[EvaluationItem]) -> None:
        """Call the named evaluators for each item and write their evaluations.

        An evaluator that fails is an evaluation with its error; the others go on.
        """
        wanted: dict[str, deque[Job[EvaluationJob]]] = {e.name: deque() for e in self.evaluators}
        by_name = {e.name: e for e in self.evaluators}
        for item in items:
            fields = _evaluator_fields(item)
            for name in item.evaluators:
                wanted[name].append(Job((item, by_name[name]), fields))
        await together([self._evaluate_with(by_name[name], jobs) for name, jobs in wanted.items() if jobs])

    async def _evaluate_with(self, evaluator: BoundEvaluator, jobs: deque[Job[EvaluationJob]]) -> None:
        caller, width = self._callers[evaluator.name], self._concurrency
        slots = functools.partial(self._slots_for, caller)
        # Of several calls in one visit to a thread, the cost is known only when all have been made.
        if evaluator.is_async or (self._budget is not None and evaluator.kind != "CODE"):

            async def finish(job: Job[EvaluationJob], result: CallResult) -> None:
                await self._finish_evaluations([(job, result)])

            await call_each(jobs, caller, slots(), width, finish)
        else:
            await call_each_sliced(
                jobs, caller, self._threads, slots, width, self._policy.timeout, self._finish_evaluations
            )

    async def _finish_evaluations(self, finished: list[tuple[Job[EvaluationJob], CallResult]]) -> None:
        made: list[EvaluationRecord] = []
        for job, result in finished:
            item, evaluator = job.item
            # In the call's own context: a `scorer` of the user's may be part of it.
            run = result.context.run if result.context is not None else _directly
            new = run(evaluation_records, item, evaluator, result, self._named_by)
            traced = self._traced.get(evaluator.name)
            trace = UNTRACED if traced is None else traced.finish(job.fields, item, new, result)
            if trace is not UNTRACED:
                new = _with_figures(new, trace)
            if (account := self._accounts.get(_in_words(evaluator))) is not None:
                account.close(job.fields, trace, ok=result.error is None)
            made.extend(new)
        self.evaluations_done += len(finished)
        self.evaluation_errors += sum(1 for evaluation in made if evaluation.error is not None)
        if made:
            await self._sink.write_evaluations(made)
            if any(map(_was_paid, made)):
                await self._sink.flush()


def _in_words(evaluator: BoundEvaluator) -> str:
    return f"evaluator {evaluator.name!r}"


def _with_figures(made: list[EvaluationRecord], trace: TraceFigures) -> list[EvaluationRecord]:
    """The evaluations of one call with its trace; what it has used is on the first of them, or it would count twice."""
    first, *others = [evaluation._replace(trace_id=trace.trace_id) for evaluation in made]
    used = first._replace(token_count=trace.token_count, total_cost=trace.total_cost, unpriced_json=trace.unpriced_json)
    return [used, *others]


def _was_paid(evaluation: EvaluationRecord) -> bool:
    """Whether it took a judge, or as long as asking one takes. Its slot is kept until it is durable, as a run's is."""
    return evaluation.annotator_kind != "CODE" or evaluation.end_time - evaluation.start_time >= REACHES_OUT_S


def _directly(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


def evaluation_records(
    item: EvaluationItem, evaluator: BoundEvaluator, result: CallResult, named_by: dict[str, str]
) -> list[EvaluationRecord]:
    """The records of one evaluator's call: its evaluations, or the error it ended in.

    Args:
        item: what was evaluated.
        evaluator: by whom.
        result: how the call ended.
        named_by: which evaluator gives the evaluations of a name; filled as names are met.
    """
    evaluations: Sequence[tuple[EvaluationResult, str | None]] = ()
    error = result.error
    if error is None:
        try:
            evaluations = [(e, _metadata_json(e)) for e in _parsed(evaluator, result.value, named_by)]
        except BaseException as raised:
            # A `scorer` of the user's may be part of it, and what its values do when they are read.
            if not isinstance(raised, Exception) and is_for_the_process(raised):
                raise
            error = describe(raised)
    if error is not None:
        evaluations = [(EvaluationResult(), None)]
    return [
        EvaluationRecord(
            item.run.position,
            item.run.repetition_number,
            evaluation.name or evaluator.name,
            evaluator.name,
            evaluator.kind,
            evaluator.fingerprint,
            None if evaluation.score is None else float(evaluation.score),
            evaluation.label,
            evaluation.explanation,
            metadata_json,
            error,
            result.start,
            result.end,
        )
        for evaluation, metadata_json in evaluations
    ]


def _metadata_json(evaluation: EvaluationResult) -> str | None:
    return dumps_lenient(evaluation.metadata)[0] if evaluation.metadata else None


def _parsed(evaluator: BoundEvaluator, value: object, named_by: dict[str, str]) -> Sequence[EvaluationResult]:
    evaluations = evaluator.parse(value)
    for evaluation in evaluations:
        if evaluation.name and (owner := named_by.setdefault(evaluation.name, evaluator.name)) != evaluator.name:
            raise ValueError(f"a result is named {evaluation.name!r}, as those of evaluator {owner!r} are; rename one")
    return evaluations or (EvaluationResult(),)


def _task_fields(item: RunItem) -> Fields:
    return Fields(item.example_id, item.input_json, item.expected_json, item.metadata_json, splits=item.splits)


def _evaluator_fields(item: EvaluationItem) -> Fields:
    run = item.run
    return Fields(
        run.example_id,
        run.input_json,
        run.expected_json,
        run.metadata_json,
        splits=run.splits,
        output_json=item.output_json,
        trace_id=item.trace_id,
    )
