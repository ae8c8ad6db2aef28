"""The options of a backend that is reached over HTTP: certificates. By `network` they hold for its traces as well."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BeforeValidator

from prefect_experiments.backends.base import AsText, BackendSettings, Env
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.network import CLIENT_CERTIFICATES, CLIENT_KEYS, Way, way_to

YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def _as_verify(value: Any) -> Any:
    """Words for yes and no as what they mean, a path as a text."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    word = value.strip().lower() if isinstance(value, str) else ""
    return True if word in YES else False if word in NO else value or None if isinstance(value, str) else value


class NetworkSettings(BackendSettings):
    """Whose certificates are trusted, and which one is shown."""

    verify: Annotated[bool | str | None, BeforeValidator(_as_verify), Env("PREFECT_EXPERIMENTS_VERIFY")] = None
    """how its certificate is checked: the file or folder with the authorities that are trusted, or false for not at
    all."""
    client_cert: Annotated[str | None, AsText, Env("PREFECT_EXPERIMENTS_CLIENT_CERT", *CLIENT_CERTIFICATES)] = None
    """the file with the certificate of this side, where it asks for one."""
    client_key: Annotated[str | None, AsText, Env("PREFECT_EXPERIMENTS_CLIENT_KEY", *CLIENT_KEYS)] = None
    """the file with the key of that certificate, where it is another one."""

    def way_to(self, url: str, *, verify: bool | str | None = None, verified_by: str = "", proxy: str = "") -> Way:
        """The way to an address of the backend.

        Args:
            url: the address.
            verify: what the environment of the backend's own client says of that; what was given goes first.
            verified_by: which variable has said so.
            proxy: the one to take, whatever the usual variables say.

        Raises:
            InvalidSetting: a file or a proxy that cannot be used.
        """
        if self.verify is not None:
            verify, verified_by = self.verify, "verify="
        elif own := self.from_environment("verify"):
            verify, verified_by = _as_verify(own), self.variables("verify")[0]
        cert, key = self.client_cert, self.client_key
        if not cert:
            if key:
                raise InvalidSetting("client_key= goes with client_cert=, which is missing")
            cert, key = (os.environ.get(self.variables(name)[0], "") for name in ("client_cert", "client_key"))
        return way_to(
            url,
            verify=verify,
            verified_by=verified_by or "verify=",
            client_cert=cert or None,
            client_key=key or None,
            proxy=proxy or None,
        )
