"""Results on their way to AX: many rows in one request, each run with its evaluations, and never twice.

AX takes a run once and for all: it cannot be changed, deleted, or sent twice without being there twice. So after a
request of which it is not known whether it was carried out, what AX has is read back, and only what it lacks is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from prefect_experiments.backends.arize.api import MOST_ROWS, ArizeApi, Row, Untouched
from prefect_experiments.backends.arize.datasets import ArizeDatasets
from prefect_experiments.backends.arize.experiments import annotation_record, write_annotations
from prefect_experiments.backends.arize.rows import chunks
from prefect_experiments.backends.arize.run_rows import Origin, Print, row_print, run_row, same_print
from prefect_experiments.backends.arize.spaces import Space
from prefect_experiments.backends.arize.taken import RowKey, TakenRuns, key_of
from prefect_experiments.errors import (
    AlreadyExists,
    BackendRefused,
    BackendUnavailable,
    ExperimentsError,
    InvalidSetting,
    NotFound,
    traceback_text,
)
from prefect_experiments.models import AnnotateRecordInput, AnnotationInput
from prefect_experiments.records import EvaluatedRun
from prefect_experiments.store import Link, Store
from prefect_experiments.store.outbox import Outgoing, OutgoingEvaluation

LINGER_S = 1.0  # how long rows wait for others to share a request with
MOST_REFUSED_ALONE = 10  # rows that are refused one by one before the rest is refused with them
_LATE = (
    "Arize AX takes evaluations only together with their run, and has this one already; the evaluation is kept in the "
    "store. To have it in AX, log the table of runs (list_runs(all=True).to_df(), or export) under a new name"
)
T = TypeVar("T")

logger = logging.getLogger("prefect_experiments")

_Outcome = str | ExperimentsError


@dataclass(slots=True)
class _Waiting:
    """A result that somebody waits for to be taken."""

    item: Outgoing
    done: asyncio.Future[str]


class ArizePusher:
    """Takes the results of one experiment; see `backends.base.Pusher`. Results that come together go together."""

    lanes = MOST_ROWS

    def __init__(
        self, api: ArizeApi, datasets: ArizeDatasets, space: Space, store: Store, link: Link, largest_body: int
    ) -> None:
        self._api = api
        self._datasets = datasets
        self._space = space
        self._store = store
        self._link = link
        self._largest = largest_body
        self._lease = store.leases.of_push(link)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="experiment-push")
        self._queue: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        self._size = MOST_ROWS
        self._sent_at = -LINGER_S
        self._ready = False
        self._ax_ids: dict[str, str] = {}
        self._named_anew = False
        self._name = ""
        self._origin = Origin()
        self._taken = TakenRuns(api)

    async def push_run(self, run: EvaluatedRun) -> str:
        """Take a run with its evaluations; the id that it has in AX."""
        return await self._wait(run)

    async def push_evaluation(self, evaluation: OutgoingEvaluation) -> None:
        """Take a person's annotation on a run that AX has; an evaluator's comes too late."""
        if evaluation.record.annotator_kind != "HUMAN":
            raise BackendRefused(_LATE)
        await self._wait(evaluation)

    def waiting(self, limit: int, *, running: bool) -> list[Outgoing]:
        """What AX lacks: of an experiment that is running, only the rows that nothing more will come to.

        What is incomplete because the experiment was interrupted waits until it is gone on with, or pushed as it is.
        """
        rows = self._store.outbox.waiting_rows(self._link, limit, complete=running)
        return [*rows, *self._store.outbox.waiting_evaluations(self._link, limit)]

    async def _wait(self, item: Outgoing) -> str:
        waiting = _Waiting(item, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._news.set()
        return await waiting.done

    async def work(self) -> None:
        """Send what waits, again and again."""
        try:
            while True:
                if not self._queue:
                    self._news.clear()
                    await self._news.wait()
                await self._linger()
                await self._work_once()
        finally:
            await self._release()
            self._thread.shutdown(wait=False)

    async def _linger(self) -> None:
        """Wait for others to share the request with, unless there are enough, or it was quiet for a while."""
        until = self._sent_at + LINGER_S
        while len(self._queue) < self._size and (left := until - time.monotonic()) > 0:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)

    async def _work_once(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(self._size, len(self._queue)))]
        batch = [waiting for waiting in batch if not waiting.done.done()]
        rows = [(waiting, waiting.item) for waiting in batch if isinstance(waiting.item, EvaluatedRun)]
        notes = [(waiting, waiting.item) for waiting in batch if isinstance(waiting.item, OutgoingEvaluation)]
        if rows:
            outcomes = await self._attempted(self._push_rows([item for _, item in rows]), len(rows))
            _tell([waiting for waiting, _ in rows], outcomes)
        if notes:
            outcomes = await self._attempted(self._push_notes([item for _, item in notes]), len(notes))
            _tell([waiting for waiting, _ in notes], outcomes)

    async def _attempted(self, push: Coroutine[Any, Any, Sequence[_Outcome]], count: int) -> Sequence[_Outcome]:
        """What came of each result; whatever happens, those who wait hear of it."""
        try:
            await self._hold()
            return await push
        except ExperimentsError as error:
            return [error] * count
        except Exception as error:  # noqa: BLE001 - whoever waits hears of it
            logger.debug("pushing to Arize AX\n%s", traceback_text(error))
            return [BackendUnavailable(f"Arize AX cannot be used ({type(error).__name__})")] * count
        finally:
            push.close()
            self._sent_at = time.monotonic()

    # Rows

    async def _push_rows(self, items: Sequence[EvaluatedRun]) -> Sequence[_Outcome]:
        await self._make_ready()
        await self._name_examples(items)
        rows = [self._wire(item) for item in items]
        refused: dict[int, ExperimentsError] = {}
        for piece in self._pieces(rows, range(len(rows))):
            if not self._link.is_begun:
                await self._begin(rows, piece, refused)
        await self._taken.look(self._link.remote_id)
        outcomes: dict[int, _Outcome] = dict(refused)
        to_send = []
        for place, row in enumerate(rows):
            if place in outcomes:
                continue
            if (run_id := self._taken.claim(row)) is not None:
                outcomes[place] = run_id
            elif (left := self._taken.doubt_s(row)) is not None:
                outcomes[place] = BackendUnavailable(
                    f"{self._api.http.address} has not said whether it took the last results", retry_after=left
                )
            else:
                to_send.append(place)
        for piece in self._pieces(rows, to_send):
            await self._append(rows, piece, outcomes)
        return [outcomes[place] for place in range(len(rows))]

    def _wire(self, item: EvaluatedRun) -> Row:
        example_id = self._ax_ids.get(item.run.example_id, item.run.example_id)
        return run_row(item, example_id, self._origin)

    def _pieces(self, rows: Sequence[Row], places: Sequence[int]) -> list[list[int]]:
        """The places in pieces that are not too large for one request."""
        return list(chunks(places, len(places), self._largest, lambda place: rows[place]))

    async def _make_ready(self) -> None:
        if self._ready:
            return
        record = await self._in_thread(self._store.experiments.get, self._link.experiment_id)
        self._name = record.experiment.name
        self._origin = Origin(
            repeated=record.experiment.repetitions > 1,
            logged_at=record.experiment.created_at if record.is_logged else None,
            task_fingerprint=record.task.fingerprint,
        )
        self._ready = True

    async def _name_examples(self, items: Sequence[EvaluatedRun]) -> None:
        """Learn AX's ids of the examples; what was read before another process had added them all is read again."""
        where = self._link.remote_dataset_id, self._link.remote_version_id
        if not where[0]:  # the experiment is on no dataset there
            return
        if not self._ax_ids:
            self._ax_ids = await self._datasets.ax_ids(*where)
        if not self._named_anew and any(item.run.example_id not in self._ax_ids for item in items):
            self._ax_ids = await self._datasets.ax_ids(*where, anew=True)
            self._named_anew = True  # what is lacking now, somebody has deleted there

    async def _append(self, rows: Sequence[Row], places: list[int], outcomes: dict[int, _Outcome]) -> None:
        began = time.monotonic()
        try:
            ids = await self._api.append_runs(self._link.remote_id, [rows[place] for place in places])
        except Untouched as error:
            outcomes.update(dict.fromkeys(places, error))
        except (BackendUnavailable, InvalidSetting) as error:
            self._taken.doubt([rows[place] for place in places], time.monotonic() - began)
            self._size = max(1, self._size // 4)
            outcomes.update(dict.fromkeys(places, error))
        except NotFound as error:
            gone = BackendRefused(f"the experiment is no longer in Arize AX ({error}); push it again to begin it anew")
            outcomes.update(dict.fromkeys(places, gone))
        except (BackendRefused, AlreadyExists) as error:
            await self._append_apart(rows, places, outcomes, error)
        else:
            self._size = min(MOST_ROWS, 2 * self._size)
            outcomes.update(zip(places, ids, strict=True))

    async def _append_apart(
        self, rows: Sequence[Row], places: list[int], outcomes: dict[int, _Outcome], error: ExperimentsError
    ) -> None:
        """One row that is refused must not keep back the others: halves are tried, down to single rows."""
        alone = sum(isinstance(outcome, BackendRefused) for outcome in outcomes.values())
        if len(places) == 1 or alone >= MOST_REFUSED_ALONE:
            outcomes.update(dict.fromkeys(places, BackendRefused(str(error))))
            return
        middle = len(places) // 2
        for half in (places[:middle], places[middle:]):
            await self._append(rows, half, outcomes)

    # The experiment itself

    async def _begin(self, rows: Sequence[Row], places: list[int], refused: dict[int, ExperimentsError]) -> None:
        """Make the experiment with these rows; or find that it was made, by a request that got no answer."""
        for name in (self._name, f"{self._name[:230]} ({self._link.experiment_id})"):
            try:
                made = await self._api.create_experiment(name, [rows[place] for place in places], **await self._scope())
            except AlreadyExists:
                if await self._adopted(name):
                    return
            except NotFound as error:
                raise BackendRefused(f"the dataset is no longer in Arize AX ({error})") from None
            except BackendRefused as error:
                if len(places) == 1:
                    refused[places[0]] = error
                    if len(refused) < MOST_REFUSED_ALONE:
                        return
                    raise
                middle = len(places) // 2
                for half in (places[:middle], places[middle:]):
                    if not self._link.is_begun:
                        await self._begin(rows, half, refused)
                return
            else:
                await self._begun(str(made["id"]))
                return
        where = "on the dataset" if self._link.remote_dataset_id else "in the space"
        raise BackendRefused(f"experiments called {self._name!r} are {where} in Arize AX already")

    async def _scope(self) -> dict[str, str]:
        """What the experiment is made in: its dataset, or the space where it is on none."""
        if self._link.remote_dataset_id:
            return {"dataset_id": self._link.remote_dataset_id}
        return {"space_id": await self._space.required()}

    async def _adopted(self, name: str) -> bool:
        """Whether the experiment of a name is this one: every run in it is one of ours."""
        known = await self._in_thread(self._store.links.of_experiment, self._link.experiment_id, self._link.target)
        if known is not None and known.is_begun:  # by another process, just now
            self._link = known
            return True
        there = await self._api.experiments(name, **await self._scope())
        mine = [row for row in there if (row.get("dataset_id") or "") == self._link.remote_dataset_id]
        found = next((row for row in mine if row.get("name") == name), None)
        if found is None:
            raise BackendUnavailable(f"{self._api.http.address} says that it has an experiment, and does not list it")
        ours: dict[RowKey, Print] = {}
        for item in await self._in_thread(lambda: self._store.outbox.waiting_rows(self._link, None, complete=False)):
            row = self._wire(item)
            ours[key_of(row)] = row_print(row)
        runs = await self._api.runs(found["id"])
        if not runs or not all(key_of(r) in ours and same_print(ours[key_of(r)], row_print(r)) for r in runs):
            return False
        await self._begun(str(found["id"]))
        return True

    async def _begun(self, remote_id: str) -> None:
        self._link = await self._in_thread(self._store.links.begun, self._link, remote_id)
        self._taken.unsure = True  # the answer has no ids of the runs

    # People's annotations

    async def _push_notes(self, items: Sequence[OutgoingEvaluation]) -> Sequence[_Outcome]:
        """Name by name: one that AX does not know must not keep back the others."""
        outcomes: dict[int, _Outcome] = {}
        for name in dict.fromkeys(item.name for item in items):
            places = [place for place, item in enumerate(items) if item.name == name]
            records = [annotation_record(_note(items[place])) for place in places]
            try:
                await write_annotations(self._api, self._link.remote_id, records)
            except ExperimentsError as error:
                outcomes.update(dict.fromkeys(places, error))
            else:
                outcomes.update(dict.fromkeys(places, ""))
        return [outcomes[place] for place in range(len(items))]

    # One at a time

    async def _hold(self) -> None:
        """Be the only one who pushes this experiment: two who push the same rows at once would double them."""
        if not await self._in_thread(self._lease.try_to_take):
            raise BackendUnavailable("another process is pushing this experiment just now", retry_after=2.0)

    async def _release(self) -> None:
        await self._in_thread(self._lease.release)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _tell(waiting: Sequence[_Waiting], outcomes: Sequence[_Outcome]) -> None:
    for one, outcome in zip(waiting, outcomes, strict=True):
        if one.done.done():
            continue
        if isinstance(outcome, str):
            one.done.set_result(outcome)
        else:
            one.done.set_exception(outcome)


def _note(evaluation: OutgoingEvaluation) -> AnnotateRecordInput:
    given = evaluation.record
    value = AnnotationInput(name=given.name, score=given.score, label=given.label, text=given.explanation)
    return AnnotateRecordInput(record_id=evaluation.run_id, values=[value])


@asynccontextmanager
async def arize_pusher(
    api: ArizeApi, datasets: ArizeDatasets, space: Space, store: Store, link: Link, largest_body: int
) -> AsyncIterator[ArizePusher]:
    """A pusher in the running loop, with the task that does its work."""
    pusher = ArizePusher(api, datasets, space, store, link, largest_body)
    work = asyncio.create_task(pusher.work())
    try:
        yield pusher
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
