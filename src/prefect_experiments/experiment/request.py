"""What a caller asks for, checked before anything is spent, as a session that is ready to go."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prefect_experiments.backends import Remote, find_backend, open_remote
from prefect_experiments.backends.linking import pull_experiment
from prefect_experiments.engine import CallPolicy
from prefect_experiments.errors import (
    AmbiguousName,
    BackendUnavailable,
    InvalidEvaluator,
    InvalidSetting,
    InvalidTask,
    NotFound,
)
from prefect_experiments.evaluators import BoundEvaluator, as_before, resolve_evaluators
from prefect_experiments.experiment.arguments import EvaluateArguments, Place, ResumeArguments, RunArguments
from prefect_experiments.experiment.dataset_source import DatasetSource
from prefect_experiments.experiment.naming import about_dataset, check_experiment_name
from prefect_experiments.experiment.needs import KeptExamples, check_needs
from prefect_experiments.experiment.session import Pin, Session, Start
from prefect_experiments.jsonable import NotJson, dumps_strict
from prefect_experiments.models import Experiment
from prefect_experiments.options import CallOptions, Sample, Selection
from prefect_experiments.settings import Settings
from prefect_experiments.store import ExperimentRecord, Link, Store, open_store
from prefect_experiments.tasks import Task, resolve_task


def remote_of(backend: str | None, client: Place | None = None) -> Remote | None:
    """The backend that is asked for, else the client's, else the one that the settings name; ``None`` for the store.

    Args:
        backend: a name, or that of saved options, such as a block of Prefect: ``phoenix-credentials/prod``.
        client: a `Client` or `AsyncClient`.

    Raises:
        InvalidSetting: one that there is not, or that cannot be reached as it is described.
    """
    theirs: Remote | None = getattr(client, "remote", None)
    if backend is None and client is not None:
        return theirs
    name = backend or Settings().backend
    return theirs if theirs is not None and theirs.name == name else open_remote(name)


def remote_of_link(link: Link, remote: Remote | None) -> Remote:
    """The backend that an experiment is kept in already.

    Args:
        link: the experiment's.
        remote: the one that the caller or the settings name, if any.

    Raises:
        InvalidSetting: it is another one, and a key would have to be guessed.
    """
    if remote is not None and remote.target == link.target:
        return remote
    name, _, url = link.target.partition(" ")
    configured = open_remote(name)
    if configured is not None and configured.target == link.target:
        return configured
    raise InvalidSetting(
        f"experiment {link.experiment_id} is kept in {name} at {url}, and the settings name another place; "
        f"pass client=Client(backend={name!r}, {find_backend(name).address}={url!r})"
    )


def store_of(client: Place | None) -> Store:
    """The store of a client; without a client the one that the settings name."""
    if client is None:
        return open_store()
    store = getattr(client, "store", None)
    if not isinstance(store, Store):
        raise InvalidSetting(f"client must be a Client or AsyncClient of prefect_experiments, got {client!r:.80}")
    return store


def new_session(arguments: RunArguments, store: Store, remote: Remote | None) -> tuple[Session, str]:
    """A session for a new experiment, and the name of its dataset. Nothing is written yet.

    A dry run gets a store of its own in memory, and a random sample of the examples.
    """
    policy = CallPolicy.of(arguments)
    if arguments.task is None:
        raise InvalidTask("there is no task to run; pass task=, a function or a reference 'package.module:name'")
    task = resolve_task(arguments.task)
    evaluators = resolve_evaluators(arguments.evaluators)
    metadata = json_object("experiment_metadata", arguments.experiment_metadata)
    name = _default_name(task.name) if arguments.experiment_name is None else arguments.experiment_name
    check_experiment_name(name, remote)
    if remote is not None:
        remote.check()
    source = DatasetSource(arguments.dataset, store, Selection.of(arguments), remote, arguments.types)
    notes = check_needs(evaluators, source.to_use(store))
    target = store
    pin: Callable[[Store], Pin] = source.pin
    if arguments.dry_run is not False:
        sample = Sample(n=int(arguments.dry_run))
        target, pin = Store("sqlite://"), partial(source.pin_sample, source=store, sample=sample)
        remote = None
    session = Session(
        target,
        Start(name, pin, arguments.repetitions, arguments.experiment_description, metadata),
        task=task,
        evaluators=evaluators,
        limits=CallOptions.of(arguments),
        policy=policy,
        remote=remote,
        set_global_tracer_provider=arguments.set_global_tracer_provider,
    )
    session.notes.extend(notes)
    return session, source.name


def json_object(name: str, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known of an experiment, if it can be kept as JSON.

    Raises:
        InvalidSetting: it cannot.
    """
    try:
        found = dict(metadata or {})
        dumps_strict(found)
    except (NotJson, TypeError, ValueError) as error:
        raise InvalidSetting(f"{name} must be a JSON object: {error}") from None
    return found


