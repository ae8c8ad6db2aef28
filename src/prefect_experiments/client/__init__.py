"""`Client`: datasets, experiments and traces, in the store or a backend, and the calls that run experiments.

Prefect, which takes more than a second to import, is imported by the calls that run something.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from prefect_experiments.backends import open_remote
from prefect_experiments.client.spans import Spans
from prefect_experiments.client.spellings import Datasets, Experiments
from prefect_experiments.orchestration.request import remote_of
from prefect_experiments.settings import Settings
from prefect_experiments.store import Store, open_store

__all__ = ["Client", "Datasets", "Experiments", "Spans"]


class Client:
    """Datasets and experiments.

    Args:
        backend: ``"local"``, the embedded store; ``"phoenix"``; or a saved block of Prefect such as
            ``"phoenix-credentials/prod"``. Default from the settings. What is run is written to the
            store first in any case.
        base_url: where the backend is; default, from the environment names that its own clients read.
        api_key: the backend's key; likewise.
        headers: further HTTP headers; likewise.
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
        store_url: str | None = None,
    ) -> None:
        if base_url is None and api_key is None and headers is None:
            self.remote = remote_of(backend)
        else:
            name = backend or Settings().backend
            self.remote = open_remote(name, base_url=base_url, api_key=api_key, headers=headers)
        self.backend = "local" if self.remote is None else self.remote.name
        self.store: Store = open_store(store_url)
        self.datasets = Datasets(self)
        self.experiments = Experiments(self)
        self.spans = Spans(self)
