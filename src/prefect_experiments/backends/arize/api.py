"""Arize AX's REST API: a method for each endpoint that is used, JSON in and out. Asynchronous.

Protocol: version 2, as the models and docstrings that come with the official package `arize` 8.61 describe it. Answers
are read leniently: a field that is not used may be missing, or be another one tomorrow.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from prefect_experiments.backends.http import Http
from prefect_experiments.backends.patience import Patience
from prefect_experiments.backoff import backoff
from prefect_experiments.errors import (
    BackendRefused,
    BackendUnavailable,
    ExperimentsError,
    InvalidInput,
    InvalidSetting,
    NotFound,
    unusable_connection,
)

PAGE, ROWS_PAGE = 100, 500  # the most that AX gives at once: of datasets and experiments, and of their rows
MOST_ROWS = 1000  # that a request may hold
UPLOAD_TIMEOUT_S = 120.0
ATTEMPTS = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0

Row = dict[str, Any]
T = TypeVar("T")


class Untouched(BackendUnavailable):
    """Trouble that passes, and the request has surely changed nothing."""


class ArizeHttp(Http):
    """HTTP that knows whether a request that has failed may have been carried out all the same."""

    def _named(self, response: httpx.Response) -> ExperimentsError:
        error = super()._named(response)
        if response.status_code == 404:
            # AX answers in JSON, also where it says nothing more: then it is the thing that is not there, not the path.
            in_json = "json" in response.headers.get("content-type", "")
            if in_json and isinstance(error, InvalidSetting):
                path = f"{response.request.method} {response.request.url.path}"
                return NotFound(f"{self.address} has no such thing ({path})")
            return error if in_json else self._foreign(response)
        if response.status_code == 429 and isinstance(error, BackendUnavailable):
            return Untouched(str(error), retry_after=error.retry_after)
        return error

    def _unreachable(self, error: httpx.RequestError | ssl.SSLError) -> ExperimentsError:
        found = super()._unreachable(error)
        never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        if never_sent and isinstance(found, BackendUnavailable):
            return Untouched(str(found))
        return found


class ArizeApi:
    """The endpoints."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self.searches = False  # whether rows are listed by POST .../search, for a server without the other form

    async def check(self) -> None:
        """Make sure that this is AX, and that the key is taken.

        Raises:
            InvalidSetting: it is not.
            BackendUnavailable: nothing answers.
        """
        await self._page("/v2/datasets", "datasets", {"limit": 1})

    # Spaces and tags

    async def spaces(self, name: str | None = None) -> list[Row]:
        """Spaces; with a name, those whose name holds it."""
        return await self._every("/v2/spaces", "spaces", name=name)

    async def create_tag(self, space_id: str, name: str) -> Row:
        """A new tag in a space."""
        return await self._one("POST", "/v2/tags", json={"name": name, "space_id": space_id})

    async def tags(self, experiment_id: str) -> list[Row]:
        """The tags that an experiment has."""
        return self._rows(await self.http.get(f"/v2/experiments/{_quoted(experiment_id)}/tags"), "tags")

    async def change_tag(self, method: str, experiment_id: str, tag_id: str) -> Row:
        """Give (``POST``) a tag or take it away (``DELETE``)."""
        path = f"/v2/experiments/{_quoted(experiment_id)}/tags"
        return dict(await self.http.patiently(method, path, json={"tag_ids": [tag_id]}))

    # Datasets

    async def datasets(self, space_id: str | None = None, name: str | None = None) -> list[Row]:
        """Datasets, newest first; with a name, those whose name holds it."""
        return await self._every("/v2/datasets", "datasets", space_id=space_id, name=name)

    async def datasets_page(self, space_id: str | None, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
        """Some datasets, newest first, and the cursor for the next ones."""
        return await self._some("/v2/datasets", "datasets", limit, cursor, space_id=space_id)

    async def dataset(self, dataset_id: str) -> Row:
        """A dataset with its versions, newest first."""
        return await self._one("GET", f"/v2/datasets/{_quoted(dataset_id)}")

    async def create_dataset(self, space_id: str, name: str, examples: Sequence[Row]) -> Row:
        """A new dataset of at most 1,000 examples; not tried again by itself."""
        body = {"name": name, "space_id": space_id, "examples": examples}
        return await self._one("POST", "/v2/datasets", json=body)

    async def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset."""
        await self._delete(f"/v2/datasets/{_quoted(dataset_id)}")

    async def examples(self, dataset_id: str, version_id: str) -> list[Row]:
        """The examples of a version."""
        path = f"/v2/datasets/{_quoted(dataset_id)}/examples"
        return [row async for page, _ in self.pages(path, "examples", dataset_version_id=version_id) for row in page]

    async def insert_examples(self, dataset_id: str, version_id: str, examples: Sequence[Row]) -> Row:
        """Further examples, at most 1,000, in a version; not tried again by itself, or they would be there twice."""
        path = f"/v2/datasets/{_quoted(dataset_id)}/examples"
        return await self._one("POST", path, params={"dataset_version_id": version_id}, json={"examples": examples})

    async def update_examples(
        self, dataset_id: str, version_id: str, examples: Sequence[Row], new_version: str | None = None
    ) -> Row:
        """Other content for examples, at most 1,000, by id: in a version, or in a new one made from it."""
        path = f"/v2/datasets/{_quoted(dataset_id)}/examples"
        body: Row = {"examples": examples}
        if new_version is not None:
            body["new_version"] = new_version
        return await self._one("PATCH", path, params={"dataset_version_id": version_id}, json=body)

    async def delete_examples(self, dataset_id: str, version_id: str, ids: Sequence[str]) -> None:
        """Take examples, at most 1,000, out of a version. What is not there is no trouble."""
        path = f"/v2/datasets/{_quoted(dataset_id)}/examples"
        body = {"dataset_version_id": version_id, "example_ids": ids}
        answer = await self.http.patiently("DELETE", path, json=body, timeout=UPLOAD_TIMEOUT_S)
        if isinstance(answer, dict) and answer.get("completed") is False:
            raise BackendUnavailable(f"{self.http.address} has deleted a part of the examples only")

    # Experiments

    async def experiments(self, name: str | None = None, **scope: str | None) -> list[Row]:
        """Experiments, newest first, of ``dataset_id=`` or ``space_id=``; with a name, those whose name holds it."""
        return await self._every("/v2/experiments", "experiments", name=name, **scope)

    async def experiments_page(
        self, limit: int, cursor: str | None, **scope: str | None
    ) -> tuple[list[Row], str | None]:
        """Some experiments, newest first, and the cursor for the next ones."""
        return await self._some("/v2/experiments", "experiments", limit, cursor, **scope)

    async def experiment(self, experiment_id: str) -> Row:
        """An experiment."""
        return await self._one("GET", f"/v2/experiments/{_quoted(experiment_id)}")

    async def create_experiment(self, name: str, runs: Sequence[Row], **scope: str) -> Row:
        """A new experiment with its first runs, at most 1,000; not tried again by itself.

        Args:
            name: the experiment's.
            runs: its first ones.
            scope: ``dataset_id``, or ``space_id`` for one without a dataset.
        """
        body = {"name": name, **scope, "experiment_runs": runs}
        return await self._one("POST", "/v2/experiments", json=body)

    async def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment with its runs."""
        await self._delete(f"/v2/experiments/{_quoted(experiment_id)}")

    async def append_runs(self, experiment_id: str, runs: Sequence[Row]) -> list[str]:
        """Further runs, at most 1,000; their ids, in order. Not tried again by itself, or they would be there twice."""
        answer = await self._one(
            "POST", f"/v2/experiments/{_quoted(experiment_id)}/runs", json={"experiment_runs": runs}
        )
        ids = answer.get("run_ids")
        if not isinstance(ids, list) or len(ids) != len(runs):
            raise self._odd("as many run_ids as runs")
        return [str(run_id) for run_id in ids]

    async def runs(self, experiment_id: str) -> list[Row]:
        """All runs, in the order in which they came, or of their ids."""
        return [row async for page, _ in self.run_pages(experiment_id) for row in page]

    def run_pages(self, experiment_id: str, cursor: str | None = None) -> AsyncIterator[tuple[list[Row], str | None]]:
        """The pages of runs from one on, each with the cursor that leads to it."""
        return self.pages(f"/v2/experiments/{_quoted(experiment_id)}/runs", "experiment_runs", cursor)

    async def annotate_runs(self, experiment_id: str, annotations: Sequence[Row]) -> None:
        """People's annotations on runs, at most 1,000; those of the same name are replaced."""
        path = f"/v2/experiments/{_quoted(experiment_id)}/runs/annotate"
        await self.http.patiently("POST", path, json={"annotations": annotations}, timeout=UPLOAD_TIMEOUT_S)

    # Traces

    async def projects(self, space_id: str | None, name: str) -> list[Row]:
        """Projects whose name holds a text."""
        return await self._every("/v2/projects", "projects", space_id=space_id, name=name)

    async def spans(self, project_id: str, **bounds: str | None) -> AsyncIterator[Row]:
        """Spans of a project between ``start_time=`` and ``end_time=``, newest first."""
        body = {"project_id": project_id, **{name: value for name, value in bounds.items() if value}}
        cursor: str | None = None
        while True:
            query = {"limit": ROWS_PAGE, **({"cursor": cursor} if cursor else {})}
            answer = await self.http.patiently("POST", "/v2/spans", params=query, json=body, timeout=UPLOAD_TIMEOUT_S)
            rows, cursor = self._paged(answer, "spans")
            for row in rows:
                yield row
            if cursor is None:
                return

    # What they share

    async def pages(
        self, path: str, name: str, cursor: str | None = None, **params: str
    ) -> AsyncIterator[tuple[list[Row], str | None]]:
        """The pages of a list of rows, each with the cursor that leads to it; by whichever form the server has."""
        while True:
            query = {**params, "limit": ROWS_PAGE, **({"cursor": cursor} if cursor else {})}
            rows, after = await self._listed(path, name, query)
            yield rows, cursor
            if after is None:
                return
            cursor = after

    async def _listed(self, path: str, name: str, query: Row) -> tuple[list[Row], str | None]:
        try:
            return await self._form(path, name, query)
        except (NotFound, InvalidSetting) as error:
            self.searches = not self.searches
            try:
                return await self._form(path, name, query)
            except ExperimentsError:
                self.searches = not self.searches
                raise error from None

    async def _form(self, path: str, name: str, query: Row) -> tuple[list[Row], str | None]:
        if not self.searches:
            return await self._page(path, name, query)
        answer = await self.http.patiently("POST", f"{path}/search", json=query, timeout=UPLOAD_TIMEOUT_S)
        return self._paged(answer, name)

    async def _every(self, path: str, key: str, /, **filters: str | None) -> list[Row]:
        found: list[Row] = []
        cursor: str | None = None
        while True:
            rows, cursor = await self._some(path, key, PAGE, cursor, **filters)
            found += rows
            if cursor is None:
                return found

    async def _some(
        self, path: str, key: str, limit: int, cursor: str | None, /, **filters: str | None
    ) -> tuple[list[Row], str | None]:
        """As many rows as asked for, of as many pages as that takes."""
        found: list[Row] = []
        while True:
            params = {**filters, "limit": min(PAGE, limit - len(found)), "cursor": cursor}
            try:
                rows, after = await self._page(path, key, {name: value for name, value in params.items() if value})
            except BackendRefused as error:
                if cursor is None:
                    raise
                raise InvalidInput(f"{cursor!r:.80} is not a cursor that a list gave: {error}") from None
            cursor = after
            found += rows
            if cursor is None or len(found) >= limit:
                return found, cursor

    async def _page(self, path: str, name: str, params: Mapping[str, Any]) -> tuple[list[Row], str | None]:
        return self._paged(await self.http.get(path, params, timeout=UPLOAD_TIMEOUT_S), name)

    def _paged(self, answer: Any, name: str) -> tuple[list[Row], str | None]:
        rows = self._rows(answer, name)
        pagination = answer.get("pagination") or {}
        cursor = pagination.get("next_cursor") or None
        if cursor is None and pagination.get("has_more"):
            raise self._odd("a cursor where it says that there is more")
        return rows, cursor

    def _rows(self, answer: Any, name: str) -> list[Row]:
        rows = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._odd(f"a list of {name}")
        return rows

    async def _one(self, method: str, path: str, **arguments: Any) -> Row:
        if method == "GET":
            answer = await self.http.get(path)
        else:
            answer = await self.http.once(method, path, timeout=UPLOAD_TIMEOUT_S, **arguments)
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
            raise self._odd("an id")
        return answer

    async def _delete(self, path: str) -> None:
        try:
            await self.http.once("DELETE", path)
        except BackendUnavailable:  # it may have been done: a second time says "not found" then
            try:
                await self.http.patiently("DELETE", path)
            except NotFound:
                return

    def _odd(self, lacking: str) -> InvalidSetting:
        address = self.http.address
        return unusable_connection(
            f"{address} gave an answer that is not one of AX's: it lacks {lacking}; set {address.url_setting}"
        )


async def once_only(send: Callable[[], Awaitable[T]], look: Callable[[], Awaitable[T | None]]) -> T:
    """Make a request that must not be carried out twice.

    Args:
        send: makes it.
        look: what it would have given, if it turns out that it was carried out; asked where that is not known.

    Raises:
        BackendUnavailable: it could not be made, or not be found out.
    """
    patience = Patience(ATTEMPTS, FIRST_PAUSE_S, LONGEST_PAUSE_S)
    while True:
        try:
            return await send()
        except (BackendUnavailable, InvalidSetting) as error:
            pause = patience.pause(error)
            # The last one may be under way as well: it is looked for no sooner than the others.
            await asyncio.sleep(backoff(ATTEMPTS, FIRST_PAUSE_S, LONGEST_PAUSE_S) if pause is None else pause)
            if not isinstance(error, Untouched) and (done := await look()) is not None:
                return done
            if pause is None:
                raise


def _quoted(part: str) -> str:
    """A part of a path: what data holds must not lead elsewhere."""
    return quote(part, safe="")
