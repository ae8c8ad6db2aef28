"""Phoenix's REST API: a method for each endpoint that is used, JSON in and out. Asynchronous.

Protocol: the server's ``/openapi.json``, seen at version 20.26.1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from prefect_experiments.backends.http import Http
from prefect_experiments.backends.phoenix.graphql import fits_a_header, results_by_graphql
from prefect_experiments.errors import (
    BackendRefused,
    BackendUnavailable,
    InvalidInput,
    InvalidSetting,
    NotFound,
    unusable_connection,
)

UPLOAD_TIMEOUT_S = 600.0  # thousands of examples in one request
PAGE = 100
RUNS_PAGE = 1000
GETS_AT_ONCE = 8

T = TypeVar("T")
R = TypeVar("R")


class Row(dict[str, Any]):
    """An object of an answer. What it should have and has not is said in words."""

    def __missing__(self, name: str) -> Any:
        raise InvalidSetting(
            f"an answer of Phoenix has no {name!r} where one is expected: what answers is no Phoenix, or of a version "
            f"that is too old or too new; it has {', '.join(self) or 'nothing'}"
        )


class PhoenixApi:
    """The endpoints."""

    def __init__(self, http: Http) -> None:
        self.http = http

    async def check(self) -> None:
        """Make sure that this is a Phoenix, and that the key is taken: a viewer's is not.

        Raises:
            InvalidSetting: it is not.
            BackendUnavailable: nothing answers.
        """
        for row in (await self.datasets(limit=1))["data"]:
            row["name"]
        if any(name.lower() == "authorization" for name in self.http.address.headers):
            with contextlib.suppress(BackendRefused, NotFound):  # which is what whoever may write hears of this
                await self.http.patiently("POST", "/v1/span_annotations", json={})

    # Datasets

    async def upload(self, body: Mapping[str, Any]) -> Row:
        """Create, append to or update a dataset; not tried again by itself."""
        answer = await self.http.once(
            "POST", "/v1/datasets/upload", params={"sync": "true"}, json=body, timeout=UPLOAD_TIMEOUT_S
        )
        return self._row(answer)

    async def datasets(self, name: str | None = None, *, cursor: str | None = None, limit: int = PAGE) -> Row:
        """A page of datasets: ``data`` and ``next_cursor``."""
        return await self._page("/v1/datasets", limit=limit, cursor=cursor, name=name)

    async def dataset(self, dataset_id: str) -> Row:
        """A dataset by its id."""
        return self._row(await self.http.get(f"/v1/datasets/{_quoted(dataset_id)}"))

    async def versions(self, dataset_id: str, limit: int | None = None) -> list[Row]:
        """Versions, newest first; all of them without a limit."""
        return await self._rows(f"/v1/datasets/{_quoted(dataset_id)}/versions", limit=limit)

    async def examples(self, dataset_id: str, version_id: str | None = None, splits: Sequence[str] = ()) -> Row:
        """The examples of a version; every one at once."""
        params: dict[str, Any] = {"version_id": version_id} if version_id else {}
        if splits:
            params["split"] = list(splits)
        path = f"/v1/datasets/{_quoted(dataset_id)}/examples"
        found = self._row(await self.http.get(path, params, timeout=UPLOAD_TIMEOUT_S))
        found["examples"] = self._objects(found["examples"])
        return found

    async def splits(self, dataset_id: str) -> list[Row]:
        """The splits that a dataset's examples belong to."""
        return await self._rows(f"/v1/datasets/{_quoted(dataset_id)}/splits")

    async def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset with its experiments."""
        await self._delete(f"/v1/datasets/{_quoted(dataset_id)}")

    # Experiments

    async def create_experiment(self, dataset_id: str, body: Mapping[str, Any]) -> Row:
        """A new experiment; not tried again by itself, or there would be two."""
        path = f"/v1/datasets/{_quoted(dataset_id)}/experiments"
        return self._row(await self.http.once("POST", path, json=body))

    async def experiments(self, dataset_id: str, *, cursor: str | None = None, limit: int = PAGE) -> Row:
        """A page of a dataset's experiments, newest first."""
        return await self._page(f"/v1/datasets/{_quoted(dataset_id)}/experiments", limit=limit, cursor=cursor)

    async def every_experiment(self, dataset_id: str) -> list[Row]:
        """All of a dataset's experiments, newest first."""
        return await self._rows(f"/v1/datasets/{_quoted(dataset_id)}/experiments")

    async def experiment(self, experiment_id: str) -> Row:
        """An experiment by its id."""
        return self._row(await self.http.get(f"/v1/experiments/{_quoted(experiment_id)}"))

    async def update_experiment(self, experiment_id: str, body: Mapping[str, Any]) -> None:
        """Change what is said of an experiment: name, description, metadata."""
        await self.http.patiently("PATCH", f"/v1/experiments/{_quoted(experiment_id)}", json=body)

    async def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment with its runs, and the project with its traces."""
        await self._delete(f"/v1/experiments/{_quoted(experiment_id)}", delete_project="true")

    async def runs(self, experiment_id: str) -> list[Row]:
        """All runs, without evaluations."""
        return await self._rows(f"/v1/experiments/{_quoted(experiment_id)}/runs", page=RUNS_PAGE)

    async def results(self, experiment_id: str, name: str) -> list[Row]:
        """All runs of the experiment of this name with their annotations, without ids."""
        if not fits_a_header(name):
            return self._objects(await results_by_graphql(self.http, experiment_id))
        try:
            path = f"/v1/experiments/{_quoted(experiment_id)}/json"
            found = await self.http.get(path, timeout=UPLOAD_TIMEOUT_S)
        except NotFound as error:
            if "no runs" in str(error).lower() or "no experiment runs" in str(error).lower():
                return []
            raise
        return self._objects(found)

    async def incomplete_runs(self, experiment_id: str) -> list[Row]:
        """What is missing or failed: ``dataset_example`` and ``repetition_numbers``."""
        return await self._rows(f"/v1/experiments/{_quoted(experiment_id)}/incomplete-runs", page=RUNS_PAGE)

    async def create_run(self, experiment_id: str, body: Mapping[str, Any]) -> str:
        """One run; its id. Replaces a failed one."""
        answer = await self.http.once("POST", f"/v1/experiments/{_quoted(experiment_id)}/runs", json=body)
        return str(self._row(answer)["id"])

    async def put_evaluation(self, body: Mapping[str, Any]) -> None:
        """One evaluation; replaces one of the same name on the same run."""
        self._data(await self.http.once("POST", "/v1/experiment_evaluations", json=body))  # else it went elsewhere

    async def tags(self, experiment_id: str) -> list[str]:
        """The names of an experiment's tags."""
        answer = await self.http.get(f"/v1/experiments/{_quoted(experiment_id)}/tags")
        return [row["name"] for row in self._objects(self._data(answer))]

    async def tag(self, experiment_id: str, name: str) -> None:
        """Give a tag; another experiment of the dataset that has it loses it."""
        await self.http.patiently("POST", f"/v1/experiments/{_quoted(experiment_id)}/tags", json={"name": name})

    async def untag(self, experiment_id: str, name: str) -> None:
        """Take a tag away."""
        await self._delete(f"/v1/experiments/{_quoted(experiment_id)}/tags/{_quoted(name)}")

    # Spans

    async def spans(self, project: str, *, limit: int, **filters: Any) -> list[Row]:
        """Spans of a project, newest first, at most `limit` of them."""
        path = f"/v1/projects/{_quoted(project)}/spans"
        return await self._rows(path, page=min(limit, RUNS_PAGE), limit=limit, **filters)

    # What they share

    async def _delete(self, path: str, **params: Any) -> None:
        try:
            await self.http.once("DELETE", path, params=params)
        except BackendUnavailable:  # it may have been done: a second time says "not found" then
            await self.http.patiently("DELETE", path, params=params)

    async def _page(self, path: str, **params: Any) -> Row:
        try:
            found = await self.http.get(path, {name: value for name, value in params.items() if value is not None})
        except BackendRefused as error:
            if params.get("cursor") is None:
                raise
            raise InvalidInput(f"{params['cursor']!r:.80} is not a cursor that a list gave: {error}") from None
        return Row(found, data=self._objects(self._data(found)))

    async def _rows(self, path: str, *, page: int = PAGE, limit: int | None = None, **filters: Any) -> list[Row]:
        """Every row of a paged list, or the first ones."""
        found: list[Row] = []
        async for rows in self._pages(path, page if limit is None else min(page, limit), filters):
            found += rows
            if limit is not None and len(found) >= limit:
                break
        return found[:limit]

    async def _pages(self, path: str, size: int, filters: Mapping[str, Any]) -> AsyncIterator[list[Row]]:
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            answer = await self._page(path, limit=size, cursor=cursor, **filters)
            yield answer["data"]
            cursor = answer.get("next_cursor")
            if not cursor or cursor in seen:  # a server that goes in circles
                return
            seen.add(cursor)

    def _row(self, answer: Any) -> Row:
        return self._objects([self._data(answer)])[0]

    def _data(self, answer: Any) -> Any:
        if not isinstance(answer, dict) or "data" not in answer:
            raise self._strange(f"{type(answer).__name__} without 'data'")
        return answer["data"]

    def _objects(self, rows: Any) -> list[Row]:
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._strange("no objects where there should be some")
        return list(map(Row, rows))

    def _strange(self, what: str) -> InvalidSetting:
        address = self.http.address
        return unusable_connection(
            f"{address} gave an answer that is not one of Phoenix's ({what}); set {address.url_setting}, "
            "or upgrade Phoenix"
        )


async def each(ask: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """What Phoenix says of each of several things that it must be asked about one by one."""
    turns = asyncio.Semaphore(GETS_AT_ONCE)

    async def one(item: T) -> R:
        async with turns:
            return await ask(item)

    return list(await asyncio.gather(*map(one, items)))


def _quoted(part: str) -> str:
    """A part of a path: what data holds must not lead elsewhere."""
    return quote(part, safe="")