def _default_name(task: str) -> str:
    # Not the time alone: two may begin in one second, and a backend may take a name once on a dataset.
    return f"{task}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:4]}"


def find_experiment(
    experiment: Any, store: Store, dataset: str | None = None, remote: Remote | None = None
) -> ExperimentRecord:
    """The record of an experiment given as an id, a name, ``tag:NAME``, ``latest``, or an object with its id.

    One that only the backend has is pulled into the store, with its results.
    """
    with about_dataset(dataset):
        return _found(experiment_key(experiment), store, dataset, remote)


def _found(key: str, store: Store, dataset: str | None, remote: Remote | None) -> ExperimentRecord:
    if remote is None:
        return store.experiments.get(key, dataset=dataset)
    link = store.links.of_experiment(key, remote.target)
    try:
        found = remote.experiments.find(key if link is None else link.remote_id, dataset)
    except NotFound as error:  # begun offline, or deleted there
        if store.links.of_remote(key) and not store.links.of_remote(key, remote.target):
            raise  # it is the id of another one, in another place
        try:
            return store.experiments.get(key, dataset=dataset)
        except AmbiguousName:
            raise
        except NotFound:
            raise error from None  # which names those that are there
    if link is not None and not link.leads_to(found):  # deleted there, and its id is another one's now
        return store.experiments.get(key)
    return pull_experiment(store, remote, found)


def experiment_key(experiment: Any) -> str:
    """The id or the name in whatever names an experiment.

    Raises:
        InvalidSetting: it names none.
    """
    if isinstance(experiment, str):
        return experiment
    if isinstance(experiment, Experiment):
        return experiment.id
    if isinstance(experiment, Mapping):
        found = experiment.get("experiment_id") or experiment.get("id")
        if isinstance(found, str):
            return found
    raise InvalidSetting(
        "experiment must be an id, a name, 'tag:NAME', 'latest', an Experiment or a RanExperiment; "
        f"got {type(experiment).__name__}"
    )


def experiment_to_continue(
    experiment: Any, store: Store, dataset: str | None, remote: Remote | None
) -> tuple[ExperimentRecord, Remote | None, list[str]]:
    """The record of an experiment to go on with, the backend that gets its results, and what is to be said.

    An experiment that a backend has is asked after there: another machine may have gone on with it.
    """
    notes: list[str] = []
    if remote is None:
        record = find_experiment(experiment, store, dataset)
        link = store.links.of_experiment(record.experiment.id)
        if link is None:
            return record, None, notes
        remote, experiment = remote_of_link(link, None), link.remote_id
    try:
        return find_experiment(experiment, store, dataset, remote), remote, notes
    except BackendUnavailable as error:
        record = find_experiment(experiment, store, dataset)
        notes.append(f"{error}. Going on with what is here; the results are pushed when it answers.")
        return record, remote, notes


