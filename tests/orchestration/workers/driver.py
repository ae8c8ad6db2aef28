"""A process that runs an experiment of `app.py` on workers.

usage: driver.py ARGUMENTS [resume]
"""

from __future__ import annotations

import json
import os
import sys

os.environ["DRIVER"] = str(os.getpid())


def main() -> None:
    from prefect_experiments import Client

    arguments, how = json.loads(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "run"
    client = Client()
    if how == "resume":
        client.experiments.resume_experiment(experiment="latest", **arguments)
    else:
        client.experiments.run_experiment(**arguments)


if __name__ == "__main__":
    main()
