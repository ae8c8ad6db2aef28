"""Where experiments are kept: the embedded store, Arize Phoenix, Arize AX. The only place with HTTP."""

from __future__ import annotations

from typing import Any

from prefect_experiments.backends.base import Remote
from prefect_experiments.errors import InvalidSetting, unknown_value
from prefect_experiments.settings import BACKENDS

__all__ = ["Remote", "open_remote"]


def open_remote(name: str, **options: Any) -> Remote | None:
    """The backend of a name, not contacted yet; ``None`` for ``local``.

    Args:
        name: one of `settings.BACKENDS`.
        options: how to reach it, such as ``base_url`` and ``api_key``; what is ``None`` comes from
            the environment.

    Raises:
        InvalidSetting: a name that there is not, or options that it does not take.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if name == "local":
        if given:
            raise InvalidSetting(f"the backend 'local' takes no {', '.join(sorted(given))}; name another one")
        return None
    if name == "phoenix":
        from prefect_experiments.backends.phoenix import PhoenixBackend

        _check_options(name, given, {"base_url", "api_key", "headers"})
        return PhoenixBackend(**given)
    if name == "arize":
        from prefect_experiments.backends.arize import ArizeBackend

        known = {"api_key", "space", "api_host", "api_port", "api_scheme", "base_url", "traces"}
        _check_options(name, given, known)
        return ArizeBackend(**given)
    raise InvalidSetting(unknown_value("backend", name, list(BACKENDS)))


def _check_options(name: str, given: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(given) - known):
        raise InvalidSetting(f"the backend {name!r} takes no {', '.join(unknown)}")
