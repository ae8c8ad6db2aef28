"""What an experiment lacks. The store knows it, and is asked a batch at a time: a million keys are no small set."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence

from prefect_experiments.engine import Batch, EvaluationItem, RunItem, default_batch_size, in_batches
from prefect_experiments.evaluators import BoundEvaluator
from prefect_experiments.options import CallOptions
from prefect_experiments.records import Key
from prefect_experiments.store import ExperimentRecord, Store


class Missing:
    """The runs and evaluations that an experiment lacks.

    Args:
        store: where it is.
        record: the experiment.
        evaluators: what it is evaluated with.
        passed: names of the evaluators that the caller has given by themselves.
        only: by evaluator, the examples that it is meant for; without an entry, all.
        is_shared: whether others make some of it meanwhile.

    Attributes:
        positions: of the experiment's examples, ascending.
        finished: how many runs were ok when this was made.
        runs: how many were missing.
    """

    def __init__(
        self,
        store: Store,
        record: ExperimentRecord,
        evaluators: Sequence[BoundEvaluator],
        *,
        passed: Collection[str] = (),
        only: Mapping[str, frozenset[int]] | None = None,
        is_shared: bool = False,
    ) -> None:
        self._store, self._record = store, record
        self._fingerprints = {evaluator.name: evaluator.fingerprint for evaluator in evaluators}
        self._passed, self._only = frozenset(passed), dict(only or {})
        chosen = record.positions
        self.positions = array("q", store.datasets.positions(record.version) if chosen is None else chosen)
        self.finished = store.results.count_finished(self._id, self._repetitions)
        self.runs = len(self.positions) * self._repetitions - self.finished
        self._is_shared = is_shared
        self._looked_at: set[int] = set()

    @property
    def _id(self) -> str:
        return self._record.experiment.id

    @property
    def _repetitions(self) -> int:
        return self._record.experiment.repetitions

    def batch_size(self, options: CallOptions) -> int:
        """Examples a batch."""
        return options.batch_size or default_batch_size(len(self.positions), self._repetitions, options.concurrency)

    def batches(self, options: CallOptions) -> Iterator[Batch]:
        """All of the experiment in batches; those whose runs are all done may lack evaluations."""
        return in_batches(self.positions, self.batch_size(options))

    def has_runs(self, batch: Batch) -> bool:
        """Whether some run of a batch is missing."""
        return bool(self._runs_of(batch))

    def run_items(self, batch: Batch) -> list[RunItem]:
        """The runs that a batch lacks, with what is called with."""
        runs = self._runs_of(batch)
        self._looked_at.add(batch.first)
        return self._store.results.run_items(self._record.version, runs)

    def _runs_of(self, batch: Batch) -> set[Key]:
        if not self.runs:
            return set()
        if not (self.finished or self._is_shared or batch.first in self._looked_at):
            return self._every_run(batch)
        return self._unfinished(batch)  # not what finished before a failure that made Prefect try the batch again

    def _every_run(self, batch: Batch) -> set[Key]:
        return {(position, number) for position in batch.positions for number in range(1, self._repetitions + 1)}

    def _unfinished(self, batch: Batch) -> set[Key]:
        """The runs of a batch that the store does not have by now."""
        return self._every_run(batch) - self._store.results.finished_runs(self._id, (batch.first, batch.last))

    def evaluation_items(self, batch: Batch) -> list[EvaluationItem]:
        """The batch's ok runs that lack an evaluation, with the evaluators that are to give it."""
        return self._store.results.evaluation_items(
            self._id,
            self._record.version,
            batch.positions,
            self._fingerprints,
            passed=self._passed,
            only=self._only,
        )

    def left(self, batch: Batch) -> tuple[list[str], list[str]]:
        """Of which examples a batch lacks runs by now, and of which it lacks evaluations."""
        runs = self._store.results.run_items(self._record.version, self._unfinished(batch))
        evaluations = self.evaluation_items(batch) if self._fingerprints else []
        return [item.example_id for item in runs], [item.run.example_id for item in evaluations]

    def not_meant(self) -> int:
        """Evaluations of missing runs that no evaluator is to give, as it is meant for other examples."""
        if not self._only:
            return 0
        done = self._store.results.finished_runs(self._id) if self.finished else set()
        elsewhere = 0
        for meant in self._only.values():
            of_these = len(meant) * self._repetitions - sum(position in meant for position, _ in done)
            elsewhere += self.runs - of_these
        return elsewhere
