"""Settings, read from the environment (prefix ``PREFECT_EXPERIMENTS_``)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from prefect_experiments.errors import InvalidSetting

NO_HOME = (
    "there is no home directory: HOME is not set, and this user has none. Set HOME to a folder that can be written: "
    "Prefect asks for it, even where PREFECT_HOME says where its files are, of which the store is one"
)
_FLOW_RUN = "PREFECT__FLOW_RUN_ID"  # set in a process that a worker has started for a flow run


class Settings(BaseSettings):
    """What can be set from outside.

    What the own client of a service reads from the environment is read by the backend for it.

    Attributes:
        store_url: SQLAlchemy URL of the store; a secret, because it may hold a password.
            Default: the SQLite file ``experiments.db`` in Prefect's home (``PREFECT_HOME``,
            else ``~/.prefect``).
        backend: where experiments are kept when a call does not say.
        backend_timeout: seconds that a backend may take to answer one request.
        push_patience: seconds for which a finished experiment waits for a backend that takes
            nothing, before it ends and leaves the rest of the results to a later push.
        limit_patience: seconds for which an experiment waits for slots of a limit that flows share.
        references: what references to tasks, evaluators and exception classes may lead to, such as ``my_app,flows/``:
            modules, and folders of files. Paths of deployed flows are kept inside the project then. Default: anything.
        prefect_patience: seconds for which an experiment waits for a Prefect server that does not answer, before it
            goes on without it.
        count_tokens: whether tokens and cost of the calls of models are counted, through OpenInference's instrumentors
            where they are installed.
        prices: what models cost that the table of prices does not know, or that cost something else: JSON such as
            ``{"my-model": {"input": 0.5, "output": 2.0}}`` in US dollars for a million tokens, or the path of such a
            file.
    """

    model_config = SettingsConfigDict(env_prefix="PREFECT_EXPERIMENTS_", extra="ignore")

    store_url: SecretStr | None = Field(default=None)
    backend: str = "local"
    backend_timeout: float = Field(default=30.0, gt=0)
    push_patience: float = Field(default=120.0, ge=0)
    limit_patience: float = Field(default=3600.0, gt=0)
    references: str | None = None
    prefect_patience: float = Field(default=10.0, gt=0)
    count_tokens: bool = True
    prices: str | None = None

    def resolved_store_url(self) -> str:
        """The store's URL with the default filled in.

        Raises:
            InvalidSetting: there is no home directory.
        """
        if self.store_url is not None and (url := self.store_url.get_secret_value()):
            return url
        try:
            home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
        except RuntimeError:
            raise InvalidSetting(NO_HOME) from None
        return f"sqlite:///{home / 'experiments.db'}"  # a path stands in such a URL as it is


def temporary_clone(path: Path) -> Path | None:
    """The temporary folder, deleted after the flow run, that a worker has put the flow's code into and a path is in.

    Args:
        path: one that was given relative to the current directory.
    """
    if not os.environ.get(_FLOW_RUN):
        return None
    here, temporary = path.absolute().resolve(), Path(tempfile.gettempdir()).resolve()
    home = os.environ.get("PREFECT_EXPERIMENTS_HOME")  # a folder that the worker was told of is there to stay
    if not here.is_relative_to(temporary) or (home and here.is_relative_to(Path(home).expanduser().resolve())):
        return None
    return temporary / here.relative_to(temporary).parts[0]
