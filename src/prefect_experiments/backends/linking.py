"""The same thing here and in a backend: datasets mirrored either way, experiments begun there or pulled from there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from prefect_experiments.backends.base import Draft, PulledResults, Remote
from prefect_experiments.errors import AlreadyExists, BackendUnavailable, NotFound
from prefect_experiments.models import Dataset, DatasetVersion, Experiment
from prefect_experiments.origin import marked
from prefect_experiments.records import UNKNOWN_FINGERPRINT, EvaluationRecord
from prefect_experiments.store import EvaluatorRecord, ExperimentRecord, Link, Store, TaskRecord
from prefect_experiments.store.links import RemoteVersion
from prefect_experiments.texts import plain_text


def mirror_version(store: Store, remote: Remote, dataset: str, version: str) -> DatasetVersion:
    """A version of a backend's dataset, here; read from there only where it is not here yet.

    Args:
        store: where to.
        remote: the backend.
        dataset: id there.
        version: id there.
    """
    info = remote.datasets.info(dataset)
    known = store.links.local_version(remote.target, RemoteVersion(info.id, version, info.created_at.timestamp()))
    if known is not None and remote.capabilities.versions_stay:
        return store.datasets.version(*known)
    return keep_mirrored(store, remote, remote.datasets.get(dataset, version=version))


def keep_mirrored(store: Store, remote: Remote, found: Dataset) -> DatasetVersion:
    """Put a dataset that was read from a backend into the store, and remember where it is from."""
    kept = store.datasets.put(found.name, found.examples, description=found.description)
    store.links.link_version(remote.target, kept, remote_version_of(found))
    return kept


def remote_version_of(found: Dataset) -> RemoteVersion:
    """What names the version that a dataset was read at, in the backend it was read from."""
    return RemoteVersion(found.id, found.version_id, found.created_at.timestamp() if found.created_at else None)


def ensure_remote_version(store: Store, remote: Remote, version: DatasetVersion, name: str) -> tuple[str, str]:
    """The ids of a version in a backend, which gets it where it does not have it."""
    known = store.links.remote_version(remote.target, version)
    at = None
    if known is not None and _is_there(remote, known, name):
        at = known.dataset_id, known.version_id
        if remote.capabilities.versions_stay:
            return at
    content = store.datasets.get(version.dataset_id, version=version.id)
    dataset_id, version_id = remote.put_version(name, content, at)
    made_at = remote.datasets.info(dataset_id).created_at.timestamp()
    store.links.link_version(remote.target, version, RemoteVersion(dataset_id, version_id, made_at))
    return dataset_id, version_id


def _is_there(remote: Remote, known: RemoteVersion, name: str) -> bool:
    try:
        info = remote.datasets.info(known.dataset_id)
        if (info.name, info.created_at.timestamp()) != (name, known.made_at):  # another one has the id now
            return False
        return any(version.id == known.version_id for version in remote.datasets.versions(known.dataset_id))
    except NotFound:
        return False


def begin_remotely(store: Store, remote: Remote, record: ExperimentRecord, *, alone: bool = False) -> Link:
    """The experiment's counterpart in a backend, made where there is none, or none any more.

    Args:
        store: where the experiment is.
        remote: the backend.
        record: the experiment.
        alone: make it without a dataset there, in a backend that takes that.
    """
    experiment = record.experiment
    link = store.links.of_experiment(experiment.id, remote.target)
    if link is not None and _goes_on(remote, link):
        return link
    if alone or (link is not None and not link.remote_dataset_id):
        dataset_id = version_id = ""
    else:
        dataset_id, version_id = ensure_remote_version(store, remote, record.version, experiment.dataset_name)
    draft = Draft(
        name=experiment.name,
        dataset_id=dataset_id,
        version_id=version_id,
        repetitions=experiment.repetitions,
        description=experiment.description,
        metadata=marked(experiment.metadata, **experiment.origin),
        splits=experiment.splits,
        experiment_id=experiment.id,
    )
    try:
        begun = remote.begin(draft)
    except AlreadyExists:
        meanwhile = store.links.of_experiment(experiment.id, remote.target)
        if meanwhile is None or not _goes_on(remote, meanwhile):
            raise
        return meanwhile  # another process has begun it at the same time
    if link is not None:
        store.links.unlink(link)
    link = _link(store, remote, experiment.id, begun)
    if link.remote_id != begun.id:  # another process has begun it at the same time
        remote.experiments.delete(begun.id)
    return link


def _goes_on(remote: Remote, link: Link) -> bool:
    """Whether the counterpart is there still, or not yet, as far as can be known now."""
    if not link.is_begun:
        return True
    try:
        return link.leads_to(remote.experiments.find(link.remote_id))
    except NotFound:
        return False
    except BackendUnavailable:
        return True


def _link(store: Store, remote: Remote, experiment_id: str, begun: Experiment) -> Link:
    _forget_former(store, remote, begun)
    return store.links.link_experiment(
        experiment_id,
        remote.target,
        remote_id=begun.id,
        remote_dataset_id=begun.dataset_id,
        remote_version_id=begun.dataset_version_id,
        project_name=begun.project_name,
        url=remote.page_url(begun),
    )


def _forget_former(store: Store, remote: Remote, found: Experiment) -> Link | None:
    """The link of a backend's experiment; one that an experiment of the same id has left behind is taken away."""
    link = store.links.of_remote(found.id, remote.target)
    if link is None or link.leads_to(found):
        return link
    store.links.unlink(link)
    return None


