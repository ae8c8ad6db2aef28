"""Every test of whole experiments here runs on a real Prefect server and a store of its own."""

from support.on_prefect import client, on_the_server, store_url

__all__ = ["client", "on_the_server", "store_url"]
