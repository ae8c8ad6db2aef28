"""`Client`: datasets, experiments and traces, in the store or a backend, and the calls that run experiments.

Prefect, which takes more than a second to import, is imported by the calls that run something.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from prefect_experiments.backends import open_remote
from prefect_experiments.client.compat_ax import Datasets, Experiments
from prefect_experiments.client.spans import Spans
from prefect_experiments.experiment.places import remote_of
from prefect_experiments.settings import Settings
from prefect_experiments.store import Store, open_store

__all__ = ["Client", "Datasets", "Experiments", "Spans"]


class Client:
    """Datasets and experiments.

    Args:
        backend: ``"local"``, the embedded store; ``"phoenix"``; ``"arize"``; or a saved block of Prefect such as
            ``"phoenix-credentials/prod"``. Default from the settings. What is run is written to the
            store first in any case.
        base_url: where the backend is; default, from the environment names that its own clients read.
        api_key: the backend's key; likewise.
        headers: further HTTP headers; likewise. Phoenix only.
        space: id or name of the space to work in; default ``ARIZE_SPACE_ID``. AX only, as what follows.
        api_host: where AX's API is, in the place of `base_url`; with `api_port` and `api_scheme`.
        traces: whether the spans of experiments go to AX's collector; default from the settings
            (``PREFECT_EXPERIMENTS_ARIZE_TRACES``), else not.
        store_url: SQLAlchemy URL of the store; default from the settings
            (``PREFECT_EXPERIMENTS_STORE_URL``), else an SQLite file in Prefect's home.

    Raises:
        InvalidSetting: a backend that there is not, or a URL that cannot be used.
        StoreUnavailable: the store's database does not answer.
    """

    def __init__(
        self,
        *,
        backend: str | None = None,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        headers: Mapping[str, str] | None = None,
        space: str | None = None,
        api_host: str | None = None,
        api_port: int | None = None,
        api_scheme: str | None = None,
        traces: bool | None = None,
        store_url: str | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "base_url": base_url,
            "api_key": api_key,
            "headers": headers,
            "space": space,
            "api_host": api_host,
            "api_port": api_port,
            "api_scheme": api_scheme,
            "traces": traces,
        }
        if all(value is None for value in options.values()):
            self.remote = remote_of(backend)
        else:
            self.remote = open_remote(backend or Settings().backend, **options)
        self.backend = "local" if self.remote is None else self.remote.name
        self.store: Store = open_store(store_url)
        self._set_up()

    def _set_up(self) -> None:
        self.datasets = Datasets(self)
        self.experiments = Experiments(self)
        self.spans = Spans(self)

    def in_space(self, space: str | None) -> Client:
        """The same client in another space of AX, by name or id; on other backends it is this one."""
        remote = getattr(self.remote, "in_space", lambda _: self.remote)(space)
        if remote is self.remote:
            return self
        other = copy.copy(self)
        other.remote = remote
        other._set_up()
        return other
