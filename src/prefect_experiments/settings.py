"""Settings, read from the environment (prefix ``PREFECT_EXPERIMENTS_``)."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

BACKENDS = ("local", "phoenix", "arize")

_SECRETS = ("PHOENIX_API_KEY", "ARIZE_API_KEY", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING")
_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@")  # in an address
_SHORTEST_SECRET = 6  # a shorter text may well be an ordinary word


class Settings(BaseSettings):
    """What can be set from outside.

    What a service's own client reads from the environment (``PHOENIX_BASE_URL``, ``ARIZE_API_KEY``, ...) is read by
    the backend for it.

    Attributes:
        store_url: SQLAlchemy URL of the store; a secret, because it may hold a password.
            Default: the SQLite file ``experiments.db`` in Prefect's home (``PREFECT_HOME``,
            else ``~/.prefect``).
        backend: where experiments are kept when a call does not say.
        backend_timeout: seconds that a backend may take to answer one request.
        arize_traces: whether the spans of experiments in Arize AX go to AX's collector.
        push_patience: seconds for which a finished experiment waits for a backend that takes
            nothing, before it ends and leaves the rest of the results to a later push.
        limit_patience: seconds for which an experiment waits for slots of a limit that flows share.
    """

    model_config = SettingsConfigDict(env_prefix="PREFECT_EXPERIMENTS_", extra="ignore")

    store_url: SecretStr | None = Field(default=None)
    backend: str = "local"
    backend_timeout: float = Field(default=30.0, gt=0)
    arize_traces: bool = False
    push_patience: float = Field(default=120.0, ge=0)
    limit_patience: float = Field(default=3600.0, gt=0)

    def resolved_store_url(self) -> str:
        """The store's URL with the default filled in."""
        if self.store_url is not None and (url := self.store_url.get_secret_value()):
            return url
        home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
        return f"sqlite:///{home / 'experiments.db'}"


def without_secrets(text: str) -> str:
    """A text that others made, such as an error's, without what the environment keeps secret for this package."""
    for secret in _secrets():
        text = text.replace(secret, "***")
    return _PASSWORD.sub(r"\1:***@", text)


def _secrets() -> list[str]:
    """The longest first."""
    found = [os.environ.get(name, "") for name in _SECRETS]
    for pair in os.environ.get("PHOENIX_CLIENT_HEADERS", "").split(","):
        value = unquote(pair.partition("=")[2]).strip()
        found += [value, value.removeprefix("Bearer ")]
    store_url = os.environ.get("PREFECT_EXPERIMENTS_STORE_URL", "")
    with contextlib.suppress(ValueError):
        password = urlsplit(store_url).password or ""
        found += [password, unquote(password)]
    return sorted({text for text in found if len(text) >= _SHORTEST_SECRET}, key=len, reverse=True)
