"""Experiments in Arize AX.

AX has no empty experiments: one is made there with its first runs (`pushing`). Until then it goes by the id that it
has in the store.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence

from prefect_experiments.backends.arize.api import MOST_ROWS, ArizeApi, Row
from prefect_experiments.backends.arize.datasets import ArizeDatasets
from prefect_experiments.backends.arize.row_marks import read_mark
from prefect_experiments.backends.arize.rows import to_time
from prefect_experiments.backends.arize.run_rows import latest_rows, to_run
from prefect_experiments.backends.arize.spaces import Space, experiment_scope, find_experiment
from prefect_experiments.backends.base import Draft, PulledResults
from prefect_experiments.errors import (
    AlreadyExists,
    BackendRefused,
    BackendUnavailable,
    InvalidInput,
    InvalidSetting,
    NotFound,
)
from prefect_experiments.models import AnnotateRecordInput, Experiment
from prefect_experiments.pages import Pagination
from prefect_experiments.sync import waited


class ArizeExperiments:
    """``client.experiments`` for AX; see `backends.base.Experiments`."""

    def __init__(self, api: ArizeApi, space: Space, datasets: ArizeDatasets) -> None:
        self._api = api
        self._space = space
        self._datasets = datasets

    @waited
    async def page(self, *, dataset: str | None, limit: int, cursor: str | None) -> tuple[list[Experiment], Pagination]:
        """Experiments, newest first; without their tags, for which AX would have to be asked one by one."""
        scope = await experiment_scope(self._api, self._space, dataset)
        rows, after = await self._api.experiments_page(limit, cursor, **scope)
        names = await self._dataset_names({row.get("dataset_id") for row in rows})
        experiments = [to_experiment(row, names.get(str(row.get("dataset_id")), "")) for row in rows]
        return experiments, Pagination(has_more=after is not None, next_cursor=after)

    async def _dataset_names(self, ids: set[str | None]) -> dict[str, str]:
        wanted = {dataset_id for dataset_id in ids if dataset_id}
        if not wanted:
            return {}
        if len(wanted) == 1:
            (only,) = wanted
            return {only: str((await self._api.dataset(only)).get("name") or "")}
        return {row["id"]: str(row.get("name") or "") for row in await self._api.datasets(await self._space.id())}

    @waited
    async def find(self, experiment: str, dataset: str | None = None) -> Experiment:
        """An experiment by id, name, ``tag:NAME`` or ``latest``."""
        row = await find_experiment(self._api, self._space, experiment, dataset)
        names, tags = await asyncio.gather(self._dataset_names({row.get("dataset_id")}), self._tags(row["id"]))
        return to_experiment(row, names.get(str(row.get("dataset_id")), ""), [str(tag.get("name")) for tag in tags])

    async def _tags(self, experiment_id: str) -> list[Row]:
        try:
            return await self._api.tags(experiment_id)
        except (NotFound, InvalidSetting, BackendRefused):  # an AX that has no tags yet, or a key that may not see them
            return []

    def check_name(self, name: str) -> None:
        """Refuse a name that AX does not take.

        Raises:
            InvalidInput: it does not.
        """
        if '"' in name or "\\" in name or not 1 <= len(name) <= 255:
            raise InvalidInput(
                f"an experiment's name in Arize AX has 1 to 255 characters and no double quotes or backslashes, "
                f"got {name!r:.80}"
            )

    @waited
    async def begin(self, draft: Draft) -> Experiment:
        """See that the experiment can be made, when there are results. Nothing is made yet."""
        self.check_name(draft.name)
        scope = {"dataset_id": draft.dataset_id} if draft.dataset_id else {"space_id": await self._space.required()}
        there = await self._api.experiments(draft.name, **scope)
        if any((row.get("name"), row.get("dataset_id") or "") == (draft.name, draft.dataset_id) for row in there):
            where = "on this dataset" if draft.dataset_id else "without a dataset in this space"
            raise AlreadyExists(
                f"there is an experiment {draft.name!r} {where} already in {self._api.http.address}, where "
                "names are unique; choose another name, or go on with that one by resume_experiment"
            )
        return Experiment(
            id=draft.experiment_id or f"exp-{uuid.uuid4().hex[:16]}",
            name=draft.name,
            dataset_id=draft.dataset_id,
            dataset_version_id=draft.version_id,
        )

    @waited
    async def delete(self, experiment_id: str) -> None:
        """Delete an experiment with its runs."""
        await self._api.delete_experiment(experiment_id)

    @waited
    async def tag(self, experiment_id: str, tag: str) -> None:
        """Give a tag of the space, made where there is none; another experiment of the dataset loses it."""
        row = await self._api.experiment(experiment_id)
        holders = await self._holders(row, tag)
        if experiment_id not in holders:
            tag_id = next(iter(holders.values()), None) or await self._tag_id(row, tag)
            await self._api.change_tag("POST", experiment_id, tag_id)
        for other, tag_id in holders.items():
            if other != experiment_id:
                await self._api.change_tag("DELETE", other, tag_id)

    async def _tag_id(self, row: Row, tag: str) -> str:
        space_id = row.get("space_id") or (await self._api.dataset(row["dataset_id"]))["space_id"]
        try:
            return str((await self._api.create_tag(space_id, tag))["id"])
        except AlreadyExists:
            pass
        # AX tells the ids of tags only with the things that have them.
        for other in await self._api.experiments(space_id=space_id):
            for given in await self._api.tags(other["id"]):
                if str(given.get("name", "")).lower() == tag.lower():
                    return str(given["id"])
        raise InvalidInput(
            f"the space has a tag {tag!r} already, on no experiment, and AX does not tell its id; give it to one of "
            "the space's experiments in AX, or choose another"
        )

    async def _holders(self, row: Row, tag: str) -> dict[str, str]:
        """The experiments of the same dataset that have a tag, each with the tag's id."""
        found = {}
        scope = {"dataset_id": row["dataset_id"]} if row.get("dataset_id") else {"space_id": row.get("space_id")}
        for other in await self._api.experiments(**scope):
            for given in await self._api.tags(other["id"]):
                if given.get("name") == tag:
                    found[str(other["id"])] = str(given["id"])
        return found

    @waited
    async def untag(self, experiment_id: str, tag: str) -> None:
        """Take a tag away."""
        for given in await self._api.tags(experiment_id):
            if given.get("name") == tag:
                await self._api.change_tag("DELETE", experiment_id, str(given["id"]))
                return
        raise NotFound(f"experiment {experiment_id} has no tag {tag!r}")

    @waited
    async def annotate(
        self, annotations: Sequence[AnnotateRecordInput], annotator: str | None, experiment_id: str | None = None
    ) -> int:
        """Write people's annotations, 1,000 runs a request; AX takes the annotator from the key.

        Raises:
            NotFound: a run that is not there, which AX would not say; then nothing is written.
            BackendRefused: a name that is no annotation config of the space.
        """
        if experiment_id is None:
            raise InvalidInput("Arize AX annotates the runs of one experiment; pass experiment=")
        if annotator is not None:
            raise InvalidInput("Arize AX takes the annotator from the API key; leave annotator= out")
        known = {row.get("id") for row in await self._api.runs(experiment_id)}
        if unknown := [note.record_id for note in annotations if note.record_id not in known]:
            raise NotFound(
                f"{len(unknown)} of the runs are not in experiment {experiment_id}: "
                f"{', '.join(f'{run_id:.60}' for run_id in unknown[:5])}; list_runs gives the ids"
            )
        records = [annotation_record(note) for note in annotations]
        for start in range(0, len(records), MOST_ROWS):
            await write_annotations(self._api, experiment_id, records[start : start + MOST_ROWS])
        return sum(len(note.values) for note in annotations)

    @waited
    async def pull(self, experiment: Experiment) -> PulledResults:
        """All runs and evaluations. AX does not say which examples an experiment was meant to be on."""
        rows, ids = await asyncio.gather(self._api.runs(experiment.id), self._ax_ids(experiment))
        latest = latest_rows(rows, {ax_id: example_id for example_id, ax_id in ids.items()})
        tasks = (read_mark(row).task_fingerprint for _, _, row in latest)
        runs = [to_run(row, example_id, number, experiment) for example_id, number, row in latest]
        return PulledResults(runs, task_fingerprint=next(filter(None, tasks), None))

    async def _ax_ids(self, experiment: Experiment) -> Mapping[str, str]:
        """AX's ids of the examples; an experiment on no dataset calls them as they were called."""
        if not experiment.dataset_id:
            return {}
        return await self._datasets.ax_ids(experiment.dataset_id, experiment.dataset_version_id)


