"""Results on their way to Phoenix: one request for each run and each evaluation, which is all it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect_experiments.backends.phoenix.api import PhoenixApi
from prefect_experiments.backends.phoenix.rows import evaluation_body, existing_run, id_among, run_body
from prefect_experiments.errors import AlreadyExists, BackendRefused
from prefect_experiments.records import RunRecord
from prefect_experiments.store import Link, Store, TaskRecord
from prefect_experiments.store.outbox import Outgoing, OutgoingEvaluation

# Measured: Phoenix's server is the limit, and four connections are 1.4 times as fast as fifty.
LANES = 4


class PhoenixPusher:
    """Takes the results of one experiment; see `backends.base.Pusher`."""

    lanes = LANES

    def __init__(self, api: PhoenixApi, store: Store, link: Link) -> None:
        self._api = api
        self._store = store
        self._link = link
        self._nodes: dict[str, str] | None = None
        self._reading = asyncio.Lock()
        self._there: dict[tuple[str, int], str] | None = None
        self._task: TaskRecord | None = None

    def waiting(self, limit: int, *, running: bool) -> list[Outgoing]:  # noqa: ARG002
        """What Phoenix lacks: runs, and the evaluations on those that it has."""
        if self._task is None:
            self._task = self._store.experiments.get(self._link.experiment_id).task
        runs = self._store.outbox.waiting_runs(self._link, limit)
        return [*runs, *self._store.outbox.waiting_evaluations(self._link, limit)]

    async def push_run(self, run: RunRecord) -> str:
        """Take a run; the id that it has in Phoenix, also where it was there already."""
        node = await self._node(run.example_id)
        try:
            return await self._api.create_run(self._link.remote_id, run_body(run, node))
        except AlreadyExists as error:
            return existing_run(str(error)) or await self._look_up(node, run.repetition_number)

    async def push_evaluation(self, evaluation: OutgoingEvaluation) -> None:
        """Take an evaluation."""
        task = self._task.fingerprint if self._task else None
        await self._api.put_evaluation(evaluation_body(evaluation.record, evaluation.run_id, task))

    async def _node(self, example_id: str) -> str:
        """What the endpoint calls an example; datasets call it by its own id."""
        async with self._reading:
            if self._nodes is None:
                found = await self._api.examples(self._link.remote_dataset_id, self._link.remote_version_id)
                self._nodes = {row["id"]: row["node_id"] for row in found["examples"]}
        try:
            return self._nodes[id_among(self._nodes, example_id)]
        except KeyError:
            raise BackendRefused(
                f"example {example_id!r:.60} is not in version {self._link.remote_version_id} of the dataset in Phoenix"
            ) from None

    async def _look_up(self, node: str, repetition_number: int) -> str:
        if self._there is None:
            rows = await self._api.runs(self._link.remote_id)
            self._there = {(row["dataset_example_id"], row["repetition_number"]): row["id"] for row in rows}
        try:
            return self._there[node, repetition_number]
        except KeyError:
            raise BackendRefused("Phoenix says that it has this run, and does not list it") from None


@asynccontextmanager
async def phoenix_pusher(api: PhoenixApi, store: Store, link: Link) -> AsyncIterator[PhoenixPusher]:
    """A pusher in the running loop."""
    yield PhoenixPusher(api, store, link)
