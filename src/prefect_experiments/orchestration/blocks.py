"""Prefect blocks: what deployments keep in Prefect instead of the environment."""

from __future__ import annotations

from prefect.blocks.abstract import CredentialsBlock
from pydantic import Field, SecretStr

from prefect_experiments.store import Store, open_store


class ExperimentStore(CredentialsBlock):
    """The database that experiments are kept in, shared by the machines of a team.

    Example:
        Load a saved store and use it:
        ```python
        from prefect_experiments import Client, ExperimentStore

        store = ExperimentStore.load("BLOCK_NAME")
        client = Client(store_url=store.url.get_secret_value())
        ```
    """

    _block_type_name = "Experiment Store"
    _block_type_slug = "experiment-store"
    _description = "The SQL database that prefect-experiments keeps experiments in: SQLite or PostgreSQL."

    url: SecretStr = Field(
        default=...,
        title="Database URL",
        description="SQLAlchemy URL of the store, such as postgresql://user:password@host/name.",
    )

    def get_client(self) -> Store:
        """The open store."""
        return open_store(self.url.get_secret_value())
