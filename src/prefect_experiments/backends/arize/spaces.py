"""Names to AX's ids, as the official client goes about it: lists are asked by name, and matched exactly here."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_experiments.backends.arize.api import ArizeApi, Row
from prefect_experiments.backends.arize.rows import is_id, to_time
from prefect_experiments.errors import InvalidInput, InvalidSetting, NotFound, unknown_value
from prefect_experiments.store.named import LATEST, ambiguous, by_newest, newest_of


class Space:
    """The space to work in, looked up when it is first needed.

    Args:
        api: of AX.
        given: id or name; ``None`` where nobody has said one.
    """

    def __init__(self, api: ArizeApi, given: str | None) -> None:
        self._api = api
        self.given = given
        self._id = given if given is not None and is_id(given) else None

    async def id(self) -> str | None:
        """The space's id; ``None`` where nobody has said one.

        Raises:
            NotFound: there is no such space.
            AmbiguousName: several have the name.
        """
        if self._id is None and self.given is not None:
            self._id = await self._found(self.given)
        return self._id

    async def required(self) -> str:
        """The space's id, for what has to be made in one. The only one that there is need not be said."""
        if (known := await self.id()) is not None:
            return known
        every = await self._api.spaces()
        if len(every) == 1:
            self._id = str(every[0]["id"])
            return self._id
        names = ", ".join(repr(row.get("name")) for row in every[:10]) or "none that the key may see"
        raise InvalidSetting(f"which space of Arize AX? Pass space= or set ARIZE_SPACE_ID; there are {names}")

    async def _found(self, name: str) -> str:
        matches = [row for row in await self._api.spaces(name) if row.get("name") == name]
        if not matches:
            names = [str(row.get("name")) for row in await self._api.spaces()]
            raise NotFound(f"{self._api.http.address}: {unknown_value('space', name, names[:20])}")
        return str(_only(matches, f"spaces are called {name!r}")["id"])


async def find_dataset(api: ArizeApi, space: Space, dataset: str) -> Row:
    """A dataset's head with its versions, by id or name.

    Raises:
        NotFound: there is none.
        AmbiguousName: several spaces have one of the name.
    """
    if not dataset:
        raise InvalidInput("this experiment of Arize AX belongs to no dataset, and nothing can be done with it here")
    if is_id(dataset):
        return await api.dataset(dataset)
    found = await named_dataset(api, await space.id(), dataset)
    if found is None:
        names = [str(row.get("name")) for row in (await api.datasets_page(await space.id(), 50, None))[0]]
        raise NotFound(f"{api.http.address}: {unknown_value('dataset', dataset, names[:20])}")
    return found


async def named_dataset(api: ArizeApi, space_id: str | None, name: str) -> Row | None:
    """The head of the dataset of exactly this name, with its versions."""
    matches = [row for row in await api.datasets(space_id, name) if row.get("name") == name]
    if not matches:
        return None
    return await api.dataset(_only(matches, f"datasets are called {name!r}, in different spaces; say space=")["id"])


async def find_experiment(api: ArizeApi, space: Space, experiment: str, dataset: str | None) -> Row:
    """An experiment by id, name, ``latest`` or ``latest:NAME``; ``tag:NAME`` is found by its tags.

    Raises:
        NotFound: there is none.
        AmbiguousName: several; they are listed.
    """
    if is_id(experiment):
        return await api.experiment(experiment)
    scope = await experiment_scope(api, space, dataset)
    if experiment.startswith("tag:"):
        return await _tagged(api, experiment.removeprefix("tag:"), scope)
    newest = newest_of(experiment)
    rows = await api.experiments(None if experiment == LATEST else newest or experiment, **scope)
    found = rows[:1] if experiment == LATEST else [row for row in rows if row.get("name") == (newest or experiment)]
    if newest is not None:
        if not found and (head := await named_dataset(api, await space.id(), newest)) is not None:
            found = await api.experiments(dataset_id=head["id"])
        found = found[:1]
    if not found:
        names = [str(row.get("name")) for row in (await api.experiments_page(50, None, **scope))[0]]
        raise NotFound(f"{api.http.address}: {unknown_value('experiment', experiment, names[:20])}")
    return _only(found, f"experiments are called {experiment!r}", by_newest(experiment))


async def experiment_scope(api: ArizeApi, space: Space, dataset: str | None) -> dict[str, str | None]:
    """Where experiments are looked for: in a dataset, else in the space, else everywhere. AX takes one of the two."""
    if dataset is not None:
        return {"dataset_id": str((await find_dataset(api, space, dataset))["id"])}
    return {"space_id": await space.id()}


async def _tagged(api: ArizeApi, tag: str, scope: dict[str, str | None]) -> Row:
    every = await api.experiments(**scope)
    found = [row for row in every if any(given.get("name") == tag for given in await api.tags(row["id"]))]
    if not found:
        raise NotFound(f"{api.http.address}: no experiment has the tag {tag!r}; give one with `tag`")
    return _only(found, f"experiments have the tag {tag!r}, on different datasets; say dataset=")


def _only(matches: Sequence[Row], what: str, instead: str = "") -> Row:
    if len(matches) > 1:
        raise ambiguous(what, [(str(row["id"]), to_time(row.get("created_at"))) for row in matches], instead=instead)
    return matches[0]
