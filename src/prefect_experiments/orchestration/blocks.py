"""Prefect blocks: what deployments keep in Prefect instead of the environment."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

from prefect.blocks.abstract import CredentialsBlock
from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field, HttpUrl, SecretStr

from prefect_experiments.backends import Remote, open_remote
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.sync import run_sync

# Prefect's own, as its blocks for secrets and files have them: a page of block types without pictures looks broken.
_LOGOS = (
    "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos"
)
_SECRET, _FILES = HttpUrl(f"{_LOGOS}/secret.png"), HttpUrl(f"{_LOGOS}/filesystem.png")


class ExperimentStore(CredentialsBlock):
    """The database that experiments are kept in, shared by the machines of a team.

    Example:
        Load a saved store and use it:
        ```python
        from prefect_experiments import ExperimentStore

        store = ExperimentStore.load("BLOCK_NAME")
        client = store.get_client()
        ```
    """

    _block_type_name = "Experiment Store"
    _block_type_slug = "experiment-store"
    _logo_url = _FILES
    _documentation_url = HttpUrl("https://docs.sqlalchemy.org/en/20/core/engines.html#database-urls")
    _description = "The SQL database that prefect-experiments keeps experiments in: SQLite or PostgreSQL."

    url: SecretStr = Field(
        default=...,
        title="Database URL",
        description="SQLAlchemy URL of the store, such as postgresql://user:password@host/name.",
    )

    def get_client(self, **options: Any) -> Any:
        """A `Client` on this store.

        Args:
            options: further arguments of `Client`, such as ``backend``.
        """
        from prefect_experiments import Client

        return Client(store_url=self.url.get_secret_value(), **options)


class _DescribesBackend:
    """What blocks of backends share. No block itself: Prefect would offer it to people."""

    _backend: ClassVar[str]

    def get_client(self, **options: Any) -> Any:
        """A `Client` of this backend.

        Args:
            options: further arguments of `Client`, such as ``store_url``.
        """
        from prefect_experiments import Client

        return Client(backend=self._backend, **self._options(), **options)

    def get_remote(self) -> Remote:
        """The backend."""
        return cast("Remote", open_remote(self._backend, **self._options()))

    def _options(self) -> dict[str, Any]:
        raise NotImplementedError


class PhoenixCredentials(_DescribesBackend, CredentialsBlock):
    """Where a Phoenix is, and its key.

    Example:
        Load saved credentials and use them:
        ```python
        from prefect_experiments import PhoenixCredentials

        credentials = PhoenixCredentials.load("BLOCK_NAME")
        client = credentials.get_client()
        ```
    """

    _block_type_name = "Phoenix Credentials"
    _block_type_slug = "phoenix-credentials"
    _backend: ClassVar[str] = "phoenix"
    _logo_url = _SECRET
    _documentation_url = HttpUrl("https://arize.com/docs/phoenix/self-hosting")
    _description = "The address and the API key of an Arize Phoenix, for prefect-experiments."

    base_url: str = Field(
        default="http://localhost:6006",
        title="Base URL",
        description="Where Phoenix is, such as http://localhost:6006.",
    )
    api_key: SecretStr | None = Field(
        default=None, title="API Key", description="The API key, where Phoenix asks for one."
    )
    headers: SecretDict | None = Field(
        default=None, title="Headers", description="Further HTTP headers by name, such as those of a proxy."
    )

    def _options(self) -> dict[str, Any]:
        headers = self.headers.get_secret_value() if self.headers else None
        return {"base_url": self.base_url, "api_key": self.api_key, "headers": headers or None}


class ArizeCredentials(_DescribesBackend, CredentialsBlock):
    """An Arize AX: its key, the space to work in, and where it is.

    Example:
        Load saved credentials and use them:
        ```python
        from prefect_experiments import ArizeCredentials

        credentials = ArizeCredentials.load("BLOCK_NAME")
        client = credentials.get_client()
        ```
    """

    _block_type_name = "Arize AX Credentials"
    _block_type_slug = "arize-credentials"
    _backend: ClassVar[str] = "arize"
    _logo_url = _SECRET
    _documentation_url = HttpUrl("https://arize.com/docs/ax")
    _description = "The API key, the space and the address of an Arize AX, for prefect-experiments."

    api_key: SecretStr = Field(default=..., title="API Key", description="The API key.")
    space: str | None = Field(default=None, title="Space", description="Id or name of the space to work in.")
    api_host: str | None = Field(
        default=None, title="API Host", description="Where the API is, such as api.eu-west-1a.arize.com."
    )
    api_port: int | None = Field(default=None, title="API Port", description="The port, where it is not the usual one.")
    api_scheme: Literal["http", "https"] | None = Field(default=None, title="API Scheme", description="http or https.")
    traces: bool | None = Field(
        default=None, title="Traces", description="Whether the spans of experiments go to AX's collector."
    )

    def _options(self) -> dict[str, Any]:
        names = ("api_key", "space", "api_host", "api_port", "api_scheme", "traces")
        return {name: getattr(self, name) for name in names}


def remote_of_block(slug: str) -> Remote:
    """The backend that a saved block describes, such as ``phoenix-credentials/prod``.

    Raises:
        InvalidSetting: there is no such block, or it is of another sort.
    """
    try:
        block: Any = run_sync(lambda: Block.aload(slug))  # `load` would give a coroutine inside a running loop
    except ValueError as error:
        raise InvalidSetting(f"the block {slug!r} cannot be loaded: {str(error).splitlines()[0]:.200}") from None
    if not isinstance(block, _DescribesBackend):
        raise InvalidSetting(f"the block {slug!r} is a {type(block).__name__}, which describes no backend")
    return block.get_remote()
