"""Where experiments are kept: the embedded store, and the backends. The only place with HTTP."""

from prefect_experiments.backends.base import Backend, BackendSettings, Capabilities, Env, Remote
from prefect_experiments.backends.registry import LOCAL, backend_names, find_backend, open_remote

__all__ = [
    "LOCAL",
    "Backend",
    "BackendSettings",
    "Capabilities",
    "Env",
    "Remote",
    "backend_names",
    "find_backend",
    "open_remote",
]