def to_experiment(row: Row, dataset_name: str = "", tags: Sequence[str] = ()) -> Experiment:
    """An experiment from its JSON."""
    return Experiment(
        id=row["id"],
        name=str(row.get("name") or row["id"]),
        dataset_id=row.get("dataset_id") or "",
        dataset_name=dataset_name,
        dataset_version_id=row.get("dataset_version_id") or "",
        tags=tuple(tags),
        created_at=to_time(row.get("created_at")),
        updated_at=to_time(row.get("updated_at")),
    )


def annotation_record(note: AnnotateRecordInput) -> Row:
    """What AX takes for a run's annotations: what is not said stays as it is."""
    values = [{name: value for name, value in one.to_dict().items() if value is not None} for one in note.values]
    return {"record_id": note.record_id, "values": values}


async def write_annotations(api: ArizeApi, experiment_id: str, records: Sequence[Row]) -> None:
    """Write annotations of at most 1,000 runs.

    Raises:
        BackendRefused: a name that is no annotation config of the space.
    """
    try:
        await api.annotate_runs(experiment_id, records)
    except BackendUnavailable:
        raise
    except (NotFound, BackendRefused) as error:
        raise BackendRefused(
            f"{error}. An annotation's name must be that of an annotation config of the space; make one in AX"
        ) from None
