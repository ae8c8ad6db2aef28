"""Which backends there are: those of this package, and those that other packages bring by an entry point.

A backend is found by its name in the group `GROUP`, and imported when it is opened, not before. Those of this package
are found without an entry point as well: an application in one file has no metadata of its packages.

A name with a slash, such as ``phoenix-credentials/prod``, is that of options that are saved somewhere. What is before
the slash says where, and is looked up in the group `SAVED`; anything that is not there is a block of Prefect.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Collection
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from prefect_experiments.backends.base import Backend, Remote
from prefect_experiments.errors import InvalidSetting, describe, unknown_value
from prefect_experiments.secret_texts import without_secrets

GROUP = "prefect_experiments.backends"
SAVED = "prefect_experiments.saved_backends"
LOCAL = "local"
BUILT_IN = {
    "phoenix": "prefect_experiments.backends.phoenix:BACKEND",
    "arize": "prefect_experiments.backends.arize:BACKEND",
}
PREFECT_BLOCKS = "prefect_experiments.blocks:remote_of_block"


def backend_names() -> list[str]:
    """The names that there are, the store first."""
    others = {point.name for point in entry_points(group=GROUP)} - {LOCAL, *BUILT_IN}
    return [LOCAL, *BUILT_IN, *sorted(others)]


def find_backend(name: str) -> Backend[Any]:
    """The backend of a name.

    Raises:
        InvalidSetting: there is none, or it cannot be imported.
    """
    point = _entry_point(GROUP, name, BUILT_IN.get(name))
    if point is None:
        raise InvalidSetting(unknown_value("backend", name, backend_names()))
    found = _loaded(point, f"the backend {name!r}")
    if not isinstance(found, Backend) or found.name != name:
        raise InvalidSetting(
            f"{point.value}, which is to be the backend {name!r}, is no `prefect_experiments.backends.Backend` of that "
            f"name but {found!r:.100}"
        )
    return found


def open_remote(name: str, **options: Any) -> Remote | None:
    """The backend of a name, not contacted yet; ``None`` for ``local``.

    Args:
        name: one of `backend_names`, or the name of saved options, such as ``phoenix-credentials/prod``.
        options: how to reach it: fields of the backend's settings. What is ``None`` counts as not given.

    Raises:
        InvalidSetting: a name that there is not, or options that it does not take.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if "/" in name:
        _refuse_unknown(name, given, (), "options come with that name")
        return _open_saved(name)
    if name == LOCAL:
        _refuse_unknown(name, given, (), "name another one")
        return None
    found = find_backend(name)
    known = list(found.settings.model_fields)
    _refuse_unknown(name, given, known, f"it takes {', '.join(known) or 'nothing'}")
    return found.open(found.settings(**given))


_here: weakref.WeakValueDictionary[str, Remote] = weakref.WeakValueDictionary()


def sendable_options(name: str, **options: Any) -> dict[str, Any]:
    """Those of a backend's options that may be sent to another process: what holds a secret is that one's to know.

    Args:
        name: as for `open_remote`.
        options: likewise.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if not given:
        return {}
    fields = find_backend(name).settings.model_fields
    # A field that is not to be shown, and an address with a password in it.
    return {
        key: value for key, value in given.items() if fields[key].repr and without_secrets(str(value)) == str(value)
    }


def sendable_remote(remote: Remote | None) -> str:
    """What leads to an open backend in this process, and in those that are forked from it; nowhere else."""
    if remote is None:
        return ""
    token = next((known for known, one in _here.items() if one is remote), None) or uuid.uuid4().hex
    _here[token] = remote
    return token


def remote_here(token: str) -> Remote | None:
    """The open backend that `sendable_remote` told of, where it is in this process."""
    return _here.get(token)


def _refuse_unknown(name: str, given: Collection[str], known: Collection[str], advice: str) -> None:
    if unknown := sorted(set(given).difference(known)):
        near = get_close_matches(unknown[0], [*known, "backend", "store_url"], n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InvalidSetting(f"the backend {name!r} takes no {', '.join(unknown)}; {hint}{advice}")


def _open_saved(name: str) -> Remote:
    point = _entry_point(SAVED, name.partition("/")[0], PREFECT_BLOCKS)
    assert point is not None
    return cast("Remote", _loaded(point, f"what opens the backend {name!r}")(name))


def _entry_point(group: str, name: str, own: str | None) -> EntryPoint | None:
    """What a name leads to in a group; in `BUILT_IN`, nobody else can take it."""
    if own is not None and group == GROUP:
        return EntryPoint(name, own, group)
    found = {point.value: point for point in entry_points(group=group, name=name)}
    if len(found) > 1:
        raise InvalidSetting(f"several packages bring {name!r} ({', '.join(found)}); uninstall all but one of them")
    fallback = None if own is None else EntryPoint(name, own, group)
    return next(iter(found.values()), fallback)


def _loaded(point: EntryPoint, what: str) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise InvalidSetting(
            f"{what} ({point.value}) cannot be imported: {without_secrets(describe(error)):.300}"
        ) from error
