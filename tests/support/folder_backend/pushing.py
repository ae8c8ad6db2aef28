"""Results on their way into the folder."""

from __future__ import annotations

from prefect_experiments.records import RunRecord
from prefect_experiments.store import Link, Store
from prefect_experiments.store.outbox import Outgoing, OutgoingEvaluation

from .experiments import FolderExperiments


class FolderPusher:
    """See `prefect_experiments.backends.base.Pusher`."""

    lanes = 1

    def __init__(self, experiments: FolderExperiments, store: Store, link: Link) -> None:
        self._experiments, self._store, self._link = experiments, store, link

    def waiting(self, limit: int, *, running: bool) -> list[Outgoing]:
        outbox = self._store.outbox
        return [*outbox.waiting_runs(self._link, limit), *outbox.waiting_evaluations(self._link, limit)]

    async def push_run(self, run: RunRecord) -> str:
        return self._experiments.put_run(self._link.remote_id, run)

    async def push_evaluation(self, evaluation: OutgoingEvaluation) -> None:
        self._experiments.put_evaluation(evaluation.run_id, evaluation.record)
