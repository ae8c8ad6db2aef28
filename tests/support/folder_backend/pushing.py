"""Results on their way into the folder."""

from __future__ import annotations

import json
from typing import Any

from prefect_experiments.store import Link, Store
from prefect_experiments.store.outbox import Outgoing, OutgoingEvaluation, OutgoingRun
from prefect_experiments.store.times import to_datetime

from .experiments import FolderExperiments


class FolderPusher:
    """See `prefect_experiments.backends.base.Pusher`."""

    lanes = 1

    def __init__(self, experiments: FolderExperiments, store: Store, link: Link) -> None:
        self._experiments, self._store, self._link = experiments, store, link

    def waiting(self, limit: int, *, running: bool) -> list[Outgoing]:
        outbox = self._store.outbox
        return [*outbox.waiting_runs(self._link, limit), *outbox.waiting_evaluations(self._link, limit)]

    async def push_run(self, run: OutgoingRun) -> str:
        names = ("example_id", "repetition_number", "error", "latency_ms", "trace_id")
        output = None if run.output is None else json.loads(run.output)
        return self._experiments.put_run(
            self._link.remote_id, {"output": output, **{name: getattr(run, name) for name in names}, **_times(run)}
        )

    async def push_evaluation(self, evaluation: OutgoingEvaluation) -> None:
        names = ("name", "annotator_kind", "score", "label", "explanation", "error", "trace_id")
        about = {"evaluator": evaluation.evaluator, "fingerprint": evaluation.fingerprint}
        metadata = json.loads(evaluation.metadata) if evaluation.metadata else None
        given = {"metadata": metadata, **{name: getattr(evaluation, name) for name in names}}
        self._experiments.put_evaluation(evaluation.run_id, {**given, **about, **_times(evaluation)})


def _times(result: Any) -> dict[str, str]:
    return {name: to_datetime(getattr(result, name)).isoformat() for name in ("start_time", "end_time")}