def pull_experiment(store: Store, remote: Remote, found: Experiment) -> ExperimentRecord:
    """An experiment of a backend, here, with every result that is there and was not here.

    It may have been begun by another machine or by the backend's own client.
    """
    link = _forget_former(store, remote, found)
    if link is None:
        version = mirror_version(store, remote, found.dataset_id, found.dataset_version_id)
    else:
        version = store.experiments.get(link.experiment_id).version
    outline = {example_id: position for position, example_id, _ in store.datasets.outline(version)}
    results = remote.pull(found)
    if link is None:
        positions = _positions(found, results, outline)
        record = store.experiments.create(
            found.name,
            version,
            task=TaskRecord("", results.task_fingerprint, None),
            repetitions=max([found.repetitions, *(run.repetition_number for run in results.runs)]),
            positions=positions if len(positions) < len(outline) else None,
            splits=found.splits,
            description=found.description,
            metadata=marked(found.metadata, **found.origin),
            project_name=found.project_name,
        )
        link = _link(store, remote, record.experiment.id, found)
    _import(store, link, results, outline)
    record = store.experiments.get(link.experiment_id)
    return dataclasses.replace(record, experiment=dataclasses.replace(record.experiment, tags=found.tags))


def _positions(found: Experiment, results: PulledResults, outline: Mapping[str, int]) -> list[int]:
    """The examples that the experiment is on: those that have a run, and those that are missing one."""
    if results.missing is None or found.example_count == len(outline):
        return sorted(outline.values())
    ids = {each.run.example_id for each in results.runs} | {example_id for example_id, _ in results.missing}
    return sorted(outline[example_id] for example_id in ids if example_id in outline)


def _import(store: Store, link: Link, results: PulledResults, outline: Mapping[str, int]) -> None:
    placed = [(each, outline.get(each.run.example_id)) for each in results.runs]
    taken = store.ingest.take(link, [each.placed(position) for each, position in placed if position is not None])
    known = {evaluator.name: evaluator for evaluator in store.experiments.get(link.experiment_id).evaluators}
    records = _evaluators(taken, known)
    if records:
        store.experiments.put_evaluators(link.experiment_id, records)


def _evaluators(taken: Sequence[EvaluationRecord], known: Mapping[str, EvaluatorRecord]) -> list[EvaluatorRecord]:
    """The evaluators of what was taken that are not known yet, or only in an earlier state."""
    found: dict[str, EvaluatorRecord] = {}
    for evaluation in sorted(taken, key=lambda evaluation: evaluation.end_time):
        name = plain_text(evaluation.evaluator)
        before = known.get(name)
        if before is None:
            found[name] = EvaluatorRecord(name, evaluation.annotator_kind, evaluation.fingerprint)
        elif evaluation.fingerprint != UNKNOWN_FINGERPRINT:
            found[name] = dataclasses.replace(before, fingerprint=evaluation.fingerprint)
    return [found[name] for name in sorted(found)]
