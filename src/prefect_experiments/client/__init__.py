"""`Client`: datasets, experiments and traces, in the store or a backend, and the calls that run experiments.

Prefect, which takes more than a second to import, is imported by the calls that run something.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack, cast

from pydantic import SecretStr

from prefect_experiments.backends import LOCAL, Remote, open_remote
from prefect_experiments.backends.registry import remote_here, sendable_options, sendable_remote
from prefect_experiments.client.compat_ax import Datasets, Experiments
from prefect_experiments.client.spans import Spans
from prefect_experiments.display import line
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.in_json import InJson
from prefect_experiments.settings import Settings
from prefect_experiments.store import Store, open_store, reopen_store

if TYPE_CHECKING:
    from prefect_experiments.backends.base import HasSpaces

__all__ = ["Client", "Datasets", "Experiments", "Spans"]


C = TypeVar("C", bound="Client")


class BackendOptions(TypedDict, total=False):
    """The options of this package's backends, for type checkers; those of others are taken as well.

    `tests/backends/test_registry.py` holds it to the settings of the backends.
    """

    base_url: str | None
    api_key: str | SecretStr | None
    headers: Mapping[str, str] | None
    space: str | None
    api_host: str | None
    api_port: int | None
    api_scheme: str | None
    traces: bool | None
    verify: bool | str | None
    client_cert: str | None
    client_key: str | None


class Client(InJson):
    """Datasets and experiments.

    Args:
        backend: ``"local"``, the embedded store; ``"phoenix"``; ``"arize"``; another one that is installed; a saved
            block of Prefect such as ``"phoenix-credentials/prod"``; or a backend that is open already. Default from the
            settings. What is run is written to the store first in any case.
        store_url: SQLAlchemy URL of the store; default from the settings
            (``PREFECT_EXPERIMENTS_STORE_URL``), else an SQLite file in Prefect's home.
        options: how the backend is reached. ``"phoenix"`` takes

            - base_url: where Phoenix is, such as http://localhost:6006; else PHOENIX_ENDPOINT or
              PHOENIX_COLLECTOR_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT or PHOENIX_BASE_URL or PHOENIX_HOST
            - api_key: the API key, where Phoenix asks for one; else PHOENIX_API_KEY
            - headers: further HTTP headers by name, such as those of a proxy; else PHOENIX_CLIENT_HEADERS

            and ``"arize"``

            - api_key: the API key; else ARIZE_API_KEY
            - space: id or name of the space to work in; else ARIZE_SPACE_ID
            - api_host: where the API is, such as api.eu-west-1a.arize.com; else ARIZE_API_HOST
            - api_port: the port, where it is not the usual one; else ARIZE_API_PORT
            - api_scheme: the scheme, http or https; else ARIZE_API_SCHEME
            - base_url: host, port and scheme of the API in one, such as http://localhost:8080
            - traces: whether the spans of experiments go to AX's collector; else PREFECT_EXPERIMENTS_ARIZE_TRACES

            and both, for results as for traces,

            - verify: how its certificate is checked: the file or folder with the authorities that are trusted, or false
              for not at all; else PREFECT_EXPERIMENTS_VERIFY
            - client_cert: the file with the certificate of this side, where it asks for one; else
              PREFECT_EXPERIMENTS_CLIENT_CERT or OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE or
              OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE
            - client_key: the file with the key of that certificate, where it is another one; else
              PREFECT_EXPERIMENTS_CLIENT_KEY or OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY or OTEL_EXPORTER_OTLP_CLIENT_KEY

    It can be pickled, and be in JSON as pydantic writes it: without its key, its headers and the store's password,
    which the process that it arrives in takes from its environment or a saved block. In the process that made it, and
    in its forks, it is complete.

    Raises:
        InvalidSetting: a backend that there is not, or a URL that cannot be used.
        StoreUnavailable: the store's database does not answer.
    """

    def __init__(
        self,
        *,
        backend: str | Remote | None = None,
        store_url: str | None = None,
        **options: Unpack[BackendOptions],
    ) -> None:
        self.remote: Remote | None
        self._opened: dict[str, Any] = {}
        if backend is None or isinstance(backend, str):
            name = backend or Settings().backend
            self.remote = open_remote(name, **options)
            self._opened = {"backend": name, **sendable_options(name, **options)}
        elif options or not isinstance(backend, Remote):
            wrong = f"got {backend!r:.80}" if not options else f"an open one takes no {', '.join(sorted(options))}"
            raise InvalidSetting(f"backend must be the name of a backend, or an open one; {wrong}")
        else:
            self.remote = backend
        self.backend = LOCAL if self.remote is None else self.remote.name
        self.store: Store = open_store(store_url)
        self._set_up()

    def _set_up(self) -> None:
        self.datasets = Datasets(self)
        self.experiments = Experiments(self)
        self.spans = Spans(self)

    def __repr__(self) -> str:
        where = self.backend if self.remote is None else self.remote.target
        return line(type(self).__name__, [repr(where), f"store={self.store.portable_url!r}"])

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (type(self), self._opened, sendable_remote(self.remote), self.store)

    def to_json_text(self) -> str:
        """What leads to it, without a secret."""
        remote = sendable_remote(self.remote)
        return json.dumps([self._opened, remote, self.store.portable_url], default=str)

    @classmethod
    def from_json_text(cls, text: str) -> Self:
        """The client that a text tells of."""
        opened, remote, store_url = json.loads(text)
        return _reopened(cls, opened, remote, reopen_store(store_url))

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._set_up()
        return other

    def __deepcopy__(self, memo: Any) -> Self:
        return copy.copy(self)

    def in_space(self, space: str | None) -> Client:
        """The same client in another space of its backend, by name or id; where there are none it is this one."""
        if space is None or self.remote is None or not self.remote.capabilities.spaces:
            return self
        remote = cast("HasSpaces", self.remote).in_space(space)
        if remote is self.remote:
            return self
        other = copy.copy(self)
        other.remote = remote
        other._opened = {**self._opened, "space": space}
        other._set_up()
        return other


def _reopened(kind: type[C], opened: dict[str, Any], remote: str, store: Store) -> C:
    """A client that was pickled."""
    client = object.__new__(kind)
    client._opened, client.store = opened, store
    client.remote = remote_here(remote) or open_remote(
        **{"name" if key == "backend" else key: value for key, value in opened.items()}
    )
    client.backend = LOCAL if client.remote is None else client.remote.name
    client._set_up()
    return client
