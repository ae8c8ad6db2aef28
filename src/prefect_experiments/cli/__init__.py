"""The command line."""

from prefect_experiments.cli.app import main

__all__ = ["main"]
