"""Where experiments are kept: the embedded store, Arize Phoenix. The only place with HTTP."""

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

        unknown = sorted(set(given) - {"base_url", "api_key", "headers"})
        if unknown:
            raise InvalidSetting(f"the backend 'phoenix' takes no {', '.join(unknown)}")
        return PhoenixBackend(**given)
    raise InvalidSetting(unknown_value("backend", name, list(BACKENDS)))