def resumed_session(
    record: ExperimentRecord,
    arguments: ResumeArguments | EvaluateArguments,
    store: Store,
    remote: Remote | None,
    policy: CallPolicy,
) -> Session:
    """A session that goes on with an experiment.

    Args:
        record: the experiment.
        arguments: to resume, missing and failed runs are made; to evaluate, none. Evaluators that are given are added
            to the experiment's own, which are looked up by their references. They evaluate again
            where it is not known which state of them made the ones that are there; to make only what is missing of an
            experiment that was logged, what was logged is kept.
        store: where it is kept.
        remote: the backend that gets the results, if it is not the store.
        policy: how calls are made.

    Raises:
        InvalidTask: runs are missing, and the task cannot be found again.
        InvalidEvaluator: evaluations are missing, and an evaluator cannot be found again.
    """
    run_missing = isinstance(arguments, ResumeArguments)
    known_as = {known.name: known.fingerprint for known in record.evaluators}
    given = as_before(resolve_evaluators(arguments.evaluators), known_as)
    kept = KeptExamples(record.experiment.dataset_name, store, record.version, record.positions)
    notes = check_needs(given, kept)
    named = {evaluator.name for evaluator in given}
    again_from = set() if run_missing and record.is_logged else named
    lost = [e.name for e in record.evaluators if e.name not in named and e.reference is None]
    again: list[BoundEvaluator] = []
    if run_missing:
        for known in record.evaluators:
            if known.name not in named and known.reference is not None:
                again.extend(as_before(resolve_evaluators({known.name: known.reference}), known_as))
    missing = _missing_runs(record, store) if run_missing else 0
    task = _task_again(record, arguments.task, missing) if isinstance(arguments, ResumeArguments) else None
    session = Session(
        store,
        record,
        task=task,
        evaluators=[*again, *given],
        limits=CallOptions.of(arguments),
        policy=policy,
        remote=remote,
        set_global_tracer_provider=arguments.set_global_tracer_provider,
        passed=again_from,
    )
    session.notes.extend(notes)
    unknown = store.results.of_unknown_state(record.experiment.id)
    concerned = named.union(e.name for e in record.evaluators) if run_missing else named
    session.notes.extend(_unknown_states({name: n for name, n in unknown.items() if name in concerned}, again_from))
    if task is not None:
        session.notes.extend(_mixture(record, task, missing))
    if run_missing and lost and (missing or _lacks_evaluations(record, store, lost)):
        raise InvalidEvaluator(
            f"experiment {record.experiment.id} has evaluations missing of evaluators that cannot be found again by a "
            f"reference: {', '.join(lost)}; pass evaluators="
        )
    return session


def _task_again(record: ExperimentRecord, task: Any, missing: int) -> Task | None:
    if task is not None:
        return resolve_task(task)
    if not missing:
        return None
    if record.task.reference is None:
        raise InvalidTask(
            f"experiment {record.experiment.id} has runs missing, and its task {record.task.name!r} cannot be found "
            "again by a reference; pass task="
        )
    return resolve_task(record.task.reference)


def _mixture(record: ExperimentRecord, task: Task, missing: int) -> list[str]:
    """What is to be said where outputs of two states of a task come to stand in one experiment."""
    kept = record.experiment.example_count * record.experiment.repetitions - missing
    if not missing or not kept or record.task.fingerprint in (None, task.fingerprint):
        return []
    return [
        f"The task has changed since experiment {record.experiment.id} began: {kept} outputs of the former one are "
        f"kept beside the {missing} of this one. For a fresh start, run a new experiment."
    ]


def _unknown_states(unknown: Mapping[str, int], passed: Collection[str]) -> list[str]:
    """What is to be said of evaluations of which it is not known whether their evaluators have changed since."""
    again, kept = ([name for name in unknown if (name in passed) is given] for given in (True, False))
    said = [
        f"{sum(unknown[name] for name in names)} evaluations of {', '.join(names)} {fate}"
        for names, fate in (
            (again, "are made again with what was passed"),
            (kept, "are kept as they are; evaluate_experiment, with the evaluators, makes them again"),
        )
        if names
    ]
    if not said:
        return []
    return [
        "Another client made evaluations here, or they were logged, so it is not known whether the evaluators have "
        f"changed since: {', and '.join(said)}."
    ]


def _missing_runs(record: ExperimentRecord, store: Store) -> int:
    expected = record.experiment.example_count * record.experiment.repetitions
    return expected - len(store.results.finished_runs(record.experiment.id))


def _lacks_evaluations(record: ExperimentRecord, store: Store, evaluators: list[str]) -> bool:
    fingerprints = {e.name: e.fingerprint for e in record.evaluators if e.name in evaluators}
    positions = store.datasets.positions(record.version)
    return bool(store.results.evaluation_items(record.experiment.id, record.version, positions, fingerprints))
