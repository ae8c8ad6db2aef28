"""Every test here runs on a real Prefect server and a store of its own."""

from support.on_prefect import client, on_the_server, store_url
from support.third_party import folder_installed

__all__ = ["client", "folder_installed", "on_the_server", "store_url"]
