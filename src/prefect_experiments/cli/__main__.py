"""``python -m prefect_experiments.cli``."""

from prefect_experiments.cli import main

main()
