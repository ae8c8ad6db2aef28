"""The public calls: run, resume, evaluate. Each in two forms, ``x()`` and ``await ax()``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.analysis.gate import Gate
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.loops import waited
from prefect_experiments.models import Sample
from prefect_experiments.orchestration.claims import check_key
from prefect_experiments.orchestration.comparing import check_directions, judging
from prefect_experiments.orchestration.flows import run_dry, run_session
from prefect_experiments.orchestration.pinning import Selection
from prefect_experiments.orchestration.request import (
    experiment_to_continue,
    limits_of,
    new_session,
    remote_of,
    resumed_session,
    store_of,
)
from prefect_experiments.orchestration.session import Session
from prefect_experiments.orchestration.shared_limits import look_up
from prefect_experiments.store import ExperimentRecord

P = ParamSpec("P")
T = TypeVar("T")


async def arun_experiment(
    *,
    dataset: Any,
    task: Any = None,
    evaluators: Any = None,
    experiment_name: str | None = None,
    experiment_description: str | None = None,
    experiment_metadata: Mapping[str, Any] | None = None,
    backend: str | None = None,
    dataset_version: str | None = None,
    types: Mapping[str, str] | None = None,
    splits: str | Sequence[str] | None = None,
    sample: Sample | None = None,
    repetitions: int = 1,
    concurrency: int = 10,
    timeout: float | None = 60,
    retries: int = 3,
    rate_limit_errors: Any = None,
    dry_run: bool | int = False,
    exit_on_error: bool = False,
    baseline: Any = None,
    gate: Gate | Mapping[str, Any] | str | Path | None = None,
    batch_size: int | None = None,
    concurrency_limit: str | None = None,
    rate_limit: str | None = None,
    idempotency_key: str | None = None,
    set_global_tracer_provider: bool = False,
    print_summary: bool = True,
    client: Any = None,
) -> RanExperiment:
    """Run a task over a dataset, score the outputs, and keep everything in the store.

    Args:
        dataset: a `Dataset`, the name or id of one, the path of a .csv, .tsv, .json, .jsonl, .parquet or
            .xlsx file, a DataFrame or another table that speaks Arrow, or a list of examples or mappings.
        task: the function under test, or a reference ``"package.module:name"`` or
            ``"path/file.py:name"``. It may take any of ``input, expected, reference, output,
            metadata, example, dataset_row`` by name; its only parameter gets ``input``.
        evaluators: one, a list, or ``{name: evaluator}``; callables, `Evaluator` objects,
            phoenix-evals evaluators, references, names of built-ins.
        experiment_name: default, the task's name and the time.
        experiment_description: a sentence for people.
        experiment_metadata: a JSON object.
        backend: where the experiment is kept: ``"local"``, ``"phoenix"``, or a saved block such as
            ``"phoenix-credentials/prod"``; default the client's, else from the settings, else
            ``"local"``. Results go to the store first in any case, and from there to the backend.
        dataset_version: id or number of a version; default, the newest.
        types: by column of a file or a table, what its cells are: ``text``, ``number``, ``bool`` or ``json``. A
            CSV file has no types: where nothing is said, its cells are text.
        splits: use only the examples of these splits.
        sample: use only a sample of the examples.
        repetitions: how often each example is run.
        concurrency: calls of the task in flight at most, and as many of the evaluators.
        timeout: seconds for one attempt of the task or an evaluator; ``None`` for no limit.
        retries: further attempts after one that raised.
        rate_limit_errors: exception classes (or references to them) that mean "too fast": they
            lower the rate and use up no retry. Default: errors with HTTP status 429, or whose class is
            called ``RateLimitError``, ``TooManyRequests`` or ``ResourceExhausted``.
        dry_run: ``True`` for one random example, a number for that many. Nothing is written, and
            neither Prefect nor a backend is called. Baseline and gate are looked at, to see whether
            they can be used, but a few examples are neither compared nor judged.
        exit_on_error: stop at the first task error.
        baseline: what the result is compared with: an id, a name, ``tag:NAME``, ``latest``, a
            `RanExperiment`, or a results table. A tag that nobody has yet is no error.
        gate: turns the comparison into a verdict: a `Gate`, a mapping of its fields, or the path of
            a YAML or JSON file. The flow run ends failed where the gate fails; the call returns all
            the same, with ``comparison`` and ``verdict``.
        batch_size: examples for each Prefect task run; default, a size that fits.
        concurrency_limit: a global concurrency limit of Prefect's, by name. The experiment takes
            `concurrency` of its slots while it makes calls, or what there is, and waits for them.
        rate_limit: one with a slot decay: so many calls of all flows that name it start in a second.
        idempotency_key: begin only one experiment of the dataset for this key, whoever asks, and give
            it the key as a tag; so ``tag:KEY`` leads to it.
        set_global_tracer_provider: make our tracer provider OpenTelemetry's global one where none is
            set, so that spans that the task or an instrumentor makes belong to the run's trace.
        print_summary: print the scores at the end.
        client: the `Client` whose store and backend to use; default, those that the settings name.

    Returns:
        The experiment with its results.

    Raises:
        InvalidInput: anything that cannot be used, before anything is run.
        NotFound: no such dataset or version.
        AlreadyExists: an experiment was begun for the idempotency key before; nothing is run.
        ExperimentStopped: a task failed and `exit_on_error` was set; what had finished is kept.
        StoreUnavailable: the store could not be written to for a minute; resume later.
    """
    remote = remote_of(backend, client)
    store = store_of(client)
    limits = limits_of(
        concurrency=concurrency,
        timeout=timeout,
        retries=retries,
        rate_limit_errors=rate_limit_errors,
        exit_on_error=exit_on_error,
        batch_size=batch_size,
        concurrency_limit=concurrency_limit,
        rate_limit=rate_limit,
    )
    chosen = (splits,) if isinstance(splits, str) else tuple(splits or ())
    prepare = partial(
        new_session,
        dataset=dataset,
        task=task,
        evaluators=evaluators,
        store=store,
        limits=limits,
        name=experiment_name,
        description=experiment_description,
        metadata=experiment_metadata,
        selection=Selection(version=dataset_version, splits=chosen, sample=sample),
        types=types,
        repetitions=repetitions,
        dry_run=dry_run,
        remote=remote,
        set_global_tracer_provider=set_global_tracer_provider,
    )
    session, dataset_name = await asyncio.to_thread(prepare)
    check = partial(judging, baseline, gate, store, remote, dataset_name, dry_run=dry_run is not False)
    session.judging = await asyncio.to_thread(check)
    await asyncio.to_thread(check_directions, session.judging, session.evaluators)
    if dry_run is not False:
        ran = await run_dry(session)
    else:
        await look_up(session)
        if idempotency_key is not None:
            await asyncio.to_thread(session.begin_once, check_key(idempotency_key))
        ran = await run_session(session, dataset=dataset_name, experiment=session.name)
    return _shown(ran, session, print_summary)


async def aresume_experiment(
    *,
    experiment: Any,
    dataset: str | None = None,
    task: Any = None,
    evaluators: Any = None,
    concurrency: int = 10,
    timeout: float | None = 60,
    retries: int = 3,
    rate_limit_errors: Any = None,
    exit_on_error: bool = False,
    baseline: Any = None,
    gate: Gate | Mapping[str, Any] | str | Path | None = None,
    batch_size: int | None = None,
    concurrency_limit: str | None = None,
    rate_limit: str | None = None,
    set_global_tracer_provider: bool = False,
    print_summary: bool = True,
    client: Any = None,
) -> RanExperiment:
    """Go on with an experiment: make the missing and failed runs, and the missing, failed or changed verdicts.

    Outputs that are there are kept. A finished experiment is returned as it is, and nothing is called; unless it has
    evaluations of which nobody knows which state of an evaluator made them, for another client did, and that evaluator
    is passed: then it runs again. What was logged is kept.

    Args:
        experiment: id, name, ``tag:NAME``, ``latest``, an `Experiment` or a `RanExperiment`.
        dataset: name or id of the dataset a name, a tag or ``latest`` is looked for in.
        task: the task; default, the experiment's own, found again by its reference.
        evaluators: further ones, or new states of those there are; the experiment's own are found
            again by their references.
        concurrency: as for `run_experiment`, like all that follow.
        timeout: seconds for one attempt.
        retries: further attempts.
        rate_limit_errors: errors that mean "too fast".
        exit_on_error: stop at the first task error.
        baseline: what the result is compared with, another experiment than this one.
        gate: turns the comparison into a verdict.
        batch_size: examples for each Prefect task run.
        concurrency_limit: a global concurrency limit of Prefect's to take `concurrency` slots of.
        rate_limit: one of call starts a second.
        set_global_tracer_provider: make our tracer provider OpenTelemetry's global one where none is
            set, so that spans that the task or an instrumentor makes belong to the run's trace.
        print_summary: print the scores at the end.
        client: the `Client` whose store and backend to use.

    Raises:
        NotFound: no such experiment.
        InvalidSetting: the experiment is its own baseline.
        InvalidTask: runs are missing and the task cannot be found again.
        InvalidEvaluator: verdicts are missing and their evaluator cannot be found again.
    """
    return await _continue(
        experiment,
        dataset,
        client,
        print_summary,
        run_missing=True,
        set_global_tracer_provider=set_global_tracer_provider,
        task=task,
        evaluators=evaluators,
        baseline=baseline,
        gate=gate,
        limits={
            "concurrency": concurrency,
            "timeout": timeout,
            "retries": retries,
            "rate_limit_errors": rate_limit_errors,
            "exit_on_error": exit_on_error,
            "batch_size": batch_size,
            "concurrency_limit": concurrency_limit,
            "rate_limit": rate_limit,
        },
    )


async def aevaluate_experiment(
    *,
    experiment: Any,
    evaluators: Any,
    dataset: str | None = None,
    concurrency: int = 10,
    timeout: float | None = 60,
    retries: int = 3,
    rate_limit_errors: Any = None,
    batch_size: int | None = None,
    concurrency_limit: str | None = None,
    rate_limit: str | None = None,
    set_global_tracer_provider: bool = False,
    print_summary: bool = True,
    client: Any = None,
) -> RanExperiment:
    """Run evaluators on the outputs of an experiment; the task is not called.

    Verdicts that an evaluator has given already are kept, unless it failed or has changed since, or it is not known
    in which state it gave them: those that another client made, or that were logged, are made again.

    Args:
        experiment: id, name, ``tag:NAME``, ``latest``, an `Experiment` or a `RanExperiment`.
        evaluators: as for `run_experiment`.
        dataset: name or id of the dataset a name, a tag or ``latest`` is looked for in.
        concurrency: as for `run_experiment`, like all that follow.
        timeout: seconds for one attempt.
        retries: further attempts.
        rate_limit_errors: errors that mean "too fast".
        batch_size: examples for each Prefect task run.
        concurrency_limit: a global concurrency limit of Prefect's to take `concurrency` slots of.
        rate_limit: one of call starts a second.
        set_global_tracer_provider: make our tracer provider OpenTelemetry's global one where none is
            set, so that spans that the task or an instrumentor makes belong to the run's trace.
        print_summary: print the scores at the end.
        client: the `Client` whose store and backend to use.

    Raises:
        NotFound: no such experiment.
        InvalidEvaluator: an evaluator that cannot be used.
    """
    return await _continue(
        experiment,
        dataset,
        client,
        print_summary,
        run_missing=False,
        set_global_tracer_provider=set_global_tracer_provider,
        task=None,
        evaluators=evaluators,
        limits={
            "concurrency": concurrency,
            "timeout": timeout,
            "retries": retries,
            "rate_limit_errors": rate_limit_errors,
            "exit_on_error": False,
            "batch_size": batch_size,
            "concurrency_limit": concurrency_limit,
            "rate_limit": rate_limit,
        },
    )


async def _continue(
    experiment: Any,
    dataset: str | None,
    client: Any,
    print_summary: bool,
    *,
    run_missing: bool,
    set_global_tracer_provider: bool,
    task: Any,
    evaluators: Any,
    limits: dict[str, Any],
    baseline: Any = None,
    gate: Any = None,
) -> RanExperiment:
    store, remote = store_of(client), remote_of(None, client)
    checked = limits_of(**limits)

    def prepare() -> tuple[Session, ExperimentRecord]:
        record, keeper, notes = experiment_to_continue(experiment, store, dataset, remote)
        session = resumed_session(
            record,
            task=task,
            evaluators=evaluators,
            store=store,
            limits=checked,
            run_missing=run_missing,
            remote=keeper,
            set_global_tracer_provider=set_global_tracer_provider,
        )
        session.notes.extend(notes)
        session.judging = judging(baseline, gate, store, keeper, record.experiment.dataset_name)
        check_directions(session.judging, session.evaluators)
        _refuse_itself(session, record)
        return session, record

    session, record = await asyncio.to_thread(prepare)
    await look_up(session)
    found = record.experiment
    ran = await run_session(session, dataset=found.dataset_name, experiment=found.name)
    return _shown(ran, session, print_summary)


def _refuse_itself(session: Session, record: ExperimentRecord) -> None:
    """An experiment is no worse than itself: ``latest``, or a tag that it was given, may lead to it."""
    baseline = session.judging and session.judging.baseline
    if not isinstance(baseline, RanExperiment):
        return
    kept_as = baseline.experiment_id if baseline.link is None else baseline.link.experiment_id
    if kept_as == record.experiment.id:
        raise InvalidSetting(
            f"experiment {record.experiment.id} would be compared with itself; name its baseline by another id"
        )


def _shown(ran: RanExperiment, session: Session, print_summary: bool) -> RanExperiment:
    if print_summary:
        from prefect_experiments.reports.terminal import print_outcome

        print_outcome(ran, kept_in=session.store.shown_url)
    return ran


def _synchronous(function: Callable[P, Coroutine[Any, Any, T]], name: str) -> Callable[P, T]:
    call = waited(function)
    call.__name__ = call.__qualname__ = name
    return call


run_experiment = _synchronous(arun_experiment, "run_experiment")
resume_experiment = _synchronous(aresume_experiment, "resume_experiment")
evaluate_experiment = _synchronous(aevaluate_experiment, "evaluate_experiment")
