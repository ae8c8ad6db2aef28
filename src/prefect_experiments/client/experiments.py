"""``client.experiments``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_experiments import datasets as sources
from prefect_experiments.analysis import ExperimentPlan, RanExperiment
from prefect_experiments.analysis.history import History, When
from prefect_experiments.analysis.verdicts import Comparison
from prefect_experiments.backends import base as backends
from prefect_experiments.backends.local import LocalExperiments
from prefect_experiments.client.datasets import Home, dataset_key
from prefect_experiments.errors import InvalidInput, NotFound
from prefect_experiments.experiment.arguments import (
    CompareArguments,
    EvaluateArguments,
    ExperimentKey,
    LogArguments,
    PlanArguments,
    ResumeArguments,
    RunArguments,
)
from prefect_experiments.experiment.compare import compare
from prefect_experiments.experiment.history import history_at
from prefect_experiments.experiment.naming import about_dataset, check_tag
from prefect_experiments.experiment.places import experiment_key, find_experiment
from prefect_experiments.experiment.plan_experiment import plan
from prefect_experiments.models import AnnotateRecordInput, Dataset, Experiment
from prefect_experiments.pages import ExperimentList, ExperimentRunList, PendingList
from prefect_experiments.results import result_frame, results_of
from prefect_experiments.results.stored import StoredRuns
from prefect_experiments.signatures import method_takes
from prefect_experiments.store import ExperimentRecord, Link
from prefect_experiments.store.paging import check_limit
from prefect_experiments.sync import run_sync

if TYPE_CHECKING:
    import pandas as pd

    from prefect_experiments.experiment.log import LoggedExperiment


class Experiments:
    """``client.experiments``. An experiment is an id, a name, ``tag:NAME``, ``latest``, or an object with its id.

    ``latest:NAME`` leads to the newest experiment of a name, or on the dataset of that name.
    """

    def __init__(self, client: Home) -> None:
        self.client = client
        self._store = client.store
        self._remote = client.remote
        self._kept: backends.Experiments = (
            LocalExperiments(client.store) if client.remote is None else client.remote.experiments
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.client, "experiments")

    @method_takes(RunArguments)
    def run_experiment(self, arguments: RunArguments) -> RanExperiment:
        """`prefect_experiments.run_experiment` in this client's store and backend."""
        from prefect_experiments.orchestration.runs import run_new

        return run_sync(partial(run_new, arguments, self.client))

    @method_takes(ResumeArguments)
    def resume_experiment(self, arguments: ResumeArguments) -> RanExperiment:
        """`prefect_experiments.resume_experiment` in this client's store and backend."""
        from prefect_experiments.orchestration.runs import go_on

        return run_sync(partial(go_on, arguments, self.client))

    @method_takes(EvaluateArguments)
    def evaluate_experiment(self, arguments: EvaluateArguments) -> RanExperiment:
        """`prefect_experiments.evaluate_experiment` in this client's store and backend."""
        from prefect_experiments.orchestration.runs import go_on

        return run_sync(partial(go_on, arguments, self.client))

    @method_takes(LogArguments)
    def log_experiment(self, arguments: LogArguments) -> LoggedExperiment:
        """`prefect_experiments.log_experiment` in this client's store and backend."""
        from prefect_experiments.orchestration.log_flow import log_in_flow

        return run_sync(partial(log_in_flow, arguments, self.client))

    @method_takes(CompareArguments)
    def compare(self, arguments: CompareArguments) -> Comparison | tuple[Comparison, ...]:
        """`prefect_experiments.compare_experiments` in this client's store and backend."""
        return compare(arguments, self.client)

    @method_takes(PlanArguments)
    def plan(self, arguments: PlanArguments) -> ExperimentPlan:
        """`prefect_experiments.plan_experiment` in this client's store and backend."""
        return plan(arguments, self.client)

    def list(
        self, *, dataset: str | Dataset | None = None, limit: int = 50, cursor: str | None = None
    ) -> ExperimentList:
        """Experiments, newest first; at most 1,000 a page."""
        key = None if dataset is None else dataset_key(dataset)
        return ExperimentList(*self._kept.page(dataset=key, limit=check_limit(limit), cursor=cursor))

    def get(self, *, experiment: ExperimentKey, dataset: str | None = None) -> Experiment:
        """One experiment.

        Raises:
            NotFound: there is none.
            AmbiguousName: several have the name; they are listed.
        """
        with about_dataset(dataset):
            return self._get(experiment_key(experiment), dataset)

    def _get(self, key: str, dataset: str | None) -> Experiment:
        remote = self._remote
        link = None if remote is None else self._store.links.of_experiment(key, remote.target)
        if remote is None or link is None:
            return self._kept.find(key, dataset)
        found = self._kept.find(link.remote_id)
        if not link.leads_to(found):
            raise NotFound(f"experiment {key} is no longer in {remote.name}; push it, and it is there again")
        return found

    def get_results(self, *, experiment: ExperimentKey, dataset: str | None = None) -> RanExperiment:
        """One experiment with its runs, evaluations and summary."""
        record, link = self._find(experiment, dataset)
        return RanExperiment(self._store, record, link=link)

    def history(
        self,
        *,
        dataset: str | Dataset,
        metrics: str | Sequence[str] = (),
        since: When | None = None,
        last: int | None = None,
    ) -> History:
        """The experiments of a dataset over time: each metric with its interval, verdicts, promotions.

        All of it is read from the store; of a backend's experiments that the store does not have, only the names are
        told. ``print`` shows it as a table, and `write_report` writes it as a page.

        Args:
            dataset: which one.
            metrics: only these; all that the experiments have without.
            since: only experiments that were made then or later: a datetime, a date, or such a text as ``2026-11-01``.
                Without a zone it is in UTC.
            last: only so many, the newest.

        Raises:
            NotFound: there is no such dataset, or none of its experiments has one of the metrics.
            InvalidInput: `since` is no time, or `last` no number of experiments.
        """
        asked = (metrics,) if isinstance(metrics, str) else tuple(metrics)
        return history_at(self._store, self._remote, dataset_key(dataset), metrics=asked, since=since, last=last)

    def delete(self, *, experiment: ExperimentKey, dataset: str | None = None) -> None:
        """Delete an experiment with its runs, evaluations, annotations and tags.

        From a backend's client it is deleted there, and what the store has of it as well.
        """
        found = self.get(experiment=experiment, dataset=dataset)
        self._kept.delete(found.id)
        if (link := self._link_to(found)) is not None:
            self._store.experiments.delete(link.experiment_id)

    def push(self, *, experiment: ExperimentKey, to: str | None = None, dataset: str | None = None) -> RanExperiment:
        """Push what a backend does not have of an experiment; continue the one that was begun there, or begin one.

        Its tags go along, and those that another experiment of the dataset has got here since are taken away there.

        Args:
            experiment: which one, in the store.
            to: the backend; default, this client's, else the one that has the experiment already.
            dataset: the dataset a name, a tag or ``latest`` is looked for in.

        Returns:
            The experiment with that backend's ids; ``waiting`` says how many results it would not take yet.

        Raises:
            NotFound: there is no such experiment.
            InvalidSetting: there is no backend to push to, or it cannot be used.
            BackendUnavailable: it does not answer.
        """
        from prefect_experiments.experiment.push import push_experiment

        return push_experiment(self.client, experiment, to, dataset)

    def list_runs(
        self,
        *,
        experiment: ExperimentKey,
        dataset: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        all: bool = False,
        failed: bool = False,
    ) -> ExperimentRunList:
        """Runs in dataset order, then by repetition.

        Args:
            experiment: which one.
            dataset: the dataset a name, a tag or ``latest`` is looked for in.
            limit: runs a page, at most 1,000.
            cursor: where the page begins, from the page before.
            all: every run at once.
            failed: only the runs whose task failed, or an evaluator of which failed.

        Returns:
            The runs; ``to_df()`` has the columns of `RanExperiment.to_dataframe` and
            ``annotation.NAME.score|label|text``.
        """
        record, link = self._find_for_page(experiment, dataset, cursor)
        runs, pagination = self._store.results.runs(
            record.experiment.id, limit=None if all else limit, cursor=cursor, failed=failed
        )
        ids = self._store.links.run_ids(record.experiment.id, link)

        def table() -> pd.DataFrame:
            some = {run.key for run in runs}
            kept = self._store.results
            found = results_of(
                f"experiment {record.experiment.name!r}",
                ids,
                runs,
                kept.evaluations(record.experiment.id, some),
                self._store.run_pages.examples(record.version, [run.position for run in runs]),
                kept.annotations(record.experiment.id, some),
                record.experiment.evaluators,
            )
            return result_frame(found)

        return ExperimentRunList([run.view(ids) for run in runs], pagination, to_df=table)

    def list_pending(
        self,
        *,
        experiment: ExperimentKey,
        dataset: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        all: bool = False,
    ) -> PendingList:
        """Evaluations that a person is still to make; `annotate_runs` with the evaluation's name makes one.

        Args:
            experiment: which one.
            dataset: the dataset a name, a tag or ``latest`` is looked for in.
            limit: how many a page, at most 1,000.
            cursor: where the page begins, from the page before.
            all: every one at once.
        """
        record, link = self._find_for_page(experiment, dataset, cursor)
        ids = self._store.links.run_ids(record.experiment.id, link)
        found = self._store.pending.page(record.experiment.id, ids, limit=None if all else limit, cursor=cursor)
        return PendingList(*found)

    def annotate_runs(
        self,
        *,
        annotations: Sequence[AnnotateRecordInput],
        experiment: ExperimentKey | None = None,
        dataset: str | None = None,
        annotator: str | None = None,
    ) -> int:
        """Write people's annotations; one of the same name on the same run is replaced, a pending evaluation filled in.

        Args:
            annotations: for each run its annotations; ``record_id`` is the run's id.
            experiment: where given, every run must belong to it.
            dataset: the dataset a name, a tag or ``latest`` is looked for in.
            annotator: who says so.

        Returns:
            How many annotations were written.

        Raises:
            NotFound: a run that is not in the store; then nothing is written.
            InvalidInput: a run of another experiment or, where a backend would take the annotation for the
                evaluator's, the name of an evaluator; then nothing is written.
        """
        experiment_id: str | None = None
        if experiment is not None:
            record, link = self._find_here(experiment, dataset)
            ids = self._store.links.run_ids(record.experiment.id, link)
            names = {ids.own(key): remote for key, remote in ids.remote.items()}
            mine = f"{record.experiment.id}."
            for note in annotations:
                if not note.record_id.startswith(mine) and note.record_id not in names.values():
                    raise InvalidInput(f"run {note.record_id!r} does not belong to experiment {record.experiment.id}")
            annotations = [dataclasses.replace(a, record_id=names.get(a.record_id, a.record_id)) for a in annotations]
            experiment_id = None if link is None else link.remote_id
        from prefect_experiments.experiment.push import push_experiment

        filling, others = self._pending_among(annotations)
        self._refuse_evaluators_names(others)
        for pending_in, some in filling.items():
            self._store.results.annotate(some, annotator)
            push_experiment(self.client, pending_in, None, None)
        n_filled = sum(len(each.values) for some in filling.values() for each in some)
        return n_filled + (self._kept.annotate(others, annotator, experiment_id) if others or not filling else 0)

    def _pending_among(
        self, annotations: Sequence[AnnotateRecordInput]
    ) -> tuple[dict[str, Sequence[AnnotateRecordInput]], Sequence[AnnotateRecordInput]]:
        """By experiment, the annotations that fill in what is pending here, to be pushed; and the others.

        Without a backend there is nothing to tell apart: the store does it.
        """
        filling: dict[str, Sequence[AnnotateRecordInput]] = {}
        if self._remote is not None:
            target, ids = self._remote.target, [note.record_id for note in annotations]
            for experiment_id in self._store.links.experiments_of_runs(target, ids):
                names = self._store.links.run_ids(experiment_id, self._store.links.of_experiment(experiment_id, target))
                some, annotations = self._store.pending.split(experiment_id, names, annotations)
                if some:
                    filling[experiment_id] = some
        return filling, annotations

    def _refuse_evaluators_names(self, annotations: Sequence[AnnotateRecordInput]) -> None:
        """A backend has one evaluation of a name on a run: a person's would replace an evaluator's."""
        if self._remote is None:
            return
        ids = [note.record_id for note in annotations]
        for experiment_id in self._store.links.experiments_of_runs(self._remote.target, ids):
            evaluators = self._store.experiments.get(experiment_id).experiment.evaluators
            if taken := {value.name for note in annotations for value in note.values} & set(evaluators):
                raise InvalidInput(
                    f"an annotation called {min(taken)!r} would replace what the evaluator of that name has given in "
                    f"{self._remote.name}; choose another name"
                )

    def tag(self, *, experiment: ExperimentKey, tag: str, dataset: str | None = None) -> Experiment:
        """Give an experiment a tag; another one of the same dataset that has it loses it.

        Raises:
            InvalidInput: no tag can be called that.
        """
        tag = check_tag(tag)
        found = self.get(experiment=experiment, dataset=dataset)
        self._kept.tag(found.id, tag)
        if (link := self._link_to(found)) is not None:
            self._store.tag_moves.gave(link.experiment_id, tag)
        return self._kept.find(found.id)

    def untag(self, *, experiment: ExperimentKey, tag: str, dataset: str | None = None) -> Experiment:
        """Take a tag away."""
        found = self.get(experiment=experiment, dataset=dataset)
        self._kept.untag(found.id, tag)
        if (link := self._link_to(found)) is not None:
            self._store.tag_moves.took(link.experiment_id, tag)
        return self._kept.find(found.id)

    def export(
        self,
        *,
        experiment: ExperimentKey,
        path: str | Path,
        dataset: str | None = None,
        for_spreadsheets: bool = False,
    ) -> Path:
        """Write the table of runs to a .csv, .json, .jsonl or .parquet file.

        With `for_spreadsheets`, a text of a CSV file that a spreadsheet would take for a formula gets an apostrophe
        before it.
        """
        record, link = self._find(experiment, dataset)
        runs = StoredRuns(self._store, record, self._store.links.run_ids(record.experiment.id, link))
        sources.write_rows(runs.rows(), path, columns=runs.columns, for_spreadsheets=for_spreadsheets)
        return Path(path)

    def _link_to(self, found: Experiment) -> Link | None:
        """What the store knows of a backend's experiment; nothing of one of the store's own."""
        link = None if self._remote is None else self._store.links.of_remote(found.id, self._remote.target)
        return link if link is not None and link.leads_to(found) else None

    def _find(self, experiment: ExperimentKey, dataset: str | None) -> tuple[ExperimentRecord, Link | None]:
        """An experiment with everything that the backend has of it."""
        return self._linked(find_experiment(experiment, self._store, dataset, self._remote))

    def _find_here(self, experiment: ExperimentKey, dataset: str | None) -> tuple[ExperimentRecord, Link | None]:
        """An experiment as the store has it; pulled where it does not."""
        if self._remote is None:
            return self._find(experiment, dataset)
        try:
            found = self.get(experiment=experiment, dataset=dataset)
        except NotFound:  # begun offline, or deleted there
            return self._find(experiment, dataset)
        link = self._store.links.of_remote(found.id, self._remote.target)
        if link is None or not link.leads_to(found):
            return self._find(found, None)
        return self._store.experiments.get(link.experiment_id), link

    def _find_for_page(
        self, experiment: ExperimentKey, dataset: str | None, cursor: str | None
    ) -> tuple[ExperimentRecord, Link | None]:
        """An experiment to list something of: for a further page, what the backend has was pulled for the first."""
        return (self._find if cursor is None else self._find_here)(experiment, dataset)

    def _linked(self, record: ExperimentRecord) -> tuple[ExperimentRecord, Link | None]:
        remote = self._remote
        return record, None if remote is None else self._store.links.of_experiment(record.experiment.id, remote.target)
