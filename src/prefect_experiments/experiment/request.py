"""What a caller asks to be run, checked before anything is spent, as a plan that is ready to be carried out."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prefect_experiments.analysis import RanExperiment
from prefect_experiments.backends import Remote
from prefect_experiments.engine import CallPolicy, in_batches
from prefect_experiments.engine.plan import MOST_EXAMPLES
from prefect_experiments.errors import (
    InvalidDataset,
    InvalidEvaluator,
    InvalidReference,
    InvalidSetting,
    InvalidTask,
    unknown_value,
)
from prefect_experiments.evaluators import BoundEvaluator, as_before, resolve_evaluators
from prefect_experiments.experiment.arguments import EvaluateArguments, Judged, Place, ResumeArguments, RunArguments
from prefect_experiments.experiment.compare import Judging, judging
from prefect_experiments.experiment.dataset_files import check_readable, opened
from prefect_experiments.experiment.dataset_source import DatasetSource, Pin
from prefect_experiments.experiment.gate_checks import (
    check_directions,
    check_examples,
    check_margins,
    check_names,
    check_pairs,
    check_people,
)
from prefect_experiments.experiment.naming import check_experiment_name
from prefect_experiments.experiment.needs import Examples, KeptExamples, check_needs
from prefect_experiments.experiment.places import experiment_to_continue, remote_of, store_of
from prefect_experiments.experiment.rescore import outputs_on
from prefect_experiments.experiment.spending import check_spending
from prefect_experiments.experiment.work import RunPlan, Start
from prefect_experiments.jsonable import NotJson, dumps_strict
from prefect_experiments.models import Dataset
from prefect_experiments.options import CallOptions, EvaluationOptions, Sample, Selection
from prefect_experiments.origin import ask_git
from prefect_experiments.store import ExperimentRecord, Store
from prefect_experiments.tasks import Task, resolve_task


def plan_new(arguments: RunArguments, client: Place | None) -> RunPlan:
    """The plan of a new experiment. Nothing is written yet.

    A dry run gets a store of its own in memory, and a random sample of the examples.
    """
    git = ask_git()
    store, remote = store_of(client), remote_of(arguments.backend, client)
    CallPolicy.of(arguments)  # follows the references to exception classes
    dataset = opened(arguments.dataset, task=arguments.task is None, evaluators=arguments.evaluators is None)
    own = dataset if isinstance(dataset, Dataset) else Dataset(name="", examples=())
    task = _task_of(arguments.task or own.task, dataset)
    evaluators = resolve_evaluators(own.evaluators if arguments.evaluators is None else arguments.evaluators)
    check_spending(arguments)
    metadata = json_object("experiment_metadata", arguments.experiment_metadata)
    name = _default_name(task.name) if arguments.experiment_name is None else arguments.experiment_name
    check_experiment_name(name, remote)
    if remote is not None:
        remote.check()
    source = DatasetSource(dataset, store, Selection.of(arguments), remote, arguments.types)
    used = source.to_use(store)
    notes = check_needs(evaluators, used)
    only = _only_evaluators(own, [e.name for e in evaluators], others=arguments.evaluators is not None)
    tried = arguments.dry_run is not False
    judged = _judged(arguments, evaluators, store, remote, used, dry_run=tried, is_new=True)
    check_pairs(judged, source.name, partial(source.example_ids, store))
    pin: Callable[[Store], Pin] = source.pin
    if tried:
        pin = partial(source.pin_sample, source=store, sample=Sample(n=int(arguments.dry_run)))
        store, remote = Store("sqlite://"), None
    return RunPlan(
        name,
        source.name,
        store,
        remote,
        judged,
        tuple(notes),
        begin=Start(name, pin, git, arguments.repetitions, arguments.experiment_description, metadata),
        task=task,
        evaluators=evaluators,
        only_evaluators=only,
        options=CallOptions.of(arguments),
        backend=_leading_to(remote, arguments.backend),
        set_global_tracer_provider=arguments.set_global_tracer_provider,
    )


def _task_of(source: Any, dataset: Any) -> Task:
    if source is None:
        check_readable(dataset)
        raise InvalidTask(
            "there is no task to run; pass task= (--task), a function or a reference 'package.module:name', or the "
            "path of a pixie dataset, which brings its own"
        )
    return resolve_task(source)


def _only_evaluators(dataset: Dataset, known: Sequence[str], *, others: bool) -> dict[str, tuple[str, ...]]:
    """Which evaluators are meant for which example, as the dataset says.

    Args:
        dataset: which may say so.
        known: the names of those that are used.
        others: whether these are not the dataset's own, so that it may name some that are not used. Those that it
            does not name are meant for all examples, but for those that it says have none.

    Raises:
        InvalidDataset: an example or an evaluator that there is not, or an example of whose evaluators none is used:
            unjudged, it could not fail.
    """
    given: Any = dataset.only_evaluators
    if not isinstance(given, Mapping):
        raise InvalidDataset(f"only_evaluators must be a mapping of example ids to names, got {type(given).__name__}")
    ids = {example.id for example in dataset.examples}
    replaced = others and bool(dataset.evaluators)
    for example_id, names in given.items():
        if example_id not in ids:
            raise InvalidDataset(f"only_evaluators: there is no example with the id {example_id!r}")
        if isinstance(names, str) or not isinstance(names, Collection):
            raise InvalidDataset(
                f"only_evaluators[{example_id!r}] must be a list of evaluators' names, got {names!r:.80}"
            )
        for name in names:
            if name not in known and not replaced:
                raise InvalidDataset(
                    f"only_evaluators[{example_id!r}]: {unknown_value('evaluator', name, list(known))}"
                )
    named = {name for names in given.values() for name in names}
    for_all = [name for name in known if replaced and name not in named]  # the dataset cannot have known of them
    meant = {example_id: (*names, *for_all) if names else () for example_id, names in given.items()}
    for example_id, names in meant.items():
        if names and not set(names) & set(known):
            raise InvalidDataset(
                f"only_evaluators[{example_id!r}] names {', '.join(names)}, and of these none is among the evaluators "
                f"that are used: {', '.join(known) or 'none'}. Use one of them, or give it an empty list, so that it "
                "has no evaluator"
            )
    return meant


def _judged(
    wanted: Judged,
    evaluators: Sequence[BoundEvaluator],
    store: Store,
    remote: Remote | None,
    examples: Examples,
    *,
    dry_run: bool = False,
    is_new: bool = False,
) -> Judging | None:
    first = wanted.first_run
    pooled = wanted.pooled
    found = judging(
        wanted.baseline, wanted.gate, store, remote, examples.name, pooled=pooled, dry_run=dry_run, first_run=first
    )
    check_examples(wanted.gate, examples)
    check_names(found, evaluators, is_new=is_new)
    check_directions(found, evaluators)
    check_people(found, evaluators)
    check_margins(found)
    return found


def _leading_to(remote: Remote | None, asked_for: str | None = None) -> str | None:
    """What leads to a backend in another process: the saved block that was asked for, else its name."""
    if remote is None:
        return None
    return asked_for if asked_for and "/" in asked_for else remote.name


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


def plan_continued(arguments: ResumeArguments | EvaluateArguments, client: Place | None) -> RunPlan:
    """The plan of going on with an experiment; nothing is written yet but outputs to be scored on another version.

    Args:
        arguments: to resume, missing and failed runs are made; to evaluate, none. Evaluators that are given are added
            to the experiment's own, which are looked up by their references. They evaluate again where it is not
            known which state of them made the evaluations that are there; to make only what is missing of an
            experiment that was logged, what was logged is kept.
        client: whose store and backend to use.

    Raises:
        InvalidTask: runs are missing, and the task cannot be found again.
        InvalidEvaluator: evaluations are missing, and an evaluator cannot be found again.
        InvalidSetting: the experiment is its own baseline.
    """
    store = store_of(client)
    CallPolicy.of(arguments)
    resumes = isinstance(arguments, ResumeArguments)
    record, remote, notes = experiment_to_continue(
        arguments.experiment, store, arguments.dataset, remote_of(None, client), with_runs=not resumes
    )
    if isinstance(arguments, EvaluateArguments) and arguments.dataset_version is not None:
        resolve_evaluators(arguments.evaluators)  # what cannot be used is refused before anything is made
        record, said = outputs_on(record, arguments.dataset_version, store, remote)
        notes += said
    missing = _missing_runs(record, store) if resumes else 0
    given, again = _evaluators_again(arguments, record, store, missing)
    kept = KeptExamples(record.experiment.dataset_name, store, record.version, record.positions)
    notes += check_needs(given, kept)
    task = _task_again(record, arguments.task, missing) if isinstance(arguments, ResumeArguments) else None
    check_spending(arguments)
    passed = [] if resumes and record.is_logged else [evaluator.name for evaluator in given]
    unknown = store.results.of_unknown_state(record.experiment.id)
    concerned = {e.name for e in given} | ({e.name for e in record.evaluators} if resumes else set())
    notes += _unknown_states({name: n for name, n in unknown.items() if name in concerned}, passed)
    if task is not None:
        notes += _mixture(record, task, missing)
    notes += _alone(record, store, arguments)
    evaluators = (*again, *given)
    judged = _judged(Judged.of(arguments), evaluators, store, remote, kept)
    _refuse_itself(judged, record)
    return RunPlan(
        record.experiment.name,
        record.experiment.dataset_name,
        store,
        remote,
        judged,
        tuple(notes),
        begin=record,
        task=task,
        evaluators=evaluators,
        passed=tuple(passed),
        options=CallOptions.of(arguments),
        backend=_leading_to(remote),
        set_global_tracer_provider=arguments.set_global_tracer_provider,
    )


def _evaluators_again(
    arguments: ResumeArguments | EvaluateArguments, record: ExperimentRecord, store: Store, missing: int
) -> tuple[list[BoundEvaluator], list[BoundEvaluator]]:
    """The evaluators that are given, and to resume, the experiment's others, found again by their references.

    Raises:
        InvalidEvaluator: evaluations are missing, and an evaluator cannot be found again.
    """
    known_as = {known.name: known.fingerprint for known in record.evaluators}
    given = as_before(resolve_evaluators(arguments.evaluators), known_as)
    if not isinstance(arguments, ResumeArguments):
        return list(given), []
    others = [known for known in record.evaluators if known.name not in {evaluator.name for evaluator in given}]
    lost = [known.name for known in others if known.reference is None]
    if lost and (missing or _lacks_evaluations(record, store, lost)):
        raise InvalidEvaluator(
            f"experiment {record.experiment.id} has evaluations missing of evaluators that cannot be found again by a "
            f"reference: {', '.join(lost)}; pass evaluators="
        )
    references = {known.name: known.reference for known in others if known.reference is not None}
    with _found_again(record, "evaluators="):
        return list(given), list(as_before(resolve_evaluators(references), known_as))


def _refuse_itself(judged: Judging | None, record: ExperimentRecord) -> None:
    """An experiment is no worse than itself: ``latest``, or a tag that it was given, may lead to it."""
    baseline = judged and judged.baseline
    if not isinstance(baseline, RanExperiment):
        return
    kept_as = baseline.experiment_id if baseline.link is None else baseline.link.experiment_id
    if kept_as == record.experiment.id:
        raise InvalidSetting(
            f"experiment {record.experiment.id} would be compared with itself; name its baseline by another id"
        )


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
    with _found_again(record, "task="):
        return resolve_task(record.task.reference)


@contextlib.contextmanager
def _found_again(record: ExperimentRecord, parameter: str) -> Iterator[None]:
    """While the references are followed that an experiment was begun with: from another folder they may lead nowhere.

    Raises:
        InvalidReference: one does; the text says what to do.
    """
    try:
        yield
    except InvalidReference as error:
        option = parameter.rstrip("s=")
        raise InvalidReference(
            f"experiment {record.experiment.id} cannot be gone on with from here: {error}. Start it in the folder "
            f"where it was begun, or pass {parameter} (--{option}) with a reference that leads there from here"
        ) from None


def _mixture(record: ExperimentRecord, task: Task, missing: int) -> list[str]:
    """A note, where a resumed experiment will hold outputs of an older and of the present version of its task."""
    kept = record.experiment.example_count * record.experiment.repetitions - missing
    if not missing or not kept or record.task.fingerprint in (None, task.fingerprint):
        return []
    return [
        f"The task has changed since experiment {record.experiment.id} began: {kept} outputs of the former one are "
        f"kept beside the {missing} of this one. For a fresh start, run a new experiment."
    ]


def _alone(record: ExperimentRecord, store: Store, options: EvaluationOptions) -> list[str]:
    """A note, where an experiment that workers shared is gone on with by this process alone."""
    workers = store.shared_work.shared_by(record.experiment.id) if options.task_runner is None else 0
    if not workers:
        return []
    return [
        f"The calls of experiment {record.experiment.id} were shared by {workers} workers before; this process makes "
        "those that are left alone. For workers, pass task_runner= and workers= (--task-runner, --workers) again."
    ]


def _unknown_states(unknown: Mapping[str, int], passed: Collection[str]) -> list[str]:
    """A note on evaluations of which it is not known whether their evaluators have changed since."""
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
    return expected - store.results.count_finished(record.experiment.id, record.experiment.repetitions)


def _lacks_evaluations(record: ExperimentRecord, store: Store, evaluators: list[str]) -> bool:
    fingerprints = {e.name: e.fingerprint for e in record.evaluators if e.name in evaluators}
    only = {e.name: e.positions for e in record.evaluators if e.positions is not None}
    look = partial(store.results.evaluation_items, record.experiment.id, record.version)
    batches = in_batches(store.datasets.positions(record.version), MOST_EXAMPLES)
    return any(look(batch.positions, fingerprints, only=only) for batch in batches)
