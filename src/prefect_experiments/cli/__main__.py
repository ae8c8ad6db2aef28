"""``python -m prefect_experiments.cli``."""

from prefect_experiments.cli import main

if __name__ == "__main__":  # processes that are started from here, and whoever looks at all modules, import it, too
    main()
