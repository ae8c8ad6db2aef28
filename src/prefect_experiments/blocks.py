"""Prefect blocks: what deployments keep in Prefect instead of the environment."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

from prefect.blocks.abstract import CredentialsBlock
from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field, HttpUrl, SecretStr

from prefect_experiments.backends import Remote, find_backend, open_remote
from prefect_experiments.backends.phoenix.connection import DEFAULT_URL
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.options import described
from prefect_experiments.orchestration.deployed.parameters import CallLimits
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
        from prefect_experiments.client import Client

        return Client(store_url=self.url.get_secret_value(), **options)


class CallOptions(Block):
    """How hard flows work, kept in one place for the deployments that name it.

    Example:
        Save one, for ``options.limits`` of a deployed flow's form:
        ```python
        from prefect_experiments.blocks import CallOptions

        CallOptions(limits={"concurrency": 4, "timeout": 120}).save("BLOCK_NAME")
        ```
    """

    _block_type_name = "Call Options"
    _block_type_slug = "call-options"
    _logo_url = _FILES
    _description = "Calls at a time, timeout, retries and shared limits of prefect-experiments' flows."

    # Without a field that it must have, Prefect's server takes the reference to a block for a block as well, cannot
    # tell which of the two it is, and refuses the run.
    limits: CallLimits = Field(
        default=..., title="Limits", description="Calls at a time, timeout, retries, shared limits."
    )


class BackendBlock:
    """What blocks of backends share, beside `CredentialsBlock`. No block itself: Prefect would offer it to people.

    A block's fields are options of its backend, and have the descriptions that the backend's settings give them.
    """

    _backend: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)  # type: ignore[misc]
        block = cast("type[Block]", cls)
        words = described(find_backend(cls._backend).settings)
        for name in words.keys() & block.model_fields.keys():
            block.model_fields[name].description = words[name][:1].upper() + words[name][1:]
            block.model_fields[name].title = name.replace("_", " ").title().replace("Url", "URL").replace("Api", "API")
        block.model_rebuild(force=True)

    def get_client(self, **options: Any) -> Any:
        """A `Client` of this backend.

        Args:
            options: further arguments of `Client`, such as ``store_url``.
        """
        from prefect_experiments.client import Client

        return Client(backend=self._backend, **self._options(), **options)

    def get_remote(self) -> Remote:
        """The backend."""
        return cast("Remote", open_remote(self._backend, **self._options()))

    def _options(self) -> dict[str, Any]:
        given = {name: getattr(self, name, None) for name in find_backend(self._backend).settings.model_fields}
        return {name: _plain(value) for name, value in given.items()}


def _plain(value: Any) -> Any:
    """An option as a backend's settings take it."""
    return value.get_secret_value() or None if isinstance(value, SecretDict) else value


class PhoenixCredentials(BackendBlock, CredentialsBlock):
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

    base_url: str = DEFAULT_URL
    api_key: SecretStr | None = None
    headers: SecretDict | None = None
    verify: bool | str | None = None
    client_cert: str | None = None
    client_key: str | None = None


class ArizeCredentials(BackendBlock, CredentialsBlock):
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

    api_key: SecretStr
    space: str | None = None
    api_host: str | None = None
    api_port: int | None = None
    api_scheme: Literal["http", "https"] | None = None
    traces: bool | None = None
    verify: bool | str | None = None
    client_cert: str | None = None
    client_key: str | None = None


def remote_of_block(slug: str) -> Remote:
    """The backend that a saved block describes, such as ``phoenix-credentials/prod``.

    Raises:
        InvalidSetting: there is no such block, or it is of another sort; or Prefect's server wants a login.
        TransientError: Prefect's server does not answer.
    """
    from prefect_experiments.orchestration.patience import asked

    try:  # `load` would give a coroutine inside a running loop
        block: Any = run_sync(lambda: asked(f"the block {slug!r} cannot be loaded", lambda: Block.aload(slug)))
    except InvalidSetting:
        raise
    except ValueError as error:
        raise InvalidSetting(f"the block {slug!r} cannot be loaded: {str(error).splitlines()[0]:.200}") from None
    if not isinstance(block, BackendBlock):
        raise InvalidSetting(f"the block {slug!r} is a {type(block).__name__}, which describes no backend")
    return block.get_remote()
